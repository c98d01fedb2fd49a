"""How weights start.

| weights | start |
|---|---|
| linear layers and convolutions | truncated normal, standard deviation `initializer_gain` / sqrt(fan-in); bias 0 |
| token, position, summary and no-mask embeddings, position tables | the same, the width taken as fan-in |
| layers marked by `start_at` | as marked |
| input projections of cross attentions | Xavier uniform over the packed matrix; bias 0 |
| prompt position frequencies | standard normal, as in SAM 2 |
| norms | weight 1, bias 0 |

The gain follows the fan-in: one fixed deviation of 0.02 is right at width 1024 and silences a block of width 48.
Marked are, each where it is built: output layers of the trunk's adapters (small, so that a trained trunk is little
disturbed), the text's way through the trunk and through the projections (so that it neither fades nor explodes), the
output projection of product fusions (bias 1: a product starts near the identity, not near zero), the mask decoder's own
tokens (standard normal, as in SAM 2), and the first convolution over the mask prompt (random biases: behind it a norm
over four channels would otherwise cancel the mask's value altogether).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn
from transformers import initialization as init
from transformers.models.sam2.modeling_sam2 import Sam2PositionalEmbedding

from rs2sam.models.configuration import SharedSizes

Layer = TypeVar("Layer", bound=nn.Module)


@dataclass(frozen=True)
class Start:
    """What a marked layer starts as: truncated normal weights around 0, biases around `bias`."""

    std: float
    bias: float
    bias_std: float


def start_at(layer: Layer, std: float, bias: float = 0.0, bias_std: float = 0.0) -> Layer:
    """Mark `layer` to start with weights of deviation `std` and biases of mean `bias` and deviation `bias_std`.

    A mark on the layer itself, since transformers initialises layer by layer and skips modules without parameters.
    Returns the layer.
    """
    # Not a parameter, so it is set past nn.Module, whose type stubs only allow tensors and modules.
    object.__setattr__(layer, "start", Start(std, bias, bias_std))
    return layer


def initialize(module: nn.Module, config: SharedSizes) -> None:
    """Start the weights that `module` itself holds.

    Args:
        module: any module of the model; what has no weights of its own is left alone.
        config: gives the gain.
    """
    gain = config.initializer_gain
    start: Start | None = getattr(module, "start", None)
    if start is not None:
        for name, parameter in module.named_parameters(recurse=False):
            if name == "bias":
                init.normal_(parameter, mean=start.bias, std=start.bias_std)
            else:
                _truncated(parameter, start.std)
    elif isinstance(module, (nn.Linear, nn.Conv2d)):
        _truncated(module.weight, gain / math.sqrt(module.weight[0].numel()))
    elif isinstance(module, nn.ConvTranspose2d):
        # Kernel and stride are equal in SAM 2's upscaling: every output pixel sees each input channel once.
        _truncated(module.weight, gain / math.sqrt(module.in_channels))
    elif isinstance(module, nn.Embedding):
        _truncated(module.weight, gain / math.sqrt(module.embedding_dim))
    elif isinstance(module, Sam2PositionalEmbedding):
        init.normal_(module.positional_embedding, std=module.scale)
    else:
        _initialize_bare_parameters(module, gain)


def _initialize_bare_parameters(module: nn.Module, gain: float) -> None:
    """Parameters that modules hold directly, by name."""
    for name, parameter in module.named_parameters(recurse=False):
        if name == "in_proj_weight":
            init.xavier_uniform_(parameter)
        elif name in ("in_proj_bias", "no_memory_embedding"):
            init.zeros_(parameter)
        elif name in ("cls_token", "no_mask_embedding"):
            _truncated(parameter, gain / math.sqrt(parameter.shape[-1]))
        elif name in ("pos_embed", "pos_embed_window"):
            _truncated(parameter, gain / math.sqrt(parameter.shape[1]))


def _truncated(weight: Tensor, std: float) -> None:
    """Normal of deviation `std`, cut at two deviations."""
    init.trunc_normal_(weight, std=std, a=-2.0 * std, b=2.0 * std)
