"""Names of parameters: published checkpoints <-> this model, one to one.

A published name is a path below `visual_model` (SAM 2 with the paper's adapters), `mm_extractor.beit3` (the union
encoder) or one of the model's own layers. Meta's SAM 2 files are the first without its prefix, BEiT-3's files the
second without `mm_extractor.`.

Source: names in the released checkpoints of RS2-SAM 2, SAM 2 and BEiT-3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

_NUMBER = "#"
"""Stands for a layer or block number in the tables below."""


@dataclass(frozen=True)
class _Subtree:
    """Layers below one published and one own path, and what each is called on either side ("" = the path itself)."""

    published: str
    own: str
    layers: dict[str, str]


_WEIGHTS = ("weight", "bias")
_PACKED_ATTENTION = {
    "multihead_attn.in_proj_weight": "in_proj_weight",
    "multihead_attn.in_proj_bias": "in_proj_bias",
    "multihead_attn.out_proj.weight": "out_proj.weight",
    "multihead_attn.out_proj.bias": "out_proj.bias",
}


def _with_weights(layers: dict[str, str]) -> dict[str, str]:
    """The same table for the weight and the bias of every layer."""
    return {
        ".".join(filter(None, (published, kind))): ".".join(filter(None, (own, kind)))
        for published, own in layers.items()
        for kind in _WEIGHTS
    }


def _expert_layers(modality: str) -> dict[str, str]:
    """One expert of a union layer; `modality` is A (image) or B (text)."""
    return _with_weights(
        {
            f"self_attn_layer_norm.{modality}": "attention_norm",
            f"self_attn.q_proj.{modality}": "q_proj",
            f"self_attn.k_proj.{modality}": "k_proj",
            f"self_attn.v_proj.{modality}": "v_proj",
            f"self_attn.inner_attn_ln.{modality}": "attention_inner_norm",
            f"self_attn.out_proj.{modality}": "o_proj",
            f"final_layer_norm.{modality}": "ffn_norm",
            f"ffn.{modality}.fc1": "fc1",
            f"ffn.{modality}.ffn_layernorm": "ffn_inner_norm",
            f"ffn.{modality}.fc2": "fc2",
        }
    )


def _attention(name: str) -> dict[str, str]:
    """The four projections of one of the mask decoder's attentions."""
    own = {"q_proj": "q_proj", "k_proj": "k_proj", "v_proj": "v_proj", "out_proj": "o_proj"}
    return {f"{name}.{published}": f"{name}.{mine}" for published, mine in own.items()}


_TWO_LAYERS = {"layers.0": "proj_in", "layers.1": "proj_out"}
_THREE_LAYERS = _with_weights({"layers.0": "proj_in", "layers.1": "layers.0", "layers.2": "proj_out"})
_BEIT3, _SAM2 = "mm_extractor.beit3", "visual_model"
_BLOCK, _DECODER = f"{_SAM2}.image_encoder.trunk.blocks.#", f"{_SAM2}.sam_mask_decoder"

