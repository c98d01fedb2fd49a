"""Attention: equal to PyTorch's, blind to padding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from rs2sam.models.attention import CrossAttention, additive_key_mask
from tests.models.sizes import small_config


@pytest.fixture
def pair() -> tuple[CrossAttention, nn.MultiheadAttention]:
    """Ours and PyTorch's with the same weights."""
    config = small_config()
    config._attn_implementation = "sdpa"
    torch.manual_seed(0)
    reference = nn.MultiheadAttention(16, 4, batch_first=True)
    attention = CrossAttention(config, width=16, heads=4)
    attention.load_state_dict(reference.state_dict())
    return attention, reference


def _tokens(count: int) -> Tensor:
    return torch.randn(2, count, 16, generator=torch.Generator().manual_seed(count))


def test_equals_pytorch_multihead_attention(pair: tuple[CrossAttention, nn.MultiheadAttention]) -> None:
    attention, reference = pair
    query, source = _tokens(5), _tokens(3)
    expected, _ = reference(query, source, source)
    torch.testing.assert_close(attention(query, source), expected)


def test_equals_pytorch_multihead_attention_with_padding(
    pair: tuple[CrossAttention, nn.MultiheadAttention],
) -> None:
    attention, reference = pair
    query, source = _tokens(5), _tokens(3)
    padding = torch.tensor([[False, False, True], [False, False, False]])
    expected, _ = reference(query, source, source, key_padding_mask=padding)
    torch.testing.assert_close(attention(query, source, additive_key_mask(padding, torch.float32)), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_key_mask_is_zero_where_attended_and_finite_elsewhere(dtype: torch.dtype) -> None:
    mask = additive_key_mask(torch.tensor([[False, True]]), dtype)
    assert mask.shape == (1, 1, 1, 2)
    assert mask.dtype == dtype
    assert mask.flatten().tolist() == [0.0, torch.finfo(dtype).min]
