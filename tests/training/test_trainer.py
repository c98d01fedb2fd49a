"""Training at toy size: it learns, it resumes exactly, and every term that has no weight is left out."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rs2sam.errors import DataNotFoundError, InvalidInputError, TrainingError
from rs2sam.models import RS2SamModel
from rs2sam.processing import Processor
from rs2sam.training.examples.dataset import ReferringDataset
from rs2sam.training.initial import starting_point
from rs2sam.training.objective.training_model import choose_attention
from rs2sam.training.recipes.loss_settings import LossSettings
from rs2sam.training.recipes.settings import AuxiliaryRecipe, DataRecipe, OptimizerRecipe, Recipe
from rs2sam.training.reporting import watch
from rs2sam.training.trainer import RS2SamTrainer, _prepared, check_run, train, training_arguments
from tests.small_model import IMAGE_SIZE
from tests.training.toy import NUM_CLASSES, TOY, batch, toy_draw, toy_init, toy_recipe, training_model

ALL_TERMS = {"cross_entropy", "dice", "boundary", "presence", "score"}


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_init(tmp_path_factory.mktemp("toy") / "init")


@pytest.fixture(autouse=True)
def without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of matplotlib in every run."""
    monkeypatch.setattr(watch, "draw_curves", lambda *_: True)


def trainer(recipe: Recipe, output: Path) -> RS2SamTrainer:
    model = training_model(recipe)
    dataset = ReferringDataset(toy_draw, Processor.from_folder(str(recipe.init)), recipe.steps * recipe.batch_size)
    return RS2SamTrainer(recipe, model, dataset, training_arguments(recipe, output))


def test_batch_has_the_shapes_that_the_model_and_the_losses_read(init):
    inputs = batch(init, 3)
    assert inputs.pop("ids") == ["toy-0", "toy-1", "toy-2"]
    shapes = {name: tuple(value.shape) for name, value in inputs.items()}
    length = shapes.pop("input_ids")[1]
    assert shapes.pop("attention_mask") == (3, length)
    side = IMAGE_SIZE
    assert shapes == {
        "pixel_values": (3, 3, side, side),
        "union_pixel_values": (3, 3, side // 2, side // 2),
        "target": (3, side, side),
        "labels": (3, NUM_CLASSES, side, side),
        "known": (3, NUM_CLASSES),
        "category": (3,),
    }


def test_sentence_that_the_model_cannot_read_stops_the_run_at_its_step(init, tmp_path):
    def draw(index):
        drawn = toy_draw(index)
        return replace(drawn, sentence=" and ".join([drawn.sentence] * 20)) if index == 5 else drawn

    with pytest.raises(TrainingError, match=r"example 5 .* at most 30 tokens.*checkpoint-2. is complete"):
        train(toy_recipe(init), replace(TOY, draw=draw), tmp_path)


def test_loss_falls_when_one_batch_is_repeated(init):
    recipe = toy_recipe(init, auxiliary=AuxiliaryRecipe(pseudo_mask=0.5, semantic=0.5))
    model, inputs = training_model(recipe), batch(init)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    totals = []
    for _ in range(25):
        optimizer.zero_grad()
        total = model(inputs)["total"]
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.5 * totals[0]


def test_total_is_the_weighted_sum_of_the_terms(init):
    recipe = toy_recipe(
        init,
        loss=LossSettings(0.9, 2.0, 0.2, 0.3, 0.4, "soft", "mean"),
        auxiliary=AuxiliaryRecipe(pseudo_mask=0.5, semantic=0.25),
    )
    terms = {name: value.item() for name, value in training_model(recipe)(batch(init)).items()}
    total = terms.pop("total")
    weights = {"cross_entropy": 0.9, "dice": 2.0, "boundary": 0.2, "presence": 0.3, "score": 0.4}
    weights |= {"pseudo_mask": 0.5, "semantic": 0.25}
    assert set(terms) == set(weights)
    assert total == pytest.approx(sum(weights[name] * value for name, value in terms.items()), rel=1e-5)


@pytest.mark.parametrize("left_out", ["pseudo_mask", "semantic"])
def test_auxiliary_term_without_weight_is_not_computed(init, left_out):
    weights = {name: 0.0 if name == left_out else 1.0 for name in ("pseudo_mask", "semantic")}
    recipe = toy_recipe(init, auxiliary=AuxiliaryRecipe(**weights))
    model = training_model(recipe)
    assert set(model(batch(init))) == (ALL_TERMS | set(weights) | {"total"}) - {left_out}
    assert (model.semantic is None) == (left_out == "semantic")


def test_loss_term_without_weight_adds_nothing(init):
    model = training_model(toy_recipe(init, loss=LossSettings(1.0, 0.0, 0.0)))
    terms = model(batch(init))
    assert terms["total"].item() == terms["cross_entropy"].item()
    assert all(terms[name].item() == 0 for name in ("dice", "boundary", "presence", "score"))


def test_every_parameter_of_the_heads_gets_a_gradient(init):
    recipe = toy_recipe(init, auxiliary=AuxiliaryRecipe(1.0, 1.0, 1.0, 1.0))
    model = training_model(recipe)
    model(batch(init))["total"].backward()
    for head in (
        model.semantic,
        model.union,
        model.rs2sam.trunk,
        model.rs2sam.neck,
        model.rs2sam.mask_prompt,
    ):
        assert head is not None
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters() if p.dim() > 1)


