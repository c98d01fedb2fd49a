"""Files as GDAL opens them: what can go wrong, and how they are opened again after a fault."""

from __future__ import annotations

import logging
import os
import shlex
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader

from rs2sam.errors import DataNotFoundError, InvalidImageError, InvalidInputError
from rs2sam.files import refuse_special_file
from rs2sam.raster.faults import GDAL_FAULTS, damaged, fault, header_of
from rs2sam.raster.scene import is_local

_LOGGER = logging.getLogger(__name__)

GDAL_OPTIONS = {"GDAL_ERROR_ON_LIBJPEG_WARNING": True}
"""libjpeg only warns about a file that ends too early, and fills the rest with grey."""

OPENING_CACHE = 64_000_000
"""GDAL's cache of blocks before a run has planned its own [bytes]; by default it would be 5 % of the machine."""

MOST_BLOCK_BYTES = 2_000_000_000
"""A file whose blocks are larger is not read: GDAL holds one of them whole."""

_EXIF_ORIENTATION = 0x0112

Pixels = NDArray[np.generic]


class Handle:
    """An open file that is opened anew after every fault; use it through `open_handle`, in one thread at a time.

    GDAL tells of a missing source of a VRT once a handle, and gives zeros from then on.

    Args:
        name: the path, URL or `/vsi` path.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.dataset = _opened(name)

    def read(self, bands: Sequence[int], **how: Any) -> Pixels:
        """(bands, h, w) pixels, as `DatasetReader.read` gives them.

        Raises:
            InvalidImageError: when one of them cannot be read.
        """
        try:
            pixels: Pixels = self.dataset.read(list(bands), **how)
        except GDAL_FAULTS as error:
            raise self._after(error) from error
        return pixels

    def read_masks(self, bands: Sequence[int], **how: Any) -> NDArray[np.uint8]:
        """(bands, h, w) masks, as `DatasetReader.read_masks` gives them.

        Raises:
            InvalidImageError: when one of them cannot be read.
        """
        try:
            masks: NDArray[np.uint8] = self.dataset.read_masks(list(bands), **how)
        except GDAL_FAULTS as error:
            raise self._after(error) from error
        return masks

    def close(self) -> None:
        """Let go of the file and of what GDAL keeps of it in memory."""
        self.dataset.close()

    def _after(self, error: BaseException) -> InvalidImageError:
        """Open the file again; returns what is to be raised."""
        self.dataset.close()
        self.dataset = _opened(self.name)
        return damaged(self.name, error)


@contextmanager
def open_handle(path: str | Path) -> Iterator[Handle]:
    """Open a raster; what goes wrong in GDAL becomes an error of ours.

    Raises:
        DataNotFoundError: there is no such file.
        InvalidImageError: it is no image, none that is read, or damaged.
    """
    name = str(path)
    check_utf8("name of an image", name)
    if is_local(name):
        _check_file(name)
    with rasterio.Env(**GDAL_OPTIONS, GDAL_CACHEMAX=OPENING_CACHE):
        handle = Handle(name)
        try:
            with header_of(name):
                _check_header(handle.dataset, name)
            yield handle
        finally:
            handle.close()


def _check_file(name: str) -> None:
    """Refuse what no file of this machine's can be."""
    try:
        is_there, is_empty = os.path.exists(name), os.path.isfile(name) and os.path.getsize(name) == 0
    except OSError:
        is_there, is_empty = False, False
    if not is_there:
        raise DataNotFoundError(f"The image {name!r} is not there. Check the path; folders are not searched.")
    refuse_special_file("image", name, InvalidImageError)
    if is_empty:
        raise InvalidImageError(f"The image {name!r} is empty (0 bytes). Fetch it again.")


def _opened(name: str) -> DatasetReader:
    """Open a file; any exception becomes ours, since broken headers cause exceptions of nearly any kind."""
    try:
        # Only around the opening: filters of warnings belong to all threads.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(name)
    except Exception as error:
        if os.path.isdir(name):
            raise InvalidImageError(
                f"An image is a file, but {name!r} is a folder. For all images in it: rs2sam batch {shlex.quote(name)} "
                "SENTENCE -o DIR, or `rs2sam.segment_folder`."
            ) from error
        raise fault(
            name,
            error,
            "cannot be opened as an image ({reason}). It must be a raster such as GeoTIFF, PNG, JPEG or WebP, and "
            "whole.",
        ) from error


def _check_header(dataset: DatasetReader, name: str) -> None:
    """Refuse files without bands, and those of which GDAL would need more memory for one block than a run has."""
    if dataset.count == 0:
        parts = ", ".join(dataset.subdatasets[:5]) or "none"
        raise InvalidImageError(
            f"{name!r} is a container without bands of its own. Name one of its parts instead: {parts}."
        )
    height, width = max(dataset.block_shapes, key=lambda shape: shape[0] * shape[1])
    num_bytes = (
        height * width * 8 if _is_odd(dataset.dtypes[0]) else height * width * np.dtype(dataset.dtypes[0]).itemsize
    )
    if num_bytes > MOST_BLOCK_BYTES:
        raise InvalidImageError(
            f"A block of an image must fit in memory, up to {MOST_BLOCK_BYTES:,} bytes, but one of {name!r} is of "
            f"{width:,} x {height:,} pixels, {num_bytes:,} bytes a band. Write it again in tiles "
            "(`gdal_translate -co TILED=YES`)."
        )


def _is_odd(dtype: str) -> bool:
    """Whether numpy has no such type; GDAL's complex integers."""
    return dtype.startswith("complex_")


def check_utf8(what: str, text: str) -> None:
    """Refuse text that no result could hold: Python reads bytes of a name that are not UTF-8 as lone surrogates.

    Raises:
        InvalidInputError: when the text cannot be written as UTF-8, or has a NUL, which ends names for GDAL.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"The {what} must be UTF-8, but it is {text!a}. Give it another.") from error
    if "\0" in text:
        raise InvalidInputError(f"The {what} must not hold a NUL, but it is {text!a}. Give it another.")


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
