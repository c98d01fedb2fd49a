"""The sizes of an RS2-SAM 2 model, and the presets.

Published sizes (SAM 2 Hiera-L, BEiT-3 large) are the defaults. Whatever can be derived from a size is a property or a
method here and is never stored.

Source: RS2-SAM 2 (arXiv 2503.07266); SAM 2 (arXiv 2408.00714), `sam2_hiera_l.yaml`; BEiT-3 (arXiv 2208.10442).
"""

from __future__ import annotations

import inspect
import math
from typing import Any, Literal, get_args

from transformers import PreTrainedConfig
from transformers.models.sam2.configuration_sam2 import (
    Sam2HieraDetConfig,
    Sam2MaskDecoderConfig,
    Sam2PromptEncoderConfig,
    Sam2VisionConfig,
)

from rs2sam.errors import InvalidInputError
from rs2sam.models.field_ranges import check_attention, check_ranges, entries_of_transformers

PresetName = Literal["large", "hiera-compact", "tiny"]
FusionName = Literal["bidirectional", "one-directional", "linear", "none"]
MaskPromptName = Literal["cls-attention", "plain", "none"]

TRUNK_STRIDE = 4
"""Pixels per cell of the trunk's first map (SAM 2's patch embedding)."""
DECODER_STRIDE = 16
"""Pixels per cell of the map that the mask decoder works on."""
COARSEST_STRIDE = 32
"""Pixels per cell of the trunk's last map; the neck doubles it into the 1/16 level."""
POSITION_OFFSET = 2
"""First row of BEiT-3's position tables that is used: 0 and 1 are kept for padding, as in fairseq."""

PRESETS: dict[PresetName, dict[str, Any]] = {
    # The published model. Its heads for presence and score were never trained.
    "large": {"text_pad_id": 3},
    # Made for two CPU cores; what ablations are tried on.
    "hiera-compact": {
        "image_size": 512,
        "union_image_size": 256,
        "vocab_size": 8192,
        "union_width": 256,
        "union_layers": 4,
        "union_heads": 8,
        "union_ffn_width": 1024,
        "trunk_widths": (48, 96, 192, 256),
        "trunk_heads": (1, 2, 4, 8),
        "trunk_blocks": (1, 2, 6, 1),
        "trunk_global_blocks": (5, 7),
        "decoder_width": 128,
        "decoder_mlp_width": 512,
        "adapter_init_std": 0.1,
        "has_presence": True,
        "has_score": True,
    },
    # Toy sizes with unequal windows and widths, for tests: what the reference numbers were measured at.
    "tiny": {
        "image_size": 256,
        "union_image_size": 64,
        "vocab_size": 512,
        "union_width": 64,
        "union_layers": 2,
        "union_heads": 4,
        "union_ffn_width": 256,
        "trunk_widths": (16, 32, 64, 128),
        "trunk_heads": (1, 2, 4, 8),
        "trunk_blocks": (1, 2, 4, 2),
        "trunk_windows": (8, 4, 8, 4),
        "trunk_global_blocks": (4, 6),
        "text_pad_id": 3,
    },
}


