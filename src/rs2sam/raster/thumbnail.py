"""A small picture of a scene that is never whole in memory: means of evenly spread samples.

Every cell of the picture is the mean of four pixels at fixed places of the scene, so it does not depend on how the
scene was cut; up to `SIDE` pixels the picture is the scene itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rs2sam.raster.tiling import Window

SIDE = 1600
"""Longer side of the picture, at most [px]."""

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class ThumbnailGrid:
    """How a scene shrinks: each cell of the picture is 1 pixel, or an even number of pixels a side.

    Args:
        size_hw: of the scene in pixels.
        side: longer side of the picture, at most.
    """

    def __init__(self, size_hw: tuple[int, int], side: int = SIDE) -> None:
        least = -(-max(size_hw) // side)
        self.factor = 1 if least <= 1 else -(-least // 2) * 2
        self.step = max(1, self.factor // 2)
        self.size_hw = -(-size_hw[0] // self.factor), -(-size_hw[1] // self.factor)

    def cells(self, window: Window) -> Window:
        """The cells that a window of the scene touches."""
        row, col = window.row // self.factor, window.col // self.factor
        bottom = -(-(window.row + window.height) // self.factor)
        right = -(-(window.col + window.width) // self.factor)
        return Window(row, col, bottom - row, right - col)

    def sums(self, window: Window, rgb: NDArray[np.uint8], valid: BoolArray) -> NDArray[np.uint16]:
        """(4, y, x) uint16 sums of red, green, blue and number of the valid samples in each cell that a window touches.

        Args:
            window: of the scene.
            rgb: (h, w, 3) uint8, 0 where invalid.
            valid: (h, w) bool.
        """
        # Samples lie at multiples of `step`; two by two of them make a cell.
        first = -window.row % self.step, -window.col % self.step
        inner = slice(first[0], None, self.step), slice(first[1], None, self.step)
        sample = np.concatenate([rgb[inner], valid[inner].view(np.uint8)[..., None]], axis=2).transpose(2, 0, 1)
        if self.factor == 1:
            return sample.astype(np.uint16)
        cells = self.cells(window)
        padded = np.zeros((4, 2 * cells.height, 2 * cells.width), dtype=np.uint16)
        row = (window.row + first[0]) // self.step - 2 * cells.row
        col = (window.col + first[1]) // self.step - 2 * cells.col
        padded[:, row : row + sample.shape[1], col : col + sample.shape[2]] = sample
        pairs = padded[:, ::2] + padded[:, 1::2]
        found: NDArray[np.uint16] = pairs[:, :, ::2] + pairs[:, :, 1::2]
        return found

    def picture(self, sums: NDArray[np.uint32]) -> Thumbnail:
        """The picture of (4, Y, X) `sums` over the whole scene."""
        count = np.maximum(sums[3], 1)
        rgb = ((sums[:3] + count // 2) // count).astype(np.uint8)
        return Thumbnail(self, np.ascontiguousarray(rgb.transpose(1, 2, 0)), sums[3] > 0)

    def covered(self, window: Window, mask: BoolArray) -> NDArray[np.uint32]:
        """(y, x) number of True pixels in each cell that a window of the scene touches; mask is (h, w) bool."""
        # Whole rows are added in bytes, many at a time; then there is little left to add along them.
        small = np.uint8 if self.factor <= 255 else np.uint32
        rows = np.split(mask.view(np.uint8), self._starts(window.row, window.height)[1:])
        by_row = np.stack([np.add.reduce(part, axis=0, dtype=small) for part in rows])
        cols = self._starts(window.col, window.width)
        found: NDArray[np.uint32] = np.add.reduceat(by_row, cols, axis=1, dtype=np.uint32)
        return found

    def _starts(self, start: int, length: int) -> IntArray:
        """First pixels of the cells that a range touches, from its start."""
        edges = np.arange(start // self.factor + 1, -(-(start + length) // self.factor)) * self.factor - start
        return np.concatenate([[0], edges]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A small picture of a scene.

    Args:
        grid: how the scene shrinks.
        rgb: (Y, X, 3) uint8.
        valid: (Y, X) bool, cells with data.
    """

    grid: ThumbnailGrid
    rgb: NDArray[np.uint8]
    valid: BoolArray
