"""Files to scenes: bands, masks, stretch and georeferencing of anything that GDAL opens."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from rs2sam.errors import DataNotFoundError, InvalidImageError, InvalidInputError
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.scene import Scene
from rs2sam.raster.stretch import Limits, Stretch, to_uint8

_LOGGER = logging.getLogger(__name__)

PHOTO_DRIVERS = frozenset({"BMP", "GIF", "JPEG", "PNG", "WEBP"})

# Rows read at once while stretching, so that a float64 scene is never in memory as such.
_STRIP_ROWS = 512
# Longer side of the decimated read from which the limits of a stretch are found.
_SAMPLE_SIDE = 1024
_EXIF_ORIENTATION = 0x0112
# Memory of a whole run per pixel, measured on 4000 x 4000, and the size from which it is worth a word.
_BYTES_PER_PIXEL = 30
_LARGE_PIXELS = 64_000_000

Pixels = NDArray[np.generic]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class ReadOptions:
    """How a file becomes a scene.

    Args:
        bands: 1-based bands to show as red, green and blue, or one band to show as grey; None: by the file's colour
            interpretation, else the first three (or the only) band.
        stretch: values to 8 bit; None: none for 8-bit files, percentiles 2 to 98 for all others.
        nodata: pixels whose bands all have this value are invalid, instead of what the file says.
    """

    bands: tuple[int, ...] | None = None
    stretch: Stretch | None = None
    nodata: float | None = None

    def __post_init__(self) -> None:
        if self.bands is not None and len(self.bands) not in (1, 3):
            raise InvalidInputError(
                f"`bands` names three bands (red, green, blue) or one (grey), but it is {list(self.bands)}."
            )


def read_scene(path: str | Path, options: ReadOptions | None = None) -> Scene:
    """Read an image of any size, pixel type and georeferencing.

    EXIF orientation is applied to images without georeferencing; invalid pixels (nodata value, alpha 0, mask band,
    not-a-number) become 0 and take no part in the stretch.

    Args:
        path: a file, a URL (`https://`, `s3://`, ...) or a GDAL `/vsi` path.
        options: bands, stretch, nodata.

    Raises:
        DataNotFoundError: when there is no such file.
        InvalidImageError: when it is no image or is damaged.
        InvalidInputError: when an option does not fit the image.
    """
    options = options or ReadOptions()
    with _open(path) as dataset:
        bands = _choose_bands(dataset, options.bands)
        _warn_if_large(dataset)
        source = _Source(dataset, bands, options)
        limits = source.limits()
        rgb, valid = source.stretched(limits)
        georeference = _georeference(dataset)
        is_photo = dataset.driver in PHOTO_DRIVERS and not georeference.is_located
        if not georeference.is_located:
            rgb, valid = _upright(rgb, valid, path)
        return Scene(
            rgb=rgb,
            valid=valid,
            georeference=georeference,
            source=str(path),
            is_photo=is_photo,
            bands=bands,
            num_bands=dataset.count,
            dtype=str(dataset.dtypes[bands[0] - 1]),
            nodata=dataset.nodata if options.nodata is None else options.nodata,
            stretch=source.stretch,
            limits=limits,
        )


class _Source:
    """The chosen bands of an open dataset, read in pieces."""

    def __init__(self, dataset: DatasetReader, bands: tuple[int, ...], options: ReadOptions) -> None:
        self._dataset = dataset
        self._bands = bands
        self._nodata = options.nodata
        first = bands[0]
        self._colormap = _colormap(dataset) if options.bands is None else None
        self._is_cmyk = options.bands is None and ColorInterp.cyan in dataset.colorinterp
        dtype = np.dtype(dataset.dtypes[first - 1])
        if dtype.kind not in "uif":
            raise InvalidImageError(
                f"Pixels must be real numbers, but those of {dataset.name} are {dtype}. Convert them first."
            )
        num_bits = int(dataset.tags(first, ns="IMAGE_STRUCTURE").get("NBITS", 8))
        eight_bit = self._colormap is not None or self._is_cmyk
        default = Stretch("none") if eight_bit else Stretch.default_for(dtype, num_bits)
        self.stretch = options.stretch or default

    def limits(self) -> Limits:
        """Limits of the stretch from a decimated read; from a full one where that meets no valid pixel."""
        height, width = self._dataset.shape
        for shrink in (max(1.0, max(height, width) / _SAMPLE_SIDE), 1.0):
            shape = (max(1, round(height / shrink)), max(1, round(width / shrink)))
            pixels, valid = self._read(None, shape)
            if valid.any():
                return self.stretch.limits(pixels[:, valid])
        return ()

    def stretched(self, limits: Limits) -> tuple[NDArray[np.uint8], BoolArray]:
        """(H, W, 3) uint8 and (H, W) bool of the whole dataset."""
        height, width = self._dataset.shape
        rgb = np.zeros((height, width, 3), dtype=np.uint8)
        valid = np.zeros((height, width), dtype=np.bool_)
        if not limits:
            _LOGGER.warning("%s has no valid pixel: nothing can be found in it.", self._dataset.name)
            return rgb, valid
        for row in range(0, height, _STRIP_ROWS):
            rows = min(_STRIP_ROWS, height - row)
            pixels, strip_valid = self._read(Window(0, row, width, rows), (rows, width))
            eight_bit = to_uint8(pixels, limits)
            eight_bit[:, ~strip_valid] = 0
            rgb[row : row + rows] = eight_bit.transpose(1, 2, 0)
            valid[row : row + rows] = strip_valid
        return rgb, valid

    def _read(self, window: Window | None, shape: tuple[int, int]) -> tuple[Pixels, BoolArray]:
        """(3 or 1, h, w) pixels and (h, w) validity of a window at a resolution."""
        size = (len(self._bands), *shape)
        pixels = self._dataset.read(list(self._bands), window=window, out_shape=size)
        if self._nodata is None:
            masks = self._dataset.read_masks(list(self._bands), window=window, out_shape=size)
            valid = masks.any(axis=0)
        elif np.isnan(self._nodata):
            valid = np.ones(shape, dtype=np.bool_)
        else:
            valid = (pixels != self._nodata).any(axis=0)
        if pixels.dtype.kind == "f":
            valid &= np.isfinite(pixels).all(axis=0)
        if self._colormap is not None:
            coloured = self._colormap[pixels[0]]
            valid &= coloured[..., 3] > 0
            return coloured[..., :3].transpose(2, 0, 1), valid
        if self._is_cmyk:
            return _cmyk_to_rgb(pixels), valid
        return pixels, valid


@contextmanager
def _open(path: str | Path) -> Iterator[DatasetReader]:
    """Open a raster; what goes wrong in GDAL becomes an error of ours."""
    name = str(path)
    is_local = "://" not in name and not name.startswith("/vsi")
    if is_local and not Path(path).exists():
        raise DataNotFoundError(f"The image {name!r} is not there. Check the path; folders are not searched.")
    if is_local and Path(path).is_file() and Path(path).stat().st_size == 0:
        raise InvalidImageError(f"The image {name!r} is empty (0 bytes). Fetch it again.")
    # libjpeg only warns about a file that ends too early, and fills the rest with grey.
    with rasterio.Env(GDAL_ERROR_ON_LIBJPEG_WARNING=True), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            dataset = rasterio.open(path)
        except RasterioIOError as error:
            raise InvalidImageError(
                f"{name!r} cannot be opened as an image ({error}). It must be a raster such as GeoTIFF, PNG, JPEG or "
                "WebP, and whole."
            ) from error
        with dataset:
            if dataset.count == 0:
                parts = ", ".join(dataset.subdatasets[:5]) or "none"
                raise InvalidImageError(
                    f"{name!r} is a container without bands of its own. Name one of its parts instead: {parts}."
                )
            try:
                yield dataset
            except RasterioIOError as error:
                raise _damaged(name, error.__cause__ or error) from error


def _damaged(name: str, reason: BaseException) -> InvalidImageError:
    """The error for a file whose pixels cannot be read."""
    return InvalidImageError(
        f"{name!r} is damaged or cut short: its header can be read, its pixels cannot ({reason}). "
        "Fetch or write it again."
    )


def _warn_if_large(dataset: DatasetReader) -> None:
    """Say beforehand how much memory a large scene takes."""
    pixels = dataset.width * dataset.height
    if pixels > _LARGE_PIXELS:
        _LOGGER.warning(
            "%s has %d x %d pixels and is held in memory whole, with its results about %.1f GB. Cut it first if that "
            "is too much.",
            dataset.name,
            dataset.width,
            dataset.height,
            pixels * _BYTES_PER_PIXEL / 1e9,
        )


def _choose_bands(dataset: DatasetReader, asked: tuple[int, ...] | None) -> tuple[int, ...]:
    """1-based bands to read: as asked, else by colour interpretation, else the first three or the first."""
    if asked is not None:
        wrong = [band for band in asked if not 1 <= band <= dataset.count]
        if wrong:
            raise InvalidInputError(
                f"Bands are counted from 1, and {dataset.name} has {dataset.count}, but `bands` names "
                f"{', '.join(map(str, wrong))}."
            )
        return asked if len(asked) == 3 else asked * 3
    meaning = dataset.colorinterp
    if ColorInterp.cyan in meaning and dataset.count >= 4:
        return (1, 2, 3, 4)
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in meaning for colour in colours):
        return tuple(meaning.index(colour) + 1 for colour in colours)
    data = [index for index, kind in enumerate(meaning, start=1) if kind != ColorInterp.alpha] or [1]
    if len(data) < 3:
        return (data[0],) * 3
    if len(data) > 3:
        _LOGGER.warning(
            "%s has %d bands and does not say which are red, green and blue: taking 1, 2, 3. Name others with --bands.",
            dataset.name,
            dataset.count,
        )
    return tuple(data[:3])


def _georeference(dataset: DatasetReader) -> Georeference:
    """Transform and CRS, or the ground control points of a dataset that has these instead."""
    points, points_crs = dataset.gcps
    if points and dataset.transform.is_identity:
        return Georeference(dataset.transform, points_crs, tuple(points))
    return Georeference(dataset.transform, dataset.crs)


def _colormap(dataset: DatasetReader) -> NDArray[np.uint8] | None:
    """(entries, 4) uint8 RGBA of a palette image, or None."""
    if dataset.colorinterp[0] != ColorInterp.palette:
        return None
    table = np.zeros((np.iinfo(dataset.dtypes[0]).max + 1, 4), dtype=np.uint8)
    for index, colour in dataset.colormap(1).items():
        table[index] = colour
    return table


def _cmyk_to_rgb(inks: Pixels) -> Pixels:
    """(4, h, w) inks in [0, 255] to (3, h, w) light."""
    light = 255 - inks.astype(np.uint16)
    return (light[:3] * light[3:] // 255).astype(np.uint8)


def _upright(rgb: NDArray[np.uint8], valid: BoolArray, path: str | Path) -> tuple[NDArray[np.uint8], BoolArray]:
    """Turn a picture as its EXIF orientation says."""
    orientation = _exif_orientation(path)
    if orientation >= 5:
        rgb, valid = rgb.swapaxes(0, 1), valid.T
    # After the transposition of 5 to 8, each orientation is a flip of rows, of columns, or of both.
    flip_rows, flip_cols = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    index = slice(None, None, -1 if flip_rows else 1), slice(None, None, -1 if flip_cols else 1)
    return np.ascontiguousarray(rgb[index]), np.ascontiguousarray(valid[index])


def _exif_orientation(path: str | Path) -> int:
    """EXIF orientation 1 to 8; 1 where there is none."""
    if not Path(path).is_file():
        return 1
    try:
        with Image.open(path) as image:
            orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except (UnidentifiedImageError, Image.DecompressionBombError):
        # Pillow reads fewer formats and sizes than GDAL does; those others carry no EXIF.
        return 1
    except (OSError, SyntaxError, ValueError) as error:
        # GDAL takes a PNG that ends too early for a black one; Pillow reads on to the EXIF at its end, and sees it.
        raise _damaged(str(path), error) from error
    return orientation if orientation in range(1, 9) else 1
