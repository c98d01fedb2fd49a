"""What a concept model says of a batch of phrases, as tensors.

B phrases, N objects, h w cells of the masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

NOTHING = -20.0
"""Logit of a pixel that belongs to nothing."""


@dataclass(frozen=True)
class ConceptAnswer:
    """Answers to a batch; logits are the models' own, whose sigmoid is the probability.

    Args:
        logits: (B, h, w) of "the pixel is part of what the phrase names".
        presence_logits: (B,) of "it is in the picture"; None where the model has no such head.
        scores: (B,) in [0, 1], of the surest object; None where the model does not tell.
        objects: for each phrase (N, h, w) logits and (N,) scores of the objects; None where it tells none apart.
    """

    logits: Tensor
    presence_logits: Tensor | None = None
    scores: Tensor | None = None
    objects: tuple[tuple[Tensor, Tensor], ...] | None = None


def parts_of(num_pictures: int, num_phrases: int, most: int) -> Iterator[tuple[list[int], slice]]:
    """Share phrases out to parts that are answered at once.

    Args:
        num_pictures: I; phrase b is about picture b * I // B.
        num_phrases: B.
        most: phrases of a part.

    Yields:
        The picture of each phrase of a part, and which phrases these are.
    """
    for start in range(0, num_phrases, most):
        stop = min(start + most, num_phrases)
        yield [phrase * num_pictures // num_phrases for phrase in range(start, stop)], slice(start, stop)


def gathered(parts: list[Tensor], pictures: list[int]) -> Tensor:
    """One row for each phrase, out of one for each picture (1, ...); of a single picture no copy is made."""
    if len(set(pictures)) == 1:
        one = parts[pictures[0]]
        return one.expand(len(pictures), *one.shape[1:])
    return torch.cat([parts[picture] for picture in pictures])
