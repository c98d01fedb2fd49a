"""The union encoder: BEiT-3, one transformer over image patches and sentence together (DESIGN section 2, step 1).

Every weight of a layer exists twice ("multiway"), once for image tokens and once for text; only attention sees both.
Source: BEiT-3 (arXiv 2208.10442); sub-LN from Magneto (arXiv 2210.06423).

I pictures, B sentences, N patches, L text tokens, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_layers import GradientCheckpointingLayer

from rs2sam.models.attention import Attention, additive_key_mask
from rs2sam.models.configuration import POSITION_OFFSET, RS2SamConfig, SharedSizes
from rs2sam.models.sharing import one_per_sentence

NORM_EPS = 1e-5


class UnionFeatures(NamedTuple):
    """What the union encoder makes of image and sentence."""

    cls: Tensor
    """(B, 1, D) summary token."""
    patches: Tensor
    """(B, N, D), row by row."""
    text: Tensor
    """(B, L, D)."""


class Expert(nn.Module):
    """The weights of one layer for one modality: pre-norm attention and feed-forward, each with an inner norm.

    Args:
        config: sizes.
    """

    def __init__(self, config: SharedSizes) -> None:
        super().__init__()
        width, hidden = config.union_width, config.union_ffn_width
        self.attention_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.attention_inner_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.o_proj = nn.Linear(width, width)
        self.ffn_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.fc1 = nn.Linear(width, hidden)
        self.ffn_inner_norm = nn.LayerNorm(hidden, eps=NORM_EPS)
        self.fc2 = nn.Linear(hidden, width)

    def project(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of `tokens`, each (B, n, D)."""
        normed = self.attention_norm(tokens)
        return self.q_proj(normed), self.k_proj(normed), self.v_proj(normed)

    def finish(self, tokens: Tensor, attended: Tensor) -> Tensor:
        """Add what was attended to, then the feed-forward layer: (B, n, D) to (B, n, D)."""
        tokens = tokens + self.o_proj(self.attention_inner_norm(attended))
        hidden = F.gelu(self.fc1(self.ffn_norm(tokens)))
        return tokens + self.fc2(self.ffn_inner_norm(hidden))


class UnionLayer(GradientCheckpointingLayer):
    """One multiway layer: two experts around one attention over both modalities.

    Args:
        config: sizes.
    """

    def __init__(self, config: SharedSizes) -> None:
        super().__init__()
        self.image = Expert(config)
        self.text = Expert(config)
        self.attention = Attention(config, config.union_heads)

    def forward(self, image: Tensor, text: Tensor, key_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Run the layer.

        Args:
            image: (B, 1 + N, D), the summary token first; in the first layer (I, 1 + N, D).
            text: (B, L, D).
            key_mask: (B, 1, 1, 1 + N + L), added to the scores.

        Returns:
            `image` (B, 1 + N, D) and `text`, changed.
        """
        batch, num_image = text.shape[0], image.shape[1]
        pairs = zip(self.image.project(image), self.text.project(text), strict=True)
        # Here the sentence comes in, and rows of pictures become rows of sentences.
        query, key, value = (
            torch.cat([one_per_sentence(of_image, batch), of_text], dim=1) for of_image, of_text in pairs
        )  # (B, 1 + N + L, D)
        attended = self.attention(query, key, value, key_mask)
        image = one_per_sentence(image, batch)
        return self.image.finish(image, attended[:, :num_image]), self.text.finish(text, attended[:, num_image:])


class UnionEncoder(nn.Module):
    """BEiT-3's encoder over [CLS, patches, text].

    Args:
        config: sizes.
    """

    def __init__(self, config: RS2SamConfig) -> None:
        super().__init__()
        width, patch = config.union_width, config.union_patch_size
        self.patch_embedding = nn.Conv2d(3, width, kernel_size=patch, stride=patch)
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.token_embedding = nn.Embedding(config.vocab_size, width)
        self.image_positions = nn.Embedding(config.union_grid**2 + 1 + POSITION_OFFSET, width)
        self.text_positions = nn.Embedding(config.max_text_positions, width)
        self.layers = nn.ModuleList([UnionLayer(config) for _ in range(config.union_layers)])
        self.image_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.text_norm = nn.LayerNorm(width, eps=NORM_EPS)

    def forward(self, pixel_values: Tensor, input_ids: Tensor, text_padding_mask: Tensor) -> UnionFeatures:
        """Encode image and sentence together.

        Args:
            pixel_values: (I, 3, s, s), normalised RGB at the configured union size.
            input_ids: (B, L) int64.
            text_padding_mask: (B, L) bool, True = padding.

        Returns:
            Summary token, patches and text tokens.
        """
        image = self.embed_image(pixel_values)  # (I, 1 + N, D)
        text = self.embed_text(input_ids, text_padding_mask)  # (B, L, D)
        # Image tokens are never padding.
        padding = F.pad(text_padding_mask, (image.shape[1], 0), value=False)  # (B, 1 + N + L)
        key_mask = additive_key_mask(padding, image.dtype)
        for layer in self.layers:
            image, text = layer(image, text, key_mask)
        image, text = self.image_norm(image), self.text_norm(text)
        return UnionFeatures(cls=image[:, :1], patches=image[:, 1:], text=text)

    def embed_image(self, pixel_values: Tensor) -> Tensor:
        """Patches behind the summary token, with positions: (I, 3, s, s) to (I, 1 + N, D)."""
        weight = self.patch_embedding.weight
        patches = self.patch_embedding(pixel_values.to(weight.dtype)).flatten(2).transpose(1, 2)  # (I, N, D)
        image = torch.cat([self.cls_token.expand(patches.shape[0], -1, -1), patches], dim=1)
        return image + self.image_positions.weight[POSITION_OFFSET:]

    def embed_text(self, input_ids: Tensor, text_padding_mask: Tensor) -> Tensor:
        """Tokens with positions, zero where padded: (B, L) to (B, L, D)."""
        positions = torch.arange(input_ids.shape[1], device=input_ids.device) + POSITION_OFFSET
        text = self.token_embedding(input_ids) + self.text_positions(positions)
        return text.masked_fill(text_padding_mask[..., None], 0.0)
