"""Every stage of a forward pass under one name each, as the parity tests compare them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rs2sam.models.rs2sam import RS2SamModel


def run_stages(model: RS2SamModel, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Run `model` on `inputs` and return what every stage made, gradients kept if the caller records them."""
    stages: dict[str, Tensor] = {}
    hooks = [module.register_forward_hook(partial(_keep, stages, keep)) for module, keep in _watched(model)]
    try:
        output = model(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
    for name in ("mask_logits", "low_res_logits", "pseudo_mask", "sentence_weight"):
        stages[name] = output[name]
    return stages


def relative_l2(actual: Tensor, expected: Tensor) -> float:
    """|actual - expected| / |expected|, in float64."""
    assert actual.shape == expected.shape, f"{tuple(actual.shape)} is not {tuple(expected.shape)}"
    difference = (actual.double() - expected.double()).norm() / expected.double().norm()
    return float(difference)


def _keep(
    stages: dict[str, Tensor], keep: Callable[[Any, Any], dict[str, Tensor]], _: nn.Module, args: Any, output: Any
) -> None:
    stages.update(keep(args, output))


def _watched(model: RS2SamModel) -> list[tuple[nn.Module, Callable[[Any, Any], dict[str, Tensor]]]]:
    """Modules, and what their inputs and outputs are called."""
    union = model.union_encoder
    watched: list[tuple[nn.Module, Callable[[Any, Any], dict[str, Tensor]]]] = [
        (union.layers[0], lambda args, _: {"union.embedding": torch.cat(args[:2], dim=1)}),
        (union, lambda _, out: {"union.output": torch.cat(tuple(out), dim=1)}),
        (model.text_projection, lambda _, out: {"text": out}),
        (model.sentence_projection, lambda _, out: {"sentence_prompt": out}),
        (model.mask_prompt.cls_attention, lambda _, out: {"mask_prompt.cls": out}),
        (model.mask_prompt.mask_linear, lambda _, out: {"mask_prompt.token": out}),
        (model.mask_prompt.mask_product, lambda _, out: {"mask_prompt.logits": out}),
        (model.trunk.patch_embed, lambda _, out: {"trunk.patch_embed": out}),
        (model.trunk.blocks[0], lambda args, _: {"trunk.input": args[0]}),
        (
            model.neck,
            lambda _, out: {"neck.s0": out.feat_s0, "neck.s1": out.feat_s1, "neck.image": out.image_embedding},
        ),
        (model.mask_decoder.conv_s0, lambda _, out: {"feat_s0": out}),
        (model.mask_decoder.conv_s1, lambda _, out: {"feat_s1": out}),
        (
            model.decoder_fusion,
            lambda args, out: {"image_embedding": args[0], "fused": out},
        ),
        (model.mask_embed, lambda args, out: {"pseudo_mask.resized": args[0], "dense_prompt": out}),
        (
            model.mask_decoder.transformer,
            lambda _, out: {"decoder.tokens": out[0].flatten(0, 1), "decoder.image": out[1].flatten(0, 1)},
        ),
        (model.mask_decoder.iou_prediction_head, lambda _, out: {"iou_scores": out.flatten(1)}),
        (model.mask_decoder.pred_obj_score_head, lambda _, out: {"presence_logits": out.flatten(1)}),
    ]
    watched += [(layer, partial(_union_layer, f"union.layer{index:02d}")) for index, layer in enumerate(union.layers)]
    watched += [
        (block, partial(_trunk_block, f"trunk.block{index:02d}")) for index, block in enumerate(model.trunk.blocks)
    ]
    return watched


def _union_layer(name: str, _: Any, out: Any) -> dict[str, Tensor]:
    return {name: torch.cat(out, dim=1)}


def _trunk_block(name: str, _: Any, out: Any) -> dict[str, Tensor]:
    return {f"{name}.image": out[0], f"{name}.text": out[1]}
