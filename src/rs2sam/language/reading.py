"""English referring expressions: what the scene decides is taken out as claims, the rest is what a tile is asked.

Rules, not a model: words before the noun ("second largest", "upper left", "three"), then phrases after it, each of
which must be understood to its end. Where a word of place, rank or number is left over, nothing was understood: the
sentence keeps all its words and has no claims.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from rs2sam.fields import a_text
from rs2sam.language.asking import asked, bare
from rs2sam.language.claims import Anchor, Claim, Count, Direction, Measure, Place, Rank, ScopedSentence
from rs2sam.language.frames import MAX_LETTERS, MAX_WORDS, plain, unframed, unmarked
from rs2sam.language.order import OF_THEM, after_names, picked_of_several, usual_order, usual_wording
from rs2sam.language.phrases import (
    GLUE,
    HEAD_PHRASES,
    LANDMARK_END,
    NO_LANDMARK,
    OTHERS,
    PLACE,
    RELATIONS,
    REST_PHRASES,
)
from rs2sam.language.signs import opposite
from rs2sam.language.spelling import put_right, spelled_out
from rs2sam.language.words import (
    COMPARATIVE,
    DETERMINER,
    HOLE,
    LEFT_OVER,
    MASS_NOUNS,
    NOT_THE_SIDE,
    PROTECTED,
    SIZE,
    STOP,
    UNREADABLE,
    agreeing,
    cell_of,
    is_plural,
    number_of,
    ordinal_of,
    plural_of,
)

_FLAGS = re.IGNORECASE
_MAX_LANDMARK_WORDS = 7
_ALONE = frozenset({"only", "lone", "single", "solitary", "sole"})
_EACH = frozenset({"every", "each", "every single", "each and every"})
_NO_NOUN = re.compile(r"(?:far|well|way|mostly|slightly|almost|nearly|just|very|quite|seen|all|\w+['’]s)$", _FLAGS)
_TORN = re.compile(
    r"^(?:the|an?|it|them)\b|\b(?:else|far|extreme|very)$", _FLAGS
)  # what is left of a phrase that was read in part
_HEADWORDS = r"\b(?:building|tower|house|tree|roof|mountain|hill|chimney|structure|skyscraper)s?\b"

_ONE = re.compile(r"(?<!other\s)\b(?<!another\s)one\b", _FLAGS)  # "the tanks, the largest one"


_NO_PHRASE = re.compile(r"[;:.!?]|,s\b|, ?[A-Z]|\b[Ii]ts?\b|\bthem\b")
"""What stands in no noun phrase: two sentences were taken for one."""


def read_sentence(sentence: str) -> ScopedSentence:
    """Divide a sentence between tiles and scene.

    Args:
        sentence: an English referring expression.

    Returns:
        The reading. Where it has no claims, `local` is the sentence without its frame ("the pools" of "please find the
        pools in this image"); where it cannot be read to its last word, the sentence itself.
    """
    a_text("sentence", sentence)
    if len(sentence) > MAX_LETTERS or len(sentence.split()) > MAX_WORDS or HOLE in sentence:
        return ScopedSentence(sentence, sentence)
    is_read = False
    for text in dict.fromkeys((asked(sentence), sentence)):
        try:
            reader = _Reader(text, with_relations=True)
        except _UnreadableError:
            continue
        if reader.claims and not _NO_PHRASE.search(reader.local):
            return ScopedSentence(sentence, reader.local, reader.claims, reader.means_one)
        is_read = True
    return ScopedSentence(sentence, bare(sentence) if is_read else sentence)


class _UnreadableError(Exception):
    """The sentence says more than can be read here."""


class _Reader:
    """Reads one noun phrase with its frame when it is made.

    Args:
        sentence: the text.
        with_relations: whether other objects may be spoken of.
    """

    def __init__(self, sentence: str, *, with_relations: bool) -> None:
        self._claims: list[Claim] = []
        self._number: int | None = None
        self._ordinal: int | None = None
        self._kept: list[str] = []
        sentence = put_right(" ".join((sentence.lower() if sentence.isupper() else sentence).split()))
        sentence = plain(unmarked(spelled_out(sentence)))
        text = PROTECTED.sub(self._keep, usual_order(unframed(usual_wording(unframed(sentence)))))
        if with_relations and self._read_narrowed(text):
            return
        if UNREADABLE.search(text):
            raise _UnreadableError
        text = after_names(text)
        is_one_of_them = bool(OF_THEM.match(text) or _ONE.search(text))
        text = self._without_front(OF_THEM.sub(r"\1", text))
        determiner = DETERMINER.match(text)
        stop = STOP.search(text, determiner.end() if determiner else 0)
        self._head, self._rest = (text, "") if stop is None else (text[: stop.start()], text[stop.start() :])
        self._is_plural = is_plural(self._head) and not is_one_of_them
        self._read_head()
        self._read_rest(with_relations=with_relations)
        self.claims = self._settled()
        self.means_one = self._means_one()
        self.local = self._localised()

    def _keep(self, match: re.Match[str]) -> str:
        """Put a name or a heading out of the rules' sight: a word `keptNk`, after a preposition where it begins so."""
        self._kept.append(match[0].strip())
        prefix = (
            "at "
            if re.match(
                r"(?:in|at|on|along|across|through|over|around|near|to|towards?|from|down|up|about|inside|within|into|onto|by|\w+ing|head\w+|orient\w+|left)\s",
                match[0],
                _FLAGS,
            )
            else ""
        )
        return f"{prefix}kept{len(self._kept) - 1}k" + (" " if match[0].endswith(" ") else "")

    def _read_narrowed(self, text: str) -> bool:
        """Read "the lower of the two largest tanks", if it is of that kind: two orders, one after the other."""
        narrowed = picked_of_several(text)
        if narrowed is None:
            return False
        pick, several, number = narrowed
        try:
            inner = _Reader(self._restored(several), with_relations=True)
        except _UnreadableError:
            return False
        ranks = [claim for claim in inner.claims if isinstance(claim, Rank)]
        if [(rank.number, rank.first) for rank in ranks] != [(number, 1)]:
            return False
        if re.match(rf"{SIZE}|{COMPARATIVE}", pick):
            least, of_length = re.search("small|short|tin|less", pick), re.search("long|short|length", pick)
            most: Measure = "longest" if of_length else "largest"
            last = Rank(("shortest" if of_length else "smallest") if least else most)
        else:
            cell, by_compass = _cell(NOT_THE_SIDE.sub("", pick))
            last = Rank("toward", cell, by_compass=by_compass)
        self.claims = (*inner.claims, last)
        self.means_one, self.local = False, inner.local
        return True

    def _without_front(self, text: str) -> str:
        """Take a place that stands before everything: "in the upper left, the tank"."""
        # The pattern takes longer to compile (60 ms) than all else here, and few sentences have a comma.
        front = re.compile(rf"{PLACE.pattern},\s*", _FLAGS).match(f" {text}") if "," in text else None
        if front is None:
            return text
        self._claims.append(_place(front))
        return unframed(text[front.end() - 1 :])

    def _read_head(self) -> None:
        """Read the words before the noun."""
        for pattern, kind in HEAD_PHRASES:
            self._head = pattern.sub(self._reading(kind), self._head)
        self._head = _close_holes(self._head)

    def _read_rest(self, *, with_relations: bool) -> None:
        """Read the phrases after the noun, the most telling first."""
        for pattern, kind in REST_PHRASES:
            self._rest = pattern.sub(self._reading(kind), self._rest)
        for pattern, measure in RELATIONS:
            while match := pattern.search(self._rest):
                if not with_relations:
                    raise _UnreadableError
                self._read_relation(match, measure)
        self._claims += [_place(match) for match in PLACE.finditer(self._rest)]
        self._rest = _close_holes(PLACE.sub(HOLE, self._rest))

    def _reading(self, kind: str) -> Callable[[re.Match[str]], str]:
        """A replacement for `re.sub` that reads a phrase of one kind and leaves a hole."""
        read: Callable[[re.Match[str]], None] = getattr(self, f"_read_{kind}")

        def replacement(match: re.Match[str]) -> str:
            read(match)
            return f"{match.groupdict().get('before') or ''}{HOLE}"

        return replacement

    def _read_size(self, match: re.Match[str]) -> None:
        """Superlatives, comparatives and their paraphrases."""
        word = match["size"].lower()
        if match.groupdict().get("ordinal"):
            self._read_ordinal(match)
        if re.match(COMPARATIVE, word) and self._is_plural:
            raise _UnreadableError
        if kind := match.groupdict().get("kind"):
            self._check_is_kind(kind)
        is_least = (
            re.match(r"small|tin|litt|least|less|min|teen|pun|most (?:modest|tiny|small|little|minute)|short", word)
            is not None
        )
        if word.startswith("short") and re.search(_HEADWORDS, self._head, _FLAGS):
            raise _UnreadableError  # that is a height above the ground
        if word.startswith(("long", "length", "short")) or re.search(r"\blength$", match[0], _FLAGS):
            self._rank("shortest" if is_least else "longest")
        else:
            self._rank("smallest" if is_least else "largest")

    def _check_is_kind(self, words: str) -> None:
        """Raise where "larger than all other ..." compares with something else."""
        own, other = self._head.split()[-1:], words.split()[-1:]
        if not own or plural_of(own[0]).lower() != plural_of(other[0]).lower():
            raise _UnreadableError

    def _read_extreme(self, match: re.Match[str]) -> None:
        """Leftmost, farthest up, closest to the top."""
        word = match["extreme"].lower()
        if word.startswith(("highest", "lowest")) and re.search(_HEADWORDS, self._head, _FLAGS):
            raise _UnreadableError  # that is a height above the ground
        self._rank("toward", _cell(NOT_THE_SIDE.sub("", match["extreme"])))

    def _read_cell(self, match: re.Match[str]) -> None:
        """A place before the noun: "the upper left tank"."""
        self._claims.append(_place(match))

    def _read_number(self, match: re.Match[str]) -> None:
        """How many: "the three", "both"."""
        word = match["number"].lower()
        self._number = 2 if word == "both" else number_of(word)

    def _read_ordinal(self, match: re.Match[str]) -> None:
        """The second, third, ... of the order that a rank names."""
        if self._ordinal:
            raise _UnreadableError  # "the third and the fourth"
        self._ordinal = ordinal_of(match["ordinal"])

    def _read_order(self, match: re.Match[str]) -> None:
        """Counted from a side: "(second) from the left"."""
        if match["ordinal"]:
            self._read_ordinal(match)
        elif not self._ordinal:
            raise _UnreadableError
        self._rank("toward", _cell(match["cell"]))

    def _read_middle(self, _: re.Match[str]) -> None:
        """At the heart of the picture."""
        self._claims.append(Place("center"))

    def _rank(self, measure: Measure, cell: tuple[str, bool] | None = None, anchor: Anchor | None = None) -> None:
        """Add a rank; how many, and from which on, is settled at the end."""
        place, by_compass = cell or (None, False)
        self._claims.append(Rank(measure, place, anchor=anchor, by_compass=by_compass))

    def _read_relation(self, match: re.Match[str], measure: Measure | None) -> None:
        """A distance or a direction, and the object that follows it."""
        begin, end = match.end(), self._landmark_end(match.end())
        if "landmark" in match.groupdict():
            begin, end = match.span("landmark")
        text = re.sub(r"^what\s+looks?\s+like\s+", "", self._rest[begin:end].strip(), flags=_FLAGS)
        anchor = self._anchor(text)
        if anchor.sentence is None and text.lower().startswith("the "):
            # Of two of a kind, "the one on the right" is told by its own place.
            place = PLACE.match(self._rest, end)
            if place is not None and "," not in place[0]:
                anchor, end = replace(anchor, claims=(_place(place),)), place.end()
        if measure is not None:
            if anchor.sentence is None:
                raise _UnreadableError  # near which other one of the kind?
            self._rank(measure, anchor=anchor)
        else:
            cell, by_compass = _cell(match["cell"])
            if "center" in cell:
                raise _UnreadableError
            cell = opposite(cell) if "own" in match.groupdict() else cell
            self._claims.append(Direction(cell, anchor, by_compass))
        self._rest = self._rest[: match.start()] + HOLE + self._rest[max(end, match.end()) :]

    def _landmark_end(self, begin: int) -> int:
        """Where the noun phrase ends that begins at `begin`."""
        ends = [pattern.search(self._rest, begin + 1) for pattern in (LANDMARK_END, PLACE)]
        return min(match.start() for match in ends if match is not None)

    def _anchor(self, text: str) -> Anchor:
        """Read the other object of a relation."""
        text = self._restored(text)  # it is read by a reader of its own
        others = OTHERS.match(text)
        if others is not None:
            return Anchor(None, is_any=others["any"] is not None)
        words = DETERMINER.sub("", text).split()
        if not words or len(words) >= _MAX_LANDMARK_WORDS or NO_LANDMARK.match(text) or words[-1] in ("one", "ones"):
            raise _UnreadableError
        own, other = DETERMINER.sub("", self._head).lower().split()[-2:], [word.lower() for word in words[-2:]]
        shared = min(len(own), len(other))
        is_of_kind = shared and [*own[-shared:-1], plural_of(own[-1])] == [*other[-shared:-1], plural_of(other[-1])]
        if is_of_kind and len(words) == shared:
            return Anchor(None, is_any=True)
        reader = _Reader(text, with_relations=False)
        if is_of_kind and DETERMINER.sub("", reader.local).lower().split() == [*own[:-1], plural_of(own[-1])]:
            # "left of the largest tank": one of the tanks themselves; "of the two tanks": the other of them.
            claims = tuple(claim for claim in reader.claims if not isinstance(claim, Count))
            return Anchor(None, claims, is_any=not claims)
        return Anchor(reader.local, reader.claims, is_plural=is_plural(text))

    def _settled(self) -> tuple[Claim, ...]:
        """Give ranks their number and order the claims: places, directions, ranks, number."""
        places = _merged([c for c in self._claims if isinstance(c, Place)])
        ranks = [c for c in self._claims if isinstance(c, Rank)]
        directions = [c for c in self._claims if isinstance(c, Direction)]
        anchors = [a for a in (*(r.anchor for r in ranks), *(d.anchor for d in directions)) if a is not None]
        landmarks = {(a.sentence, a.claims) for a in anchors if a.sentence is not None}
        if len(landmarks) > 1 or (self._ordinal and not ranks):
            raise _UnreadableError
        if self._ordinal and len({rank.measure for rank in ranks}) < len(ranks):
            raise _UnreadableError  # "the largest and the second largest"
        number = self._number or (None if self._is_plural and not self._ordinal else 1)
        ranks = [replace(rank, number=number, first=self._ordinal or 1) for rank in ranks]
        return (*places, *directions, *ranks, *([Count(self._number)] if self._number and not ranks else []))

    def _means_one(self) -> bool:
        """Whether the sentence names a single thing at a place, which more than one found there may fit."""
        determiner = DETERMINER.match(self._head)
        is_several = determiner is not None and re.search(r"\b(?:all|every|each|any|some)\b", determiner[0], _FLAGS)
        words = self._head.lower().split()
        is_countable = bool(words) and words[-1] not in MASS_NOUNS
        places = [claim for claim in self.claims if isinstance(claim, Place)]
        return is_countable and not (self._is_plural or is_several) and 0 < len(places) == len(self.claims)

    def _localised(self) -> str:
        """Put together what remains, for several objects unless it says "every"; raise where a claim may be in it."""
        determiner = DETERMINER.match(self._head)
        first = determiner[0].strip().lower() if determiner else "the"
        words = [w for w in self._head[determiner.end() if determiner else 0 :].split() if w.lower() not in _ALONE]
        rest = self._rest.strip(" ,")
        if (
            not words
            or words[-1].lower() in ("one", "ones")
            or LEFT_OVER.search(" ".join([*words, rest]))
            or _NO_NOUN.match(words[-1])
            or _TORN.search(rest)
        ):
            raise _UnreadableError
        if first not in _EACH:
            first = first if first.startswith(("all", "any", "the whole", "whole")) else "the"
            words[-1] = plural_of(words[-1])
            rest = agreeing(rest)
        text = " ".join([first, *words, rest]).strip()
        return self._restored(text)

    def _restored(self, text: str) -> str:
        """Bring back what `_keep` put out of sight; a word of the user's that only looks like it stays."""

        def kept(match: re.Match[str]) -> str:
            number = int(match[1])
            return self._kept[number] if number < len(self._kept) else match[0]

        return re.sub(r"(?:at )?kept(\d+)k", kept, text)


def _close_holes(text: str) -> str:
    """Remove what was read, with the commas and conjunctions that held it."""
    text = re.sub(rf"(?:\s|,|\band\b|\bboth\b)*{HOLE}(?:\s|,|\band\b(?!\s+(?:the|an?)\b)|{HOLE})*", " ", text)
    return re.sub(rf"{GLUE}[\s,]*$", "", f" {text}").strip()


def _place(match: re.Match[str]) -> Place:
    """The claim of a match of `PLACE`."""
    cell, by_compass = _cell(match["cell"])
    in_corner = "corner" in match[0].lower() and " " in cell and "center" not in cell
    return Place(cell, in_corner, by_compass)


def _merged(places: list[Place]) -> list[Place]:
    """One place out of several: "on the right side, near the middle" is the center right."""
    if len(places) < 2:
        return places
    cell, _ = _cell(" ".join(place.cell for place in places))
    return [Place(cell, any(p.in_corner for p in places), all(p.by_compass for p in places))]


def _cell(text: str) -> tuple[str, bool]:
    """Read a place, or give up."""
    cell = cell_of(text)
    if cell is None:
        raise _UnreadableError
    return cell
