"""Parameter groups: they partition the model and count as published."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.weights.key_map import KeyMap
from rs2sam.training.ablation.variants import plan
from rs2sam.training.objective.groups import freeze, frozen_modules, new_modules, parameter_groups, reads_text
from rs2sam.training.recipes.loss_settings import LossSettings
from tests.training.toy import batch, toy_init, toy_recipe, training_model

LARGE_NEW, LARGE_PRETRAINED, LARGE_FROZEN = 35_436_841, 678_496_146, 212_703_280
PUBLISHED_TRAINABLE, PUBLISHED_NEW = 722_110_124, 35_843_753


def _count(parameters: list[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


@pytest.fixture(scope="module")
def large() -> RS2SamModel:
    with torch.device("meta"):
        return RS2SamModel(RS2SamConfig.preset("large"))


def test_groups_partition_the_parameters() -> None:
    model = RS2SamModel(RS2SamConfig.preset("tiny"))
    for freeze_trunk in (True, False):
        groups = parameter_groups(model, freeze_trunk=freeze_trunk)
        together = [id(parameter) for parameter in (*groups.new, *groups.pretrained, *groups.frozen)]
        assert len(together) == len(set(together))
        assert set(together) == {id(parameter) for parameter in model.parameters()}
        assert bool(groups.frozen) == freeze_trunk


def test_large_counts(large: RS2SamModel) -> None:
    groups = parameter_groups(large)
    assert _count(groups.new) == LARGE_NEW
    assert _count(groups.pretrained) == LARGE_PRETRAINED
    assert _count(groups.frozen) == LARGE_FROZEN


def test_large_counts_are_the_published_ones_less_what_is_dropped(golden_dir: Path, large: RS2SamModel) -> None:
    published = json.loads((golden_dir / "published_keys.json").read_text())["state_dict"]
    key_map = KeyMap(sum(large.config.trunk_blocks))
    dropped = {name: math.prod(shape) for name, shape, _ in published if key_map.own(name) is None}
    last_text_update = sum(size for name, size in dropped.items() if ".trunk." in name)
    groups = parameter_groups(large)
    assert _count(groups.new) + _count(groups.pretrained) + sum(dropped.values()) == PUBLISHED_TRAINABLE
    assert _count(groups.new) + last_text_update == PUBLISHED_NEW


@pytest.mark.parametrize("form", ["soft", "published"])
def test_where_the_text_is_read_every_parameter_that_trains_gets_a_gradient(tmp_path: Path, form: str) -> None:
    """Processes that train together wait for the gradient of every parameter, unless they are told to look for it."""
    init = toy_init(tmp_path / "init")
    recipe = toy_recipe(init, loss=LossSettings(boundary_form=form))
    inputs = batch(init, 1)
    found = {}
    for run in plan(recipe, ["all"], [0]):
        training = training_model(run.recipe)
        training(inputs)["total"].backward()
        missing = [n for n, p in training.named_parameters() if p.requires_grad and p.grad is None]
        found[run.variant] = reads_text(training.rs2sam, run.recipe.loss)
        assert not missing or not found[run.variant], (run.variant, missing)
        assert all(".union_encoder." in name or ".text_projection." in name for name in missing)
    without = {"baseline", "boundary", "prompt"} if form == "soft" else {"baseline"}
    assert {variant for variant, reads in found.items() if not reads} == without


def test_freeze_stops_trunk_and_neck_but_not_the_adapters() -> None:
    model = RS2SamModel(RS2SamConfig.preset("tiny"))
    freeze(parameter_groups(model))
    adapters = {id(parameter) for module in new_modules(model) for parameter in module.parameters()}
    for module in frozen_modules(model):
        for parameter in module.parameters():
            assert parameter.requires_grad == (id(parameter) in adapters)
    assert model.text_projection.weight.requires_grad
    assert model.trunk.blocks[0].fusion.up.weight.requires_grad