def test_step_in_mixed_precision_is_near_the_one_in_full(init):
    recipe, inputs = toy_recipe(init, auxiliary=AuxiliaryRecipe(0.5, 0.5)), batch(init)
    full = training_model(recipe)(inputs)
    mixed = training_model(replace(recipe, precision="bf16"))(inputs)
    mixed["total"].backward()
    assert all(mixed[name].item() == pytest.approx(full[name].item(), rel=0.1) for name in full)
    assert mixed["total"].item() != full["total"].item()
    assert all(value.dtype == torch.float32 for value in mixed.values())


def test_model_keeps_no_hooks_after_a_step(init):
    model = training_model(toy_recipe(init))
    model(batch(init))
    assert not any(module._forward_hooks for module in model.modules())


def test_log_reports_the_mean_of_every_term(init, tmp_path):
    run = trainer(toy_recipe(init), tmp_path)
    run.terms.add({"dice": torch.tensor(1.0)})
    run.terms.add({"dice": torch.tensor(2.0)})
    run.log({"loss": 3.0})
    assert run.state.log_history[-1]["dice"] == 1.5
    assert not run.terms.state()


def states(folder: Path) -> dict[str, torch.Tensor]:
    return RS2SamModel.from_pretrained(folder).state_dict()


@pytest.mark.parametrize("ema_decay", [0.0, 0.5])
def test_resumed_run_equals_the_uninterrupted_one(init, tmp_path, ema_decay):
    optimizer = OptimizerRecipe(1e-3, 1e-3, warmup_steps=1, ema_decay=ema_decay)
    recipe = toy_recipe(init, auxiliary=AuxiliaryRecipe(0.5, 0.5), optimizer=optimizer)
    train(recipe, TOY, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole" / "checkpoint-2", tmp_path / "broken" / "checkpoint-2")
    train(recipe, TOY, tmp_path / "broken", resume=True)
    whole, resumed, start = (states(tmp_path / name) for name in ("whole/model", "broken/model", str(init)))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert any(not torch.equal(whole[name], start[name]) for name in whole)


def test_result_is_the_moving_average_where_there_is_one(init, tmp_path):
    recipe = toy_recipe(init, optimizer=OptimizerRecipe(1e-2, 1e-2, warmup_steps=0, ema_decay=0.99))
    model = training_model(recipe)
    assert model.average is not None
    assert model.result is model.average.model
    assert training_model(toy_recipe(init)).average is None


def test_result_folder_holds_model_and_processor_at_the_models_own_size(init, tmp_path):
    result = train(
        toy_recipe(init, steps=1, data=DataRecipe(side=32, num_workers=0)), replace(TOY, draw=half_draw), tmp_path
    )
    assert not result.training
    processor = Processor.from_folder(tmp_path / "model")
    assert processor.config == Processor.from_folder(init).config


def half_draw(index):
    drawn = toy_draw(index)
    return replace(drawn, rgb=drawn.rgb[::2, ::2], mask=drawn.mask[::2, ::2], labels=drawn.labels[:, ::2, ::2])


def test_side_above_the_models_own_is_refused(init, tmp_path):
    with pytest.raises(InvalidInputError, match="at most the model's own 64 px, received 96"):
        train(toy_recipe(init, data=DataRecipe(side=96)), TOY, tmp_path)


def test_check_run_names_what_is_missing_before_anything_is_read(init, tmp_path):
    with pytest.raises(InvalidInputError, match="`compact` needs `tokenizer`"):
        check_run(Recipe(), tmp_path, resume=False)
    with pytest.raises(DataNotFoundError, match="`init` = `nowhere` is not there"):
        check_run(toy_recipe(Path("nowhere")), tmp_path, resume=False)
    with pytest.raises(DataNotFoundError, match=r"no checkpoint .* to resume from"):
        check_run(toy_recipe(init), tmp_path, resume=True)


def test_new_run_does_not_mix_with_the_checkpoints_of_another(init, tmp_path):
    (tmp_path / "checkpoint-4").mkdir()
    with pytest.raises(InvalidInputError, match="holds the checkpoints of a run; resume it, or give another folder"):
        check_run(toy_recipe(init), tmp_path, resume=False)
    check_run(toy_recipe(init), tmp_path, resume=True)


def test_examples_come_in_the_order_of_their_numbers(init, tmp_path):
    recipe = toy_recipe(init, steps=3, batch_size=2)
    seen: list[int] = []

    def draw(index):
        seen.append(index)
        return toy_draw(index)

    train(recipe, replace(TOY, draw=draw), tmp_path)
    assert seen == list(range(6))


@pytest.mark.parametrize("scope", ["batch", "sample"])
def test_two_passes_of_one_are_a_step_of_two(init, tmp_path, scope):
    """The toy's targets are of one size, so that the mean over pixels is the mean of samples in either scope."""
    loss = LossSettings(dice=2.0, boundary_form="soft", dice_reduction="mean", scope=scope)
    recipe = toy_recipe(init, steps=3, loss=loss, optimizer=OptimizerRecipe(1e-3, 1e-3, warmup_steps=0))
    together = train(recipe, TOY, tmp_path / "together").state_dict()
    divided = replace(recipe, batch_size=1, gradient_accumulation=2)
    apart = train(divided, TOY, tmp_path / "apart").state_dict()
    start = states(init)
    moved, differ = (
        torch.cat([(together[name] - other[name]).flatten() for name in together]) for other in (start, apart)
    )
    # Of all weights together: where a gradient is rounding alone, AdamW makes it large.
    assert moved.abs().max() > 1e-3
    assert differ.norm() < 2e-3 * moved.norm()


def test_accumulated_passes_see_every_example_once(init, tmp_path):
    seen: list[int] = []

    def draw(index):
        seen.append(index)
        return toy_draw(index)

    train(toy_recipe(init, steps=2, batch_size=1, gradient_accumulation=3), replace(TOY, draw=draw), tmp_path)
    assert seen == list(range(6))


def test_epochs_are_passes_over_the_data(init, tmp_path):
    data = DataRecipe(dataset=str(tmp_path), side=IMAGE_SIZE, num_workers=0)
    recipe = toy_recipe(init, steps=0, epochs=2, batch_size=2, data=data)
    train(recipe, replace(TOY, epoch_size=5), tmp_path / "out")
    entries = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert entries[-1]["step"] == 5
    assert entries[-1]["epoch"] == 2.0


def test_epoch_of_a_shortened_run_is_what_it_has_seen(init, tmp_path):
    data = DataRecipe(dataset=str(tmp_path), side=IMAGE_SIZE, num_workers=0)
    recipe = toy_recipe(init, steps=2, epochs=40, batch_size=2, data=data)
    train(recipe, replace(TOY, epoch_size=8), tmp_path / "out")
    entries = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in entries] == [0.25, 0.5]


