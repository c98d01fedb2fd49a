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
    r"(?:(?:north|south)[-\s]?(?:east|west)(?:ern|erly)?|(?:north|south|east|west)(?:ern|erly|wards?)?|(?-i:NE|NW|SE|SW)"
    r"|upper|lower|top|bottom|(?:left|right)(?:[-\s]?hand)?|cent(?:er|re|ral)|middle|mid)"
)
CELL = rf"{DIRECTION}(?:[-\s]+(?:and[-\s]+)?(?:the[-\s]+)?{DIRECTION})?"
IMAGE = (
    r"(?:(?:the|this|that|my|your)\s+)?(?:(?:whole|entire|full|aerial|satellite|current|given|air|drone|google|overhead)\s+){0,2}"
    r"(?:image|picture|photo|photograph|scene|frame|map|view|raster|area|tile|shot|orthophoto|imagery|pic|screenshot)\b(?!\s+of\b)"
)
PART = (
    r"(?:side|part|portion|section|corner|area|region|zone|quadrant|quarter|half|third|edge|margin|border|end|place"
    r"|position|sector|segment|strip|bit|boundary|fringe|rim|corner\s+area)s?"
)
# What may follow a finished phrase; anything else ("the left *bank*") makes the direction a part of a name.
END = (
    r"(?=\s*(?:$|[,.;:?!\0]|['’]s\b)|\s+(?:and|that|which|who|with|in|on|at|near|next|close|closest|nearest|beside|by"
    r"|located|situated|positioned|found|placed|is|are|to|towards?|within|furthest|farthest|having|sitting|lying|under"
    r"|underneath|below|beneath|above|from|but|whose|painted|looking|of|among|for|as|than|standing|seen)\b)"
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

_LARGEST = (
    r"largest|biggest|greatest|hugest|bulkiest|heftiest|max(?:imum|imal)?[-\s]+sized?"
    r"|most\s+(?:expansive|extensive|size?able|spacious|large|big|huge|massive)"
)
_SMALLEST = (
    r"smallest|tiniest|littlest|minutest|teeniest|puniest|least\s+(?:extensive|size?able|large|big)"
    r"|most\s+(?:tiny|small|little|minute)|min(?:imum|imal)?[-\s]+sized?"
)
SIZE = rf"(?:{_LARGEST}|{_SMALLEST}|longest|lengthiest|shortest)"
COMPARATIVE = r"(?:larger|bigger|smaller|longer|shorter|(?:more|less)\s+size?able)"
EXTREME = (
    r"(?:(?:(?:north|south)[-\s]?(?:east|west)|north|south|east|west)(?:ern)?[-\s]?most"
    r"|(?:left|right|top|bottom|upper|lower|up|down|under)[-\s]?most|very\s+(?:north|south|east|west)\w*"
    r"|most\s+(?:(?:north|south|east|west)\w*|(?:left|right)(?:[-\s]?hand)?|top|bottom|upper|lower|central)"
    rf"|(?:far|extreme|farthest|furthest|utmost|outermost)[-\s](?!away|from){DIRECTION}(?:[-\s]{DIRECTION})?)"
)
HEIGHT = r"(?:highest|lowest)(?:[-\s](?:up|lying|placed|positioned))?"

NOT_THE_SIDE = re.compile(r"\b(?:most|far|extreme|very|utmost|outermost|furthest|farthest)\b[-\s]?|[-\s]?most$", _FLAGS)
"""What of "extreme left" and "northernmost" is no side."""

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
    r"(?:in|at|on|along|across|through|over|around|down|up|about|inside|within|into|onto|lining|by)\s+(?:the\s+)?(?:cent(?:er|re)|middle|top|bottom|end|edge|corner|side)s?\s+of\s+"
    rf"(?!{IMAGE}|the\s+(?:top|bottom|left|right|upper|lower)\b)"
)
PROTECTED = re.compile(
    rf"\b(?:left|right|upper|lower|top|bottom|central|middle|center|centre)[-\s]{_ALONE}\b(?!\s+of\s+{IMAGE})"
    r"|\bright[-\s](?:angled?|of[-\s]way|next|beside|behind|by|near)\b|\bleft\s+(?:behind|open|empty|fallow|over)\b"
    r"|\b(?:north|south)[-–/\s](?:to[-\s])?(?:south|north)\b|\b(?:east|west)[-–/\s](?:to[-\s])?(?:west|east)\b"
    r"|\b(?:facing|point(?:s|ing|ed)?|head(?:s|ing|ed)?|oriented|moving|lead(?:s|ing)?|turn(?:s|ed|ing)?|bend(?:s|ing)?|curv(?:es?|ing)|going"
    r"|goes)(?:\s+(?:up|down|off|away|round|around))?(?:\s+and)?(?:\s+(?:to|towards?))?(?:\s+the)?\s+"
    rf"{DIRECTION}(?:wards?|bound)?\b|\b(?:north|south|east|west)bound\b"
    r"|\b(?:sail|driv|fly|travel|steam|cruis|taxi|drift|veer|roll|rac|speed|swerv)\w*(?:\s+(?:off|away|over))?\s+(?:to|towards?)\s+(?:the\s+)?"
    rf"{DIRECTION}\b|\bcentral\s+(?:station|business|bank|library|market|square|plaza|bus|railway)\b|\b(?:upper|lower|middle)\s+reaches\s+of\s+(?!{IMAGE})"
    r"|\b(?:north|south|east|west)(?:ern)?\s+(?:bank|wing|lane|pole|sea|shoulder)s?\b"
    r"|(?-i:\b(?:North|South|East|West)(?:ern)? (?=[A-Z][a-z]))"
    r"|\b(?:shopping|sports?|city|town|village|visitors?|recreation|data|community|medical|logistics|convention)"
    r"[-\s]cent(?:er|re)s?\b|\bcent(?:er|re)[-\s]pivots?\b|\bon\s+top\s+of\b(?!\s+(?:the|this)\s+(?:image|picture|photo|scene|map|frame))"
    rf"|\b(?:mid|middle)[-\s]?siz\w+\b|\b{_OTHERS_PART}|\b(?:{NUMBER})[-\s](?:lane|stor(?:e?y|ied)|engined?|sided|way|wheel|part|bay|track)\w*\b",
    _FLAGS,
)
# Sentences whose logic is beyond claims that all hold together.
UNREADABLE = re.compile(
    r"\b(?:not|no|never|\w+n['’]t|minus|bar\s+the|far\s+from\s+being|except|excluding|(?:apart|aside)\s+from|other\s+than|save\s+for|leaving\s+out|without|besides|but|save\s+(?:the|for|one)|between|among(?:st)?\s+(?!the|these|those|all)|neither|nor|how\s+many"
    r"|either|unless|or|half\s+(?:of\s+)?(?:the|all|those|these)\s+(?!image|picture|photo|scene|map)|majority|one\s+of\s+the|(?:some|few|several|many)\s+of\s+(?:the|these|those)|(?<!-)(?<!left\s)(?<!right\s)(?<!top\s)(?<!bottom\s)most\s+of|any\s+two|(?:pair|couple|numbers?)\s+of|groups?\s+of\s+(?!"
    rf"{NUMBER}\b)|clusters?|rows?|columns?|fleet|set\s+of|bunch|line\s+of|last|penultimate|respectively|while|if"
    rf"|whose\s+(?!(?:surface\s+)?(?:area|size|footprint|extent|length)\b)\w+\s+(?:is|are)\s+(?:the\s+)?(?:{SIZE}|{COMPARATIVE})|(?:ranked|sorted|ordered)\b"
    r"|coordinates?|(?:next\s+to|beside|alongside|adjacent\s+to|close\s+to|near|neighbou?rhood\s+of|vicinity\s+of|on|behind|facing)\s+the\s+(?:largest|smallest"
    rf"|longest|shortest)\s+of|(?:(?:next|kept\d+k)\s+to|beside|alongside|adjacent\s+to|close\s+to)\s+the\s+(?!{CELL})[\w\s-]+?\s+that\s+is\s+(?:the\s+)?(?:furthest|largest|smallest|longest|shortest|second|{EXTREME})"
    rf"|(?:{SIZE}|{EXTREME}|{COMPARATIVE})(?:\s+ones?)?\s+of\s+(?:the|these|those)\s+(?:{NUMBER}\s+)?(?:{SIZE}|{EXTREME})"
    r"|(?:by|in\s+terms\s+of)\s+(?:size|area|length|width|height|distance|number|count))\b"
    rf"|^(?:the\s+)?{CELL}[-\s]+{PART}(?:$|\s+of\s+(?:the|an?)\s+(?!{IMAGE}))|^(?:it|they|he|she|this|that|these|those)\s+(?:is|are)\b"
    r"|\bwith\s+(?:an?\s+|some\s+|its\s+)?[\w-]+\s+(?:in|at)\s+(?:the|its)\s+(?:middle|cent(?:er|re))$"
    r"|[<>=≤≥≈%]|\b\d+(?:[.,]\d+)?\s*(?:m2|m²|sq\w*|square|ha|hectares?|acres?|km2?|km²|px|pixels?|m|met(?:er|re)s?|feet|ft)\b",
    _FLAGS,
)
# What must not be left over once claims were taken out of a sentence.
LEFT_OVER = re.compile(
    rf"\b(?:{DIRECTION}|{SIZE}|{HEIGHT}|{COMPARATIVE}|{NUMBER}|{ORDINAL}|\w+most|most|least|nearest|closest|farthest"
    r"|furthest|farther|further|widest|narrowest|tallest|longer|shorter|wider|taller|than|centrally|others?|another"
    r"|fellow|above|below|beneath|corners?\b(?!\s+of)|(?:its|their)\s+own|halfway|slightly|beyond|distance|sequence|ranking|(?:for|from|than|above|below|beneath)\s+which|(?:up|down)(?=\s*$)|whose\s+\w+(?=\s*$)|i|we|you|me|us)\b"
    rf"|^(?:of|in|at(?!\s+kept)|on|for|from|by|to)\b|(?:^|\s)-|\bof\s+them$"
    rf"|\band\s+(?:the|an?|all|every|those)\b|\b(?:edge|border|margin)s?\s*(?:of\s+{IMAGE})?$",
    _FLAGS,
)

