"""Images of data sets, read as every command reads them (`rs2sam.imaging`), but as stored: masks know no EXIF."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from rs2sam.errors import DataNotFoundError, InvalidImageError, words_of
from rs2sam.files import refuse_special_file
from rs2sam.imaging import is_plain
from rs2sam.raster.arrays import show_picture

_LOGGER = logging.getLogger(__name__)

# Kinds of lines that this process has logged: their text without numbers.
_SAID: set[str] = set()

Pixels: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""
ImageSource: TypeAlias = "Path | Pixels | Callable[[], Pixels]"
"""A file, the pixels themselves, or a function that makes them."""


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """An image of a data set.

    Args:
        rgb: (H, W, 3) uint8, black where there is no data.
        valid: (H, W) bool, where there is data; None: everywhere.
        warnings: what was doubtful about its file and how it was decided, a line each.
    """

    rgb: Pixels
    valid: NDArray[np.bool_] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rgb.shape[0], self.rgb.shape[1]


def load_image(image: ImageSource) -> LoadedImage:
    """Read an image source as it is stored: an EXIF orientation is not applied, since masks know nothing of it.

    What is doubtful about files is logged once a kind, not for every image and epoch.

    Args:
        image: file, (H, W, 3) uint8 array, or a function returning one. Files are read as `rs2sam segment` does it:
            bands, nodata, alpha, masks and stretch.

    Raises:
        DataNotFoundError: there is no such file.
        InvalidImageError: it cannot be read; the message names it.
    """
    if isinstance(image, np.ndarray):
        return LoadedImage(image)
    if callable(image):
        return LoadedImage(image())
    loaded = _plain(image) or _raster(image)
    for line in loaded.warnings:
        kind = re.sub(r"\d+", "", line)
        if kind not in _SAID:
            _SAID.add(kind)
            said = "%s: %s. (Said of the first image only; `rs2sam data check` lists all.)"
            _LOGGER.warning(said, image, line)
    return loaded


def load_pixels(image: ImageSource) -> Pixels:
    """The pixels that `load_image` reads: (H, W, 3) uint8, RGB."""
    return load_image(image).rgb


def image_size(image: ImageSource) -> tuple[int, int]:
    """Height and width of an image in pixels, from a file's header where it is one.

    Raises:
        DataNotFoundError: there is no such file.
        InvalidImageError: it cannot be read.
    """
    if isinstance(image, Path):
        with _reading(image), Image.open(image) as file:
            return file.height, file.width
    height, width = load_pixels(image).shape[:2]
    return height, width


def _plain(path: Path) -> LoadedImage | None:
    """What PIL reads of a plain picture; None for files that it does not know, or not to their depth."""
    refuse_special_file("image", path, InvalidImageError)
    with _reading(path), Image.open(path) as file:
        if is_plain(file, path):
            shown = show_picture(file, upright=False)
            return LoadedImage(shown.rgb, None if shown.valid.all() else shown.valid, shown.warnings)
    return None


def _raster(path: Path) -> LoadedImage:
    """What GDAL reads of a file."""
    from rs2sam.raster.read import read_scene  # rasterio costs 0.2 s, and ordinary pictures never need it

    scene = read_scene(path, upright=False, quiet=True)
    return LoadedImage(scene.rgb, None if scene.valid.all() else scene.valid, scene.warnings)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what PIL raises about a file into errors that name it; pass over formats that only GDAL may know."""
    try:
        yield
    except UnidentifiedImageError:
        return
    except FileNotFoundError as error:
        raise DataNotFoundError(f"no image `{path}`; bring it back, or take it out of the data set") from error
    # PIL reports broken PNG files as SyntaxError, impossible sizes as ValueError.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidImageError(
            f"`{path}` cannot be read as an image: {words_of(error)}. Replace it, or take it out of the data set."
        ) from error
