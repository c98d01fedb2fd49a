"""English word lists and patterns of `reading`: places, ranks, numbers, and what only looks like them.

The wordings follow the sentences that models are trained on (`rs2sam.datasets.english.vocabulary`), people's own
(Aerial-D) and the project's held-out sentences. All patterns are read without regard to capitals unless they say
otherwise.
"""

from __future__ import annotations

import re

from rs2sam.language.claims import ORDINALS

_FLAGS = re.IGNORECASE

HOLE = "\0"  # where a phrase was read and taken out

DIRECTION = (
    r"(?:(?:north|south)[-\s]?(?:east|west)(?:ern|erly)?|(?:north|south|east|west)(?:ern|erly)?|(?-i:NE|NW|SE|SW)"
    r"|upper|lower|top|bottom|(?:left|right)(?:[-\s]hand)?|cent(?:er|re|ral)|middle|mid)"
)
CELL = rf"{DIRECTION}(?:[-\s]+(?:and[-\s]+)?(?:the[-\s]+)?{DIRECTION})?"
IMAGE = (
    r"(?:(?:the|this|that)\s+)?(?:(?:whole|entire|full|aerial|satellite|current)\s+)?(?:image|picture|photo|photograph"
    r"|scene|frame|map|view|raster|area|tile)\b(?!\s+of\b)"
)
PART = (
    r"(?:side|part|portion|section|corner|area|region|zone|quadrant|quarter|half|third|edge|margin|border|end|place"
    r"|position)s?"
)
# What may follow a finished phrase; anything else ("the left *bank*") makes the direction a part of a name.
END = (
    r"(?=\s*(?:$|[,.;:?!\0]|['’]s\b)|\s+(?:and|that|which|who|with|in|on|at|near|next|close|closest|nearest|beside|by"
    r"|located|situated|positioned|found|placed|is|are|to|towards?|within|furthest|farthest|having|sitting|lying|under"
    r"|underneath|below|beneath|above|from|but|whose|painted|looking|of)\b)"
)
NUMBERS: dict[str, int] = {
    word: number
    for number, word in enumerate(
        ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
        start=2,
    )
}
NUMBER = rf"(?:{'|'.join(NUMBERS)}|[2-9]|[1-9]\d)"
ORDINAL = rf"(?:{'|'.join(ORDINALS)}|1st|2nd|3rd|[4-9]th|10th)"

_LARGEST = r"largest|biggest|greatest|hugest|most\s+(?:expansive|extensive|size?able|spacious)"
_SMALLEST = r"smallest|tiniest|littlest|least\s+(?:extensive|size?able)"
SIZE = rf"(?:{_LARGEST}|{_SMALLEST}|longest|shortest)"
COMPARATIVE = r"(?:larger|bigger|smaller|(?:more|less)\s+size?able)"
EXTREME = (
    r"(?:(?:(?:north|south)[-\s]?(?:east|west)|north|south|east|west)(?:ern)?[-\s]?most"
    r"|(?:left|right|top|bottom|upper|lower)[-\s]?most|(?:most|very)\s+(?:north|south|east|west)\w*"
    rf"|(?:far|extreme|farthest|furthest)[-\s](?!away|from){DIRECTION}(?:[-\s]{DIRECTION})?)"
)
HEIGHT = r"(?:highest|lowest)"

_STEMS = {
    "upper": "up",
    "top": "up",
    "up": "up",
    "high": "up",
    "above": "up",
    "north": "up",
    "lower": "down",
    "bottom": "down",
    "down": "down",
    "low": "down",
    "below": "down",
    "beneath": "down",
    "under": "down",
    "south": "down",
    "left": "left",
    "west": "left",
    "right": "right",
    "east": "right",
    "cent": "mid",
    "mid": "mid",
    "heart": "mid",
}
_CELL_OF = {
    frozenset({"up"}): "top",
    frozenset({"down"}): "bottom",
    frozenset({"left"}): "left",
    frozenset({"right"}): "right",
    frozenset({"mid"}): "center",
    frozenset({"up", "left"}): "upper left",
    frozenset({"up", "right"}): "upper right",
    frozenset({"down", "left"}): "lower left",
    frozenset({"down", "right"}): "lower right",
    frozenset({"up", "mid"}): "upper center",
    frozenset({"down", "mid"}): "lower center",
    frozenset({"mid", "left"}): "center left",
    frozenset({"mid", "right"}): "center right",
}
_STEM = re.compile(f"\\b(?:{'|'.join(_STEMS)})|(?<=north|south)(?:east|west)", _FLAGS)
_COMPASS = re.compile(r"\b(?:north|south|east|west)", _FLAGS)
_ABBREVIATED = {"ne": "north east", "nw": "north west", "se": "south east", "sw": "south west"}