DETERMINER = re.compile(
    r"^(?:(?:(?:all|each|any)\s+of|all\s+kinds?\s+of|each\s+and\s+every|every\s+(?:single|last)(?:\s+one\s+of)?|any\s+and\s+all|absolutely\s+(?=all|every)|each\s+one\s+of|every\s+one\s+of|whatever|the\s+full\s+set\s+of|(?:the\s+)?whole\s+set\s+of|whichever|which|what|all|every|each|any|some|the"
    r"|an?|that|those|this|these)\b\s*)+",
    _FLAGS,
)

# Where the words before the noun and the noun end, and what follows begins.
STOP = re.compile(
    r"[\s,]+(?:that|which|who|whose|where|with|without|in|on|at|near|next|close|closest|nearest|farthest|furthest"
    r"|(?:most|least)\s+(?:distant|far|near|close|remote)|of|for|from|to|towards?|by|beside|besides|around|along|alongside|under|underneath|below"
    r"|beneath|above|over|inside|within|outside|behind|beyond|across|through|between|against|adjacent|is|are|it['’]s"
    r"|located|situated|positioned|found|placed|set|lying|sitting|standing|facing|having|taking|covering|occupying"
    r"|bordering|neighbou?ring|flanking|surrounded|painted|looking|tucked|halfway|centrally(?!-)|up|down|right\s+"
    rf"(?:at|of|next)|(?:left|right)\s+from|left\s+of|(?:has|have)\s|higher|lower\s+(?:down|in)|(?:{SIZE}|{EXTREME}|{HEIGHT})(?=\W*$)|most\s+(?=(?:to|in|on|at|towards?)\s)|further|farther|more\s+to|upper\s+(?={PART}\b)"
    rf"|(?:(?:north|south)(?:[-\s]?(?:east|west))?|east|west)(?:wards?)?\s+(?:of|from)|(?:the|an?)\s+(?:{SIZE}|{HEIGHT}|{EXTREME})"
    rf"|{ORDINAL}\s+(?:in\s+)?from|(?:{COMPARATIVE})\s+than|as|among|the\s+one"
    rf"|(?:all|both|far|well|way|slightly|just|directly|immediately|roughly|somewhere|mostly|exactly|straight)\s+"
    rf"(?=(?:to|on|in|at|up|down|over|the\s+way|near|next|beside|above|below|{DIRECTION}\s+(?:of|from))\b)"
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


_PLURAL_VERBS = {"is": "are", "has": "have", "was": "were", "does": "do"}
_AGREEING = re.compile(r"\b(that|which)\s+(\w*[^s\W]s)\b", _FLAGS)


def agreeing(clause: str) -> str:
    """Say of several what a clause says of one: "that crosses the river" becomes "that cross the river".

    Args:
        clause: what follows a noun.
    """

    def plural(match: re.Match[str]) -> str:
        verb = match[2].lower()
        return f"{match[1]} {_PLURAL_VERBS.get(verb) or re.sub(r'(?<=[sxz])es$|(?<=[cs]h)es$|s$', '', verb)}"

    return _AGREEING.sub(plural, clause)
