"""How a description becomes a sentence in words of one's own; `frames` and `analysts` have the words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeVar

import numpy as np

from rs2sam.datasets.english.nouns import NOUNS
from rs2sam.datasets.english.phrasing import Description
from rs2sam.datasets.english.properties import Property

Noun = tuple[str, str]
"""Singular and plural; a mass noun has one form."""
Option = TypeVar("Option")


class Wording(ABC):
    """Words descriptions at random.

    What is drawn, and in which order, decides the lists: a list that was made stays the same to the byte.

    Args:
        rng: source of all choices.
    """

    new_nouns: ClassVar[Mapping[str, Sequence[Noun]]]
    new_noun_share: ClassVar[float]
    frames: ClassVar[Sequence[tuple[str, float]]]
    """What a sentence stands in, with its weight."""
    others: ClassVar[Sequence[str]]
    """Names of the other object of the same class."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def sentence(self, description: Description) -> str:
        """One sentence for a description."""
        one, many = self._noun(description.category)
        clauses = self._agreed([self._clause(prop) for prop in description.properties], description)
        core = self._core(description, one, many)
        return self._said(", ".join([" ".join([core, *clauses[:1]]), *clauses[1:]]))

    @abstractmethod
    def _core(self, description: Description, one: str, many: str) -> str:
        """The noun phrase before its clauses."""

    @abstractmethod
    def _clause(self, prop: Property) -> str:
        """One property as a clause behind the noun."""

    @abstractmethod
    def _said(self, text: str) -> str:
        """A description as somebody would write it: framed or shortened, with a slip now and then."""

    def _agreed(self, clauses: list[str], description: Description) -> list[str]:
        """Clauses in the number of their noun."""
        return clauses

    def _noun(self, category: str) -> Noun:
        """A noun; some of the time one that training does not use."""
        if self.rng.random() < self.new_noun_share:
            return self._choose(self.new_nouns[category])
        noun = NOUNS[category][0]
        return noun.singular, noun.plural

    def _anchor(self, prop: Property) -> str:
        """What a relation refers to."""
        assert prop.anchor is not None
        if prop.anchor_is_other:
            return self._choose(self.others)
        one, many = self._noun(prop.anchor)
        return f"the {many if prop.anchor_is_plural else one}"

    def _framed(self, text: str) -> str:
        """A text in one of the frames."""
        weights = np.array([weight for _, weight in self.frames])
        return self.frames[int(self.rng.choice(len(weights), p=weights / weights.sum()))][0].format(text)

    def _choose(self, options: Sequence[Option]) -> Option:
        """One of a few options."""
        return options[int(self.rng.integers(len(options)))]
