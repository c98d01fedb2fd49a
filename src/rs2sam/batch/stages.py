"""What the processes of a cluster do with a scene: plan its tiles, read them, answer them.

    scenes --plan_scene--> tiles --read_rows--> tiles with pixels --Answerer--> answers --> the driver

Each is a plain function of rows, so it runs in any process that has the package; rows hold pickled values, since tiles
differ in size. What goes wrong with one scene travels along as a row instead of stopping the others.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rs2sam.errors import InvalidImageError, InvalidInputError, RS2SAMError
from rs2sam.raster.assembly import AnsweredTile
from rs2sam.raster.scanning import TileJob
from rs2sam.raster.scene import ViewSegmenter
from rs2sam.raster.source import Source, open_source
from rs2sam.raster.streaming import Tile, answer_tiles, read_tile
from rs2sam.scene_run import SceneRequest, plan_tiles

_LOGGER = logging.getLogger(__name__)

Row = dict[str, Any]
Columns = dict[str, NDArray[Any]]
"""A batch of rows by column, as Ray Data hands it out: `scene`, `tile` (int64) and `payload` (pickled)."""

Load = Callable[[], ViewSegmenter]
"""Loads the model in the process that runs it; it is pickled."""

Value = TypeVar("Value")

Question = tuple[tuple[str, ...], int | None]

PLAN_FAILED = -1
"""Number of the tile in the one row of a scene whose tiles could not be planned."""


@dataclass(frozen=True)
class Failure:
    """Why a scene cannot be done.

    Args:
        message: in one line.
        is_input: whether the input is at fault, so that another attempt would fail alike.
    """

    message: str
    is_input: bool

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """An exception as a value that every process can read."""
        message = str(error) if isinstance(error, RS2SAMError) else f"{type(error).__name__}: {error}"
        return cls(message, isinstance(error, (InvalidInputError, FileNotFoundError)))

    def raised(self) -> Exception:
        """An exception to raise where the scene is put together."""
        return InvalidImageError(self.message) if self.is_input else RuntimeError(self.message)


@dataclass(frozen=True, eq=False)
class TileView:
    """A `rs2sam.raster.scene.View` that holds no more than what is blended.

    Args:
        probability: (h, w) float32 in [0, 1].
        presence: in [0, 1] or None.
        score: in [0, 1] or None.
    """

    probability: NDArray[np.float32]
    presence: float | None
    score: float | None


@dataclass(frozen=True)
class TileOrder:
    """A tile that is to be read.

    Args:
        job: of its scene.
        number: in the grid of the job.
    """

    job: TileJob
    number: int


@dataclass(frozen=True, eq=False)
class ReadTile:
    """A tile that is to be answered.

    Args:
        tile: its pixels.
        question: what to ask about it, see `TileJob`: sentences and side.
    """

    tile: Tile
    question: Question


def scene_row(number: int, request: SceneRequest) -> Row:
    """The row that a scene starts as."""
    return {"scene": number, "payload": pickle.dumps(request)}


def plan_scene(row: Row, image_size: int) -> list[Row]:
    """Open a scene and list its tiles in order.

    Args:
        row: of `scene_row`.
        image_size: side of the square that the model sees [px].
    """
    request = _load(row["payload"], SceneRequest)
    try:
        with open_source(request.image, request.reading) as source:
            job = plan_tiles(request, source.info, image_size)
    except Exception as error:
        return [_row(row["scene"], PLAN_FAILED, Failure.of(error))]
    return [_row(row["scene"], number, TileOrder(job, number)) for number in range(len(job.grid))]


def read_rows(batch: Columns) -> Columns:
    """Read tiles; a file stays open while tiles of it follow each other."""
    with _OpenSource() as sources:
        return _columns(
            _row(scene, number, value if isinstance(value, Failure) else _read(sources, value))
            for scene, number, value in _rows(batch)
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
        rows = list(_rows(batch))
        answers: dict[int, AnsweredTile | Failure] = {}
        for question in dict.fromkeys(value.question for _, _, value in rows if isinstance(value, ReadTile)):
            asked = {
                index: value.tile
                for index, (_, _, value) in enumerate(rows)
                if isinstance(value, ReadTile) and value.question == question
            }
            answers |= zip(asked, self._answer(list(asked.values()), question), strict=True)
        return _columns(
            _row(scene, number, answers.get(index, value)) for index, (scene, number, value) in enumerate(rows)
        )

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


def answers_of(batch: Columns) -> Iterator[tuple[int, int, AnsweredTile | Failure]]:
    """Scene, tile and answer of each row, at the end of the line."""
    for scene, number, value in _rows(batch):
        assert isinstance(value, (AnsweredTile, Failure))
        yield scene, number, value


class _OpenSource:
    """The source that was read last, kept open."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._source: Source | None = None
        self._job: TileJob | None = None

    def __enter__(self) -> _OpenSource:
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


def _read(sources: _OpenSource, order: TileOrder) -> ReadTile | Failure:
    """One tile, or why not."""
    try:
        tile = read_tile(sources.of(order.job), order.job.grid, order.number, order.job.thumbnail)
    except Exception as error:
        return Failure.of(error)
    return ReadTile(tile, (order.job.sentences, order.job.side))


def _slim(answer: AnsweredTile, number: int) -> AnsweredTile:
    """An answer under the tile's own number, without what nobody reads: masks, sentences, places."""
    views = answer.views and [TileView(view.probability, view.presence, view.score) for view in answer.views]
    return replace(answer, number=number, views=views)


def _row(scene: int, number: int, value: object) -> Row:
    return {"scene": scene, "tile": number, "payload": pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)}


def _rows(batch: Columns) -> Iterator[tuple[int, int, Any]]:
    for scene, number, payload in zip(batch["scene"], batch["tile"], batch["payload"], strict=True):
        yield int(scene), int(number), pickle.loads(payload)


def _columns(rows: Iterable[Row]) -> Columns:
    listed = list(rows)
    payloads = np.empty(len(listed), dtype=object)
    payloads[:] = [row["payload"] for row in listed]
    return {
        "scene": np.array([row["scene"] for row in listed], dtype=np.int64),
        "tile": np.array([row["tile"] for row in listed], dtype=np.int64),
        "payload": payloads,
    }


def _load(payload: bytes, kind: type[Value]) -> Value:
    value = pickle.loads(payload)
    assert isinstance(value, kind)
    return value
