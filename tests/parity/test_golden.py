"""Equality with the published model at toy size: every stage, the loss, every gradient, every name."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.weights.key_map import KeyMap
from rs2sam.training.objective.groups import parameter_groups
from rs2sam.training.objective.losses import rs2sam_loss
from tests.parity.golden import (
    NOT_COMPARED,
    SAMPLES,
    TOLERANCE,
    as_stored,
    compared_stages,
    inputs_of,
    load_tiny,
    loss_targets,
)
from tests.parity.stages import relative_l2, run_stages

GRADIENT_TOLERANCE = 2e-5
ROUNDING = 2e-7  # of the largest gradient: float32 tells no less apart
NEVER_SEEN_BY_THE_MASK = {"mask_decoder", "sentence_weight"}
"""Modules that hold tensors of the published `no_influence` list and that this model keeps."""


@pytest.fixture(scope="module")
def goldens(golden_dir: Path) -> dict[str, Tensor]:
    return load_file(golden_dir / "tiny" / "goldens.safetensors")


@pytest.fixture(scope="module")
def published_model(golden_dir: Path) -> RS2SamModel:
    return load_tiny(golden_dir, mask_fusion_padding=False)


@pytest.fixture(scope="module")
def published_keys(golden_dir: Path) -> dict[str, Any]:
    return json.loads((golden_dir / "published_keys.json").read_text())


@pytest.mark.parametrize("case", SAMPLES)
def test_every_stage_equals_the_published_model(
    case: str, goldens: dict[str, Tensor], published_model: RS2SamModel
) -> None:
    with torch.no_grad():
        stages = run_stages(published_model, inputs_of(goldens, case))
    errors = {
        name: relative_l2(as_stored(stages[stage], expected, name), expected)
        for stage, expected, name in compared_stages(goldens, case)
    }
    assert len(errors) >= (36 if case == "pad2" else 10)
    assert {name: error for name, error in errors.items() if error > TOLERANCE} == {}


def test_goldens_left_out_are_named(goldens: dict[str, Tensor]) -> None:
    left_out = {name.split(".", 1)[1] for name in goldens if not name.startswith("in.")} & set(NOT_COMPARED)
    assert left_out == set(NOT_COMPARED)


def test_image_positions_equal_the_published_model(goldens: dict[str, Tensor], published_model: RS2SamModel) -> None:
    positions = published_model.image_position_encoding(16, 16)[0]
    assert relative_l2(positions, goldens["pad2.dense_pe"]) <= TOLERANCE


@pytest.mark.parametrize("sample", [0, 1])
def test_masked_padding_makes_a_batch_equal_its_samples(
    sample: int, golden_dir: Path, goldens: dict[str, Tensor]
) -> None:
    model = load_tiny(golden_dir, mask_fusion_padding=True)
    with torch.no_grad():
        logits = model(**inputs_of(goldens, "pad2")).low_res_logits[sample]
    assert relative_l2(logits, goldens[f"single{sample}.low_res_logits"][0]) <= TOLERANCE


def test_published_padding_changes_the_mask(goldens: dict[str, Tensor], published_model: RS2SamModel) -> None:
    with torch.no_grad():
        logits = published_model(**inputs_of(goldens, "pad2")).low_res_logits[0]
    assert relative_l2(logits, goldens["single0.low_res_logits"][0]) > 0.2


@pytest.mark.parametrize("case", ["single1", "pad2"])
def test_loss_and_every_gradient_equal_the_published_model(
    case: str, golden_dir: Path, goldens: dict[str, Tensor]
) -> None:
    reference = json.loads((golden_dir / "tiny" / "loss_and_grads.json").read_text())[case]
    model = load_tiny(golden_dir, mask_fusion_padding=False)
    output = model(**inputs_of(goldens, case))
    loss = rs2sam_loss(output, loss_targets()[SAMPLES[case]])
    loss.total.backward()
    values = loss.values()
    for published, own in (("total", "total"), ("ce", "cross_entropy"), ("dice", "dice"), ("boundary", "boundary")):
        assert values[own] == pytest.approx(reference[published], rel=TOLERANCE), published
    key_map = KeyMap(sum(model.config.trunk_blocks))
    expected = {key_map.own(name): numbers for name, numbers in reference["grad_l2_sum_first3"].items()}
    without = {key_map.own(name) for name in reference["grad_none"]}
    frozen = {id(parameter) for parameter in parameter_groups(model).frozen}
    assert len(frozen) == reference["n_frozen"]
    scale = max(numbers[0] for numbers in expected.values())
    for name, parameter in model.named_parameters():
        if name in expected:
            _assert_gradient(name, parameter.grad, expected[name], scale)
        else:
            assert name in without or id(parameter) in frozen, name
            assert parameter.grad is None or id(parameter) in frozen, name


def _assert_gradient(name: str, grad: Tensor | None, numbers: list[float], scale: float) -> None:
    """The gradient's length, sum and first values, at the scale of its length: sums and single values cancel.

    Key biases of a softmax have gradient 0 but for rounding, which is another on each kind of processor: of them is
    asked that they are no more than that.
    """
    assert grad is not None, name
    l2, total, *first = numbers
    if name.startswith("mask_decoder.") and name.endswith("k_proj.bias"):
        assert max(l2, float(grad.double().norm())) < ROUNDING * scale, name
        return
    tolerance = GRADIENT_TOLERANCE * max(l2, 1e-3 * scale)
    grad = grad.double()
    assert float(grad.norm()) == pytest.approx(l2, abs=tolerance), name
    assert float(grad.sum()) == pytest.approx(total, abs=tolerance * math.sqrt(grad.numel())), name
    assert grad.flatten()[: len(first)].tolist() == pytest.approx(first, abs=tolerance), name


def test_large_maps_one_to_one_onto_the_published_names(published_keys: dict[str, Any]) -> None:
    with torch.device("meta"):
        model = RS2SamModel(RS2SamConfig.preset("large"))
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    key_map = KeyMap(sum(model.config.trunk_blocks))
    own = {name: key_map.own(name) for name, _, _ in published_keys["state_dict"]}
    mapped = {name: mine for name, mine in own.items() if mine is not None}
    assert set(mapped.values()) == set(shapes)
    assert len(set(mapped.values())) == len(mapped) == len(shapes)
    for name, shape, _ in published_keys["state_dict"]:
        if name in mapped:
            assert shapes[mapped[name]] == shape, name
            assert key_map.published(mapped[name]) == name
            assert key_map.reason_dropped(name) is None
        else:
            assert name in published_keys["no_influence"], name
            assert key_map.reason_dropped(name), name


def test_large_keeps_only_heads_of_what_has_no_influence(published_keys: dict[str, Any]) -> None:
    kept = {KeyMap(48).own(name) for name in published_keys["no_influence"]} - {None}
    assert {name.split(".")[0] for name in kept} == NEVER_SEEN_BY_THE_MASK
    heads = ("iou_prediction_head", "pred_obj_score_head", "output_hypernetworks_mlps")
    assert all(name.split(".")[1] in heads for name in kept if name.startswith("mask_decoder"))
