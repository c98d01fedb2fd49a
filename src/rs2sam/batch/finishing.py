"""Scenes put together away from the driver, each from answers that arrive while it is worked on.

    answers (in order) --Dispatcher--> Finisher 1: blend, find regions, write
                                       Finisher 2: ...

A finisher runs `run_scene` as the local engine does; only its answers come from elsewhere. The dispatcher keeps the
manifest and passes pickled answers on unread, so what it costs the driver does not depend on what scenes hold. It waits
while all finishers are at work, or while theirs has enough to do, so nothing piles up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from rs2sam.batch.engine import Watcher, attempt
from rs2sam.batch.scene_input import SceneInput
from rs2sam.batch.schedule import Schedule
from rs2sam.batch.stages import Columns, Failure, Parcel, parcels_of
from rs2sam.errors import RS2SAMError
from rs2sam.processing import FirstPass
from rs2sam.processing_config import Calibration
from rs2sam.scenes.run import SceneRequest, run_scene
from rs2sam.scenes.scanning import TileJob
from rs2sam.views.assembly import AnsweredTile
from rs2sam.views.options import View

if TYPE_CHECKING:
    from rs2sam.segmenter import Segmenter

# Parcels that may wait in a finisher; a parcel is a batch of the model.
_WAITING = 2

Report = dict[str, Any]


@dataclass(frozen=True)
class ModelFacts:
    """What a scene asks of a model besides answers, as a `Segmenter` has it.

    Args:
        image_size: side of the square that the model sees [px].
        batch_size: views that it best reads at once.
        min_presence: below which it says nothing.
        min_known: likewise, of the probability that a sentence names something it was taught.
        choose_in_view: whether it leaves words that compare to the choice among what it found.
        reads_phrases: whether it reads noun phrases alone.
        calibration: how often what it finds is right; None where that was not measured.
        backend_name: what runs it.
        first_pass: how tiles are skipped with it; None where that was not measured.
    """

    image_size: int
    batch_size: int
    min_presence: float
    min_known: float
    choose_in_view: bool
    reads_phrases: bool
    calibration: Calibration | None
    backend_name: str
    first_pass: FirstPass | None

    @classmethod
    def of(cls, segmenter: Segmenter) -> ModelFacts:
        """Those of a loaded model."""
        return cls(
            image_size=segmenter.image_size,
            batch_size=segmenter.batch_size,
            min_presence=segmenter.min_presence,
            min_known=segmenter.min_known,
            choose_in_view=segmenter.choose_in_view,
            reads_phrases=segmenter.reads_phrases,
            calibration=segmenter.calibration,
            backend_name=segmenter.backend_name,
            first_pass=segmenter.first_pass,
        )

    def segment_views(self, pairs: Sequence[Any], batch_size: int = 1) -> list[View]:
        """Never called: the actors have answered."""
        raise AssertionError("tiles are answered by the actors")


class AnswerStream:
    """The answers of one scene, put in by one thread and taken out by another; a few parcels at most wait."""

    def __init__(self) -> None:
        self._parcels: deque[Parcel] = deque()
        self._changed = threading.Condition()
        self._is_complete = False
        self._is_closed = False

    def put(self, parcel: Parcel | None) -> None:
        """Add answers, as soon as there is room; None: no more will come. Ignored once nobody takes them."""
        with self._changed:
            if parcel is None:
                self._is_complete = True
            else:
                self._changed.wait_for(lambda: self._is_closed or len(self._parcels) < _WAITING)
            if parcel is not None and not self._is_closed:
                self._parcels.append(parcel)
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody takes answers any more."""
        with self._changed:
            self._is_closed = True
            self._parcels.clear()
            self._changed.notify_all()

    def of(self, job: TileJob) -> Generator[AnsweredTile, None, None]:
        """The answered tiles from the job's start on; raises what kept one of them from being answered."""
        wanted, rows = job.start, self._rows()
        while wanted < len(job.grid):
            tile, answer = next(rows, (None, None))
            if isinstance(answer, Failure):
                raise answer.raised()
            if answer is None or tile is None or tile > wanted:
                raise RS2SAMError(
                    f"Tile {wanted} of {len(job.grid)} did not come back: the processes that read or answered it died."
                )
            if tile == wanted:
                yield answer
                wanted += 1

    def _rows(self) -> Iterator[tuple[int, AnsweredTile | Failure]]:
        """Number and answer of tiles as they come."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._parcels or self._is_complete)
                if not self._parcels:
                    return
                parcel = self._parcels.popleft()
                self._changed.notify_all()
            yield from parcel.answers()


class Finisher:
    """Puts scenes together in a process of its own, one at a time.

    `run` and `take` are called in different threads.

    Args:
        facts: of the model that answers.
    """

    def __init__(self, facts: ModelFacts) -> None:
        self._segmenter = cast("Segmenter", facts)
        self._streams: dict[int, AnswerStream] = {}
        self._lock = threading.Lock()

    def run(self, number: int, request: SceneRequest) -> Report | Failure:
        """Do a scene with the answers that `take` is given; returns its `result.json`, or why there is none."""
        stream = self._stream(number)
        try:
            return run_scene(request, self._segmenter, None, stream.of)
        except Exception as error:
            return Failure.of(error)
        finally:
            stream.close()

    def take(self, number: int, parcel: Parcel | None) -> None:
        """Take answers to tiles of a scene, in order; None: no more will come. Returns when there is room for them."""
        self._stream(number).put(parcel)

    def sees(self, path: Path) -> bool:
        """Whether a file of the driver's is there for this process too."""
        return path.is_file()

    def _stream(self, number: int) -> AnswerStream:
        """That of a scene; numbers grow, so those of earlier scenes are forgotten."""
        with self._lock:
            for earlier in [key for key in self._streams if key < number]:
                del self._streams[earlier]
            return self._streams.setdefault(number, AnswerStream())


