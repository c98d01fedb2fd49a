"""The model's forward in three stages that can be timed, compiled and run in different precisions.

The steps are those of `RS2SamModel.forward` without the last one, which no backend reads; where everything is float32
the numbers are the same. In half precision the delicate parts stay float32: the position encoding takes sines of angles
of hundreds of radians, which bf16 rounds to whole ones, and what follows it makes the logits that a threshold cuts.

I pictures, B sentences, S and s image sides, L text tokens, C decoder width, g union grid.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rs2sam.models.rs2sam import Decoded, RS2SamModel
from rs2sam.models.trunk import Levels

FLOAT32_PARTS = (
    "mask_prompt",
    "image_positions",
    "mask_embed",
    "no_mask_embedding",
    "decoder_fusion",
    "mask_decoder",
)
"""Parts of `RS2SamModel` that half precision leaves in float32."""


class Prompts(NamedTuple):
    """What the union stage makes of image and sentence."""

    text: Tensor
    """(B, L, C)."""
    sentence_prompt: Tensor
    """(B, 1, C)."""
    pseudo_mask: Tensor | None
    """(B, 1, g, g) in [0, 1], float32, or None where the configuration has none."""
    text_padding_mask: Tensor
    """(B, L) bool, True = padding."""


class StagedModel(nn.Module):
    """A model's three stages: `union`, `image`, `decode`; the forward runs all.

    Args:
        model: in float32, or in half precision but for `FLOAT32_PARTS` (`in_precision` makes it so).
    """

    def __init__(self, model: RS2SamModel) -> None:
        super().__init__()
        self.model = model
        self.dtype = model.text_projection.weight.dtype

    @classmethod
    def in_precision(cls, model: RS2SamModel, dtype: torch.dtype) -> StagedModel:
        """Stages of a model that is changed to this precision; `FLOAT32_PARTS` become float32."""
        for name, part in model.named_children():
            part.to(torch.float32 if name in FLOAT32_PARTS else dtype)
        for name, parameter in model.named_parameters(recurse=False):
            parameter.data = parameter.data.to(torch.float32 if name in FLOAT32_PARTS else dtype)
        return cls(model)

    def forward(
        self, pixel_values: Tensor, union_pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor
    ) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        """All stages.

        Args:
            pixel_values: (I, 3, S, S) float32, see `RS2SamModel.forward`.
            union_pixel_values: (I, 3, s, s) float32.
            input_ids: (B, L) int64.
            attention_mask: (B, L) int64, 1 = attend.

        Returns:
            Logits (B, 1, S/4, S/4), pseudo-mask (B, 1, g, g) or None, presence logits (B,), predicted IoU (B,).
        """
        prompts = self.union(union_pixel_values, input_ids, attention_mask)
        decoded = self.decode(self.image(pixel_values, prompts), prompts)
        return decoded.low_res_logits, prompts.pseudo_mask, decoded.presence_logits, decoded.iou_scores

    def union(self, union_pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Prompts:
        """Steps 1 to 3: union encoder, projections, mask prompt."""
        model = self.model
        padding = model.text_padding_mask(input_ids, attention_mask)
        union = model.encode_union(union_pixel_values.to(self.dtype), input_ids, padding)
        pseudo_mask = None if model.mask_prompt is None else model.mask_prompt(union.cls.float(), union.patches.float())
        return Prompts(model.text_projection(union.text), model.sentence_projection(union.cls), pseudo_mask, padding)

    def image(self, pixel_values: Tensor, prompts: Prompts) -> Levels:
        """Steps 4 and 5: trunk and neck."""
        key_mask = self.model.fusion_key_mask(prompts.text_padding_mask, self.dtype)
        return self.model.encode_image(pixel_values.to(self.dtype), prompts.text, key_mask)

    def decode(self, levels: Levels, prompts: Prompts) -> Decoded:
        """Step 6: fusion and mask decoder, in float32."""
        key_mask = self.model.fusion_key_mask(prompts.text_padding_mask, torch.float32)
        exact = Levels(*(level.float() for level in levels))
        return self.model.decode(
            exact, prompts.text.float(), key_mask, prompts.sentence_prompt.float(), prompts.pseudo_mask
        )
