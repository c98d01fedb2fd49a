"""Losses of a model that encodes an image once, over the cells of which the answer is known.

I images, B sentences, K classes, h w cells at 1/4 of the input.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_MASK_FOCUS, _CLASS_FOCUS = 1.0, 1.5
_MASK_CROSS_ENTROPY, _CLASS_CROSS_ENTROPY = 10.0, 15.0
_OUTLINE_KERNEL = 5
_OUTLINE_STEP = 0.2
_OUTLINE_WEIGHT = 3.0
_LEAST_PRESENT = 2.0
"""Known cells of a class above which its Dice counts."""


def mask_loss(logits: Tensor, target: Tensor, known: Tensor, is_present: Tensor) -> Tensor:
    """Ten times the focal cross entropy, mean over sentences, plus the Dice loss of those that mean something.

    Cells within two of the target's outline weigh three times as much as others.

    Args:
        logits: (B, 1, h, w), mask where they are above 0.
        target: (B, h, w) in [0, 1], share of a cell that is meant.
        known: (B, h, w) bool, cells that count.
        is_present: (B,) 1 where something is meant, else 0.

    Returns:
        Scalar.
    """
    target, known = target[:, None].float(), known[:, None].float()
    weight = known * (1 + (_OUTLINE_WEIGHT - 1) * outline(target))
    entropy = _focal(logits, target, _MASK_FOCUS) * weight
    focal = entropy.sum((1, 2, 3)) / known.sum((1, 2, 3)).clamp_min(1)  # (B,)
    dice = _dice(logits, target, known)[:, 0] * is_present
    return _MASK_CROSS_ENTROPY * focal.mean() + dice.sum() / is_present.sum().clamp_min(1)


def class_loss(logits: Tensor, shares: Tensor, known: Tensor) -> Tensor:
    """Fifteen times the focal cross entropy over known cells, plus the Dice loss of classes that are there.

    Args:
        logits: (I, K, h, w).
        shares: (I, K, h, w) in [0, 1], share of a cell that belongs to the class.
        known: (I, K, h, w) bool.

    Returns:
        Scalar; 0 where nothing is known.
    """
    weight = known.float()
    focal = (_focal(logits, shares, _CLASS_FOCUS) * weight).sum() / weight.sum().clamp_min(1)
    # Dice of an absent class would only repeat what cross entropy says.
    is_present = ((shares * weight).sum((2, 3)) > _LEAST_PRESENT).float()
    dice = _dice(logits, shares, weight) * is_present
    return _CLASS_CROSS_ENTROPY * focal + dice.sum() / is_present.sum().clamp_min(1)


def centre_loss(logits: Tensor, depth: Tensor, known: Tensor) -> Tensor:
    """Cross entropy with how deep inside its object a cell lies, over cells of which that is known.

    Args:
        logits: (I, 1, h, w).
        depth: (I, h, w) in [0, 1].
        known: (I, h, w), 1 where the depth is known, else 0.

    Returns:
        Scalar; 0 where nothing is known.
    """
    entropy = F.binary_cross_entropy_with_logits(logits[:, 0], depth, reduction="none")
    return (entropy * known).sum() / known.sum().clamp_min(1)


def outline(target: Tensor) -> Tensor:
    """1 in cells within two of where a target's shares change, else 0: (B, 1, h, w) in [0, 1] to the same."""
    return (_most_around(target) + _most_around(-target) > _OUTLINE_STEP).float()


def _most_around(values: Tensor) -> Tensor:
    """The largest value within two cells."""
    # Maxima of shifted maps: torch's pooling takes four times as long on a CPU.
    reach = _OUTLINE_KERNEL // 2
    for axis in (2, 3):
        side = values.shape[axis]
        padded = F.pad(values, (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0), mode="replicate")
        values = padded.narrow(axis, 0, side)
        for shift in range(1, _OUTLINE_KERNEL):
            values = torch.maximum(values, padded.narrow(axis, shift, side))
    return values


def _focal(logits: Tensor, target: Tensor, focus: float) -> Tensor:
    """Cross entropy of every cell, less where the probability is near the target already."""
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return entropy * (target - logits.sigmoid()).abs() ** focus


def _dice(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Dice loss of every map over cells with a weight: (n, k, h, w) to (n, k)."""
    probability = logits.sigmoid()
    overlap = (probability * target * weight).sum((2, 3))
    together = ((probability + target) * weight).sum((2, 3))
    loss: Tensor = 1 - (2 * overlap + 1) / (together + 1)
    return loss
