"""Many ways to ask for a noun phrase, and endings that say nothing of the image; for training alone.

`vocabulary.CARRIERS` has what people say most. A model that met those alone takes other requests for something
untaught, and looks for a meaning in "of this town". The texts are in `frames.tsv`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np

FRAME, TAIL = "frame", "tail"
TAIL_SHARE, FRAME_SHARE = 0.22, 0.75
_CAPITAL_SHARE, _UPPER_SHARE, _TITLE_SHARE = 0.18, 0.04, 0.04
_STOP_SHARE, _TELEGRAM_SHARE, _SLIP_SHARE = 0.1, 0.12, 0.06
_LEAST_SLIP = 9
"""Letters of a sentence below which no finger slips."""
_ENDS = ".?!"
_ARTICLE = re.compile(r"\b[Tt]he ")
_FILE = Path(__file__).with_name("frames.tsv")


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
