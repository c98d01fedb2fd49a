"""Models and inputs small enough for tests of a second."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.rs2sam import RS2SamModel


def small_config(**changes: Any) -> RS2SamConfig:
    """The tiny preset at 64 px and width 64, heads reported."""
    sizes = {"image_size": 64, "decoder_width": 64, "decoder_mlp_width": 64, "has_presence": True, "has_score": True}
    return RS2SamConfig.preset("tiny", **{**sizes, **changes})


def small_model(seed: int = 0, **changes: Any) -> RS2SamModel:
    """A model of `small_config` in evaluation mode, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return RS2SamModel(small_config(**changes)).eval()


def small_inputs(batch: int = 2, length: int = 7, side: int = 64, seed: int = 0) -> dict[str, Tensor]:
    """Random images and sentences without padding."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "pixel_values": torch.randn(batch, 3, side, side, generator=generator),
        "union_pixel_values": torch.randn(batch, 3, 64, 64, generator=generator),
        "input_ids": torch.randint(4, 512, (batch, length), generator=generator),
        "attention_mask": torch.ones(batch, length, dtype=torch.int64),
    }
