"""Files as GDAL opens them: what can go wrong, and how they are opened again after a fault."""

from __future__ import annotations

import html
import logging
import os
import re
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
from rasterio.windows import Window as FileWindow

from rs2sam.errors import DataNotFoundError, InvalidImageError
from rs2sam.files import check_utf8, refuse_special_file
from rs2sam.raster.faults import GDAL_FAULTS, check_whole, damaged, fault, header_of
from rs2sam.raster.scene import is_local

_LOGGER = logging.getLogger(__name__)

GDAL_OPTIONS = {"GDAL_ERROR_ON_LIBJPEG_WARNING": True}
"""libjpeg only warns about a file that ends too early, and fills the rest with grey."""

OPENING_CACHE = 64_000_000
"""GDAL's cache of blocks before a run has planned its own [bytes]; by default it would be 5 % of the machine."""

SEALED_DRIVERS = ("GTiff", "PNG", "JPEG", "WEBP")
"""What a sealed file may be: formats whose pixels are all in the file. Others (VRT, WMS, ...) name files and URLs."""

_SEALED_OPTIONS = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}
"""No neighbour of a file (.aux.xml, .ovr, .msk, world files) is looked for."""

_MOST_AGAIN = 4
"""Pixels of a file for each that was read of it, above which it is not read again to be sure."""

MOST_BLOCK_BYTES = 2_000_000_000
"""A file whose blocks are larger is not read: GDAL holds one of them whole."""

_EXIF_ORIENTATION = 0x0112
Pixels = NDArray[np.generic]


class Handle:
    """An open file that is opened anew after every fault; use it through `open_handle`, in one thread at a time.

    GDAL tells of a missing source of a VRT once a handle, and gives zeros from then on; while another VRT is open, it
    may not tell at all. A band of a VRT that has a 0 is therefore read twice, unless it was much reduced.

    Args:
        name: the path, URL or `/vsi` path.
        sealed: see `open_handle`.
    """

    def __init__(self, name: str, *, sealed: bool = False) -> None:
        self.name = name
        self._sealed = sealed
        self.dataset = _opened(name, sealed=sealed)

    def read(self, bands: Sequence[int], **how: Any) -> Pixels:
        """(bands, h, w) pixels, as `DatasetReader.read` gives them.

        Raises:
            InvalidImageError: when one of them cannot be read.
        """
        try:
            pixels: Pixels = self.dataset.read(list(bands), **how)
            if self.dataset.driver == "VRT" and _may_be_read_again(how.get("window"), pixels.shape[1:]):
                for band, values in zip(bands, pixels, strict=True):
                    if _has_gaps(values, self.dataset.nodata):
                        # The only way of reading that never hushes a fault.
                        self.dataset.checksum(band, window=how["window"])
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
        self.dataset = _opened(self.name, sealed=self._sealed)
        return damaged(self.name, error)


def _may_be_read_again(window: FileWindow | None, shape: tuple[int, ...]) -> bool:
    """Whether a window costs about the same at its own resolution as it was read at."""
    return window is not None and bool(window.height * window.width <= _MOST_AGAIN * shape[0] * shape[1])


def _has_gaps(values: Pixels, nodata: float | None) -> bool:
    """Whether a pixel of a band has the value that GDAL gives where no source has been read."""
    fill = 0 if nodata is None else nodata
    return bool((np.isnan(values) if np.isnan(fill) else values == fill).any())


@contextmanager
def open_handle(path: str | Path, *, sealed: bool = False) -> Iterator[Handle]:
    """Open a raster; what goes wrong in GDAL becomes an error of ours.

    Args:
        path: a file, a URL or a `/vsi` path.
        sealed: the file comes from somebody who is not trusted: it must be a local file of `SEALED_DRIVERS`, and
            nothing but the file itself is read.

    Raises:
        DataNotFoundError: there is no such file.
        InvalidImageError: it is no image, none that is read, or damaged.
    """
    name = str(path)
    check_utf8("name of an image", name)
    if is_local(name) or sealed:
        _check_file(name)
    with rasterio.Env(**GDAL_OPTIONS, GDAL_CACHEMAX=OPENING_CACHE):
        handle = Handle(name, sealed=sealed)
        try:
            with header_of(name):
                _check_header(handle.dataset, name)
            check_whole(handle.dataset, name)
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


def _opened(name: str, *, sealed: bool) -> DatasetReader:
    """Open a file; any exception becomes ours, since broken headers cause exceptions of nearly any kind."""
    try:
        # Only around the opening: filters of warnings belong to all threads.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            if not sealed:
                return rasterio.open(name)
            with rasterio.Env(**_SEALED_OPTIONS):
                # `rasterio.open` takes one driver, what it calls takes several.
                return DatasetReader(name, driver=list(SEALED_DRIVERS))
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
    if dataset.driver == "VRT":
        _check_sources(dataset, name)
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


def _check_sources(dataset: DatasetReader, name: str) -> None:
    """Refuse a VRT whose sources GDAL cannot be trusted with, or one of whose sources is such a VRT.

    It ends the process over a filter by a kernel of no size, and gives memory that nobody has set for a `SrcRect` of
    which a size is -1. VRTs among the sources are looked into as far as they are local files.
    """
    waiting = [(said, name) for said in dataset.tags(ns="xml:VRT").values()]
    looked_into = {os.path.abspath(name)}
    while waiting:
        said, named = waiting.pop()
        _check_vrt(said, named)
        for source in _source_files(said, os.path.dirname(named)):
            path = os.path.abspath(source)
            if path not in looked_into and os.path.isfile(path):
                looked_into.add(path)
                waiting += [(inner, source) for inner in _vrt_text(path)]


def _vrt_text(path: str) -> Iterator[str]:
    """What stands in a file, if it is a VRT."""
    with open(path, "rb") as file:
        beginning = file.read(1024)
        if b"<VRTDataset" in beginning:
            yield (beginning + file.read()).decode("utf-8", "replace")


def _check_vrt(said: str, name: str) -> None:
    """Refuse what stands in one VRT."""
    sources = re.findall(r"<KernelFilteredSource>.*?</KernelFilteredSource>", said, re.DOTALL)
    if any("<Coefs>" not in source for source in sources):
        raise InvalidImageError(
            f"A filtered source of a VRT needs a kernel, but one of {name!r} has none. Add <Kernel> with <Size> "
            "and <Coefs>, or make it a SimpleSource."
        )
    for rectangle in re.findall(r"<SrcRect\b[^>]*>", said):
        if re.search(r"[xy]Size\s*=\s*[\"']\s*-", rectangle):
            raise InvalidImageError(
                f"The part of a source that a VRT shows has a size above 0, but one of {name!r} is {rectangle}. "
                "Correct it, or leave <SrcRect> out to show the whole source."
            )


def _source_files(said: str, folder: str) -> Iterator[str]:
    """What a VRT in a folder names as its sources."""
    for attributes, named in re.findall(r"<SourceFilename\b([^>]*)>(.*?)</SourceFilename>", said, re.DOTALL):
        is_relative = re.search(r"relativeToVRT\s*=\s*[\"']\s*1", attributes)
        named = html.unescape(named.strip())
        yield os.path.join(folder, named) if is_relative else named


def _is_odd(dtype: str) -> bool:
    """Whether numpy has no such type; GDAL's complex integers."""
    return dtype.startswith("complex_")


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
