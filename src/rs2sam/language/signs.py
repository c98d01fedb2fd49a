"""A sentence in signs: one character for each word of place, for the image, and for "all others".

Rules that bring strangers' wordings into the usual ones are written in these signs: they stay short, and cheap to
compile. Names that only look like places ("the left bank") are out of their sight.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import TypeAlias

from rs2sam.language.words import CELL, EXTREME, IMAGE, PROTECTED, cell_of, plural_of

_FLAGS = re.IGNORECASE

IMAGE_SIGN = "\ue0ff"
ALL, NONE, ONE = "\ue0f0", "\ue0f1", "\ue0f2"
"""All the others; no other; just one other."""
OPPOSITE, SIDE_OF = "\ue0f8", "\ue0f9"
"""In a replacement, before the sign of a place: the place across from it; of an end of an order: the side it is at."""
C, SIDE, MIDDLE = "[\ue000-\ue03f\ue0c0-\ue0df]", "[\ue000-\ue01f]", "[\ue0c0-\ue0df]"
"""A place ("upper left", "middle"); one of the four sides; the middle."""
E, K = "[\ue040-\ue05f]", "[\ue080-\ue09f]"
"""An end of an order ("leftmost"); a name."""
_FIRST = {"side": 0xE000, "corner": 0xE020, "extreme": 0xE040, "name": 0xE080, "middle": 0xE0C0}
_ROOM = 32
_SIGNS = re.compile("[\ue000-\ue0ff]")

Rule: TypeAlias = tuple[str, str, str]
"""Words of which one must be there ("more|less"; nothing: always), a pattern, its replacement."""

KIN = (
    r"(?:others?|fellows?|companions?|neighbou?rs?|peers?|rivals?|competitors?|contenders?|siblings?|counterparts?|mates?"
    r"|brethren|relatives|kin|kind)"
)
"""What others of the same kind are called."""

PARTS = (
    r"(?:(?:most )?(?:sides?|parts?|portions?|sections?|corners?|areas?|regions?|zones?|quadrants?|quarters?|hal(?:f|ves)|thirds?"
    r"|edges?|margins?|borders?|ends?|places?|positions?|sectors?|segments?|strips?|bits?|boundary|boundaries|fringes?|rims?"
    r"|flanks?|limits?|extremit(?:y|ies)|reach(?:es)?|angles?|nooks?|bands?|belts?|perimeter|periphery|stretch(?:es)?|tips?"
    r"|hand|sweep|expanse|frame ?line|frame|brink|hemisphere|district|tract|space|lines?|sidelines?|wing of \ue0ff))"
)
"""What a picture is divided into."""
_EDGES = r"(?:edge|margin|border|side|boundary|boundarie|rim|limit|frame ?line|line)s?"

OF_IMAGE = rf"(?: (?:of|in|within|on|across|to) {IMAGE_SIGN})?"
AT_END = (
    r"(?=$|[,.;:?!]| (?:and|that|which|who|with|in|on|at|near|next|close|closest|nearest|beside|by|is|are|to|towards?|within"
    r"|furthest|farthest|having|under|underneath|below|beneath|above|from|whose|painted|among|for|as|than|alongside|adjacent"
    r"|facing|covering|measuring|taking|but|the (?:largest|smallest|one))\b)(?! (?:of|from|relative)\b)"
)

_KEPT = (
    r"(?:(?:fac(?:e|es|ing)|point|head(?!line)|orient|mov|lead|turn|bend|bent|curv|driv|sail|fly|flies|travel|cruis|taxi|approach|look|open|cross|pass|land"
    r"|dock|moor|anchor|berth|paint|colou?r|tint|burn|smok|connect|link|join|attach|cast|hold|carr|contain(?!ed)|surround|us(?:e|ing)|serv|slop|tilt|lean|angl|align"
    r"|tow(?!ard)|pull|enter|leav|flow|branch|veer|swerv|descen|ascen|climb|arriv|depart|return|drift|swim|walk|gaz|aim|stop|need|requir|want|damag|ruin"
    r"|destroy|break|broken|cover(?:ed)|load|filled|stack|fenc|wall|shad|includ|exclud|exceed|surpass|lack|miss|call|nam|label|work|spann|divid|separat|split"
    r"|neighbou?r|adjoin|flank(?!ed)|start|begin|emerg|originat|ring|bounded|shaped|sized|engined|built|grow|plant|cultivat)\w*"
    r"|(?:(?:extend|stretch|run)\w*(?= (?:to|towards?|from))|goes?|going|parks?|parking|owns?|owned|marks?|marked|has|have|having|had|is|are|was|were|do|does|be|it|they|he|she|we|you|i|one|the|an?|no|not|under|next|near|its?|this|that)\b)"
)
"""Verbs that say more than that something lies somewhere: what it does, looks like, or is turned to."""
_FINITE = (
    r"(?:line|hug|fill|crowd|dominate|occupy|skirt|fringe|touch|inhabit|populate|lie|sit|stand|cluster|gather|run|rest|fall|appear"
    r"|come|reach|belong|stay|keep|remain|extend|stretch|spread|dot|perch|hang|group|bunch|huddle|congregate|rank|show|live|end"
    r"|feature|take up|edge|nestle|press|push|hover|abut|drop|get|strays?|place)"
)
_NOUNS_IN_ING = (
    r"(?:building|crossing|mooring|dwelling|landing|parking|clearing|opening|swimming|railing|ceiling|awning|wing|ring|spring"
    r"|string|thing|housing|lighting|marking|shed|bed|seed|weed|reed|red|watershed|flowerbed|riverbed|speed|feed|during|king"
    r"|sibling|shopping|boarding|bowling|shipping)\b"
)
_LYING = (
    rf"(?!{_KEPT}|{_NOUNS_IN_ING})(?:\w{{2,}}(?:ing|ed)|set|lost|put|laid|found|seen|spread|strung|hung|caught|kept|stuck|flung|sunk"
    r"|strewn|shown|sown|thrown|hidden|driven|home|taken up)"
)
_ADVERBS = (
    r"(?:(?:just|right|only|all|still|most|somewhere|well|quite|rather|themselves|itself|practically|\w+ly|also) ){0,2}"
)
VERB = (
    rf"(?:(?:that|which|who) (?:(?:is|are|was|were|has|have|had|can|could|may|would|be|been|being|to) ){{0,3}}{_ADVERBS}"
    rf"(?:{_LYING}|(?!{_KEPT})(?:\w+s|{_FINITE}))"
    rf"|(?:(?:is|are|was|were|has been|have been|has|have|can be|may be|to be|being) )?{_ADVERBS}{_LYING})"
    r"(?: (?:itself|themselves|up|down|out|over|away|off|about|around|along|together|round|there|in(?= [\ue000-\ue07f]))){0,2}"
)
"""Anything said of where things lie, other than how they are turned or where they go."""


_MOST = re.compile(r"\b(?:most|far|extreme|very|utmost|outermost|furthest|farthest)\b[- ]?|[- ]?most$", _FLAGS)
_SMALL_WORDS = frozenset(
    map(plural_of, "in on at to of the that which is are has have lie with further one any all it".split())
)


class Signs:
    """A sentence, with signs for some of its words.

    Args:
        text: words one blank apart.
    """

    def __init__(self, text: str) -> None:
        self._words: dict[str, str] = {}
        self.text = self._with_signs("name", PROTECTED, text)

    def image_told(self) -> None:
        """Put the sign of the image for "the picture"."""
        self.text = re.sub(
            rf"(?<!\w)(?:the |this |that |my |your )(?!same ){_image()}", IMAGE_SIGN, self.text, flags=_FLAGS
        )
        self.text = re.sub(
            r"\b(of|in|within|across|on) (?:image|picture|photo|photograph|scene|frame|view|map|shot)(?=$|[ ,.?!])(?! of)",
            rf"\1 {IMAGE_SIGN}",
            self.text,
            flags=_FLAGS,
        )

    def others_told(self) -> None:
        """Put signs for "all the others", "no other", "just one other"."""
        for sign, pattern in _others():
            self.text = pattern.sub(lambda match, sign=sign: self._other(match, sign), self.text)  # type: ignore[misc]

    def _other(self, match: re.Match[str], sign: str) -> str:
        """A sign, unless it is another kind of thing that is spoken of."""
        kind = match.groupdict().get("kind")
        if not kind:
            return sign
        around = f"{match.string[: match.start()]} {match.string[match.end() :]}".lower()
        known = {plural_of(word) for word in re.findall(r"[\w-]+", around)} - _SMALL_WORDS | {"ones", "objects"}
        words = kind.split()
        same = next((n for n in range(len(words), 0, -1) if {plural_of(w.lower()) for w in words[:n]} <= known), 0)
        return " ".join([sign, *words[same:]]) if same else match[0]

    def places_told(self) -> None:
        """Put signs for words of place."""
        self.text = self._with_signs("extreme", _extreme(), self.text)
        self.text = self._with_signs("cell", _cell(), self.text)

    def _with_signs(self, kind: str, pattern: re.Pattern[str], text: str) -> str:
        """Put signs of one kind."""

        def sign(match: re.Match[str]) -> str:
            words = match[0].rstrip()
            found = cell_of(words) if kind == "cell" else None
            cell = found[0] if found else ""
            first = (
                _FIRST["middle" if cell == "center" else "corner" if " " in cell or not cell else "side"]
                if kind == "cell"
                else _FIRST[kind]
            )
            number = sum(ord(one) - first in range(_ROOM) for one in self._words)
            if number == _ROOM:
                return match[0]
            self._words[chr(first + number)] = words
            return chr(first + number) + match[0][len(words) :]

        return pattern.sub(sign, text)

    def __contains__(self, sign: str) -> bool:
        return sign in self._words

    def word(self, sign: str) -> str:
        """What a sign stands for."""
        return self._words[sign]

    def cell(self, sign: str) -> str | None:
        """The place that a sign names, or None."""
        found = cell_of(_MOST.sub("", self._words[sign]))
        return found[0] if found else None

    def restored(self) -> str:
        """The sentence in words."""
        text = re.sub(f"{OPPOSITE}({C})", lambda match: opposite(self._words[match[1]]), self.text)
        text = re.sub(f"{SIDE_OF}({E})", lambda match: _MOST.sub("", self._words[match[1]]), text)
        others = {IMAGE_SIGN: "the image", ALL: "all others", NONE: "no other", ONE: "only one other"}
        return _SIGNS.sub(lambda match: self._words.get(match[0]) or others.get(match[0], ""), text)


def has_signs(text: str) -> bool:
    """Whether a text has characters that are signs here."""
    return _SIGNS.search(text) is not None


def rewritten(text: str, rules: Iterable[Rule]) -> str:
    """Apply rules one after another."""
    for triggers, pattern, replacement in rules:
        if not triggers or any(trigger in text for trigger in triggers.split("|")):
            text = compiled(pattern).sub(replacement, text)
    return text


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern, compiled when it is first needed: most sentences need few."""
    return re.compile(pattern, _FLAGS)


