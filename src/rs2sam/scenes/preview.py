"""The preview picture: for each sentence the scene with its mask, a caption and a scale bar."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from rs2sam.drawing import FAINT, INK, PAPER, Colour, colour_against, font_for, mask_at, overlay, shorten
from rs2sam.raster.scene import SceneInfo

MAX_SIDE = 1600
"""Longer side of the whole picture, legend included, in pixels."""

_SMALL_SIDE = 1024  # a smaller scene is enlarged by a whole number up to this side
_MIN_WIDTH = 560  # of the picture, so that the legend of a narrow scene can be read
_MAX_PANELS = 12
_NO_DATA: Colour = (222, 222, 218)
_TEXT_SIZE = 20
_ROW = 36
_CAPTION = 46
_GAP = 8
_MARGIN = 20

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Panel:
    """What one sentence found, at any scale.

    Args:
        sentence: as it was given.
        words: what it found.
        mask: (h, w) bool, or None where it is empty.
        rgb: (h, w, 3) uint8, what the mask is drawn over: the scene or a smaller picture of it.
        valid: (h, w) bool, False where there is no data.
    """

    sentence: str
    words: str
    mask: BoolArray | None
    rgb: NDArray[np.uint8]
    valid: BoolArray


def draw_preview(info: SceneInfo, panels: Sequence[Panel]) -> Image.Image:
    """Draw what the sentences about a scene found, each in a panel of its own.

    Args:
        info: of the scene.
        panels: one per sentence; the first 12 are drawn.

    Returns:
        An RGB picture of at most `MAX_SIDE` pixels a side.
    """
    shown, hidden = panels[:_MAX_PANELS], len(panels) - _MAX_PANELS
    foot = _ROW + _MARGIN // 2
    num_columns, size = _layout(info.size_hw, len(shown), MAX_SIDE - foot)
    least_width = min(_MIN_WIDTH, MAX_SIDE // len(panels))
    drawn = [_draw_panel(info, one, size, least_width) for one in shown]
    width, height = max(each.width for each in drawn), max(each.height for each in drawn)
    num_rows = math.ceil(len(drawn) / num_columns)
    all_columns = width * num_columns + _GAP * (num_columns - 1)
    canvas = Image.new("RGB", (max(all_columns, _MIN_WIDTH), height * num_rows + foot), PAPER)
    for number, each in enumerate(drawn):
        row, column = divmod(number, num_columns)
        left = (canvas.width - all_columns) // 2 + (width + _GAP) * column
        canvas.paste(each, (left, height * row))
    headline = _headline(info) + (f"  ·  and {hidden} more sentences" if hidden > 0 else "")
    font = font_for(headline, 16)
    text = shorten(headline, font, canvas.width - 2 * _MARGIN)
    ImageDraw.Draw(canvas).text((_MARGIN, canvas.height - foot + 4), text, font=font, fill=FAINT)
    return canvas


def _layout(size_hw: tuple[int, int], count: int, max_height: int) -> tuple[int, tuple[int, int]]:
    """Columns, and width and height of each drawn scene, so that the scenes are as large as can be."""
    layouts = []
    for num_columns in range(1, count + 1):
        room = max_height // math.ceil(count / num_columns) - _CAPTION
        size = _picture_size(size_hw, _column_width(num_columns), room)
        layouts.append((size[0] * size[1], -num_columns, size))
    _, columns, size = max(layouts)
    return -columns, size


def _column_width(num_columns: int) -> int:
    """Width of a column of panels, the gaps between them left out."""
    return max(1, (MAX_SIDE - _GAP * (num_columns - 1)) // num_columns)


def _draw_panel(info: SceneInfo, panel: Panel, size: tuple[int, int], least_width: int) -> Image.Image:
    """The scene with one mask, and below what was asked and found."""
    drawn, colour = _overlay(panel, size)
    _draw_scale_bar(drawn, info)
    canvas = Image.new("RGB", (max(drawn.width, least_width), size[1] + _CAPTION), PAPER)
    canvas.paste(drawn, ((canvas.width - drawn.width) // 2, 0))
    _draw_caption(canvas, colour, panel.sentence, panel.words, top=size[1] + _MARGIN // 2)
    return canvas


def summarise(num_regions: int, num_pixels: int, area_m2: float | None, num_objects: int | None = None) -> str:
    """What a sentence found, in words: `3 regions · 1,240 m²`, `2 objects · 1,240 m²` or `nothing found`."""
    if num_regions == 0:
        return "nothing found"
    size = f"{num_pixels:,} px" if area_m2 is None else format_area(area_m2)
    count, noun = (num_regions, "region") if num_objects is None else (num_objects, "object")
    return f"{count:,} {noun}{'' if count == 1 else 's'} · {size}"


def format_area(area_m2: float) -> str:
    """An area for people: m², ha from 10,000 m² on, km² from 1,000,000 m² on."""
    if area_m2 >= 1e6:
        return f"{area_m2 / 1e6:,.2f} km²"
    if area_m2 >= 1e4:
        return f"{area_m2 / 1e4:,.2f} ha"
    return f"{area_m2:,.0f} m²" if area_m2 >= 100 else f"{area_m2:,.1f} m²"


def _headline(scene: SceneInfo) -> str:
    """File name, size and ground resolution."""
    height, width = scene.size_hw
    metres = scene.georeference.pixel_size_m(scene.size_hw)
    resolution = "" if metres is None else f"  ·  {max(metres):.3g} m per pixel"
    return f"{scene.source.rstrip('/').rpartition('/')[2]}  ·  {width:,} x {height:,} px{resolution}"


def _picture_size(size_hw: tuple[int, int], max_width: int, max_height: int) -> tuple[int, int]:
    """Width and height of a drawn scene."""
    height, width = size_hw
    enlarge = max(1, _SMALL_SIDE // max(size_hw))
    factor = min(float(enlarge), max_width / width, max_height / height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _overlay(panel: Panel, size: tuple[int, int]) -> tuple[Image.Image, Colour]:
    """The scene at `size` (width, height) with a tinted and outlined mask, and the colour of the mask."""
    resample = Image.Resampling.LANCZOS if size[0] < panel.rgb.shape[1] else Image.Resampling.BICUBIC
    pixels = np.asarray(Image.fromarray(panel.rgb).resize(size, resample)).astype(np.float32)
    pixels[~mask_at(panel.valid, size)] = _NO_DATA
    marked = None if panel.mask is None else mask_at(panel.mask, size)
    colour = colour_against(pixels, marked)
    return overlay(pixels, [] if marked is None else [(marked, colour)]), colour


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


def _draw_caption(panel: Image.Image, colour: Colour, sentence: str, found: str, top: int) -> None:
    """Swatch, sentence and what was found."""
    draw = ImageDraw.Draw(panel)
    right = panel.width - _MARGIN
    draw.rounded_rectangle((_MARGIN, top + 3, _MARGIN + 28, top + 23), radius=5, fill=colour)
    found_width = _draw_right(draw, (right, top), found)
    font = font_for(sentence, _TEXT_SIZE)
    room = right - found_width - 2 * _MARGIN - (_MARGIN + 28)
    draw.text((_MARGIN + 42, top), shorten(sentence, font, max(room, 0)), font=font, fill=INK)


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
