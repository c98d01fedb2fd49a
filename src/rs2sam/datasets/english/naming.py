"""Names without an image, taught and not, so that a model meets far more words than images have room for.

A training step shows a few untaught sentences; a model that met those alone takes "lipstick" for a road. Names cost a
pass over the text alone, hundredths of what a sentence about an image costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rs2sam.datasets.english.frames import framed
from rs2sam.datasets.english.nouns import Noun
from rs2sam.datasets.english.training_nouns import TRAINING_NOUNS
from rs2sam.datasets.english.untaught import FILLER, FOREIGN, UNTAUGHT, gibberish, plural
from rs2sam.datasets.english.wordnet import untaught_nouns

_DETERMINERS = ("the", "the", "all the", "all", "")
_ALIKE = {"all": "all the", "": "the"}
"""What a determiner says, told by another."""
_TAUGHT_SHARE, _LISTED_SHARE, _OTHER_SHARE = 0.5, 0.25, 0.12
"""Of all names those of what is taught; of the others those of `UNTAUGHT`, and what is no English noun."""
_FLATTENED = 0.5
"""Power of the weights of names: rare ones are what is to be learned."""


class Naming(NamedTuple):
    """A noun phrase.

    Args:
        phrase: it.
        main: the same said with the first name of its category; empty where it names nothing taught.
    """

    phrase: str
    main: str = ""


def draw_namings(rng: np.random.Generator, count: int, framed_share: float = 0.0) -> list[Naming]:
    """Draw noun phrases, half of them of what is taught, every category as often as another.

    Args:
        rng: source of all choices.
        count: how many.
        framed_share: share of them that `frames` words.
    """
    drawn = [_taught(rng) if rng.random() < _TAUGHT_SHARE else Naming(_untaught(rng)) for _ in range(count)]
    return [
        Naming(framed(phrase, rng), main) if rng.random() < framed_share else Naming(phrase, main)
        for phrase, main in drawn
    ]


def _taught(rng: np.random.Generator) -> Naming:
    """One of the names of a category."""
    categories = list(TRAINING_NOUNS)
    nouns = TRAINING_NOUNS[categories[int(rng.integers(len(categories)))]]
    noun = nouns[_place(nouns, rng)]
    determiner, is_one = _DETERMINERS[int(rng.integers(len(_DETERMINERS)))], rng.random() < 0.3
    if determiner.startswith("all"):
        is_one = False
    said, main = (one.singular if is_one else one.plural for one in (noun, nouns[0]))
    return Naming(f"{determiner} {said}".strip(), f"{_ALIKE.get(determiner, determiner)} {main}")


def _untaught(rng: np.random.Generator) -> str:
    """Something that names nothing taught."""
    draw = rng.random()
    if draw < _OTHER_SHARE:
        kinds = (gibberish(rng), _one_of(FOREIGN, rng), _one_of(FILLER, rng))
        return kinds[int(rng.integers(len(kinds)))]
    listed = draw < _OTHER_SHARE + _LISTED_SHARE
    name = _one_of(UNTAUGHT if listed else untaught_nouns().names, rng)
    determiner = _DETERMINERS[int(rng.integers(len(_DETERMINERS)))]
    return f"{determiner} {plural(name) if rng.random() < 0.6 else name}".strip()


def _place(nouns: Sequence[Noun], rng: np.random.Generator) -> int:
    """A place among the names of a category."""
    weights = np.array([noun.weight for noun in nouns]) ** _FLATTENED
    return int(rng.choice(len(nouns), p=weights / weights.sum()))


def _one_of(names: Sequence[str], rng: np.random.Generator) -> str:
    """Any of some texts."""
    return names[int(rng.integers(len(names)))]
