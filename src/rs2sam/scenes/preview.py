"""The preview picture: the scene, each sentence's mask in a colour of its own, a legend and a scale bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from rs2sam.drawing import COLOURS, FAINT, INK, PAPER, Colour, font_for, mask_at, overlay, shorten
from rs2sam.raster.scene import SceneInfo

MAX_SIDE = 1600
"""Longer side of the whole picture, legend included, in pixels."""

_SMALL_SIDE = 1024  # a smaller scene is enlarged by a whole number up to this side
_MIN_WIDTH = 560  # of the picture, so that the legend of a narrow scene can be read
_MAX_ROWS = 12
_NO_DATA: Colour = (222, 222, 218)
_TEXT_SIZE = 20
_ROW = 36
_MARGIN = 20

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Picture:
    """A scene at any scale, with what was found in it.

    Args:
        info: of the scene.
        rgb: (h, w, 3) uint8, the scene or a smaller picture of it.
        valid: (h, w) bool, False where there is no data.
        found: per sentence, the sentence, what it found in words, and its (h, w) bool mask or None where that is empty.
    """

    info: SceneInfo
    rgb: NDArray[np.uint8]
    valid: BoolArray
    found: Sequence[tuple[str, str, BoolArray | None]]


def draw_preview(picture: Picture) -> Image.Image:
    """Draw a scene with the masks of its sentences.

    Args:
        picture: the scene and the masks; the first `12` sentences appear in the legend.

    Returns:
        An RGB picture of at most `MAX_SIDE` pixels a side.
    """
    rows = _legend_rows(picture)
    legend_height = _MARGIN + _ROW * (len(rows) + 1) + _MARGIN // 2
    size = _picture_size(picture.info.size_hw, MAX_SIDE - legend_height)
    drawn = _overlay(picture, size)
    _draw_scale_bar(drawn, picture.info)
    canvas = Image.new("RGB", (max(drawn.width, _MIN_WIDTH), drawn.height + legend_height), PAPER)
    canvas.paste(drawn, ((canvas.width - drawn.width) // 2, 0))
    _draw_legend(canvas, rows, _headline(picture.info), top=drawn.height + _MARGIN)
    return canvas


@dataclass(frozen=True)
class _LegendRow:
    """One line of the legend."""

    colour: Colour
    sentence: str
    found: str


def summarise(num_regions: int, num_pixels: int, area_m2: float | None) -> str:
    """What a sentence found, in words: `3 regions · 1,240 m²` or `nothing found`."""
    if num_regions == 0:
        return "nothing found"
    size = f"{num_pixels:,} px" if area_m2 is None else format_area(area_m2)
    return f"{num_regions:,} {'region' if num_regions == 1 else 'regions'} · {size}"


def format_area(area_m2: float) -> str:
    """An area for people: m², ha from 10,000 m² on, km² from 1,000,000 m² on."""
    if area_m2 >= 1e6:
        return f"{area_m2 / 1e6:,.2f} km²"
    if area_m2 >= 1e4:
        return f"{area_m2 / 1e4:,.2f} ha"
    return f"{area_m2:,.0f} m²" if area_m2 >= 100 else f"{area_m2:,.1f} m²"


def _legend_rows(picture: Picture) -> list[_LegendRow]:
    """The first sentences, and how many more there are."""
    rows = [
        _LegendRow(COLOURS[index % len(COLOURS)], sentence, words)
        for index, (sentence, words, _) in enumerate(picture.found[:_MAX_ROWS])
    ]
    hidden = len(picture.found) - _MAX_ROWS
    return [*rows, _LegendRow(PAPER, f"and {hidden} more", "")] if hidden > 0 else rows


def _headline(scene: SceneInfo) -> str:
    """File name, size and ground resolution."""
    height, width = scene.size_hw
    metres = scene.georeference.pixel_size_m(scene.size_hw)
    resolution = "" if metres is None else f"  ·  {max(metres):.3g} m per pixel"
    return f"{scene.source.rstrip('/').rpartition('/')[2]}  ·  {width:,} x {height:,} px{resolution}"


def _picture_size(size_hw: tuple[int, int], max_height: int) -> tuple[int, int]:
    """Width and height of the drawn scene."""
    height, width = size_hw
    enlarge = max(1, _SMALL_SIDE // max(size_hw))
    factor = min(float(enlarge), MAX_SIDE / width, max_height / height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _overlay(picture: Picture, size: tuple[int, int]) -> Image.Image:
    """The scene at `size` (width, height) with tinted and outlined masks."""
    resample = Image.Resampling.LANCZOS if size[0] < picture.rgb.shape[1] else Image.Resampling.BICUBIC
    pixels = np.asarray(Image.fromarray(picture.rgb).resize(size, resample)).astype(np.float32)
    pixels[~mask_at(picture.valid, size)] = _NO_DATA
    masks = [
        (mask_at(mask, size), COLOURS[index % len(COLOURS)])
        for index, (_, _, mask) in enumerate(picture.found)
        if mask is not None
    ]
    return overlay(pixels, masks)


def _draw_scale_bar(picture: Image.Image, scene: SceneInfo) -> None:
    """A bar of a round length in metres, or in pixels where the ground resolution is unknown."""
    metres = scene.georeference.pixel_size_m(scene.size_hw)
    unit = (1.0 if metres is None else metres[0]) * scene.size_hw[1] / picture.width
    length = round_length(unit * picture.width / 5)
    bar = round(length / unit)
    if picture.width < 160 or picture.height < 80 or bar < 8:
        return
    in_metres = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    label = f"{length:g} px" if metres is None else in_metres
    font = font_for(label, 18)
    left, bottom = 22, picture.height - 22
    text_width = int(font.getlength(label))
    plate = Image.new("L", picture.size, 0)
    ImageDraw.Draw(plate).rounded_rectangle(
        (left - 12, bottom - 38, left + max(bar, text_width) + 12, bottom + 12), radius=8, fill=150
    )
    picture.paste(INK, mask=plate)
    draw = ImageDraw.Draw(picture)
    draw.text((left, bottom - 33), label, font=font, fill="white")
    draw.line((left, bottom, left + bar, bottom), fill="white", width=3)
    for end in (left, left + bar):
        draw.line((end, bottom - 6, end, bottom + 1), fill="white", width=3)


def round_length(length: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is at most `length` (> 0)."""
    power: float = 10.0 ** math.floor(math.log10(length))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= length * (1 + 1e-9))


