"""What is trained: frozen parts, activation checkpointing, low-rank changes, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rs2sam.processing import Processor
from rs2sam.training.examples.dataset import ReferringDataset
from rs2sam.training.objective.auxiliary import MovingAverage
from rs2sam.training.objective.groups import frozen_modules, new_modules
from rs2sam.training.objective.lora import low_rank_factors
from rs2sam.training.objective.training_model import TrainingModel
from rs2sam.training.recipes.loss_settings import LossSettings
from rs2sam.training.recipes.settings import OptimizerRecipe
from tests.training.toy import batch, toy_draw, toy_init, toy_recipe, training_model


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_init(tmp_path_factory.mktemp("toy") / "init")


def gradients(training: TrainingModel, init: Path) -> dict[str, torch.Tensor]:
    training(batch(init))["total"].backward()
    return {name: p.grad for name, p in training.named_parameters() if p.grad is not None}


def test_frozen_trunk_and_neck_get_no_gradient_and_adapters_do(init):
    training = training_model(toy_recipe(init, freeze_trunk=True))
    found = gradients(training, init)
    assert found.keys() <= {name for name, p in training.named_parameters() if p.requires_grad}
    model = training.rs2sam
    adapters = {id(p) for module in new_modules(model) for p in module.parameters()}
    for module in frozen_modules(model):
        for parameter in module.parameters():
            assert (parameter.grad is not None) == (id(parameter) in adapters)
    assert model.trunk.blocks[0].fusion.down.weight.grad.abs().sum() > 0


def test_nothing_that_a_loss_reads_is_frozen_by_default(init):
    training = training_model(toy_recipe(init, loss=LossSettings(presence=1.0, score=1.0)))
    assert all(p.requires_grad for p in training.parameters())


@pytest.mark.parametrize("loss", [LossSettings(), LossSettings(boundary_form="soft"), LossSettings(score=0.5)])
@pytest.mark.parametrize("changes", [{}, {"lora_rank": 2, "freeze_trunk": True}, {"config": {"mask_prompt": "none"}}])
def test_whatever_trains_gets_a_gradient(init, loss, changes):
    """Processes that train together wait for the gradient of every parameter that trains."""
    training = training_model(toy_recipe(init, loss=loss, **changes))
    assert gradients(training, init).keys() == {name for name, p in training.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("freeze_trunk", [False, True])
def test_checkpointed_activations_change_no_gradient(init, freeze_trunk):
    recipe = toy_recipe(init, freeze_trunk=freeze_trunk)
    plain = gradients(training_model(recipe).train(), init)
    training = training_model(replace(recipe, activation_checkpointing=True)).train()
    checkpointed = gradients(training, init)
    assert plain.keys() == checkpointed.keys()
    assert all(torch.equal(plain[name], checkpointed[name]) for name in plain)
    blocks = [*training.rs2sam.trunk.blocks, *training.rs2sam.union_encoder.layers]
    assert all(block.gradient_checkpointing for block in blocks)


def test_low_rank_changes_are_what_trains_of_the_union_encoder_and_are_merged_when_kept(init):
    training = training_model(toy_recipe(init, lora_rank=2))
    found = gradients(training, init)
    factors = {id(p) for factor in low_rank_factors(training.rs2sam) for p in factor.parameters()}
    union = {name: p for name, p in training.named_parameters() if ".union_encoder." in name}
    assert {name for name, p in union.items() if p.requires_grad} == {n for n, p in union.items() if id(p) in factors}
    assert any(".lora_B." in name and found[name].abs().sum() > 0 for name in found)
    optimizer = torch.optim.SGD([p for p in training.parameters() if p.requires_grad], 1.0)
    optimizer.step()
    kept = training.plain_result()
    assert not low_rank_factors(kept)
    inputs = {name: batch(init)[name] for name in ("pixel_values", "union_pixel_values", "input_ids", "attention_mask")}
    with torch.no_grad():
        live, plain = training.eval().rs2sam(**inputs), kept(**inputs)
    torch.testing.assert_close(plain.low_res_logits, live.low_res_logits, rtol=1e-4, atol=1e-4)


def test_plain_result_is_the_model_itself_where_nothing_is_to_be_merged(init):
    training = training_model(toy_recipe(init))
    assert training.plain_result() is training.result is training.rs2sam


@pytest.mark.parametrize("ema_decay", [0.0, 0.5])
def test_plain_result_can_be_made_of_a_gathered_state(init, ema_decay):
    recipe = toy_recipe(init, optimizer=OptimizerRecipe(ema_decay=ema_decay))
    training = training_model(recipe)
    with torch.no_grad():
        training.rs2sam.text_projection.bias.add_(1.0)
    kept = training.plain_result(training.state_dict())
    assert kept is not training.result
    assert torch.equal(kept.text_projection.bias, training.result.text_projection.bias)
    assert torch.equal(kept.text_projection.bias, training.rs2sam.text_projection.bias) == (ema_decay == 0.0)


def test_moving_average_leaves_what_is_frozen_alone(init):
    recipe = toy_recipe(init, freeze_trunk=True, optimizer=OptimizerRecipe(ema_decay=0.5))
    training = training_model(recipe)
    average = training.average
    assert isinstance(average, MovingAverage)
    with torch.no_grad():
        for parameter in training.rs2sam.parameters():
            parameter.add_(1.0)
    average.update(training.rs2sam)
    # The first update keeps (1 + 1) / (10 + 1) of the average at most.
    moved = average.model.text_projection.bias - (training.rs2sam.text_projection.bias - 1.0)
    torch.testing.assert_close(moved, torch.full_like(moved, 9 / 11))
    frozen, own = average.model.trunk.pos_embed, training.rs2sam.trunk.pos_embed
    torch.testing.assert_close(frozen, own - 1.0)


def test_loss_by_sample_is_the_mean_of_single_batches(init):
    loss = LossSettings(presence=0.5, score=0.25, scope="sample")
    training = training_model(toy_recipe(init, loss=loss)).eval()
    dataset = ReferringDataset(toy_draw, Processor.from_folder(init), 2)
    with torch.no_grad():
        together = training(dataset.collate([dataset[0], dataset[1]]))
        alone = [training(dataset.collate([dataset[index]])) for index in (0, 1)]
    for name, value in together.items():
        expected = (alone[0][name] + alone[1][name]) / 2
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)
