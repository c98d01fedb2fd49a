"""Masks as files and as COCO segmentations, kept on disk or run-length coded until somebody asks for them.

A mask file marks the foreground by any level but 0: 1-bit, 8-bit, 16-bit, float, RGB and palettes alike. In a
palette, index 0 and black have to be the same pixels; where they are not, the file is refused, as nobody can know
which is meant. In a JPEG, whose zeros are not kept by its compression, the foreground is brighter than half.

A COCO segmentation is a list of polygons `[[x, y, x, y, ...], ...]` in pixels, or run lengths (`run_lengths.py`), or
a list of run lengths.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from rs2sam.datasets.base import ImageSource, Mask, MaskSource, image_size
from rs2sam.datasets.readers.run_lengths import decode_runs
from rs2sam.errors import DataNotFoundError, InvalidImageError, InvalidInputError, RS2SAMError, require

_JPEG_THRESHOLD = 127
_WITH_ALPHA = {"LA", "PA", "RGBA", "RGBa", "La"}
# A polygon of an image lies in it, give or take; coordinates of another unit would be drawn for minutes or not at all.
_MAX_OUTSIDE = 2.0


@dataclass(frozen=True)
class MaskFile:
    """A mask on disk, read when it is called.

    Args:
        path: the file.
        above: None: any level but 0 is foreground; else grey levels above this one, as RefSegRS needs it.
    """

    path: Path
    above: int | None = None

    def __call__(self) -> Mask:
        """Read it: (H, W) bool."""
        return read_mask(self.path) if self.above is None else read_grey_mask(self.path, self.above)


@dataclass(frozen=True, eq=False)
class SegmentationMask:
    """COCO segmentations of one target, drawn when it is called.

    Args:
        segmentations: of each annotation; the target is their union.
        where: what an error says they are, e.g. "annotation 7 of `instances.json`".
        size_hw: height and width of the image in pixels; None: of `image`, as the file says.
        image: the image's file, for polygons without `size_hw`.
        exactly_once: drop pixels that more than one segment covers, as published masks of RRSIS-D do.
    """

    segmentations: tuple[Any, ...] = field(repr=False)
    where: str
    size_hw: tuple[int, int] | None = None
    image: Path | None = None
    exactly_once: bool = False

    def __call__(self) -> Mask:
        """Draw it: (H, W) bool."""
        try:
            masks = [decode(one, self._size_hw(one), self.exactly_once) for one in self.segmentations]
            if len({mask.shape for mask in masks}) != 1:
                sizes = ", ".join(str(mask.shape) for mask in masks)
                raise InvalidInputError(f"segmentations of one target need one size, received {sizes or 'none'}")
        except InvalidInputError as error:
            raise InvalidInputError(f"{self.where}: {error}") from error
        union: Mask = np.logical_or.reduce(masks)
        return union

    def _size_hw(self, segmentation: object) -> tuple[int, int] | None:
        """The image's size, looked up only where the segmentation does not say it."""
        if self.size_hw is None and self.image is not None and not _holds_run_lengths(segmentation):
            return image_size(self.image)
        return self.size_hw


def read_mask(path: Path) -> Mask:
    """Read a mask file whose foreground is any level but 0; see the module's text for palettes and JPEG.

    Args:
        path: PNG, TIFF or any other picture.

    Returns:
        (H, W) bool.

    Raises:
        DataNotFoundError: there is no such file.
        InvalidImageError: it cannot be read, or its palette does not say what is background.
    """
    with _opened(path) as picture:
        if picture is None or _is_deep(picture):
            levels = _raster_levels(path)
        elif picture.mode == "P":
            return _palette_mask(picture, path)
        elif picture.format == "JPEG":
            return np.asarray(picture.convert("L")) > _JPEG_THRESHOLD
        else:
            levels = np.asarray(picture)
            if picture.mode in _WITH_ALPHA:
                levels = levels[..., :-1] * (levels[..., -1:] != 0)
    is_set = np.nan_to_num(levels, nan=0.0) != 0
    return np.ascontiguousarray(is_set if is_set.ndim == 2 else is_set.any(axis=2))