def cell_of(text: str) -> tuple[str, bool] | None:
    """Read a place out of direction words.

    Args:
        text: "upper left", "south-western", "center of the bottom", ...

    Returns:
        One of `CELLS`, and whether the compass was used; None where the words contradict each other or name nothing.
    """
    text = re.sub(r"\b(?:NE|NW|SE|SW)\b", lambda m: _ABBREVIATED[m[0].lower()], text)
    sides = {_STEMS[match[0].lower()] for match in _STEM.finditer(text)}
    cell = _CELL_OF.get(frozenset(sides))
    return None if cell is None else (cell, bool(_COMPASS.search(text)))


def number_of(text: str) -> int:
    """Read a number word or digits."""
    return NUMBERS.get(text.lower()) or int(text)


def ordinal_of(text: str) -> int:
    """Read `second` or `2nd`."""
    word = text.lower()
    return ORDINALS.index(word) + 1 if word in ORDINALS else int(re.sub(r"\D", "", word))


# Directions and ranks that say nothing about the scene: names, axes, headings, parts of another object.
_ALONE = r"(?:park|school|line|stripe|circle|island|reservation|median|pivot|court|bank|lane|wing|turn|field|shoulder"
_ALONE += r"|engine|angle|deck|level|floor|storey|story|terrace|class|sea|pole|tail|fin|bar)s?"
_OTHERS_PART = (
    r"(?:in|at|on|along)\s+(?:the\s+)?(?:cent(?:er|re)|middle|top|bottom|end|edge|corner|side)s?\s+of\s+"
    rf"(?!{IMAGE}|the\s+(?:top|bottom|left|right|upper|lower)\b)"
)
PROTECTED = re.compile(
    rf"\b(?:left|right|upper|lower|top|bottom|central|middle|center|centre)[-\s]{_ALONE}\b(?!\s+of\s+{IMAGE})"
    r"|\bright[-\s](?:angled?|of[-\s]way|next|beside|behind|by|near)\b|\bleft\s+(?:behind|open|empty|fallow|over)\b"
    r"|\b(?:north|south)[-–/\s](?:to[-\s])?(?:south|north)\b|\b(?:east|west)[-–/\s](?:to[-\s])?(?:west|east)\b"
    r"|\b(?:facing|pointing|heading|headed|oriented|moving)(?:\s+(?:to|towards?))?(?:\s+the)?\s+"
    rf"{DIRECTION}(?:wards?|bound)?\b|\b(?:north|south|east|west)bound\b"
    r"|\b(?:north|south|east|west)(?:ern)?\s+(?:bank|wing|lane|pole|sea|shoulder)s?\b"
    r"|(?-i:\b(?:North|South|East|West)(?:ern)? (?=[A-Z][a-z]))"
    r"|\b(?:shopping|sports?|city|town|village|visitors?|recreation|data|community|medical|logistics|convention)"
    r"[-\s]cent(?:er|re)s?\b|\bcent(?:er|re)[-\s]pivots?\b|\bon\s+top\s+of\b"
    rf"|\b{_OTHERS_PART}|\b(?:{NUMBER})[-\s](?:lane|stor(?:e?y|ied)|engined?|sided|way|wheel|part|bay|track)\w*\b",
    _FLAGS,
)
# Sentences whose logic is beyond claims that all hold together.
UNREADABLE = re.compile(
    r"\b(?:not|no|never|except|excluding|without|besides|but|between|among(?:st)?\s+(?!the|these|those|all)|neither|nor"
    r"|either|unless|or|half\s+(?:of\s+)?(?:the|all|those|these)\s+(?!image|picture|photo|scene|map)|majority|one\s+of\s+the|(?:some|few|several|many)\s+of\s+(?:the|these|those)|most\s+of|any\s+two|pair\s+of|groups?\s+of\s+(?!"
    rf"{NUMBER}\b)|clusters?|rows?|columns?|fleet|set\s+of|bunch|line\s+of|last|penultimate|respectively|while|if"
    rf"|whose\s+\w+\s+(?:is|are)\s+(?:the\s+)?(?:{SIZE}|{COMPARATIVE})|(?:ranked|sorted|ordered)\b"
    r"|(?:by|in\s+terms\s+of)\s+(?:size|area|length|width|height|distance|number|count))\b"
    r"|[<>=≤≥≈%]|\b\d+(?:[.,]\d+)?\s*(?:m2|m²|sq\w*|square|ha|hectares?|acres?|km2?|km²|px|pixels?|m|met(?:er|re)s?|feet|ft)\b",
    _FLAGS,
)
# What must not be left over once claims were taken out of a sentence.
LEFT_OVER = re.compile(
    rf"\b(?:{DIRECTION}|{SIZE}|{HEIGHT}|{COMPARATIVE}|{NUMBER}|{ORDINAL}|\w+most|most|least|nearest|closest|farthest"
    r"|furthest|farther|further|widest|narrowest|tallest|longer|shorter|wider|taller|than|centrally|others?|another"
    r"|fellow|above|below|beneath|corners?\b(?!\s+of)|(?:its|their)\s+own)\b"
    rf"|\band\s+(?:the|an?|all|every|those)\b|\b(?:edge|border|margin)s?\s*(?:of\s+{IMAGE})?$",
    _FLAGS,
)

