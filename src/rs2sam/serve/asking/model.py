"""One model for all who ask: their views wait in two queues, and one thread asks the model about several at once.

Questions of people go before tiles of scenes, which get their turn after a few all the same. Views of different users
that come within milliseconds are one batch where the backend answers several at once. Clicks and boxes wait among the
questions, and are asked about one by one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Literal

from rs2sam.backends.answering import encode
from rs2sam.backends.protocol import EncodingBackend
from rs2sam.pictures import Picture
from rs2sam.segmenter import Segmentation, Segmenter
from rs2sam.serve.images.encodings import mark_of
from rs2sam.serve.metrics import Metrics
from rs2sam.serve.problems import ProblemError
from rs2sam.views.asking import Shown
from rs2sam.views.options import SceneOptions

Lane = Literal["question", "scene"]

GATHER_S = 0.003
"""A batch that is not full waits this long for others' views [s]."""

_MOST_IN_A_ROW = 8
"""Batches of questions that go before a waiting batch of a scene."""


class _Views:
    """Views that one caller waits for."""

    def __init__(self, pairs: Sequence[tuple[Picture, str]], size_hw: tuple[int, int] | None) -> None:
        self.pairs = pairs
        self.size_hw = size_hw
        self.found: Future[list[Segmentation]] = Future()
        self.since = time.perf_counter()


class _Prompt:
    """A click or a box that one caller waits for."""

    def __init__(self, work: Callable[[], Segmentation]) -> None:
        self.work = work
        self.found: Future[Segmentation] = Future()
        self.since = time.perf_counter()