def read_grey_mask(path: Path, above: int) -> Mask:
    """Read a mask file whose foreground is brighter than a level, after conversion to grey; 16 bits stay 16 bits.

    Args:
        path: a picture of any mode.
        above: the last level of the background.

    Returns:
        (H, W) bool.

    Raises:
        DataNotFoundError: there is no such file.
        InvalidImageError: it cannot be read.
    """
    with _opened(path) as picture:
        if picture is None:
            levels = _raster_levels(path)[..., 0]
        else:
            is_grey = picture.mode == "F" or picture.mode.startswith("I")
            levels = np.asarray(picture if is_grey else picture.convert("L"))
    mask: Mask = levels > above
    return mask


def decode(segmentation: Any, size_hw: tuple[int, int] | None = None, exactly_once: bool = False) -> Mask:
    """Draw a COCO segmentation.

    Args:
        segmentation: polygons or run lengths; see the module's text. An empty list is an empty mask.
        size_hw: height and width of the image in pixels; needed for polygons only.
        exactly_once: pixels that several segments cover are background.

    Returns:
        (H, W) bool of the run lengths' size, or of `size_hw`.

    Raises:
        InvalidInputError: it is neither, or it does not fit its size.
        MissingDependencyError: it has polygons and pycocotools is not installed.
    """
    segments = segmentation if isinstance(segmentation, list) else [segmentation]
    if not segments:
        return np.zeros(_needed(size_hw), dtype=bool)
    if all(isinstance(segment, dict) for segment in segments):
        layers = [decode_runs(segment) for segment in segments]
    elif all(isinstance(segment, (list, tuple)) for segment in segments):
        layers = _draw_polygons(segments, _needed(size_hw))
    else:
        raise InvalidInputError(
            "a segmentation is a list of polygons [[x, y, x, y, ...], ...] or run lengths "
            f'{{"size": [h, w], "counts": ...}}, received {str(segmentation)[:80]}'
        )
    sizes = {layer.shape for layer in layers}
    if len(sizes) != 1:
        raise InvalidInputError(f"run lengths of one segmentation need one size, received {sorted(sizes)}")
    if len(layers) == 1:
        return layers[0]
    cover = np.sum(layers, axis=0, dtype=np.int32)  # (H, W)
    return np.equal(cover, 1) if exactly_once else np.greater(cover, 0)


def mask_fingerprint(source: MaskSource) -> Any:
    """What tells a target from others without reading it, ready for JSON.

    Args:
        source: `Sample.mask`.

    Returns:
        Segmentations as they are, name and size of a file, a hash of pixels; None where nothing is meant, or for a
        function of unknown kind.
    """
    if isinstance(source, SegmentationMask):
        return [*source.segmentations, source.exactly_once]
    if isinstance(source, MaskFile):
        return [image_fingerprint(source.path), source.above]
    return image_fingerprint(source)


def image_fingerprint(source: ImageSource | MaskSource) -> Any:
    """What tells an image from others without reading it: name and size of a file, a hash of pixels, else None."""
    if isinstance(source, Path):
        return [source.name, source.stat().st_size if source.is_file() else None]
    if isinstance(source, np.ndarray):
        return [list(source.shape), hashlib.sha256(source.tobytes()).hexdigest()]
    return None


def reaches_outside(source: object, size_hw: tuple[int, int], tolerance_px: float = 1.0) -> bool:
    """Whether a polygon of a lazily drawn mask leaves its image; False for masks of any other kind.

    Args:
        source: `Sample.mask`.
        size_hw: height and width of the image in pixels.
        tolerance_px: by how much a point may lie outside.
    """
    if not isinstance(source, SegmentationMask):
        return False
    polygons = [
        polygon
        for one in source.segmentations
        if isinstance(one, list) and not _holds_run_lengths(one)
        for polygon in one
    ]
    height, width = size_hw
    return any(
        min(polygon) < -tolerance_px
        or max(polygon[0::2]) > width + tolerance_px
        or max(polygon[1::2]) > height + tolerance_px
        for polygon in polygons
        if polygon
    )


# PIL reports broken PNG files as SyntaxError, impossible sizes and palettes as ValueError.
_DAMAGES = (OSError, SyntaxError, ValueError, MemoryError, Image.DecompressionBombError)


