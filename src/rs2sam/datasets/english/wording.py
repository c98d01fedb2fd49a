"""What turning and mirroring an image does to a sentence about it: "the ship on the left" becomes "... on the right".

A sentence that came with its image can only be kept true by changing its words. English words for directions are found
by rules, most specific first, each of which knows what becomes of its words. What looks like a direction and is claimed
by no rule, or has no word for where it would end up, makes the turn impossible for that sentence: `reword` returns
None, and None also when turning the result back does not restore the sentence to the letter. Refusing costs some
variety; a false sentence teaches an error.

Compass words are taken as words about the picture, north at its top: in a turned picture they turn with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

ScalarT = TypeVar("ScalarT", bound=np.generic)

# Directions are numbered counter-clockwise from the top, as `np.rot90` turns.
_UP, _LEFT, _DOWN, _RIGHT = range(4)
_TOP, _UPPER, _SIDEWAYS = ("top", "bottom"), ("upper", "lower"), ("left", "right")
_SIDES = {"top": _UP, "upper": _UP, "left": _LEFT, "bottom": _DOWN, "lower": _DOWN, "right": _RIGHT}
_POINTS = {"n": "north", "w": "west", "s": "south", "e": "east"}
_WINDS = ("n", "nw", "w", "sw", "s", "se", "e", "ne")


@dataclass(frozen=True)
class Turn:
    """One of the eight ways to lay a picture: quarter turns counter-clockwise, then a mirroring left to right.

    Args:
        quarter_turns: number of quarter turns; any integer, kept modulo 4.
        mirror: whether left and right are exchanged afterwards.
    """

    quarter_turns: int = 0
    mirror: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "quarter_turns", self.quarter_turns % 4)

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return self == Turn()

    @property
    def swaps_axes(self) -> bool:
        """Whether what was horizontal becomes vertical."""
        return self.quarter_turns % 2 == 1

    @property
    def inverse(self) -> Turn:
        """The turn that undoes this one."""
        return self if self.mirror else Turn(-self.quarter_turns)

    def direction(self, index: int, count: int = 4) -> int:
        """Return where a direction ends up; `count` directions are numbered counter-clockwise from the top."""
        turned = index + self.quarter_turns * (count // 4)
        return (-turned if self.mirror else turned) % count

    def apply(self, array: NDArray[ScalarT]) -> NDArray[ScalarT]:
        """Turn an image or a mask, (H, W) or (H, W, C)."""
        turned = np.rot90(array, self.quarter_turns)
        return np.ascontiguousarray(turned[:, ::-1] if self.mirror else turned)


FLIP_LEFT_RIGHT = Turn(0, mirror=True)
FLIP_UP_DOWN = Turn(2, mirror=True)


def reword(sentence: str, turn: Turn) -> str | None:
    """Say of a turned image what the sentence says of the image as it was.

    Args:
        sentence: an English referring expression.
        turn: what is done to the image.

    Returns:
        The sentence with its direction words changed; capitals, hyphens and punctuation stay. The sentence itself where
        it has no direction words. None where it cannot be said safely: do not turn the image then.
    """
    if turn.is_identity:
        return sentence
    turned = _reword_once(sentence, turn)
    if turned is None or _reword_once(turned, turn.inverse) != sentence:
        return None
    return turned


Rewording: TypeAlias = Callable[[str, Turn], "str | None"]
"""What becomes of the words that a rule has found; None where the turn is not possible."""


class _Rule(NamedTuple):
    """Words and what becomes of them; of the pattern's match only the group `dir` is meant, or all if it has none."""

    pattern: re.Pattern[str]
    rewording: Rewording


