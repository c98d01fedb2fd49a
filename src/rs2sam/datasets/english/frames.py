"""Many ways to ask for a noun phrase, and endings that say nothing of the image; for training alone.

`vocabulary.CARRIERS` has what people say most. A model that met those alone takes other requests for something
untaught, and looks for a meaning in "of this town". The texts are in `frames.tsv`; `other_words.tsv` has what many
people say where one thing is singled out ("the runt of the ships").
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np

from rs2sam.datasets.english.nouns import Noun

FRAME, TAIL = "frame", "tail"
TAIL_SHARE, FRAME_SHARE = 0.22, 0.75
_CAPITAL_SHARE, _UPPER_SHARE, _TITLE_SHARE = 0.18, 0.04, 0.04
_STOP_SHARE, _TELEGRAM_SHARE, _SLIP_SHARE = 0.1, 0.12, 0.06
_LEAST_SLIP = 9
"""Letters of a sentence below which no finger slips."""
_ENDS = ".?!"
_ARTICLE = re.compile(r"\b[Tt]he ")
_INDEFINITE = re.compile(r"\b([Aa]) (?=[aeiou])(?!one\b|uni|use|eu)")
_ONE_OF_ALL = re.compile(r"most$|^(?:largest|smallest|nearest|farthest)$")
"""Names of properties that a single object has, however many are spoken of."""
_FILE = Path(__file__).with_name("frames.tsv")
_OTHER_WORDS_FILE = Path(__file__).with_name("other_words.tsv")


@cache
def frame_texts(kind: str) -> tuple[str, ...]:
    """The frames, or the tails.

    Args:
        kind: `FRAME` or `TAIL`.
    """
    lines = _FILE.read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return tuple(text for found, text in rows if found == kind)


def framed(phrase: str, rng: np.random.Generator, with_tail: bool = True) -> str:
    """Word a noun phrase as one of many people would: a way to ask, letter case, no articles, a slip of the finger.

    Args:
        phrase: noun phrase in lower case, as `phrasing.phrase` makes it where it is `bare`.
        rng: source of all choices.
        with_tail: whether it may get an ending. Not where something singles the object out: "the ship beside the pier
            of this town" would say something of the pier.
    """
    said = phrase
    verb = "are" if phrase.endswith("s") or "all" in phrase.split() else "is"
    if with_tail and rng.random() < TAIL_SHARE:
        said = f"{said} {_one_of(frame_texts(TAIL), rng)}"
    if rng.random() < FRAME_SHARE:
        said = _one_of(frame_texts(FRAME), rng).replace("{be}", verb).replace("{}", said)
    return as_typed(said, rng)


@cache
def _other_words() -> dict[tuple[str, str], tuple[str, ...]]:
    """Kind and name of a property -> phrases."""
    rows = [line.split("\t") for line in _OTHER_WORDS_FILE.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    return {key: tuple(text for *found, text in rows if tuple(found) == key) for key in {(k, n) for k, n, _ in rows}}


def all_other_words() -> tuple[str, ...]:
    """Every text that `in_other_words` draws from."""
    return tuple(text for texts in _other_words().values() for text in texts)


def in_other_words(
    kind: str,
    name: str,
    noun: Noun,
    rng: np.random.Generator,
    *,
    is_plural: bool = False,
    anchor: str = "",
    colour: str = "",
) -> str | None:
    """Say that something is singled out as one of many people would.

    Args:
        kind: of a property, or `count`, or `all`.
        name: which property; the number that is counted; empty for `all` and `colour`.
        noun: what is spoken of.
        rng: source of the choice.
        is_plural: several are meant. What one of all has is said of one.
        anchor: what a relation refers to, in the singular.
        colour: word of a colour.

    Returns:
        A phrase, some of them requests; None where none is known for this property and number.
    """
    texts = _other_words().get((kind, name), ())
    if kind not in ("all", "count") and not _ONE_OF_ALL.search(name):
        texts = tuple(text for text in texts if ("{x}" in text) != is_plural)
    if not texts:
        return None
    said = _one_of(texts, rng).format(x=noun.singular, xs=noun.plural, y=anchor, c=colour)
    return _INDEFINITE.sub(r"\1n ", said)


def as_typed(said: str, rng: np.random.Generator) -> str:
    """A sentence as it is typed: letter case, a full stop or none, no articles, a slip of the finger."""
    said = _cased(said, rng)
    if rng.random() < _STOP_SHARE and said[-1] not in _ENDS:
        said += "."
    if rng.random() < _TELEGRAM_SHARE:
        said = _ARTICLE.sub("", said)
    return _slipped(said, rng) if rng.random() < _SLIP_SHARE else said


def _cased(text: str, rng: np.random.Generator) -> str:
    """Sometimes with a capital, in capitals, or with a capital a word."""
    draw = rng.random()
    if draw < _CAPITAL_SHARE:
        return text[0].upper() + text[1:]
    if draw < _CAPITAL_SHARE + _UPPER_SHARE:
        return text.upper()
    return text.title() if draw < _CAPITAL_SHARE + _UPPER_SHARE + _TITLE_SHARE else text


def _slipped(text: str, rng: np.random.Generator) -> str:
    """Swap two neighbouring letters, or leave one out; the first stays."""
    if len(text) < _LEAST_SLIP:
        return text
    at = int(rng.integers(1, len(text) - 2))
    swapped = text[at + 1] + text[at] if rng.random() < 0.5 else text[at + 1]
    return text[:at] + swapped + text[at + 2 :]


def _one_of(texts: tuple[str, ...], rng: np.random.Generator) -> str:
    """Draw one."""
    return texts[int(rng.integers(len(texts)))]
