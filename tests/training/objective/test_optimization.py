"""Optimizer groups and the course of the rates."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from rs2sam.models import RS2SamConfig, RS2SamModel
from rs2sam.training.objective.groups import silent_modules
from rs2sam.training.objective.optimization import make_optimizer, make_schedule
from rs2sam.training.objective.training_model import TrainingModel
from rs2sam.training.recipes.settings import AuxiliaryRecipe, DataRecipe, OptimizerRecipe, Recipe


def training_model(recipe: Recipe) -> TrainingModel:
    return TrainingModel(RS2SamModel(RS2SamConfig.preset("tiny")), recipe, 2)


def recipe_of(**optimizer: object) -> Recipe:
    settings = {"learning_rate": 1e-4, "new_learning_rate": 3e-4, "weight_decay": 0.05, **optimizer}
    return Recipe(preset="tiny", optimizer=OptimizerRecipe(**settings))


def factors(recipe: Recipe, num_steps: int) -> list[float]:
    """Rate over full rate at every step; the same in all groups."""
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.AdamW([{"params": [parameters[0]], "lr": 1.0}, {"params": [parameters[1]], "lr": 3.0}])
    schedule = make_schedule(optimizer, recipe, num_steps)
    found = []
    for _ in range(num_steps):
        first, second = (group["lr"] for group in optimizer.param_groups)
        assert second == pytest.approx(3 * first)
        found.append(first)
        optimizer.step()
        schedule.step()
    return found


def test_rates_fall_by_the_factor_after_the_epoch():
    optimizer = OptimizerRecipe(warmup_steps=0, schedule="step", step_at_epoch=30, step_factor=0.1)
    recipe = Recipe(epochs=40, data=DataRecipe(dataset="somewhere"), optimizer=optimizer)
    assert factors(recipe, 80) == pytest.approx([1.0] * 60 + [0.1] * 20)


def test_step_down_comes_after_a_warm_up_too():
    optimizer = OptimizerRecipe(warmup_steps=2, schedule="step", step_at_epoch=1, step_factor=0.5)
    recipe = Recipe(epochs=2, data=DataRecipe(dataset="somewhere"), optimizer=optimizer)
    assert factors(recipe, 8) == pytest.approx([0.0, 0.5, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5])


def test_constant_and_cosine_by_hand():
    constant = recipe_of(warmup_steps=2, schedule="constant")
    assert factors(constant, 5) == pytest.approx([0.0, 0.5, 1.0, 1.0, 1.0])
    cosine = recipe_of(warmup_steps=0, schedule="cosine")
    assert factors(cosine, 4) == pytest.approx([1.0, (1 + 2**-0.5) / 2, 0.5, (1 - 2**-0.5) / 2])
    floored = recipe_of(warmup_steps=0, schedule="cosine", floor=0.2)
    assert factors(floored, 4)[::2] == pytest.approx([1.0, 0.6])


def test_matrices_decay_or_everything_does():
    for decay, vectors in (("matrices", 0.0), ("all", 0.05)):
        recipe = recipe_of(decay=decay)
        training = training_model(recipe)
        held = {id(p): group for group in make_optimizer(training, recipe).param_groups for p in group["params"]}
        model = training.rs2sam
        assert held[id(model.text_projection.weight)]["weight_decay"] == 0.05
        assert held[id(model.text_projection.bias)]["weight_decay"] == vectors
        assert held[id(model.union_encoder.token_embedding.weight)]["weight_decay"] == vectors


@pytest.mark.parametrize("lora_rank", [0, 2])
@pytest.mark.parametrize("freeze_trunk", [False, True])
def test_optimizer_holds_what_trains_once_and_nothing_else(freeze_trunk, lora_rank):
    recipe = replace(
        recipe_of(ema_decay=0.9),
        freeze_trunk=freeze_trunk,
        lora_rank=lora_rank,
        auxiliary=AuxiliaryRecipe(semantic=1.0),
    )
    training = training_model(recipe)
    held = [id(p) for group in make_optimizer(training, recipe).param_groups for p in group["params"]]
    assert len(held) == len(set(held))
    silent = {id(p) for head in silent_modules(training.rs2sam, recipe.loss) for p in head.parameters()}
    assert set(held) - silent == {id(p) for p in training.parameters() if p.requires_grad}
    rates = {id(p): g["lr"] for g in make_optimizer(training, recipe).param_groups for p in g["params"]}
    trunk = training.rs2sam.trunk.blocks[0]
    assert rates[id(trunk.fusion.down.weight)] == 3e-4
    assert rates.get(id(trunk.attn.qkv.weight)) == (None if freeze_trunk else 1e-4)
    assert rates[id(training.rs2sam.mask_decoder.iou_token.weight)] == 1e-4
