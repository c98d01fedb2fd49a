"""A sentence in signs: one character for each word of place, for the image, and for "all others".

Rules that bring strangers' wordings into the usual ones are written in these signs: they stay short, and cheap to
compile. Names that only look like places ("the left bank") are out of their sight.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TypeAlias

from rs2sam.language.words import CELL, EXTREME, IMAGE, NOT_THE_SIDE, NUMBER, ORDINAL, PROTECTED, cell_of, plural_of

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

_GROUPED = re.compile(r"\((?!\?)")


def _pattern(text: str, known: Mapping[str, str]) -> str:
    """What is written short, as a pattern: `(` groups only, `(=` keeps, `@NAME` is one of those known."""
    text = _GROUPED.sub("(?:", text).replace("(?:=", "(")
    return re.sub(r"@([A-Z_]+)", lambda match: known[match[1]], text)


def _entries(text: str) -> Iterator[str]:
    """Lines, of which those that begin with blanks continue the one before; `#` begins a comment."""
    for entry in re.split(r"\n(?! )", text):
        if entry and not entry.startswith("#"):
            yield re.sub(r"\n +", "", re.sub(r"\\(?=\n)", r"\\ ", entry))


def sections(name: str) -> dict[str, str]:
    """Read a file of rules that lies beside this one.

    Args:
        name: of the file. `== title ==` begins a section; rules between `%NAME = one|two` and `%end` are meant once for
            each of these words.
    """
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    parts = re.split(r"^== (\w+) ==\n", text, flags=re.MULTILINE)
    several = re.compile(r"^((?:%\w+ = .*\n)+)((?:(?!%).*\n)*)%end\n", re.MULTILINE)
    return {title: several.sub(_each_of_several, part) for title, part in zip(parts[1::2], parts[2::2], strict=True)}


def _each_of_several(match: re.Match[str]) -> str:
    names = dict(line[1:].split(" = ", 1) for line in match[1].splitlines())
    tables = []
    for words in zip(*(one.split("|") for one in names.values()), strict=True):
        of = dict(zip(names, words, strict=True))
        tables.append(re.sub(rf"%({'|'.join(names)})\b", lambda m, of=of: of[m[1]], match[2]))
    return "".join(tables)


def listed(text: str, known: Mapping[str, str]) -> tuple[str, ...]:
    """Read patterns without names.

    Args:
        text: lines, see `table`.
        known: see there.
    """
    return tuple(_pattern(entry, known) for entry in _entries(text.strip("\n")))


def named(text: str, known: Mapping[str, str]) -> dict[str, str]:
    """Read patterns that have names.

    Args:
        text: lines `NAME = pattern`, see `table`.
        known: patterns that may be used in them.

    Returns:
        These and the known ones.
    """
    found = dict(known)
    for entry in _entries(text):
        name, _, pattern = entry.partition(" = ")
        found[name] = _pattern(pattern, found)
    return found


def table(text: str, known: Mapping[str, str]) -> tuple[Rule, ...]:
    r"""Read rules.

    Args:
        text: lines `[words] pattern => replacement`; of the words, one must be there for the rule to be tried. In a
            pattern `(` groups only, `(=` keeps for `\1`, `@NAME` is one of the known patterns, `\ ` a blank at an end.
            Blanks around what was replaced need no care.
        known: patterns by name.
    """
    rules = []
    for entry in _entries(text):
        triggers, rest = re.fullmatch(r"(?:\[(.*?)\] )?(.*)", entry).groups("")  # type: ignore[union-attr]
        pattern, _, replacement = rest.partition("=>")
        rules.append(
            (
                _pattern(triggers, known),
                _pattern(re.sub(r"(?<!\\) $", "", pattern), known),
                _pattern(replacement.strip(), known),
            )
        )
    return tuple(rules)


BLOCKS = named(
    r"""
# what others of the same kind are called; what a picture is divided into; what may follow a place
KIN = (others?|fellows?|companions?|neighbou?rs?|peers?|rivals?|competitors?|contenders?|siblings?|counterparts?
    |mates?|brethren|relatives|kin|kind)
PARTS = ((most )?(sides?|parts?|portions?|sections?|corners?|areas?|regions?|zones?|quadrants?|quarters?|hal(f|ves)
    |thirds?|edges?|margins?|borders?|ends?|places?|positions?|sectors?|segments?|strips?|bits?|boundary|boundaries
    |fringes?|rims?|flanks?|limits?|extremit(y|ies)|reach(es)?|angles?|nooks?|bands?|belts?|perimeter|periphery
    |stretch(es)?|tips?|hand|sweep|expanse|frame ?line|frame|brink|hemisphere))
OF_IMAGE = ( (of|in|within|on|across|to) @IMAGE_SIGN)?
AT_END = (?=$|[,.;:?!]| (and|that|which|who|with|in|on|at|near|next|close|closest|nearest|beside|by|is|are|to
    |towards?|within|furthest|farthest|having|under|underneath|below|beneath|above|from|whose|painted|among|for|as
    |than|alongside|adjacent|facing|covering|measuring|taking|but|the (largest|smallest|one))\b)(?! (of|from
    |relative)\b)
