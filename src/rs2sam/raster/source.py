"""An open scene that is read in windows: bands, validity and stretch of any piece, whatever the scene's size.

What belongs to the scene as a whole (bands, limits of the stretch, georeferencing) is found once, from the header and
from one decimated read; every window is then read alike.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Interleaving, MaskFlags, Resampling
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window as FileWindow

from rs2sam.errors import InvalidImageError, InvalidInputError
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.opening import (
    Pixels,
    choose_bands,
    cmyk_to_rgb,
    colormap_of,
    damaged,
    exif_orientation,
    georeference_of,
    open_dataset,
)
from rs2sam.raster.scene import SceneInfo, shrink_to
from rs2sam.raster.stretch import Limits, Stretch, to_uint8
from rs2sam.raster.tiling import Window

_LOGGER = logging.getLogger(__name__)

PHOTO_DRIVERS = frozenset({"BMP", "GIF", "JPEG", "PNG", "WEBP"})

# Longer side of the decimated read from which the limits of a stretch are found.
_SAMPLE_SIDE = 1024
# Pixels that are enough for limits where the decimated read meets none that is valid.
_SAMPLE_PIXELS = 1_000_000
_STRIP_ROWS = 512
# Part of a ground resolution that makes no difference.
_ABOUT = 0.01

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class ReadOptions:
    """How a file becomes a scene.

    Args:
        bands: 1-based bands to show as red, green and blue, or one band to show as grey; None: by the file's colour
            interpretation, else the first three (or the only) band.
        stretch: values to 8 bit; None: none for 8-bit files, percentiles 2 to 98 for all others.
        nodata: pixels whose bands all have this value are invalid, instead of what the file says.
        gsd_m: ground resolution to read at [m/px] where the file's own is finer: overviews where it has them, means of
            its pixels elsewhere. Palettes, and files with a `nodata` given here, are read at the nearest pixel.
    """

    bands: tuple[int, ...] | None = None
    stretch: Stretch | None = None
    nodata: float | None = None
    gsd_m: float | None = None

    def __post_init__(self) -> None:
        if self.bands is not None and len(self.bands) not in (1, 3):
            raise InvalidInputError(
                f"`bands` names three bands (red, green, blue) or one (grey), but it is {list(self.bands)}."
            )


@contextmanager
def open_source(path: str | Path, options: ReadOptions | None = None, limits: Limits | None = None) -> Iterator[Source]:
    """Open an image of any size, pixel type and georeferencing for reading in windows.

    EXIF orientation is applied to images without georeferencing.

    Args:
        path: a file, a URL (`https://`, `s3://`, ...) or a GDAL `/vsi` path.
        options: bands, stretch, nodata.
        limits: those of the stretch where they are known already, so that a second opening need not find them again.

    Raises:
        DataNotFoundError: when there is no such file.
        InvalidImageError: when it is no image or none of its pixels can be read.
        InvalidInputError: when an option does not fit the image.
    """
    with open_dataset(path) as dataset:
        yield Source(dataset, path, options or ReadOptions(), limits)


class Source:
    """An open scene; use it in one thread at a time, and through `open_source`.

    Args:
        dataset: the open file.
        path: as the caller named it.
        options: bands, stretch, nodata.
        limits: of the stretch, where they are known already.
    """

    def __init__(
        self, dataset: DatasetReader, path: str | Path, options: ReadOptions, limits: Limits | None = None
    ) -> None:
        self._dataset = dataset
        self._path = str(path)
        self._nodata = options.nodata
        self._bands = choose_bands(dataset, options.bands)
        first = self._bands[0]
        self._colormap = colormap_of(dataset) if options.bands is None else None
        self._is_cmyk = options.bands is None and ColorInterp.cyan in dataset.colorinterp
        dtype = np.dtype(dataset.dtypes[first - 1])
        if dtype.kind not in "uif":
            raise InvalidImageError(
                f"Pixels must be real numbers, but those of {dataset.name} are {dtype}. Convert them first."
            )
        self._is_all_valid = dtype.kind != "f" and all(
            dataset.mask_flag_enums[band - 1] == [MaskFlags.all_valid] for band in self._bands
        )
        georeference = georeference_of(dataset)
        self._orientation = 1 if georeference.is_located else exif_orientation(path)
        height, width = _size_at(options.gsd_m, georeference, dataset.shape)
        # Pixels of the file along one of the scene, down and across.
        self._shrink_hw = dataset.height / height, dataset.width / width
        mixes = self._colormap is None and self._nodata is None
        self._resampling = Resampling.average if mixes else Resampling.nearest
        stretch = options.stretch or self._default_stretch(dtype)
        self.info = SceneInfo(
            size_hw=(width, height) if self._orientation >= 5 else (height, width),
            georeference=georeference.resampled(dataset.shape, (height, width)),
            source=self._path,
            is_photo=dataset.driver in PHOTO_DRIVERS and not georeference.is_located,
            bands=self._bands,
            num_bands=dataset.count,
            dtype=str(dtype),
            nodata=dataset.nodata if options.nodata is None else options.nodata,
            stretch=stretch,
            limits=self._find_limits(stretch, dtype) if limits is None else limits,
        )

    def read(self, window: Window) -> tuple[NDArray[np.uint8], BoolArray]:
        """Read a window.

        Args:
            window: inside the scene, as it is seen upright.

        Returns:
            (h, w, 3) uint8, 0 where the file has no data, and (h, w) bool, False there.

        Raises:
            InvalidImageError: when a pixel of it cannot be read.
        """
        if not self.info.limits:
            return np.zeros((window.height, window.width, 3), np.uint8), np.zeros((window.height, window.width), bool)
        try:
            pixels, valid = self._read(self._file_window(window), self._file_shape(window))
        except RasterioIOError as error:
            raise damaged(self._path, error.__cause__ or error) from error
        return self._shown(pixels, valid)

    def read_what_can_be(self, window: Window) -> tuple[NDArray[np.uint8], BoolArray, tuple[Window, ...]]:
        """Read a window, and say which parts of it are lost.

        Returns:
            As `read`, pixels of unreadable blocks as if the file had no data there, and these blocks' windows.

        Raises:
            InvalidImageError: when a pixel of a photo cannot be read: its rows build on each other.
        """
        try:
            rgb, valid = self.read(window)
        except InvalidImageError:
            if self.info.is_photo:
                raise
        else:
            return rgb, valid, ()
        rgb = np.zeros((window.height, window.width, 3), np.uint8)
        valid = np.zeros((window.height, window.width), np.bool_)
        lost = []
        for piece, block in self._blocks_in(window):
            rows = slice(piece.row - window.row, piece.row - window.row + piece.height)
            cols = slice(piece.col - window.col, piece.col - window.col + piece.width)
            try:
                rgb[rows, cols], valid[rows, cols] = self.read(piece)
            except InvalidImageError as error:
                _LOGGER.debug("a block at row %d, column %d is lost: %s", piece.row, piece.col, error)
                lost.append(block)
        return rgb, valid, tuple(lost)

    def close(self) -> None:
        """Let go of the file and of what GDAL keeps of it in memory; `info` stays."""
        self._dataset.close()

    def cache_bytes(self, rows: int) -> int:
        """Memory that holds the blocks of `rows` rows over the whole width, so that none is decoded twice [bytes]."""
        shrink = max(1.0, min(self._shrink_hw))
        levels = self._dataset.overviews(self._bands[0]) if shrink > 1 else []
        # Pixels of the overview that is read along one of the scene.
        rest = shrink / max([1, *(level for level in levels if level <= shrink)])
        block_h, block_w = self._dataset.block_shapes[self._bands[0] - 1]
        # One more block than rows that begin inside of one touch: GDAL counts what it notes about blocks too, and a
        # cache that is a few bytes short drops every block just before it is needed again.
        height = (-(-int(rows * rest) // block_h) + 2) * block_h
        width = -(-int(self.info.size_hw[1 if self._orientation < 5 else 0] * rest) // block_w) * block_w
        interleaved = self._dataset.interleaving == Interleaving.pixel
        num_bands = self._dataset.count if interleaved else len(set(self._bands))
        item = np.dtype(self._dataset.dtypes[self._bands[0] - 1]).itemsize
        return int(height * width * (num_bands * item + (0 if self._is_all_valid else 1)))

    def _default_stretch(self, dtype: np.dtype[np.generic]) -> Stretch:
        """None for what is 8 bit already, see `Stretch.default_for`."""
        if self._colormap is not None or self._is_cmyk:
            return Stretch("none")
        num_bits = int(self._dataset.tags(self._bands[0], ns="IMAGE_STRUCTURE").get("NBITS", 8))
        return Stretch.default_for(dtype, num_bits)

    def _find_limits(self, stretch: Stretch, dtype: np.dtype[np.generic]) -> Limits:
        """Limits of the stretch from a decimated read; from pieces of the scene where that meets no valid pixel."""
        eight_bit = dtype == np.uint8 or self._colormap is not None or self._is_cmyk
        if stretch.kind == "fixed" or (stretch.kind == "none" and eight_bit):
            return ((stretch.low, stretch.high),) * 3
        height, width = self._dataset.shape
        shrink = max(1.0, max(height, width) / _SAMPLE_SIDE)
        try:
            pixels, valid = self._read(None, (max(1, round(height / shrink)), max(1, round(width / shrink))))
            sample = pixels[:, valid]
        except RasterioIOError:
            sample = np.zeros((3, 0))
        if sample.shape[1] == 0:
            sample = self._sample_of_strips()
        return stretch.limits(sample) if sample.shape[1] else ()

    def _sample_of_strips(self) -> Pixels:
        """(3, n) valid pixels, the first of the scene's strips that have any and can be read."""
        height, width = self._dataset.shape
        found: list[Pixels] = []
        for row in range(0, height, _STRIP_ROWS):
            rows = min(_STRIP_ROWS, height - row)
            try:
                pixels, valid = self._read(FileWindow(0, row, width, rows), (rows, width))
            except RasterioIOError:
                continue
            if valid.any():
                found.append(pixels[:, valid][:, :_SAMPLE_PIXELS])
                if sum(part.shape[1] for part in found) >= _SAMPLE_PIXELS:
                    break
        return np.concatenate(found, axis=1) if found else np.zeros((3, 0))

    def _read(self, window: FileWindow | None, shape: tuple[int, int]) -> tuple[Pixels, BoolArray]:
        """(3, h, w) pixels and (h, w) validity of a window of the file at a resolution."""
        size = (len(self._bands), *shape)
        # A decimated read of the whole file is a sample for the stretch.
        resampling = Resampling.nearest if window is None else self._resampling
        pixels = self._dataset.read(list(self._bands), window=window, out_shape=size, resampling=resampling)
        if self._nodata is not None and not np.isnan(self._nodata):
            valid = (pixels != self._nodata).any(axis=0)
        elif self._is_all_valid or self._nodata is not None:
            valid = np.ones(shape, dtype=np.bool_)
        else:
            masks = self._dataset.read_masks(list(self._bands), window=window, out_shape=size, resampling=resampling)
            valid = masks.any(axis=0)
        if pixels.dtype.kind == "f":
            valid &= np.isfinite(pixels).all(axis=0)
        if self._colormap is not None:
            coloured = self._colormap[pixels[0]]
            valid &= coloured[..., 3] > 0
            return coloured[..., :3].transpose(2, 0, 1), valid
        if self._is_cmyk:
            return cmyk_to_rgb(pixels), valid
        return pixels, valid

    def _shown(self, pixels: Pixels, valid: BoolArray) -> tuple[NDArray[np.uint8], BoolArray]:
        """Stretched, black where invalid, upright, colours last."""
        rgb = to_uint8(pixels, self.info.limits)
        if not valid.all():
            rgb[~valid] = 0
        if self._orientation == 1:
            return rgb, valid
        if self._orientation >= 5:
            rgb, valid = rgb.swapaxes(0, 1), valid.T
        flip_rows, flip_cols = self._flips()
        index = slice(None, None, -1 if flip_rows else 1), slice(None, None, -1 if flip_cols else 1)
        return np.ascontiguousarray(rgb[index]), np.ascontiguousarray(valid[index])

    def _flips(self) -> tuple[bool, bool]:
        """Whether rows and columns are turned round; 5 to 8 are transposed before."""
        return self._orientation in (3, 4, 7, 8), self._orientation in (2, 3, 6, 7)

    def _file_shape(self, window: Window) -> tuple[int, int]:
        """Height and width of a window in the file."""
        return (window.width, window.height) if self._orientation >= 5 else (window.height, window.width)

    def _file_window(self, window: Window) -> FileWindow:
        """Where a window of the upright scene lies in the file."""
        height, width = self.info.size_hw
        flip_rows, flip_cols = self._flips()
        row = height - window.row - window.height if flip_rows else window.row
        col = width - window.col - window.width if flip_cols else window.col
        if self._orientation >= 5:
            return FileWindow(row, col, window.height, window.width)
        down, across = self._shrink_hw
        return FileWindow(col * across, row * down, window.width * across, window.height * down)

    def _blocks_in(self, window: Window) -> Iterator[tuple[Window, Window]]:
        """The parts of a window that lie in one block of the file each, and that block; a turned picture is one."""
        if self._orientation != 1:
            yield window, window
            return
        height, width = self.info.size_hw
        in_file = self._dataset.block_shapes[self._bands[0] - 1]
        block_h, block_w = (math.ceil(side / shrink) for side, shrink in zip(in_file, self._shrink_hw, strict=True))
        for row in range(window.row // block_h * block_h, window.row + window.height, block_h):
            for col in range(window.col // block_w * block_w, window.col + window.width, block_w):
                top, left = max(row, window.row), max(col, window.col)
                bottom = min(row + block_h, window.row + window.height)
                right = min(col + block_w, window.col + window.width)
                block = Window(row, col, min(block_h, height - row), min(block_w, width - col))
                yield Window(top, left, bottom - top, right - left), block


def _size_at(gsd_m: float | None, georeference: Georeference, size_hw: tuple[int, int]) -> tuple[int, int]:
    """Height and width at a ground resolution; those of the file where that is not coarser.

    Raises:
        InvalidInputError: when the whole image is smaller than one pixel at it.
    """
    pixel_m = None if gsd_m is None else georeference.pixel_size_m(size_hw)
    if gsd_m is None or pixel_m is None:
        return size_hw
    shrink = shrink_to(gsd_m, pixel_m, size_hw)
    # Map projections stretch metres a little: what is meant as a whole number of pixels is one.
    if abs(shrink - round(shrink)) < _ABOUT * shrink:
        shrink = round(shrink)
    if shrink <= 1:
        return size_hw
    return max(1, round(size_hw[0] / shrink)), max(1, round(size_hw[1] / shrink))
