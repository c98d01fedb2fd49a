"""Masks as files and as COCO segmentations, kept on disk or run-length coded until somebody asks for them.

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

from rs2sam.datasets.base import Mask, MaskSource
from rs2sam.datasets.images import ImageSource, image_size
from rs2sam.datasets.readers.mask_files import read_grey_mask, read_target
from rs2sam.datasets.readers.run_lengths import decode_runs
from rs2sam.errors import InvalidInputError, require

# A polygon of an image lies in it, give or take; coordinates of another unit would be drawn for minutes or not at all.
_MAX_OUTSIDE = 2.0


@dataclass(frozen=True)
class MaskFile:
    """A mask on disk, read when it is called.

    Args:
        path: the file.
        above: None: any level but 0 is foreground; else grey levels above this one, as RefSegRS needs it.
        ignore: level (or index of a palette) that says nothing; None: none but what the file declares.
    """

    path: Path
    above: int | None = None
    ignore: float | None = None

    def __call__(self) -> Mask:
        """Read it: (H, W) bool."""
        if self.above is not None:
            return read_grey_mask(self.path, self.above)
        return read_target(self.path, self.ignore)[0]

    def ignored(self) -> Mask | None:
        """Read of which pixels it says nothing: (H, W) bool; None: of none."""
        return None if self.above is not None else read_target(self.path, self.ignore)[1]


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
        named = [] if source.ignore is None else [source.ignore]
        return [image_fingerprint(source.path), source.above, *named]
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
