"""SAM 2 and BEiT-3 weights as the start of training: each fills its part of a model, the rest stays as it is.

| weights | layout | names |
|---|---|---|
| `sam2_hiera_*.pt`, `sam2.1_hiera_*.pt` (Meta) | `{"model": state dict}` | `image_encoder...`, `sam_mask_decoder...` |
| `facebook/sam2-hiera-*`, `facebook/sam2.1-hiera-*` (hub) | safetensors folder | `vision_encoder.backbone...` |
| `beit3_*_patch16_224.pth` (Microsoft) | `{"model": state dict}` | `beit3...`, heads of pretraining tasks |

Source: names in those files; `build_sam.py` and `configs/` of facebookresearch/sam2 for the trunks' windows and heads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import torch

from rs2sam.errors import CheckpointError, InvalidInputError
from rs2sam.fields import some_of
from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.weights.files import Checkpoint, TensorSpec
from rs2sam.models.weights.key_map import KeyMap
from rs2sam.models.weights.matching import ConversionReport, match_tensors

__all__ = ["initialize_from_beit3", "initialize_from_sam2"]

logger = logging.getLogger(__name__)

_SAM2_PARTS = (
    "trunk",
    "neck",
    "no_memory_embedding",
    "no_mask_embedding",
    "image_positions",
    "mask_embed",
    "mask_decoder",
)
_ADAPTERS = (".fusion.", ".mlp_adapter.")

_META_NO_MASK = "sam_prompt_encoder.no_mask_embed.weight"
"""Of use to models without mask prompt only, so no name that published checkpoints of this model map."""

_HUB_NAMES = {
    "vision_encoder.backbone.": "trunk.",
    "vision_encoder.neck.": "neck.",
    "no_memory_embedding": "no_memory_embedding",
    "shared_image_embedding.": "image_positions.",
    "prompt_encoder.mask_embed.": "mask_embed.",
    "prompt_encoder.no_mask_embed.weight": "no_mask_embedding",
    "mask_decoder.": "mask_decoder.",
}
"""Prefixes in the hub's SAM 2 folders -> prefixes here; what follows is the same, both being transformers' modules."""

_VIDEO = "video memory of SAM 2; no single image uses it"
_HUB_DROPPED = {
    "prompt_encoder.shared_embedding.": "position frequencies of point prompts, equal to the image's in SAM 2",
    "prompt_encoder.point_embed.": "prompts by points and boxes; the prompt is a sentence",
    "prompt_encoder.not_a_point_embed.": "prompts by points and boxes; the prompt is a sentence",
    "prompt_encoder.no_mask_embed.": "absent mask prompt; the pseudo-mask takes its place",
    "mask_downsample.": _VIDEO,
    "memory_attention.": _VIDEO,
    "memory_encoder.": _VIDEO,
    "memory_temporal_positional_encoding": _VIDEO,
    "no_memory_positional_encoding": _VIDEO,
    "no_object_pointer": _VIDEO,
    "object_pointer_proj.": _VIDEO,
    "occlusion_spatial_embedding_parameter": _VIDEO,
    "temporal_positional_encoding_projection_layer.": _VIDEO,
}

_TRUNKS: dict[tuple[int, tuple[int, ...]], dict[str, tuple[int, ...]]] = {
    (96, (1, 2, 7, 2)): {"trunk_heads": (1, 2, 4, 8), "trunk_windows": (8, 4, 14, 7), "trunk_global_blocks": (5, 7, 9)},
    (96, (1, 2, 11, 2)): {
        "trunk_heads": (1, 2, 4, 8),
        "trunk_windows": (8, 4, 14, 7),
        "trunk_global_blocks": (7, 10, 13),
    },
    (112, (2, 3, 16, 3)): {
        "trunk_heads": (2, 4, 8, 16),
        "trunk_windows": (8, 4, 14, 7),
        "trunk_global_blocks": (12, 16, 20),
    },
    (144, (2, 6, 36, 4)): {
        "trunk_heads": (2, 4, 8, 16),
        "trunk_windows": (8, 4, 16, 8),
        "trunk_global_blocks": (23, 33, 43),
    },
}
"""What the shapes of SAM 2's four trunks do not tell: tiny, small, base+, large."""


