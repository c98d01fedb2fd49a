"""Fusions: the equations of the paper, written out a second time."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.fusion import BidirectionalFusion, MlpAdapter, ProductFusion
from tests.models.sizes import small_model


def _config() -> RS2SamConfig:
    config: RS2SamConfig = small_model().config
    return config


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def _fusion() -> BidirectionalFusion:
    fusion: BidirectionalFusion = small_model().trunk.blocks[0].fusion
    return fusion


def test_fusion_follows_its_equations() -> None:
    fusion, image, text = _fusion(), _random(2, 10, 16), _random(2, 4, 64)
    assert fusion.image_to_text is not None
    assert fusion.text_out is not None
    z = F.gelu(fusion.down(image))
    t0 = fusion.text_in(text)
    z = z + fusion.text_to_image(z, t0)
    t1 = t0 + fusion.image_to_text(t0, z)
    out_image, out_text = fusion(image, text, None)
    torch.testing.assert_close(out_image, fusion.up(z))
    torch.testing.assert_close(out_text, 0.8 * text + 0.2 * fusion.text_out(t1))


def test_last_block_leaves_the_text_and_has_no_weights_for_it() -> None:
    model = small_model()
    fusion, text = model.trunk.blocks[-1].fusion, _random(2, 4, 64)
    _, out_text = fusion(_random(2, 10, 128), text, None)
    assert torch.equal(out_text, text)
    assert not [name for name, _ in fusion.named_parameters() if "image_to_text" in name or "text_out" in name]


def test_mlp_adapter_is_scaled() -> None:
    adapter, image = MlpAdapter(_config(), 16), _random(2, 3, 16)
    torch.testing.assert_close(adapter(image), 0.5 * adapter.up(F.gelu(adapter.down(image))))


def test_product_fusion_multiplies_and_adds_positions_to_queries_only() -> None:
    fusion = small_model().decoder_fusion
    tokens, source, position = _random(2, 6, 64), _random(2, 4, 64), _random(1, 6, 64)
    expected = tokens * fusion.attention(tokens + position, source)
    torch.testing.assert_close(fusion(tokens, source, position), expected)


@torch.no_grad()
def test_product_fusion_starts_near_the_identity() -> None:
    fusion, tokens = small_model().decoder_fusion, _random(2, 6, 64)
    assert isinstance(fusion, ProductFusion)
    assert float((fusion(tokens, _random(2, 4, 64)) - tokens).norm() / tokens.norm()) < 0.3
