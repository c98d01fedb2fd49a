"""A watched run: every file is there, the log survives a kill, and watching changes nothing in what is trained."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from rs2sam.backends.torch import load_model
from rs2sam.datasets.base import Sample
from rs2sam.errors import InvalidInputError
from rs2sam.evaluation import evaluate
from rs2sam.segmenter import Segmenter
from rs2sam.training.recipes.settings import OptimizerRecipe, Recipe, ValidationRecipe
from rs2sam.training.reporting import watch
from rs2sam.training.reporting.sinks import TIME_FIELDS, read_log
from rs2sam.training.reporting.validation import read_validations
from rs2sam.training.reporting.watch import Pace, learning_rates
from rs2sam.training.trainer import train
from tests.training.toy import TOY, toy_draw, toy_init, toy_recipe

TERMS = {"cross_entropy", "dice", "boundary", "presence", "score"}


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_init(tmp_path_factory.mktemp("toy") / "init")


def samples() -> list[Sample]:
    drawn = [toy_draw(1000 + index) for index in range(3)]
    return [Sample(one.rgb, one.sentence, one.mask, str(index)) for index, one in enumerate(drawn)]


def recipe_for(init: Path, **changes: Any) -> Recipe:
    """Rates that differ, a moving average, a validation every other step."""
    optimizer = OptimizerRecipe(1e-3, 4e-3, warmup_steps=2, schedule="constant", ema_decay=0.5)
    recipe = toy_recipe(init, optimizer=optimizer, validate=ValidationRecipe(every_steps=2))
    return replace(recipe, **changes)


def run(recipe: Recipe, output: Path, *, validation: Sequence[Sample] | None = None, **keywords: Any) -> None:
    validation = samples() if validation is None else validation
    train(recipe, replace(TOY, validation=validation, counts={"train": 8}), output, **keywords)


def timeless(output: Path) -> list[dict[str, Any]]:
    entries = read_log(output / "log.jsonl")
    return [{name: value for name, value in entry.items() if name not in TIME_FIELDS} for entry in entries]


@pytest.fixture(autouse=True)
def without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of matplotlib in every run; `watched`, which is made before, has them."""
    monkeypatch.setattr(watch, "draw_curves", lambda *_: True)


