"""The sentence before it meets a picture: tokens, layers over the text alone, and their mean.

B sentences, L text tokens, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rs2sam.models.attention import Attention, additive_key_mask
from rs2sam.models.configuration import POSITION_OFFSET, SharedSizes
from rs2sam.models.union_encoder import Expert


class ReadSentence(NamedTuple):
    """What is known of sentences without a picture."""

    text: Tensor
    """(B, L, D)."""
    padding: Tensor
    """(B, L) bool, True = padding."""
    pooled: Tensor
    """(B, D) mean of the tokens that are no padding."""


class TextLayer(nn.Module):
    """Attention and feed-forward over the text alone: the text half of a `UnionLayer`.

    Args:
        config: sizes.
    """

    def __init__(self, config: SharedSizes) -> None:
        super().__init__()
        self.text = Expert(config)
        self.attention = Attention(config, config.union_heads)

    def forward(self, text: Tensor, key_mask: Tensor) -> Tensor:
        """(B, L, D) and (B, 1, 1, L) to (B, L, D)."""
        return self.text.finish(text, self.attention(*self.text.project(text), key_mask))


def embed_tokens(token_embedding: nn.Module, text_positions: nn.Module, input_ids: Tensor, padding: Tensor) -> Tensor:
    """Tokens with positions, zero where padded: (B, L) to (B, L, D)."""
    positions = torch.arange(input_ids.shape[1], device=input_ids.device) + POSITION_OFFSET
    text: Tensor = token_embedding(input_ids) + text_positions(positions)
    return text.masked_fill(padding[..., None], 0.0)


def read_text(text: Tensor, padding: Tensor, layers: nn.ModuleList) -> ReadSentence:
    """Run text layers and take the mean.

    Args:
        text: (B, L, D) from `embed_tokens`.
        padding: (B, L) bool, True = padding; a sentence has at least one token.
        layers: of `TextLayer`.
    """
    key_mask = additive_key_mask(padding, text.dtype)
    for layer in layers:
        text = layer(text, key_mask)
    weight = (~padding).to(text.dtype)[..., None]  # (B, L, 1)
    return ReadSentence(text, padding, (text * weight).sum(1) / weight.sum(1))
