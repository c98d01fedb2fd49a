"""Trunk and neck: equal to SAM 2's where the paper adds nothing, and changed by the sentence where it does."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.sam2.modeling_sam2 import Sam2HieraDetModel, Sam2VisionNeck

from rs2sam.models.rs2sam import RS2SamModel
from tests.models.sizes import small_model


def _silence_adapters(model: RS2SamModel) -> None:
    """Zero what the adapters add to the image."""
    for block in model.trunk.blocks:
        for layer in (block.fusion.up, block.mlp_adapter.up):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@torch.no_grad()
def test_trunk_without_adapters_is_sam2s() -> None:
    model = small_model()
    _silence_adapters(model)
    reference = Sam2HieraDetModel(model.config.trunk_config()).eval()
    shared = {name: value for name, value in model.trunk.state_dict().items() if name in reference.state_dict()}
    reference.load_state_dict(shared, strict=True)
    image = _random(2, 3, 96, 96)
    expected = reference(image).intermediate_hidden_states
    for actual, wanted in zip(model.trunk(image, _random(2, 4, 64), None), expected, strict=True):
        torch.testing.assert_close(actual, wanted)


@torch.no_grad()
def test_neck_is_sam2s_without_the_coarsest_level() -> None:
    model = small_model()
    reference = Sam2VisionNeck(model.config.neck_config())
    reference.load_state_dict(model.neck.state_dict())
    maps = model.trunk(_random(1, 3, 64, 64), _random(1, 4, 64), None)
    coarse_first, _ = reference(tuple(maps))
    for actual, wanted in zip(model.neck(maps), reversed(coarse_first[1:]), strict=True):
        torch.testing.assert_close(actual, wanted)


@torch.no_grad()
def test_every_level_depends_on_the_sentence() -> None:
    model, image = small_model(adapter_init_std=0.3), _random(1, 3, 64, 64)
    one = model.trunk(image, _random(1, 4, 64), None)
    other = model.trunk(image, 2.0 * _random(1, 4, 64), None)
    assert all(float((a - b).norm() / a.norm()) > 1e-4 for a, b in zip(one, other, strict=True))


@torch.no_grad()
def test_positions_are_a_stretched_background_and_a_repeated_window() -> None:
    trunk = small_model().trunk
    positions = trunk._positions(16, 24)
    background = F.interpolate(trunk.pos_embed, size=(16, 24), mode="bicubic").permute(0, 2, 3, 1)
    window = trunk.pos_embed_window.permute(0, 2, 3, 1)
    assert positions.shape == (1, 16, 24, 16)
    torch.testing.assert_close((positions - background)[:, 8:16, 16:24], window)