# verbs that say more than that something lies somewhere: what it does, looks like, or is turned to
KEPT = ((fac(e|es|ing)|point|head(?!line)|orient|mov|lead|turn|bend|bent|curv|driv|sail|fly|flies|travel|cruis|taxi
    |approach|look|open|cross|pass|land|dock|moor|anchor|berth|paint|colou?r|tint|burn|smok|connect|link|join
    |attach|cast|hold|carr|contain(?!ed)|surround|us(e|ing)|serv|slop|tilt|lean|angl|align|tow(?!ard)|pull|enter
    |leav|flow|branch|veer|swerv|descen|ascen|climb|arriv|depart|return|drift|swim|walk|gaz|aim|stop|need|requir
    |want|damag|ruin|destroy|break|broken|cover(ed)|load|filled|stack|fenc|wall|shad|includ|exclud|exceed|surpass
    |lack|miss|call|nam|label|work|spann|divid|separat|split|neighbou?r|adjoin|flank(?!ed)|start|begin|emerg
    |originat|ring|bounded|shaped|sized|engined|built|grow|plant|cultivat|graz|unload|queu|wait|flood|plough|plow
    |harvest|abandon|collaps|demolish|empt|irrigat|mow|rac(ed|ing)|fish|sunbath|play|undergo|refuel|board|revers
    |sink|sunken|submerg|tarp|roof|glaz|til(ed|ing)|thatch|lit\b|striped|number|operat|designed|intend|ris(es|ing)
    |steam|idl|construct|renovat|repair|pav(ed|ing)|dried|drying|frozen|freez|melt|erod|bombed|crash|overturn|wreck
    |rust|decorat|equip|arm(ed|ing)|protect|guard|rent|lock|tied|tether|attract|feed|produc|generat|cool|heat|stor
    |process|transport|deliver|launch|train|chas|follow|escort|overtak)\w*|((extend|stretch|run)\w*(?= (to|towards?
    |from))|goes?|going|parks?|parking|owns?|owned|marks?|marked|has|have|having|had|is|are|was|were|do|does|be|it
    |they|he|she|we|you|i|one|the|an?|no|not|under|next|near|its?|this|that)\b)
FINITE = (line|hug|fill|crowd|dominate|occupy|skirt|fringe|touch|inhabit|populate|lie|sit|stand|cluster|gather|run
    |rest|fall|appear|come|reach|belong|stay|keep|remain|extend|stretch|spread|dot|perch|hang|group|bunch|huddle
    |congregate|rank|show|live|end|feature|take up|edge|nestle|press|push|hover|abut|drop|get|strays?|place)
NOUNS_IN_ING = (building|crossing|mooring|dwelling|landing|parking|clearing|opening|swimming|railing|ceiling|awning
    |wing|ring|spring|string|thing|housing|lighting|marking|shed|bed|seed|weed|reed|red|watershed|flowerbed
    |riverbed|speed|feed|during|king|sibling|shopping|boarding|bowling|shipping)\b
LYING = (?!@KEPT|@NOUNS_IN_ING)(\w{2,}(ing|ed)|set|lost|put|laid|found|seen|spread|strung|hung|caught|kept|stuck
    |flung|sunk|strewn|sat|stood|shown|sown|thrown|hidden|driven|home|taken up)
ADVERBS = ((just|right|only|all|still|most|somewhere|well|quite|rather|themselves|itself|practically|\w+ly
    |also) ){0,2}
# anything said of where things lie
VERB = ((that|which|who) ((is|are|was|were|has|have|had|can|could|may|would|be|been|being|to) ){0,3}@ADVERBS(@LYING
    |(?!@KEPT)(\w+s|@FINITE))|((is|are|was|were|has been|have been|has|have|can be|may be|to be|being) )?@ADVERBS
    @LYING)( (itself|themselves|up|down|out|over|away|off|about|around|along|together|round|there|in
    (?= [\ue000-\ue05f]))){0,2}
