"""Patterns of the phrases that `reading` understands, in the order in which they are tried.

A phrase after the noun is read to its end: `END` must follow, so that a direction before a noun ("the left *bank*")
stays a part of a name.
"""

from __future__ import annotations

import re

from rs2sam.language.claims import Measure
from rs2sam.language.words import (
    CELL,
    COMPARATIVE,
    DIRECTION,
    END,
    EXTREME,
    HEIGHT,
    HOLE,
    IMAGE,
    NUMBER,
    ORDINAL,
    PART,
    SIZE,
)


def _compiled(*patterns: tuple[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern, re.IGNORECASE), kind) for pattern, kind in patterns)


# Words that only lead to a phrase and go with it.
GLUE = (
    r"(?:[\s,]+(?:and|also|both|that|which|is|are|that['’]s|which['’]s|it['’]s|located|situated|positioned|found|placed"
    r"|set|lying|lies|sits|sitting|standing|stands|seen|visible|parked|specifically|just|slightly|directly|the\s+one"
    r"|being|one|over|tucked|runs?(?=\s+along)|running(?=\s+along)|up(?=\s+(?:in|at|on))|down(?=\s+(?:in|at|on))))*"
)
_LEAD = rf"{GLUE}(?:^|[\s,]+)"
_OF_THE = rf"(?:\s+(?:of|in|within)\s+{IMAGE})?"
_SIZE = rf"(?:(?P<ordinal>{ORDINAL})[-\s]+)?(?P<size>{SIZE}|{COMPARATIVE})"
_EXTREME = rf"(?P<extreme>{EXTREME}|{HEIGHT})"
_THAN_OTHERS = r"than\s+(?:(?:any|all)(?:\s+(?:of\s+)?the)?\s+others?|the\s+(?:others?|rest)|any\s+other)"
_TO_THE = r"(?:away\s+)?(?:(?:to|towards?|from|at|in|on)\s+)?(?:the\s+)?"
_NOT_OF = r"(?!\s+(?:of|from|relative)\b)"

PLACE = re.compile(
    rf"{_LEAD}(?:(?:right\s+|close\s+)?(?:in|at|on|to|near|along|towards?|around|within|inside|from|by|of|occupying|into"
    r"|(?:that\s+)?fills?|bordering)\s+)"
    rf"(?:(?:the|its|a)\s+)?(?:{IMAGE}['’]s\s+)?(?:very\s+)?(?P<cell>{CELL}(?:\s+{DIRECTION})?)"
    rf"(?:[-\s]+{PART})?(?:\s+{PART})?{_OF_THE}{END}{_NOT_OF}",
    re.IGNORECASE,
)
"""A place in the scene after a noun, or before everything with a comma."""

HEAD_PHRASES = _compiled(
    (rf"\b(?P<ordinal>{ORDINAL})[-\s]+(?=\w)", "ordinal"),
    (rf"\b(?P<size>{SIZE}|{COMPARATIVE})\b(?:\s+visible\b)?(?=\W+\w)", "size"),
    (rf"\b{_EXTREME}\b(?:\s+visible\b)?(?=\W+\w)", "extreme"),
    (r"\b(?P<cell>centrally)[-\s]+(?:located|placed|situated)\b(?=\W+\w)", "cell"),
    (rf"\b(?P<cell>{CELL})\b(?=\W+\w)", "cell"),
    (rf"(?P<before>^(?:(?:all|the|those|these)\s+)*|{HOLE}\s*)(?P<number>{NUMBER}|both)\b(?=\s+[\w{HOLE}])", "number"),
)
"""What may stand before the noun."""

