"""Ablations: which runs a grid has, what each trains, what is done again, and the table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rs2sam.datasets.base import Sample
from rs2sam.errors import InvalidInputError, TrainingError
from rs2sam.models.configuration import RS2SamConfig
from rs2sam.training.ablation.runs import EvaluationSettings, check_folders, discard, do_run
from rs2sam.training.ablation.table import Difference, Outcome, Spread, as_markdown, plan_as_markdown, summarize
from rs2sam.training.ablation.variants import (
    AS_IS,
    GRIDS,
    VARIANTS,
    ParameterCounts,
    changed_recipe,
    count_parameters,
    count_rows,
    plan,
)
from rs2sam.training.recipes.loss_settings import LossSettings
from rs2sam.training.recipes.settings import AuxiliaryRecipe, Recipe, load_recipe
from tests.conftest import REPOSITORY
from tests.small_model import COMPACT, IMAGE_SIZE, write_small_model

RECIPE = Recipe(preset="tiny", tokenizer=str(COMPACT), steps=2)
SWITCHES = ("fusion", "trunk_fusion", "decoder_fusion", "mask_prompt")


def switches(recipe: Recipe) -> tuple[Any, ...]:
    config = RS2SamConfig.preset(recipe.preset, **recipe.config)
    return tuple(getattr(config, name) for name in SWITCHES)


def test_paper_grid_has_the_rows_of_design_section_4():
    runs = plan(RECIPE, (), [0])
    assert [run.published for run in runs] == [
        (36.64, 55.51), (38.63, 57.36), (60.20, 70.89), (68.71, 78.36), (73.90, 80.87),
        (68.19, None), (70.10, None), (67.61, None), (61.08, None), (71.59, None),
    ]  # fmt: skip
    full = "bidirectional"
    assert {run.variant: switches(run.recipe) for run in runs} == {
        "baseline": (full, False, False, "none"),
        "boundary": (full, False, False, "none"),
        "prompt": (full, False, False, "cls-attention"),
        "bhfm": (full, True, True, "none"),
        "full": (full, True, True, "cls-attention"),
        "linear": ("linear", True, True, "cls-attention"),
        "one-directional": ("one-directional", True, True, "cls-attention"),
        "no-decoder-fusion": (full, True, False, "cls-attention"),
        "no-in-encoder": (full, False, True, "cls-attention"),
        "plain-prompt": (full, True, True, "plain"),
    }
    assert [run.variant for run in runs if run.recipe.loss.boundary == 0] == ["baseline"]


def test_the_document_has_every_variant_with_its_published_figures():
    text = (REPOSITORY / "docs" / "ablate.md").read_text(encoding="utf-8")
    rows = {line.split(" | ")[0].strip("| `"): line for line in text.splitlines() if line.startswith("| `")}
    for variant in VARIANTS:
        published = variant.published or (None, None)
        cells = ["-" if figure is None else f"{figure:.2f}" for figure in published]
        assert rows[variant.name].endswith(f"| {cells[0]} | {cells[1]} |"), variant.name


def test_every_variant_is_a_valid_recipe_of_every_preset():
    for preset in ("large", "hiera-compact", "tiny"):
        assert len(plan(replace(RECIPE, preset=preset), ["all"], [0])) == len(VARIANTS)
    assert all(set(names) <= set(GRIDS["all"]) for names in GRIDS.values())


def test_boundary_rows_keep_the_recipes_weight_and_form_or_take_the_published_weight():
    soft = replace(RECIPE, loss=LossSettings(boundary=0.7, boundary_form="soft"))
    full, published = plan(soft, ["full,published-boundary"], [0])
    assert (full.recipe.loss.boundary, full.recipe.loss.boundary_form) == (0.7, "soft")
    assert (published.recipe.loss.boundary, published.recipe.loss.boundary_form) == (0.7, "published")
    (full,) = plan(replace(RECIPE, loss=LossSettings(boundary=0.0)), ["full"], [0])
    assert full.recipe.loss.boundary == 0.2


def test_without_mask_prompt_nothing_supervises_it():
    supervised = replace(RECIPE, auxiliary=AuxiliaryRecipe(pseudo_mask=0.5))
    weights = {run.variant: run.recipe.auxiliary.pseudo_mask for run in plan(supervised, ["components"], [0])}
    assert weights == {"baseline": 0, "boundary": 0, "prompt": 0.5, "bhfm": 0, "full": 0.5}


def test_other_changes_to_the_configuration_stay_and_switches_of_the_recipe_do_not():
    narrow = replace(RECIPE, config={"image_size": 64, "fusion": "none", "decoder_width": 64})
    (full,) = plan(narrow, ["full"], [0])
    (as_is,) = plan(narrow, [AS_IS], [3])
    assert switches(full.recipe) == ("bidirectional", True, True, "cls-attention")
    assert full.recipe.config["image_size"] == 64
    assert as_is.recipe == replace(narrow, seed=3)


def test_seeds_are_the_outer_loop_and_change_the_seed_alone():
    runs = plan(RECIPE, ["full,linear"], [4, 1])
    assert [run.name for run in runs] == ["full-seed4", "linear-seed4", "full-seed1", "linear-seed1"]
    assert [run.recipe.seed for run in runs] == [4, 4, 1, 1]
    assert replace(runs[0].recipe, seed=1) == runs[2].recipe
    assert runs[0].row == runs[2].row == "all"


def test_axes_multiply_rows_and_compare_with_nothing_published():
    runs = plan(RECIPE, ["full", "loss.boundary_form=published,soft", "optimizer.learning_rate=1e-4,3e-4"], [0])
    assert [(run.recipe.loss.boundary_form, run.recipe.optimizer.learning_rate) for run in runs] == [
        ("published", 1e-4), ("published", 3e-4), ("soft", 1e-4), ("soft", 3e-4),
    ]  # fmt: skip
    assert len({run.name for run in runs}) == 4
    assert all(run.published is None for run in runs)
    assert runs[0].row == "all, loss.boundary_form=published, optimizer.learning_rate=1e-4"
    (alone,) = plan(RECIPE, ["batch_size=3"], [0])
    assert (alone.variant, alone.recipe.batch_size) == (AS_IS, 3)


def test_values_of_an_axis_win_over_the_variants_own():
    (run,) = plan(RECIPE, ["linear", "config.fusion=none"], [0])
    assert run.recipe.config["fusion"] == "none"


@pytest.mark.parametrize(
    ("grid", "seeds", "message"),
    [
        (["fulll"], [0], "takes a grid .*received 'fulll'"),
        (["loss.boundry=0,1"], [0], "did you mean `loss.boundary`"),
        (["los.boundary=0,1"], [0], "did you mean `loss`"),
        (["steps.x=1"], [0], "`steps` holds no further keys"),
        (["config.fusion=two-way"], [0], "`fusion` is one of"),
        (["loss.boundary="], [0], "at least one value"),
        (["seed=1,2"], [0], "Seeds are `--seeds`"),
        (["steps=]["], [0], "no valid YAML"),
        (["loss.dice=1,2,1"], [0], "gives `as-is-loss.dice_1-seed0-.*` more than once"),
        ([], [0, 0], "distinct whole numbers"),
        ([], [-1], "distinct whole numbers"),
        ([], [], "distinct whole numbers"),
    ],
)
def test_what_is_no_grid_is_refused(grid, seeds, message):
    with pytest.raises(InvalidInputError, match=message):
        plan(RECIPE, grid, seeds)


def test_changed_recipe_leaves_the_recipe_alone():
    changed = changed_recipe(RECIPE, {"data.side": 64, "config.fusion": "linear"})
    assert (changed.data.side, dict(changed.config)) == (64, {"fusion": "linear"})
    assert (RECIPE.data.side, dict(RECIPE.config)) == (256, {})


def test_parameters_are_those_of_the_model_that_is_trained():
    from rs2sam.training.initial import starting_point

    (run,) = plan(RECIPE, ["no-in-encoder"], [0])
    model, _ = starting_point(run.recipe)
    assert count_parameters(run.recipe).total == sum(parameter.numel() for parameter in model.parameters())


def test_parameters_of_a_saved_model_with_other_switches(tmp_path):
    write_small_model(tmp_path)
    runs = plan(Recipe(init=str(tmp_path), freeze_trunk=True, steps=1), ["components"], [0])
    counts = count_rows(runs)
    removed = {row: counts["all"].total - count.total for row, count in counts.items()}
    assert removed["SAM 2 + union encoder"] == removed["+ boundary loss"] > removed["+ boundary loss + mask prompt"] > 0
    assert counts["SAM 2 + union encoder"].new == 0
    assert len({count.frozen for count in counts.values()}) == 1


def test_spread_is_the_samples_deviation():
    assert Spread.of([0.5, 0.6, 0.7]).percent() == "60.00 ± 10.00"
    assert Spread.of([0.7390]).percent() == "73.90"


def _figures(miou: float) -> dict[str, Any]:
    return {"n": 4, "protocol": "published", "mIoU": miou, "oIoU": 0.5, "Pr@0.5": 1.0, "Pr@0.7": 0.25, "Pr@0.9": 0.0}


SETTING = {
    "recipe": "my.yaml",
    "data": "RefSegRS",
    "split": "test",
    "num_samples": 4,
    "protocol": "published",
    "seeds": [0, 1],
}


def test_table_has_mean_spread_and_published_figures():
    runs = plan(RECIPE, ["full,linear,no-boundary"], [0, 1])
    found = [_figures(0.5), _figures(0.3), None, _figures(0.6), None, None]
    errors = [None, None, None, None, "full memory", None]
    outcomes = [Outcome(run, *rest) for run, *rest in zip(runs, found, errors, strict=True)]
    counts = {run.row: ParameterCounts(2_000_000, 500_000, 0) for run in runs}
    summary = summarize(outcomes, counts, SETTING)
    lines = as_markdown(summary).splitlines()
    assert lines[0] == "my.yaml on RefSegRS, split test, 4 samples, protocol published, seeds 0, 1"
    assert lines[2].startswith(
        "|  | runs | mIoU | oIoU | Pr@0.5 | Pr@0.7 | Pr@0.9 | mIoU against `all` | mIoU published |"
    )
    # (50 + 60) / 2, and sqrt((5^2 + 5^2) / 1).
    assert lines[4].startswith("| all | 2/2 | 55.00 ± 7.07 | 50.00 ± 0.00 | 100.00 ± 0.00 |")
    assert lines[4].endswith("| - | 73.90 | 80.87 | 2.00 | 0.50 |")
    assert lines[5].startswith("| fusion layer: linear | 1/2 | 30.00 | 50.00 |")
    assert lines[5].endswith("| -20.00 | 68.19 | - | 2.00 | 0.50 |")  # of the one seed that both have
    assert lines[6] == "| all but the boundary loss | 0/2 | - | - | - | - | - | - | - | - | 2.00 | 0.50 |"
    assert "- linear-seed1: full memory" in lines
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert json.loads(json.dumps(summary))["rows"][0]["figures"]["mIoU"]["mean"] == 0.55


def test_differences_are_paired_over_seeds():
    runs = plan(RECIPE, ["linear,full"], [0, 1, 2])
    # Less `full` of the same seed: -2, -4 and -6 points. Deviation 2, over the root of 3, times 4.303.
    mious = [0.30, 0.32, 0.40, 0.44, 0.20, 0.26]
    outcomes = [Outcome(run, _figures(miou)) for run, miou in zip(runs, mious, strict=True)]
    summary = summarize(outcomes, {run.row: ParameterCounts(1, 0, 0) for run in runs}, SETTING)
    assert summary["reference"] == "all"
    row = summary["rows"][0]["differences"]["mIoU"]
    assert row["mean"] == pytest.approx(-0.04)
    assert row["half_width"] == pytest.approx(4.303 * 0.02 / 3**0.5)
    assert Difference(**row).percent() == "-4.00 [-8.97, +0.97]"
    assert summary["rows"][1]["differences"] == {}


def test_the_interval_of_many_seeds_is_the_normal_one():
    ten = Difference.of([0.01, -0.01] * 5)
    twelve = Difference.of([0.01, -0.01] * 6)
    assert ten.half_width == pytest.approx(2.262 * (10 * 0.0001 / 9) ** 0.5 / 10**0.5)
    assert twelve.half_width == pytest.approx(1.96 * (12 * 0.0001 / 11) ** 0.5 / 12**0.5)


def test_the_published_recipe_has_neither_presence_nor_auxiliary_objectives():
    ours = replace(
        RECIPE,
        loss=LossSettings(presence=0.5, score=0.05, boundary=0.3, boundary_form="soft"),
        auxiliary=AuxiliaryRecipe(pseudo_mask=0.4, semantic=0.3),
    )
    (run,) = plan(ours, ["published-recipe"], [0])
    assert run.recipe.auxiliary == AuxiliaryRecipe()
    assert run.recipe.loss == LossSettings(boundary=0.3)


def test_plan_lists_every_run_with_its_parameters():
    runs = plan(RECIPE, ["full"], [0, 1])
    table = plan_as_markdown(runs, {"all": ParameterCounts(1_234_567, 89, 0)})
    assert table.splitlines()[2:] == [
        "| full-seed0 | all | 0 | 1,234,567 | 89 | 0 |",
        "| full-seed1 | all | 1 | 1,234,567 | 89 | 0 |",
    ]


class Training:
    """Stands in for `rs2sam train`: writes a small model, and remembers what it was asked."""

    def __init__(self, error: Exception | None = None, folder: str = "model") -> None:
        self.asked: list[tuple[Recipe, Path, bool]] = []
        self.error = error
        self.folder = folder

    def __call__(self, recipe: Path, output: Path, resume: bool, log: Path) -> None:
        self.asked.append((load_recipe(recipe), output, resume))
        output.mkdir(parents=True, exist_ok=True)
        if self.error:
            raise self.error
        write_small_model(output / self.folder, dtype="float32")


def samples(count: int = 2) -> list[Sample]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (count, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    mask = np.zeros((IMAGE_SIZE, IMAGE_SIZE), dtype=bool)
    mask[:20, :20] = True
    return [Sample(pixels[i], "the square", mask, id=f"sample-{i}") for i in range(count)]


def settings(**changes: Any) -> EvaluationSettings:
    return replace(EvaluationSettings(samples(), "toy", "rule-made", "val", device="cpu", quiet=True), **changes)


@pytest.fixture
def run():
    (one,) = plan(RECIPE, ["full"], [7])
    return one


def test_a_run_is_trained_evaluated_and_not_done_again(run, tmp_path):
    training = Training()
    first = do_run(run, tmp_path, training, settings())
    assert first.error is None
    assert first.figures["n"] == 2
    ((recipe, output, resume),) = training.asked
    assert (recipe, output, resume) == (run.recipe, tmp_path / "full-seed7" / "train", False)
    report = tmp_path / "full-seed7" / "evaluation" / "report.json"
    written = report.stat().st_mtime_ns
    again = do_run(run, tmp_path, training, settings())
    assert again.figures == first.figures
    assert len(training.asked) == 1
    assert report.stat().st_mtime_ns == written


def test_another_evaluation_needs_no_other_training(run, tmp_path):
    training = Training()
    do_run(run, tmp_path, training, settings())
    other = do_run(run, tmp_path, training, settings(protocol="native", samples=samples(3)))
    assert (other.figures["n"], other.figures["protocol"]) == (3, "native")
    assert len(training.asked) == 1


def test_the_best_model_by_validation_is_evaluated(run, tmp_path):
    class WithBest(Training):
        def __call__(self, recipe: Path, output: Path, resume: bool, log: Path) -> None:
            super().__call__(recipe, output, resume, log)
            write_small_model(output / "best", heads=False)

    do_run(run, tmp_path, WithBest(), settings())
    from rs2sam.evaluation.campaign import hash_folder

    said = json.loads((tmp_path / "full-seed7" / "evaluation" / "run.json").read_text())
    assert said["weights_sha256"] == hash_folder(tmp_path / "full-seed7" / "train" / "best")


def test_a_failure_is_an_outcome_and_the_run_is_tried_again(run, tmp_path):
    failed = do_run(run, tmp_path, Training(TrainingError("the loss is\nno number")), settings())
    assert (failed.figures, failed.error) == (None, "the loss is no number")
    leftover = tmp_path / "full-seed7" / "train" / "half.txt"
    leftover.touch()
    training = Training()
    assert do_run(run, tmp_path, training, settings()).error is None
    assert not training.asked[0][2]
    assert not leftover.exists(), "what was stopped before its first checkpoint starts afresh"


def test_full_memory_in_the_evaluation_is_an_outcome(run, tmp_path, monkeypatch):
    from rs2sam.segmenter import Segmenter

    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(Segmenter, "load", full)
    assert do_run(run, tmp_path, Training(), settings()).error == "CUDA out of memory"


def test_training_that_leaves_no_model_is_a_failure(run, tmp_path):
    outcome = do_run(run, tmp_path, Training(folder="elsewhere"), settings())
    assert "ended without a model" in outcome.error


def test_a_begun_run_is_resumed(run, tmp_path, monkeypatch):
    from rs2sam.training.ablation import runs as ablation_runs

    (tmp_path / run.name / "train").mkdir(parents=True)
    monkeypatch.setattr(ablation_runs, "last_complete_checkpoint", lambda folder: folder / "checkpoint-1")
    training = Training()
    do_run(run, tmp_path, training, settings())
    assert training.asked[0][2]


def test_folders_of_another_recipe_are_refused_before_anything_is_trained(run, tmp_path):
    do_run(run, tmp_path, Training(), settings())
    check_folders([run], tmp_path)
    other = replace(run, recipe=replace(run.recipe, batch_size=3))
    with pytest.raises(InvalidInputError, match=r"another recipe.*`batch_size` was 8 and is 3.*--overwrite"):
        check_folders([other], tmp_path)
    (tmp_path / "mine").mkdir()
    discard([other], tmp_path)
    assert [folder.name for folder in tmp_path.iterdir()] == ["mine"]
    check_folders([other], tmp_path)
