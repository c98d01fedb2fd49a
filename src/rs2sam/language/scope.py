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
from rs2sam.language.remarks import remarks

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