@pytest.mark.parametrize(("precision", "device", "expected"), [
    ("bf16", "cpu", "eager"), ("float32", "cpu", "sdpa"), ("bf16", "cuda", "sdpa"),
])  # fmt: skip
def test_bf16_on_a_cpu_trains_without_the_fused_attention(init, precision, device, expected):
    model, _ = starting_point(toy_recipe(init))
    choose_attention(model, precision, torch.device(device))
    used = {module.config._attn_implementation for module in model.modules() if hasattr(module, "config")}
    assert used == {expected}


@pytest.mark.parametrize(("capability", "is_slow"), [("AVX2", True), ("AVX512", False)])
def test_bf16_on_a_processor_that_emulates_it_is_warned_about(init, tmp_path, monkeypatch, caplog, capability, is_slow):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    training_arguments(replace(toy_recipe(init), precision="bf16"), tmp_path)
    assert ("set `precision: float32`" in caplog.text) == is_slow
    caplog.clear()
    training_arguments(toy_recipe(init), tmp_path)
    assert not caplog.text


def test_attention_of_the_training_is_not_saved_with_the_model(init, tmp_path):
    trained = train(toy_recipe(init, steps=1, precision="bf16"), TOY, tmp_path)
    assert trained.config._attn_implementation == "eager"
    assert RS2SamModel.from_pretrained(tmp_path / "model").config._attn_implementation == "sdpa"


