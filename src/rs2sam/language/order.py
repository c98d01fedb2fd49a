"""Orders of words that would hide what is asked for, brought into the usual one before anything else is read.

>>> usual_wording("the tank than which none is smaller")
'the tank that is the smallest'
>>> usual_order("of the two ships, the larger one")
'the larger of the two ships'
>>> usual_order("ship top left")
'ship in the top left'
"""

from __future__ import annotations

import re

from rs2sam.language.comparing import COMPARING, RELATION_RULES, SIZE_RULES, SIZE_WORDS
from rs2sam.language.counting import GROUP_RULES, counted, ranked_by_size
from rs2sam.language.frames import unmarked
from rs2sam.language.signs import Rule, Signs, compiled, has_signs, rewritten, table
from rs2sam.language.whereabouts import PLACE_RULES, PLACE_WORDS
from rs2sam.language.words import (
    CELL,
    COMPARATIVE,
    DIRECTION,
    EXTREME,
    HEIGHT,
    IMAGE,
    NUMBER,
    ORDINAL,
    PART,
    SIZE,
    number_of,
    plural_of,
)

_RANKING = rf"(?:(?:(?:{ORDINAL}|{NUMBER})[-\s]+)?(?:{SIZE}|{EXTREME}|{HEIGHT}|{COMPARATIVE}))"
_TOP_BY = rf"^((?:the\s+)?)top[-\s]+({NUMBER}\s+)([\w\s-]+?)\s+(?:by|in|in\s+terms\s+of)\s+"
_BY_SIZE = (
    r"\s+(?:by|in|in\s+terms\s+of|according\s+to)\s+(?:its\s+|their\s+|the\s+)?(?:surface\s+)?"
    r"(?:size|area|extent|footprint)\b"
)
_CORNER = (
    r"(?:(?:top|upper|bottom|lower|cent(?:er|re)|middle)[-\s]+(?:left|right|cent(?:er|re)|middle)|(?:left|right)[-\s]+(?:top|bottom"
    r"|upper|lower)|(?:north|south)[-\s]?(?:east|west))"
)
_REFERENCE_RULES: tuple[Rule, ...] = table(
    r"""
# "with the bridge as your reference, the tank north of it", "which, with reference to the bridge, is due east"
[it] ^(with|taking|using|having) @Y as (the |your |a |our )?(reference|landmark|starting point|base|anchor|origin|guide
    |point of reference)( point)?, (=the [\w-]+( [\w-]+)?) (=(just |directly |immediately )?.*(of|above|below|to|from)\
    )it$ => \2 \3 \1
[reference|respect|relative|relation|seen from] ,? (that|which)?,? ?(@REFER) @Y, (is |lies |sits )?(@VERB )?((due
    |directly|straight|just) )?((to|on|in) the )?(=@C)(wards?)?([- ]side)?$ => to the \2 of \1
[reached|looks|find|going|heading|travelling] ,? (that|which) ((can|could|may) be (reached|found|seen|located)
    |(one|you|we)\
    (can |would |will )?(finds?|reach(es)?|sees?|meets?|gets? to))( (by|if|when)( (one|you|we))?)? (going|looking|looks?
    |heading|goes?|head|travelling|moving|proceeding)( (straight|due|directly|just))* (=@C|above|below)(wards?)?\
    (from |of )?@Y$ => \1 of \2
""",
    COMPARING,
)
_ANCHOR_RULES: tuple[Rule, ...] = table(
    r"""
[that is] (=(nearest to|closest to|nearest|farthest from|@C of|above
    |below) )the (=[^,.;?!]{2,40}?) that is (the )?furthest (to )?(the )?(=@C)$ => \1the most \3 \2
[that is] (=(nearest to|closest to|nearest|farthest from|@C of|above|below) )the (=[^,.;?!]{2,40}?) that is (the )?
    (=@SUPERLATIVE|highest|lowest|@E)$ => \1the \3 \2
""",
    COMPARING,
)
"""In signs: what is said of the other object goes before it."""
_REORDERED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"^(?:(?:the|an?)\s+)?trio\s+of\s+", "the three "),
        # "upper left: the largest ship"
        (rf"^(?:the\s+)?({CELL}\s+{PART}(?:\s+(?:of|in)\s+{IMAGE})?|{CELL}),\s+(?=\w)", r"in the \1, "),
        (r"[\"“”«»]|(?<!\w)['‘](?=\w)|(?<=[a-rt-z])['’](?!\w)", ""),
        (r"\b(in|at)\s+the\s+(?:exact|dead|absolute|precise)\s+", r"\1 the "),
        (r"\bat\s+the\s+(?:foot|base)$", "at the bottom"),
        (r"\bat\s+the\s+head$", "at the top"),
        (r"\bhalf\s+way\b", "halfway"),
        (r"\b(closest|nearest|farthest|furthest)\s+ones?\s+(?=(?:to|from)\s)", r"\1 "),
        # "the second ship if you count from the left", "from the left, the second ship"
        (
            rf"\s+(?:along|in|count(?:ing|ed)|going|reading|starting|coming|comes|if\s+(?:you\s+count|counted)|when\s+(?:you\s+count"
            rf"|count(?:ing|ed)))\s+(?=from\s+(?:the\s+)?{DIRECTION}\b)",
            " ",
        ),
        (
            rf"^(?:(?:count(?:ing|ed)|starting|going)\s+)?from\s+(?:the\s+)?({DIRECTION})(?:\s+{PART})?,\s*"
            rf"((?:the\s+)?{ORDINAL}\s+[\w\s-]+)$",
            r"\2 from the \1",
        ),
        # "in the right half the largest ship"
        (
            rf"^((?:in|on|at|to|from|towards?)\s+(?:the\s+)?(?:{IMAGE}['’]s\s+)?{CELL}(?:\s+{PART})?(?:\s+(?:of|in)\s+{IMAGE})?)[\s,]+"
            r"(?=(?:the|all|both|every|each|show|find|give|mark|select)\s)",
            r"\1, ",
        ),
        (
            rf"\b(?:all\s+the\s+way|far|way)\s+(?:out\s+|over\s+|across\s+)?(?:to|on|at|in|towards?)\s+the\s+"
            rf"(?={DIRECTION}\b(?!(?:\s+{PART})?\s+(?:of|from)\s+(?!{IMAGE})))",
            "on the far ",
        ),
        (r"\ball\s+the\s+way\s+(?=(?:up|down)\b)", "furthest "),
        (r"\b(?:up\s+top|at\s+top)$", "at the top"),
        (r"(?:\b(?:number|no\.?|nr\.?)\s*|#)(?:two|2)\s+(?=(?:from|in|by)\b)", "second "),
        (r"(?:\b(?:number|no\.?|nr\.?)\s*|#)(?:three|3)\s+(?=(?:from|in|by)\b)", "third "),
        (r"(?:^|[\s,]+)by\s+far\b[\s,]*", " "),
        (rf"\bexactly\s+(?={NUMBER}\b)", ""),
        (rf"^(?:(?:the|an?)\s+)?group\s+of\s+(?={NUMBER}\b)", "the "),
        (rf"^((?:the\s+)?)(?:top|one|single|very)\s+(?=(?:{NUMBER}\s+)?{SIZE}\b)", r"\1"),
        # "top 3 tanks by size", "the top two ships by length"
        (
            rf"^((?:the\s+)?)top[-\s]+({NUMBER}\s+)([\w\s-]+?)\s+(?:by|in|in\s+terms\s+of)\s+(?:size|area)$",
            r"\1\2largest \3",
        ),
        (rf"{_TOP_BY}(?:size|area)$", r"\1\2largest \3"),
        (rf"{_TOP_BY}length$", r"\1\2longest \3"),
        (
            rf"\b({ORDINAL})\s+(?:furthest|farthest|most)\s+(left|right|top|bottom|upper|lower|north|south|east|west)(?:ern)?\s+",
            r"\1 \2most ",
        ),
        # "a bigger tank than the others", "which tank lies nearest to the pier"
        (rf"^(?:the|an?)\s+({COMPARATIVE})\s+([\w\s-]+?)\s+(?=than\s)", r"the \2 \1 "),
        (r"^which\s+(?!of\b|one\b)([\w\s-]+?)\s+(?:lies|sits|stands|appears|comes)\s+", r"the \1 that is "),
        (r"^which\s+(?!of\b|one\b)([\w\s-]+?)\s+(?=(?:covers|occupies|takes\s+up)\s)", r"the \1 that "),
        (rf"^((?:the\s+)?)({SIZE}|{EXTREME})\s+({NUMBER})\s+(?=of\b)", r"\1\3 \2 "),
        (rf"^(?:the\s+)?([\w\s-]+),\s+(?:the\s+)?({NUMBER}\s+(?:{SIZE}|{EXTREME}))$", r"the \2 \1"),
        # "the bottom two tanks", "the left three"
        (
            rf"^((?:the\s+)?)(left|right|top|bottom|upper|lower|(?:north|south|east|west)ern)\s+({NUMBER})\s+(?=\w)",
            r"\1\3 \2most ",
        ),
        (rf"^((?:the\s+)?{NUMBER}\s+)(left|right|top|bottom|upper|lower)\s+most\b", r"\1\2most"),
        # "the second tank by size", "the one that is second in size", "the biggest tank by area"
        (rf"\b({ORDINAL})\s+(?:one\s+)?((?!(?:from|largest|biggest|smallest)\b)[\w\s-]*?){_BY_SIZE}", r"\1 largest \2"),
        (rf"\b({ORDINAL})(?:\s+one)?{_BY_SIZE}", r"\1 largest"),
        (rf"\b((?:largest|biggest|smallest)(?!\s+(?:by|in)\b)[\w\s-]*?){_BY_SIZE}", r"\1"),
        (rf"\b(largest|biggest|smallest){_BY_SIZE}", r"\1"),
        (rf"\b({_RANKING})\s+ones?\s+(?=(?:of|among)\s)", r"\1 "),
        # "of all ships, the one closest to the pier"
        (
            r"^(?:(?:out\s+)?of|(?:from\s+)?among(?:st)?|from)\s+(?:all\s+)?(?:of\s+)?(?:(?:the|these|those)\s+)?([\w\s-]+?),?\s+the\s+"
            r"(?:one\s+(?=\w)|(?=(?:nearest|closest|farthest|furthest|most\s+distant)\s+(?:one\s+)?(?:to|from)\s))",
            r"the \1 the one ",
        ),
        # "which of the ships is the largest", "of the two ships, the larger one", "among the ships, the largest"
        (
            rf"^(?:(?:which\s+)?(?:one\s+)?(?:out\s+)?of|(?:from\s+)?among(?:st)?|from)\s+(?:all\s+)?(?:of\s+)?(?:(?:the|these|those)\s+)?([\w\s-]+?)"
            rf"(?:(?:\s+(?:is|are)|,)\s+(?:(?:just|only|show(?:\s+me)?|find|take|select|mark)\s+)?(?:the\s+)?|\s+the\s+)({_RANKING})(?:\s+ones?)?$",
            r"the \2 of the \1",
        ),
        (
            rf"^((?:the\s+)?{_RANKING}\s+[\w\s-]+?)\s+(?:out\s+of|of|among)\s+(?:(?:the|these|those)\s+{NUMBER}|(?:them\s+)?all|them)$",
            r"\1, the one",
        ),
        (
            r"^which\s+(?:one\s+)?of\s+(?:the|these|those)\s+([\w\s-]+?)\s+(?:is|lies|sits|stands|appears)\s+(?:the\s+)?(?=\w)",
            r"the \1 the one ",
        ),
        (
            rf"^of\s+((?:the|these|those)\s+{NUMBER}\s+[\w\s-]+?),?\s+the\s+(left|right|upper|lower|top|bottom)(?:[-\s]?hand)?\s+one$",
            r"the \2most of \1",
        ),
        # "the left of the two tanks", "the left tank of the two"
        (
            r"^(the\s+)(left|right|upper|lower|top|bottom)(?:[-\s]?hand)?\s+((?!ones?\b)[\w-]+(?:\s+[\w-]+)?)\s+of\s+(?:the|these)\s+two$",
            r"\1\2most \3",
        ),
        (
            rf"^(the\s+)(left|right|upper|lower|top|bottom|(?:north|south|east|west)ern)(?:[-\s]?hand)?(?:\s+one)?\s+of\s+"
            rf"(?=(?:the|these|those)\s+{NUMBER}\s)",
            r"\1\2most of ",
        ),
        # "ship top left", "plane, far right"
        (
            r"^((?:[\w'’-]+\s+){0,5}(?!(?:the|very|far|its|an?|at|in|on|to|of|from|by|near|towards?|and|or|with|is|are"
            r"|around|along|within|inside|extreme|utmost|outermost|found|\w+ed|(?!building|crossing|parking|landing|dwelling)\w+ing)\s)"
            rf"(?!{DIRECTION}\s)[\w-]+)[\s,]+"
            rf"({_CORNER}(?:\s+{PART})?|(?:{DIRECTION})\s+(?:side|half|part|edge|corner|third|border))$",
            r"\1 in the \2",
        ),
        (rf",\s*far\s+({DIRECTION})$", r" on the far \1"),
    )
)
_AFTER_NAMES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # "on the far right side of the center right area"
        (
            rf"\b({PART}|{DIRECTION})\s+of\s+(the\s+(?:{CELL}[-\s]+{PART}|cent(?:er|re)|middle)\b)(?!\s+of\b)",
            r"\1 in \2",
        ),
        (rf"^(all\s+{NUMBER}|both)\s+of\s+(?:these|those|the|them)\b", r"\1"),
        # "storage tank, upper right corner"
        (rf",\s*(?:the\s+)?({CELL}(?:[-\s]+{PART})?)$", r" in the \1"),
        (
            rf"^((?:the\s+)?)([\w\s-]+?)\s+({ORDINAL})\s+(nearest|closest|farthest|furthest)\s+(to|from)\s+",
            r"\1\3 \2 \4 \5 ",
        ),
        # "the nearest ship to the bridge"
        (
            rf"^((?:the\s+)?(?:(?:{ORDINAL}|{NUMBER})[-\s]+)?)(nearest|closest|farthest|furthest|most\s+(?:distant|remote))\s+"
            rf"((?!(?:to|from|{DIRECTION})\b)[\w\s-]+?)\s+(to|from)\s+",
            r"\1\3 \2 \4 ",
        ),
    )
)


