"""Tiles and their blending: arithmetic on sizes, no files and no model.

A scene is covered by a full grid of equal tiles. Tiles overlap by at least what is asked for, the surplus spread
evenly, and each tile is weighted by a raised cosine that falls towards its border. Weights are normalised along each
axis, and since the grid is full, the two-dimensional weights (a product of both axes) then sum to one at every pixel:
blending is a weighted sum with nothing to divide by afterwards, and its result does not depend on the order of the
tiles.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rs2sam.errors import InvalidInputError

FloatArray = NDArray[np.float32]

MOST_TILES = 1_000_000
"""Of one image: 380,000 x 380,000 px at 512 px a tile, days for any model."""


@dataclass(frozen=True)
class Window:
    """A tile placed on a raster, in pixels; `row` and `col` are its upper left pixel."""

    row: int
    col: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index that cuts the window out of an (H, W, ...) array."""
        return slice(self.row, self.row + self.height), slice(self.col, self.col + self.width)


@dataclass(frozen=True)
class TileGrid:
    """Overlapping tiles that cover a raster.

    A side shorter than `tile` is covered by one shorter tile.

    Args:
        size_hw: height and width of the raster in pixels.
        tile: side of a tile in pixels.
        overlap: least overlap of neighbours in pixels, in [0, tile / 2].
    """

    size_hw: tuple[int, int]
    tile: int
    overlap: int

    def __post_init__(self) -> None:
        if min(self.size_hw) < 1:
            raise InvalidInputError(f"A raster to tile must have pixels, but its height and width are {self.size_hw}.")
        if self.tile < 1:
            raise InvalidInputError(f"`tile` must be at least 1 pixel, but it is {self.tile}.")
        if not 0 <= self.overlap <= self.tile // 2:
            raise InvalidInputError(
                f"`overlap` must lie between 0 and half the tile, so that the stride stays positive and a pixel is not "
                f"read many times over, but it is {self.overlap} for a tile of {self.tile}. Choose at most "
                f"{self.tile // 2}."
            )
        num_rows, num_cols = (_num_tiles(side, self.tile, self.overlap) for side in self.size_hw)
        if num_rows * num_cols > MOST_TILES:
            raise InvalidInputError(
                f"An image is cut into up to {MOST_TILES:,} tiles, but {self.size_hw[0]:,} x {self.size_hw[1]:,} px "
                f"make {num_rows * num_cols:,} of {self.tile} px. Cut it into scenes (`rs2sam batch`), or choose "
                "larger tiles or a coarser ground resolution (`--tile`, `--gsd`)."
            )

    def __len__(self) -> int:
        return len(self.offsets_hw[0]) * len(self.offsets_hw[1])

    @cached_property
    def offsets_hw(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """First rows and first columns of the tiles."""
        return _offsets(self.size_hw[0], self.tile, self.overlap), _offsets(self.size_hw[1], self.tile, self.overlap)

    def windows(self) -> Iterator[Window]:
        """The tiles, row by row."""
        height, width = (min(side, self.tile) for side in self.size_hw)
        for row in self.offsets_hw[0]:
            for col in self.offsets_hw[1]:
                yield Window(row, col, height, width)

    def window(self, number: int) -> Window:
        """The tile of a number, counted row by row from 0."""
        rows, cols = self.offsets_hw
        row, col = divmod(number, len(cols))
        height, width = (min(side, self.tile) for side in self.size_hw)
        return Window(rows[row], cols[col], height, width)

    def owned(self, number: int) -> Window:
        """The pixels that no later tile covers once this one is there; over all tiles every pixel once."""
        rows, cols = self.offsets_hw
        row, col = divmod(number, len(cols))
        bottom = rows[row + 1] if row + 1 < len(rows) else self.size_hw[0]
        right = cols[col + 1] if col + 1 < len(cols) else self.size_hw[1]
        return Window(rows[row], cols[col], bottom - rows[row], right - cols[col])

    def weights(self, window: Window, out: FloatArray | None = None) -> FloatArray:
        """Blend weights of one tile, (height, width) float32 in (0, 1]; over all tiles they sum to one everywhere."""
        by_row, by_col = self.axis_weights(window)
        weights: FloatArray = np.multiply.outer(by_row, by_col, out=out)
        return weights

    def axis_weights(self, window: Window) -> tuple[FloatArray, FloatArray]:
        """Weights of one tile's rows and columns; their product at a pixel is its blend weight."""
        (height, width), (rows, cols) = self.size_hw, self.offsets_hw
        by_row = _normalised_weights(min(height, self.tile), rows, window.row)
        return by_row, _normalised_weights(min(width, self.tile), cols, window.col)


class Blend:
    """The weighted sum of the tiles of one grid.

    Args:
        grid: the grid whose tiles are added; a tile that is never added counts as zero.
    """

    def __init__(self, grid: TileGrid) -> None:
        self._grid = grid
        self._sum = np.zeros(grid.size_hw, dtype=np.float32)

    def add(self, window: Window, probability: FloatArray) -> None:
        """Add one tile: (height, width) float32 in [0, 1]."""
        self._sum[window.slices] += self._grid.weights(window) * probability

    def result(self) -> FloatArray:
        """The blended probability, (H, W) float32 in [0, 1]."""
        return np.clip(self._sum, 0.0, 1.0)


def _num_tiles(length: int, tile: int, overlap: int) -> int:
    """The fewest tiles that cover `length`."""
    return 1 if length <= tile else 1 + -(-(length - tile) // (tile - overlap))


def _offsets(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    """First pixels of the fewest tiles that cover `length`, evenly spaced to within one pixel."""
    num_strides = _num_tiles(length, tile, overlap) - 1
    if not num_strides:
        return (0,)
    return tuple(index * (length - tile) // num_strides for index in range(num_strides + 1))


def _normalised_weights(side: int, offsets: tuple[int, ...], offset: int) -> FloatArray:
    """The raised cosine of the tile at an offset along one axis, divided by the sum of all tiles' at each pixel.

    Only neighbours are added up, so that no axis is ever in memory whole.
    """
    # Half a pixel inside the cosine's zeros, so that no weight vanishes where only one tile covers a pixel.
    cosine = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    total = np.zeros(side)
    for other in offsets[bisect_right(offsets, offset - side) : bisect_left(offsets, offset + side)]:
        shift = other - offset
        total[max(0, shift) : side + min(0, shift)] += cosine[max(0, -shift) : side - max(0, shift)]
    weights: FloatArray = (cosine / total).astype(np.float32)
    return weights