def _reword_once(sentence: str, turn: Turn) -> str | None:
    """Apply the rules; words claimed by one are left alone by those after it."""
    if re.search(r"[^\W\d_a-zA-Z]", sentence) or (turn.swaps_axes and _ENUMERATED_CORNERS.search(sentence)):
        return None
    is_claimed = [False] * len(sentence)
    changes: list[tuple[int, int, str]] = []
    for pattern, rewording in _RULES_AT_CROSSINGS if _CROSSING.search(sentence) else _RULES:
        for match in pattern.finditer(sentence):
            start, end = match.span("dir") if "dir" in pattern.groupindex else match.span()
            if any(is_claimed[start:end]):
                continue
            is_claimed[start:end] = [True] * (end - start)
            changed = rewording(sentence[start:end], turn)
            if changed is None:
                return None
            changes.append((start, end, changed))
    for start, end, changed in sorted(changes, reverse=True):
        before = sentence[:start]
        if changed != sentence[start:end]:
            before = _ARTICLE.sub(r"\1n" if changed[0] in "aeuAEU" else r"\1", before)
        sentence = before + changed + sentence[end:]
    return sentence


def _as_written(word: str, model: str) -> str | None:
    """Write a word with the capitals of another; None where those follow no simple rule."""
    for write in (str.lower, str.capitalize, str.upper):
        if write(model) == model:
            return write(word)
    return None


def _forms(up: str | None, left: str | None, down: str | None, right: str | None) -> Rewording:
    """Words that stand for the four directions in one manner of speaking; None where it has no word."""
    forms = (up, left, down, right)

    def rewording(text: str, turn: Turn) -> str | None:
        index = forms.index(text.lower())
        new = turn.direction(index)
        form = forms[new]
        return text if new == index else None if form is None else _as_written(form, text)

    return rewording


def _held(*directions: int) -> Rewording:
    """Words that stay true only if the turn leaves these directions where they are."""
    return lambda text, turn: text if all(turn.direction(d) == d for d in directions) else None


def _unchanged(text: str, turn: Turn) -> str | None:
    """Words that look like a direction and are none."""
    return text


def _axis(text: str, turn: Turn) -> str | None:
    """Words for an axis without a word for the other one: what stands upright is "vertical" as well."""
    return None if turn.swaps_axes else text


def _handed(text: str, turn: Turn) -> str | None:
    """Left or right as a driver on the ground might mean it: both readings agree only on exchanging the two."""
    return _chiral(text, turn) if turn == FLIP_LEFT_RIGHT else None


def _chiral(text: str, turn: Turn) -> str | None:
    """A sense of rotation: every mirroring reverses it, no turning does."""
    pairs = {"clockwise": "counterclockwise", "left": "right"}
    pairs |= {new: old for old, new in pairs.items()}
    if not turn.mirror:
        return text
    return _as_written(pairs[text.lower()], text) if text.lower() in pairs else None


def _corner(text: str, turn: Turn) -> str | None:
    """Two words side by side, in either order, for a corner: each place keeps its manner of speaking."""
    pieces = re.split("(upper|lower|top|bottom|left|right)", text, flags=re.IGNORECASE)  # "", word, between, word, ""
    turned = {turn.direction(_SIDES[word.lower()]) for word in pieces[1::2]}
    for place in (1, 3):
        word = pieces[place].lower()
        pair = next(pair for pair in (_TOP, _UPPER, _SIDEWAYS) if word in pair)
        written = _as_written(pair[0 if turned & {_LEFT if pair is _SIDEWAYS else _UP} else 1], pieces[place])
        if written is None:
            return None
        pieces[place] = written
    return "".join(pieces)


def _compass(text: str, turn: Turn) -> str | None:
    """A point of the compass: "north", "North-East", "southwest"; or its letters, "NE"."""
    pieces = re.split("(north|south|east|west)" if len(text) > 2 else "(n|s|e|w)", text, flags=re.IGNORECASE)
    old = "".join(piece[0].lower() for piece in pieces[1::2])
    new = _WINDS[turn.direction(_WINDS.index(old), count=len(_WINDS))]
    for place, letter in zip(range(1, len(pieces), 2), new, strict=True):
        written = _as_written(letter if len(text) == 2 else _POINTS[letter], pieces[place])
        if written is None:
            return None
        pieces[place] = written
    return "".join(pieces)


def _compass_axis(text: str, turn: Turn) -> str | None:
    """Two opposite points, "north-south": flips leave it, a quarter turn makes it "east-west"."""
    if not turn.swaps_axes:
        return text
    exchanged = {"north": "east", "south": "west", "east": "north", "west": "south"}
    first, between, second = re.split(r"(\W)", text)
    words = [_as_written(exchanged[word.lower()], word) for word in (first, second)]
    return None if words[0] is None or words[1] is None else f"{words[0]}{between}{words[1]}"