""",
    {
        "C": C,
        "E": E,
        "SIDE": SIDE,
        "MIDDLE": MIDDLE,
        "ALL": ALL,
        "NONE": NONE,
        "ONE": ONE,
        "IMAGE_SIGN": IMAGE_SIGN,
        "OPPOSITE": OPPOSITE,
        "SIDE_OF": SIDE_OF,
        "NUMBER": NUMBER,
        "ORDINAL": ORDINAL,
        "EXTREME": EXTREME,
    },
)

_SMALL_WORDS = frozenset(
    map(
        plural_of,
        (
            "in",
            "on",
            "at",
            "to",
            "of",
            "the",
            "that",
            "which",
            "is",
            "are",
            "has",
            "have",
            "lie",
            "with",
            "further",
            "it",
        ),
    )
)


_OTHER_WORDS = re.compile(
    r"\b(?:others?|rest|remain\w*|else|no|none|nothing|nobody|one|single|all|any|every|each|fellow|companion|neighbou?r|peer"
    r"|than)",
    _FLAGS,
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
            r"\b(of|in|within|across|on) (?:image|picture|photo|photograph|scene|frame|view|map|shot)(?=$|[ ,.?!])"
            r"(?! of)",
            rf"\1 {IMAGE_SIGN}",
            self.text,
            flags=_FLAGS,
        )

    def others_told(self) -> None:
        """Put signs for "all the others", "no other", "just one other"."""
        if not _OTHER_WORDS.search(self.text):
            return
        for _, pattern, sign in _OTHER_RULES:
            self.text = compiled(pattern).sub(partial(self._other, sign), self.text)

    def _other(self, sign: str, match: re.Match[str]) -> str:
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
        found = cell_of(NOT_THE_SIDE.sub("", self._words[sign]))
        return found[0] if found else None

    def restored(self) -> str:
        """The sentence in words."""
        text = re.sub(f"{OPPOSITE}({C})", lambda match: opposite(self._words[match[1]]), self.text)
        text = re.sub(f"{SIDE_OF}({E})", lambda match: NOT_THE_SIDE.sub("", self._words[match[1]]), text)
        others = {IMAGE_SIGN: "the image", ALL: "all others", NONE: "no other", ONE: "only one other"}
        return _SIGNS.sub(lambda match: self._words.get(match[0]) or others.get(match[0], ""), text)


def has_signs(text: str) -> bool:
    """Whether a text has characters that are signs here."""
    return _SIGNS.search(text) is not None


def rewritten(text: str, rules: Iterable[Rule]) -> str:
    """Apply rules one after another."""
    lowered = text.lower()
    for triggers, pattern, replacement in rules:
        if not triggers or any(trigger in lowered for trigger in triggers.split("|")):
            found, count = compiled(pattern).subn(f" {replacement} ", text)
            if count:
                text = " ".join(found.split()).replace(" ,", ",")
                lowered = text.lower()
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
    before = "".join(f"(?<!{word} )" for word in ("the", "far", "upper", "lower", "top", "bottom", "extreme", "to"))
    right = rf"{before}right (?:up|out|down|over|along|at|against|on|in|after)\b"  # "right at the edge"
    return re.compile(rf"(?<![\w-])(?!{right}){CELL}(?![\w’'])(?!-(?!hand))", _FLAGS)


_OTHERS = named(
    r"""
QUANTIFIED = (any|all|every|each|both)( (single )?ones?)?( of)?( (the|its|their|these|those))?
SAID_OF = ( of (its|their|the same) (kind|sort|type|class|number|fellows))?
HERE = ( (there|here|present|around|in sight|on view|in view|\ue0ff)(?![\w]))?
THING = (?P<kind>[\w-]+( [\w-]+){0,2})
JUST = (exactly|only|just|merely|no more than|but)
""",
    BLOCKS,
)
_OTHER_RULES = table(
    r"""
\b(@JUST )?(one|a single) (single )?(other|further|more) @THING => @ONE
\b(@JUST )?(one|a single|a solitary|1) (other |further |more )?(@KIN\b|of its (kind|sort)\b)@SAID_OF => @ONE
\b@JUST ((one|a single)(?= (further|farther|more|lies|is|lying|to|above|below|beneath)\b)) => @ONE
(?<=with )(one|a single) @THING(?= (to|on|above|below|beneath|further|farther|in|larger|bigger|smaller|lying)\b)
    => @ONE
(?<!all )\b@JUST (one|a single one)(?=$|[,.]) => @ONE
\b@JUST (one|a single|1) @THING => @ONE
\b(nothing|none|no one|nobody)( else| other)?( of (its|the same) (kind|sort|type)| of (the others|its @KIN
    |the rest))?(?=\W|$) => @NONE
\bno (single )?(other|further|more) @THING => @NONE
\bno (single )?(other|further|more)( (ones?|of its kind|@KIN)\b)?(?! than) => @NONE
\bno @THING => @NONE
\bno @KIN\b => @NONE
\b(any|every|everything|anything|all)(thing)? else\b@SAID_OF@HERE => @ALL
\b@QUANTIFIED (other|remaining|further) @THING => @ALL
\b@QUANTIFIED (several |many |various |visible |remaining )?@KIN( ones?)?\b@SAID_OF(?= |$|[,.?!'’])@HERE => @ALL
\ue0f1 ((in|on|within|across|of|inside) \ue0ff|here|around|in sight|present)(?=\W|$) => @NONE
\b(@QUANTIFIED (the )?|the )(rest|remainder|others)( of (the|them|its|their|these|those)( (kind|sort|[\w-]+s))?)?\b
    @HERE => @ALL
(?<=than )(its|the|their) (others|fellows|companions|neighbou?rs|peers|rivals|competitors|siblings|counterparts
    |mates)\b@HERE => @ALL
""",
    _OTHERS,
)
