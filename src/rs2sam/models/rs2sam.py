"""RS2-SAM 2: one sentence and one remote sensing image to the mask of what the sentence names.

Rong et al., "Customized SAM 2 for Referring Remote Sensing Image Segmentation", AAAI 2026, arXiv 2503.07266. The steps
of `RS2SamModel.forward` are those of DESIGN.md section 2.

I pictures, B sentences, S image side, s union image side, L text tokens, N = g x g patches, D union width, C decoder
width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.models.sam2.modeling_sam2 import Sam2MaskDecoder, Sam2MaskEmbedding, Sam2PositionalEmbedding
from transformers.utils import ModelOutput

from rs2sam.errors import InvalidInputError
from rs2sam.models.attention import additive_key_mask
from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.fusion import ProductFusion
from rs2sam.models.initialization import initialize, start_at
from rs2sam.models.mask_prompt import MaskPromptGenerator
from rs2sam.models.positions import position_encoding
from rs2sam.models.trunk import Levels, RS2SamNeck, RS2SamTrunk
from rs2sam.models.union_encoder import UnionEncoder, UnionFeatures
from rs2sam.models.weights.writing import follow_umask

MASK_INPUT_CELLS = 4
"""Cells of SAM's mask input along one cell of the image embedding; two stride-2 convolutions undo them."""


@dataclass
class RS2SamOutput(ModelOutput):
    """What `RS2SamModel` returns. The published mask is `mask_logits > 0.5`; its probability is sigmoid(2x - 1)."""

    mask_logits: Tensor | None = None
    """(B, 1, S, S) logits at the input size."""
    low_res_logits: Tensor | None = None
    """(B, 1, S/4, S/4) logits as the decoder makes them."""
    pseudo_mask: Tensor | None = None
    """(B, 1, g, g) the mask prompt, in [0, 1], or None where the configuration has none."""
    sentence_weight: Tensor | None = None
    """(B,) weight of the sentence in the published boundary loss; nothing else reads it."""
    presence_logits: Tensor | None = None
    """(B,) logit of "what the sentence names is there", or None where the head is untrained."""
    iou_scores: Tensor | None = None
    """(B,) predicted IoU of the mask in [0, 1], or None where the head is untrained."""


class Decoded(NamedTuple):
    """What the mask decoder returns for mask token 0."""

    low_res_logits: Tensor
    """(B, 1, S/4, S/4)."""
    iou_scores: Tensor
    """(B,) in [0, 1]."""
    presence_logits: Tensor
    """(B,)."""


