"""SAM 2's Hiera trunk with the sentence in every block, and its neck (DESIGN section 2, steps 4 and 5).

The features depend on the sentence, so they cannot be cached across sentences; the first block's attention can.
Source: SAM 2 (arXiv 2408.00714), Hiera (arXiv 2306.00989); blocks are subclassed from `transformers.models.sam2`.

I pictures, B sentences, H W cells of the map, L text tokens, d width of the block, C width of the text.
"""

from __future__ import annotations

from itertools import accumulate
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.sam2.configuration_sam2 import Sam2HieraDetConfig
from transformers.models.sam2.modeling_sam2 import (
    Sam2MultiScaleBlock,
    Sam2PatchEmbeddings,
    Sam2VisionNeck,
    do_pool,
    window_partition,
    window_unpartition,
)

from rs2sam.errors import InvalidInputError
from rs2sam.models.attention import CellAttention
from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.fusion import BidirectionalFusion, MlpAdapter
from rs2sam.models.sharing import one_per_sentence


class Trunk(Protocol):
    """What makes four maps of a picture; `RS2SamTrunk` and `EfficientNetTrunk` are the two.

    Called with `pixel_values` (I, 3, S, S'), sides multiples of `side_multiple`, it returns maps (I, S/k, S'/k, d) at
    strides k of 4, 8, 16 and 32, finest first. A trunk that reads the text is given `text` (B, L, C) and
    `text_key_mask` (B, 1, 1, L) or None behind it and returns B maps: those of another sentence are others. Maps of one
    that does not are the picture's own, so they are made once for any number of sentences.
    """

    reads_text: ClassVar[bool]
    """Whether the maps depend on the sentence."""
    side_multiple: int
    """What a side of the picture must be a multiple of [px]."""
    level_channels: tuple[int, int, int, int]
    """Channels d of the four maps."""


