"""What lies under one click or in one box, and the rules that hold for it however it was found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rs2sam.raster.scene import Scene
from rs2sam.vector.regions import PixelRegion

Source = Literal["model", "probability", "colour", "nothing"]

MOST_SHARE = 0.25
"""A click adds no more of an image than this share: who clicks means a thing, not the ground it lies on."""


@dataclass(frozen=True)
class Found:
    """What lies under one click or in one box.

    Args:
        regions: largest first.
        source: what it was found by.
        why: one line on why it is nothing; None where it is something.
    """

    regions: Sequence[PixelRegion]
    source: Source
    why: str | None = None

    @classmethod
    def nothing(cls, why: str) -> Found:
        """Nothing, for a reason."""
        return cls([], "nothing", why)


def nothing_at(point_xy: tuple[float, float], scene: Scene) -> str | None:
    """Why nothing can lie at a point [px]; None where something can."""
    height, width = scene.size_hw
    if not (0 <= point_xy[0] < width and 0 <= point_xy[1] < height):
        return "The click lies outside the image."
    return None if scene.valid[int(point_xy[1]), int(point_xy[0])] else "The image has no data here."


def inside_of(
    box_xyxy: tuple[float, float, float, float], size_hw: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """Whole pixels of a box, drawn from any corner, that lie in an image: left, top, right, bottom; None for none."""
    height, width = size_hw
    left, right = sorted((box_xyxy[0], box_xyxy[2]))
    top, bottom = sorted((box_xyxy[1], box_xyxy[3]))
    left, top = max(0, math.floor(left)), max(0, math.floor(top))
    right, bottom = min(width, math.ceil(right)), min(height, math.ceil(bottom))
    return (left, top, right, bottom) if left < right and top < bottom else None


def is_too_large(mask: NDArray[np.bool_]) -> bool:
    """Whether a mask is more of its image than a click adds."""
    return bool(mask.mean() > MOST_SHARE)


def too_large(mask: NDArray[np.bool_]) -> str:
    """Why a mask is not added."""
    return (
        f"What lies here covers {mask.mean():.0%} of the image, and a click adds up to {MOST_SHARE:.0%}. Draw a box "
        "around the part that is meant."
    )


def kept_pieces(regions: Sequence[PixelRegion]) -> list[PixelRegion]:
    """Regions without the specks beside what was meant, which are no objects of their own."""
    return [region for region in regions if region.num_pixels * 20 >= regions[0].num_pixels]
