"""The picture sheet of a validation: image, target and prediction side by side, the sentence and its IoU above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from rs2sam.drawing import FAINT, INK, PAPER, Colour, font_for, mask_at, overlay, shorten

TARGET: Colour = (255, 190, 0)
FOUND: Colour = (0, 220, 130)
TOO_MUCH: Colour = (255, 59, 92)
MISSED: Colour = (0, 150, 255)

_SIDE = 260  # of a panel [px]
_FILL = 0.65  # of the answer's colours
_GAP = 6
_MARGIN = 18
_HEAD = 30
_TITLE = 44
_COLUMNS = 2
_LEGEND = (("target", TARGET), ("found", FOUND), ("too much", TOO_MUCH), ("missed", MISSED))


@dataclass(frozen=True, eq=False)
class Shown:
    """One sample of a sheet.

    Args:
        rgb: (H, W, 3) uint8.
        target: (H, W) bool.
        mask: (H, W) bool, the prediction.
        sentence: the referring expression.
        iou: of the prediction, in [0, 1].
    """

    rgb: NDArray[np.uint8]
    target: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    sentence: str
    iou: float


def draw_sheet(samples: Sequence[Shown], title: str) -> Image.Image:
    """Draw samples in two columns of image, target and prediction.

    Args:
        samples: at least one.
        title: a line above them.

    Returns:
        An RGB picture, about 1600 px wide.
    """
    columns, width = min(_COLUMNS, len(samples)), 3 * _SIDE + 2 * _GAP
    panels = [_panels(shown) for shown in samples]
    heights = [
        _HEAD + max(picture.height for three in panels[first : first + columns] for picture in three) + _MARGIN
        for first in range(0, len(samples), columns)
    ]
    sheet = Image.new("RGB", (columns * (width + _MARGIN) + _MARGIN, _TITLE + sum(heights)), PAPER)
    _draw_title(sheet, title)
    for place, (shown, three) in enumerate(zip(samples, panels, strict=True)):
        row, column = divmod(place, columns)
        left, top = _MARGIN + column * (width + _MARGIN), _TITLE + sum(heights[:row])
        _draw_head(sheet, shown, (left, top), width)
        for number, panel in enumerate(three):
            sheet.paste(panel, (left + number * (_SIDE + _GAP) + (_SIDE - panel.width) // 2, top + _HEAD))
    return sheet


def _draw_title(sheet: Image.Image, title: str) -> None:
    """The title at the left, what the colours mean at the right."""
    draw, right = ImageDraw.Draw(sheet), sheet.width - _MARGIN
    for name, colour in reversed(_LEGEND):
        font = font_for(name, 16)
        right -= round(font.getlength(name))
        draw.text((right, 14), name, font=font, fill=FAINT)
        draw.rounded_rectangle((right - 22, 16, right - 8, 30), radius=3, fill=colour)
        right -= 40
    font = font_for(title, 18)
    draw.text((_MARGIN, 12), shorten(title, font, right - _MARGIN), font=font, fill=INK)


def _draw_head(sheet: Image.Image, shown: Shown, corner: tuple[int, int], width: int) -> None:
    """The sentence at the left, its IoU at the right."""
    draw, (left, top) = ImageDraw.Draw(sheet), corner
    figure = f"IoU {100 * shown.iou:.1f} %" + ("" if shown.target.any() else ", nothing is meant")
    font = font_for(figure, 16)
    room = font.getlength(figure)
    draw.text((left + width - room, top + 6), figure, font=font, fill=FAINT)
    font = font_for(shown.sentence, 16)
    draw.text((left, top + 6), shorten(shown.sentence, font, width - room - _MARGIN), font=font, fill=INK)


def _panels(shown: Shown) -> tuple[Image.Image, Image.Image, Image.Image]:
    """Image, target over it, prediction against the target over it, each as large as fits a square of `_SIDE`."""
    height, width = shown.target.shape
    factor = _SIDE / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    resample = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.BICUBIC
    picture = Image.fromarray(shown.rgb).resize(size, resample)
    pixels = np.asarray(picture).astype(np.float32)
    target, mask = mask_at(shown.target, size), mask_at(shown.mask, size)
    answer = pixels.copy()
    # No outlines here: on small objects they would hide what was found.
    for where, colour in ((target & mask, FOUND), (mask & ~target, TOO_MUCH), (target & ~mask, MISSED)):
        answer[where] += _FILL * (np.array(colour, dtype=np.float32) - answer[where])
    told = Image.fromarray((answer + 0.5).astype(np.uint8))
    return picture, overlay(pixels, [(target, TARGET)]), told
