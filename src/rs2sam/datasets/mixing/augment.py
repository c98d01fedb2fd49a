"""Augmentation of annotated images, before any sentence is made of them: what is then said fits what is then seen.

Pure numpy and PIL. Every function returns a new `AnnotatedImage` whose image is an array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from rs2sam.datasets.base import AnnotatedImage, Instance, LabelRegions, Mask
from rs2sam.datasets.images import Pixels
from rs2sam.errors import InvalidInputError

# What remains of an object cut off by the border still belongs to "all"; below this share nobody would see it.
_MIN_VISIBLE = 0.03

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom exclusive."""


@dataclass(frozen=True)
class Augmentation:
    """How images are varied.

    Args:
        whole_share: share of samples that show the whole image.
        min_zoom: smallest side of a crop, as a share of the image's side.
        max_enlargement: crops are not enlarged by more than this.
        max_aspect: largest ratio of a crop's sides, as it is squeezed into a square.
        centered_share: share of crops placed on an annotated object.
        jitter: strength of brightness, contrast and gamma changes, as a share.
        blur_share: share of samples that are blurred a little.
        turn: whether flips and quarter turns are applied.
    """

    whole_share: float = 0.25
    min_zoom: float = 0.25
    max_enlargement: float = 2.0
    max_aspect: float = 1.4
    centered_share: float = 0.6
    jitter: float = 0.15
    blur_share: float = 0.1
    turn: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.min_zoom <= 1:
            raise InvalidInputError(f"`min_zoom` is a share of the image's side in (0, 1]; received {self.min_zoom}.")


def augment(
    annotated: AnnotatedImage, rng: np.random.Generator, side: int, augmentation: Augmentation | None = None
) -> AnnotatedImage:
    """Crop, scale, turn and recolour an image with its annotation.

    Args:
        annotated: the image.
        rng: source of all choices.
        side: height and width of the result in pixels.
        augmentation: how; by default `Augmentation()`.

    Returns:
        An image of (side, side) pixels.
    """
    augmentation = augmentation or Augmentation()
    result = crop(annotated, _draw_window(annotated, rng, side, augmentation), side)
    if augmentation.turn:
        result = turn(result, quarter_turns=int(rng.integers(4)), flip=bool(rng.integers(2)))
    return replace(result, image=jitter(result.pixels(), rng, augmentation.jitter, augmentation.blur_share))


def crop(annotated: AnnotatedImage, window: Box, side: int) -> AnnotatedImage:
    """Cut out a window and resize it to a square.

    An instance keeps what the window shows of it, and the share that is visible in its attribute `visible`. A category
    of which something vanished by shrinking is no longer exhaustive.

    Args:
        annotated: the image.
        window: the part to cut out; inside the image.
        side: height and width of the result in pixels.
    """
    return _resample(annotated, window, (side, side))


def fit(annotated: AnnotatedImage, max_side: int) -> AnnotatedImage:
    """Read an image into memory, shrunk so that its longer side is at most `max_side` pixels."""
    height, width = annotated.size_hw
    scale = min(1.0, max_side / max(height, width))
    if scale == 1.0:
        return replace(annotated, image=annotated.pixels())
    size_hw = (max(round(height * scale), 1), max(round(width * scale), 1))
    return _resample(annotated, (0, 0, width, height), size_hw)


def turn(annotated: AnnotatedImage, quarter_turns: int, flip: bool) -> AnnotatedImage:
    """Turn an image with its annotation by quarter turns counter-clockwise, then mirror it left to right.

    Args:
        annotated: the image.
        quarter_turns: number of quarter turns.
        flip: whether to mirror.
    """

    def turned(array: NDArray[np.generic]) -> NDArray[np.generic]:
        array = np.rot90(array, quarter_turns)
        return np.ascontiguousarray(array[:, ::-1] if flip else array)

    pixels = turned(annotated.pixels())
    instances = tuple(_turn_instance(i, annotated.size_hw, quarter_turns, flip) for i in annotated.instances)
    regions: Mapping[str, Mask]
    if isinstance(annotated.regions, LabelRegions):
        regions = LabelRegions(turned(annotated.regions.labels).astype(np.uint8), annotated.regions.names)
    else:
        regions = {name: turned(mask).astype(bool) for name, mask in annotated.regions.items()}
    return replace(
        annotated,
        image=pixels.astype(np.uint8, copy=False),
        size_hw=(pixels.shape[0], pixels.shape[1]),
        instances=instances,
        regions=regions,
        unknown=None if annotated.unknown is None else turned(annotated.unknown).astype(bool),
    )


def jitter(pixels: Pixels, rng: np.random.Generator, strength: float, blur_share: float = 0.0) -> Pixels:
    """Change brightness, contrast, gamma, channel gains and saturation; sometimes blur.

    Args:
        pixels: (H, W, 3) uint8.
        rng: source of the strengths.
        strength: largest relative change of brightness and contrast.
        blur_share: how often to blur.

    Returns:
        (H, W, 3) uint8.
    """
    if strength > 0:
        brightness, contrast, gamma = 1 + strength * rng.uniform(-1, 1, 3)
        gains = 1 + 0.25 * strength * rng.uniform(-1, 1, 3)
        levels = np.arange(256) / 255
        curve = ((levels**gamma - 0.45) * contrast + 0.45) * brightness
        tables = (np.clip(curve[None] * gains[:, None], 0, 1) * 255).round().astype(np.uint8)  # (3, 256)
        pixels = np.stack([tables[c][pixels[..., c]] for c in range(3)], axis=-1)
        saturation = 1 + 1.5 * strength * float(rng.uniform(-1, 0.6))
        grey = Image.fromarray(pixels).convert("L").convert("RGB")
        pixels = np.asarray(Image.blend(grey, Image.fromarray(pixels), saturation))
    if rng.random() < blur_share:
        blurred = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.1))))
        pixels = np.asarray(blurred)
    return pixels


