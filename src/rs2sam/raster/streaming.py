"""A scene of any size, tile by tile: read, ask the model, hand on to the assembler.

    tiles = read_tiles(source, grid, thumbnail)                 # in a thread of its own
    answered = answer_tiles(segmenter, tiles, sentences, 4)     # the caller's thread
    write_behind(answered, assembler.add, depth)                # in a thread of its own

Whoever computes the answers elsewhere feeds the assembler with `AnsweredTile`s in the grid's order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rs2sam.raster.assembly import AnsweredTile
from rs2sam.raster.scene import Scene, SceneInfo, View, ViewSegmenter
from rs2sam.raster.thumbnail import ThumbnailGrid
from rs2sam.raster.tiling import TileGrid, Window

BoolArray = NDArray[np.bool_]


class WindowReader(Protocol):
    """A scene that is read in windows; `rs2sam.raster.source.Source` is one."""

    @property
    def info(self) -> SceneInfo:
        """What is known without its pixels."""

    def read_what_can_be(self, window: Window) -> tuple[NDArray[np.uint8], BoolArray, tuple[Window, ...]]:
        """(h, w, 3) uint8, (h, w) bool validity, and the windows in it that cannot be read."""


@dataclass(frozen=True)
class SceneReader:
    """A scene in memory as a `WindowReader`.

    Args:
        scene: the image.
    """

    scene: Scene

    @property
    def info(self) -> SceneInfo:
        """What is known without its pixels."""
        return self.scene.info

    def read_what_can_be(self, window: Window) -> tuple[NDArray[np.uint8], BoolArray, tuple[Window, ...]]:
        """A window's pixels; none is ever lost."""
        return self.scene.rgb[window.slices], self.scene.valid[window.slices], ()


@dataclass(frozen=True, eq=False)
class Tile:
    """A tile as it was read.

    Args:
        number: in its grid.
        rgb: (h, w, 3) uint8.
        valid: (h, w) bool.
        sample: of the pixels that the tile owns, see `ThumbnailGrid.sums`; None where no preview is wanted.
        lost: windows of the source that could not be read.
    """

    number: int
    rgb: NDArray[np.uint8]
    valid: BoolArray
    sample: NDArray[np.uint16] | None = None
    lost: tuple[Window, ...] = ()


def read_tile(source: WindowReader, grid: TileGrid, number: int, thumbnail: ThumbnailGrid | None = None) -> Tile:
    """Read one tile of a grid."""
    rgb, valid, lost = source.read_what_can_be(grid.window(number))
    sample = None
    if thumbnail is not None:
        owned = grid.owned(number)
        part = slice(owned.height), slice(owned.width)
        sample = thumbnail.sums(owned, rgb[part], valid[part])
    return Tile(number, rgb, valid, sample, lost)


def read_tiles(
    source: WindowReader, grid: TileGrid, thumbnail: ThumbnailGrid | None = None, start: int = 0
) -> Iterator[Tile]:
    """Read the tiles of a grid in order, from a number on."""
    for number in range(start, len(grid)):
        yield read_tile(source, grid, number, thumbnail)


def answer_tiles(
    segmenter: ViewSegmenter,
    tiles: Iterable[Tile],
    sentences: Sequence[str],
    batch_size: int,
    is_wanted: Callable[[Tile], bool] | None = None,
    side: int | None = None,
) -> Iterator[AnsweredTile]:
    """Ask the model about tiles, every sentence of a tile at once.

    A batch holds as many whole tiles as fit, at least one. Batches begin anew after a tile that ends one, so a run that
    goes on there asks exactly what an uninterrupted one does.

    Args:
        segmenter: the model.
        tiles: in the grid's order.
        sentences: what to ask about each.
        batch_size: views that the model reads at once.
        is_wanted: tiles it is False for are not asked about, as those without a valid pixel are.
        side: smaller tiles are shown on a black square of this side [px], so that every view has the same scale.
    """
    room = max(1, batch_size // len(sentences))
    waiting: list[Tile] = []
    asked: list[Tile] = []
    for tile in tiles:
        waiting.append(tile)
        if tile.valid.any() and (is_wanted is None or is_wanted(tile)):
            asked.append(tile)
        if len(asked) == room:
            yield from _answered(segmenter, waiting, asked, sentences, batch_size, side)
            waiting, asked = [], []
        elif not asked:
            yield AnsweredTile(tile.number, tile.valid, None, 0.0, tile.sample, tile.lost, ends_batch=True)
            waiting = []
    yield from _answered(segmenter, waiting, asked, sentences, batch_size, side)


def _answered(
    segmenter: ViewSegmenter,
    waiting: Sequence[Tile],
    asked: Sequence[Tile],
    sentences: Sequence[str],
    batch_size: int,
    side: int | None,
) -> Iterator[AnsweredTile]:
    """The tiles of one batch, with those between them that are not asked about."""
    start = time.perf_counter()
    shown = [tile.rgb if side is None else _padded(tile.rgb, side) for tile in asked]
    pairs = [(rgb, sentence) for rgb in shown for sentence in sentences]
    views: list[View] = []
    for first in range(0, len(pairs), batch_size):
        views.extend(segmenter.segment_views(pairs[first : first + batch_size], batch_size=batch_size))
    seconds = (time.perf_counter() - start) / max(1, len(asked))
    answers: dict[int, list[View]] = {}
    for index, tile in enumerate(asked):
        of_tile = views[index * len(sentences) : (index + 1) * len(sentences)]
        answers[tile.number] = of_tile if side is None else [_Part.of(view, tile.valid.shape) for view in of_tile]
    for tile in waiting:
        answer = answers.get(tile.number)
        taken = seconds if answer else 0.0
        is_last = tile is waiting[-1]
        yield AnsweredTile(tile.number, tile.valid, answer, taken, tile.sample, tile.lost, ends_batch=is_last)


@dataclass(frozen=True)
class _Part:
    """The upper left part of a view."""

    probability: NDArray[np.float32]
    presence: float | None
    score: float | None

    @classmethod
    def of(cls, view: View, size_hw: tuple[int, ...]) -> _Part:
        return cls(view.probability[: size_hw[0], : size_hw[1]], view.presence, view.score)


def _padded(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A view at the upper left of a black square."""
    height, width = rgb.shape[:2]
    return rgb if min(height, width) >= side else np.pad(rgb, ((0, side - height), (0, side - width), (0, 0)))
