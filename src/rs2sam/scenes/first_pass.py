"""A cheap first pass: one coarse view over several tiles tells which of them hold nothing of what a sentence names.

    items = screening.read_tiles(source, thumbnail)     # in the thread that reads
    tiles = screening.mark(segmenter, items)            # in the thread of the model

The same model looks at `FirstPass.tiles` x `FirstPass.tiles` tiles at once, shrunk to its input. A tile's score for a
sentence is the highest probability in its part of that view; below the threshold the tile is not asked the sentence.
(Presence and pseudo-mask tell less, see docs/scenes.md.) Each view is asked by itself, so a decision depends on the
scene, the sentence and the model alone: not on batches, on other sentences, or on where an interrupted run goes on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rs2sam.raster.thumbnail import ThumbnailGrid
from rs2sam.raster.tiling import TileGrid, Window
from rs2sam.views.options import View, ViewSegmenter
from rs2sam.views.streaming import Tile, WindowReader, read_tile

RGB = NDArray[np.uint8]

Wanted = tuple[bool, ...]
"""For each sentence, whether a tile is asked it."""


@dataclass(frozen=True)
class OverviewGrid:
    """Where the coarse views of a grid of tiles lie; views are numbered row by row.

    Each covers `per_side` x `per_side` tiles whole, fewer at the right and lower border, where it is moved back into
    the scene, so that all views show the scene at one scale.

    Args:
        grid: of the tiles.
        per_side: tiles a side of a view.
    """

    grid: TileGrid
    per_side: int

    def number_of(self, tile: int) -> int:
        """The view that covers a tile."""
        row, col = divmod(tile, len(self.grid.offsets_hw[1]))
        return row // self.per_side * self.num_cols + col // self.per_side

    def tiles_of(self, number: int) -> list[int]:
        """The tiles that a view covers, in order."""
        rows, cols = self.grid.offsets_hw
        row, col = divmod(number, self.num_cols)
        step = self.per_side
        return [
            r * len(cols) + c
            for r in range(row * step, min(row * step + step, len(rows)))
            for c in range(col * step, min(col * step + step, len(cols)))
        ]

    def window(self, number: int) -> Window:
        """The pixels of a view; a scene that is narrower or lower than a view is covered by a smaller one."""
        row, col = divmod(number, self.num_cols)
        height, width = (min(self.side, length) for length in self.grid.size_hw)
        rows, cols = self.grid.offsets_hw
        top = min(rows[row * self.per_side], self.grid.size_hw[0] - height)
        left = min(cols[col * self.per_side], self.grid.size_hw[1] - width)
        return Window(top, left, height, width)

    @cached_property
    def side(self) -> int:
        """Side of a view in pixels: the least that holds the tiles of each."""
        spans = [
            offsets[min(first + self.per_side, len(offsets)) - 1] - offsets[first]
            for offsets in self.grid.offsets_hw
            for first in range(0, len(offsets), self.per_side)
        ]
        return max(spans) + self.grid.tile

    @property
    def num_cols(self) -> int:
        """Views in a row."""
        return -(-len(self.grid.offsets_hw[1]) // self.per_side)


@dataclass(frozen=True, eq=False)
class ReadItem:
    """A tile as it was read, with the coarse view that decides about it.

    Args:
        tile: its pixels.
        overview: (side, side, 3) uint8; None where an earlier tile brought the view, or it shows no valid pixel.
    """

    tile: Tile
    overview: RGB | None = None


@dataclass(frozen=True)
class Screening:
    """The first pass over one scene.

    Args:
        views: the coarse views.
        side: of a view as the model sees it [px].
        sentences: what tiles are asked.
        threshold: least score of a tile that is asked.
    """

    views: OverviewGrid
    side: int
    sentences: tuple[str, ...]
    threshold: float

    def read_tiles(
        self, source: WindowReader, thumbnail: ThumbnailGrid | None = None, start: int = 0
    ) -> Iterator[ReadItem]:
        """Read tiles in order, from a number on; the first tile of each coarse view brings it along.

        Args:
            source: the scene.
            thumbnail: grid of the samples that tiles bring along.
            start: number of the first tile.
        """
        brought: set[int] = set()
        for number in range(start, len(self.views.grid)):
            tile = read_tile(source, self.views.grid, number, thumbnail)
            view = self.views.number_of(number)
            is_first = view not in brought
            if is_first:
                # Views of rows above this one come no more.
                brought = {one for one in brought if one > view - self.views.num_cols} | {view}
            yield ReadItem(tile, self.read(source, view) if is_first else None)

    def mark(self, segmenter: ViewSegmenter, items: Iterable[ReadItem]) -> Iterator[Tile]:
        """Ask the model about each coarse view when it comes, and mark tiles with what is left to ask."""
        wanted: dict[int, Wanted] = {}
        for item in items:
            number, seconds = item.tile.number, 0.0
            if item.overview is not None:
                start = time.perf_counter()
                wanted |= self.decide(segmenter, item.overview, self.views.number_of(number))
                seconds = time.perf_counter() - start
            # Without a coarse view nothing in it is valid, so the tile is not asked about anyway.
            yield replace(item.tile, wanted=wanted.pop(number, None), first_pass_seconds=seconds)

    def read(self, source: WindowReader, number: int) -> RGB | None:
        """Read a coarse view.

        Args:
            source: the scene.
            number: of the view.

        Returns:
            (side, side, 3) uint8, black where the scene ends or has no data; None where no pixel of it is valid.
        """
        window = self.views.window(number)
        rgb, valid, _ = source.read_what_can_be(window)  # what is lost is reported by the tiles
        if not valid.any():
            return None
        scale = self.side / self.views.side
        size_wh = max(1, round(window.width * scale)), max(1, round(window.height * scale))
        shown = np.zeros((self.side, self.side, 3), dtype=np.uint8)
        shown[: size_wh[1], : size_wh[0]] = np.asarray(Image.fromarray(rgb).resize(size_wh, Image.Resampling.BILINEAR))
        return shown

    def decide(self, segmenter: ViewSegmenter, overview: RGB, number: int) -> dict[int, Wanted]:
        """Which sentences each tile of a coarse view is to be asked.

        Args:
            segmenter: the model.
            overview: (side, side, 3) uint8, see `read`.
            number: of the view.
        """
        shown = segmenter.segment_views([(overview, sentence) for sentence in self.sentences], batch_size=1)
        return {
            tile: tuple(score(view, self.views, number, tile) >= self.threshold for view in shown)
            for tile in self.views.tiles_of(number)
        }


def score(view: View, views: OverviewGrid, number: int, tile: int) -> float:
    """How much a coarse view speaks for a tile: the highest probability in it, in [0, 1].

    Args:
        view: what the model says about the coarse view.
        views: of the scene.
        number: of the coarse view.
        tile: one that it covers.
    """
    window, part = views.window(number), views.grid.window(tile)
    scale = len(view.probability) / views.side
    rows = _scaled(part.row - window.row, part.height, scale)
    cols = _scaled(part.col - window.col, part.width, scale)
    return float(view.probability[rows, cols].max())


def _scaled(first: int, length: int, scale: float) -> slice:
    """The cells of a coarse view that a tile touches along one axis."""
    return slice(math.floor(first * scale), math.ceil((first + length) * scale))
