"""Mosaics: four images with their annotation become one, so that one picture shows several classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.base import AnnotatedImage, Instance, Mask
from rs2sam.errors import InvalidInputError

Scalar = TypeVar("Scalar", bound=np.generic)


def mosaic(parts: Sequence[AnnotatedImage]) -> AnnotatedImage:
    """Put four images of one size into a square, in reading order.

    A category is exhaustive where it is so in every part, so that what is said of the whole picture stays true.

    Args:
        parts: four images of the same height and width (h, w).

    Returns:
        An image of (2h, 2w) pixels. Its ground sampling distance is unknown unless the parts agree.

    Raises:
        InvalidInputError: there are not four parts, or their sizes differ.
    """
    sizes = {part.size_hw for part in parts}
    if len(parts) != 4 or len(sizes) != 1:
        raise InvalidInputError(f"A mosaic takes 4 images of one size; received {len(parts)} of sizes {sorted(sizes)}.")
    height, width = parts[0].size_hw
    offsets = [(0, 0), (width, 0), (0, height), (width, height)]
    pixels = [part.pixels() for part in parts]
    regions: dict[str, Mask] = {}
    for part, (x, y) in zip(parts, offsets, strict=True):
        for name, mask in part.regions.items():
            regions.setdefault(name, np.zeros((2 * height, 2 * width), dtype=bool))[y : y + height, x : x + width] = (
                mask
            )
    unknown = [np.zeros((height, width), bool) if part.unknown is None else part.unknown for part in parts]
    distances = {part.gsd_m for part in parts}
    return AnnotatedImage(
        image=_joined(pixels),
        size_hw=(2 * height, 2 * width),
        instances=tuple(
            _moved(instance, offset) for part, offset in zip(parts, offsets, strict=True) for instance in part.instances
        ),
        regions=regions,
        exhaustive_categories=reduce(frozenset.intersection, (part.exhaustive_categories for part in parts)),
        id="+".join(part.id for part in parts),
        source=parts[0].source,
        gsd_m=distances.pop() if len(distances) == 1 else None,
        split=parts[0].split,
        unknown=_joined(unknown) if any(part.unknown is not None for part in parts) else None,
    )


def _joined(quarters: Sequence[NDArray[Scalar]]) -> NDArray[Scalar]:
    """Four arrays of one size (h, w, ...) in reading order: (2h, 2w, ...)."""
    return np.concatenate([np.concatenate(quarters[:2], axis=1), np.concatenate(quarters[2:], axis=1)])


def _moved(instance: Instance, offset_xy: tuple[int, int]) -> Instance:
    """The instance at its place in the mosaic."""
    (x, y), (dx, dy) = instance.origin_xy, offset_xy
    return replace(instance, origin_xy=(x + dx, y + dy))