@pytest.fixture(scope="module")
def watched(init: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("watched")
    run(recipe_for(init), output)
    return output


def test_log_has_every_figure_of_every_window(watched):
    entries = read_log(watched / "log.jsonl")
    assert [(entry["step"], "validation" in entry) for entry in entries] == [
        (1, False),
        (2, False),
        (2, True),
        (4, False),
        (4, True),
    ]
    figures = {"step", "loss", "learning_rate", "new_learning_rate", "grad_norm"} | TERMS | TIME_FIELDS
    assert set(entries[0]) == figures
    # Warm-up over two steps: the second is made with half the rate, the fourth with all of it.
    rates = [(entries[place]["learning_rate"], entries[place]["new_learning_rate"]) for place in (1, 3)]
    assert rates == [(0.5e-3, 2e-3), (1e-3, 4e-3)]
    assert 0 < entries[0]["seconds"] < entries[1]["seconds"] < entries[3]["seconds"]
    assert all(entry["samples_per_second"] > 0 for entry in entries if "loss" in entry)


def test_log_names_the_figures_of_the_validation(watched):
    entry = read_log(watched / "log.jsonl")[-1]
    (*_, found) = read_validations(watched)
    assert entry["validation"] == found["rows"]["overall"]["model"]
    assert (entry["step"], entry["best"]) == (found["step"], found["best"]) == (4, found["best"])


def test_validated_is_the_model_that_is_kept(watched):
    report = evaluate(Segmenter.load(watched / "model", backend="torch", device="cpu"), samples(), "native")
    assert report.as_dict()["rows"] == read_validations(watched)[-1]["rows"]


def test_result_and_best_have_cards_and_pictures_are_there(watched):
    for folder in ("model", "best"):
        card = (watched / folder / "README.md").read_text()
        assert "## Figures" in card
        assert "mIoU + oIoU" in card
    for step in (2, 4):
        with Image.open(watched / "validation" / f"step-{step:06d}.jpg") as sheet:
            assert sheet.width > 1000
    if (watched / "training.png").exists():  # matplotlib is an extra
        with Image.open(watched / "training.png") as picture:
            assert picture.width > 1000


def test_validation_changes_nothing_in_what_is_trained(watched, init, tmp_path):
    run(recipe_for(init), tmp_path, validation=())
    alone, validated = (load_model(folder / "model").state_dict() for folder in (tmp_path, watched))
    assert all(torch.equal(value, validated[name]) for name, value in alone.items())
    assert not (tmp_path / "validation").exists()
    assert "None: the run was not validated." in (tmp_path / "model" / "README.md").read_text()
    assert [entry["step"] for entry in read_log(tmp_path / "log.jsonl")] == [1, 4]


def test_resumed_run_writes_the_log_of_an_uninterrupted_one(watched, init, tmp_path):
    for name in ("checkpoint-2", "validation", "best"):
        shutil.copytree(watched / name, tmp_path / name)
    for name in ("log.jsonl", "recipe.yaml"):
        if (watched / name).exists():
            shutil.copy(watched / name, tmp_path / name)
    run(recipe_for(init), tmp_path, resume=True)
    assert timeless(tmp_path) == timeless(watched)
    assert [found | {"seconds": 0} for found in read_validations(tmp_path)] == [
        found | {"seconds": 0} for found in read_validations(watched)
    ]
    entries = read_log(tmp_path / "log.jsonl")
    assert entries[3]["seconds"] > entries[1]["seconds"]


def test_resuming_where_the_best_model_would_not_be_met_again_changes_nothing(watched, init, tmp_path):
    shutil.copytree(watched, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoint-4")
    (last,) = (tmp_path / "run" / "validation").glob("step-*4.json")
    last.write_text(json.dumps(json.loads(last.read_text()) | {"step": 3, "best": True}))
    recipe = (tmp_path / "run" / "recipe.yaml").read_text()
    with pytest.raises(InvalidInputError, match="the model of step 3, later than step 2"):
        run(recipe_for(init, validate=ValidationRecipe(every_steps=4)), tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "recipe.yaml").read_text() == recipe


def test_window_of_the_log_that_spans_a_checkpoint_is_whole_after_a_kill(init, tmp_path):
    recipe = recipe_for(init, steps=12, save_every=4)
    run(recipe, tmp_path / "whole", validation=())
    for name in ("checkpoint-8", "log.jsonl", "recipe.yaml"):
        source = tmp_path / "whole" / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        (tmp_path / "broken").mkdir(exist_ok=True)
        copy(source, tmp_path / "broken" / name)
    run(recipe, tmp_path / "broken", validation=(), resume=True)
    assert [entry["step"] for entry in timeless(tmp_path / "whole")] == [1, 10, 12]
    assert timeless(tmp_path / "broken") == timeless(tmp_path / "whole")


def test_last_step_is_validated_and_at_most_so_many_samples(init, tmp_path):
    recipe = recipe_for(init, steps=3, validate=ValidationRecipe(every_steps=2, max_samples=2, protocol="published"))
    run(recipe, tmp_path)
    found = read_validations(tmp_path)
    assert [(one["step"], one["num_samples"], one["protocol"]) for one in found] == [
        (2, 2, "published"),
        (3, 2, "published"),
    ]


def test_run_with_low_rank_changes_keeps_a_plain_model(init, tmp_path):
    pytest.importorskip("peft")
    run(recipe_for(init, steps=2, lora_rank=2), tmp_path)
    kept, best = (load_model(tmp_path / name).state_dict() for name in ("model", "best"))
    assert all(torch.equal(value, best[name]) for name, value in kept.items())


def test_bar_is_replaced_and_quiet_is_quiet(init, tmp_path, capsys):
    run(recipe_for(init, steps=2), tmp_path / "loud")
    said = capsys.readouterr()
    assert said.err.count("step 2/2  loss ") == 1
    assert "validation: mIoU" in said.err
    assert said.out == ""
    run(recipe_for(init, steps=2), tmp_path / "quiet", quiet=True)
    said = capsys.readouterr()
    assert "step" not in said.err
    assert said.out == ""


def test_rates_are_those_of_the_two_groups():
    weight = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [{"params": [weight[0]], "lr": 3e-4}, {"params": [weight[1]], "lr": 1e-4}]
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    named = {"learning_rate": 1e-4, "new_learning_rate": 3e-4}
    assert learning_rates(optimizer, named) == {"learning_rate": 1e-4, "new_learning_rate": 3e-4}
    optimizer.step()
    schedule.step()
    assert learning_rates(optimizer, named) == {"learning_rate": 0.5e-4, "new_learning_rate": 1.5e-4}
    del optimizer.param_groups[0]
    assert learning_rates(optimizer, named) == {"learning_rate": 0.5e-4}


def test_pace_leaves_out_what_is_no_training(monkeypatch):
    clock = iter([100.0, 104.0, 110.0, 112.0])
    monkeypatch.setattr(watch.time, "monotonic", lambda: next(clock))
    pace = Pace()
    pace.begin(10, 8, seconds=50.0)
    assert pace.logged(15) == {"samples_per_second": 10.0, "seconds": 54.0}  # 40 samples in 4 s
    pace.go_on()  # six seconds of validation
    assert pace.logged(20) == {"samples_per_second": 20.0, "seconds": 62.0}  # 40 in 2 s


def test_entries_are_json_that_anyone_reads(watched):
    for line in (watched / "log.jsonl").read_text().splitlines():
        assert isinstance(json.loads(line)["step"], int)
