"""Names: one to one in both directions, for any size, without outside material."""

from __future__ import annotations

import pytest
import torch

from rs2sam.models.configuration import PresetName, RS2SamConfig
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.weights.key_map import DROPPED_PREFIXES, KeyMap


@pytest.mark.parametrize("preset", ["large", "hiera-compact", "tiny"])
def test_every_tensor_has_one_published_name(preset: PresetName) -> None:
    with torch.device("meta"):
        model = RS2SamModel(RS2SamConfig.preset(preset))
    key_map = KeyMap(sum(model.config.trunk_blocks))
    names = list(model.state_dict())
    published = [key_map.published(name) for name in names]
    assert None not in published
    assert len(set(published)) == len(names)
    assert [key_map.own(name) for name in published if name is not None] == names


@pytest.mark.parametrize(
    ("published", "own"),
    [
        ("text_hidden_fcs.0.2.bias", "sentence_projection.2.bias"),
        ("vmtoken.multihead_attn.in_proj_weight", "mask_prompt.cls_attention.attention.in_proj_weight"),
        (
            "mm_extractor.beit3.encoder.layers.11.ffn.B.ffn_layernorm.weight",
            "union_encoder.layers.11.text.ffn_inner_norm.weight",
        ),
        ("visual_model.image_encoder.trunk.blocks.10.mlp.layers.1.bias", "trunk.blocks.10.mlp.proj_out.bias"),
        (
            "visual_model.image_encoder.trunk.blocks.3.Space_Adapter.lvfusion_module.multihead_attn.out_proj.weight",
            "trunk.blocks.3.fusion.image_to_text.out_proj.weight",
        ),
        (
            "visual_model.sam_mask_decoder.output_hypernetworks_mlps.2.layers.1.weight",
            "mask_decoder.output_hypernetworks_mlps.2.layers.0.weight",
        ),
        (
            "visual_model.sam_mask_decoder.transformer.layers.1.cross_attn_image_to_token.out_proj.bias",
            "mask_decoder.transformer.layers.1.cross_attn_image_to_token.o_proj.bias",
        ),
        (
            "visual_model.sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
            "image_positions.positional_embedding",
        ),
    ],
)
def test_names_as_published(published: str, own: str) -> None:
    assert KeyMap(48).own(published) == own
    assert KeyMap(48).published(own) == published


def test_the_last_blocks_text_update_is_dropped() -> None:
    name = "visual_model.image_encoder.trunk.blocks.8.Space_Adapter.text_out_linear.weight"
    assert KeyMap(9).own(name) is None
    assert "last block" in (KeyMap(9).reason_dropped(name) or "")
    assert KeyMap(10).own(name) == "trunk.blocks.8.fusion.text_out.weight"
    assert KeyMap(10).reason_dropped(name) is None
    assert KeyMap(9).published("trunk.blocks.8.fusion.text_out.weight") is None


@pytest.mark.parametrize("prefix", DROPPED_PREFIXES)
def test_dropped_names_have_a_reason_and_no_place(prefix: str) -> None:
    name = f"{prefix}weight" if prefix.endswith(".") else prefix
    assert KeyMap(48).own(name) is None
    assert KeyMap(48).reason_dropped(name)


@pytest.mark.parametrize("name", ["visual_model.surprise.weight", "text_feat_linear.scale", "trunk.blocks.x.norm1"])
def test_unknown_names_are_neither_mapped_nor_explained(name: str) -> None:
    assert KeyMap(48).own(name) is None
    assert KeyMap(48).reason_dropped(name) is None
    assert KeyMap(48).published(name) is None
