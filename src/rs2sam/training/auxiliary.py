"""Training-time company of a model: heads that are dropped afterwards, and the moving average that is kept.

A sentence names one thing, so a referring mask teaches the trunk about one thing an image. Where every class of an
image is annotated, predicting all of them from the neck's features teaches more from the same forward pass; imitating a
teacher's features helps where images are few.

Shapes: B batch, S image side, K classes, C channels.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rs2sam.training import teacher


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


class DistillationHead(nn.Module):
    """Maps the student's maps at strides 16 and 32 to the teacher's channels.

    Args:
        channels: the student's channels at strides 16 and 32.
    """

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(
            nn.Conv2d(width, target, 1) for width, target in zip(channels, teacher.CHANNELS, strict=True)
        )

    def loss(self, student: tuple[Tensor, Tensor], features: tuple[Tensor, Tensor]) -> Tensor:
        """One minus the cosine between the mapped student and the teacher, per position, averaged.

        Args:
            student: the student's maps, (B, C, h, w) each.
            features: the teacher's maps at the same strides.

        Returns:
            Scalar in [0, 2].
        """
        terms = []
        for head, own, target in zip(self.maps, student, features, strict=True):
            # Channels differ in scale by orders of magnitude; without this a few of them would be all that counts.
            spread = target.std(dim=(0, 2, 3), keepdim=True) + 1e-4
            centred = (target - target.mean(dim=(0, 2, 3), keepdim=True)) / spread
            terms.append(1 - F.cosine_similarity(head(own).float(), centred, dim=1).mean())
        return torch.stack(terms).mean()


def semantic_loss(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Cross entropy plus Dice per class, over the classes whose annotation is complete in an image.

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
            average.lerp_(current.detach(), 1 - decay)