def _rules(*table: tuple[str, Rewording]) -> tuple[_Rule, ...]:
    """Compile a table of patterns, which are read without regard to capitals."""
    return tuple(_Rule(re.compile(pattern, re.IGNORECASE), rewording) for pattern, rewording in table)


_ADJECTIVE = _forms("top", "left", "bottom", "right")
_HAND = _forms("upper", "left-hand", "lower", "right-hand")
_AT = _forms("at the top", "on the left", "at the bottom", "on the right")
_BESIDE = _forms("above", "to the left of", "below", "to the right of")
_HEADING = _forms("up", "left", "down", "right")
_ONLY_FLIPPED = {
    "sideways": _forms(None, "left", None, "right"),
    "upright": _forms("upper", None, "lower", None),
    "beside": _forms("above", None, "below", None),
}
_IMAGE = r"(?:the|this) (?:whole |entire |aerial |satellite )?(?:image|picture|photo|photograph|scene|frame|map)\b"
_DETERMINER = r"(?:the|a|an|another|its|this|that|these|those|one|two|three|four|some|other|all|both)\b"
_PLACE = (
    r"(?:center|centre|central|middle|edge|side|half|part|portion|section|corner|area|region|third|quarter|quadrant|end"
    r"|border|margin|zone|boundary|one)s?\b"
)
_SIDE = r"\b(?P<dir>top|left|bottom|right)\b"
_CLAUSE_ENDS = (
    rf"\s*(?:$|[.,;)]| of {_IMAGE}| (?:in|and|or|but|near|with|is|are|was|that|which|who|next|close|where)\b)"
)
_UPRIGHT = "(?:upper|lower|top|bottom)"
_SIDEWARD = "(?:left|right)"
_AND = r"\W*(?:and|or|,|/)\W*(?:the )?"
_STOREY = r"(?:levels?|floors?|decks?|storeys?|story|stories|terraces?|surfaces?|layers?|reaches|class)\b"
_ORDINAL = r"(?:first|second|third|fourth|fifth|last|former|latter)\b"
_TURNING = r"(?:turn|curv|bend|veer|swerv|fork|branch|bear)(?:e?s|ed|ing|e)?"
_HEADED = r"\b(?:facing|faces|pointing|points|pointed|heading|heads|headed|moving|moves|oriented|directed|nose)"
# After these words "right" may be the side; after others "right beside" only says how near.
_NO_SIDE = (
    r"(?<!\bthe )(?<!\bto )(?<!\bat )(?<!\band )(?<!est )(?<!far )(?<!er )(?<!treme )(?<!ing )(?<!middle )(?<!centre )"
)
_NEARNESS = (
    r"(?:next|beside|behind|by|where|there|here|adjacent|alongside|against|outside|inside|opposite|between|now|away)"
)
_VERTICAL_WORDS = (
    r"\b(?:top|bottom|upper|lower|up|down|above|below|under|underneath|beneath|over|atop|upwards?|downwards?|upmost"
    r"|topmost|bottommost|uppermost|lowermost|highest|higher|lowest|front|behind|ahead|back|rear|foreground|background)\b"
)

_STATE = r"(?:behind|over|open|empty|bare|fallow|intact|alone|vacant|un\w+ed)"
_DONE = (
    "(?:made|makes?|making|lin(?:e|es|ed|ing)|built|set|close|piled|mixed|dried|fenced|grown|washed"
    "|run|broken|worn|slows?|torn|burn(?:ed|t)|fallen)"
)

