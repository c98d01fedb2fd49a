"""Objects that tiles told apart, on disk beside the finished pixels, and read again strip by strip.

In an append-only file of blocks (`rs2sam.scenes.blocks`), each a part of a tile: its band is twice that of what was
asked, its row the number of the tile, its column the first row of the tile in it, its values the numbers of objects.
The band after it has the scores of a tile, in 65,535ths. A tile without objects has no blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rs2sam.raster.tiling import TileGrid, Window
from rs2sam.scenes.blocks import Block, BlockReader, BlockWriter
from rs2sam.vector.instances import Instances
from rs2sam.views.merging import SceneObjects, merge, paint

Labels = NDArray[np.uint16]

_SCORE_STEPS = 65535
_TILES_HELD = 4


class ObjectSink:
    """Writes the objects of tiles.

    Args:
        writer: of the file.
        strip: rows of a stored block, at most.
    """

    def __init__(self, writer: BlockWriter, strip: int) -> None:
        self._writer = writer
        self._strip = strip

    def put(self, band: int, tile: int, found: Instances) -> None:
        """Store what a tile told apart of something asked."""
        if not found.labels.any():
            return
        for first in range(0, len(found.labels), self._strip):
            self._writer.append(2 * band, tile, first, found.labels[first : first + self._strip].astype(np.uint16))
        steps = np.rint(np.clip(found.scores, 0, 1) * _SCORE_STEPS).astype(np.uint16)
        self._writer.append(2 * band + 1, tile, 0, steps[None])


class StoredObjects:
    """The objects of a finished scan.

    Args:
        path: the file.
        end: bytes of it that count.
        grid: of the tiles that it was written from.
    """

    def __init__(self, path: Path, end: int, grid: TileGrid) -> None:
        self._path = path
        self._grid = grid
        self._blocks: dict[int, dict[int, list[Block]]] = {}
        with BlockReader(path) as reader:
            for block in reader.index(0, end):
                self._blocks.setdefault(block.band, {}).setdefault(block.row, []).append(block)

    def has(self, band: int) -> bool:
        """Whether any tile told objects apart of something asked, counted from 0."""
        return 2 * band in self._blocks

    def merged(self, band: int) -> SceneObjects:
        """Which objects of tiles are one."""
        held: dict[int, Labels] = {}
        with BlockReader(self._path) as reader:

            def labels_of(tile: int) -> Labels | None:
                blocks = self._blocks[2 * band].get(tile)
                if blocks is None:
                    return None
                if tile not in held:
                    while len(held) >= _TILES_HELD:
                        del held[next(iter(held))]
                    held[tile] = np.concatenate([reader.values(block) for block in blocks])
                return held[tile]

            def scores_of(tile: int) -> NDArray[np.float32]:
                (block,) = self._blocks[2 * band + 1][tile]
                return np.asarray(reader.values(block)[0] / np.float32(_SCORE_STEPS), dtype=np.float32)

            return merge(self._grid, labels_of, scores_of)

    def strips(
        self, band: int, objects: SceneObjects, places: Iterator[tuple[int, int]]
    ) -> Iterator[NDArray[np.int32]]:
        """(h, W) numbers of the scene's objects in strips.

        Args:
            band: what was asked, counted from 0.
            objects: of `merged`.
            places: first row and height of each strip, from top to bottom.
        """
        held: dict[tuple[int, int], Labels] = {}
        with BlockReader(self._path) as reader:
            for top, height in places:
                parts = list(self._parts(band, objects, top, height, reader, held))
                yield paint(parts, height, self._grid.size_hw[1], top)

    def _parts(
        self,
        band: int,
        objects: SceneObjects,
        top: int,
        height: int,
        reader: BlockReader,
        held: dict[tuple[int, int], Labels],
    ) -> Iterator[tuple[Window, NDArray[np.int64], NDArray[np.float32]]]:
        """The parts of tiles that reach into a strip, as `paint` takes them."""
        wanted: set[tuple[int, int]] = set()
        for tile in self._tiles_in(top, height):
            numbers = objects.numbers[tile]
            window = self._grid.window(tile)
            by_row, by_col = self._grid.axis_weights(window)
            for block in self._blocks[2 * band].get(tile, ()):
                first = window.row + block.col
                if numbers is None or first >= top + height or first + block.height <= top:
                    continue
                key = tile, block.col
                wanted.add(key)
                if key not in held:
                    held[key] = reader.values(block)
                place = Window(first, window.col, block.height, window.width)
                weights = np.multiply.outer(by_row[block.col : block.col + block.height], by_col)
                yield place, numbers[held[key]], weights
        for key in [key for key in held if key not in wanted]:
            del held[key]

    def _tiles_in(self, top: int, height: int) -> Iterator[int]:
        """Numbers of the tiles that reach into rows of the scene."""
        rows, cols = self._grid.offsets_hw
        for row, offset in enumerate(rows):
            if offset < top + height and offset + self._grid.tile > top:
                yield from range(row * len(cols), (row + 1) * len(cols))
