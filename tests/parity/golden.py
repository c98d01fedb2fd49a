"""The published tiny model: its weights in ours, its inputs, and what each of its stages is called here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.weights.key_map import KeyMap

SAMPLES = {"single0": slice(0, 1), "single1": slice(1, 2), "pad2": slice(0, 2), "unk1": slice(1, 2)}
"""Case -> which of the two images it uses."""
TOLERANCE = 1e-5
"""Relative L2 that counts as equal; float32 itself costs 1e-6."""

_STAGES = {
    "beit3.layer00": "union.layer00",
    "beit3.layer01": "union.layer01",
    "beit3.encoder_out": "union.output",
    "text_feat": "text",
    "sparse_text_embed": "sentence_prompt",
    "sen_feat": "sentence_weight",
    "mask_linear": "mask_prompt.token",
    "mask_product_logit": "mask_prompt.logits",
    "pseudo_mask": "pseudo_mask",
    "pseudo_mask_up": "pseudo_mask.resized",
    "dense_embeddings": "dense_prompt",
    "trunk.patch_embed": "trunk.patch_embed",
    "trunk.block_in": "trunk.input",
    "neck.2": "neck.image",
    "neck.0[:, ::8]": "neck.s0",
    "neck.1[:, ::4]": "neck.s1",
    "feat_s0": "feat_s0",
    "feat_s1": "feat_s1",
    "image_embed": "image_embedding",
    "decoder.hs": "decoder.tokens",
    "decoder.src": "decoder.image",
    "iou_pred_all4": "iou_scores",
    "object_score_logits": "presence_logits",
    "low_res_logits": "low_res_logits",
    "final_logits": "mask_logits",
    "final_logits[:, :, ::4, ::4]": "mask_logits",
}
_LENGTH_FIRST = {
    "vmtoken": "mask_prompt.cls",
    "decoder_fused": "fused",
    "decoder_fused[::4]": "fused",
    **{f"trunk.block{index:02d}.text": f"trunk.block{index:02d}.text" for index in range(8)},
}
"""Stages that the published code lays out as (length, batch, channels)."""
NOT_COMPARED = {
    "all4_masks": "only mask token 0 is a mask",
    "beit3.embedding": "taken before padding is zeroed; layer00 follows from it",
    "dense_pe": "tested on its own",
    "iou_pred_token0": "part of iou_pred_all4",
    "neck.3": "dropped by the neck",
    "sparse_embeddings": "equal to sparse_text_embed",
    "trunk.block08.text": "the last block's text, which nothing reads and this model does not compute",
}


def load_tiny(golden_dir: Path, mask_fusion_padding: bool) -> RS2SamModel:
    """The published tiny weights in our model, strictly."""
    config = RS2SamConfig.preset("tiny", mask_fusion_padding=mask_fusion_padding)
    key_map = KeyMap(sum(config.trunk_blocks))
    published = load_file(golden_dir / "tiny" / "state_dict.safetensors")
    own = {key_map.own(name): value for name, value in published.items()}
    model = RS2SamModel(config)
    model.load_state_dict({name: value for name, value in own.items() if name is not None}, strict=True)
    return model.eval()


def inputs_of(goldens: dict[str, Tensor], case: str) -> dict[str, Tensor]:
    """The model's inputs in one case; padding is told by the token id alone, as published."""
    images = SAMPLES[case]
    return {
        "pixel_values": goldens["in.images"][images],
        "union_pixel_values": goldens["in.images_evf"][images],
        "input_ids": goldens[f"in.input_ids.{case}"],
    }


def compared_stages(goldens: dict[str, Tensor], case: str) -> Iterator[tuple[str, Tensor, str]]:
    """(our stage, what it must be, golden name) for every golden of `case` that has a counterpart here."""
    for name, expected in goldens.items():
        if not name.startswith(f"{case}."):
            continue
        stage = name.removeprefix(f"{case}.")
        if stage in _LENGTH_FIRST:
            yield _LENGTH_FIRST[stage], expected.transpose(0, 1), stage
        elif stage.startswith("trunk.block") and stage.endswith(".x"):
            yield stage.replace(".x", ".image"), expected, stage
        elif stage not in NOT_COMPARED:
            yield _STAGES[stage], expected, stage


def as_stored(actual: Tensor, expected: Tensor, golden_name: str) -> Tensor:
    """`actual` thinned out and shaped as the golden called `golden_name` is."""
    thinned = {
        "neck.0[:, ::8]": (slice(None), slice(None, None, 8)),
        "neck.1[:, ::4]": (slice(None), slice(None, None, 4)),
        "decoder_fused[::4]": (slice(None), slice(None, None, 4)),
        "final_logits[:, :, ::4, ::4]": (..., slice(None, None, 4), slice(None, None, 4)),
    }
    if golden_name in thinned:
        actual = actual[thinned[golden_name]]
    if golden_name == "image_embed":
        actual = actual.transpose(1, 2)  # ours is read off the fusion's input, (B, h * w, C)
    return actual.reshape(expected.shape) if actual.numel() == expected.numel() else actual


def loss_targets() -> Tensor:
    """(2, 256, 256): the two ellipses that the golden losses were measured on."""
    y, x = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    ellipses = [(90, 120, 50, 70), (150, 60, 30, 40)]
    return torch.stack([(((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1).float() for cy, cx, ry, rx in ellipses])
