"""Contact sheets: images with their targets outlined, each with its sentence below, to look at a data set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from rs2sam.datasets.base import Mask, Sample
from rs2sam.datasets.images import Pixels
from rs2sam.drawing import FAINT, INK, PAPER, Colour, font_for, mask_at, overlay, shorten, wrap
from rs2sam.errors import InvalidInputError

MAX_SHEET_SIDE = 20_000
"""Longest side of a sheet [px]; beyond it pictures become too large for viewers."""

_TEXT_SIZE, _ROW, _SENTENCE_LINES = 15, 19, 3
_SMALL_TEXT, _SMALL_ROW, _CAPTION_LINES = 12, 16, 2
_GAP = 14
_MAT: Colour = (230, 231, 228)
_PLATE: Colour = (28, 32, 36)
# Neither vegetation, soil, roofs, pools nor colour-infrared pictures show it.
TARGET_COLOUR: Colour = (255, 0, 220)
# Weak, so that small objects can be recognised below it.
_FILL = 0.25
_NOTHING = "nothing is meant"


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a sheet.

    Args:
        rgb: (H, W, 3) uint8.
        masks: (H, W) bool each, with the colour it is drawn in; none: only the image.
        sentence: below the image, on up to three lines.
        caption: in small letters below the sentence, on up to two lines.
        note: on a plate in the image's corner; empty: no plate.
    """

    rgb: Pixels
    masks: Sequence[tuple[Mask, Colour]]
    sentence: str
    caption: str = ""
    note: str = ""


def chosen(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """Draw samples at random, no two of one image as far as there are enough images; in the data set's order.

    Args:
        samples: what to draw from.
        count: how many; all of them where there are no more.
        seed: of the draw.
    """
    order = np.random.default_rng(seed).permutation(len(samples))
    seen: dict[object, int] = {}
    ranked = []
    for place, index in enumerate(order):
        image = _image_key(samples[index])
        ranked.append((seen.get(image, 0), place, int(index)))
        seen[image] = seen.get(image, 0) + 1
    return [samples[index] for index in sorted(index for _, _, index in sorted(ranked)[:count])]


def sample_tile(sample: Sample) -> Tile:
    """Read a sample and show its target.

    Args:
        sample: image, sentence and target.

    Raises:
        RS2SAMError: the image or the mask cannot be read, or they do not belong together.
    """
    rgb = sample.pixels()
    target = sample.target((rgb.shape[0], rgb.shape[1]))
    parts = [sample.id, *(part for part in (sample.split, sample.category, sample.kind) if part)]
    note = _NOTHING if sample.is_absent else ("" if target.any() else "the mask is empty")
    return Tile(rgb, [(target, TARGET_COLOUR)], sample.sentence, " · ".join(parts), note)


def draw_sheet(tiles: Iterable[Tile], side: int = 300, columns: int = 4) -> Image.Image:
    """Put tiles on a sheet, row by row.

    Args:
        tiles: at least one; an iterator is read one by one, so that only the small pictures stay in memory.
        side: longer side of each image on the sheet [px].
        columns: tiles in a row.

    Raises:
        InvalidInputError: there is no tile, or the sheet would be longer than `MAX_SHEET_SIDE`.
    """
    drawn: list[Image.Image] = []
    for tile in tiles:
        drawn.append(draw_tile(tile, side))
        # Said as soon as it is certain, before a large data set fills the memory.
        num_rows = -(-len(drawn) // columns)
        _check_size((min(columns, len(drawn)) * (side + _GAP), num_rows * (side + _GAP)), len(drawn), side)
    if not drawn:
        raise InvalidInputError("a sheet needs at least one sample, received none. Check the split's name.")
    columns = min(columns, len(drawn))
    rows = [drawn[start : start + columns] for start in range(0, len(drawn), columns)]
    heights = [max(picture.height for picture in row) for row in rows]
    size = columns * (side + _GAP) + _GAP, sum(heights) + (len(rows) + 1) * _GAP
    _check_size(size, len(drawn), side)
    sheet = Image.new("RGB", size, PAPER)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, picture in enumerate(row):
            sheet.paste(picture, (_GAP + column * (side + _GAP), top))
        top += height + _GAP
    return sheet


def _check_size(size: tuple[int, int], count: int, side: int) -> None:
    """Refuse a sheet of this width and height [px]."""
    if max(size) > MAX_SHEET_SIDE:
        raise InvalidInputError(
            f"a sheet is at most {MAX_SHEET_SIDE} px long, {count} tiles of {side} px make {size[0]} x {size[1]}. "
            "Ask for fewer or smaller ones, or for other columns."
        )


def draw_tile(tile: Tile, side: int) -> Image.Image:
    """Draw one image with its masks, and the text below it; the sheet cuts off nothing.

    Args:
        tile: what to show.
        side: width of the picture, and the longer side of the image on it [px].
    """
    height, width = tile.rgb.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    resample = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    pixels = np.asarray(Image.fromarray(tile.rgb).resize(size, resample)).astype(np.float32)
    image = overlay(pixels, [(mask_at(mask, size), colour) for mask, colour in tile.masks], _FILL)
    if tile.note:
        _draw_note(image, tile.note)
    font = font_for(tile.sentence, _TEXT_SIZE)
    lines = wrap(tile.sentence, font, side, _SENTENCE_LINES)
    small = font_for(tile.caption, _SMALL_TEXT)
    captions = wrap(tile.caption, small, side, _CAPTION_LINES)
    # The room of the image is square, so that the sentences of a row line up.
    canvas = Image.new("RGB", (side, side + 8 + _ROW * len(lines) + _SMALL_ROW * max(len(captions), 1)), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 0, side - 1, side - 1), fill=_MAT)
    canvas.paste(image, ((side - size[0]) // 2, (side - size[1]) // 2))
    for number, line in enumerate(lines):
        draw.text((0, side + 6 + number * _ROW), line, font=font, fill=INK)
    for number, line in enumerate(captions):
        draw.text((0, side + 8 + len(lines) * _ROW + number * _SMALL_ROW), line, font=small, fill=FAINT)
    return canvas


def _draw_note(image: Image.Image, note: str) -> None:
    """A few words on a dark plate in the upper left corner."""
    font = font_for(note, _SMALL_TEXT)
    draw = ImageDraw.Draw(image)
    text = shorten(note, font, image.width - 22)
    draw.rounded_rectangle((6, 6, 16 + font.getlength(text), 26), radius=5, fill=_PLATE)
    draw.text((11, 9), text, font=font, fill="white")


def _image_key(sample: Sample) -> object:
    """What two samples of one image have in common."""
    return sample.image_id or (sample.image if not isinstance(sample.image, np.ndarray) else id(sample.image))
