"""Low-rank changes to the union encoder instead of its weights, for small cards (LoRA, arXiv 2106.09685; by peft).

Three quarters of the model's parameters are the union encoder's. With LoRA they need neither gradients nor optimizer
states; what is saved in the end is a plain model, with the changes added to the weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rs2sam.errors import require
from rs2sam.models import RS2SamConfig, RS2SamModel

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2")
"""The linear layers of an expert; names of `models.union_encoder.Expert`."""
SCALE = 2.0
"""Factor of the low-rank product: peft's `lora_alpha` over the rank."""

_BASE, _DOWN, _UP = ".base_layer", ".lora_A.default.weight", ".lora_B.default.weight"
"""How peft names a layer's own parameters and the two factors."""


def add_lora(model: RS2SamModel, rank: int) -> None:
    """Give every linear layer of the union encoder a low-rank change, which starts at zero.

    Args:
        model: changed in place; its output is the same until it is trained.
        rank: inner width of the changes, at least 1.

    Raises:
        MissingDependencyError: peft is not installed.
    """
    require("peft", "train", "`lora_rank`")
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(r=rank, lora_alpha=round(SCALE * rank), target_modules=list(TARGETS), lora_dropout=0.0)
    inject_adapter_in_model(config, model.union_encoder)


def low_rank_factors(model: RS2SamModel) -> list[nn.Module]:
    """The factors of every low-rank change; empty without LoRA."""
    return [
        factor
        for layer in model.union_encoder.modules()
        for name, factor in layer.named_children()
        if name in ("lora_A", "lora_B")
    ]


def plain_model(config: RS2SamConfig, state: Mapping[str, Tensor]) -> RS2SamModel:
    """A model without low-rank changes from the state of one that may have them.

    Args:
        config: of the model.
        state: its state dict; tensors on any device.

    Returns:
        On the CPU, in evaluation mode; the same function of its inputs, up to rounding.
    """
    with torch.device("meta"):
        model = RS2SamModel(config)
    model.load_state_dict({name: tensor.detach().cpu() for name, tensor in merged(state).items()}, assign=True)
    return model.eval()


def merged(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with every low-rank change added to its layer's weight, under the layer's plain names."""
    plain = {}
    for name, tensor in state.items():
        layer, is_base, kind = name.partition(_BASE)
        if is_base and kind == ".weight":
            tensor = tensor + SCALE * (state[layer + _UP] @ state[layer + _DOWN])
        if not name.endswith((_DOWN, _UP)):
            plain[layer + kind] = tensor
    return plain