_SUBTREES = (
    _Subtree(
        _BEIT3,
        "union_encoder",
        {
            "text_embed.weight": "token_embedding.weight",
            "vision_embed.cls_token": "cls_token",
            "vision_embed.proj.weight": "patch_embedding.weight",
            "vision_embed.proj.bias": "patch_embedding.bias",
            "encoder.embed_positions.A.weight": "image_positions.weight",
            "encoder.embed_positions.B.weight": "text_positions.weight",
            **_with_weights({"encoder.layer_norm.A": "image_norm", "encoder.layer_norm.B": "text_norm"}),
        },
    ),
    _Subtree(f"{_BEIT3}.encoder.layers.#", "union_encoder.layers.#.image", _expert_layers("A")),
    _Subtree(f"{_BEIT3}.encoder.layers.#", "union_encoder.layers.#.text", _expert_layers("B")),
    _Subtree("text_feat_linear", "text_projection", _with_weights({"": ""})),
    _Subtree("text_hidden_fcs.0", "sentence_projection", _with_weights({"0": "0", "2": "2"})),
    _Subtree("text2one_linear", "sentence_weight", _with_weights({"": ""})),
    _Subtree("mask_linear", "mask_prompt.mask_linear", _with_weights({"": ""})),
    _Subtree("mask_product", "mask_prompt.mask_product", _with_weights({"": ""})),
    _Subtree("vmtoken", "mask_prompt.cls_attention.attention", _PACKED_ATTENTION),
    _Subtree(
        f"{_SAM2}.image_encoder.trunk",
        "trunk",
        {
            "pos_embed": "pos_embed",
            "pos_embed_window": "pos_embed_window",
            **_with_weights({"patch_embed.proj": "patch_embed.projection"}),
        },
    ),
    _Subtree(
        _BLOCK,
        "trunk.blocks.#",
        _with_weights(
            {
                "norm1": "layer_norm1",
                "attn.qkv": "attn.qkv",
                "attn.proj": "attn.proj",
                "proj": "proj",
                "norm2": "layer_norm2",
                **{f"mlp.{published}": f"mlp.{own}" for published, own in _TWO_LAYERS.items()},
                "MLP_Adapter.D_fc1": "mlp_adapter.down",
                "MLP_Adapter.D_fc2": "mlp_adapter.up",
                "Space_Adapter.D_fc1": "fusion.down",
                "Space_Adapter.D_fc2": "fusion.up",
                "Space_Adapter.text_in_linear": "fusion.text_in",
                "Space_Adapter.text_out_linear": "fusion.text_out",
            }
        ),
    ),
    _Subtree(f"{_BLOCK}.Space_Adapter.vlfusion_module", "trunk.blocks.#.fusion.text_to_image", _PACKED_ATTENTION),
    _Subtree(f"{_BLOCK}.Space_Adapter.lvfusion_module", "trunk.blocks.#.fusion.image_to_text", _PACKED_ATTENTION),
    _Subtree(f"{_SAM2}.image_encoder.neck.convs.#.conv", "neck.convs.#", _with_weights({"": ""})),
    _Subtree(_SAM2, "", {"no_mem_embed": "no_memory_embedding"}),
    _Subtree(
        f"{_SAM2}.sam_prompt_encoder",
        "",
        {
            "pe_layer.positional_encoding_gaussian_matrix": "image_positions.positional_embedding",
            **_with_weights(
                {
                    "mask_downscaling.0": "mask_embed.conv1",
                    "mask_downscaling.1": "mask_embed.layer_norm1",
                    "mask_downscaling.3": "mask_embed.conv2",
                    "mask_downscaling.4": "mask_embed.layer_norm2",
                    "mask_downscaling.6": "mask_embed.conv3",
                }
            ),
        },
    ),
    _Subtree(f"{_DECODER}.vlfusion_module", "decoder_fusion.attention", _PACKED_ATTENTION),
    _Subtree(
        _DECODER,
        "mask_decoder",
        {
            "iou_token.weight": "iou_token.weight",
            "mask_tokens.weight": "mask_tokens.weight",
            "obj_score_token.weight": "obj_score_token.weight",
            **_with_weights(
                {
                    "conv_s0": "conv_s0",
                    "conv_s1": "conv_s1",
                    "output_upscaling.0": "upscale_conv1",
                    "output_upscaling.1": "upscale_layer_norm",
                    "output_upscaling.3": "upscale_conv2",
                    **_attention("transformer.final_attn_token_to_image"),
                    "transformer.norm_final_attn": "transformer.layer_norm_final_attn",
                }
            ),
        },
    ),
    _Subtree(
        f"{_DECODER}.transformer.layers.#",
        "mask_decoder.transformer.layers.#",
        _with_weights(
            {
                **_attention("self_attn"),
                **_attention("cross_attn_token_to_image"),
                **_attention("cross_attn_image_to_token"),
                **{f"mlp.{published}": f"mlp.{own}" for published, own in _TWO_LAYERS.items()},
                **{f"norm{number}": f"layer_norm{number}" for number in (1, 2, 3, 4)},
            }
        ),
    ),
    _Subtree(f"{_DECODER}.output_hypernetworks_mlps.#", "mask_decoder.output_hypernetworks_mlps.#", _THREE_LAYERS),
    _Subtree(f"{_DECODER}.iou_prediction_head", "mask_decoder.iou_prediction_head", _THREE_LAYERS),
    _Subtree(f"{_DECODER}.pred_obj_score_head", "mask_decoder.pred_obj_score_head", _THREE_LAYERS),
)

