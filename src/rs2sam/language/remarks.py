"""What a user should know about how a sentence was read and decided.

>>> names_one("please show me the storage tank")
'storage tank'
>>> names_one("the storage tanks") is None
True
>>> number_remark("plane", [900, 850, 3])
'the sentence names one, and 2 of like size were found: say which ("the largest plane"), or ask for all ("the planes")'
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rs2sam.language.choosing import ToMap
from rs2sam.language.claims import ScopedSentence
from rs2sam.language.concepts import noun_phrase
from rs2sam.language.frames import unframed
from rs2sam.language.reading import read_sentence
from rs2sam.language.words import MASS_NOUNS, is_plural, plural_of

ALIKE_SHARE = 0.25
"""A region is like the largest one where it has at least this share of its area; smaller ones are specks of it."""

# What is all over an image is named in the singular too: "the road", "the river".
_SPREAD = frozenset(
    {
        "road",
        "street",
        "highway",
        "motorway",
        "avenue",
        "lane",
        "path",
        "track",
        "railway",
        "river",
        "stream",
        "canal",
        "lake",
        "sea",
        "coast",
        "shore",
        "beach",
        "forest",
        "vegetation",
        "area",
        "region",
        "surface",
        "shadow",
        "city",
        "town",
        "village",
    }
)
_ONE = re.compile(r"(?:the|that|this)\s+(?!(?:only|whole|entire)\b)", re.IGNORECASE)


def remarks(
    scoped: ScopedSentence,
    to_map: ToMap | None,
    num_landmarks: int,
    num_chosen: int | None = None,
    num_found: int = 0,
) -> list[str]:
    """What a user should know about how a sentence was decided.

    Args:
        scoped: the sentence.
        to_map: as in `choose`.
        num_landmarks: regions found for `scoped.landmark`.
        num_chosen: regions that `choose` gave; None: unknown.
        num_found: regions that it chose among.

    Returns:
        Sentences; none where there is nothing to say.
    """
    said = []
    if scoped.by_compass and to_map is None:
        said.append("The scene does not say where north is: up was taken as north.")
    if scoped.landmark is not None and not num_landmarks:
        said.append(f'Nothing was found for "{scoped.landmark}": what the sentence says of it was left out.')
    if scoped.means_one and num_chosen is not None and num_chosen > 1:
        said.append(
            f"The sentence names one, and {num_chosen:,} regions fit it: all of them are in the result. Say which is "
            'meant, as in "the largest" or "the leftmost".'
        )
    if num_chosen == 0 and num_found:
        regions = "1 region was" if num_found == 1 else f"{num_found:,} regions were"
        said.append(f'{regions} found for "{scoped.local}", and what the rest of the sentence says fits none of them.')
    return said


def names_one(sentence: str) -> str | None:
    """The noun phrase of a sentence about one definite thing ("the plane") that does not say which; else None.

    Args:
        sentence: English.
    """
    phrase = unframed(" ".join(sentence.split()))
    noun = noun_phrase(sentence)
    last = noun.split()[-1].lower() if noun.split() else ""
    stands_there = re.search(rf"\b{re.escape(noun)}\b", phrase)  # a plural was put into the singular
    says_one = _ONE.match(phrase) and stands_there and len(noun.split()) <= 3
    if not says_one or is_plural(last) or last in MASS_NOUNS | _SPREAD or read_sentence(sentence).claims:
        return None
    return noun


def number_remark(noun: str, areas: Sequence[float]) -> str | None:
    """What is said where a sentence names one thing and several of like size were found.

    Args:
        noun: what the sentence names, see `names_one`.
        areas: of the regions found [px].

    Returns:
        The remark; None where there is nothing to say.
    """
    num_alike = sum(area >= ALIKE_SHARE * max(areas) for area in areas) if areas else 0
    if num_alike < 2:
        return None
    return (
        f"the sentence names one, and {num_alike} of like size were found: say which "
        f'("the largest {noun}"), or ask for all ("the {plural_of(noun)}")'
    )