_ARTICLE = re.compile(r"\b([aA])n?(?= $)")
# Bridges are over rivers, and clouds above forests, whichever way the picture lies.
_CROSSING = re.compile(
    r"\b(?:bridge|overpass|viaduct|flyover|tunnel|underpass|crosse?s|crossing|spans?|spanning|cloud|platform|ceiling"
    r"|canopy|(?:bill)?board)",
    re.IGNORECASE,
)
_GROUND = (
    r"(?:the )?(?:\w+ ){0,2}(?:ground|grass|grassland|lawn|land|sand|field of|forest|water|sea|river|roads?|street"
    r"|tracks?|rails?|railways?)\b"
)
# "Upper and lower left" are two corners, but only one is written in full.
_ENUMERATED_CORNERS = re.compile(
    rf"\b{_UPRIGHT}{_AND}{_UPRIGHT}[- ]?{_SIDEWARD}|\b{_UPRIGHT}[- ]?{_SIDEWARD}{_AND}{_SIDEWARD}"
    rf"|\b{_SIDEWARD}{_AND}{_SIDEWARD}[- ]?{_UPRIGHT}|\b{_SIDEWARD}[- ]?{_UPRIGHT}{_AND}{_UPRIGHT}\b",
    re.IGNORECASE,
)

_RULES = _rules(
    # Corners.
    (rf"\b{_UPRIGHT}[- ]?(?:left|right)\b", _corner),
    (rf"\b(?:left|right)(?:-hand)?[- ]?{_UPRIGHT}\b(?![- ]?most)", _corner),
    # No directions, though they look like some.
    (r"\bright[- ](?:angle[sd]?|triangles?|of[- ]way)\b", _unchanged),
    (rf"{_NO_SIDE}\b(?P<dir>right) {_NEARNESS}\b", _unchanged),
    (rf"{_NO_SIDE}\b(?P<dir>left behind)\b(?! {_DETERMINER})", _unchanged),
    (rf"{_NO_SIDE}\b(?P<dir>left) {_STATE}\b", _unchanged),
    (rf"\b{_DONE}[- ](?P<dir>up|down)\b", _unchanged),
    (rf"\bon top of (?!{_IMAGE})|\btop[- ](?:view|down)|\b(?:from|viewed) above\b", _unchanged),
    (r"\bunder construction|\ball over\b|\bover there\b", _unchanged),
    (r"\b(?:above|below|under)[- ](?:ground|grade|sea[- ]level)\b", _unchanged),
    # Left and right as somebody on the ground has them.
    (r"\b(?P<dir>left|right)[- ]turn", _chiral),
    (rf"\b{_TURNING}(?: sharply| slightly| gently)?(?: to the| towards? the)? (?P<dir>left|right)\b", _handed),
    (r"\b(?P<dir>left|right)(?= (?:banks?|lanes?|wings?|shoulders?|engines?|field)\b)", _handed),
    (r"\b(?:(?:counter|anti)[- ]?)?clockwise\b", _chiral),
    # Beside something, or in the image.
    (rf"\b(?P<dir>at the top|on the left|at the bottom|on the right)(?={_CLAUSE_ENDS})", _AT),
    (rf"\bon the (?:top|bottom)(?={_CLAUSE_ENDS})", _held(_UP)),
    (rf"{_SIDE}(?= of {_IMAGE})", _ADJECTIVE),
    (rf"\b(?:above|below)(?= {_GROUND})", _held(_UP)),
    (rf"\b(?P<dir>above|below|to the left of|to the right of)(?= {_DETERMINER}| and (?:above|below|to the) )", _BESIDE),
    (r"\b(?:what|all|little|nothing|much)\b.{0,20}\bleft of\b", _held(_UP, _LEFT)),
    (r"\b(?P<dir>left|right)(?= of\b)", _ONLY_FLIPPED["sideways"]),
    (r"\b(?P<dir>above|below)\b", _ONLY_FLIPPED["beside"]),
    (r"\b(?:top|bottom)(?= of\b)", _held(_UP)),
    # Parts of words.
    (r"\b(?P<dir>top|left|bottom|right)(?=[- ]?most\b)", _ADJECTIVE),
    (r"\b(?P<dir>upper|lower)(?=[- ]?most\b)", _ONLY_FLIPPED["upright"]),
    (r"\b(?P<dir>left-hand|right-hand)\b", _HAND),
    (r"\b(?P<dir>left|right)(?=[- ]?hand\b)", _ONLY_FLIPPED["sideways"]),
    (r"\b(?:up|left|down|right)wards\b", _forms("upwards", "leftwards", "downwards", "rightwards")),
    (r"\b(?:up|left|down|right)ward\b", _forms("upward", "leftward", "downward", "rightward")),
    (rf"{_HEADED} (?P<dir>up|left|down|right)\b(?! (?:the|an?|to|at)\b)", _HEADING),
    (r"\b(?:fur|far)thest (?P<dir>up|left|down|right)\b(?! (?:the|an?|to|at)\b)", _HEADING),
    # Adjectives and sides.
    (r"\b(?:upper|lower)(?=[- ](?:middle|center|centre|central)\b)", _ONLY_FLIPPED["upright"]),
    (rf"\b{_UPRIGHT}(?=[- ]{_STOREY})", _held(_UP)),
    (rf"\b(?P<dir>upper|lower)\b(?=[- ]{_PLACE})", _HAND),
    (r"\bthe (?:very )?(?P<dir>upper|lower)\b(?= \w)", _HAND),
    (rf"{_SIDE}(?=[- ]{_PLACE})", _ADJECTIVE),
    (rf"\b(?:the|very|far|extreme|center|centre|middle|central)[- ]{_SIDE}", _ADJECTIVE),
    (rf"{_SIDE}(?=(?: and| or| to|,)(?: the)? (?:top|left|bottom|right)\b)", _ADJECTIVE),
    (rf"\b(?:top|left|bottom|right)(?: and| or| to|,)(?: the)? {_SIDE}", _ADJECTIVE),
    (rf"\b(?:from|towards?) {_SIDE}", _ADJECTIVE),
    (r"\b(?:at|in|near) (?P<dir>top|bottom|left|right)(?=\W*$|[.,;)])", _ADJECTIVE),
    (r"\bon (?P<dir>left|right)(?=\W*$|[.,;)])", _ONLY_FLIPPED["sideways"]),
    (
        r"^\W*(?P<dir>left|right)\b(?= (?!(?:by|in|at|on|to|for|from|with|near|under|over|along|across|is|are)\b)\w)",
        _ADJECTIVE,
    ),
    # The compass; with capitals in the middle of two words it is a name.
    (r"\b(?:north|south|east|west)(?:[- ]?(?:north|south))[- ]?(?:east|west)", _held(_UP, _LEFT)),
    (r"(?-i:\b(?:North|South|East|West)(?:ern)? (?=[A-Z][a-z]))", _held(_UP, _LEFT)),
    (r"\b(?:(?:north[-–/]south|south[-–/]north)|(?:east[-–/]west|west[-–/]east))\b", _compass_axis),
    (
        r"\b(?P<dir>(?:north|south)[- ]?(?:east|west)|north|south|east|west)"
        r"(?=(?:ern(?:[- ]?most)?|erly|bound|wards?|[- ]?most|side)?\b)",
        _compass,
    ),
    (r"(?-i:\b(?:NE|NW|SE|SW)\b)", _compass),
    (r"\b(?:ne|nw|se|sw|nne|ene|ese|sse|ssw|wsw|wnw|nnw)\b|(?-i:(?<!['’])\b[NESW]\b(?!-shape))", _held(_UP, _LEFT)),
    # Axes, orders of counting, and other languages.
    (r"\b(?:horizontal|vertical)(?:ly)?\b|\b(?:rows?|columns?)\b", _axis),
    (rf"\b{_ORDINAL}(?!.*\bfrom (?:the )?(?:top|left|bottom|right))(?![- ]\w+est\b)", _held(_UP, _LEFT)),
    (r"\bo['’]clock\b", _held(_UP, _LEFT)),
    (
        r"\b(?:rechts|oben|unten|gauche|droite|izquierda|derecha|arriba|abajo|sinistra|destra)\b",
        _held(_UP, _LEFT),
    ),
    # What is left may be directions.
    (_VERTICAL_WORDS, _held(_UP)),
    (r"\b(?:left|right)(?:hand|most|wards?)?\b", _held(_UP, _LEFT)),
)
_RULES_AT_CROSSINGS = (
    _rules((r"\b(?:over|under|underneath|beneath)\b", _unchanged), (r"\b(?:above|below)\b", _held(_UP))) + _RULES
)