class SharedSizes:
    """What the sizes of every model here have: those of text, union layers, fusions, mask prompt and mask decoder.

    Not a configuration itself; `RS2SamConfig` and `EncodeOnceConfig` document and set the fields.
    """

    image_size: int
    vocab_size: int
    max_text_positions: int
    union_width: int
    union_heads: int
    union_ffn_width: int
    adapter_ratio: float
    adapter_heads: int
    adapter_init_std: float
    text_update_rate: float
    decoder_width: int
    decoder_heads: int
    decoder_mlp_width: int
    mask_prompt_heads: int
    mask_prompt_channels: int
    text_pad_id: int
    fusion: FusionName
    initializer_gain: float
    has_presence: bool
    has_score: bool
    _attn_implementation: Any

    @property
    def max_text_tokens(self) -> int:
        """Longest sentence in tokens, special tokens included."""
        return self.max_text_positions - POSITION_OFFSET

    def prompt_config(self) -> Sam2PromptEncoderConfig:
        """What the SAM 2 mask downscaling and position encoding need to know."""
        return self._derived(
            Sam2PromptEncoderConfig,
            hidden_size=self.decoder_width,
            image_size=self.image_size,
            patch_size=DECODER_STRIDE,
            mask_input_channels=self.mask_prompt_channels,
        )

    def mask_decoder_config(self) -> Sam2MaskDecoderConfig:
        """What the SAM 2 mask decoder needs to know; the stability fallback is off, as in the published model."""
        return self._derived(
            Sam2MaskDecoderConfig,
            hidden_size=self.decoder_width,
            mlp_dim=self.decoder_mlp_width,
            num_attention_heads=self.decoder_heads,
            iou_head_hidden_dim=self.decoder_width,
            dynamic_multimask_via_stability=False,
        )

    def _derived(self, config_class: type[Any], **sizes: Any) -> Any:
        """A SAM 2 configuration that uses the same attention implementation as this one."""
        config = config_class(**sizes)
        # Modules that are no PreTrainedModel read it from their own configuration and nobody else sets it there.
        config._attn_implementation = self._attn_implementation
        return config