def _draw_legend(canvas: Image.Image, rows: Sequence[_LegendRow], headline: str, top: int) -> None:
    """Swatch, sentence and what was found, one row each; the file below."""
    draw = ImageDraw.Draw(canvas)
    right = canvas.width - _MARGIN
    for row in rows:
        draw.rounded_rectangle((_MARGIN, top + 3, _MARGIN + 28, top + 23), radius=5, fill=row.colour)
        found_width = _draw_right(draw, (right, top), row.found)
        font = font_for(row.sentence, _TEXT_SIZE)
        room = right - found_width - 2 * _MARGIN - (_MARGIN + 28)
        draw.text((_MARGIN + 42, top), shorten(row.sentence, font, room), font=font, fill=INK)
        top += _ROW
    font = font_for(headline, 16)
    draw.text((_MARGIN, top + 4), shorten(headline, font, right - _MARGIN), font=font, fill=FAINT)


def _draw_right(draw: ImageDraw.ImageDraw, right_top: tuple[int, int], text: str) -> float:
    """Draw a text that ends at the right, and return its width; a closing square is a small raised 2.

    Pillow's own font has no superscripts.
    """
    right, top = right_top
    body, raised = (text[:-1], "2") if text.endswith("²") else (text, "")
    font, small = font_for(body, _TEXT_SIZE), font_for(raised, round(_TEXT_SIZE * 0.62))
    raised_width = small.getlength(raised)
    width = font.getlength(body) + raised_width
    draw.text((right - width, top), body, font=font, fill=FAINT)
    draw.text((right - raised_width, top), raised, font=small, fill=FAINT)
    return width