_VIDEO = "video memory of SAM 2; no single image uses it"
DROPPED_PREFIXES: dict[str, str] = {
    f"{_SAM2}.maskmem_tpos_enc": _VIDEO,
    f"{_SAM2}.no_mem_pos_enc": _VIDEO,
    f"{_SAM2}.no_obj_ptr": _VIDEO,
    f"{_SAM2}.no_obj_embed_spatial": _VIDEO,
    f"{_SAM2}.mask_downsample.": _VIDEO,
    f"{_SAM2}.memory_attention.": _VIDEO,
    f"{_SAM2}.memory_encoder.": _VIDEO,
    f"{_SAM2}.obj_ptr_proj.": _VIDEO,
    f"{_SAM2}.obj_ptr_tpos_proj.": _VIDEO,
    f"{_SAM2}.sam_prompt_encoder.point_embeddings.": "prompts by points and boxes; the prompt is a sentence",
    f"{_SAM2}.sam_prompt_encoder.not_a_point_embed.": "prompts by points and boxes; the prompt is a sentence",
    f"{_SAM2}.sam_prompt_encoder.no_mask_embed.": "absent mask prompt; the pseudo-mask takes its place",
    f"{_BEIT3}.vision_embed.mask_token": "BEiT-3's masked pretraining",
    "meo_linear.": "created by the published code and never used",
}
"""Prefixes of published names that the model has no place for -> why."""


@cache
def _names() -> tuple[dict[str, str], dict[str, str]]:
    """Published -> own and own -> published, with `#` for numbers."""
    pairs = [
        (f"{tree.published}.{published}", f"{tree.own}.{own}".lstrip("."))
        for tree in _SUBTREES
        for published, own in tree.layers.items()
    ]
    return dict(pairs), {own: published for published, own in pairs}


def _rename(name: str, table: dict[str, str]) -> str | None:
    """`name` by `table`, block and layer numbers carried over."""
    if name in table:
        return table[name]
    # The tables name some numbers themselves (`layers.0`), so hide them one at a time, first one first: no name of
    # either side carries more than one free number, and it comes before the fixed ones.
    for number in re.finditer(r"(?<=\.)\d+(?=\.)", name):
        renamed = table.get(f"{name[: number.start()]}{_NUMBER}{name[number.end() :]}")
        if renamed is not None:
            return renamed.replace(_NUMBER, number.group())
    return None


@dataclass(frozen=True)
class KeyMap:
    """Names for a model whose trunk has `num_blocks` blocks (`sum(config.trunk_blocks)`)."""

    num_blocks: int

    def own(self, published: str) -> str | None:
        """This model's name of a published tensor, or None if it is dropped or unknown."""
        name = _rename(published, _names()[0])
        return None if name is None or self._is_last_text_update(name) else name

    def published(self, own: str) -> str | None:
        """The published name of one of this model's tensors, or None if it is none of them."""
        return None if self._is_last_text_update(own) else _rename(own, _names()[1])

    def reason_dropped(self, published: str) -> str | None:
        """Why a published tensor has no place here, or None if it has one or nobody knows it."""
        name = _rename(published, _names()[0])
        if name is not None and self._is_last_text_update(name):
            return "the last block's text update; nothing reads it"
        return next((why for prefix, why in DROPPED_PREFIXES.items() if published.startswith(prefix)), None)

    def _is_last_text_update(self, own: str) -> bool:
        """Whether `own` would belong to the update of the text in the last block."""
        fusion = f"trunk.blocks.{self.num_blocks - 1}.fusion."
        return own.startswith((f"{fusion}image_to_text.", f"{fusion}text_out."))