def initialize_from_sam2(model: RS2SamModel, path: str | Path) -> ConversionReport:
    """Fill trunk, neck, mask embedding and mask decoder with SAM 2's weights; adapters and the rest stay.

    Args:
        model: of a size that fits, on any device and in any dtype; changed in place.
        path: Meta's file, or a folder of the hub's `facebook/sam2-*`.

    Returns:
        What was mapped, what was dropped, and what of the model these weights do not have.

    Raises:
        DataNotFoundError: nothing is at `path`.
        CheckpointError: the file is damaged, holds code, or is not SAM 2 of the model's size.
    """
    checkpoint = Checkpoint(path)
    keys = KeyMap(sum(model.config.trunk_blocks))
    own_name: Callable[[str], str | None]
    reason_dropped: Callable[[str], str | None]
    if any(name.startswith("image_encoder.trunk.") for name in checkpoint.specs):

        def own_name(name: str) -> str | None:
            return keys.own(f"visual_model.{name}") if name != _META_NO_MASK else "no_mask_embedding"

        def reason_dropped(name: str) -> str | None:
            return keys.reason_dropped(f"visual_model.{name}")

    elif any(name.startswith("vision_encoder.backbone.") for name in checkpoint.specs):
        own_name, reason_dropped = _hub_own_name, _hub_reason_dropped
    else:
        raise CheckpointError(
            f"SAM 2 weights must hold `image_encoder.trunk...` (Meta's files) or `vision_encoder.backbone...` (the "
            f"hub's folders): {path} has {some_of(checkpoint.specs, 4)}."
        )
    _warn_of_other_windows(model.config)

    def reason_dropped_here(name: str) -> str | None:
        needless = model.mask_embed is None and (own_name(name) or "").startswith("mask_embed.")
        return "mask prompts; `mask_prompt` is none" if needless else reason_dropped(name)

    return _fill(model, checkpoint, own_name, reason_dropped_here, is_asked_for=_is_sam2)


def initialize_from_beit3(model: RS2SamModel, path: str | Path) -> ConversionReport:
    """Fill the union encoder with BEiT-3's weights; the rest stays.

    Args:
        model: of a size that fits, on any device and in any dtype; changed in place.
        path: Microsoft's file.

    Returns:
        What was mapped, what was dropped (heads of pretraining tasks), and what of the model these weights do not have.

    Raises:
        DataNotFoundError: nothing is at `path`.
        CheckpointError: the file is damaged, holds code, or is not BEiT-3 of the model's size.
    """
    checkpoint = Checkpoint(path)
    keys = KeyMap(sum(model.config.trunk_blocks))
    if not any(name.startswith("beit3.encoder.") for name in checkpoint.specs):
        raise CheckpointError(
            f"BEiT-3 weights must hold `beit3.encoder...`: {path} has {some_of(checkpoint.specs, 4)}."
        )

    def reason_dropped(name: str) -> str | None:
        if not name.startswith("beit3."):
            return "a head of one of BEiT-3's own tasks"
        return keys.reason_dropped(f"mm_extractor.{name}")

    return _fill(
        model,
        checkpoint,
        lambda name: keys.own(f"mm_extractor.{name}"),
        reason_dropped,
        is_asked_for=lambda name: name.startswith("union_encoder."),
    )


def _fill(
    model: RS2SamModel,
    checkpoint: Checkpoint,
    own_name: Callable[[str], str | None],
    reason_dropped: Callable[[str], str | None],
    *,
    is_asked_for: Callable[[str], bool],
) -> ConversionReport:
    """Copy what a checkpoint has into a model, all of what is asked for or nothing."""
    state: dict[str, torch.Tensor] = model.state_dict()
    if any(tensor.is_meta for tensor in state.values()):
        raise InvalidInputError("A model must hold weights to be initialised: this one is on the meta device.")
    wanted = {name: TensorSpec(tuple(tensor.shape), tensor.dtype) for name, tensor in state.items()}
    report = match_tensors(
        str(checkpoint.path),
        checkpoint.specs,
        wanted,
        own_name=own_name,
        reason_dropped=reason_dropped,
        may_miss=lambda name: not is_asked_for(name),
    )
    with torch.no_grad():
        for own, name in report.mapped.items():
            state[own].copy_(checkpoint.read(name))
    checkpoint.release()
    logger.info("%s", report)
    return report


def _is_sam2(own: str) -> bool:
    return own.partition(".")[0] in _SAM2_PARTS and not any(adapter in own for adapter in _ADAPTERS)


def _hub_own_name(name: str) -> str | None:
    for theirs, ours in _HUB_NAMES.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return None


def _hub_reason_dropped(name: str) -> str | None:
    return next((reason for prefix, reason in _HUB_DROPPED.items() if name.startswith(prefix)), None)


def _warn_of_other_windows(config: RS2SamConfig) -> None:
    """SAM 2's weights fit any windows and heads of the right widths, but were trained with these."""
    trained = _TRUNKS.get((config.trunk_widths[0], config.trunk_blocks), {})
    for field, value in trained.items():
        if getattr(config, field) != value:
            logger.warning(
                "SAM 2's trunk was trained with %s %s, the model has %s.", field, value, getattr(config, field)
            )
