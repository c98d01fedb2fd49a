"""From what is to be said to a sentence: synonyms, articles, word orders and ways to ask, drawn at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np

from rs2sam.datasets.english.frames import in_other_words
from rs2sam.datasets.english.nouns import NOUNS, Noun
from rs2sam.datasets.english.properties import Property
from rs2sam.datasets.english.vocabulary import (
    BESIDE,
    CARRIERS,
    CELL_NAMES,
    CELL_PHRASES,
    COLOUR_WORDS,
    DIRECTIONS,
    EXTREMES,
    FARTHEST,
    NEAREST,
    NUMBER_WORDS,
    ON,
    PLURAL_REGIONS,
    SIZES,
)

_T = TypeVar("_T")

Nouns: TypeAlias = Mapping[str, tuple[Noun, ...]]
"""Category -> its names."""

_CARRIER_WEIGHTS = np.array([weight for _, weight in CARRIERS]) / sum(weight for _, weight in CARRIERS)
_ADJECTIVES = ("upper", "lower", "northern", "southern", "western", "eastern")
_ONLY_NOUNS = ("top", "bottom", "north", "south", "west", "east")
_MISSPELT_SHARE, _LEAST_MISSPELT = 0.03, 5
_CORNERS = ("upper left", "upper right", "lower left", "lower right")


@dataclass(frozen=True, eq=False)
class Description:
    """What a sentence has to say.

    Args:
        kind: kind of expression, one of `expressions.KINDS`.
        category: what is spoken of.
        targets: which instances of the category are meant, in their order in the image; empty for none or a region.
        properties: what singles them out.
        is_plural: several are meant.
        is_region: the category's area is meant.
        says_all: the sentence is about all of them ("all airplanes", "every ship").
        count: number to be named, or None.
    """

    kind: str
    category: str
    targets: tuple[int, ...] = ()
    properties: tuple[Property, ...] = ()
    is_plural: bool = False
    is_region: bool = False
    says_all: bool = False
    count: int | None = None


@dataclass
class _Parts:
    """The pieces of a noun phrase while it is being built."""

    before: list[str]
    after: list[str]
    front: str = ""


def phrase(
    description: Description,
    rng: np.random.Generator,
    unfit: frozenset[str] = frozenset(),
    nouns: Nouns = NOUNS,
    bare: bool = False,
) -> str:
    """Word a description as a sentence.

    Args:
        description: what to say.
        rng: source of the choices.
        unfit: nouns that would be wrong for an object of the image.
        nouns: category -> its names.
        bare: whether the noun phrase is returned as it is, for others to frame it.

    Returns:
        One sentence in lower case or with a capital, with or without an article, a polite frame, a full stop.
    """
    if unfit:
        nouns = {category: tuple(n for n in names if n.singular not in unfit) for category, names in nouns.items()}
    noun, is_plural = _noun(description, nouns, rng)
    parts = _Parts([], [])
    for prop in description.properties:
        _say(prop, parts, nouns, rng)
    says_every = description.says_all and not description.is_region and is_plural and rng.random() < 0.12
    if says_every:
        word, is_plural = noun.singular, False
        determiner = ["every" if rng.random() < 0.7 else "each"]
    else:
        word = noun.plural if is_plural else noun.singular
        determiner = _determiner(description, is_plural, rng)
    after = [_agreeing(text, is_plural) for text in parts.after]
    words = [*determiner, *parts.before, word, *after]
    text = _with_article(" ".join(words))
    if parts.front:
        text = f"{parts.front} {text}"
    if bare:
        return text
    if parts.front:
        return _finish(text, rng)
    carrier = CARRIERS[int(rng.choice(len(CARRIERS), p=_CARRIER_WEIGHTS))][0]
    if "image" in carrier and "image" in text:
        carrier = "{}"
    return _finish(carrier.replace("{be}", "are" if is_plural else "is").format(text), rng)


def phrase_in_other_words(
    description: Description, rng: np.random.Generator, unfit: frozenset[str] = frozenset(), nouns: Nouns = NOUNS
) -> str | None:
    """Word a description that says one thing as one of many people would; see `frames.in_other_words`.

    Args:
        description: what to say.
        rng: source of the choices.
        unfit: nouns that would be wrong for an object of the image.
        nouns: category -> its names.

    Returns:
        The phrase; None where it says nothing or more than one thing, or no such phrase is known.
    """
    noun = _choose_noun([n for n in nouns[description.category] if n.singular not in unfit], rng)
    if description.properties:
        if len(description.properties) > 1 or description.says_all or description.is_region or description.count:
            return None
        prop = description.properties[0]
        if prop.anchor_is_other or prop.anchor_is_plural:
            return None
        anchor = "" if prop.anchor is None else _choose_noun(nouns[prop.anchor], rng).singular
        is_colour = prop.kind == "colour"
        colour = _choose(COLOUR_WORDS[prop.name], rng) if is_colour else ""
        name = "" if is_colour else prop.name
        return in_other_words(prop.kind, name, noun, rng, is_plural=description.is_plural, anchor=anchor, colour=colour)
    if description.count is not None:
        return in_other_words("count", str(description.count), noun, rng)
    return in_other_words("all", "", noun, rng) if description.says_all else None


def _noun(description: Description, nouns: Nouns, rng: np.random.Generator) -> tuple[Noun, bool]:
    """Choose the noun, and whether it stands in the plural."""
    noun = _choose_noun(nouns[description.category], rng)
    is_plural = description.is_plural
    if description.is_region:
        is_plural = description.category in PLURAL_REGIONS or description.says_all
        if description.category in ("road", "vegetation"):
            is_plural = is_plural or rng.random() < 0.3
        is_plural = is_plural and noun.singular != noun.plural
    return noun, is_plural


def _choose_noun(nouns: Sequence[Noun], rng: np.random.Generator) -> Noun:
    """Draw one of the names of a category by weight."""
    weights = np.array([n.weight for n in nouns])
    return nouns[int(rng.choice(len(nouns), p=weights / weights.sum()))]


def _determiner(description: Description, is_plural: bool, rng: np.random.Generator) -> list[str]:
    """Choose article, quantifier or number."""
    draw = rng.random()
    if description.says_all:
        if not is_plural:  # mass nouns
            return ["all"] if draw < 0.4 else ["all", "the"] if draw < 0.7 else ["the"]
        choices: tuple[list[str], ...] = (
            ["all"],
            ["all", "the"],
            ["the"],
            [],
            ["all", "of", "the"],
            ["all", "visible"],
        )
        return list(choices[int(rng.choice(6, p=[0.34, 0.2, 0.22, 0.14, 0.06, 0.04]))])
    if description.count is not None:
        number = NUMBER_WORDS[description.count] if rng.random() < 0.85 else str(description.count)
        is_many = description.count > 2
        return ["all", number] if draw < 0.1 and is_many else [number] if draw < 0.4 else ["the", number]
    if is_plural or description.is_region:
        return ["the"] if draw < 0.7 else [] if draw < 0.95 else ["those" if is_plural else "that"]
    if any(p.superlative for p in description.properties):
        return ["the"] if draw < 0.85 else []
    return ["the"] if draw < 0.66 else [] if draw < 0.82 else ["a"] if draw < 0.95 else ["that"]


def _say(prop: Property, parts: _Parts, nouns: Nouns, rng: np.random.Generator) -> None:
    """Add a property to the noun phrase, before or after the noun."""
    if prop.kind == "colour":
        _say_colour(prop, parts, rng)
    elif prop.kind == "size":
        _say_either(SIZES[prop.name], parts, 0.8, rng)
    elif prop.kind == "relation":
        parts.after.append(_relation(prop, nouns, rng))
    elif prop.name.endswith("most"):
        _say_either(EXTREMES[prop.name.removesuffix("most")], parts, 0.6, rng)
    else:
        _say_place(prop.name, parts, rng)


def _say_either(
    words: tuple[tuple[str, ...], tuple[str, ...]], parts: _Parts, before: float, rng: np.random.Generator
) -> None:
    """Add one of the words before the noun, or one of the phrases after it."""
    if rng.random() < before:
        parts.before.insert(0, _choose(words[0], rng))
    else:
        parts.after.append(_choose(words[1], rng))


def _say_colour(prop: Property, parts: _Parts, rng: np.random.Generator) -> None:
    """Add a colour."""
    word = _choose(COLOUR_WORDS[prop.name], rng)
    draw = rng.random()
    if draw < 0.88:
        parts.before.append(word)
    else:
        parts.after.insert(
            0, f"that is {word}" if draw < 0.94 else f"with a {word} {'color' if draw < 0.97 else 'colour'}"
        )


def _say_place(name: str, parts: _Parts, rng: np.random.Generator) -> None:
    """Add a place in the image: "upper left X", "X in the upper left", "in the upper left, X"."""
    form = _place_form(name)
    cell = _choose(CELL_NAMES[name.removesuffix(" corner")], rng)
    draw = rng.random()
    if draw < 0.2 and form != "tight corner" and cell not in _ONLY_NOUNS and not parts.before:
        parts.before.insert(0, cell)
        return
    if cell in _ADJECTIVES:
        text = _choose(("in the {} part", "in the {} part of the image", "on the {} side", "in the {} area"), rng)
    else:
        text = _choose(CELL_PHRASES[form], rng)
    text = text.format(cell)
    if draw < 0.27 and not text.startswith("that"):
        parts.front = f"{text},"
    else:
        parts.after.append(text)


def _place_form(name: str) -> str:
    """Return the key of `CELL_PHRASES` for a place."""
    if name.endswith(" corner"):
        return "tight corner"
    if name in _CORNERS:
        return "corner"
    if name in ("left", "right"):
        return "side"
    return "vertical" if name in ("top", "bottom") else "middle"


def _relation(prop: Property, nouns: Nouns, rng: np.random.Generator) -> str:
    """Word a relation to its anchor."""
    assert prop.anchor is not None
    if prop.anchor_is_other:
        anchor = f"the other {'one' if rng.random() < 0.4 else _choose_noun(nouns[prop.anchor], rng).singular}"
        if rng.random() < 0.15:
            anchor = "the other"
    else:
        noun = _choose_noun(nouns[prop.anchor], rng)
        anchor = f"the {noun.plural if prop.anchor_is_plural else noun.singular}"
    table = {"nearest": NEAREST, "farthest": FARTHEST, "beside": BESIDE, "on": ON}
    return _choose(table.get(prop.name) or DIRECTIONS[prop.name], rng).format(anchor)


def _agreeing(text: str, is_plural: bool) -> str:
    """Make the verb of a relative clause agree with its noun."""
    if is_plural and text.startswith(("that is ", "which is ")):
        return text.replace(" is ", " are ", 1)
    return text


def _with_article(text: str) -> str:
    """Settle "a" or "an"."""
    words = text.split()
    if words and words[0] == "a" and words[1][0] in "aeiou":
        words[0] = "an"
    return " ".join(words)


def _finish(text: str, rng: np.random.Generator) -> str:
    """Sometimes start with a capital and end with a full stop."""
    if rng.random() < _MISSPELT_SHARE:
        text = _misspelt(text, rng)
    draw = rng.random()
    if draw < 0.12:
        text = text[0].upper() + text[1:]
    if draw < 0.04 and text[-1] not in ".?":
        text += "."
    return text


def _misspelt(text: str, rng: np.random.Generator) -> str:
    """Swap two neighbouring letters of a longer word, drop one, or double one; the first and the last stay."""
    words = text.split(" ")
    long = [position for position, word in enumerate(words) if len(word) >= _LEAST_MISSPELT and word.isalpha()]
    if not long:
        return text
    position = long[int(rng.integers(len(long)))]
    word = words[position]
    at = int(rng.integers(1, len(word) - 2))
    middle = (word[at + 1] + word[at], word[at], word[at] * 2 + word[at + 1])[int(rng.integers(3))]
    words[position] = word[:at] + middle + word[at + 2 :]
    return " ".join(words)


def _choose(options: Sequence[_T], rng: np.random.Generator) -> _T:
    """Draw one of a few options."""
    return options[int(rng.integers(len(options)))]
