"""What the pictures of the project share: masks tinted and outlined over an image, and text that fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont

Colour: TypeAlias = tuple[int, int, int]
"""RGB, each in [0, 255]."""
Font: TypeAlias = "ImageFont.FreeTypeFont | ImageFont.ImageFont"

COLOURS = ((255, 59, 92), (0, 194, 255), (255, 200, 0), (178, 102, 255), (0, 220, 130), (255, 128, 0), (255, 120, 220))
"""Apart from each other and from vegetation, soil and roofs."""
PAPER: Colour = (250, 250, 248)
INK: Colour = (28, 32, 36)
FAINT: Colour = (112, 118, 124)

_FILL = 0.42
_COLOUR_SAMPLE = 20_000  # pixels that a colour is compared with
_STANDS_OUT = 0.6  # of the distance in RGB of the colour that stands out most
# Pixels nearer than this to a colour are taken for it; of true-colour images hardly any are, of infrared ones up to
# half to red.
_ALIKE, _MOST_ALIKE = 90, 0.02
_LONGEST_LINE = 2000  # letters; wider than any picture
_PROBE_SIZE = 24  # px: large enough to tell a letter from the box of a missing one
# Loaded when a text has letters beyond the built-in font's; names that FreeType finds on common systems.
_WIDE_FONTS = ("NotoSansCJK-Regular.ttc", "NotoSans-Regular.ttf", "DejaVuSans.ttf", "Arial Unicode.ttf", "msyh.ttc")


def overlay(
    pixels: NDArray[np.float32], masks: Sequence[tuple[NDArray[np.bool_], Colour]], fill: float = _FILL
) -> Image.Image:
    """Tint and outline masks over an image.

    Args:
        pixels: (H, W, 3) float32 in [0, 255], RGB; changed in place.
        masks: (H, W) bool each, with its colour.
        fill: strength of the tint in [0, 1].
    """
    outlines = []
    for mask, rgb in masks:
        colour = np.array(rgb, dtype=np.float32)
        pixels[mask] += fill * (colour - pixels[mask])
        outlines.append((dilate(mask, 5) & ~dilate(mask, 3), dilate(mask, 3) & ~erode(mask, 3), colour))
    # Outlines go on top of all tints; a dark rim sets them off from bright ground.
    for rim, line, colour in outlines:
        pixels[rim] *= 0.45
        pixels[line] = colour
    return Image.fromarray((pixels + 0.5).clip(0, 255).astype(np.uint8))


def colour_against(pixels: NDArray[np.floating | np.uint8], mask: NDArray[np.bool_] | None) -> Colour:
    """The first of `COLOURS` that stands out from an image where a mask lies, and is rare in the rest of it.

    Red does not among the plants of infrared imagery, though the mask be on a grey roof.

    Args:
        pixels: (H, W, 3) RGB in [0, 255].
        mask: (H, W) bool; None or an empty one: the whole image counts.
    """
    everywhere = _distances(pixels.reshape(-1, 3))
    around = everywhere if mask is None or not mask.any() else _distances(pixels[dilate(mask, 5)])
    alike = (everywhere < _ALIKE).mean(axis=1)
    distance = np.where(alike <= max(_MOST_ALIKE, alike.min()), around.mean(axis=1), -1)
    return COLOURS[int(np.argmax(distance >= _STANDS_OUT * distance.max()))]


def _distances(pixels: NDArray[np.floating | np.uint8]) -> NDArray[np.float32]:
    """(colours, n) distances in RGB of each of `COLOURS` from a sample of (m, 3) pixels."""
    sample = pixels[:: max(1, len(pixels) // _COLOUR_SAMPLE)].astype(np.float32)
    distances: NDArray[np.float32] = np.linalg.norm(np.array(COLOURS, np.float32)[:, None] - sample, axis=2)
    return distances


def mask_at(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask at display size; shrinking keeps what covers a quarter of a pixel, so that small objects stay visible.

    Args:
        mask: (H, W) bool.
        size: width and height to reach [px].
    """
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    resample = Image.Resampling.BOX if size[0] < mask.shape[1] else Image.Resampling.NEAREST
    shown: NDArray[np.bool_] = np.asarray(grey.resize(size, resample)) > 63
    return shown


def dilate(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Grow a mask by a square of `side` pixels, an odd number."""
    height, width = mask.shape
    padded = np.pad(mask, side // 2)
    rows = np.logical_or.reduce([padded[shift : shift + height] for shift in range(side)])
    grown: NDArray[np.bool_] = np.logical_or.reduce([rows[:, shift : shift + width] for shift in range(side)])
    return grown


def erode(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Shrink a mask by a square of `side` pixels."""
    return ~dilate(~mask, side)


def font_for(text: str, size: int) -> Font:
    """Pillow's own font; one of the system where a text has letters that it lacks, as all with accents are."""
    if not all(letter.isascii() or _is_built_in(letter) for letter in set(text)):
        for name in _WIDE_FONTS:
            font = _named_font(name, size)
            if font is not None:
                return font
    return ImageFont.load_default(size)


def shorten(text: str, font: Font, room: float) -> str:
    """Cut a text to a width in pixels, with an ellipsis where it is cut."""
    line = " ".join(text.split())
    if len(line) <= _LONGEST_LINE and font.getlength(line) <= room:
        return line
    count = _count_fitting(lambda number: font.getlength(line[:number] + "…"), len(line), room)
    return line[:count].rstrip() + "…"


def _count_fitting(width_of: Callable[[int], float], most: int, room: float) -> int:
    """The number of letters or words, below `most`, whose width is within a room.

    Widths grow with the number, but for kerning: halving finds it in a dozen measurements, however long the text is.
    """
    fitting, too_many = 0, min(most, _LONGEST_LINE)
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        fitting, too_many = (middle, too_many) if width_of(middle) <= room else (fitting, middle)
    return fitting


def wrap(text: str, font: Font, room: float, max_lines: int) -> list[str]:
    """Break a text into lines of a width in pixels, between words where it can be; the last line is cut.

    Args:
        text: white space in it counts as one blank.
        font: of the lines.
        room: width [px].
        max_lines: at least 1.
    """
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < max_lines - 1:
        width_of = partial(_width_of_words, words, font)
        count = max(1, _count_fitting(width_of, len(words) + 1, room))
        # A word wider than the line, or a script without blanks, is broken between letters.
        head, tail = _fitting(words[0], font, room) if count == 1 else (" ".join(words[:count]), "")
        lines.append(head)
        words = [tail, *words[1:]] if tail else words[count:]
    return [*lines, shorten(" ".join(words), font, room)] if words else lines


def _fitting(word: str, font: Font, room: float) -> tuple[str, str]:
    """The letters of a word that fit a width, at least one, and the others."""
    count = max(1, _count_fitting(lambda number: font.getlength(word[:number]), len(word) + 1, room))
    return word[:count], word[count:]


def _width_of_words(words: Sequence[str], font: Font, count: int) -> float:
    """Width of the first words [px]."""
    return font.getlength(" ".join(words[:count])[:_LONGEST_LINE])


@lru_cache(maxsize=1024)
def _is_built_in(letter: str) -> bool:
    """Whether Pillow's own font draws a letter otherwise than one that nobody has."""
    font = ImageFont.load_default(_PROBE_SIZE)
    return bytes(font.getmask(letter)) != bytes(font.getmask("\u0378"))


@lru_cache(maxsize=16)
def _named_font(name: str, size: int) -> Font | None:
    """A font of the system, or None."""
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None