class _opened:  # noqa: N801 - used like a function, in a `with`
    """A picture while it is read: None where PIL does not know the format; what goes wrong becomes an error of ours."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._picture: Image.Image | None = None

    def __enter__(self) -> Image.Image | None:
        if not self._path.is_file():
            raise DataNotFoundError(f"mask not found: `{self._path}` is not a file. Check the path and the download.")
        try:
            self._picture = Image.open(self._path)
        except UnidentifiedImageError:
            return None
        except _DAMAGES as error:
            raise self._unreadable(error) from error
        return self._picture

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._picture is not None:
            self._picture.close()
        if isinstance(error, _DAMAGES) and not isinstance(error, RS2SAMError):
            raise self._unreadable(error) from error

    def _unreadable(self, error: BaseException) -> InvalidImageError:
        return InvalidImageError(
            f"mask `{self._path}` cannot be read: {error}. The file is damaged, cut short or too large; copy it again."
        )


def _is_deep(picture: Image.Image) -> bool:
    """Whether PIL would drop the lower 8 of 16 bits of a colour."""
    return not picture.mode.startswith("I") and any(";16" in str(tile) for tile in getattr(picture, "tile", ()))


def _raster_levels(path: Path) -> npt.NDArray[Any]:
    """All bands of a file that PIL cannot read, or not to its depth: (H, W, bands)."""
    import warnings

    import rasterio  # costs 0.2 s, and ordinary masks never need it
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                return np.moveaxis(dataset.read(), 0, -1)
    except RasterioIOError as error:
        raise InvalidImageError(
            f"mask `{path}` is in no picture format known to PIL or GDAL ({error}). Give a PNG or TIFF file."
        ) from error


def _palette_mask(picture: Image.Image, path: Path) -> Mask:
    """Foreground of a picture with a palette: index and colour have to agree."""
    by_index: Mask = np.asarray(picture) != 0
    picture.info.pop("transparency", None)  # says nothing here, and PIL would warn of it
    by_colour = np.any(np.asarray(picture.convert("RGB")), axis=2)
    if (by_index != by_colour).any():
        raise InvalidImageError(
            f"mask `{path}` has a palette in which index 0 and black are different pixels, so its background is not "
            "known. Save it as 8-bit grey with 0 as background."
        )
    return by_index


def _holds_run_lengths(segmentation: object) -> bool:
    """Whether a segmentation says its own size."""
    if isinstance(segmentation, list):
        return bool(segmentation) and isinstance(segmentation[0], dict)
    return isinstance(segmentation, dict)


def _needed(size_hw: tuple[int, int] | None) -> tuple[int, int]:
    """The size that polygons need."""
    if size_hw is None:
        raise InvalidInputError("polygons need the image's size, received none. Give its height and width.")
    return size_hw


def _draw_polygons(polygons: Sequence[Sequence[Any]], size_hw: tuple[int, int]) -> list[Mask]:
    """Draw polygons by COCO's rule, each on its own: (H, W) bool."""
    require("pycocotools", "train", "a mask of polygons")
    from pycocotools import mask as coco

    # Its `decode` warns with numpy 2, and ours reads the same text.
    return [decode_runs(one) for one in coco.frPyObjects([_polygon(points, size_hw) for points in polygons], *size_hw)]


def _polygon(points: Sequence[Any], size_hw: tuple[int, int]) -> list[float]:
    """Check one polygon; returns its coordinates as floats."""
    is_number = all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in points)
    if not is_number or len(points) < 6 or len(points) % 2:
        raise InvalidInputError(
            f"a polygon is [x, y, x, y, ...] with at least three points, received {str(list(points))[:80]}"
        )
    limit = (1 + _MAX_OUTSIDE) * max(size_hw)
    if max(abs(v) for v in points) > limit:
        raise InvalidInputError(
            f"a polygon's coordinates are pixels of its image of {size_hw[1]} x {size_hw[0]}, received up to "
            f"{max(points, key=abs)}. Convert them from their unit or take the image they belong to."
        )
    return [float(v) for v in points]
