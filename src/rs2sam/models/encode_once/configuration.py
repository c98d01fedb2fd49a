"""The sizes of a model that encodes a picture once, and the presets.

Its trunk is EfficientNet-lite0, whose sizes are fixed by the pretrained weights (`efficientnet.py`).
"""

from __future__ import annotations

import inspect
from typing import Any, Literal, get_args

from transformers import PreTrainedConfig

from rs2sam.errors import InvalidInputError
from rs2sam.models.configuration import COARSEST_STRIDE, POSITION_OFFSET, FusionName, SharedSizes
from rs2sam.models.field_ranges import check_attention, check_ranges, entries_of_transformers
from rs2sam.models.weights.kinds import ENCODE_ONCE_MODEL_TYPE

EncodeOncePreset = Literal["compact", "tiny"]

ENCODE_ONCE_PRESETS: dict[EncodeOncePreset, dict[str, Any]] = {
    "compact": {},
    # For tests: every part, as narrow as the norm's eight groups and the heads allow.
    "tiny": {
        "image_size": 128,
        "vocab_size": 512,
        "max_text_positions": 32,
        "union_width": 32,
        "union_heads": 4,
        "union_ffn_width": 64,
        "text_layers": 1,
        "union_layers": 1,
        "decoder_width": 32,
        "decoder_mlp_width": 32,
    },
}


class EncodeOnceConfig(SharedSizes, PreTrainedConfig):
    """Configuration of `EncodeOnceModel`.

    Args:
        image_size: longer side of `pixel_values` that the model was trained at [px]; it takes any multiples of 32.
        vocab_size: rows of the token embedding table.
        max_text_positions: rows of the text position table, the two unused ones included.
        text_layers: layers that read the sentence alone.
        union_width: width D of text and union layers.
        union_layers: layers over [CLS, cells, text].
        union_heads: attention heads of text and union layers.
        union_ffn_width: hidden width of their feed-forward layers.
        adapter_ratio: hidden width of the two fusions over the decoder's width.
        adapter_heads: heads of the attentions between image and text in a fusion.
        adapter_init_std: standard deviation with which a fusion's output layer starts.
        text_update_rate: share of the new text in a fusion's text update, in [0, 1].
        decoder_width: width C of pyramid, text features, prompts and mask decoder.
        decoder_heads: heads of the mask decoder and of the fusion before it.
        decoder_mlp_width: hidden width of the mask decoder's MLPs.
        mask_prompt_heads: heads of the CLS attention in the mask prompt.
        mask_prompt_channels: channels inside the mask downscaling of the prompt encoder.
        text_pad_id: token id that is masked wherever it stands.
        fusion: what the two fusions do, see `RS2SamConfig`.
        folded: the trunk's norms are part of its convolutions, as in weights for inference; False while training.
        has_decoder: the decoder refines the mask prompt; without it the prompt is the mask, and there is no IoU head.
        has_presence: the presence head is trained, so the model reports `presence_logits`.
        has_known: the head for sentences that name nothing taught is trained, so the model reports `known_logits`.
        has_score: the IoU head is trained, so the model reports `iou_scores`.
        initializer_gain: standard deviation of a linear layer's weights times the root of its fan-in.

    Raises:
        InvalidInputError: a value has another type or is out of range, sizes do not fit each other, or a switch is set
            to what it does not know.
    """

    model_type = ENCODE_ONCE_MODEL_TYPE

    image_size: int = 768
    vocab_size: int = 8192
    max_text_positions: int = 130
    text_layers: int = 2
    union_width: int = 256
    union_layers: int = 3
    union_heads: int = 8
    union_ffn_width: int = 1024
    adapter_ratio: float = 0.5
    adapter_heads: int = 4
    adapter_init_std: float = 0.02
    text_update_rate: float = 0.2
    decoder_width: int = 96
    decoder_heads: int = 4
    decoder_mlp_width: int = 384
    mask_prompt_heads: int = 8
    mask_prompt_channels: int = 16
    text_pad_id: int = 1
    fusion: FusionName = "bidirectional"
    folded: bool = False
    has_decoder: bool = True
    has_presence: bool = True
    has_known: bool = True
    has_score: bool = True
    initializer_gain: float = 0.64

    def __post_init__(self, **kwargs: Any) -> None:
        """Reject other types, values out of range and sizes that do not fit."""
        check_ranges(self, inspect.get_annotations(EncodeOnceConfig, eval_str=True))
        with entries_of_transformers():
            super().__post_init__(**kwargs)
        check_attention(self._attn_implementation)
        self._check()

    @classmethod
    def preset(cls, name: EncodeOncePreset, **changes: Any) -> EncodeOnceConfig:
        """The configuration called `name`, with `changes` to single fields.

        Raises:
            InvalidInputError: if there is no such preset.
        """
        if name not in ENCODE_ONCE_PRESETS:
            raise InvalidInputError(f"A preset is one of {', '.join(get_args(EncodeOncePreset))}; got {name!r}.")
        return cls(**{**ENCODE_ONCE_PRESETS[name], **changes})

    def _check(self) -> None:
        """Raise for the first rule that is broken."""
        hidden = int(self.decoder_width * self.adapter_ratio)
        rules = [
            (
                self.fusion in ("bidirectional", "one-directional", "linear"),
                f"`fusion` is bidirectional, one-directional or linear; got {self.fusion!r}",
            ),
            (
                self.image_size > 0 and self.image_size % COARSEST_STRIDE == 0,
                f"`image_size` must be a multiple of {COARSEST_STRIDE}; got {self.image_size}",
            ),
            (
                self.union_width % self.union_heads == 0 and self.union_width % self.mask_prompt_heads == 0,
                f"`union_width` must divide by `union_heads` ({self.union_heads}) and `mask_prompt_heads` "
                f"({self.mask_prompt_heads}); got {self.union_width}",
            ),
            (
                self.decoder_width % (2 * self.decoder_heads) == 0 and self.decoder_width % 8 == 0,
                f"`decoder_width` must divide by 8 and by twice `decoder_heads` ({self.decoder_heads}); "
                f"got {self.decoder_width}",
            ),
            (
                hidden > 0 and hidden % self.adapter_heads == 0,
                f"`decoder_width` times `adapter_ratio` ({self.adapter_ratio}) must divide by `adapter_heads` "
                f"({self.adapter_heads}); got {hidden}",
            ),
            (
                self.has_decoder or not self.has_score,
                "the IoU head is part of the decoder: `has_score` must be False where `has_decoder` is",
            ),
            (0.0 <= self.text_update_rate <= 1.0, f"`text_update_rate` is in [0, 1]; got {self.text_update_rate}"),
            (
                self.max_text_positions > POSITION_OFFSET,
                f"`max_text_positions` must exceed {POSITION_OFFSET}; got {self.max_text_positions}",
            ),
        ]
        for holds, message in rules:
            if not holds:
                raise InvalidInputError(f"Configuration: {message}.")
