"""Pictures of the best, the median and the worst: image, target, answer."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from rs2sam.datasets.base import Mask, Sample
from rs2sam.datasets.images import Pixels
from rs2sam.drawing import mask_at, overlay
from rs2sam.evaluation.results import SampleResult
from rs2sam.evaluation.running import answers_to, asked_sentence, where_there_is_data
from rs2sam.metrics import Protocol
from rs2sam.segmenter import Segmenter

# Told apart by readers who cannot tell red from green (Okabe and Ito, "Color universal design", 2008).
TARGET_COLOUR = (240, 228, 66)
FOUND_COLOUR, TOO_MUCH_COLOUR, MISSED_COLOUR = (0, 190, 130), (230, 80, 0), (86, 180, 233)
_OPACITY = 0.55
_SIDE, _GAP, _JPEG_QUALITY = 256, 6, 85


@dataclass(frozen=True)
class Picture:
    """One sample of a gallery.

    Args:
        result: its outcome.
        jpeg: image, target, and answer against the target, side by side.
    """

    result: SampleResult
    jpeg: bytes

    @property
    def data_url(self) -> str:
        """The picture as part of a page."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}"


def choose(results: Sequence[SampleResult], protocol: Protocol, count: int) -> dict[str, list[int]]:
    """Places of the samples to show: those of lowest IoU (most wrong pixels first), around the median, of highest.

    An image is shown once a gallery, as far as there are others. A sample that has neither target nor answer is right,
    but nothing to look at.

    Args:
        results: all samples.
        protocol: rule for empty unions.
        count: samples a gallery.
    """
    shown = [k for k, one in enumerate(results) if one.counts.union]
    ious = {k: results[k].counts.iou(protocol) for k in shown}
    wrong = {k: results[k].counts.union - results[k].counts.intersection for k in shown}
    middle = float(np.median(list(ious.values()))) if shown else 0.0
    orders: dict[str, Callable[[int], tuple[float, ...]]] = {
        "worst": lambda k: (ious[k], -wrong[k]),
        "median": lambda k: (abs(ious[k] - middle),),
        "best": lambda k: (-ious[k], -results[k].everything.intersection),
    }
    return {name: _other_images(sorted(shown, key=order), results, count) for name, order in orders.items()}


def _other_images(order: Iterable[int], results: Sequence[SampleResult], count: int) -> list[int]:
    """The first `count` of an order, images that were not shown before those that were."""
    seen: set[str] = set()
    fresh: list[int] = []
    again: list[int] = []
    for place in order:
        image = results[place].image_id or results[place].id
        (again if image in seen else fresh).append(place)
        seen.add(image)
        if len(fresh) == count:
            break
    return [*fresh, *again][:count]


def draw_picture(
    segmenter: Segmenter, sample: Sample, result: SampleResult, protocol: Protocol, side: int = _SIDE
) -> Picture:
    """Ask the model once more and draw, at the image's own size.

    Args:
        segmenter: the model.
        sample: with image and target.
        result: its outcome.
        protocol: under which it was asked.
        side: longer side of each of the three pictures [px].
    """
    image = sample.loaded_image()
    rgb = image.rgb
    height, width = rgb.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))
    pairs = [(rgb, asked_sentence(sample, protocol))]
    (answer,) = answers_to(segmenter, pairs, 1)
    answer = where_there_is_data((image, sample), answer)
    target, mask = (mask_at(one, size) for one in (sample.target((height, width)), answer.mask))
    strip = Image.new("RGB", (3 * size[0] + 2 * _GAP, size[1]), "white")
    meant = overlay(small.astype(np.float32), [(target, TARGET_COLOUR)])
    for place, drawn in enumerate((Image.fromarray(small), meant, against_target(small, mask, target))):
        strip.paste(drawn, (place * (size[0] + _GAP), 0))
    buffer = io.BytesIO()
    strip.save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return Picture(result, buffer.getvalue())


def against_target(rgb: Pixels, mask: Mask, target: Mask) -> Image.Image:
    """An answer over its image: found, too much and missed, each in its colour.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) bool, the answer.
        target: (H, W) bool.
    """
    shown = rgb.copy()
    areas = ((mask & target, FOUND_COLOUR), (mask & ~target, TOO_MUCH_COLOUR), (~mask & target, MISSED_COLOUR))
    for area, colour in areas:
        shown[area] = ((1 - _OPACITY) * rgb[area] + _OPACITY * np.array(colour)).astype(np.uint8)
    return Image.fromarray(shown)