# Ways to ask, before and after what is asked for.
FRAME = re.compile(
    r"^\s*(?:(?:please|kindly)\b[\s,]*|(?:could|can|would)\s+you\s+|(?:segment|find(?:\s+me)?|show(?:\s+me)?|highlight|outline|mark"
    r"|select(?:\s+only)?|(?:only|just)(?=\s+(?:the|those|these|all)\s)|locate|extract|delineate|detect|identify|pick\s+out|point\s+(?:out|to)|map|get(?:\s+me)?|return|mask|look\s+for"
    r"|search\s+for|draw(?:\s+the\s+(?:shape|outline)\s+of)?|give\s+me|return\s+the\s+pixels\s+of|(?:the|a)\s+mask\s+of|i\s+need|i\s+want"
    r"|i(?:['’]m|\s+am)\s+looking\s+for|(?:where|what|which)\s+(?:is|are)|there\s+(?:is|are)"
    r"|which\s+pixels\s+belong\s+to)\s+(?=\w)|in\s+this\s+(?:view|image|scene|picture)\s*,\s*)",
    _FLAGS,
)
TAIL = re.compile(
    r"(?:[\s,]*\b(?:please|and\s+nothing\s+else|masked|(?:in|on|of|within|from)\s+(?:the|this)\s+(?:\w+\s+)?(?:image"
    r"|picture|photo|photograph|scene|map|view|frame)|(?:that\s+(?:is|are)\s+)?visible(?:\s+here)?|to\s+be\s+seen"
    r"|that\s+can\s+be\s+seen|in\s+view|of\s+all|(?:seen|viewed)\s+from\s+above)\b)*[\s.?!,]*$",
    _FLAGS,
)

# Where the words before the noun and the noun end, and what follows begins.
STOP = re.compile(
    r"[\s,]+(?:that|which|who|whose|where|with|without|in|on|at|near|next|close|closest|nearest|farthest|furthest|most"
    r"\s+distant|least\s+distant|of|for|from|to|towards?|by|beside|besides|around|along|alongside|under|underneath|below"
    r"|beneath|above|over|inside|within|outside|behind|beyond|across|through|between|against|adjacent|is|are|it['’]s"
    r"|located|situated|positioned|found|placed|set|lying|sitting|standing|facing|having|taking|covering|occupying"
    r"|bordering|neighbou?ring|flanking|surrounded|painted|looking|tucked|halfway|centrally(?!-)|up|down|right\s+"
    rf"(?:at|of|next)|left\s+of|higher|lower\s+(?:down|in)|further|farther|upper\s+(?={PART}\b)"
    rf"|(?:north|south)(?:[-\s]?(?:east|west))?\s+of|(?:east|west)\s+of|(?:the|an?)\s+(?:{SIZE}|{HEIGHT}|{EXTREME})"
    rf"|{ORDINAL}\s+from"
    r"|(?!building|crossing|mooring|dwelling|landing|parking|clearing|opening|swimming)\w{3,}(?:ing|ed)"
    r"(?=\s+(?:in|on|at|near|of|along|by|to|towards?|from|with|over|under|above|below|beside|the)\b))\b",
    _FLAGS,
)
MASS_NOUNS = frozenset(
    re.split(
        r"\s+",
        "water vegetation greenery land ground soil grass sand farmland forest woodland cover terrain earth asphalt"
        " concrete grassland snow ice mud pavement sea ocean aircraft watercraft craft",
    )
)


def is_plural(phrase: str) -> bool:
    """Tell whether the last word of a phrase stands in the plural, by its ending."""
    word = phrase.lower().split()[-1] if phrase.split() else ""
    return word.endswith("s") and not word.endswith(("ss", "us", "is", "gas", "canvas"))


def plural_of(noun: str) -> str:
    """Put a noun into the plural by the rules of spelling; mass nouns and plurals stay as they are."""
    word = noun.lower()
    if word in MASS_NOUNS or is_plural(word):
        return noun
    if re.search(r"(?:s|x|z|ch|sh)$", word):
        return f"{noun}es"
    if re.search(r"[^aeiou]y$", word):
        return f"{noun[:-1]}ies"
    if word.endswith(("wharf", "leaf", "shelf", "half")):
        return f"{noun[:-1]}ves"
    return f"{noun}s"