class Crew(Protocol):
    """The finishers; each does one scene at a time."""

    @property
    def num_free(self) -> int:
        """How many have nothing to do."""

    def begin(self, number: int, request: SceneRequest) -> None:
        """Give a scene to a finisher that has nothing to do."""

    def send(self, number: int, parcel: Parcel | None) -> None:
        """Answers for a scene under way; None: no more will come. Waits while its finisher has enough to do."""

    def ended(self, *, wait: bool) -> list[tuple[int, Callable[[], Report]]]:
        """Scenes that came to their end since the last call; the function returns the report, or raises why not.

        Args:
            wait: until there is one.
        """


class Dispatcher:
    """One pass over all scenes that can be begun now.

    Args:
        schedule: keeps the manifest.
        ready: the scenes, in the schedule's order.
        requests: of those that have no problem, in the same order; answers name scenes by their place here.
        crew: puts them together.
        watcher: is told of tiles and scenes.
    """

    def __init__(
        self,
        schedule: Schedule,
        ready: Sequence[SceneInput],
        requests: Sequence[SceneRequest],
        crew: Crew,
        watcher: Watcher,
    ) -> None:
        self._schedule = schedule
        self._num_left = len(ready)
        self._requests = requests
        self._crew = crew
        self._watcher = watcher
        self._num_begun = 0
        self._at_work: dict[int, SceneInput] = {}

    def run(self, batches: Iterable[Columns]) -> None:
        """Pass the answers on; scenes of which none came fail.

        Args:
            batches: answers of all scenes, in order.

        Raises:
            BrokenEngineError: what `batches` raises; scenes under way count as not begun.
        """
        try:
            for batch in batches:
                for parcel in parcels_of(batch):
                    self._pass_on(parcel)
                self._settle(wait=False)
            self._begin_up_to(len(self._requests))
            self._complete_last()
            while self._at_work:
                self._settle(wait=True)
        except BaseException:
            self._schedule.interrupt()
            raise

    def _pass_on(self, parcel: Parcel) -> None:
        """To the finisher of its scene, which is begun with its first answers."""
        self._begin_up_to(parcel.scene + 1)
        if parcel.scene in self._at_work:
            self._watcher.tiles(parcel.tiles[-1] + 1, parcel.num_tiles)
            self._crew.send(parcel.scene, parcel)

    def _begin_up_to(self, number: int) -> None:
        """Begin scenes in the schedule's order, until so many are; those without a source fail on the way."""
        while self._num_left and (self._num_begun < number or number == len(self._requests)):
            if self._num_begun < number:
                self._complete_last()
                while not self._crew.num_free:
                    self._settle(wait=True)
            scene = self._schedule.begin()
            assert scene is not None, "scenes that are ready can be begun"
            self._num_left -= 1
            if scene.problem is not None:
                # The problem is raised before anything is run.
                attempt(self._schedule, scene, dict, self._watcher)
                continue
            self._at_work[self._num_begun] = scene
            self._crew.begin(self._num_begun, self._requests[self._num_begun])
            self._num_begun += 1

    def _complete_last(self) -> None:
        """Answers come in order: after the first ones of a scene, none come for those before."""
        last = self._num_begun - 1
        if last in self._at_work:
            self._crew.send(last, None)

    def _settle(self, *, wait: bool) -> None:
        """Record how scenes ended."""
        for number, outcome in self._crew.ended(wait=wait):
            attempt(self._schedule, self._at_work.pop(number), outcome, self._watcher)
