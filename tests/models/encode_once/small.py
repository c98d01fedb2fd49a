"""The tiny model that encodes once, random but for nothing that hides a part."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rs2sam.models.encode_once.configuration import EncodeOnceConfig
from rs2sam.models.encode_once.efficientnet import ConvNorm
from rs2sam.models.encode_once.model import EncodeOnceModel


def small_once(seed: int = 0, **changes: Any) -> EncodeOnceModel:
    """A model of the tiny preset in evaluation mode, the same for the same seed.

    Norms have statistics and the gate is open, so that folding and the decoder can be seen in the answers.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = EncodeOnceModel(EncodeOnceConfig.preset("tiny", **changes)).eval()
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, ConvNorm) and module.gamma is not None:
                    nn.init.uniform_(module.gamma, 0.7, 1.3)
                    nn.init.normal_(module.beta, std=0.2)
                    nn.init.normal_(module.mean, std=0.2)
                    nn.init.uniform_(module.var, 0.5, 1.5)
            if model.config.has_decoder:
                model.gate.fill_(1.0)
    return model


def random_pixels(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def random_ids(*lengths: int, seed: int = 0) -> Tensor:
    """(B, L) sentences of these lengths, padded with 1."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, 512, (len(lengths), max(lengths)), generator=generator)
    return torch.where(torch.arange(max(lengths)) < torch.tensor(lengths)[:, None], ids, 1)