_ACROSS = {
    "left": "right",
    "right": "left",
    "top": "bottom",
    "bottom": "top",
    "upper": "lower",
    "lower": "upper",
    "north": "south",
    "south": "north",
    "east": "west",
    "west": "east",
}


def opposite(words: str) -> str:
    """The place across from one."""
    return re.sub("|".join(_ACROSS), lambda match: _ACROSS[match[0].lower()], words, flags=_FLAGS)


@cache
def _image() -> str:
    return IMAGE.replace(r"\s+", " ").replace(r"\b(?!", r"(?!\w)(?!")


@cache
def _extreme() -> re.Pattern[str]:
    return re.compile(rf"\b{EXTREME}(?![\w-])", _FLAGS)


@cache
def _cell() -> re.Pattern[str]:
    right = r"(?<!the )(?<!far )(?<!upper )(?<!lower )(?<!top )(?<!bottom )(?<!extreme )(?<!to )right (?:up|out|down|over|along|at|against|on|in|after)\b"
    return re.compile(rf"(?<![\w-])(?!{right}){CELL}(?![\w’'])(?!-(?!hand))", _FLAGS)


@cache
def _others() -> tuple[tuple[str, re.Pattern[str]], ...]:
    quantified = r"(?:any|all|every|each|both)(?: (?:single )?ones?)?(?: of)?(?: (?:the|its|their|these|those))?"
    said_of = r"(?: of (?:its|their|the same) (?:kind|sort|type|class|number|fellows))?"
    here = r"(?: (?:there|here|present|around|in sight|on view|in view|\ue0ff)(?![\w]))?"
    kind = r"(?P<kind>[\w-]+(?: [\w-]+){0,2})"
    just = r"(?:exactly|only|just|merely|no more than|but)"
    patterns = (
        (ONE, rf"\b(?:{just} )?(?:one|a single) (?:single )?(?:other|further|more) {kind}"),
        (
            ONE,
            rf"\b(?:{just} )?(?:one|a single|a solitary|1) (?:other |further |more )?(?:{KIN}\b|of its (?:kind|sort)\b){said_of}",
        ),
        (ONE, rf"\b{just} (?:(?:one|a single)(?= (?:further|farther|more|lies|is|lying|to|above|below|beneath)\b))"),
        (ONE, rf"\b{just} (?:one|a single|1) {kind}"),
        (
            NONE,
            rf"\b(?:nothing|none|no one|nobody)(?: else| other)?(?: of (?:its|the same) (?:kind|sort|type)| of (?:the others|its {KIN}|the rest))?(?=\W|$)",
        ),
        (NONE, rf"\bno (?:single )?(?:other|further|more) {kind}"),
        (NONE, rf"\bno (?:single )?(?:other|further|more)(?: (?:ones?|of its kind|{KIN})\b)?(?! than)"),
        (NONE, rf"\bno {kind}"),
        (NONE, rf"\bno {KIN}\b"),
        (ALL, rf"\b(?:any|every|everything|anything|all)(?:thing)? else\b{said_of}{here}"),
        (ALL, rf"\b{quantified} (?:other|remaining|further) {kind}"),
        (
            ALL,
            rf"\b{quantified} (?:several |many |various |visible |remaining )?{KIN}(?: ones?)?\b{said_of}(?= |$|[,.?!'’]){here}",
        ),
        (
            ALL,
            rf"\b(?:{quantified} (?:the )?|the )(?:rest|remainder|others)(?: of (?:the|them|its|their|these|those)(?: (?:kind|sort|[\w-]+s))?)?\b{here}",
        ),
        (ALL, rf"\b{quantified.replace('(?: (?:the', '(?: (?:of|the')} others{here}"),
        (ALL, rf"(?<=than )(?:its|the|their) {KIN.replace('?', '')}\b{here}"),
    )
    return tuple((sign, re.compile(pattern, _FLAGS)) for sign, pattern in patterns)
