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
    r"(?:[\s,]+(?:and|also|both|that|which|is|are|that['’]s|which['’]s|it['’]s|(?:(?:to|can|could)\s+be\s+)?(?:found|seen)"
    r"|(?:you|we|i)\s+(?:can\s+)?(?:see|find)|located|situated|positioned|placed|set|lying|lies?|sits?|sitting|standing|stands?|appears?"
    r"|appearing|visible|parked|specifically|just|slightly|directly|immediately|straight|exactly|somewhere|mostly|roughly|well|way"
    r"|the\s+ones?|all|those|there|comes?|coming|being|one|over|tucked|runs?(?=\s+along)|running(?=\s+along)|up(?=\s+(?:in|at|on))|down(?=\s+(?:in|at|on))))*"
)
_LEAD = rf"{GLUE}(?:^|[\s,]+)"
_OF_THE = rf"(?:\s+(?:of|in|within|on)\s+{IMAGE})?"
_SIZE = rf"(?:(?P<ordinal>{ORDINAL})[-\s]+)?(?P<size>{SIZE}|{COMPARATIVE})"
_GROUND = r"(?:amount\s+of\s+)?(?:room|ground|space|area|land|surface|pixels)"
_EXTREME = rf"(?P<extreme>{EXTREME}|{HEIGHT})"
_THAN_OTHERS = (
    r"than\s+(?:(?:any|all|every|each)(?:\s+(?:of\s+)?(?:the|those|these))?\s+others?|the\s+(?:others?|rest)|any\s+other)"
    r"(?:\s+ones?|\s+(?!in\b|on\b|at\b)(?P<kind>\w+(?:\s+\w+)?))?"
)
_TO_THE = r"(?:(?:away|out|over|across|off)\s+)?(?:(?:to|towards?|from|at|in|on)\s+)?(?:the\s+)?"
_NOT_OF = r"(?!\s+(?:of|from|relative)\b)"

PLACE = re.compile(
    rf"{_LEAD}(?:(?:right\s+|close\s+)?(?:in|at|on|to|near|along|towards?|around|within|inside|from|by|of|occupying|into"
    rf"|(?:that\s+)?fills?|bordering|hugging|(?:next\s+to|touching|against|adjacent\s+to|beside)(?=\s+(?:the\s+)?{CELL}\s+(?:edge|border"
    rf"|margin|boundary)\b))\s+)(?:(?:the|a)\s+)?(?:{IMAGE}(?:['’]s)?\s+)?(?:very\s+)?(?P<cell>{CELL}(?:\s+{DIRECTION})?)"
    rf"(?:[-\s]+{PART})?(?:\s+{PART})?{_OF_THE}{END}{_NOT_OF}",
    re.IGNORECASE,
)
"""A place in the scene after a noun, or before everything with a comma."""

HEAD_PHRASES = _compiled(
    (rf"\b(?P<ordinal>{ORDINAL})[-\s]+(?=\w)", "ordinal"),
    (rf"\b(?P<size>{SIZE}|{COMPARATIVE})\b(?:[-\s]+(?:sized?|area)\b|\s+visible\b)?(?=\W+\w)", "size"),
    (rf"\b{_EXTREME}\b(?:\s+visible\b)?(?=\W+\w)", "extreme"),
    (r"\b(?P<cell>centrally)[-\s]+(?:located|placed|situated)\b(?=\W+\w)", "cell"),
    (rf"\b(?P<cell>{CELL})\b(?:[-\s]+(?:side|half|corner|part|edge|quadrant|third|section)\b)?(?=\W+\w)", "cell"),
    (rf"(?P<before>^(?:(?:all|the|those|these)\s+)*|{HOLE}\s*)(?P<number>{NUMBER}|both)\b(?=\s+[\w{HOLE}])", "number"),
)
"""What may stand before the noun."""

