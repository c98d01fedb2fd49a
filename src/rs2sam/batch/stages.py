"""What the processes of a cluster do with a scene: plan its tiles, read them, answer them.

    scenes --plan_scene--> tiles --read_rows--> tiles with pixels --Answerer--> answers --parcels_of--> the finishers

Each is a plain function of rows, so it runs in any process that has the package; rows hold pickled values, since tiles
differ in size. What goes wrong with one scene travels along as a row instead of stopping the others.
"""

from __future__ import annotations

import itertools
import logging
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rs2sam.batch.schedule import is_fault_of_input
from rs2sam.errors import InvalidImageError, RS2SAMError, UnreadableImageError
from rs2sam.raster.source import Source, open_source
from rs2sam.scenes.run import SceneRequest, plan_tiles
from rs2sam.scenes.scanning import TileJob
from rs2sam.vector.instances import Instances
from rs2sam.views.assembly import AnsweredTile
from rs2sam.views.options import ViewSegmenter
from rs2sam.views.streaming import Tile, answer_tiles, read_tile

_LOGGER = logging.getLogger(__name__)

Row = dict[str, Any]
Columns = dict[str, NDArray[Any]]
"""A batch of rows by column, as Ray Data hands it out: `scene`, `tile`, `num_tiles` (int64) and `payload` (pickled)."""

Load = Callable[[], ViewSegmenter]
"""Loads the model in the process that runs it; it is pickled."""

Question = tuple[tuple[str, ...], int | None]


class Decision(NamedTuple):
    """What the first pass says of a tile.

    Args:
        wanted: for each sentence, whether the tile is asked it.
        seconds: in the model, to find out.
    """

    wanted: tuple[bool, ...]
    seconds: float


Decisions = Mapping[int, Decision]
"""Of the tiles of one scene, by number."""

PLAN_FAILED = -1
"""Number of the tile in the one row of a scene whose tiles could not be planned."""

_PLACE = ("scene", "tile", "num_tiles")


@dataclass(frozen=True)
class Failure:
    """Why a scene cannot be done.

    Args:
        message: in one line.
        is_input: whether the input is at fault, so that another attempt would fail alike.
        is_reading: whether it could not be read, so that from a remote place another attempt may help.
    """

    message: str
    is_input: bool
    is_reading: bool

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """An exception as a value that every process can read."""
        message = str(error) if isinstance(error, RS2SAMError) else f"{type(error).__name__}: {error}"
        return cls(message, is_fault_of_input(error), isinstance(error, UnreadableImageError))

    def raised(self) -> RS2SAMError:
        """An exception to raise where the scene is put together."""
        kind = UnreadableImageError if self.is_reading else InvalidImageError if self.is_input else RS2SAMError
        return kind(self.message)


@dataclass(frozen=True)
class Place:
    """Where a row belongs.

    Args:
        scene: number of the scene.
        tile: number of the tile in its grid.
        num_tiles: of the scene.
    """

    scene: int
    tile: int
    num_tiles: int


@dataclass(frozen=True, eq=False)
class Parcel:
    """Answers to tiles of one scene, in order, on their way to where the scene is put together.

    Args:
        scene: number of the scene.
        tiles: their numbers.
        num_tiles: of the scene.
        payloads: per tile (n,) uint8, a pickled `AnsweredTile` or `Failure`: the driver need not read it, and Ray hands
            arrays on without another copy.
    """

    scene: int
    tiles: tuple[int, ...]
    num_tiles: int
    payloads: tuple[NDArray[np.uint8], ...]

    def answers(self) -> Iterator[tuple[int, AnsweredTile | Failure]]:
        """Number and answer of each tile."""
        for tile, payload in zip(self.tiles, self.payloads, strict=True):
            value = pickle.loads(payload.data)
            assert isinstance(value, (AnsweredTile, Failure))
            yield tile, value


@dataclass(frozen=True, eq=False)
class TileView:
    """A `rs2sam.views.options.View` that holds no more than what is blended.

    Args:
        probability: (h, w) float32 in [0, 1].
        presence: in [0, 1] or None.
        score: in [0, 1] or None.
        known: in [0, 1] or None.
        instances: the objects that the model told apart, or None.
    """

    probability: NDArray[np.float32]
    presence: float | None
    score: float | None
    known: float | None = None
    instances: Instances | None = None


@dataclass(frozen=True)
class TileOrder:
    """A tile that is to be read.

    Args:
        job: of its scene.
        number: in the grid of the job.
        decision: what the first pass left to ask about it; None: everything.
    """

    job: TileJob
    number: int
    decision: Decision | None = None


@dataclass(frozen=True, eq=False)
class ReadTile:
    """A tile that is to be answered.

    Args:
        tile: its pixels.
        question: what to ask about it, see `TileJob`: sentences and side.
    """

    tile: Tile
    question: Question


def scene_row(number: int, request: SceneRequest, decisions: Decisions | None = None) -> Row:
    """The row that a scene starts as."""
    return {"scene": number, "payload": pickle.dumps((request, decisions or {}))}


