"""All names of what is taught: the first ones, more of them, WordNet's and those of many trades.

Training says them all; a model that was taught them is asked by the first of each (`language.concepts`).
"""

from __future__ import annotations

from rs2sam.datasets.english.more_nouns import MORE_NOUNS
from rs2sam.datasets.english.nouns import Noun
from rs2sam.datasets.english.trade_nouns import trade_nouns
from rs2sam.datasets.english.wordnet import taught_nouns

WORDNET_SHARE, TRADE_SHARE = 0.5, 1.0
"""What the further names of a category weigh together, beside the first ones and more of them."""


def _with_further(category: str, nouns: tuple[Noun, ...]) -> tuple[Noun, ...]:
    """Names of a category, WordNet's and those of trades."""
    own = sum(noun.weight for noun in nouns)
    shares = ((taught_nouns(), WORDNET_SHARE), (trade_nouns(), TRADE_SHARE))
    return nouns + tuple(
        Noun(noun.singular, noun.plural, noun.weight * share * own)
        for further, share in shares
        for noun in further.get(category, ())
    )


TRAINING_NOUNS: dict[str, tuple[Noun, ...]] = {
    category: _with_further(category, nouns) for category, nouns in MORE_NOUNS.items()
}
"""Names of each category."""
