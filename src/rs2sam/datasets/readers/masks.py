"""Masks as files and as COCO segmentations, kept on disk or run-length coded until somebody asks for them.

A COCO segmentation is a list of polygons `[[x, y, x, y, ...], ...]` in pixels, or run lengths (`run_lengths.py`), or
a list of run lengths.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rs2sam.datasets.base import Mask, MaskSource
from rs2sam.datasets.images import ImageSource, image_size
from rs2sam.datasets.readers.mask_files import read_grey_mask, read_target
from rs2sam.datasets.readers.run_lengths import checked_size, decode_runs
from rs2sam.errors import InvalidInputError, require
from rs2sam.fields import brief

# A polygon of an image lies in it, give or take; coordinates of another unit would be drawn for minutes or not at all.
_MAX_OUTSIDE = 2.0
# Of one polygon; pycocotools keeps some hundred bytes for each pixel that its outline passes.
_MAX_OUTLINE_PX = 5e6
_SHARED_MASKS = 8  # that are kept drawn, a bit a pixel


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
        is_shared: many samples ask for this mask in turn, so that it is kept for a while once it is drawn.
    """

    segmentations: tuple[Any, ...] = field(repr=False)
    where: str
    size_hw: tuple[int, int] | None = None
    image: Path | None = None
    exactly_once: bool = False
    is_shared: bool = False

    def __call__(self) -> Mask:
        """Draw it: (H, W) bool."""
        if not self.is_shared:
            return self._drawn()
        bits, size_hw = _drawn_once(self)
        return np.unpackbits(bits, count=size_hw[0] * size_hw[1]).view(np.bool_).reshape(size_hw)

    def _drawn(self) -> Mask:
        """The union of the segmentations."""
        try:
            if not self.segmentations:
                raise InvalidInputError("a target needs at least one segmentation, received none")
            return _united(decode(one, self._size_hw(one), self.exactly_once) for one in self.segmentations)
        except InvalidInputError as error:
            raise InvalidInputError(f"{self.where}: {error}") from error

    def _size_hw(self, segmentation: object) -> tuple[int, int] | None:
        """The image's size, looked up only where the segmentation does not say it."""
        if self.size_hw is None and self.image is not None and not _holds_run_lengths(segmentation):
            return image_size(self.image)
        return self.size_hw


@lru_cache(maxsize=_SHARED_MASKS)
def _drawn_once(mask: SegmentationMask) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
    """A shared mask, a bit a pixel, and its height and width."""
    drawn = mask._drawn()
    return np.packbits(drawn), (drawn.shape[0], drawn.shape[1])


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
    layers: Iterator[Mask]
    if all(isinstance(segment, dict) for segment in segments):
        layers = (decode_runs(segment) for segment in segments)
    elif all(isinstance(segment, (list, tuple)) for segment in segments):
        layers = _draw_polygons(segments, _needed(size_hw))
    else:
        raise InvalidInputError(
            "a segmentation is a list of polygons [[x, y, x, y, ...], ...] or run lengths "
            f'{{"size": [h, w], "counts": ...}}, received {brief(segmentation)}'
        )
    return _united(layers, exactly_once=exactly_once)


def _united(layers: Iterable[Mask], *, exactly_once: bool = False) -> Mask:
    """The union of masks (H, W), or what exactly one covers; no more than one is held beside the result."""
    union: Mask | None = None
    again: Mask | None = None
    for layer in layers:
        if union is None:
            union = layer
            again = np.zeros_like(layer) if exactly_once else None
            continue
        if layer.shape != union.shape:
            sizes = sorted({layer.shape, union.shape})
            raise InvalidInputError(f"segmentations of one target need one size, received {sizes}")
        if again is not None:
            again |= union & layer
        union |= layer
    assert union is not None, "there is at least one layer"
    return union if again is None else union & ~again


def check_segmentation(segmentation: object, where: str) -> None:
    """Raise InvalidInputError unless it has the form of polygons or run lengths; what they hold is looked at later.

    Args:
        segmentation: what a file says.
        where: what has it, for the message.
    """
    parts = segmentation if isinstance(segmentation, list) else [segmentation]
    polygons = [part for part in parts if isinstance(part, (list, tuple))]
    values = [value for part in parts if isinstance(part, dict) for value in part.values()]
    lists_of_numbers = [*polygons, *(value for value in values if isinstance(value, list))]
    has_form = len(polygons) == len(parts) or all(isinstance(part, dict) for part in parts)
    if not has_form or any(isinstance(value, (list, dict)) for one in lists_of_numbers for value in one):
        raise InvalidInputError(f"{where} is polygons or run lengths, received {brief(segmentation)}")


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


def _draw_polygons(polygons: Sequence[Sequence[Any]], size_hw: tuple[int, int]) -> Iterator[Mask]:
    """Draw polygons by COCO's rule, each on its own: (H, W) bool."""
    require("pycocotools", "train", "a mask of polygons")
    from pycocotools import mask as coco

    size_hw = checked_size(list(size_hw))
    for polygon in [_polygon(points, size_hw) for points in polygons]:
        # Its `decode` warns with numpy 2, and ours reads the same text.
        yield decode_runs(coco.frPyObjects([polygon], *size_hw)[0])


def _polygon(points: Sequence[Any], size_hw: tuple[int, int]) -> list[float]:
    """Check one polygon; returns its coordinates as floats."""
    limit = (1 + _MAX_OUTSIDE) * max(size_hw)
    is_number = all(isinstance(v, (int, float)) and not isinstance(v, bool) and _is_finite(v) for v in points)
    if not is_number or len(points) < 6 or len(points) % 2:
        raise InvalidInputError(
            f"a polygon is [x, y, x, y, ...] with at least three points, received {brief(list(points))}"
        )
    if max(abs(v) for v in points) > limit:
        raise InvalidInputError(
            f"a polygon's coordinates are pixels of its image of {size_hw[1]} x {size_hw[0]}, received up to "
            f"{brief(max(points, key=abs))}. Convert them from their unit or take the image they belong to."
        )
    corners = np.array(points, dtype=np.float64).reshape(-1, 2)
    length = float(np.abs(corners - np.roll(corners, 1, axis=0)).sum())
    if length > _MAX_OUTLINE_PX:
        raise InvalidInputError(
            f"a polygon's outline is at most {_MAX_OUTLINE_PX:,.0f} pixels long, received {length:,.0f}. Give the mask "
            "as run lengths or as a file."
        )
    return [float(v) for v in points]


def _is_finite(value: float) -> bool:
    """Whether a number is finite; a whole one of any size is."""
    return isinstance(value, int) or math.isfinite(value)