class RS2SamBlock(Sam2MultiScaleBlock):
    """A SAM 2 block with a fusion layer behind its attention and an adapter beside its MLP, as far as switched on.

    Args:
        config: sizes.
        sam2_config: the same sizes as SAM 2's block reads them.
        stage: index of the stage, 0 to 3.
        index_in_stage: index of the block in its stage.
        index: index of the block in the trunk.
    """

    def __init__(
        self, config: RS2SamConfig, sam2_config: Sam2HieraDetConfig, stage: int, index_in_stage: int, index: int
    ) -> None:
        super().__init__(sam2_config, stage_idx=stage, block_idx=index_in_stage, total_block_idx=index)
        self.attn.__class__ = CellAttention  # the same weights, made once
        is_last = index == sum(config.trunk_blocks) - 1
        has_fusion = config.trunk_fusion and config.fusion != "none"
        self.fusion = BidirectionalFusion(config, self.dim_out, is_last) if has_fusion else None
        self.mlp_adapter = MlpAdapter(config, self.dim_out) if config.trunk_fusion else None

    def forward(self, hidden_states: Tensor, text: Tensor, text_key_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run the block.

        Args:
            hidden_states: (B, H, W, d of the block before); in the first block (I, H, W, d).
            text: (B, L, C).
            text_key_mask: (B, 1, 1, L) or None.

        Returns:
            The map (B, H, W, d), half as high and wide in the first block of a stage, and the text (B, L, C).
        """
        normed = self.layer_norm1(hidden_states)
        shortcut = hidden_states
        if self.dim != self.dim_out:
            shortcut = do_pool(self.proj(normed), self.query_stride)
        attended = self._attend(normed, shortcut.shape[1:3])  # (I or B, H, W, d)
        # Behind the attention the sentence comes in, and rows of pictures become rows of sentences.
        hidden_states = one_per_sentence(shortcut + attended, text.shape[0])  # (B, H, W, d)
        if self.fusion is not None:
            fused, text = self.fusion(attended.flatten(1, 2), text, text_key_mask)
            hidden_states = hidden_states + fused.unflatten(1, attended.shape[1:3])
        normed = self.layer_norm2(hidden_states)
        hidden_states = hidden_states + self.mlp(normed)
        if self.mlp_adapter is not None:
            hidden_states = hidden_states + self.mlp_adapter(normed)
        return hidden_states, text

    def _attend(self, normed: Tensor, out_hw: torch.Size) -> Tensor:
        """Attention in windows or over the whole map: (B, H, W, d) of the input to (B, *out_hw, d) of the output."""
        if self.window_size == 0:
            return self.attn(normed)
        windows, _ = window_partition(normed, self.window_size)
        attended = self.attn(windows)
        out_window = attended.shape[1]  # smaller than the window where queries are pooled
        padded_hw = tuple(-(-side // out_window) * out_window for side in out_hw)
        return window_unpartition(attended, out_window, padded_hw, tuple(out_hw))


class RS2SamTrunk(nn.Module):
    """Patch embedding, positions and blocks; image and text leave every block changed.

    Args:
        config: sizes.
    """

    reads_text: ClassVar[bool] = True

    def __init__(self, config: RS2SamConfig) -> None:
        super().__init__()
        sam2_config = config.trunk_config()
        self.side_multiple = config.image_side_multiple
        first, second, third, fourth = config.trunk_widths
        self.level_channels = (first, second, third, fourth)
        width, window, background = config.trunk_widths[0], config.trunk_windows[0], config.trunk_position_size
        self.patch_embed = Sam2PatchEmbeddings(sam2_config)
        self.pos_embed = nn.Parameter(torch.empty(1, width, background, background))
        self.pos_embed_window = nn.Parameter(torch.empty(1, width, window, window))
        places = [(stage, index) for stage, count in enumerate(config.trunk_blocks) for index in range(count)]
        self.blocks = nn.ModuleList(
            [RS2SamBlock(config, sam2_config, stage, index, total) for total, (stage, index) in enumerate(places)]
        )
        self.stage_ends = [count - 1 for count in accumulate(config.trunk_blocks)]

    def forward(self, pixel_values: Tensor, text: Tensor, text_key_mask: Tensor | None) -> list[Tensor]:
        """Encode the image as the sentence asks.

        Args:
            pixel_values: (I, 3, S, S'), sides multiples of `RS2SamConfig.image_side_multiple`.
            text: (B, L, C) text features.
            text_key_mask: (B, 1, 1, L) or None.

        Returns:
            Four maps (B, H, W, d), strides 4, 8, 16, 32.

        Raises:
            InvalidInputError: if a side is no such multiple.
        """
        if any(side % self.side_multiple for side in pixel_values.shape[2:]):
            raise InvalidInputError(
                f"Sides of `pixel_values` must be multiples of {self.side_multiple}, so that attention windows tile "
                f"the map; got {tuple(pixel_values.shape[2:])}. Resize the image first."
            )
        hidden_states = self.patch_embed(pixel_values)  # (I, H, W, d)
        hidden_states = hidden_states + self._positions(hidden_states.shape[1], hidden_states.shape[2])
        maps = []
        for index, block in enumerate(self.blocks):
            hidden_states, text = block(hidden_states, text, text_key_mask)
            if index in self.stage_ends:
                maps.append(hidden_states)
        return maps

    def _positions(self, height: int, width: int) -> Tensor:
        """Background table stretched over the map plus the window table repeated over it: (1, H, W, d)."""
        background = F.interpolate(self.pos_embed, size=(height, width), mode="bicubic")
        window = self.pos_embed_window.shape[-1]
        repeated = self.pos_embed_window.repeat(1, 1, height // window, width // window)
        return (background + repeated).permute(0, 2, 3, 1)


class Levels(NamedTuple):
    """What the mask decoder reads of the image."""

    feat_s0: Tensor
    """(B, C, S/4, S/4) before `conv_s0`."""
    feat_s1: Tensor
    """(B, C, S/8, S/8) before `conv_s1`."""
    image_embedding: Tensor
    """(B, C, S/16, S/16)."""


class RS2SamNeck(Sam2VisionNeck):
    """SAM 2's feature pyramid without the sine positions, which nothing here reads."""

    def forward(self, hidden_states: list[Tensor]) -> Levels:
        """Four maps (B, H, W, d) of the trunk, finest first, to three levels of width C."""
        # The convolutions are held coarsest first.
        laterals = [
            conv(level.permute(0, 3, 1, 2)) for conv, level in zip(reversed(self.convs), hidden_states, strict=True)
        ]
        top_down = F.interpolate(laterals[3].float(), scale_factor=2.0, mode="nearest")
        return Levels(laterals[0], laterals[1], laterals[2] + top_down.to(laterals[2].dtype))
