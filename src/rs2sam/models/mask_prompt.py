"""The mask prompt generator: a soft mask from the union encoder (DESIGN section 2, step 3).

B batch, N patches (g x g), D width of the union encoder.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.fusion import ProductFusion
from rs2sam.models.initialization import start_at


class MaskPromptGenerator(nn.Module):
    """How well every patch agrees with the summary token, as a probability.

    `m = mask_linear(cls * attention(q=cls, k=v=patches));  P = sigmoid(mask_product(patches * m))`

    With `config.mask_prompt` "plain" the attention is left out: `m = mask_linear(cls)`.

    Args:
        config: sizes and which of the two; a model whose prompt is "none" has no generator.
    """

    def __init__(self, config: RS2SamConfig) -> None:
        super().__init__()
        self.grid = config.union_grid
        width = config.union_width
        has_attention = config.mask_prompt == "cls-attention"
        self.cls_attention = ProductFusion(config, width, config.mask_prompt_heads) if has_attention else None
        self.mask_linear = start_at(nn.Linear(width, width), std=1.0 / math.sqrt(width))
        self.mask_product = start_at(_ExactProduct(width, 1), std=1.0 / math.sqrt(width))

    def forward(self, cls: Tensor, patches: Tensor) -> Tensor:
        """Make the pseudo-mask.

        Args:
            cls: (B, 1, D).
            patches: (B, N, D), row by row.

        Returns:
            `pseudo_mask` (B, 1, g, g) in [0, 1].
        """
        attended = cls if self.cls_attention is None else self.cls_attention(cls, patches)  # (B, 1, D)
        mask_token = self.mask_linear(attended)  # (B, 1, D)
        logits = self.mask_product(patches * mask_token)  # (B, N, 1)
        return logits.sigmoid().transpose(1, 2).unflatten(2, (self.grid, self.grid))


class _ExactProduct(nn.Linear):
    """A linear layer with one output, in float32 whatever its input and its weights are.

    Half precision would round the logits to three digits and the sigmoid to 1 from 0.998 on. Written as a sum because
    autocast takes linear layers back to half precision.
    """

    def forward(self, input: Tensor) -> Tensor:
        return (input.float() * self.weight.float()).sum(-1, keepdim=True) + self.bias.float()
