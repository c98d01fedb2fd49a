"""All names of what is taught, for training alone: the first ones, more of them, and WordNet's."""

from __future__ import annotations

from rs2sam.datasets.english.more_nouns import MORE_NOUNS
from rs2sam.datasets.english.nouns import Noun
from rs2sam.datasets.english.wordnet import taught_nouns

WORDNET_SHARE = 0.9
"""What WordNet's names of a category weigh together, beside all other names of it."""


def _with_wordnet(category: str, nouns: tuple[Noun, ...]) -> tuple[Noun, ...]:
    """Names of a category and WordNet's."""
    scale = WORDNET_SHARE * sum(noun.weight for noun in nouns)
    further = taught_nouns().get(category, ())
    return nouns + tuple(Noun(noun.singular, noun.plural, noun.weight * scale) for noun in further)


TRAINING_NOUNS: dict[str, tuple[Noun, ...]] = {
    category: _with_wordnet(category, nouns) for category, nouns in MORE_NOUNS.items()
}
"""Names of each category."""
