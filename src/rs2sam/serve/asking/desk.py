"""Where questions are taken on: so many at once and no more, each in a thread that gives the model its views."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from rs2sam.pictures import Picture
from rs2sam.segmenter import Segmentation
from rs2sam.serve.asking.answers import Answer, AnswerStore, KeptResult, as_probability, features
from rs2sam.serve.asking.forms import Form, Layer, content_of
from rs2sam.serve.asking.model import ModelThread, SharedSegmenter
from rs2sam.serve.asking.prepared import Question
from rs2sam.serve.asking.prompts import Box, Point, found_by_prompts
from rs2sam.serve.images.library import Library
from rs2sam.serve.images.record import ImageRecord
from rs2sam.serve.problems import ProblemError
from rs2sam.serve.settings import Settings

Value = TypeVar("Value")

_NUM_WORKERS = 4
_BYTES_A_PIXEL = 16
"""Of one sentence while it is answered: probability, mask, what they are made of."""

_BYTES_A_CLICK = 24
"""A pixel, while it is found out what lies under a click."""


class _Asker(SharedSegmenter):
    """The shared model for one question, which may be given up, and counts its seconds."""

    def __init__(self, model: ModelThread, is_given_up: threading.Event) -> None:
        super().__init__(model, "question")
        self._is_given_up = is_given_up
        self.seconds = 0.0

    def _run(self, pairs: Sequence[tuple[Picture, str]], size_hw: tuple[int, int] | None) -> list[Segmentation]:
        """One batch, unless nobody waits for it any longer."""
        if self._is_given_up.is_set():
            raise ProblemError("timeout", "The question was given up.")
        start = time.perf_counter()
        found = super()._run(pairs, size_hw)
        self.seconds += time.perf_counter() - start
        return found


class Ticket(Generic[Value]):
    """A question that was taken on.

    Args:
        done: its answer.
        is_given_up: set when nobody waits for it any longer.
    """

    def __init__(self, done: Future[Value], is_given_up: threading.Event) -> None:
        self.done = done
        self._is_given_up = is_given_up

    def give_up(self) -> None:
        """Nobody waits any longer."""
        self._is_given_up.set()
        self.done.cancel()


class Desk:
    """Takes questions on.

    Args:
        settings: of the service.
        library: the images.
        model: the shared model.
        answers: where answers are kept.
    """

    def __init__(self, settings: Settings, library: Library, model: ModelThread, answers: AnswerStore) -> None:
        self._settings = settings
        self._library = library
        self._model = model
        self._answers = answers
        self._workers = ThreadPoolExecutor(_NUM_WORKERS, thread_name_prefix="rs2sam-question")
        self._lock = threading.Lock()
        self._num_waiting = 0
        self._num_bytes = 0

    @property
    def num_waiting(self) -> int:
        """Questions that were taken on and are not answered."""
        return self._num_waiting

    def stop(self) -> None:
        """Take nothing on any longer; what is being answered comes to its end."""
        self._workers.shutdown(wait=True, cancel_futures=True)

    def ask(self, record: ImageRecord, question: Question, form: Form) -> Ticket[bytes]:
        """Take a question about an image on.

        Raises:
            ProblemError: as many as are taken on wait already.
        """
        assert record.facts is not None
        weight = record.facts.width * record.facts.height * len(question.sentences) * _BYTES_A_PIXEL
        since = time.perf_counter()
        is_given_up = threading.Event()
        done = self.submit(weight, lambda: self._answered(record, question, form, since, is_given_up))
        return Ticket(done, is_given_up)

    def find(
        self,
        record: ImageRecord,
        points: Sequence[Point],
        boxes: Sequence[Box],
        corrected: KeptResult | None,
        threshold: float,
    ) -> Ticket[dict[str, Any]]:
        """Take clicks and boxes on.

        Args:
            record: of the image.
            points: column and row [px].
            boxes: left, top, right, bottom [px].
            corrected: the result that they correct; None: none.
            threshold: at which it is shown.

        Raises:
            ProblemError: as many questions as are taken on wait already.
        """
        assert record.facts is not None
        is_given_up = threading.Event()

        def work() -> dict[str, Any]:
            image = self._library.prepared(record.id).encoded(_Asker(self._model, is_given_up))
            probability = None if corrected is None else as_probability(corrected.values())
            found = found_by_prompts(image, points, boxes, probability, threshold, is_given_up)
            self._library.touch(record.id)
            return {
                "regions": features([region for one in found for region in one.regions], image.scene.georeference),
                "source": [one.source for one in found],
                "why": [one.why for one in found],
            }

        done = self.submit(record.facts.width * record.facts.height * _BYTES_A_CLICK, work)
        return Ticket(done, is_given_up)

    def submit(self, weight: int, work: Callable[[], Value]) -> Future[Value]:
        """Take work on, as far as number and memory of what waits allow.

        Args:
            weight: memory that it takes [bytes].
            work: done in a worker's thread.

        Raises:
            ProblemError: there is no room.
        """
        limits = self._settings.limits
        with self._lock:
            # What is large is taken on alone rather than never.
            is_full = self._num_bytes and self._num_bytes + weight > limits.answer_bytes
            if self._num_waiting >= limits.waiting or is_full:
                raise ProblemError(
                    "busy",
                    f"{self._num_waiting} questions wait for an answer, as many as are taken on. Ask again shortly.",
                    retry_after=1 + self._num_waiting // 8,
                )
            self._num_waiting += 1
            self._num_bytes += weight

        def finish(_: Future[Value]) -> None:
            with self._lock:
                self._num_waiting -= 1
                self._num_bytes -= weight

        try:
            done = self._workers.submit(work)
        except BaseException:
            finish(Future())
            raise
        done.add_done_callback(finish)
        return done

    def _answered(
        self, record: ImageRecord, question: Question, form: Form, since: float, is_given_up: threading.Event
    ) -> bytes:
        """A worker's part."""
        start = time.perf_counter()
        assert record.facts is not None
        if is_given_up.is_set():
            raise ProblemError("timeout", "The question was given up.")
        image = self._library.prepared(record.id)
        asker = _Asker(self._model, is_given_up)
        found = image.answer(asker, question)
        self._library.touch(record.id)
        model = self._settings.model
        if form != "answer":
            layers = [Layer.of(one) for one in found]
            return content_of(form, record.id, image.scene, layers, question.threshold, model)
        answer = Answer.of(
            record.id,
            question,
            found,
            record.facts.warnings,
            {"name": model, "backend": asker.backend_name},
            {"waited": round(start - since, 4), "model": round(asker.seconds, 4)},
            since,
        )
        self._answers.keep(answer)
        return answer.body