class RS2SamConfig(SharedSizes, PreTrainedConfig):
    """Configuration of `RS2SamModel`.

    Args:
        image_size: side of `pixel_values` [px]; the trunk also takes other multiples of `image_side_multiple`.
        union_image_size: side of `union_pixel_values` [px].
        union_patch_size: side of a patch of the union encoder [px].
        vocab_size: rows of the token embedding table.
        max_text_positions: rows of the text position table, the two unused ones included.
        union_width: width D of the union encoder.
        union_layers: layers of the union encoder.
        union_heads: attention heads of the union encoder.
        union_ffn_width: hidden width of the union encoder's feed-forward layers.
        trunk_widths: width of each of the trunk's four stages.
        trunk_heads: attention heads of each stage.
        trunk_blocks: blocks of each stage.
        trunk_windows: attention window of each stage [cells].
        trunk_global_blocks: indices of the blocks that attend over the whole map.
        trunk_position_size: side of the trunk's background position table [cells].
        trunk_mlp_ratio: hidden width of the trunk's MLPs over the block's width.
        adapter_ratio: hidden width of the fusion and MLP adapters over the block's width.
        adapter_heads: heads of the two attentions between image and text in every block.
        adapter_init_std: standard deviation with which the adapters' output layers start; small keeps a trained trunk.
        mlp_adapter_scale: factor of the MLP adapter's output.
        text_update_rate: share of the new text in every block's text update, in [0, 1].
        decoder_width: width C of text features, neck, prompts and mask decoder.
        decoder_heads: heads of the mask decoder and of the fusion before it.
        decoder_mlp_width: hidden width of the mask decoder's MLPs.
        mask_prompt_heads: heads of the CLS attention in the mask prompt generator.
        mask_prompt_channels: channels inside the mask downscaling of the prompt encoder.
        text_pad_id: token id that is masked wherever it stands; 3 for published weights, which pad with `<unk>`.
        mask_fusion_padding: mask padded tokens in the fusions too, so that a batch equals its samples. The published
            code does not; parity in padded batches needs False.
        fusion: what the layer behind a block's attention does. `bidirectional`: image and text attend to each other;
            `one-directional`: the image attends to the text, which stays as it is; `linear`: the bottleneck alone, no
            text; `none`: no such layer.
        trunk_fusion: the trunk has fusion layers and MLP adapters; False leaves SAM 2's own blocks.
        decoder_fusion: the image attends to the text once more before the mask decoder.
        mask_prompt: where the dense prompt comes from. `cls-attention`: the pseudo-mask as published; `plain`: the
            pseudo-mask of the summary token itself; `none`: SAM 2's embedding of an absent mask.
        has_presence: the object-score head is trained, so the model reports `presence_logits`.
        has_score: the IoU head is trained, so the model reports `iou_scores`.
        initializer_gain: standard deviation of a linear layer's weights times the root of its fan-in.

    The switches of the paper's ablations are `fusion`, `trunk_fusion`, `decoder_fusion` and `mask_prompt`; what one
    removes has no weights. docs/ablate.md says what each is and where that is known from.

    Raises:
        InvalidInputError: if a field has another type or is out of range, sizes do not fit each other, or a switch is
            set to what it does not know.
    """

    model_type = "rs2sam"

    image_size: int = 1024
    union_image_size: int = 224
    union_patch_size: int = 16
    vocab_size: int = 64010
    max_text_positions: int = 1024
    union_width: int = 1024
    union_layers: int = 24
    union_heads: int = 16
    union_ffn_width: int = 4096
    trunk_widths: tuple[int, ...] = (144, 288, 576, 1152)
    trunk_heads: tuple[int, ...] = (2, 4, 8, 16)
    trunk_blocks: tuple[int, ...] = (2, 6, 36, 4)
    trunk_windows: tuple[int, ...] = (8, 4, 16, 8)
    trunk_global_blocks: tuple[int, ...] = (23, 33, 43)
    trunk_position_size: int = 7
    trunk_mlp_ratio: float = 4.0
    adapter_ratio: float = 0.25
    adapter_heads: int = 4
    adapter_init_std: float = 0.02
    mlp_adapter_scale: float = 0.5
    text_update_rate: float = 0.2
    decoder_width: int = 256
    decoder_heads: int = 8
    decoder_mlp_width: int = 2048
    mask_prompt_heads: int = 8
    mask_prompt_channels: int = 16
    text_pad_id: int = 1
    mask_fusion_padding: bool = True
    fusion: FusionName = "bidirectional"
    trunk_fusion: bool = True
    decoder_fusion: bool = True
    mask_prompt: MaskPromptName = "cls-attention"
    has_presence: bool = False
    has_score: bool = False
    initializer_gain: float = 0.64

    def __post_init__(self, **kwargs: Any) -> None:
        """Turn JSON's lists into tuples and reject other types, values out of range and sizes that do not fit."""
        self._check_switches()
        check_ranges(self, inspect.get_annotations(RS2SamConfig, eval_str=True))
        with entries_of_transformers():
            super().__post_init__(**kwargs)
        check_attention(self._attn_implementation)
        self._check()

    @classmethod
    def preset(cls, name: PresetName, **changes: Any) -> RS2SamConfig:
        """The configuration called `name`, with `changes` to single fields.

        Raises:
            InvalidInputError: if there is no such preset.
        """
        if name not in PRESETS:
            raise InvalidInputError(f"A preset is one of {', '.join(get_args(PresetName))}; got {name!r}.")
        return cls(**{**PRESETS[name], **changes})

    @property
    def union_grid(self) -> int:
        """Patches along one side of the union encoder's image."""
        return self.union_image_size // self.union_patch_size

    @property
    def image_side_multiple(self) -> int:
        """What a side of `pixel_values` must be a multiple of [px]."""
        return math.lcm(TRUNK_STRIDE * self.trunk_windows[0], COARSEST_STRIDE)

    @property
    def low_res_size(self) -> int:
        """Side of `low_res_logits` at the configured image size."""
        return self.image_size // TRUNK_STRIDE

    def trunk_config(self) -> Sam2HieraDetConfig:
        """What the SAM 2 blocks need to know."""
        return self._derived(
            Sam2HieraDetConfig,
            hidden_size=self.trunk_widths[0],
            num_attention_heads=self.trunk_heads[0],
            image_size=[self.image_size, self.image_size],
            window_positional_embedding_background_size=[self.trunk_position_size] * 2,
            blocks_per_stage=list(self.trunk_blocks),
            embed_dim_per_stage=list(self.trunk_widths),
            num_attention_heads_per_stage=list(self.trunk_heads),
            window_size_per_stage=list(self.trunk_windows),
            global_attention_blocks=list(self.trunk_global_blocks),
            mlp_ratio=self.trunk_mlp_ratio,
        )

    def neck_config(self) -> Sam2VisionConfig:
        """What the SAM 2 neck needs to know."""
        return self._derived(
            Sam2VisionConfig,
            backbone_channel_list=list(reversed(self.trunk_widths)),
            fpn_hidden_size=self.decoder_width,
        )

    def _check_switches(self) -> None:
        """Raise for the first switch that is set to nothing known, or that another one makes meaningless."""
        for name, choices in (("fusion", FusionName), ("mask_prompt", MaskPromptName)):
            if getattr(self, name) not in get_args(choices):
                raise InvalidInputError(
                    f"Configuration: `{name}` is one of {', '.join(get_args(choices))}; got {getattr(self, name)!r}."
                )
        for name in ("trunk_fusion", "decoder_fusion"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInputError(f"Configuration: `{name}` is true or false; got {getattr(self, name)!r}.")
        if not self.trunk_fusion and self.fusion in ("one-directional", "linear"):
            raise InvalidInputError(
                f"Configuration: `fusion` {self.fusion!r} says what the trunk's fusion layers do, and `trunk_fusion` "
                "false removes them. Leave one of the two out."
            )

    def _check(self) -> None:
        """Raise for the first rule that the sizes break."""
        stages = [len(self.trunk_widths), len(self.trunk_heads), len(self.trunk_blocks), len(self.trunk_windows)]
        rules: list[tuple[bool, str]] = [
            (stages == [4] * 4, f"the trunk has four stages; widths, heads, blocks, windows name {stages}"),
            (
                all(0 <= block < sum(self.trunk_blocks) for block in self.trunk_global_blocks),
                f"`trunk_global_blocks` must be below {sum(self.trunk_blocks)} blocks; got {self.trunk_global_blocks}",
            ),
            (
                self.union_image_size % self.union_patch_size == 0,
                f"`union_image_size` must be a multiple of {self.union_patch_size}; got {self.union_image_size}",
            ),
            (
                self.union_width % self.union_heads == 0 and self.union_width % self.mask_prompt_heads == 0,
                f"`union_width` must divide by `union_heads` ({self.union_heads}) and `mask_prompt_heads` "
                f"({self.mask_prompt_heads}); got {self.union_width}",
            ),
            (
                self.decoder_width % (2 * self.decoder_heads) == 0,
                f"`decoder_width` must divide by twice `decoder_heads` ({self.decoder_heads}); "
                f"got {self.decoder_width}",
            ),
            (0.0 <= self.text_update_rate <= 1.0, f"`text_update_rate` is in [0, 1]; got {self.text_update_rate}"),
            (
                self.max_text_positions > POSITION_OFFSET,
                f"`max_text_positions` must exceed {POSITION_OFFSET}; got {self.max_text_positions}",
            ),
        ]
        for width, heads in zip(self.trunk_widths, self.trunk_heads, strict=False):
            hidden = int(width * self.adapter_ratio)
            fits = width % heads == 0 and hidden > 0 and hidden % self.adapter_heads == 0
            rules.append(
                (
                    fits,
                    f"a trunk width must divide by its heads, and times `adapter_ratio` ({self.adapter_ratio}) by "
                    f"`adapter_heads` ({self.adapter_heads}); got width {width} with {heads} heads",
                )
            )
        for holds, message in rules:
            if not holds:
                raise InvalidInputError(f"Configuration: {message}.")
        if self.image_size % self.image_side_multiple:
            raise InvalidInputError(
                f"`image_size` must be a multiple of {self.image_side_multiple}, so that the first window tiles the "
                f"trunk's map; got {self.image_size}. Take the nearest multiple."
            )
