"""What a sentence claims besides the object's name, and so what must stay in a picture for the sentence to stay true.

English word lists, and generous ones: a sentence wrongly taken to claim something only loses a way to be varied.
"""

from __future__ import annotations

import re

_PLACES = """
    left right top bottom upper lower middle center centre central centrally corner edge side border margin end half
    part portion section area region zone quadrant image picture photo scene frame
    above below under underneath beneath over on onto up down upwards downwards front behind ahead back rear foreground
    background in into inside within outside out at near nearby by beside besides next to toward towards from between
    among amid along alongside around round about across through against opposite beyond past off away close adjacent
    adjoining far facing parallel perpendicular with without of connected connecting linked linking surrounded
    surrounding flanked bordered enclosed attached joined joining crossing crossed leading overlooking belonging
    horizontal horizontally vertical vertically diagonal diagonally clockwise counterclockwise
"""
_SIZES = """
    small large big tiny huge little long short wide narrow tall high low giant gigantic medium mid-sized mini miniature
    massive great vast thin thick compact sized size length width smaller larger bigger longer shorter wider narrower
    taller higher closer nearer farther further more less than
"""
_COUNTS = """
    zero two three four five six seven eight nine ten eleven twelve dozen pair couple both several many few some most
    multiple numerous various single only alone lone sole isolated solitary group cluster row rows column columns line
    lines first second third fourth fifth sixth last each every either neither other others another same different rest
    remaining except number crowded dense densely sparse sparsely scattered whole entire complete
"""
_COLOURS = """
    red orange brown yellow green blue purple pink beige tan turquoise teal cyan magenta violet maroon navy gold golden
    khaki cream rust rusty azure crimson olive lime terracotta colour color colours colors coloured colored colourful
    colorful tint tinted tone hue
"""
_SHADES = """
    white black gray grey silver dark light bright pale dim shiny glossy dull shaded shadowed shadowy shadow sunlit lit
    illuminated vivid faded dark-colored light-colored shade shades brightness
"""

_NO_SUPERLATIVES = "(?!(?:for|rainfor|harv|n|cr|ch|t|requ|gu|inter|inv|pri)est)"


def _any_of(words: str, endings: str) -> re.Pattern[str]:
    """Match any of the words, with one of the endings, before which a last e may be lost."""
    stems = "|".join(re.sub("e$", "e?", word) for word in words.split())
    return re.compile(rf"\b(?:{stems}){endings}\b", re.IGNORECASE)


_SURROUNDINGS = _any_of(_PLACES + _SIZES + _COUNTS, r"(?:e?s|ern|most|ward|-hand)?")
_COMPASS = re.compile(r"\b(?:north|south|east|west)\w*|\b(?:NE|NW|SE|SW)\b", re.IGNORECASE)
_OTHER_SCRIPTS = re.compile(r"[^\W\d_a-zA-Z]")
_RANKS = re.compile(rf"\b{_NO_SUPERLATIVES}\w+est\b|\d", re.IGNORECASE)
_COLOUR_WORDS = _any_of(_COLOURS, r"(?:d?d?ish|n?est|e?r)?")
_SHADE_WORDS = _any_of(_SHADES, r"(?:t?ish|e?n?e?st|t?er|r|ly)?")


def relies_on_surroundings(sentence: str) -> bool:
    """Tell whether a sentence may turn false when only a part of the image is shown, or at another scale.

    So may every sentence that speaks of place, size, number, rank or other objects, or in another script.
    """
    return any(pattern.search(sentence) for pattern in (_SURROUNDINGS, _COMPASS, _RANKS, _OTHER_SCRIPTS))


def names_colour(sentence: str) -> bool:
    """Tell whether a sentence may turn false when the image's hues change."""
    return any(pattern.search(sentence) for pattern in (_COLOUR_WORDS, _SHADE_WORDS, _OTHER_SCRIPTS))


def names_shade(sentence: str) -> bool:
    """Tell whether a sentence may turn false when the image's brightness changes: "white", "dark", "pale"."""
    return any(pattern.search(sentence) for pattern in (_SHADE_WORDS, _OTHER_SCRIPTS))
