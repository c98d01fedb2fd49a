"""Arrays and PIL pictures as scenes are read: the same scale, and the same rules of what has data, as for files.

- 8-bit values are left alone, booleans are black and white; values of every other type are stretched by the 2nd to 98th
  percentile of each band, whatever their range: reflectance above 1 is reflectance.
- What a `numpy.ma` array masks in all of its bands, not-a-number, infinities and alpha 0 are no data: black and
  invalid.
- Pictures become RGB by their own colour model; a transparent palette entry is no data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from rs2sam.errors import InvalidImageError
from rs2sam.raster.stretch import Limits, Stretch, to_uint8

_PIL_MODES_WITH_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}

ImageSource: TypeAlias = str | Path | bytes | Image.Image | npt.NDArray[Any]
"""What the package accepts as an image: a path, content of a file, PIL image, array (H, W) or (H, W, 1..4)."""

ALPHA_SHARE = 0.01
"""An alpha band that takes away more than this share of the pixels is worth a word."""


@dataclass(frozen=True, eq=False)
class ShownArray:
    """An array as it is shown.

    Args:
        rgb: (H, W, 3) uint8, contiguous, 0 where there is no data.
        valid: (H, W) bool.
        dtype: of the array.
        num_bands: of the array.
        stretch: how values became 8 bit.
        limits: the values that became 0 and 255, per band; empty where no pixel is valid.
        warnings: what was doubtful and how it was decided, a line each.
    """

    rgb: npt.NDArray[np.uint8]
    valid: npt.NDArray[np.bool_]
    dtype: str
    num_bands: int
    stretch: Stretch
    limits: Limits
    warnings: tuple[str, ...] = ()


def show_array(array: npt.NDArray[Any], stretch: Stretch | None = None) -> ShownArray:
    """Pixels and validity of (H, W) or (H, W, 1 to 4) numbers; two channels are grey and alpha, four RGB and alpha.

    Args:
        array: of numbers or booleans; may be masked (`numpy.ma`).
        stretch: values to 8 bit; None: by the type, see the module's text.

    Raises:
        InvalidImageError: the array is no image.
    """
    values = np.ma.getdata(array)
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] not in (1, 2, 3, 4) or values.size == 0:
        raise InvalidImageError(
            f"an image array must be (H, W) or (H, W, 1 to 4) with at least one pixel, received {np.shape(array)}. "
            "Move the bands to the last axis and choose at most three of them."
        )
    if values.dtype.kind not in "buif":
        raise InvalidImageError(f"an image array must hold numbers, received {values.dtype}. Convert it to uint8.")
    num_colours = 1 if values.shape[2] <= 2 else 3
    bands = values[..., :num_colours].transpose(2, 0, 1)  # (bands, H, W)
    valid = _has_data(array, values, num_colours)
    said: tuple[str, ...] = ()
    if values.shape[2] > num_colours:
        opaque = values[..., -1] != 0
        said = alpha_lines(float(np.mean(~opaque)), "Give it three channels where that one is none")
        valid &= opaque
    stretch, limits = _stretched_by(bands, valid, stretch)
    rgb = np.zeros((*valid.shape, 3), np.uint8)
    if limits:
        rgb[:] = to_uint8(bands.view(np.uint8) if bands.dtype == np.bool_ else bands, limits)
        rgb[~valid] = 0
    return ShownArray(rgb, valid, str(values.dtype), values.shape[2], stretch, limits, said)


def show_picture(picture: Image.Image, *, upright: bool = True) -> ShownArray:
    """Pixels and validity of a PIL image of any mode; with `upright`, its EXIF orientation is applied."""
    if upright:
        picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F" or picture.mode.startswith("I"):
        return show_array(np.asarray(picture))
    if picture.mode in _PIL_MODES_WITH_ALPHA or "transparency" in picture.info:
        return show_array(np.array(picture.convert("RGBA")))
    return show_array(np.array(picture.convert("RGB")))


def alpha_lines(share: float, remedy: str) -> tuple[str, ...]:
    """What is said of an alpha band that takes away a share of the pixels; nothing where that is little."""
    if share <= ALPHA_SHARE:
        return ()
    return (f"its alpha takes away {share:.0%} of its pixels, which have no data in the results. {remedy}",)


def _has_data(array: npt.NDArray[Any], values: npt.NDArray[Any], num_colours: int) -> npt.NDArray[np.bool_]:
    """(H, W) bool: a pixel has data while one of its colours is not masked and all are finite."""
    colours = values[..., :num_colours]
    valid: npt.NDArray[np.bool_] = np.ones(values.shape[:2], np.bool_)
    if np.ma.is_masked(array):
        masked = np.ma.getmaskarray(array).reshape(values.shape)[..., :num_colours]
        valid = np.asarray(~masked.all(axis=2))
    if colours.dtype.kind == "f":
        valid &= np.isfinite(colours).all(axis=2)
    return valid


def _stretched_by(
    bands: npt.NDArray[Any], valid: npt.NDArray[np.bool_], stretch: Stretch | None
) -> tuple[Stretch, Limits]:
    """The stretch of (bands, H, W) values, and its limits; none where no pixel is valid."""
    if stretch is None:
        is_bool = bands.dtype == np.bool_
        stretch = Stretch("fixed", 0.0, 1.0) if is_bool else Stretch.default_for(bands.dtype)
    if not valid.any():
        return stretch, ()
    if stretch.kind == "fixed" or (stretch.kind == "none" and bands.dtype == np.uint8):
        return stretch, ((stretch.low, stretch.high),) * len(bands)
    sample = bands[:, valid]
    return stretch, stretch.limits(sample.view(np.uint8) if sample.dtype == np.bool_ else sample)
