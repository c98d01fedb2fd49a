"""A scene of any size, tile by tile: read, ask the model, hand on to the assembler.

    tiles = read_tiles(source, grid, thumbnail)                 # in a thread of its own
    answered = answer_tiles(segmenter, tiles, sentences, 4)     # the caller's thread
    write_behind(answered, assembler.add, depth)                # in a thread of its own

Whoever computes the answers elsewhere feeds the assembler with `AnsweredTile`s in the grid's order.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress, repeat
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rs2sam.raster.scene import Scene, SceneInfo
from rs2sam.raster.thumbnail import ThumbnailGrid
from rs2sam.raster.tiling import TileGrid, Window
from rs2sam.vector.instances import Instances
from rs2sam.views.assembly import AnsweredTile
from rs2sam.views.options import View, ViewSegmenter

BoolArray = NDArray[np.bool_]

MOST_BATCHES_WAITING = 4
"""A batch is asked, full or not, when it and the tiles between that are not asked about are as many as this many."""

_NO_PIXELS: NDArray[np.uint8] = np.empty((0, 0, 3), dtype=np.uint8)


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
        lost: windows of the scene that could not be read.
        wanted: for each sentence, whether the tile is to be asked it; None: all of them.
        first_pass_seconds: that finding out what is wanted took in the model.
    """

    number: int
    rgb: NDArray[np.uint8]
    valid: BoolArray
    sample: NDArray[np.uint16] | None = None
    lost: tuple[Window, ...] = ()
    wanted: tuple[bool, ...] | None = None
    first_pass_seconds: float = 0.0

    @property
    def is_asked(self) -> bool:
        """Whether the model is asked anything about it."""
        return bool(self.valid.any()) and (self.wanted is None or any(self.wanted))


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
    side: int | None = None,
) -> Iterator[AnsweredTile]:
    """Ask the model about tiles, every wanted sentence of a tile at once.

    A batch holds as many whole tiles as fit, at least one, and fewer where many in a row are not asked about, so that
    what waits is bounded. Batches begin anew after a tile that ends one, so a run that goes on there asks exactly what
    an uninterrupted one does.

    Args:
        segmenter: the model.
        tiles: in the grid's order.
        sentences: what to ask about each.
        batch_size: views that the model reads at once.
        side: smaller tiles are shown on a black square of this side [px], so that every view has the same scale.
    """
    room = max(1, batch_size // len(sentences))
    waiting: list[Tile] = []
    asked: list[Tile] = []
    for tile in tiles:
        if tile.is_asked:
            asked.append(tile)
        waiting.append(tile if tile.is_asked else replace(tile, rgb=_NO_PIXELS))
        if len(asked) == room or (asked and len(waiting) == MOST_BATCHES_WAITING * room):
            yield from _answered(segmenter, waiting, asked, sentences, batch_size, side)
            waiting, asked = [], []
        elif not asked:
            yield _answer(tile, None, 0.0, ends_batch=True)
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
    pairs: list[tuple[NDArray[np.uint8], str]] = []
    for tile in asked:
        shown = tile.rgb if side is None else _padded(tile.rgb, side)
        pairs.extend((shown, sentence) for sentence in compress(sentences, tile.wanted or repeat(True)))
    # In one call, so that a tile of more sentences than fit a batch is prepared once.
    views = segmenter.segment_views(pairs, batch_size=batch_size) if pairs else []
    seconds = (time.perf_counter() - start) / max(1, len(asked))
    found = iter(views)
    for tile in waiting:
        answer: list[View | None] | None = None
        if tile.is_asked:
            wanted = tile.wanted or (True,) * len(sentences)
            answer = [_cut(next(found), tile, side) if is_wanted else None for is_wanted in wanted]
        yield _answer(tile, answer, seconds, ends_batch=tile is waiting[-1])


def _answer(tile: Tile, views: Sequence[View | None] | None, seconds: float, *, ends_batch: bool) -> AnsweredTile:
    """What is known of a tile now."""
    return AnsweredTile(
        number=tile.number,
        valid=tile.valid,
        views=views,
        seconds=0.0 if views is None else seconds,
        sample=tile.sample,
        lost=tile.lost,
        first_pass_seconds=tile.first_pass_seconds,
        ends_batch=ends_batch,
    )


def _cut(view: View, tile: Tile, side: int | None) -> View:
    """A view without what was added to its tile."""
    return view if side is None else _Part.of(view, tile.valid.shape)


@dataclass(frozen=True)
class _Part:
    """The upper left part of a view."""

    probability: NDArray[np.float32]
    presence: float | None
    score: float | None
    known: float | None
    instances: Instances | None

    @classmethod
    def of(cls, view: View, size_hw: tuple[int, ...]) -> _Part:
        part = slice(size_hw[0]), slice(size_hw[1])
        found: Instances | None = getattr(view, "instances", None)
        instances = found and found.changed(lambda labels: labels[part])
        return cls(view.probability[part], view.presence, view.score, view.known, instances)


def _padded(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A view at the upper left of a black square."""
    height, width = rgb.shape[:2]
    return rgb if min(height, width) >= side else np.pad(rgb, ((0, side - height), (0, side - width), (0, 0)))
