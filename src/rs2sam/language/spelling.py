"""Words of place, size and rank with one wrong letter, put right: "smalest", "lefmost", "suothwest".

Only long words are put right, and only from what is no word itself: a wrong correction would change what is asked.
"""

from __future__ import annotations

import re
import string
from functools import cache

_WORDS = frozenset(
    re.findall(
        r"\w+",
        "largest biggest greatest smallest tiniest longest shortest nearest closest farthest furthest"
        " leftmost rightmost topmost bottommost uppermost lowermost northernmost southernmost easternmost westernmost"
        " northern southern eastern western northeast northwest southeast southwest northeastern northwestern"
        " southeastern southwestern upper bottom middle corner second fourth larger bigger smaller highest lowest"
        " upmost third center centre central image picture visible",
    )
)
"""Words that the reader knows and that few others resemble; "lower", "left" and "right" are near too many."""

_OTHER_WORDS = frozenset(
    re.findall(
        r"\w+",
        "large lager larder larges largess bagger bugger closes closet neatest upped uppers bottoms middles middled"
        " meddle muddle corners corned cornet corer coroner seconds forth fourths easter westerns thirds centers"
        " centres centred canter images imaged imager pictures pictured utmost lowes",
    )
)
"""Words of their own that are as near as a misspelling."""

_COMMON = {"teh": "the", "hte": "the", "rigth": "right", "rihgt": "right", "letf": "left", "lfet": "left"}
"""Swaps in words too short, or too near others, for the rule."""

_LETTERS = string.ascii_lowercase


def put_right(text: str) -> str:
    """Replace words that are one letter, or one swap of neighbours, away from a word of place, size or rank.

    Args:
        text: a sentence.

    Returns:
        The sentence; other words, blanks and marks stay as they are.
    """
    near = _nearest() | _COMMON
    return re.sub(r"[A-Za-z]{3,}", lambda match: near.get(match[0].lower(), match[0]), text)


def _misspelled(word: str) -> set[str]:
    """All texts one insertion, deletion, replacement or swap away from a word; its first letter stays."""
    found = set()
    for at in range(1, len(word) + 1):
        head, tail = word[:at], word[at:]
        found |= {head + letter + tail for letter in _LETTERS}
        if tail:
            found.add(head + tail[1:])
            found |= {head + letter + tail[1:] for letter in _LETTERS}
        if len(tail) > 1:
            found.add(head + tail[1] + tail[0] + tail[2:])
    return found


@cache
def _nearest() -> dict[str, str]:
    """Each misspelled text with the one word that it is near to."""
    near: dict[str, set[str]] = {}
    for word in _WORDS:
        for text in _misspelled(word):
            near.setdefault(text, set()).add(word)
    return {
        text: next(iter(words))
        for text, words in near.items()
        if len(words) == 1 and text not in _WORDS and text not in _OTHER_WORDS
    }