def plan_scene(row: Row, image_size: int) -> list[Row]:
    """Open a scene and list its tiles in order.

    Args:
        row: of `scene_row`.
        image_size: side of the square that the model sees [px].
    """
    request, decisions = pickle.loads(row["payload"])
    try:
        job = job_of(request, image_size)
    except Exception as error:
        return [row_of(Place(row["scene"], PLAN_FAILED, 0), Failure.of(error))]
    num_tiles = len(job.grid)
    return [
        row_of(Place(row["scene"], number, num_tiles), TileOrder(job, number, decisions.get(number)))
        for number in range(num_tiles)
    ]


def job_of(request: SceneRequest, image_size: int) -> TileJob:
    """Open a scene and find its tiles; raises what opening raises."""
    with open_source(request.image, request.reading) as source:
        return plan_tiles(request, source.info, image_size)


def read_rows(batch: Columns) -> Columns:
    """Read tiles; a file stays open while tiles of it follow each other."""
    with OpenSource() as sources:
        return columns_of(
            row_of(place, value if isinstance(value, Failure) else _read(sources, value))
            for place, value in rows_of(batch)
        )


class Answerer:
    """A model in a process of its own.

    Args:
        load: makes the model.
        batch_size: views that it reads at once.
    """

    def __init__(self, load: Load, batch_size: int) -> None:
        self._segmenter = load()
        self._batch_size = batch_size
        _LOGGER.info("model loaded in process %d", os.getpid())

    def __call__(self, batch: Columns) -> Columns:
        """Answer tiles, those of the same question together."""
        rows = list(rows_of(batch))
        answers: dict[int, AnsweredTile | Failure] = {}
        for question in dict.fromkeys(value.question for _, value in rows if isinstance(value, ReadTile)):
            asked = {
                index: value.tile
                for index, (_, value) in enumerate(rows)
                if isinstance(value, ReadTile) and value.question == question
            }
            answers |= zip(asked, self._answer(list(asked.values()), question), strict=True)
        return columns_of(row_of(place, answers.get(index, value)) for index, (place, value) in enumerate(rows))

    def _answer(self, tiles: Sequence[Tile], question: Question) -> list[AnsweredTile | Failure]:
        """Answers in order; when a batch fails, each tile by itself, so that one does not take others along."""
        sentences, side = question
        try:
            # Tiles of several scenes share a batch, where numbers must differ.
            numbered = [replace(tile, number=index) for index, tile in enumerate(tiles)]
            answered = answer_tiles(self._segmenter, numbered, sentences, self._batch_size, side=side)
            return [_slim(answer, tile.number) for answer, tile in zip(answered, tiles, strict=True)]
        except Exception as error:
            if len(tiles) == 1:
                return [Failure.of(error)]
            return [self._answer([tile], question)[0] for tile in tiles]


def parcels_of(batch: Columns) -> Iterator[Parcel]:
    """The answers at the end of the line, those of one scene together."""
    scenes = batch["scene"]
    edges = (np.flatnonzero(np.diff(scenes)) + 1).tolist()
    for start, stop in itertools.pairwise([0, *edges, len(scenes)]) if len(scenes) else ():
        yield Parcel(
            scene=int(scenes[start]),
            tiles=tuple(batch["tile"][start:stop].tolist()),
            num_tiles=int(batch["num_tiles"][start]),
            payloads=tuple(np.frombuffer(payload, dtype=np.uint8) for payload in batch["payload"][start:stop]),
        )


class OpenSource:
    """The source that was read last, kept open."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._source: Source | None = None
        self._job: TileJob | None = None

    def __enter__(self) -> OpenSource:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def of(self, job: TileJob) -> Source:
        """The open source of a job."""
        if self._source is None or self._job is None or self._job.path != job.path:
            self._stack.close()
            self._source = self._stack.enter_context(open_source(job.path, job.reading, job.info.limits))
            self._job = job
        return self._source


def _read(sources: OpenSource, order: TileOrder) -> ReadTile | Failure:
    """One tile, or why not."""
    try:
        tile = read_tile(sources.of(order.job), order.job.grid, order.number, order.job.thumbnail)
    except Exception as error:
        return Failure.of(error)
    if order.decision is not None:
        tile = replace(tile, wanted=order.decision.wanted, first_pass_seconds=order.decision.seconds)
    return ReadTile(tile, (order.job.sentences, order.job.side))


def _slim(answer: AnsweredTile, number: int) -> AnsweredTile:
    """An answer under the tile's own number, without what nobody reads: masks, sentences, places."""
    views = answer.views and [
        view and TileView(view.probability, view.presence, view.score, view.known, getattr(view, "instances", None))
        for view in answer.views
    ]
    return replace(answer, number=number, views=views)


def row_of(place: Place, value: object) -> Row:
    """A row with a pickled value."""
    return {**asdict(place), "payload": pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)}


def rows_of(batch: Columns) -> Iterator[tuple[Place, Any]]:
    """The rows of a batch with their values."""
    places = zip(*(batch[name].tolist() for name in _PLACE), strict=True)
    for numbers, payload in zip(places, batch["payload"], strict=True):
        yield Place(*numbers), pickle.loads(payload)


def columns_of(rows: Iterable[Row]) -> Columns:
    """Rows as a batch."""
    listed = list(rows)
    payloads = np.empty(len(listed), dtype=object)
    payloads[:] = [row["payload"] for row in listed]
    numbers = {name: np.array([row[name] for row in listed], dtype=np.int64) for name in _PLACE}
    return {**numbers, "payload": payloads}