class RS2SamModel(PreTrainedModel):
    """The whole model: union encoder, mask prompt generator, text-aware trunk, neck, fused mask decoder.

    Args:
        config: sizes; see `RS2SamConfig.preset`.
    """

    config_class = RS2SamConfig
    base_model_prefix = "rs2sam"
    main_input_name = "pixel_values"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_attention_backend = True
    _no_split_modules: ClassVar[list[str]] = ["UnionLayer", "RS2SamBlock", "Sam2TwoWayAttentionBlock"]

    def __init__(self, config: RS2SamConfig) -> None:
        super().__init__(config)
        union_width, width = config.union_width, config.decoder_width
        self.union_encoder = UnionEncoder(config)
        unit_gain = 1.0 / math.sqrt(union_width)
        self.text_projection = start_at(nn.Linear(union_width, width), std=unit_gain)
        self.sentence_projection = nn.Sequential(
            start_at(nn.Linear(union_width, union_width), std=unit_gain),
            nn.ReLU(),
            start_at(nn.Linear(union_width, width), std=unit_gain),
        )
        self.sentence_weight = nn.Linear(width, 1)
        has_mask_prompt = config.mask_prompt != "none"
        self.mask_prompt = MaskPromptGenerator(config) if has_mask_prompt else None
        self.trunk = RS2SamTrunk(config)
        self.neck = RS2SamNeck(config.neck_config())
        self.no_memory_embedding = nn.Parameter(torch.empty(1, 1, width))
        self.image_positions = Sam2PositionalEmbedding(config.prompt_config())
        self.mask_embed: Sam2MaskEmbedding | None = None
        self.no_mask_embedding: nn.Parameter | None = None
        if has_mask_prompt:
            self.mask_embed = Sam2MaskEmbedding(config.prompt_config())
            start_at(self.mask_embed.conv1, std=0.5, bias_std=0.5)
        else:
            self.no_mask_embedding = nn.Parameter(torch.empty(1, width))
        self.decoder_fusion = ProductFusion(config, width, config.decoder_heads) if config.decoder_fusion else None
        self.mask_decoder = Sam2MaskDecoder(config.mask_decoder_config())
        for tokens in (self.mask_decoder.iou_token, self.mask_decoder.mask_tokens, self.mask_decoder.obj_score_token):
            start_at(tokens, std=1.0)
        self.post_init()

    def forward(
        self,
        pixel_values: Tensor,
        union_pixel_values: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        **_: Any,
    ) -> RS2SamOutput:
        """Segment what the sentence names.

        Args:
            pixel_values: (I, 3, S, S), RGB, ImageNet-normalised. B is a multiple of I, sentence b is about picture
                b * I // B, and what no sentence changes is computed once a picture. Other multiples of
                `config.image_side_multiple` than the configured size work too.
            union_pixel_values: (I, 3, s, s), the same images at the configured union size.
            input_ids: (B, L) int64, `<s> ... </s>`, padded at the end.
            attention_mask: (B, L), 1 = attend; by default every token but `config.text_pad_id`.

        Returns:
            Logits, pseudo-mask, sentence weight and what trained heads say.

        Raises:
            InvalidInputError: B is no multiple of I, or a size does not fit.
        """
        text_padding_mask = self.text_padding_mask(input_ids, attention_mask)  # (B, L)

        # (1) Union encoder: image and sentence together.
        union = self.encode_union(union_pixel_values, input_ids, text_padding_mask)  # (B, 1 + N + L, D) in three parts

        # (2) Projections: text features, sentence prompt, sentence weight.
        text = self.text_projection(union.text)  # (B, L, C)
        sentence_prompt = self.sentence_projection(union.cls)  # (B, 1, C)
        sentence_weight = self.sentence_weight(text[:, 0]).squeeze(-1)  # (B,)

        # (3) Mask prompt: a soft mask of the patches that agree with the summary token.
        pseudo_mask = None if self.mask_prompt is None else self.mask_prompt(union.cls, union.patches)  # (B, 1, g, g)

        # (4, 5) Trunk with the sentence in every block, then the neck.
        text_key_mask = self.fusion_key_mask(text_padding_mask, text.dtype)  # (B, 1, 1, L) or None
        levels = self.encode_image(pixel_values, text, text_key_mask)  # (B, C, S/4 | S/8 | S/16, ...)

        # (6) Decoder: image fused with the text as it was before the trunk, prompted by sentence and pseudo-mask.
        decoded = self.decode(levels, text, text_key_mask, sentence_prompt, pseudo_mask)

        # (7) Back to the input size.
        size_hw = tuple(pixel_values.shape[-2:])
        mask_logits = F.interpolate(decoded.low_res_logits, size=size_hw, mode="bilinear")  # (B, 1, S, S)
        return RS2SamOutput(
            mask_logits=mask_logits,
            low_res_logits=decoded.low_res_logits,
            pseudo_mask=pseudo_mask,
            sentence_weight=sentence_weight,
            presence_logits=decoded.presence_logits if self.config.has_presence else None,
            iou_scores=decoded.iou_scores if self.config.has_score else None,
        )

    def text_padding_mask(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        """(B, L) bool, True = padding: what `attention_mask` leaves out, and `config.text_pad_id` wherever it stands.

        Published models pad with `<unk>`, so for them an unknown token inside a sentence is masked as well.
        """
        padding = input_ids == self.config.text_pad_id
        return padding if attention_mask is None else padding | (attention_mask == 0)

    def fusion_key_mask(self, text_padding_mask: Tensor, dtype: torch.dtype) -> Tensor | None:
        """(B, 1, 1, L) for the fusions' attention to text, or None where padding is attended to as published."""
        # Differs: the published code masks no padding here; tests/parity runs both ways.
        return additive_key_mask(text_padding_mask, dtype) if self.config.mask_fusion_padding else None

    def encode_union(self, union_pixel_values: Tensor, input_ids: Tensor, text_padding_mask: Tensor) -> UnionFeatures:
        """Step 1: (I, 3, s, s), (B, L) and (B, L) bool to summary token, patches and text tokens of width D."""
        side = self.config.union_image_size
        if union_pixel_values.shape[-1] != side or union_pixel_values.shape[-2] != side:
            raise InvalidInputError(
                f"`union_pixel_values` must be {side} px square, the size of the learned positions; got "
                f"{tuple(union_pixel_values.shape[-2:])}. Resize the image with the model's processor."
            )
        # An exported program has no such check of its own: it would have to fix the range of lengths.
        if not torch.compiler.is_exporting() and input_ids.shape[1] > self.config.max_text_tokens:
            raise InvalidInputError(
                f"A sentence has at most {self.config.max_text_tokens} tokens; got {input_ids.shape[1]}. "
                "Shorten it, or let the model's processor cut it."
            )
        return self.union_encoder(union_pixel_values, input_ids, text_padding_mask)

    def encode_image(self, pixel_values: Tensor, text: Tensor, text_key_mask: Tensor | None) -> Levels:
        """Steps 4 and 5: the image as the sentence asks for it; not to be cached across sentences.

        Args:
            pixel_values: (I, 3, S, S).
            text: (B, L, C) text features.
            text_key_mask: from `fusion_key_mask`.

        Returns:
            Levels at strides 4, 8 and 16, width C, the last with the no-memory embedding.
        """
        levels = self.neck(self.trunk(pixel_values, text, text_key_mask))
        no_memory = self.no_memory_embedding.reshape(1, -1, 1, 1)
        return levels._replace(image_embedding=levels.image_embedding + no_memory)

    def decode(
        self,
        levels: Levels,
        text: Tensor,
        text_key_mask: Tensor | None,
        sentence_prompt: Tensor,
        pseudo_mask: Tensor | None,
    ) -> Decoded:
        """Step 6: levels, text before the trunk (B, L, C), prompts (B, 1, C) and (B, 1, g, g) to logits and scores."""
        image = levels.image_embedding  # (B, C, h, w)
        height, width = image.shape[-2:]
        position = self.image_position_encoding(height, width)  # (1, C, h, w)
        if self.decoder_fusion is not None:
            fused = self.decoder_fusion(
                image.flatten(2).transpose(1, 2),  # (B, h * w, C)
                text,
                position=position.flatten(2).transpose(1, 2),
                key_mask=text_key_mask,
            )
            image = fused.transpose(1, 2).unflatten(2, (height, width))
        masks, iou_scores, _, presence_logits = self.mask_decoder(
            image_embeddings=image,
            image_positional_embeddings=position.expand(image.shape[0], -1, -1, -1),
            sparse_prompt_embeddings=sentence_prompt[:, None],  # (B, 1, 1, C)
            dense_prompt_embeddings=self.embed_mask_prompt(pseudo_mask, height, width),
            multimask_output=False,
            high_resolution_features=[
                self.mask_decoder.conv_s0(levels.feat_s0),
                self.mask_decoder.conv_s1(levels.feat_s1),
            ],
        )
        return Decoded(masks[:, 0], iou_scores[:, 0, 0], presence_logits[:, 0, 0])

    def embed_mask_prompt(self, pseudo_mask: Tensor | None, height: int, width: int) -> Tensor:
        """Dense prompt (B, C, height, width) of a pseudo-mask (B, 1, g, g), fed as a probability.

        A model without mask prompt says "no mask" as SAM 2 does: the same (1, C, height, width) for every sample.
        """
        if pseudo_mask is None or self.mask_embed is None:
            assert self.no_mask_embedding is not None
            return self.no_mask_embedding.reshape(1, -1, 1, 1).expand(-1, -1, height, width)
        size_hw = (MASK_INPUT_CELLS * height, MASK_INPUT_CELLS * width)
        resized = F.interpolate(pseudo_mask, size=size_hw, mode="bilinear")
        return self.mask_embed(resized.to(self.mask_embed.conv1.weight.dtype))

    def image_position_encoding(self, height: int, width: int) -> Tensor:
        """Random Fourier features of the cell centres in [0, 1]^2: (1, C, height, width)."""
        return position_encoding(self.image_positions, height, width)

    def save_pretrained(self, save_directory: str | Path, *args: Any, **kwargs: Any) -> None:
        """Write a model folder, as transformers does, with files that others can read where the umask lets them."""
        super().save_pretrained(save_directory, *args, **kwargs)
        follow_umask(Path(save_directory))

    def set_attn_implementation(self, *args: Any, **kwargs: Any) -> None:
        """Choose the attention implementation, e.g. `"sdpa"` or `"eager"`, for every part of the model."""
        super().set_attn_implementation(*args, **kwargs)
        for module in self.modules():
            if module is not self and hasattr(module, "config"):
                # SAM 2's modules hold configurations of their own, which the base class does not know.
                module.config._attn_implementation = self.config._attn_implementation

    def _init_weights(self, module: nn.Module) -> None:
        """Start weights as `initialization.initialize` says; transformers calls this for every module."""
        super()._init_weights(module)
        initialize(module, self.config)