# "the second largest of the four tanks" is "the second largest tanks", where one of them is meant.
OF_THEM = re.compile(
    rf"^((?:the\s+)?(?:(?:{ORDINAL}|{NUMBER})[-\s]+)?(?:{SIZE}|{EXTREME}|{HEIGHT}|{COMPARATIVE})\s+)(?:ones?\s+)?"
    rf"(?:(?:out\s+)?of|(?:from\s+)?among(?:st)?)\s+"
    rf"(?:(?:all|both)\s+(?:of\s+)?(?:(?:the|these|those)\s+)?|(?:the|these|those)\s+|(?=[\w-]+s$))(?:{NUMBER}\s+)?",
    re.IGNORECASE,
)


def usual_wording(text: str) -> str:
    """Say in the usual words what strangers say in many.

    Args:
        text: a referring expression without "please find" and the like.

    Returns:
        The expression; what no rule knows stays as it was.
    """
    text = unmarked(text)
    if has_signs(text):
        return text
    signs = Signs(rewritten(rewritten(rewritten(text, PLACE_WORDS), SIZE_WORDS), GROUP_RULES))
    signs.image_told()
    signs.others_told()
    signs.places_told()
    counted(signs)
    ranked_by_size(signs)
    for rules in (SIZE_RULES, _REFERENCE_RULES, RELATION_RULES, PLACE_RULES, _ANCHOR_RULES):
        signs.text = rewritten(signs.text, rules)
    return signs.restored()


