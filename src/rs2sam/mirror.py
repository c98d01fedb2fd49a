"""A model that is asked about every view and its mirror image, and the mean of what it says of both.

The ground is as likely one way round as the other, so a view mirrored sideways is as good a view. A sentence with a
word of left or right would be false of it and is asked of the view alone; where such words are decided afterwards
(`rs2sam.language.scope`) what is asked holds none of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rs2sam.pictures import Picture
from rs2sam.segmenter import Segmentation, Segmenter

__all__ = ["MirroringSegmenter", "mirrors_well"]

# Inside of words too ("topleft", "upper_left"), misspelled and shortened: a word that is none ("alright") costs the
# averaging, one that is overlooked costs the mask.
_SIDES = re.compile(
    r"lef|letf|lft|(?<!b)righ|rigt|rihg|rght|(?:\b|_|th)(?:west|east)|\b[ns]\.?[ew]\b|clock", re.IGNORECASE
)


def mirrors_well(sentence: str) -> bool:
    """Whether a sentence means the same of the mirror image, as far as its letters tell."""
    return _SIDES.search(sentence) is None


class MirroringSegmenter(Segmenter):
    """A segmenter that averages over mirror images; everything else is as of the one it is made from.

    Args:
        segmenter: whose processor and backend it shares.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__(segmenter._processor, segmenter._backend)
        self._segmenter = segmenter

    def __reduce__(self) -> tuple[type[MirroringSegmenter], tuple[Segmenter]]:
        """The segmenter that it is made from, which loads its model again."""
        return MirroringSegmenter, (self._segmenter,)

    @property
    def backend_name(self) -> str:
        """That of the backend, and that views are mirrored: results of the two are not the same."""
        return f"{super().backend_name}, mirrored"

    def _run(self, pairs: Sequence[tuple[Picture, str]], size_hw: tuple[int, int] | None) -> list[Segmentation]:
        """One batch through the model, and what of it can be mirrored once more."""
        found = super()._run(pairs, size_hw)
        places = [place for place, (_, sentence) in enumerate(pairs) if mirrors_well(sentence)]
        if places:
            again = super()._run([(pairs[place][0].mirrored, pairs[place][1]) for place in places], size_hw)
            for place, one in zip(places, again, strict=True):
                found[place] = _mean(found[place], one)
        return found


def _mean(own: Segmentation, mirrored: Segmentation) -> Segmentation:
    """What both say of the view as it is."""
    probability = np.float32(0.5) * (own.probability + mirrored.probability[:, ::-1])
    return replace(
        own,
        mask=probability > 0.5,
        probability=probability,
        presence=_mean_of(own.presence, mirrored.presence),
        score=_mean_of(own.score, mirrored.score),
    )  # `known` is the sentence's, whatever it is about


def _mean_of(first: float | None, second: float | None) -> float | None:
    """The mean, or None where the weights have no such head."""
    return None if first is None or second is None else (first + second) / 2
