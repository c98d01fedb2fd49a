"""Bidirectional hierarchical fusion: image and sentence change each other in the trunk (DESIGN section 2, step 4).

I pictures, B sentences, N image cells, L text tokens, d width of the block, h of the adapter, C of the text.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from rs2sam.models.attention import CrossAttention
from rs2sam.models.configuration import RS2SamConfig, SharedSizes
from rs2sam.models.initialization import start_at
from rs2sam.models.sharing import one_per_sentence

TEXT_OUT_GAIN = 2.0
"""Deviation of `text_out` at the start times the root of its fan-in; 3 explodes over 48 blocks, 1 fades over ten."""
PRODUCT_STD = 0.02
"""Deviation of a product fusion's output projection at the start."""


class BidirectionalFusion(nn.Module):
    """Layer behind a block's attention, in which image and text attend to each other at width h = d/4.

    ```
    z  = GELU(down(y));   t0 = text_in(T)
    z  = z  + attention(q=z, k=v=t0)
    t1 = t0 + attention(q=t0, k=v=z)
    T  = (1 - rate) T + rate * text_out(t1);   y' = up(z)
    ```

    The paper's two simpler layers are this one with lines left out, and without their weights: `one-directional` ends
    the text's way after the second line, `linear` has only `y' = up(GELU(down(y)))`.

    Args:
        config: sizes, and which of the three layers.
        width: width d of the block.
        is_last: of the last block, whose text nobody reads: it is not updated there.
    """

    def __init__(self, config: SharedSizes, width: int, is_last: bool) -> None:
        super().__init__()
        hidden = int(width * config.adapter_ratio)
        self.rate = config.text_update_rate
        self.down = nn.Linear(width, hidden)
        self.text_in: nn.Linear | None = None
        self.text_to_image: CrossAttention | None = None
        if config.fusion != "linear":
            unit_gain = 1.0 / math.sqrt(config.decoder_width)
            self.text_in = start_at(nn.Linear(config.decoder_width, hidden), std=unit_gain)
            self.text_to_image = CrossAttention(config, hidden, config.adapter_heads)
        self.up = start_at(nn.Linear(hidden, width), std=config.adapter_init_std)
        self.image_to_text: CrossAttention | None = None
        self.text_out: nn.Linear | None = None
        if config.fusion == "bidirectional" and not is_last:
            self.image_to_text = CrossAttention(config, hidden, config.adapter_heads)
            self.text_out = start_at(nn.Linear(hidden, config.decoder_width), std=TEXT_OUT_GAIN / math.sqrt(hidden))

    def forward(self, image: Tensor, text: Tensor, text_key_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Fuse.

        Args:
            image: (B, N, d), what the block's attention made; in the first block (I, N, d).
            text: (B, L, C).
            text_key_mask: (B, 1, 1, L) added to scores of text keys, or None as the published code has it.

        Returns:
            What is added to the image (B, N, d), and the text (B, L, C).
        """
        fused = F.gelu(self.down(image))  # (I or B, N, h)
        fused = one_per_sentence(fused, text.shape[0])  # (B, N, h)
        if self.text_in is None or self.text_to_image is None:
            return self.up(fused), text
        narrow_text = self.text_in(text)  # (B, L, h)
        fused = fused + self.text_to_image(fused, narrow_text, text_key_mask)
        if self.image_to_text is not None and self.text_out is not None:
            narrow_text = narrow_text + self.image_to_text(narrow_text, fused)
            text = (1.0 - self.rate) * text + self.rate * self.text_out(narrow_text)
        return self.up(fused), text


class MlpAdapter(nn.Module):
    """Bottleneck beside a block's MLP: `scale * up(GELU(down(x)))`.

    Args:
        config: sizes and the scale.
        width: width d of the block.
    """

    def __init__(self, config: RS2SamConfig, width: int) -> None:
        super().__init__()
        hidden = int(width * config.adapter_ratio)
        self.scale = config.mlp_adapter_scale
        self.down = nn.Linear(width, hidden)
        self.up = start_at(nn.Linear(hidden, width), std=config.adapter_init_std)

    def forward(self, image: Tensor) -> Tensor:
        """(..., d) to (..., d)."""
        return self.scale * self.up(F.gelu(self.down(image)))


class ProductFusion(nn.Module):
    """`x * attention(q=x + position, k=v=source)`: the attention gates its input, with no residual and no norm.

    Args:
        config: names the attention implementation.
        width: channels C.
        heads: number of heads.
    """

    def __init__(self, config: SharedSizes, width: int, heads: int) -> None:
        super().__init__()
        self.attention = CrossAttention(config, width, heads)
        start_at(self.attention.out_proj, std=PRODUCT_STD, bias=1.0)

    def forward(
        self, tokens: Tensor, source: Tensor, position: Tensor | None = None, key_mask: Tensor | None = None
    ) -> Tensor:
        """Gate.

        Args:
            tokens: (B, Q, C).
            source: (B, K, C).
            position: (1, Q, C) added to the queries only.
            key_mask: (B, 1, 1, K) added to the scores.

        Returns:
            (B, Q, C).
        """
        query = tokens if position is None else tokens + position
        return tokens * self.attention(query, source, key_mask)