def usual_order(text: str) -> str:
    """Bring telegraphic and inverted phrases into the order of "the second largest ship in the upper left".

    Args:
        text: a referring expression without "please find" and the like.
    """
    for pattern, replacement in _REORDERED:
        text = pattern.sub(replacement, text)
    return text.strip()


# "the left one of the two largest tanks": one order within another.
_PICKED = (
    rf"^(?:the\s+)?(?P<pick>{EXTREME}|{SIZE}|{COMPARATIVE}|{HEIGHT}|higher|{CELL})(?:\s+(?:ones?|(?P<noun>[\w-]+)))?"
    rf"\s+of\s+(?:the|these|those)\s+(?P<several>(?:{SIZE}\s+)?(?P<number>{NUMBER})\s.*)$"
)


def picked_of_several(text: str) -> tuple[str, str, int] | None:
    """Divide "the left one of the two largest tanks" into what picks one, "the two largest tanks", and their number.

    Args:
        text: a sentence in the usual order.

    Returns:
        The three, or None where it is no such sentence.
    """
    match = compiled(_PICKED).match(text) if re.search(r"\sof\s+(?:the|these|those)\s", text) else None
    if match is None:
        return None
    several, number = match["several"], match["number"]
    if match["noun"]:
        several = several.replace(number, f"{number} {plural_of(match['noun'])}", 1)
    return match["pick"].lower(), f"the {several}", number_of(number)


def after_names(text: str) -> str:
    """Bring phrases of place and distance into the usual order, once names ("the left bank of") are out of sight.

    Args:
        text: what `usual_order` gave.
    """
    for pattern, replacement in _AFTER_NAMES:
        text = pattern.sub(replacement, text)
    return text
