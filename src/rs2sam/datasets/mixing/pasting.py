"""Copy and paste: real objects, cut out along their masks, on backgrounds where nothing else of their class stands.

Most real images show one class. Here one picture holds several, so that the class word decides what is meant; and an
object meets more grounds than the few images in which it was annotated. Objects that are what they are by their
surroundings (bridges, harbours) are left where they are.
Source: Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation (CVPR 2021).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from rs2sam.datasets.base import AnnotatedImage, Instance, Mask
from rs2sam.datasets.images import Pixels
from rs2sam.errors import InvalidInputError

PASTED_CATEGORIES: frozenset[str] = frozenset(
    {
        "airplane",
        "ship",
        "storage_tank",
        "baseball_diamond",
        "tennis_court",
        "basketball_court",
        "ground_track_field",
        "vehicle",
    }
)
"""Categories whose objects can be told without what is around them."""

_MIN_SIDE, _MARGIN, _MAX_ENLARGEMENT = 14, 3, 1.6
_LEAST_SHARE, _LARGEST_SHARE = 0.05, 0.4
_MAX_CLASSES, _MAX_OF_CLASS, _MAX_TRIES = 3, 5, 12


class Cutout(NamedTuple):
    """An object with a margin around it: (h, w, 3) uint8 pixels and (h, w) bool mask."""

    pixels: Pixels
    mask: Mask


class Pasted:
    """Makes annotated images by pasting cut out objects on backgrounds; one more for every call.

    Args:
        donors: annotated images whose whole objects of `PASTED_CATEGORIES` are cut out.
        backgrounds: annotated images; a class is pasted only where the background's annotation of it is exhaustive.

    Raises:
        InvalidInputError: the donors hold no object to cut out, or there is no background.
    """

    def __init__(self, donors: Sequence[AnnotatedImage], backgrounds: Sequence[AnnotatedImage]) -> None:
        self._cutouts: dict[str, list[Cutout]] = defaultdict(list)
        for donor in donors:
            for category, cutout in _cut_all(donor):
                self._cutouts[category].append(cutout)
        self._backgrounds = [one for one in backgrounds if one.exhaustive_categories & set(self._cutouts)]
        if not self._cutouts or not self._backgrounds:
            raise InvalidInputError(
                f"Pasting takes images with objects of {', '.join(sorted(PASTED_CATEGORIES))} and backgrounds where "
                f"such a class is exhaustively annotated; received {len(donors)} and {len(backgrounds)} images without."
            )

    def __call__(self, rng: np.random.Generator) -> AnnotatedImage:
        """Paste up to three classes on one background.

        Args:
            rng: source of all choices.

        Returns:
            An image of the background's size.
        """
        background = self._backgrounds[int(rng.integers(len(self._backgrounds)))]
        possible = sorted(background.exhaustive_categories & set(self._cutouts))
        count = min(len(possible), int(rng.integers(1, _MAX_CLASSES + 1)))
        canvas = background.pixels().copy()
        taken = np.zeros(background.size_hw, dtype=bool)
        for instance in background.instances:
            instance.paint(taken)
        pasted: list[Instance] = []
        for category in rng.choice(possible, size=count, replace=False).tolist():
            share = float(np.exp(rng.uniform(np.log(_LEAST_SHARE), np.log(_LARGEST_SHARE))))
            for _ in range(int(rng.integers(1, _MAX_OF_CLASS + 1))):
                cutout = self._cutouts[category][int(rng.integers(len(self._cutouts[category])))]
                length = share * min(background.size_hw) * float(rng.uniform(0.8, 1.25))
                placed = _paste(canvas, taken, category, _varied(cutout, length, rng), rng)
                pasted += [] if placed is None else [placed]
        regions = {name: mask & ~_union(pasted, background.size_hw) for name, mask in background.regions.items()}
        return replace(
            background,
            image=canvas,
            instances=(*background.instances, *pasted),
            regions=regions,
            id=f"{background.id}+pasted",
        )


def _cut_all(donor: AnnotatedImage) -> list[tuple[str, Cutout]]:
    """Every object that is wholly inside the image and not tiny."""
    height, width = donor.size_hw
    pixels = donor.pixels()
    found = []
    for instance in donor.instances:
        x0, y0, x1, y1 = instance.box_xyxy
        is_inside = min(x0, y0) >= _MARGIN and x1 <= width - _MARGIN and y1 <= height - _MARGIN
        if instance.category in PASTED_CATEGORIES and is_inside and min(x1 - x0, y1 - y0) >= _MIN_SIDE:
            part = pixels[y0 - _MARGIN : y1 + _MARGIN, x0 - _MARGIN : x1 + _MARGIN].copy()
            found.append((instance.category, Cutout(part, np.pad(instance.mask, _MARGIN))))
    return found


def _varied(cutout: Cutout, length: float, rng: np.random.Generator) -> Cutout:
    """Mirrored, brought to about `length` pixels on its longer side, turned by any angle."""
    height, width = cutout.mask.shape
    scale = min(length / max(height, width), _MAX_ENLARGEMENT)
    size = (max(round(width * scale), 4), max(round(height * scale), 4))
    angle = float(rng.uniform(0, 360))
    # Around the corners that turning opens the mask is False, so what the pixels hold there is never seen.
    pixels = Image.fromarray(cutout.pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    mask = Image.fromarray(cutout.mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        pixels, mask = (one.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for one in (pixels, mask))
    pixels = pixels.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    mask = mask.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    return Cutout(np.asarray(pixels), np.asarray(mask) > 127)


def _paste(canvas: Pixels, taken: Mask, category: str, cutout: Cutout, rng: np.random.Generator) -> Instance | None:
    """Put an object on free ground, its edge blended over a pixel; None where no place was found."""
    (height, width), (rows, columns) = canvas.shape[:2], cutout.mask.shape
    if rows >= height or columns >= width or not cutout.mask.any():
        return None
    for _ in range(_MAX_TRIES):
        y, x = int(rng.integers(height - rows)), int(rng.integers(width - columns))
        window = (slice(y, y + rows), slice(x, x + columns))
        if taken[window][cutout.mask].any():
            continue
        soft = Image.fromarray(cutout.mask.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(0.8))
        alpha = np.asarray(soft, dtype=np.float32)[..., None] / 255
        canvas[window] = (alpha * cutout.pixels + (1 - alpha) * canvas[window]).round().astype(np.uint8)
        taken[window] |= cutout.mask
        return replace(Instance.from_mask(category, cutout.mask), origin_xy=_moved(cutout.mask, x, y))
    return None


def _moved(mask: Mask, x: int, y: int) -> tuple[int, int]:
    """Where the rectangle around a mask lies in an image in which the mask's corner is at (x, y)."""
    return x + int(np.flatnonzero(mask.any(axis=0))[0]), y + int(np.flatnonzero(mask.any(axis=1))[0])


def _union(instances: Sequence[Instance], size_hw: tuple[int, int]) -> Mask:
    """The union of objects, (H, W) bool."""
    canvas = np.zeros(size_hw, dtype=bool)
    for instance in instances:
        instance.paint(canvas)
    return canvas
