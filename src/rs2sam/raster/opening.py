"""Files as GDAL opens them: what can go wrong, which bands are colours, where the pixels lie."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.io import DatasetReader

from rs2sam.errors import DataNotFoundError, InvalidImageError, InvalidInputError
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.scene import is_local

_LOGGER = logging.getLogger(__name__)

GDAL_OPTIONS = {"GDAL_ERROR_ON_LIBJPEG_WARNING": True}
"""libjpeg only warns about a file that ends too early, and fills the rest with grey."""

_EXIF_ORIENTATION = 0x0112

Pixels = NDArray[np.generic]


@contextmanager
def open_dataset(path: str | Path) -> Iterator[DatasetReader]:
    """Open a raster; what goes wrong in GDAL becomes an error of ours."""
    name = str(path)
    check_utf8("name of an image", name)
    if is_local(name) and not Path(path).exists():
        raise DataNotFoundError(f"The image {name!r} is not there. Check the path; folders are not searched.")
    if is_local(name) and Path(path).is_file() and Path(path).stat().st_size == 0:
        raise InvalidImageError(f"The image {name!r} is empty (0 bytes). Fetch it again.")
    with rasterio.Env(**GDAL_OPTIONS):
        try:
            # Only around the opening: filters of warnings belong to all threads.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
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
                raise damaged(name, error.__cause__ or error) from error


def check_utf8(what: str, text: str) -> None:
    """Refuse text that no result could hold: Python reads bytes of a name that are not UTF-8 as lone surrogates.

    Raises:
        InvalidInputError: when the text cannot be written as UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"The {what} must be UTF-8, but it is {text!a}. Give it another.") from error


def damaged(name: str, reason: BaseException) -> InvalidImageError:
    """The error for a file whose pixels cannot be read."""
    return InvalidImageError(
        f"{name!r} is damaged or cut short: its header can be read, its pixels cannot ({reason}). "
        "Fetch or write it again."
    )


def choose_bands(dataset: DatasetReader, asked: tuple[int, ...] | None) -> tuple[int, ...]:
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


def georeference_of(dataset: DatasetReader) -> Georeference:
    """Transform and CRS, or the ground control points of a dataset that has these instead."""
    points, points_crs = dataset.gcps
    if points and dataset.transform.is_identity:
        return Georeference(dataset.transform, points_crs, tuple(points))
    return Georeference(dataset.transform, dataset.crs)


def colormap_of(dataset: DatasetReader) -> NDArray[np.uint8] | None:
    """(entries, 4) uint8 RGBA of a palette image, or None."""
    if dataset.colorinterp[0] != ColorInterp.palette:
        return None
    table = np.zeros((np.iinfo(dataset.dtypes[0]).max + 1, 4), dtype=np.uint8)
    for index, colour in dataset.colormap(1).items():
        table[index] = colour
    return table


def cmyk_to_rgb(inks: Pixels) -> Pixels:
    """(4, h, w) inks in [0, 255] to (3, h, w) light."""
    light = 255 - inks.astype(np.uint16)
    return (light[:3] * light[3:] // 255).astype(np.uint8)


def exif_orientation(path: str | Path) -> int:
    """EXIF orientation 1 to 8; 1 where there is none."""
    if not Path(path).is_file():
        return 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except (UnidentifiedImageError, Image.DecompressionBombError):
        # Pillow reads fewer formats and sizes than GDAL does; those others carry no EXIF.
        return 1
    except (OSError, SyntaxError, ValueError) as error:
        # GDAL takes a PNG that ends too early for a black one; Pillow reads on to the EXIF at its end, and sees it.
        raise damaged(str(path), error) from error
    return orientation if orientation in range(1, 9) else 1
