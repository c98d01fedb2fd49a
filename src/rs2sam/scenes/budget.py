"""What the engine needs in memory beside the model: by tile, batch, sentences and width; the height is not in it.

tiles    P pixels of a tile, each read as 4 bytes; 2 batches wait before the model and one is with it, and between its
         tiles those that are not asked about, 1 byte a pixel
answers  5 bytes a pixel and sentence; as many batches wait behind the model
sums     8 bytes a pixel and sentence
views    coarse views of the first pass, where there is one
strips   up to 256 rows of the whole width, 1.3 megapixels, and 256 rows of masks
picture  the preview, the same for every scene
cache    GDAL's blocks of one row of tiles over the whole width, so that none is decoded twice; may be less
"""

from __future__ import annotations

from dataclasses import dataclass

from rs2sam.errors import InvalidInputError
from rs2sam.raster.tiling import TileGrid
from rs2sam.scenes.first_pass import Screening
from rs2sam.scenes.store import strip_rows
from rs2sam.views.streaming import MOST_BATCHES_WAITING

_READ_BYTES = 4
_ANSWER_BYTES = 5
_SUM_BYTES = 8
_DECODING_BYTES = 24
_STRIP_BYTES = 48
_MASK_ROWS = 256
_MASK_BYTES = 8
_PICTURE = 160_000_000
_LEAST_CACHE = 16_000_000


@dataclass(frozen=True)
class Budget:
    """Memory of the engine by purpose [bytes].

    Args:
        tiles: read and waiting, and answers waiting.
        sums: of the tile that is being blended.
        strips: of the passes over finished pixels.
        picture: the preview.
        cache: GDAL's.
    """

    tiles: int
    sums: int
    strips: int
    picture: int
    cache: int

    @property
    def total(self) -> int:
        """Memory in all; passes over tiles and over strips do not fall together, but are added up."""
        return self.tiles + self.sums + self.strips + self.picture + self.cache


def budget(
    grid: TileGrid, num_sentences: int, batch_size: int, row_cache: int, memory: int, screening: Screening | None = None
) -> Budget:
    """Plan the memory of a run.

    Args:
        grid: of the tiles.
        num_sentences: asked of each tile.
        batch_size: views that the model reads at once.
        row_cache: of the source's blocks in one row of tiles [bytes], see `Source.cache_bytes`.
        memory: what may be used beside the model [bytes].
        screening: the first pass, if there is one.

    Raises:
        InvalidInputError: when it is not enough.
    """
    height, width = grid.size_hw
    pixels = min(height, grid.tile) * min(width, grid.tile)
    batch = max(1, batch_size // num_sentences)
    tiles = pixels * (3 * batch + 1) * (_READ_BYTES + _ANSWER_BYTES * num_sentences) + pixels * _DECODING_BYTES
    if screening is not None:
        tiles += (3 * batch + 1) * 3 * screening.side**2 + screening.views.side**2 * _DECODING_BYTES
    tiles += pixels * (MOST_BATCHES_WAITING - 1) * batch
    sums = pixels * _SUM_BYTES * (num_sentences + 1)
    strips = width * (strip_rows(width) * _STRIP_BYTES + min(height, _MASK_ROWS) * _MASK_BYTES)
    needed = tiles + sums + strips + _PICTURE
    if needed + _LEAST_CACHE > memory:
        raise InvalidInputError(
            f"Beside the model this scene needs {(needed + _LEAST_CACHE) / 1e6:,.0f} MB (tiles of {grid.tile} px, "
            f"{num_sentences} sentences at once, batches of {batch_size}, {width:,} px wide), but `memory` allows "
            f"{memory / 1e6:,.0f} MB. Allow more, or choose smaller tiles, smaller batches or fewer sentences."
        )
    return Budget(tiles, sums, strips, _PICTURE, int(min(max(row_cache, _LEAST_CACHE), memory - needed)))


def parse_memory(text: str) -> int:
    """Read `800MB`, `2GB` or a number of bytes."""
    units = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2**10, "mib": 2**20, "gib": 2**30, "b": 1}
    number = text.strip().lower()
    unit = next((name for name in units if number.endswith(name)), "")
    try:
        size = float(number.removesuffix(unit)) * units.get(unit, 1)
    except ValueError:
        size = -1.0
    if not 0 < size < 1e18:
        raise InvalidInputError(f"Memory is written as `800MB` or `2GB`, but it is {text!r}.")
    return int(size)