REST_PHRASES = _compiled(
    (
        rf"{_LEAD}(?:the\s+)?(?:(?P<ordinal>{ORDINAL})\s+(?:one\s+)?)?(?:counting\s+)?from\s+(?:the\s+)?(?P<cell>{DIRECTION})"
        rf"(?:\s+{PART})?{_OF_THE}{END}",
        "order",
    ),
    (
        rf"{_LEAD}(?:on|at|in|to)\s+the\s+(?:very|far|extreme|utmost)\s+(?P<extreme>{CELL})(?:\s+{PART})?{_OF_THE}{END}"
        rf"{_NOT_OF}",
        "extreme",
    ),
    (
        rf"{_LEAD}(?:lies\s+|bordering\s+)?(?:the\s+)?(?:most|farthest|furthest)\s+{_TO_THE}"
        rf"(?P<extreme>(?:{CELL}|up|down))(?:\s+{PART})?{_OF_THE}{END}{_NOT_OF}",
        "extreme",
    ),
    (
        rf"{_LEAD}(?:the\s+)?(?:closest|nearest)\s+(?:to\s+)?(?:the\s+)?(?P<extreme>{CELL})(?:\s+{PART})?{_OF_THE}{END}"
        rf"{_NOT_OF}",
        "extreme",
    ),
    (rf"{_LEAD}bordering\s+(?:the\s+)?(?P<extreme>{DIRECTION})\s+most\s+closely{END}", "extreme"),
    (
        rf"{_LEAD}(?:(?:at|in|on)\s+)?(?:the\s+)?{_EXTREME}(?:\s+(?:one|up|down|{PART}|point))?{_OF_THE}{END}{_NOT_OF}",
        "extreme",
    ),
    (rf"{_LEAD}(?:further|farther)\s+{_TO_THE}(?P<extreme>(?:{DIRECTION}|up|down))\s+{_THAN_OTHERS}{END}", "extreme"),
    (
        rf"{_LEAD}(?P<extreme>above|below|beneath|under)(?:neath)?\s+all\s+(?:of\s+)?(?:the\s+)?(?:rest|others){END}",
        "extreme",
    ),
    (
        rf"{_LEAD}with\s+no(?:thing|ne)(?:\s+of\s+its\s+kind)?\s+(?:further|farther)\s+{_TO_THE}"
        rf"(?P<extreme>{DIRECTION}|up|down){END}",
        "extreme",
    ),
    (
        rf"{_LEAD}(?:with\s+|of\s+)?(?:the\s+)?(?:(?P<ordinal>{ORDINAL})[-\s]+)?(?P<size>{SIZE}|least|most\s+modest)\s+"
        rf"(?:(?:surface\s+)?area|size|extent|footprint|length|surface){END}",
        "size",
    ),
    (rf"{_LEAD}{_SIZE}\s+{_THAN_OTHERS}{END}", "size"),
    (rf"{_LEAD}of\s+(?:the\s+)?(?P<size>(?:more|less)\s+size?able)\s+sort{END}", "size"),
    (
        rf"{_LEAD}(?:covering|occupying|taking\s+up|with)\s+(?:the\s+)?(?P<size>most|least)\s+(?:room|ground|space|area)"
        rf"{END}",
        "size",
    ),
    (
        rf"(?:{GLUE}[\s,]+(?:is|are|that['’]s|the)|,|{HOLE}|\bboth|\band)\s+(?:the\s+)?{_SIZE}(?:\s+ones?|\s+of\s+all"
        rf"|\s+in\s+(?:size|area))?{END}",
        "size",
    ),
    (
        rf"{_LEAD}(?:centrally(?:[-\s]+(?:located|placed|situated))?|(?:right\s+)?at\s+(?:the\s+)?heart"
        rf"(?:\s+of\s+{IMAGE})?|halfway\s+across\s+and\s+halfway\s+down){END}",
        "middle",
    ),
)
"""What may stand after the noun and needs no other object."""

_TWO_WAYS = (
    rf"(?:(?:{DIRECTION}|above|below)(?:[-\s]+(?:and\s+)?(?:to\s+the\s+)?(?:{DIRECTION}|above|below))?"
    rf"|(?:down|up)\s+and\s+to\s+the\s+{DIRECTION})"
)
_NO_IMAGE = rf"(?!{IMAGE})"
# Above and under these one is physically, not in the picture.
_NO_GROUND = r"(?!(?:the\s+)?(?:ground\b(?!\s+track)|sea\b|water\b))"
_NO_COVER = r"(?!(?:the\s+)?(?:\w+\s+)?(?:bridge|overpass|viaduct|canopy|roof|tree|cloud)s?\b)"

RELATIONS: tuple[tuple[re.Pattern[str], Measure | None], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), measure)  # type: ignore[misc]
    for pattern, measure in (
        (rf"{_LEAD}(?:the\s+)?(?:nearest|closest|least\s+distant)\s+(?:to\s+|from\s+)?{_NO_IMAGE}", "nearest"),
        (rf"{_LEAD}(?:with|at)\s+(?:the\s+)?(?:smallest|shortest|least)\s+distance\s+(?:to|from)\s+", "nearest"),
        (rf"{_LEAD}(?:farthest|furthest|most\s+distant|most\s+remote)\s+(?:away\s+)?from\s+{_NO_IMAGE}", "farthest"),
        (
            rf"{_LEAD}(?:with|at)\s+(?:the\s+)?(?:greatest|largest|longest)\s+(?:distance|remove)\s+(?:to|from)\s+",
            "farthest",
        ),
        (rf"{_LEAD}(?P<own>having)\s+(?P<landmark>.{{3,40}}?)\s+on\s+its\s+(?P<cell>{DIRECTION})\s+side", None),
        (rf"{_LEAD}to\s+(?P<landmark>the\s+[\w\s-]{{3,30}}?)['’]s\s+(?P<cell>{DIRECTION})\b", None),
        (
            rf"{_LEAD}(?:further\s+|farther\s+|higher\s+|lower\s+)?(?P<cell>higher|lower|down|up)(?:\s+(?:up|down))?"
            rf"(?:\s+(?:in\s+)?{IMAGE})?\s+than\s+",
            None,
        ),
        (
            rf"{_LEAD}(?:(?:to|on|at|towards?)\s+the\s+|(?:to|at|on)\s+|(?<!\bthe\s))(?P<cell>{_TWO_WAYS})"
            rf"(?:[-\s]+(?:side|direction|{PART}(?=\s+of\s+an?(?:other)?\b)))?\s+(?:of|from|relative\s+to)\s+{_NO_IMAGE}",
            None,
        ),
        (
            rf"{_LEAD}in\s+the\s+(?P<cell>{CELL})(?:\s+{PART}|\s+direction)?\s+(?:of|from)\s+(?=(?:an?|another)\b)",
            None,
        ),
        (
            rf"{_LEAD}(?:to\s+the\s+)?(?P<cell>(?:(?:left|right)\s+and\s+)?(?:above|below|(?:beneath|under(?:neath)?)"
            rf"(?=\s+{_NO_COVER})))\s+(?=(?:the|an?|another|its|that|those)\s){_NO_GROUND}",
            None,
        ),
    )
)
"""What leads to another object: by distance (a measure) or by direction (None)."""
