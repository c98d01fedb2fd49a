"""The whole model: shapes, padding, sizes, saving, precision, attention, checkpointing, export."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rs2sam.errors import InvalidInputError
from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.rs2sam import RS2SamModel
from tests.models.sizes import small_config, small_inputs, small_model


@pytest.fixture(scope="module")
def model() -> RS2SamModel:
    return small_model()


@torch.no_grad()
def _logits(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    logits: Tensor = model(**inputs).low_res_logits
    return logits


def _close(actual: Tensor, expected: Tensor, tolerance: float = 1e-5) -> bool:
    return bool((actual - expected).norm() <= tolerance * expected.norm())


def test_outputs_have_the_documented_shapes_and_ranges(model: RS2SamModel) -> None:
    with torch.no_grad():
        output = model(**small_inputs())
    assert output.mask_logits.shape == (2, 1, 64, 64)
    assert output.low_res_logits.shape == (2, 1, 16, 16)
    assert output.pseudo_mask.shape == (2, 1, 4, 4)
    assert output.sentence_weight.shape == output.presence_logits.shape == output.iou_scores.shape == (2,)
    for bounded in (output.pseudo_mask, output.iou_scores):
        assert 0.0 <= float(bounded.min()) <= float(bounded.max()) <= 1.0


def test_untrained_heads_are_not_reported() -> None:
    with torch.no_grad():
        output = small_model(has_presence=False, has_score=False)(**small_inputs())
    assert output.presence_logits is None
    assert output.iou_scores is None
    assert set(output.keys()) == {"mask_logits", "low_res_logits", "pseudo_mask", "sentence_weight"}


def test_padding_does_not_change_the_mask(model: RS2SamModel) -> None:
    inputs = small_inputs(batch=1)
    padded = dict(inputs)
    padded["input_ids"] = torch.cat([inputs["input_ids"], torch.full((1, 5), 9)], dim=1)
    padded["attention_mask"] = torch.cat([inputs["attention_mask"], torch.zeros(1, 5, dtype=torch.int64)], dim=1)
    assert _close(_logits(model, padded), _logits(model, inputs))


def test_a_batch_equals_its_samples(model: RS2SamModel) -> None:
    inputs = small_inputs(batch=3)
    together = _logits(model, inputs)
    for index in range(3):
        alone = {name: value[index : index + 1] for name, value in inputs.items()}
        assert _close(together[index : index + 1], _logits(model, alone))


def test_padding_changes_the_mask_when_fusions_attend_to_it() -> None:
    model = small_model(mask_fusion_padding=False)
    inputs = small_inputs(batch=1)
    padded = dict(inputs)
    padded["input_ids"] = torch.cat([inputs["input_ids"], torch.full((1, 5), 9)], dim=1)
    padded["attention_mask"] = torch.cat([inputs["attention_mask"], torch.zeros(1, 5, dtype=torch.int64)], dim=1)
    assert not _close(_logits(model, padded), _logits(model, inputs), tolerance=1e-3)


def test_pad_id_is_masked_wherever_it_stands(model: RS2SamModel) -> None:
    ids = torch.tensor([[0, 5, 3, 6, 2, 3]])
    assert model.text_padding_mask(ids, None).tolist() == [[False, False, True, False, False, True]]
    mask = torch.tensor([[1, 1, 1, 0, 1, 1]])
    assert model.text_padding_mask(ids, mask).tolist() == [[False, False, True, True, False, True]]


def test_the_sentence_decides_the_mask(model: RS2SamModel) -> None:
    inputs = small_inputs()
    other = {**inputs, "input_ids": small_inputs(seed=1)["input_ids"]}
    assert not _close(_logits(model, other), _logits(model, inputs), tolerance=1e-2)


@pytest.mark.parametrize("side", [32, 96])
def test_other_image_sides_work_with_the_same_weights(side: int, model: RS2SamModel) -> None:
    inputs = small_inputs(side=side)
    with torch.no_grad():
        output = model(**inputs)
    assert output.mask_logits.shape == (2, 1, side, side)
    assert output.low_res_logits.shape == (2, 1, side // 4, side // 4)


def test_images_that_are_not_square_work(model: RS2SamModel) -> None:
    inputs = small_inputs()
    inputs["pixel_values"] = inputs["pixel_values"][:, :, :32]
    with torch.no_grad():
        assert model(**inputs).mask_logits.shape == (2, 1, 32, 64)


def test_a_side_that_windows_do_not_tile_is_refused(model: RS2SamModel) -> None:
    with pytest.raises(InvalidInputError, match=r"multiples of 32.*got \(48, 48\).*Resize"):
        model(**small_inputs(side=48))


def test_another_union_size_is_refused(model: RS2SamModel) -> None:
    inputs = small_inputs()
    inputs["union_pixel_values"] = inputs["union_pixel_values"][..., :32]
    with pytest.raises(InvalidInputError, match=r"64 px square.*got \(64, 32\)"):
        model(**inputs)


def test_a_sentence_longer_than_its_positions_is_refused() -> None:
    model = small_model(max_text_positions=8)
    with pytest.raises(InvalidInputError, match="at most 6 tokens; got 7"):
        model(**small_inputs(length=7))


@pytest.mark.parametrize("max_shard_size", ["50GB", "500KB"])
def test_saved_and_loaded_model_is_the_same(tmp_path: Path, max_shard_size: str, model: RS2SamModel) -> None:
    model.save_pretrained(tmp_path, max_shard_size=max_shard_size)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (max_shard_size == "500KB")
    loaded = RS2SamModel.from_pretrained(tmp_path)
    assert loaded.config.trunk_windows == model.config.trunk_windows
    assert not loaded.training
    held = loaded.state_dict()
    assert all(torch.equal(value, held[name]) for name, value in model.state_dict().items())
    assert torch.equal(_logits(loaded, small_inputs()), _logits(model, small_inputs()))


def test_half_precision_loads_and_runs(tmp_path: Path, model: RS2SamModel) -> None:
    model.save_pretrained(tmp_path)
    loaded = RS2SamModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}
    logits = _logits(loaded, small_inputs())
    assert logits.dtype == torch.bfloat16
    assert _close(logits.float(), _logits(model, small_inputs()), tolerance=0.1)


def test_device_map_places_the_model(tmp_path: Path, model: RS2SamModel) -> None:
    model.save_pretrained(tmp_path)
    loaded = RS2SamModel.from_pretrained(tmp_path, device_map={"": "cpu"})
    assert torch.equal(_logits(loaded, small_inputs()), _logits(model, small_inputs()))


def test_attention_implementations_agree(tmp_path: Path, model: RS2SamModel) -> None:
    model.save_pretrained(tmp_path)
    eager = RS2SamModel.from_pretrained(tmp_path, attn_implementation="eager")
    parts = [module.config for module in eager.modules() if hasattr(module, "config")]
    assert {config._attn_implementation for config in parts} == {"eager"}
    inputs = small_inputs()
    inputs["attention_mask"][0, 5:] = 0
    expected = _logits(model, inputs)
    assert _close(_logits(eager, inputs), expected)
    eager.set_attn_implementation("sdpa")
    assert {config._attn_implementation for config in parts} == {"sdpa"}
    assert _close(_logits(eager, inputs), expected)


def test_gradients_reach_every_weight_that_the_outputs_use() -> None:
    model = small_model().train()
    output = model(**small_inputs())
    sum(value.sum() for value in output.values()).backward()
    missing = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    # Mask token 0 is always the answer, so the other tokens' hypernetworks learn nothing.
    assert {name.split(".")[1] for name in missing} <= {"output_hypernetworks_mlps"}


def test_activation_checkpointing_leaves_gradients_unchanged() -> None:
    gradients = []
    for checkpointing in (False, True):
        model = small_model().train()
        if checkpointing:
            # transformers renames it; both names are in the versions that are supported.
            enable = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)
            enable()
        model(**small_inputs()).low_res_logits.square().mean().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_exported_program_takes_any_batch_and_length() -> None:
    model = small_model(trunk_blocks=(1, 1, 1, 1), trunk_global_blocks=(2,), union_layers=1)
    batch, length = torch.export.Dim("batch", max=64), torch.export.Dim("length", min=3, max=512)
    shapes = {
        "pixel_values": {0: batch},
        "union_pixel_values": {0: batch},
        "input_ids": {0: batch, 1: length},
        "attention_mask": {0: batch, 1: length},
    }
    program = torch.export.export(model, (), small_inputs(), dynamic_shapes={**shapes}).module()
    for size in (1, 3):
        inputs = small_inputs(batch=size, length=4 + size)
        assert _close(_logits(program, inputs), _logits(model, inputs))


def test_meta_device_builds_the_large_model() -> None:
    with torch.device("meta"):
        model = RS2SamModel(RS2SamConfig.preset("large"))
    assert sum(parameter.numel() for parameter in model.parameters()) == 926_636_267


def test_compact_is_small_enough_to_ship() -> None:
    with torch.device("meta"):
        model = RS2SamModel(RS2SamConfig.preset("hiera-compact"))
    assert sum(parameter.numel() for parameter in model.parameters()) <= 16_000_000


def test_no_batch_norm_anywhere(model: RS2SamModel) -> None:
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


def test_positions_are_cell_centres(model: RS2SamModel) -> None:
    frequencies = model.image_positions.positional_embedding
    encoding = model.image_position_encoding(2, 4)
    assert encoding.shape == (1, small_config().decoder_width, 2, 4)
    # Row 1 of 2 and column 0 of 4: x = 1/8, y = 3/4, mapped to [-1, 1].
    angle = 2 * torch.pi * (2 * torch.tensor([1 / 8, 3 / 4]) - 1) @ frequencies
    assert torch.allclose(encoding[0, :, 1, 0], torch.cat([angle.sin(), angle.cos()]), atol=1e-5)