REST_PHRASES = _compiled(
    (
        rf"{_LEAD}(?:the\s+)?(?:(?P<ordinal>{ORDINAL})\s+(?:one\s+)?)?from\s+(?:the\s+)?(?P<cell>{DIRECTION})"
        rf"(?:\s+{PART})?{_OF_THE}{END}",
        "order",
    ),
    (
        rf"{_LEAD}(?:on|at|in|to|towards?)\s+(?:the\s+)?(?:very|far|extreme|utmost|outermost)\s+(?P<extreme>{CELL})(?:\s+{PART})?{_OF_THE}{END}"
        rf"{_NOT_OF}",
        "extreme",
    ),
    (
        rf"{_LEAD}(?:lies\s+|bordering\s+)?(?:the\s+)?(?:most|farthest|furthest|outermost|utmost)\s+{_TO_THE}"
        rf"(?P<extreme>(?:{CELL}|up|down))(?:\s+{PART})?{_OF_THE}{END}{_NOT_OF}",
        "extreme",
    ),
    (
        rf"{_LEAD}(?:the\s+)?(?:closest|nearest|most\s+near|most\s+close)\s+(?:to\s+)?(?:the\s+)?(?:{IMAGE}(?:['’]s)?\s+)?(?P<extreme>{CELL})(?:\s+{PART})?{_OF_THE}{END}"
        rf"{_NOT_OF}",
        "extreme",
    ),
    (rf"{_LEAD}bordering\s+(?:the\s+)?(?P<extreme>{DIRECTION})\s+most\s+closely{END}", "extreme"),
    (
        rf"{_LEAD}(?:(?:at|in|on)\s+)?(?:the\s+)?{_EXTREME}(?:\s+(?:one|up|down|placed|located|situated|lying|{PART}|point))?{_OF_THE}{END}{_NOT_OF}",
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
        rf"{_LEAD}(?:cover(?:ing|s)?|occup(?:ying|ies|y)|tak(?:ing|es|e)(?:\s+up)?|us(?:ing|es)|fill(?:ing|s)|with|having|has|have)\s+"
        rf"(?:the\s+)?(?P<size>most|least|{SIZE})\s+{_GROUND}{END}",
        "size",
    ),
    (
        rf"{_LEAD}(?:(?:with|of|having|has|have|in)\s+)?(?:the\s+)?(?:(?P<ordinal>{ORDINAL})[-\s]+)?(?P<size>{SIZE}|least|most\s+modest"
        rf"|max(?:imum|imal)?|min(?:imum|imal)?)\s+(?:(?:surface|ground)\s+)?(?:area|size|extent|footprint|length|surface|dimensions?){END}",
        "size",
    ),
    (rf"{_LEAD}{_SIZE}\s+{_THAN_OTHERS}{END}", "size"),
    (rf"{_LEAD}of\s+(?:the\s+)?(?P<size>(?:more|less)\s+size?able)\s+sort{END}", "size"),
    (rf"{_LEAD}whose\s+(?:surface\s+)?(?:area|size|footprint|extent|length)\s+is\s+(?:the\s+)?{_SIZE}{END}", "size"),
    (
        rf"(?:{GLUE}[\s,]+(?:is|are|that['’]s|being|the)|,|^(?=\s+{SIZE}\W*$)|{HOLE}|\bboth|\band)\s+(?:the\s+)?{_SIZE}(?:\s+ones?)?(?:\s+of\s+(?:them\s+)?all"
        rf"|\s+of\s+(?:them|these|those)|\s+in\s+(?:size|area))?{END}",
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
        (
            rf"{_LEAD}(?:the\s+)?(?:nearest|closest|least\s+(?:distant|far)|most\s+(?:near|close))\s+(?:to\s+|from\s+|by\s+)?{_NO_IMAGE}",
            "nearest",
        ),
        (
            rf"{_LEAD}(?:with|at|having)\s+(?:the\s+)?(?:smallest|shortest|least|minimum|minimal)\s+distance\s+(?:to|from)\s+",
            "nearest",
        ),
        (
            rf"{_LEAD}(?:farthest|furthest|most\s+(?:distant|remote|far)|least\s+(?:near|close))\s+(?:away\s+|off\s+|apart\s+)?(?:from|to)\s+{_NO_IMAGE}",
            "farthest",
        ),
        (
            rf"{_LEAD}(?:with|at|having)\s+(?:the\s+)?(?:greatest|largest|longest|biggest|maximum|maximal)\s+(?:distance|remove)\s+(?:to|from)\s+",
            "farthest",
        ),
        (
            rf"{_LEAD}(?P<own>having|has|have)\s+(?P<landmark>.{{3,40}}?)\s+(?:on|to|at)\s+(?:its|their)\s+(?P<cell>{DIRECTION})"
            rf"(?:\s+(?:side|edge))?{END}",
            None,
        ),
        (
            rf"{_LEAD}(?:to|on|at)\s+{_NO_IMAGE}(?P<landmark>the\s+[\w\s-]{{3,30}}?)['’]s\s+(?P<cell>{DIRECTION})\b(?:\s+side\b)?{END}",
            None,
        ),
        (
            rf"{_LEAD}(?:(?:further|farther|more|higher|lower)\s+(?:to\s+the\s+)?)?(?P<cell>higher|lower|down|up|{DIRECTION})(?:\s+(?:up|down))?"
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

OTHERS = re.compile(
    r"^(?:(?P<any>another|an?\s+(?:other|different|similar|second|smaller|larger|bigger|like)\b)|(?:(?:the|its|their)\s+)?"
    r"(?:other|fellow|twin|neighbou?r|counterpart|sibling)s?\b)",
    re.IGNORECASE,
)
# Whoever asks, and what a clause says, lie at no place in the picture that could be looked for.
NO_LANDMARK = re.compile(
    r"^(?:(?:the\s+)?(?:camera|viewer|observer|photographer|sensor|satellite|drone|reader|user)\W*$|(?:it|them|this|that|one|me|you|us|him|her|they|we|i|myself|yourself|itself|themselves|here|there|everything"
    r"|anything|nothing|each\s+other|one\s+another|to|from|by|of)\W*$|(?:my|your|our|his|her|their|where|what|which|who|how|when|mine)\b)",
    re.IGNORECASE,
)
LANDMARK_END = re.compile(
    r"[,;.?!\0]|\s+(?:that|which|who|in|on|at|near|next|and|is|are|close|beside|to|from|towards?|located|situated"
    r"|positioned|found)\b|$",
    re.IGNORECASE,
)
