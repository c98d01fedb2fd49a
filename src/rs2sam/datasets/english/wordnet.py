"""Nouns of WordNet 3.1 (Princeton University): further names of what is taught, and what has nothing to do with it.

`tools/compact/wordnet_nouns.py` made the two files, whose heads hold WordNet's notice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from rs2sam.datasets.english.nouns import Noun
from rs2sam.datasets.english.trade_nouns import trade_nouns

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, eq=False)
class WeightedNames:
    """Names, each drawn as often as its weight says.

    Args:
        names: n singular nouns.
        weights: (n,) float64, > 0, in any unit.
    """

    names: tuple[str, ...]
    weights: np.ndarray

    @cached_property
    def _sums(self) -> np.ndarray:
        """(n,) float64, each weight with all before it."""
        return np.cumsum(self.weights)

    def draw(self, rng: np.random.Generator) -> str:
        """Draw one."""
        return self.names[int(np.searchsorted(self._sums, rng.random() * self._sums[-1], side="right"))]


@cache
def taught_nouns() -> dict[str, tuple[Noun, ...]]:
    """Category -> further names of it, whose weights sum to 1; categories without any are missing."""
    found: dict[str, list[Noun]] = {}
    for category, singular, plural, weight in _rows("wordnet_nouns.tsv"):
        found.setdefault(category, []).append(Noun(singular, plural, float(weight)))
    return {category: tuple(nouns) for category, nouns in found.items()}


@cache
def untaught_nouns() -> WeightedNames:
    """Nouns that name nothing taught and nothing near it; what some trade calls a thing so is left out."""
    taught = {
        name.lower() for nouns in trade_nouns().values() for noun in nouns for name in (noun.singular, noun.plural)
    }
    names, weights = zip(*(row for row in _rows("wordnet_untaught.tsv") if row[0].lower() not in taught), strict=True)
    return WeightedNames(names, np.array(weights, float))


def _rows(name: str) -> Iterator[list[str]]:
    """The values of each row of a file of this folder, its head left out."""
    for line in (_FOLDER / name).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield line.split("\t")