@pytest.mark.parametrize("config", [{}, {"trunk_fusion": False, "decoder_fusion": False}])
def test_processes_look_for_missing_gradients_only_where_nothing_reads_the_text(init, tmp_path, config):
    recipe = toy_recipe(init, config=config)
    arguments = training_arguments(recipe, tmp_path)
    run, _ = _prepared(recipe, TOY, arguments)
    assert run.args.ddp_find_unused_parameters == bool(config)


def test_output_that_is_a_file_is_refused(init, tmp_path):
    (tmp_path / "out").write_text("notes")
    with pytest.raises(InvalidInputError, match=r"must be a folder, but .*out` is a file"):
        train(toy_recipe(init), TOY, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "notes"


def test_bf16_trains_with_weights_in_float32(init, tmp_path):
    result = train(toy_recipe(init, steps=2, precision="bf16"), TOY, tmp_path)
    start = states(init)
    assert result.dtype == torch.float32
    assert any(not torch.equal(tensor, start[name]) for name, tensor in result.state_dict().items())
    assert all(torch.isfinite(tensor).all() for tensor in result.state_dict().values())


def test_result_with_low_rank_changes_is_saved_as_a_plain_model_and_resumes(init, tmp_path):
    optimizer = OptimizerRecipe(1e-2, 1e-2, warmup_steps=0, schedule="constant", ema_decay=0.5)
    recipe = toy_recipe(init, lora_rank=2, freeze_trunk=True, activation_checkpointing=True, optimizer=optimizer)
    train(recipe, TOY, tmp_path / "whole")
    whole, start = states(tmp_path / "whole" / "model"), states(init)
    assert whole.keys() == start.keys()
    changed = {name for name in whole if not torch.equal(whole[name], start[name])}
    assert "union_encoder.layers.0.image.q_proj.weight" in changed
    assert "union_encoder.layers.0.image.q_proj.bias" not in changed
    assert "trunk.pos_embed" not in changed
    shutil.copytree(tmp_path / "whole" / "checkpoint-2", tmp_path / "broken" / "checkpoint-2")
    train(recipe, TOY, tmp_path / "broken", resume=True)
    assert all(torch.equal(whole[name], tensor) for name, tensor in states(tmp_path / "broken" / "model").items())


def test_gradients_are_clipped_to_the_norm_or_left_alone(init, tmp_path):
    start = states(init)
    moved = []
    for max_grad_norm in (0.0, 1e-9):
        optimizer = OptimizerRecipe(1e-3, 1e-3, warmup_steps=0, weight_decay=0.0, max_grad_norm=max_grad_norm)
        folder = tmp_path / str(max_grad_norm)
        result = train(toy_recipe(init, steps=1, optimizer=optimizer), TOY, folder).state_dict()
        moved.append(max((result[name] - start[name]).abs().max().item() for name in result))
    # Adam's first step is the rate times g / (|g| + 1e-8): gradients far below 1e-8 hardly move anything.
    assert moved[0] == pytest.approx(1e-3, rel=0.01)
    assert moved[1] < 0.2 * moved[0]
