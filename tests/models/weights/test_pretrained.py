from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from transformers import Sam2Config, Sam2Model, Sam2VideoConfig, Sam2VideoModel

from rs2sam.errors import CheckpointError, InvalidInputError
from rs2sam.models import RS2SamConfig, RS2SamModel
from rs2sam.models.weights.pretrained import initialize_from_beit3, initialize_from_sam2
from tests.models.weights.published import published_state, tiny_model

SAM2 = "visual_model."
BEIT3 = "mm_extractor."
ADAPTERS = ("Space_Adapter", "MLP_Adapter", "vlfusion_module")


@pytest.fixture
def model() -> RS2SamModel:
    return tiny_model()


@pytest.fixture(scope="module")
def trained() -> dict[str, torch.Tensor]:
    """Published names of another model of the same size, every tensor unlike the first's."""
    return {name: torch.randn_like(tensor.float()) * 0.1 for name, tensor in published_state(tiny_model()).items()}


def sam2_state(trained: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names and tensors of Meta's file: no adapters, no fusion, what SAM 2.1 has besides."""
    state = {
        name.removeprefix(SAM2): tensor
        for name, tensor in trained.items()
        if name.startswith(SAM2) and not any(adapter in name for adapter in ADAPTERS)
    }
    return {**state, "no_obj_embed_spatial": torch.zeros(1, 64), "obj_ptr_tpos_proj.weight": torch.zeros(64, 256)}


def beit3_state(trained: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    state = {name.removeprefix(BEIT3): tensor for name, tensor in trained.items() if name.startswith(BEIT3)}
    return {**state, "mlm_head.weight": torch.zeros(512, 64)}


def changed_parts(before: dict[str, torch.Tensor], model: RS2SamModel) -> set[str]:
    return {
        name.partition(".")[0] for name, tensor in model.state_dict().items() if not torch.equal(before[name], tensor)
    }


def copied(model: RS2SamModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def hub_config(config: RS2SamConfig) -> dict[str, dict[str, object]]:
    """The same trunk, neck and decoder as transformers' SAM 2 configures them."""
    side = config.image_size // 4
    return {
        "vision_config": {
            "backbone_config": {**config.trunk_config().to_dict(), "model_type": "sam2_hiera_det_model"},
            "backbone_channel_list": list(reversed(config.trunk_widths)),
            "backbone_feature_sizes": [[side, side], [side // 2, side // 2], [side // 4, side // 4]],
        },
        "prompt_encoder_config": {"image_size": config.image_size},
        "mask_decoder_config": {"mlp_dim": config.decoder_mlp_width},
    }


def silence_adapters(model: RS2SamModel) -> None:
    """Make the model's trunk SAM 2's own: what its adapters add becomes zero."""
    with torch.no_grad():
        for block in model.trunk.blocks:
            for adapter in (block.fusion, block.mlp_adapter):
                adapter.up.weight.zero_()
                adapter.up.bias.zero_()


@pytest.mark.parametrize("nested", [True, False])
def test_metas_file_fills_sam2s_part_and_nothing_else(
    nested: bool, model: RS2SamModel, trained: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    state, before = sam2_state(trained), copied(model)
    torch.save({"model": state} if nested else state, tmp_path / "sam2.1_hiera_tiny.pt")
    report = initialize_from_sam2(model, tmp_path / "sam2.1_hiera_tiny.pt")
    assert changed_parts(before, model) == {
        "trunk", "neck", "no_memory_embedding", "image_positions", "mask_embed", "mask_decoder",
    }  # fmt: skip
    held = model.state_dict()
    for own, name in report.mapped.items():
        assert torch.equal(held[own], state[name]), own
    assert {"no_obj_embed_spatial", "obj_ptr_tpos_proj.weight", "maskmem_tpos_enc"} <= set(report.dropped)
    assert set(report.mapped) | set(report.missing) == set(before)
    assert all(torch.equal(before[name], held[name]) for name in report.missing)


@pytest.mark.parametrize(("config_class", "model_class"), [(Sam2Config, Sam2Model), (Sam2VideoConfig, Sam2VideoModel)])
def test_a_hub_folder_gives_sam2s_own_features(
    config_class: type, model_class: type, model: RS2SamModel, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    sam2 = model_class(config_class(**hub_config(model.config))).eval()
    sam2.save_pretrained(tmp_path)
    report = initialize_from_sam2(model, tmp_path)
    silence_adapters(model)
    pixels = torch.randn(1, 3, 256, 256)
    text = torch.randn(1, 5, 256)
    with torch.no_grad():
        levels = model.neck(model.trunk(pixels, text, None))
        expected = sam2.vision_encoder(pixels).fpn_hidden_states
    for level, other in zip(levels, expected, strict=True):
        assert torch.allclose(level, other, atol=1e-5), (level - other).abs().max()
    assert {name.partition(".")[0] for name in report.missing} >= {"union_encoder", "decoder_fusion", "mask_prompt"}


def test_a_hub_folder_gives_sam2s_own_mask_decoder(model: RS2SamModel, tmp_path: Path) -> None:
    torch.manual_seed(3)
    sam2 = Sam2Model(Sam2Config(**hub_config(model.config))).eval()
    sam2.save_pretrained(tmp_path)
    initialize_from_sam2(model, tmp_path)
    wanted = sam2.state_dict()
    for name, tensor in model.mask_decoder.state_dict().items():
        assert torch.equal(tensor, wanted[f"mask_decoder.{name}"])
    assert torch.equal(model.image_position_encoding(16, 16)[0], sam2.get_image_wide_positional_embeddings()[0])


def test_beit3s_file_fills_the_union_encoder_and_nothing_else(
    model: RS2SamModel, trained: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    state, before = beit3_state(trained), copied(model)
    torch.save({"model": state}, tmp_path / "beit3_tiny_patch16_64.pth")
    report = initialize_from_beit3(model, tmp_path / "beit3_tiny_patch16_64.pth")
    assert changed_parts(before, model) == {"union_encoder"}
    assert torch.equal(model.union_encoder.token_embedding.weight, state["beit3.text_embed.weight"])
    assert set(report.dropped) == {"beit3.vision_embed.mask_token", "mlm_head.weight"}
    assert not any(name.startswith("union_encoder") for name in report.missing)


def test_weights_are_cast_to_the_models_dtype(trained: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(beit3_state(trained), tmp_path / "beit3.pth")
    model = tiny_model().to(torch.bfloat16)
    initialize_from_beit3(model, tmp_path / "beit3.pth")
    assert model.dtype == torch.bfloat16


def test_a_model_of_another_size_is_refused_and_left_alone(trained: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(sam2_state(trained), tmp_path / "sam2.pt")
    torch.save(beit3_state(trained), tmp_path / "beit3.pth")
    model = tiny_model(trunk_position_size=14, union_image_size=96)
    before = copied(model)
    with pytest.raises(CheckpointError, match=r"trunk\.pos_embed \(1, 16, 7, 7\), in the model .*14, 14\)"):
        initialize_from_sam2(model, tmp_path / "sam2.pt")
    with pytest.raises(CheckpointError, match=r"embed_positions\.A\.weight \(19, 64\), in the model .* \(39, 64\)"):
        initialize_from_beit3(model, tmp_path / "beit3.pth")
    assert not changed_parts(before, model)


def test_an_incomplete_file_is_refused(model: RS2SamModel, trained: dict[str, torch.Tensor], tmp_path: Path) -> None:
    state = sam2_state(trained)
    del state["image_encoder.trunk.blocks.3.attn.qkv.weight"]
    torch.save(state, tmp_path / "sam2.pt")
    with pytest.raises(CheckpointError, match=r"not in the file:\n  trunk\.blocks\.3\.attn\.qkv\.weight"):
        initialize_from_sam2(model, tmp_path / "sam2.pt")


def test_weights_that_nobody_explains_are_refused(
    model: RS2SamModel, trained: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save({**sam2_state(trained), "image_encoder.trunk.extra": torch.zeros(3)}, tmp_path / "sam2.pt")
    with pytest.raises(CheckpointError, match=r"nobody explains:\n  image_encoder\.trunk\.extra \(3\)"):
        initialize_from_sam2(model, tmp_path / "sam2.pt")


def test_each_file_is_refused_in_the_others_place(
    model: RS2SamModel, trained: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    torch.save(sam2_state(trained), tmp_path / "sam2.pt")
    torch.save(beit3_state(trained), tmp_path / "beit3.pth")
    with pytest.raises(CheckpointError, match="SAM 2 weights must hold"):
        initialize_from_sam2(model, tmp_path / "beit3.pth")
    with pytest.raises(CheckpointError, match="BEiT-3 weights must hold"):
        initialize_from_beit3(model, tmp_path / "sam2.pt")


def test_a_model_without_memory_is_refused(trained: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(beit3_state(trained), tmp_path / "beit3.pth")
    with torch.device("meta"):
        model = RS2SamModel(RS2SamConfig.preset("tiny"))
    with pytest.raises(InvalidInputError, match="meta device"):
        initialize_from_beit3(model, tmp_path / "beit3.pth")


def test_windows_unlike_those_of_the_training_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    from rs2sam.models.weights.pretrained import _warn_of_other_windows

    with caplog.at_level(logging.WARNING):
        _warn_of_other_windows(RS2SamConfig.preset("large"))
        assert not caplog.records
        _warn_of_other_windows(RS2SamConfig.preset("large", trunk_global_blocks=(1, 2, 3)))
    assert "trunk_global_blocks (23, 33, 43), the model has (1, 2, 3)" in caplog.text
