"""What a box tells of an object's mask: pixels that are certainly its own, and pixels of which nobody can say.

Outside of all boxes of an exhaustive class there is none of it; inside, how much is certain depends on the class. A
model must not learn to draw boxes, so what a box leaves open is `AnnotatedImage.unknown`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.base import Mask

CORE_SHARE: dict[str, float] = {
    "storage_tank": 0.97,
    "tree": 0.8,
    "airplane": 0.25,
    "helicopter": 0.3,
    "vehicle": 0.55,
    "large_vehicle": 0.55,
    "ship": 0.5,
    "ground_track_field": 0.6,
    "golf_field": 0.6,
    "harbor": 0.0,
}
"""Category -> size of the ellipse in its box that is certainly object, as a share of the box; 0: none of it is."""
DEFAULT_CORE_SHARE = 0.5
TURNED_CORE_SHARE: dict[str, float] = {"ship": 0.92, "storage_tank": 0.97, "airplane": 0.4, "helicopter": 0.4}
"""As `CORE_SHARE`, in a rectangle that is turned with its object; what is not listed fills its rectangle."""
_LONG = 2.0
_RIM = 1.15


def core_of_box(category: str, height: int, width: int) -> tuple[Mask, Mask]:
    """Certain and open pixels of a box that is parallel to the image's sides.

    A vehicle at least twice as long as wide stands parallel to the sides too, so it fills its box. A tank is round and
    fills its ellipse: only the rim is open.

    Args:
        category: of the object.
        height: of the box [px].
        width: of the box [px].

    Returns:
        Two (height, width) bool: object, and neither object nor ground for sure.
    """
    radius = _radius(height, width)
    if category in ("vehicle", "large_vehicle") and max(height, width) >= _LONG * min(height, width):
        return np.ones((height, width), bool), np.zeros((height, width), bool)
    core: Mask = radius < CORE_SHARE.get(category, DEFAULT_CORE_SHARE)
    is_open = (radius <= _RIM) & ~core if category == "storage_tank" else ~core
    return core, is_open


def core_of_rectangle(category: str, corners_xy: NDArray[np.float64], size_hw: tuple[int, int]) -> tuple[Mask, Mask]:
    """As `core_of_box` for a rectangle turned with its object, both at the size of the window around it.

    Args:
        category: of the object.
        corners_xy: (4, 2) corners in order, in pixels of the window.
        size_hw: height and width of the window [px].
    """
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]] + 0.5
    origin, first, last = corners_xy[0], corners_xy[1] - corners_xy[0], corners_xy[3] - corners_xy[0]
    offset = np.stack([columns - origin[0], rows - origin[1]], -1)  # (h, w, 2)
    along = offset @ first / max(first @ first, 1.0)
    across = offset @ last / max(last @ last, 1.0)
    inside = (along >= 0) & (along <= 1) & (across >= 0) & (across <= 1)
    if category not in TURNED_CORE_SHARE:
        return inside, np.zeros_like(inside)
    radius = np.hypot(2 * along - 1, 2 * across - 1)
    core: Mask = radius < TURNED_CORE_SHARE[category]
    return core, inside & ~core


def _radius(height: int, width: int) -> NDArray[np.float64]:
    """Distance from the box's centre, 1 on the ellipse that touches its sides: (height, width)."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    radius: NDArray[np.float64] = np.hypot(2 * rows / height - 1, 2 * columns / width - 1)
    return radius
