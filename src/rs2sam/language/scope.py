"""The scope of a sentence: what tiles can answer, and what only the scene can decide.

"The largest storage tank at the lower left" cannot be answered inside a tile: each has a largest tank of its own. So
the sentence is divided (`read_sentence`), tiles are asked for "the storage tanks", and the scene chooses among all that
they found (`choose`).

>>> scoped = read_sentence("the largest storage tank at the lower left")
>>> scoped.local, [str(claim) for claim in scoped.claims]
('the storage tanks', ['in lower left', 'largest'])
>>> small, large, elsewhere = (Candidate((x, 800, x + s, 800 + s), s * s) for x, s in ((50, 20), (90, 30), (900, 60)))
>>> choose([small, large, elsewhere], scoped.claims, size_hw=(1000, 1000))
[1]
"""

from __future__ import annotations

from rs2sam.language.choosing import ToMap, choose
from rs2sam.language.claims import (
    Anchor,
    Candidate,
    CandidateLike,
    Claim,
    Count,
    Direction,
    Place,
    Rank,
    ScopedSentence,
)
from rs2sam.language.reading import read_sentence

__all__ = [
    "Anchor",
    "Candidate",
    "CandidateLike",
    "Claim",
    "Count",
    "Direction",
    "Place",
    "Rank",
    "ScopedSentence",
    "ToMap",
    "choose",
    "read_sentence",
    "remarks",
]


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
