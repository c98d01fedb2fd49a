"""Orders of words that would hide what is asked for, brought into the usual one before anything else is read.

>>> usual_order("of the two ships, the larger one")
'the larger of the two ships'
>>> usual_order("ship top left")
'ship in the top left'
"""

from __future__ import annotations

import re

from rs2sam.language.words import COMPARATIVE, DIRECTION, EXTREME, NUMBER, ORDINAL, SIZE

_RANKING = rf"(?:(?:(?:{ORDINAL}|{NUMBER})[-\s]+)?(?:{SIZE}|{EXTREME}|{COMPARATIVE}))"
_TOP_BY = rf"^((?:the\s+)?)top[-\s]+({NUMBER}\s+)([\w\s-]+?)\s+(?:by|in|in\s+terms\s+of)\s+"
_REORDERED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"\s+[-–—]+\s+", ", "),
        (r"(?:^|[\s,]+)by\s+far\b[\s,]*", " "),
        (rf"\bexactly\s+(?={NUMBER}\b)", ""),
        (rf"^(?:(?:the|an?)\s+)?group\s+of\s+(?={NUMBER}\b)", "the "),
        (rf"^((?:the\s+)?)(?:top|one)\s+(?=(?:{NUMBER}\s+)?{SIZE}\b)", r"\1"),
        (rf"\b({_RANKING})\s+ones?\s+(?=(?:of|among)\s)", r"\1 "),
        # "top 3 tanks by size", "the top two ships by length"
        (
            rf"^((?:the\s+)?)top[-\s]+({NUMBER}\s+)([\w\s-]+?)\s+(?:by|in|in\s+terms\s+of)\s+(?:size|area)$",
            r"\1\2largest \3",
        ),
        (rf"{_TOP_BY}(?:size|area)$", r"\1\2largest \3"),
        (rf"{_TOP_BY}length$", r"\1\2longest \3"),
        # "which of the ships is the largest", "of the two ships, the larger one", "among the ships, the largest"
        (
            rf"^(?:(?:which\s+)?(?:one\s+)?(?:out\s+)?of|(?:from\s+)?among)\s+((?:all\s+)?(?:the|these|those)\s+[\w\s-]+?)(?:\s+(?:is|are)|,)"
            rf"\s+(?:(?:just|only)\s+)?(?:the\s+)?({_RANKING})(?:\s+ones?)?$",
            r"the \2 of \1",
        ),
        # "the left of the two tanks"
        (
            rf"^(the\s+)(left|right|upper|lower|top|bottom|(?:north|south|east|west)ern)(?:\s+one)?\s+of\s+"
            rf"(?=(?:the|these|those)\s+{NUMBER}\s)",
            r"\1\2most of ",
        ),
        # "ship top left", "plane, far right"
        (
            r"^((?:[\w'’-]+\s+){0,5}(?!(?:the|very|far|its|an?|at|in|on|to|of|from|by|near|towards?|and|or)\s)[\w-]+)[\s,]+"
            r"((?:top|upper|bottom|lower|cent(?:er|re)|middle)[-\s]+(?:left|right|cent(?:er|re)|middle))$",
            r"\1 in the \2",
        ),
        (rf",\s*far\s+({DIRECTION})$", r" on the far \1"),
    )
)


def usual_order(text: str) -> str:
    """Bring telegraphic and inverted phrases into the order of "the second largest ship in the upper left".

    Args:
        text: a referring expression without "please find" and the like.
    """
    for pattern, replacement in _REORDERED:
        text = pattern.sub(replacement, text)
    return text.strip()
