"""Names for the colours that objects show, only where two people would use the same name."""

from __future__ import annotations

import numpy as np

from rs2sam.datasets.base import Mask
from rs2sam.datasets.images import Pixels

_MIN_UNIFORM_SHARE = 0.5
_UNIFORM_DISTANCE = 70.0
# Among NWPU's street images: at least 0.03 in every infrared one, at most 0.006 in every other.
_FALSE_COLOUR_SHARE = 0.02

# Name -> hue range [degrees, may wrap], saturation range, value range. Gaps between them belong to no name.
_CHROMATIC: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "red": ((345, 12), (0.42, 1.0), (0.32, 1.0)),
    "orange": ((16, 34), (0.5, 1.0), (0.68, 1.0)),
    "brown": ((12, 40), (0.28, 0.75), (0.22, 0.58)),
    "yellow": ((46, 66), (0.5, 1.0), (0.6, 1.0)),
    "green": ((80, 165), (0.24, 1.0), (0.2, 1.0)),
    "blue": ((185, 250), (0.3, 1.0), (0.28, 1.0)),
}


def colour_name(pixels: Pixels, mask: Mask) -> str | None:
    """Name the colour of an object.

    Args:
        pixels: (h, w, 3) uint8, RGB.
        mask: (h, w) bool, the object; at least one pixel.

    Returns:
        A name of `vocabulary.COLOURS`, or None where the object is not uniform or its colour lies between two names.
    """
    inside = pixels[mask].astype(np.float32)  # (N, 3)
    if len(inside) > 400:
        inside = inside[:: len(inside) // 200]
    middle = np.median(inside, axis=0)
    if (np.linalg.norm(inside - middle, axis=1) < _UNIFORM_DISTANCE).mean() < _MIN_UNIFORM_SHARE:
        return None
    return name_of_rgb((float(middle[0]), float(middle[1]), float(middle[2])))


def name_of_rgb(rgb: tuple[float, float, float]) -> str | None:
    """Name one RGB colour in [0, 255], or return None for one between two names."""
    hue, saturation, value = _hsv(rgb)
    if value < 0.2:
        return "black"
    if saturation < 0.14:
        return "white" if value > 0.78 else "grey" if 0.36 < value < 0.64 else None
    for name, ((h0, h1), (s0, s1), (v0, v1)) in _CHROMATIC.items():
        in_hue = h0 <= hue <= h1 if h0 <= h1 else (hue >= h0 or hue <= h1)
        if in_hue and s0 <= saturation <= s1 and v0 <= value <= v1:
            return name
    return None


def looks_false_colour(pixels: Pixels) -> bool:
    """Tell images in which infrared is shown as red or pure green: their colours are nobody's names.

    Meant for close-ups of streets; a red roof that fills an image looks the same.

    Args:
        pixels: (H, W, 3) uint8, RGB.
    """
    sparse = pixels[::8, ::8].reshape(-1, 3).astype(np.int32)
    red, green, blue = sparse[:, 0], sparse[:, 1], sparse[:, 2]
    infrared_red = (red > 90) & (red > 1.5 * green) & (blue > 0.8 * green)
    infrared_green = (green > 90) & (green > 2 * red) & (green > 2 * blue)
    return bool((infrared_red | infrared_green).mean() > _FALSE_COLOUR_SHARE)


def _hsv(rgb: tuple[float, float, float]) -> tuple[float, float, float]:
    """Convert RGB in [0, 255] to hue [degrees], saturation and value in [0, 1]."""
    red, green, blue = rgb
    top, bottom = max(rgb), min(rgb)
    spread = top - bottom
    if spread <= 0:
        return 0.0, 0.0, top / 255
    if top == red:
        hue = ((green - blue) / spread) % 6
    elif top == green:
        hue = (blue - red) / spread + 2
    else:
        hue = (red - green) / spread + 4
    return hue * 60, spread / top, top / 255
