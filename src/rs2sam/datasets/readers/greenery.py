"""Greenery of photographs that nobody annotated, marked by its colour: a weak source, for training alone."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from rs2sam.datasets.base import AnnotatedImage, LabelRegions, Mask
from rs2sam.datasets.images import Pixels, image_size, load_pixels
from rs2sam.datasets.readers.components import connected_components
from rs2sam.errors import DataNotFoundError

UNLABELLED = "naip_unlabelled"
"""A folder of American suburbs without annotation."""
NAIP_GREENERY = "naip_greenery"
"""The source that is made of it."""
NAIP_GSD_M = 0.6
"""Ground sampling distance of these photographs [m/px]."""
_GREEN, _PERHAPS_GREEN = 0.075, 0.035
"""Excess green (2 G - R - B) / (R + G + B) above which a pixel is greenery, and above which it may be."""
_OVER_BLUE = 1.04
"""Least green over blue: the water of a pool is green in excess of red alone."""
_DARK = 110
"""R + G + B below which shade hides the colour."""
_BLUR_PX = 1
_MIN_AREA_PX = 12


class Greenery(NamedTuple):
    """What colour says of greenery, pixel by pixel; never both."""

    is_green: Mask
    """(H, W) bool."""
    is_open: Mask
    """(H, W) bool, True = greenery or not, the colour does not tell."""


def greenery(rgb: Pixels) -> Greenery:
    """Mark greenery by its excess green.

    Args:
        rgb: (H, W, 3) uint8 in true colour.
    """
    smooth = np.asarray(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(_BLUR_PX)), np.float32)
    brightness = smooth.sum(2)
    excess = (3 * smooth[..., 1] - brightness) / np.maximum(brightness, 1)
    is_green = np.zeros(brightness.shape, bool)
    certain = (excess > _GREEN) & (smooth[..., 1] > _OVER_BLUE * smooth[..., 2])
    for piece in connected_components(certain, min_area_px=_MIN_AREA_PX):
        is_green |= piece
    return Greenery(is_green, ((excess > _PERHAPS_GREEN) | (brightness < _DARK)) & ~is_green)


def naip_greenery(root: Path | str) -> list[AnnotatedImage]:
    """Read aerial images of Californian towns, 0.6 m/px, with the greenery that their colour is certain of.

    Only `vegetation` is exhaustive, and that only where the colour tells; all images are of the split `train`. Terms:
    NAIP, US Department of Agriculture, public domain.

    Args:
        root: folder with `*.jpg`, `UNLABELLED`.

    Raises:
        DataNotFoundError: there is no .jpg.
        InvalidImageError: one cannot be read.
    """
    images = []
    for file, _ in photographs(Path(root), NAIP_GREENERY):
        is_green, is_open = greenery(load_pixels(file))
        images.append(
            AnnotatedImage(
                image=file,
                size_hw=is_green.shape,
                instances=(),
                regions=LabelRegions(is_green.astype(np.uint8), ("vegetation",)),
                exhaustive_categories=frozenset({"vegetation"}),
                id=file.stem,
                source=NAIP_GREENERY,
                gsd_m=NAIP_GSD_M,
                split="train",
                unknown=is_open,
            )
        )
    return images


def photographs(root: Path, source: str) -> list[tuple[Path, tuple[int, int]]]:
    """The photographs that nobody annotated, sorted by name, each with its height and width [px].

    Args:
        root: folder with `*.jpg`, `UNLABELLED`.
        source: what is made of them, for the message.

    Raises:
        DataNotFoundError: there is no .jpg.
        InvalidImageError: one cannot be read.
    """
    files = sorted(root.glob("*.jpg"))
    if not files:
        raise DataNotFoundError(
            f"`{source}` needs photographs: `root='{root}'` holds no .jpg. Point it at the folder `{UNLABELLED}`, or "
            f"leave `{source}` out."
        )
    return [(file, image_size(file)) for file in files]