def _draw_window(annotated: AnnotatedImage, rng: np.random.Generator, side: int, augmentation: Augmentation) -> Box:
    """Draw the part of the image that is shown."""
    height, width = annotated.size_hw
    if rng.random() < augmentation.whole_share:
        return 0, 0, width, height
    shortest = min(height, width)
    smallest = min(max(augmentation.min_zoom * shortest, side / augmentation.max_enlargement), shortest)
    size = float(np.exp(rng.uniform(np.log(smallest), np.log(shortest))))
    aspect = float(np.exp(rng.uniform(-1, 1) * np.log(augmentation.max_aspect) / 2))
    w, h = min(round(size * aspect), width), min(round(size / aspect), height)
    x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
    if annotated.instances and rng.random() < augmentation.centered_share:
        center = annotated.instances[int(rng.integers(len(annotated.instances)))].center_xy
        x, y = center[0] - w * rng.uniform(0.15, 0.85), center[1] - h * rng.uniform(0.15, 0.85)
    left, top = int(np.clip(x, 0, width - w)), int(np.clip(y, 0, height - h))
    return left, top, left + w, top + h


def _resample(annotated: AnnotatedImage, window: Box, size_hw: tuple[int, int]) -> AnnotatedImage:
    """Cut out a window and resize it: the image bilinearly, masks by the nearest pixel."""
    x0, y0, x1, y1 = window
    height, width = size_hw
    image = Image.fromarray(annotated.pixels())
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box=window, reducing_gap=2.0))
    rows = y0 + ((np.arange(height) + 0.5) * (y1 - y0) / height).astype(np.int64)  # (height,)
    columns = x0 + ((np.arange(width) + 0.5) * (x1 - x0) / width).astype(np.int64)  # (width,)
    instances, vanished = [], set()
    for instance in annotated.instances:
        part, is_visible = _resample_instance(instance, window, rows, columns)
        if part is not None:
            instances.append(part)
        elif is_visible:
            vanished.add(instance.category)
    regions: Mapping[str, Mask]
    if isinstance(annotated.regions, LabelRegions):
        regions = LabelRegions(annotated.regions.labels[rows][:, columns], annotated.regions.names)
    else:
        regions = {name: mask[rows][:, columns] for name, mask in annotated.regions.items()}
    scale = ((y1 - y0) / height + (x1 - x0) / width) / 2
    return replace(
        annotated,
        image=pixels,
        size_hw=size_hw,
        instances=tuple(instances),
        regions=regions,
        exhaustive_categories=annotated.exhaustive_categories - vanished,
        gsd_m=None if annotated.gsd_m is None else annotated.gsd_m * scale,
        unknown=None if annotated.unknown is None else annotated.unknown[rows][:, columns],
    )


def _resample_instance(
    instance: Instance, window: Box, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[Instance | None, bool]:
    """Resample one instance; returns it, or None, and whether the window shows anything of it."""
    x0, y0, x1, y1 = instance.box_xyxy
    wx0, wy0, wx1, wy1 = window
    if x0 >= wx1 or x1 <= wx0 or y0 >= wy1 or y1 <= wy0:
        return None, False
    is_whole = x0 >= wx0 and x1 <= wx1 and y0 >= wy0 and y1 <= wy1
    shown = 1.0
    if not is_whole:
        inside = instance.mask[max(wy0 - y0, 0) : wy1 - y0, max(wx0 - x0, 0) : wx1 - x0]
        shown = np.count_nonzero(inside) / instance.area
        if shown < _MIN_VISIBLE:
            return None, False
    top, bottom = np.searchsorted(rows, (y0, y1))
    left, right = np.searchsorted(columns, (x0, x1))
    mask = instance.mask[rows[top:bottom] - y0][:, columns[left:right] - x0]
    if not mask.any():
        return None, True
    attributes = {**instance.attributes, "visible": shown * float(instance.attributes.get("visible", 1.0))}
    trimmed = Instance.from_mask(instance.category, mask, attributes)
    origin = (trimmed.origin_xy[0] + int(left), trimmed.origin_xy[1] + int(top))
    return replace(trimmed, origin_xy=origin), True


def _turn_instance(instance: Instance, size_hw: tuple[int, int], quarter_turns: int, flip: bool) -> Instance:
    """Turn one instance with the image of `size_hw` that it is in."""
    height, width = size_hw
    x0, y0, x1, y1 = instance.box_xyxy
    for _ in range(quarter_turns % 4):
        # A quarter turn counter-clockwise takes column x of a W-wide image to row W - 1 - x.
        x0, y0, x1, y1 = y0, width - x1, y1, width - x0
        height, width = width, height
    mask = np.rot90(instance.mask, quarter_turns)
    if flip:
        x0, x1 = width - x1, width - x0
        mask = mask[:, ::-1]
    return replace(instance, mask=np.ascontiguousarray(mask), origin_xy=(x0, y0))
