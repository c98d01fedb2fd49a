"""How weights start: signal and gradient at every stage, and nothing loaded is overwritten."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.initialization import start_at
from rs2sam.models.rs2sam import RS2SamModel
from tests.models.sizes import small_config, small_inputs, small_model
from tests.parity.stages import run_stages


@torch.no_grad()
def test_linear_layers_start_by_their_fan_in() -> None:
    model = small_model()
    for layer in (model.union_encoder.layers[0].image.fc1, model.union_encoder.layers[0].image.fc2):
        # Cutting a normal at two deviations leaves 0.88 of its deviation.
        expected = 0.88 * model.config.initializer_gain / math.sqrt(layer.in_features)
        assert float(layer.weight.std()) == pytest.approx(expected, rel=0.1)
        assert float(layer.bias.abs().max()) == 0.0


@torch.no_grad()
def test_marked_layers_start_as_marked() -> None:
    model = small_model(adapter_init_std=0.3)
    assert float(model.trunk.blocks[5].fusion.up.weight.std()) == pytest.approx(0.88 * 0.3, rel=0.15)
    assert model.decoder_fusion.attention.out_proj.bias.tolist() == [1.0] * 64
    assert float(model.mask_decoder.mask_tokens.weight.std()) == pytest.approx(0.88, rel=0.2)
    assert float(model.mask_embed.conv1.bias.std()) > 0.1


def test_no_weight_is_left_uninitialised() -> None:
    assert all(bool(tensor.isfinite().all()) for tensor in small_model().state_dict().values())


def test_start_at_returns_the_layer_and_adds_no_state() -> None:
    layer = nn.Linear(2, 2)
    assert start_at(layer, std=0.1) is layer
    assert set(layer.state_dict()) == {"weight", "bias"}


def test_the_mask_varies_over_image_and_sentence_at_the_start() -> None:
    config = RS2SamConfig.preset("hiera-compact", image_size=128, union_image_size=64)
    torch.manual_seed(0)
    model = RS2SamModel(config).eval()
    inputs = small_inputs(side=128)
    with torch.no_grad():
        stages = run_stages(model, inputs)
        other = run_stages(model, {**inputs, "input_ids": small_inputs(seed=1)["input_ids"]})
    for name in ("text", "trunk.block09.image", "fused", "low_res_logits"):
        assert 0.01 < float(stages[name].std()) < 10.0, name
    change = (stages["low_res_logits"] - other["low_res_logits"]).norm() / stages["low_res_logits"].norm()
    assert float(change) > 0.02


def test_the_sentence_survives_the_depth_of_the_large_trunk() -> None:
    blocks = 48
    config = small_config(trunk_blocks=(2, 6, 36, 4), trunk_global_blocks=(23, 33, 43))
    torch.manual_seed(0)
    model = RS2SamModel(config).eval()
    with torch.no_grad():
        stages = run_stages(model, small_inputs(batch=1))
    for index in range(blocks):
        assert 1e-4 < float(stages[f"trunk.block{index:02d}.text"].std()) < 10.0, index


@torch.no_grad()
def test_weights_missing_from_a_checkpoint_start_and_the_others_are_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = small_model()
    state = {name: value for name, value in model.state_dict().items() if ".mlp_adapter.up." not in name}
    model.save_pretrained(tmp_path, state_dict=state)
    loaded = RS2SamModel.from_pretrained(tmp_path)
    capfd.readouterr()
    held = loaded.state_dict()
    assert all(torch.equal(held[name], value) for name, value in state.items())
    up = loaded.trunk.blocks[5].mlp_adapter.up
    assert float(up.weight.std()) == pytest.approx(0.88 * 0.02, rel=0.2)
    assert float(up.bias.abs().max()) == 0.0
