"""Training-time company of a model: heads that are dropped afterwards, and the moving average that is kept.

A sentence names one thing, so a referring mask teaches the trunk about one thing an image. Where every class of an
image is annotated, predicting all of them from the neck's features teaches more from the same forward pass.

Shapes: B batch, S image side, K classes, C channels.
"""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SemanticHead(nn.Module):
    """Predicts a mask a class from the three levels that the mask decoder reads.

    Args:
        channels: channels of the levels at strides 4, 8 and 16.
        num_classes: K.
    """

    def __init__(self, channels: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Conv2d(width, num_classes, 1) for width in channels)

    def forward(self, levels: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Sums the levels' linear predictions.

        Args:
            levels: (B, C, S/4, S/4), (B, C, S/8, S/8), (B, C, S/16, S/16).

        Returns:
            (B, K, S/4, S/4) logits.
        """
        size_hw = levels[0].shape[-2:]
        logits = [head(level) for head, level in zip(self.levels, levels, strict=True)]
        return sum((F.interpolate(x, size_hw, mode="bilinear", align_corners=False) for x in logits[1:]), logits[0])


class UnionHead(nn.Module):
    """Reads classes from the union encoder: where each is from the patches, which is named from the summary token.

    With both linear in the class, "where is what the sentence names" is one product of them, which is what the mask
    prompt generator computes.

    Args:
        width: D of the union encoder.
        num_classes: K.
    """

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.places = nn.Linear(width, num_classes)
        self.name = nn.Linear(width, num_classes)

    def semantic(self, patches: Tensor) -> Tensor:
        """(B, g * g, D) patches to (B, K, g, g) logits."""
        side = math.isqrt(patches.shape[1])
        logits: Tensor = self.places(patches)
        return logits.transpose(1, 2).unflatten(2, (side, side))

    def class_loss(self, cls: Tensor, category: Tensor) -> Tensor:
        """Cross entropy of the named class: (B, 1, D) and (B,) int64 to a scalar."""
        return F.cross_entropy(self.name(cls[:, 0]).float(), category)


def pseudo_mask_loss(pseudo_mask: Tensor, target: Tensor, ignore: Tensor | None = None) -> Tensor:
    """Cross entropy of the pseudo-mask with the target's share of every patch.

    Args:
        pseudo_mask: (B, 1, g, g) in [0, 1].
        target: (B, S, S), 0 or 1; averaged down to g x g.
        ignore: (B, S, S) bool, pixels that are left out: a patch counts by its share of others. None: none.

    Returns:
        Scalar; not a number where the pseudo-mask is not. `F.binary_cross_entropy` would end the process instead, and
        mixed precision forbids it.
    """
    shares = F.interpolate(target[:, None].float(), pseudo_mask.shape[-2:], mode="area")
    probability = pseudo_mask.float().clamp(1e-6, 1 - 1e-6)
    if ignore is None:
        return -(shares * probability.log() + (1 - shares) * (1 - probability).log()).mean()
    keep = F.interpolate((~ignore.bool())[:, None].float(), pseudo_mask.shape[-2:], mode="area")
    known = F.interpolate((target.bool() & ~ignore.bool())[:, None].float(), pseudo_mask.shape[-2:], mode="area")
    per_patch = known * probability.log() + (keep - known) * (1 - probability).log()
    return -per_patch.sum() / keep.sum().clamp(min=torch.finfo(keep.dtype).tiny)


def semantic_loss(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Four times the cross entropy plus Dice, over the classes whose annotation is complete in an image.

    Args:
        logits: (B, K, h, w).
        labels: (B, K, S, S) in {0, 1}; averaged down to h x w.
        known: (B, K) bool, False = nothing is known of this class in this image.

    Returns:
        Scalar; 0 where nothing is known.
    """
    logits = logits.float()
    target = F.interpolate(labels.float(), logits.shape[-2:], mode="area")
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=(2, 3))
    probability = logits.sigmoid()
    overlap = (probability * target).sum(dim=(2, 3))
    dice = 1 - (2 * overlap + 1) / (probability.sum(dim=(2, 3)) + target.sum(dim=(2, 3)) + 1)
    # Dice of an absent class only repeats what cross entropy says, with a gradient that drowns the present ones.
    present = known & (target.sum(dim=(2, 3)) > 0)
    weight = known.float()
    cross_term = (cross_entropy * weight).sum() / weight.sum().clamp(min=1)
    return 4 * cross_term + (dice * present).sum() / present.sum().clamp(min=1)


class MovingAverage(nn.Module):
    """Exponential moving average of a model's parameters; its buffers are constants, copied once.

    Args:
        model: the model that is trained; a copy is kept.
        decay: share of the old average that stays at each update, in [0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.updates: Tensor
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay = decay
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Takes in the current parameters; the first updates weigh more, so the random start is soon forgotten."""
        self.updates += 1
        updates = int(self.updates)
        decay = min(self.decay, (1 + updates) / (10 + updates))
        for average, current in zip(self.model.parameters(), model.parameters(), strict=True):
            if current.requires_grad:  # what is frozen is its own average
                average.lerp_(current.detach(), 1 - decay)
