"""An image as a picture and as map tiles, in the 8 bits that the model sees."""

from __future__ import annotations

import io
import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader
from rio_tiler.errors import NoOverviewWarning, TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.models import ImageData
from rio_tiler.types import RIOResampling

from rs2sam.raster.bands import choose_bands, cmyk_to_rgb, look_up, palette_of
from rs2sam.raster.faults import GDAL_FAULTS, damaged
from rs2sam.raster.opening import open_handle
from rs2sam.raster.source import Source, open_source
from rs2sam.raster.stretch import Limits, to_uint8
from rs2sam.raster.thumbnail import ThumbnailGrid
from rs2sam.raster.tiling import Window
from rs2sam.serve.asking.pngs import png_of
from rs2sam.serve.images.record import ImageRecord
from rs2sam.serve.problems import ProblemError

TILE = 256
"""Side of a map tile [px]."""

MOST_ZOOM = 24
_STRIP_ROWS = 512


def tile_png(record: ImageRecord, z: int, x: int, y: int) -> bytes:
    """A Web Mercator tile; transparent outside of the image and where it has no data.

    Raises:
        ProblemError: the image has no place on Earth, or there is no such tile.
    """
    _check_place(record)
    if not (0 <= z <= MOST_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
        raise ProblemError("not-found", f"There is no tile {z}/{x}/{y}.")
    with _opened(record) as (reader, colours):
        try:
            found = reader.tile(x, y, z, tilesize=TILE, indexes=colours.indexes)
        except TileOutsideBounds:
            return EMPTY
        return png_of(colours.shown(found))


def tilejson(record: ImageRecord, address: str) -> dict[str, Any]:
    """TileJSON 3.0 of an image.

    Args:
        record: of the image.
        address: template of its tiles.

    Raises:
        ProblemError: the image has no place on Earth.
    """
    bounds = _check_place(record)
    assert record.facts is not None
    west, south, east, north = bounds
    # Zoom 0 shows 360 degrees in one tile, and each further one half of it.
    degrees = max(east - west, 1e-9)
    least = max(0, math.floor(math.log2(360 / degrees)))
    pixels_a_tile = record.facts.width / TILE
    most = max(least, math.ceil(math.log2(360 / degrees * max(1.0, pixels_a_tile))))
    return {
        "tilejson": "3.0.0",
        "name": record.name,
        "tiles": [address],
        "minzoom": min(MOST_ZOOM, max(0, least - 1)),
        "maxzoom": min(MOST_ZOOM, most),
        "bounds": bounds,
        "center": [(west + east) / 2, (south + north) / 2, min(MOST_ZOOM, least)],
    }


def preview_png(record: ImageRecord, side: int) -> bytes:
    """The whole image, its longer side at most `side` pixels; transparent where it has no data."""
    if record.facts is not None and record.facts.corners is not None:
        with _opened(record) as (reader, colours):
            return picture_png(colours.shown(reader.preview(max_size=side, indexes=colours.indexes)))
    with open_source(record.path, record.reading, record.limits, quiet=True) as source:
        return picture_png(_by_strips(source, side))


def preview_of(rgb: NDArray[np.uint8], valid: NDArray[np.bool_], side: int) -> bytes:
    """As `preview_png`, of pixels in memory."""
    picture = Image.fromarray(rgb if valid.all() else np.dstack([rgb, valid.astype(np.uint8) * 255]))
    picture.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return picture_png(np.asarray(picture))


def picture_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of a photograph of (h, w, 3 or 4) uint8, without alpha where it says nothing.

    Repeats are looked for in runs alone: deflate finds no others in photographs, and takes twice as long to.
    """
    if pixels.shape[2] == 4 and (pixels[..., 3] == 255).all():
        pixels = np.ascontiguousarray(pixels[..., :3])
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, format="PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return written.getvalue()


def _by_strips(source: Source, side: int) -> NDArray[np.uint8]:
    """An image that is never whole in memory, (h, w, 4)."""
    height, width = source.info.size_hw
    cells = ThumbnailGrid((height, width), side)
    sums = np.zeros((4, *cells.size_hw), np.uint32)
    for row in range(0, height, _STRIP_ROWS):
        window = Window(row, 0, min(_STRIP_ROWS, height - row), width)
        touched = cells.cells(window)
        rgb, valid = source.read(window)
        sums[:, touched.row : touched.row + touched.height] += cells.sums(window, rgb, valid)
    count = np.maximum(sums[3], 1)
    rgb = ((sums[:3] + count // 2) // count).astype(np.uint8).transpose(1, 2, 0)
    return np.dstack([rgb, (sums[3] > 0).astype(np.uint8) * 255])


class _Colours:
    """How the values of a file become the 8 bits that the model sees.

    Args:
        dataset: the open file.
        bands: that were asked for.
        limits: of the stretch.
    """

    def __init__(self, dataset: DatasetReader, bands: tuple[int, ...] | None, limits: Limits) -> None:
        self._bands = choose_bands(dataset, bands, lambda _: None)
        self._palette = palette_of(dataset) if bands is None else None
        self._is_cmyk = bands is None and ColorInterp.cyan in dataset.colorinterp
        self._limits = limits
        self.indexes = tuple(dict.fromkeys(self._bands))
        self.resampling: RIOResampling = "nearest" if self._palette is not None else "bilinear"

    def shown(self, found: ImageData) -> NDArray[np.uint8]:
        """(h, w, 4) uint8 of what was read, alpha 0 where there is no data."""
        valid = found.mask != 0
        pixels = np.ma.getdata(found.array)[[self.indexes.index(band) for band in self._bands]]
        if self._palette is not None:
            pixels, has_colour = look_up(self._palette, pixels[0])
            valid &= has_colour
        elif self._is_cmyk:
            pixels = cmyk_to_rgb(pixels)
        if not self._limits:
            return np.zeros((*valid.shape, 4), np.uint8)
        rgb = to_uint8(pixels, self._limits)
        return np.dstack([np.where(valid[..., None], rgb, np.uint8(0)), valid.astype(np.uint8) * 255])


@contextmanager
def _opened(record: ImageRecord) -> Iterator[tuple[Reader, _Colours]]:
    """The reader of tiles of an image, and how its values are shown."""
    with open_handle(record.path, sealed=True) as handle:
        colours = _Colours(handle.dataset, record.reading.bands, record.limits or ())
        options: Any = {"resampling_method": colours.resampling}
        # Only around the opening: filters of warnings belong to all threads.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoOverviewWarning)
            reader = Reader(None, dataset=handle.dataset, options=options)
        try:
            yield reader, colours
        except GDAL_FAULTS as error:
            raise damaged(record.name, error) from error


def _check_place(record: ImageRecord) -> list[float]:
    """The bounds of an image on Earth.

    Raises:
        ProblemError: it has none.
    """
    bounds = None if record.facts is None else record.facts.bounds
    if bounds is None:
        raise ProblemError(
            "not-found", "The image has no place on Earth, so there are no map tiles of it. Use its preview."
        )
    return bounds


EMPTY = png_of(np.zeros((TILE, TILE, 4), np.uint8))
"""A tile without anything."""