class ModelThread:
    """Asks one model, one batch after another.

    Args:
        segmenter: the model.
        metrics: told of every batch.
    """

    def __init__(self, segmenter: Segmenter, metrics: Metrics) -> None:
        self.segmenter = segmenter
        self._metrics = metrics
        self._waiting: dict[Lane, deque[_Views | _Prompt]] = {"question": deque(), "scene": deque()}
        self._changed = threading.Condition()
        self._at_work = threading.Lock()
        self._is_stopped = False
        self._in_a_row = 0
        self._thread = threading.Thread(target=self._work, name="rs2sam-model", daemon=True)
        self._thread.start()

    @property
    def num_waiting(self) -> int:
        """Batches of callers that wait."""
        return sum(map(len, self._waiting.values()))

    def run(
        self, pairs: Sequence[tuple[Picture, str]], size_hw: tuple[int, int] | None, lane: Lane
    ) -> list[Segmentation]:
        """Answer views, as `Segmenter` does; waits for its turn.

        Raises:
            ProblemError: the service ends.
        """
        views = _Views(pairs, size_hw)
        self._add(views, lane)
        return views.found.result()

    def prompt(self, work: Callable[[], Segmentation]) -> Segmentation:
        """Have a click or a box answered in the model's thread; waits for its turn.

        Args:
            work: asks the segmenter.

        Raises:
            ProblemError: the service ends.
        """
        prompt = _Prompt(work)
        self._add(prompt, "question")
        return prompt.found.result()

    def _add(self, waiting: _Views | _Prompt, lane: Lane) -> None:
        """Put something at the end of a queue."""
        with self._changed:
            if self._is_stopped:
                raise _ending()
            self._waiting[lane].append(waiting)
            self._changed.notify()

    def encode(self, shown: Shown) -> None:
        """Have an image that the model sees whole encoded before it is asked about; for other models prepared."""
        backend, processor = self.segmenter._backend, self.segmenter._processor
        if not shown.is_one_view(SceneOptions(), self.segmenter.image_size):
            return
        if isinstance(backend, EncodingBackend):
            with self._at_work:
                encode(backend, processor, [shown.picture])
        else:
            shown.picture.inputs(processor)

    def mark(self) -> str:
        """What tells this model's encodings from another's, see `mark_of`; empty where it makes none."""
        backend, processor = self.segmenter._backend, self.segmenter._processor
        if not isinstance(backend, EncodingBackend):
            return ""
        with self._at_work:
            return mark_of(backend, processor.config)

    def stop(self) -> None:
        """End after the batch that is being answered; who waits is told."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        self._thread.join()
        for lane in self._waiting.values():
            for views in lane:
                views.found.set_exception(_ending())

    def _work(self) -> None:
        """The thread."""
        while (batch := self._next()) is not None:
            if isinstance(batch, _Prompt):
                self._answer_prompt(batch)
            else:
                self._answer(batch)

    def _next(self) -> list[_Views] | _Prompt | None:
        """The views of the next batch, or a prompt; None at the end."""
        most = self.segmenter.batch_size
        with self._changed:
            while not self._is_stopped and not self.num_waiting:
                self._changed.wait()
            if self._is_stopped:
                return None
            lane = self._lane()
            first = self._waiting[lane].popleft()
            if isinstance(first, _Prompt):
                return first
            batch = [first]
            until = time.perf_counter() + GATHER_S
            while (room := most - sum(len(views.pairs) for views in batch)) > 0:
                fitting = self._fitting(first.size_hw, room)
                if fitting is not None:
                    batch.append(fitting)
                elif (left := until - time.perf_counter()) <= 0 or not self._changed.wait(left):
                    break
            return batch

    def _lane(self) -> Lane:
        """Whose turn it is."""
        is_scenes_turn = self._waiting["scene"] and self._in_a_row >= _MOST_IN_A_ROW
        if self._waiting["question"] and not is_scenes_turn:
            self._in_a_row += 1
            return "question"
        self._in_a_row = 0
        return "scene"

    def _fitting(self, size_hw: tuple[int, int] | None, room: int) -> _Views | None:
        """Further views for a batch: the first of a queue, so that nobody is overtaken without end."""
        for waiting in self._waiting.values():
            views = waiting[0] if waiting else None
            if isinstance(views, _Views) and views.size_hw == size_hw and len(views.pairs) <= room:
                waiting.popleft()
                return views
        return None

    def _answer_prompt(self, prompt: _Prompt) -> None:
        """Ask the model about a click or a box."""
        start = time.perf_counter()
        self._metrics.waited.observe(start - prompt.since)
        try:
            with self._at_work:
                found = prompt.work()
        except BaseException as error:  # it is raised again where it is waited for
            prompt.found.set_exception(error)
            return
        self._metrics.model_seconds.observe(time.perf_counter() - start)
        prompt.found.set_result(found)

    def _answer(self, batch: Sequence[_Views]) -> None:
        """Ask the model; where a batch fails each caller is asked for alone, so that none breaks another's."""
        start = time.perf_counter()
        for views in batch:
            self._metrics.waited.observe(start - views.since)
        try:
            pairs = [pair for views in batch for pair in views.pairs]
            with self._at_work:
                found = iter(self.segmenter._run(pairs, batch[0].size_hw))
        except BaseException as error:  # it is raised again where it is waited for
            if len(batch) == 1:
                batch[0].found.set_exception(error)
                return
            for views in batch:
                self._answer([views])
            return
        self._metrics.batch.observe(len(pairs))
        self._metrics.model_seconds.observe(time.perf_counter() - start)
        for views in batch:
            views.found.set_result([next(found) for _ in views.pairs])


def _ending() -> ProblemError:
    """What those are told who come when nobody answers any longer."""
    return ProblemError("unavailable", "The service ends. Ask again when it is back.", retry_after=10)


class SharedSegmenter(Segmenter):
    """A segmenter whose views wait for their turn; everything else is as of the one that is shared.

    Args:
        model: the thread that asks.
        lane: the queue to wait in.
    """

    def __init__(self, model: ModelThread, lane: Lane) -> None:
        super().__init__(model.segmenter._processor, model.segmenter._backend)
        self._model = model
        self._lane = lane

    @property
    def backend_name(self) -> str:
        """That of the segmenter that is shared."""
        return self._model.segmenter.backend_name

    @property
    def takes_prompts(self) -> bool:
        """That of the segmenter that is shared."""
        return self._model.segmenter.takes_prompts

    def _run(self, pairs: Sequence[tuple[Picture, str]], size_hw: tuple[int, int] | None) -> list[Segmentation]:
        """One batch, together with what others ask."""
        return self._model.run(pairs, size_hw, self._lane)

    def segment_prompt(
        self,
        picture: Picture,
        points_xy: Sequence[tuple[float, float]] = (),
        labels: Sequence[int] | None = None,
        box_xyxy: tuple[float, float, float, float] | None = None,
    ) -> Segmentation:
        """What lies at points or in a box of a view, once it is this caller's turn."""
        shared = self._model.segmenter
        return self._model.prompt(lambda: shared.segment_prompt(picture, points_xy, labels, box_xyxy))
