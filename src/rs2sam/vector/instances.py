"""Objects that a model tells apart in a view: which pixels belong to which, so that those that touch stay two.

Models give a mask and a score for each. Here they become one map of numbers: a pixel belongs to one object at most, to
the one of the highest score that claims it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rs2sam.processing import logits_to_probability, resize_logits

FloatArray = NDArray[np.float32]
Labels = NDArray[np.integer]

REPEATED_SHARE = 0.5
"""A mask of which more than this share belongs to objects of higher scores repeats them and is left out."""
LEAST_PROBABILITY = 0.05
"""Below it a pixel belongs to no object, whatever threshold is asked for."""


@dataclass(frozen=True, eq=False)
class Instances:
    """Which pixels of a mask belong to which object. Only pixels of the mask count.

    Args:
        labels: (H, W) integers: n for the n-th object, from 1; 0 for none.
        scores: (N,) float32 in [0, 1].
    """

    labels: Labels
    scores: FloatArray

    def changed(self, change: Callable[[Labels], Labels]) -> Instances:
        """The same objects on another part of the picture."""
        return Instances(change(self.labels), self.scores)


def painted(logits: FloatArray, scores: FloatArray, size_hw: tuple[int, int]) -> tuple[FloatArray, Instances]:
    """One map of probabilities and one of objects out of many masks.

    Args:
        logits: (N, h, w) float32 mask logits of the objects, see `rs2sam.processing.resize_logits`.
        scores: (N,) float32 in [0, 1], how sure the model is of each.
        size_hw: height and width of the maps [px].

    Returns:
        (H, W) float32, the highest probability of any object; and which object each pixel belongs to. Only one mask is
        at full size at a time.
    """
    probability = np.zeros(size_hw, dtype=np.float32)
    likeliest = np.full(size_hw, LEAST_PROBABILITY, dtype=np.float32)
    labels, weak = np.zeros(size_hw, dtype=np.uint16), np.zeros(size_hw, dtype=np.uint16)
    kept: list[float] = []
    for index in np.argsort(-scores, kind="stable"):
        one = logits_to_probability(resize_logits(logits[index], size_hw))
        inside = one > 0.5
        free = inside & (labels == 0)
        if np.count_nonzero(free) < (1 - REPEATED_SHARE) * np.count_nonzero(inside) or not inside.any():
            continue
        kept.append(float(scores[index]))
        labels[free] = len(kept)
        better = one > likeliest
        weak[better] = len(kept)
        likeliest[better] = one[better]
        np.maximum(probability, one, out=probability)
    return probability, Instances(np.where(labels == 0, weak, labels), np.array(kept, dtype=np.float32))
