"""Small pictures of what a job has found: so far, and in the end."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning

from rs2sam.drawing import COLOURS
from rs2sam.raster.thumbnail import ThumbnailGrid
from rs2sam.raster.tiling import TileGrid
from rs2sam.serve.asking.pngs import png_of
from rs2sam.views.assembly import AnsweredTile

SIDE = 512
"""Longer side, at most [px]."""

_COVERED = 0.25
"""A cell is drawn where this share of it was found."""

_OPACITY = 200


class PartialPicture:
    """What the tiles so far have found, over nothing.

    Args:
        grid: of the tiles.
        threshold: a pixel is found where its probability is above this.
    """

    def __init__(self, grid: TileGrid, threshold: float) -> None:
        self._grid = grid
        self._threshold = threshold
        self._cells = ThumbnailGrid(grid.size_hw, SIDE)
        self._drawn = np.zeros((*self._cells.size_hw, 4), np.uint8)
        self._lock = threading.Lock()
        self.version = 0

    def add(self, tile: AnsweredTile) -> None:
        """Draw what a tile found in the part that is its own."""
        owned = self._grid.owned(tile.number)
        part = slice(owned.height), slice(owned.width)
        cells = self._cells.cells(owned)
        where = slice(cells.row, cells.row + cells.height), slice(cells.col, cells.col + cells.width)
        least = _COVERED * self._cells.factor**2
        with self._lock:
            for number, view in enumerate(tile.views or ()):
                if view is None:
                    continue
                found = np.ascontiguousarray((view.probability[part] > self._threshold) & tile.valid[part])
                is_found = self._cells.covered(owned, found) > least
                self._drawn[where][is_found] = (*COLOURS[number % len(COLOURS)], _OPACITY)
            self.version += 1

    def png(self) -> bytes:
        """The picture."""
        with self._lock:
            return png_of(self._drawn)


def picture_of_result(mask: Path) -> bytes:
    """The picture of a mask GeoTIFF, one colour a sentence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(mask, driver="GTiff") as dataset:
            scale = min(1.0, SIDE / max(dataset.shape))
            shape = tuple(max(1, round(side * scale)) for side in dataset.shape)
            bands: NDArray[np.uint8] = dataset.read(out_shape=(dataset.count, *shape), resampling=Resampling.nearest)
    drawn = np.zeros((*shape, 4), np.uint8)
    for number, band in enumerate(bands):
        drawn[band == 1] = (*COLOURS[number % len(COLOURS)], _OPACITY)
    return png_of(drawn)
