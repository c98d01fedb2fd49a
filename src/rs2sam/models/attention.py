"""Multi-head attention between two sets of tokens, through the attention interface of transformers.

B batch, H heads, Q queries, K keys, C channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.sam2.modeling_sam2 import Sam2MultiScaleAttention, do_pool, eager_attention_forward

from rs2sam.models.configuration import SharedSizes


def additive_key_mask(padding_mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to attention scores so that padded keys get no weight.

    Args:
        padding_mask: (B, K) bool, True = padding.
        dtype: of the scores.

    Returns:
        (B, 1, 1, K), 0 or the lowest finite number of `dtype`.
    """
    zeros = torch.zeros(padding_mask.shape, dtype=dtype, device=padding_mask.device)
    return zeros.masked_fill(padding_mask, torch.finfo(dtype).min)[:, None, None, :]


class Attention(nn.Module):
    """Scaled dot-product attention of projected queries, keys and values; holds no weights.

    Args:
        config: names the attention implementation.
        heads: number of heads; the width must divide by it.
    """

    is_causal = False  # read by transformers' attention functions

    def __init__(self, config: SharedSizes, heads: int) -> None:
        super().__init__()
        self.config = config
        self.heads = heads

    def forward(self, query: Tensor, key: Tensor, value: Tensor, key_mask: Tensor | None) -> Tensor:
        """Attend.

        Args:
            query: (B, Q, C).
            key: (B, K, C).
            value: (B, K, C).
            key_mask: (B, 1, 1, K) from `additive_key_mask`, or None.

        Returns:
            (B, Q, C).
        """
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        out, _ = attend(
            self,
            self._split(query),
            self._split(key),
            self._split(value),
            attention_mask=key_mask,
            scaling=(query.shape[-1] // self.heads) ** -0.5,
            is_causal=False,
        )  # (B, Q, H, C / H)
        return out.flatten(2)

    def _split(self, tokens: Tensor) -> Tensor:
        """(B, N, C) to (B, H, N, C / H)."""
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class CellAttention(Sam2MultiScaleAttention):
    """SAM 2's attention between the cells of windows, without a product of its heads that nothing reads."""

    def forward(self, hidden_states: Tensor, **_: Any) -> Tensor:
        """(B, H, W, d) to (B, H', W', d'), half as high and wide where queries are pooled."""
        batch, height, width = hidden_states.shape[:3]
        projected = self.qkv(hidden_states).reshape(batch, height * width, 3, self.num_attention_heads, -1)
        query, key, value = projected.unbind(2)  # (B, H W, heads, d' / heads)
        if self.query_stride:
            pooled = do_pool(query.reshape(batch, height, width, -1), self.query_stride)
            height, width = pooled.shape[1:3]
            query = pooled.reshape(batch, height * width, self.num_attention_heads, -1)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        tokens = (one.transpose(1, 2) for one in (query, key, value))
        attended, _ = attend(self, *tokens, attention_mask=None, scaling=self.scale, is_causal=False)
        return self.proj(attended.reshape(batch, height, width, -1))


class CrossAttention(nn.Module):
    """Multi-head attention of one set of tokens to another, input projections in one matrix.

    Args:
        config: names the attention implementation.
        width: channels C of queries, keys, values and output.
        heads: number of heads.
    """

    def __init__(self, config: SharedSizes, width: int, heads: int) -> None:
        super().__init__()
        # One packed matrix, as published checkpoints hold it, so that parameters map one to one.
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.attention = Attention(config, heads)
        self.out_proj = nn.Linear(width, width)

    def forward(self, query: Tensor, source: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """Attend from `query` to `source`, which is both keys and values.

        Args:
            query: (B, Q, C).
            source: (B, K, C).
            key_mask: (B, 1, 1, K) from `additive_key_mask`, or None to attend to everything.

        Returns:
            (B, Q, C).
        """
        width = query.shape[-1]
        weight, bias = self.in_proj_weight, self.in_proj_bias
        projected_query = F.linear(query, weight[:width], bias[:width])  # (B, Q, C)
        key, value = F.linear(source, weight[width:], bias[width:]).chunk(2, dim=-1)  # (B, K, C) each
        return self.out_proj(self.attention(projected_query, key, value, key_mask))
