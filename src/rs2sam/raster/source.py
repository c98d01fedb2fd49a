"""An open scene that is read in windows: bands, validity and stretch of any piece, whatever the scene's size.

What belongs to the scene as a whole (bands, limits of the stretch, georeferencing) is found once, from the header and
from one decimated read; every window is then read alike. What is doubtful is decided here for every command, and said.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Interleaving, Resampling
from rasterio.windows import Window as FileWindow

from rs2sam.errors import InvalidImageError, InvalidInputError
from rs2sam.raster.arrays import alpha_lines
from rs2sam.raster.bands import choose_bands, cmyk_to_rgb, is_cmyk, look_up, palette_of, pixel_type
from rs2sam.raster.faults import header_of
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.opening import Handle, Pixels, exif_orientation, open_handle
from rs2sam.raster.place import place_of
from rs2sam.raster.sampling import decimated, sample_of_pieces
from rs2sam.raster.scene import SceneInfo, shrink_to
from rs2sam.raster.stretch import Limits, Stretch, to_uint8
from rs2sam.raster.tiling import Window
from rs2sam.raster.validity import Alpha, BoolArray, Validity, is_lossy

_LOGGER = logging.getLogger(__name__)

# Grids in text, whose rows are found by reading all above them.
_FROM_TOP = frozenset({"AAIGrid", "GRASSASCIIGrid", "ISG"})
_ROWS_AT_ONCE = 64

PHOTO_DRIVERS = frozenset({"BMP", "GIF", "JPEG", "PNG", "WEBP"})

# Part of a ground resolution that makes no difference.
_ABOUT = 0.01
_NO_ALPHA = "Where that band is none (near-infrared is often tagged so), have it left out with --alpha ignore"


@dataclass(frozen=True)
class ReadOptions:
    """How a file becomes a scene.

    Args:
        bands: 1-based bands to show as red, green and blue, or one band to show as grey; None: by the file's colour
            interpretation, else the first three (or the only) band.
        stretch: values to 8 bit; None: none for 8-bit files, percentiles 2 to 98 for all others.
        nodata: pixels whose bands all have this value are invalid, instead of what the file says.
        nodata_tolerance: values so near to nodata count as it, as lossy compression needs it.
        alpha: `use` or `ignore` an alpha band; what is called so may be near-infrared.
        gsd_m: ground resolution to read at [m/px] where the file's own is finer: overviews where it has them, means of
            its pixels elsewhere. Palettes, and files with a `nodata` or tolerance given here, are read at the nearest
            pixel.
        sealed: read the file alone, as TIFF, PNG, JPEG or WebP and nothing else: for files of strangers, see
            `rs2sam.raster.opening.open_handle`.
    """

    bands: tuple[int, ...] | None = None
    stretch: Stretch | None = None
    nodata: float | None = None
    nodata_tolerance: float = 0.0
    alpha: Alpha = "use"
    gsd_m: float | None = None
    sealed: bool = False

    def __post_init__(self) -> None:
        if self.bands is not None and len(self.bands) not in (1, 3):
            raise InvalidInputError(
                f"`bands` names three bands (red, green, blue) or one (grey), but it is {list(self.bands)}."
            )
        if not 0 <= self.nodata_tolerance < math.inf:
            raise InvalidInputError(
                f"`nodata_tolerance` is a finite number of at least 0, but it is {self.nodata_tolerance:g}. "
                "For JPEG try 8."
            )
        if self.alpha not in ("use", "ignore"):
            raise InvalidInputError(f"`alpha` is `use` or `ignore`, but it is {self.alpha!r}.")


@contextmanager
def open_source(
    path: str | Path,
    options: ReadOptions | None = None,
    limits: Limits | None = None,
    *,
    upright: bool = True,
    quiet: bool = False,
    before_sampling: Callable[[Source], object] | None = None,
) -> Iterator[Source]:
    """Open an image of any size, pixel type and georeferencing for reading in windows.

    EXIF orientation is applied to images without georeferencing.

    Args:
        path: a file, a URL (`https://`, `s3://`, ...), a GDAL `/vsi` path, or the name of a part of a container
            (`netcdf:file.nc:band`).
        options: bands, stretch, nodata.
        limits: those of the stretch where they are known already, so that a second opening need not find them again.
        upright: False leaves EXIF orientation alone, for images whose masks know nothing of it.
        quiet: log nothing; `info.warnings` has it all the same.
        before_sampling: called when the header is known and no pixel has been read, to refuse what is too large;
            `info` has no limits then.

    Raises:
        DataNotFoundError: when there is no such file.
        InvalidImageError: when it is no image or none of its pixels can be read.
        InvalidInputError: when an option does not fit the image.
    """
    options = options or ReadOptions()
    with open_handle(path, sealed=options.sealed) as handle:
        with header_of(handle.name):
            source = Source(handle, options, upright=upright)
        if before_sampling is not None:
            before_sampling(source)
        source.settle(limits)
        if limits is None and not quiet:
            for line in source.info.warnings:
                _LOGGER.warning("%s: %s.", handle.name, line)
        yield source


class Source:
    """An open scene; use it in one thread at a time, and through `open_source`.

    Args:
        handle: the open file.
        options: bands, stretch, nodata.
        upright: whether EXIF orientation is applied.
    """

    def __init__(self, handle: Handle, options: ReadOptions, *, upright: bool = True) -> None:
        self._handle = handle
        self._path = handle.name
        # A block over the whole width is a part of many tiles, and each attempt opens the file anew.
        self._lost: set[Window] = set()
        dataset = handle.dataset
        said: list[str] = []
        self._bands = choose_bands(dataset, options.bands, said.append)
        self._dtype = pixel_type(dataset, self._bands)
        self._palette = palette_of(dataset, said.append) if options.bands is None else None
        self._is_cmyk = options.bands is None and is_cmyk(dataset)
        self._validity = Validity.of(dataset, self._bands, options.nodata, options.nodata_tolerance, options.alpha)
        nodata = dataset.nodata if options.nodata is None else options.nodata
        if nodata is not None and not options.nodata_tolerance and is_lossy(dataset):
            said.append(
                f"its compression is lossy, so pixels without data are not exactly {nodata:g} and may be taken for "
                "ground. Name how far they are off, e.g. --nodata-tolerance 8"
            )
        georeference, about_place = place_of(dataset)
        is_placed = georeference.is_located or georeference.rpcs is not None
        self._orientation = 1 if is_placed or not upright else exif_orientation(self._path)
        height, width = _size_at(options.gsd_m, georeference, dataset.shape)
        # Pixels of the file along one of the scene, down and across.
        self._shrink_hw = dataset.height / height, dataset.width / width
        mixes = self._palette is None and self._validity.values is None
        self._resampling = Resampling.average if mixes else Resampling.nearest
        self.info = SceneInfo(
            size_hw=(width, height) if self._orientation >= 5 else (height, width),
            georeference=georeference.resampled(dataset.shape, (height, width)),
            source=self._path,
            is_photo=dataset.driver in PHOTO_DRIVERS and not is_placed,
            bands=self._bands,
            num_bands=dataset.count,
            dtype=str(self._dtype),
            nodata=nodata,
            stretch=options.stretch or self._default_stretch(),
            limits=(),
            warnings=(*said, *about_place),
        )

    def settle(self, limits: Limits | None = None) -> None:
        """Find what takes pixels: the limits of the stretch, unless they are known, and how much alpha takes away."""
        if limits is not None:
            self.info = replace(self.info, limits=limits)
            return
        said: tuple[str, ...] = ()
        if self._handle.dataset.driver in _FROM_TOP:
            self._read_from_top()
        stretch = self.info.stretch
        eight_bit = self._dtype == np.uint8 or self._palette is not None or self._is_cmyk
        is_known = stretch.kind == "fixed" or (stretch.kind == "none" and eight_bit)
        if self._validity.is_alpha or not is_known:
            sample = decimated(self._read, self._handle.dataset.shape)
            if sample is not None and self._validity.is_alpha:
                said = alpha_lines(1 - float(sample[1].mean()), _NO_ALPHA)
        if is_known:
            limits = ((stretch.low, stretch.high),) * 3
        else:
            pixels = np.zeros((3, 0)) if sample is None else sample[0][:, sample[1]]
            if pixels.shape[1] == 0:
                pixels = sample_of_pieces(self._read, self._handle.dataset.shape)
            limits = stretch.limits(pixels) if pixels.shape[1] else ()
        self.info = replace(self.info, limits=limits, warnings=(*self.info.warnings, *said))

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
        return self._shown(*self._read(self._file_window(window), self._file_shape(window)))

    def read_what_can_be(self, window: Window) -> tuple[NDArray[np.uint8], BoolArray, tuple[Window, ...]]:
        """Read a window, and say which parts of it are lost.

        Returns:
            As `read`, pixels of unreadable blocks as if the file had no data there, and these blocks' windows.

        Raises:
            InvalidImageError: when a pixel of a photo cannot be read: its rows build on each other.
        """
        parts = list(self._blocks_in(window)) if self._lost else []
        if self._lost.isdisjoint(block for _, block in parts):
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
        for piece, block in parts or self._blocks_in(window):
            if block in self._lost:
                lost.append(block)
                continue
            rows = slice(piece.row - window.row, piece.row - window.row + piece.height)
            cols = slice(piece.col - window.col, piece.col - window.col + piece.width)
            try:
                rgb[rows, cols], valid[rows, cols] = self.read(piece)
            except InvalidImageError as error:
                _LOGGER.debug("a block at row %d, column %d is lost: %s", piece.row, piece.col, error)
                lost.append(block)
                self._lost.add(block)
        return rgb, valid, tuple(lost)

    def close(self) -> None:
        """Let go of the file and of what GDAL keeps of it in memory; `info` stays."""
        self._handle.close()

    def cache_bytes(self, rows: int) -> int:
        """Memory that holds the blocks of `rows` rows over the whole width, so that none is decoded twice [bytes]."""
        dataset = self._handle.dataset
        shrink = max(1.0, min(self._shrink_hw))
        levels = dataset.overviews(self._bands[0]) if shrink > 1 else []
        # Pixels of the overview that is read along one of the scene.
        rest = shrink / max([1, *(level for level in levels if level <= shrink)])
        block_h, block_w = dataset.block_shapes[self._bands[0] - 1]
        # One more block than rows that begin inside of one touch: GDAL counts what it notes about blocks too, and a
        # cache that is a few bytes short drops every block just before it is needed again.
        height = (-(-int(rows * rest) // block_h) + 2) * block_h
        width = -(-int(self.info.size_hw[1 if self._orientation < 5 else 0] * rest) // block_w) * block_w
        interleaved = dataset.interleaving == Interleaving.pixel
        num_bands = dataset.count if interleaved else len(set(self._bands))
        has_masks = self._validity.has_masks or self._dtype.kind == "f"
        return int(height * width * (num_bands * self._dtype.itemsize + has_masks))

    def _read_from_top(self) -> None:
        """Read the first band whole, once.

        Raises:
            InvalidImageError: a row of it is missing: GDAL would look for every row below it for ever.
        """
        height, width = self._handle.dataset.shape
        for row in range(0, height, _ROWS_AT_ONCE):
            self._handle.read([1], window=FileWindow(0, row, width, min(_ROWS_AT_ONCE, height - row)))

    def _default_stretch(self) -> Stretch:
        """None for what is 8 bit already, see `Stretch.default_for`."""
        if self._palette is not None or self._is_cmyk:
            return Stretch("none")
        said = self._handle.dataset.tags(self._bands[0], ns="IMAGE_STRUCTURE").get("NBITS", "8")
        return Stretch.default_for(self._dtype, int(said) if said.isdecimal() else 8)

    def _read(self, window: FileWindow | None, shape: tuple[int, int]) -> tuple[Pixels, BoolArray]:
        """(3, h, w) pixels and (h, w) validity of a window of the file at a resolution."""
        # A decimated read of the whole file is a sample for the stretch.
        resampling = Resampling.nearest if window is None else self._resampling
        how = {"window": window, "out_shape": (len(self._bands), *shape), "resampling": resampling}
        is_mixed = len({self._handle.dataset.dtypes[band - 1] for band in self._bands}) > 1
        pixels = self._handle.read(self._bands, **how, **({"out_dtype": self._dtype} if is_mixed else {}))
        valid = self._validity(pixels, lambda: self._handle.read_masks(self._bands, **how))
        if self._palette is not None:
            pixels, has_colour = look_up(self._palette, pixels[0])
            return pixels, valid & has_colour
        return cmyk_to_rgb(pixels) if self._is_cmyk else pixels, valid

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
        in_file = self._handle.dataset.block_shapes[self._bands[0] - 1]
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
