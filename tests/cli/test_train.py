"""`rs2sam train`: the toy recipe from file to a model that segments, and errors before anything is read."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from rs2sam.cli import main
from rs2sam.segmenter import Segmenter
from rs2sam.training.examples import draws
from tests.conftest import REPOSITORY
from tests.datasets.make_formats import write_jsonl
from tests.small_model import write_small_model

DEBUG = "recipes/debug.yaml"


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    """Recipes name the tokenizer's folder from there."""
    monkeypatch.chdir(REPOSITORY)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", *arguments])


def test_debug_recipe_trains_a_model_that_segments(tmp_path):
    result = run(DEBUG, "-o", str(tmp_path), "--set", "steps=6", "--set", "save_every=3")

    assert result.exit_code == 0, result.output
    assert f"saved: {tmp_path / 'model'}" in result.stderr
    watched = {"best", "log.jsonl", "tensorboard", "training.png", "validation"}
    written = {".lock", "checkpoint-3", "checkpoint-6", "model", "recipe.yaml"} | watched
    assert {path.name for path in tmp_path.iterdir()} == written
    segmenter = Segmenter.load(tmp_path / "model", backend="torch", device="cpu")
    found = segmenter.segment(np.full((70, 90, 3), 128, np.uint8), "the large pond")
    assert found.mask.shape == (70, 90)
    assert np.isfinite(found.probability).all()


def test_interrupted_run_is_resumed(tmp_path):
    changes = ("steps=2", "save_every=1", "data.num_synthetic=1", "validate.every_steps=0", "tensorboard=false")
    few = [word for change in changes for word in ("--set", change)]
    assert run(DEBUG, "-o", str(tmp_path), *few).exit_code == 0
    again = run(DEBUG, "-o", str(tmp_path), *few)
    assert again.exit_code == 1
    assert "resume it, or give another folder" in again.stderr
    (tmp_path / "model" / "model.safetensors").unlink()
    assert run(DEBUG, "-o", str(tmp_path), *few, "--resume").exit_code == 0
    assert (tmp_path / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((DEBUG, "--resume"), "no checkpoint in"),
        ((DEBUG, "--set", "stepps=3"), "did you mean `steps`?"),
        ((DEBUG, "--set", "tokenizer=nowhere"), "`tokenizer` = `nowhere` is not there"),
        (("recipes/none.yaml",), "no recipe `recipes/none.yaml`"),
    ],
)
def test_errors_come_before_images_are_read(tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr(draws, "referring_draw", None)
    result = run(*arguments, "-o", str(tmp_path))
    assert result.exit_code == 1
    assert message in result.stderr


def test_unknown_source_of_images_is_an_error(tmp_path):
    result = run(DEBUG, "-o", str(tmp_path), "--set", "data.weights.roads=1")
    assert result.exit_code == 1
    assert "`data.root` must name the folder of ['roads']" in result.stderr


def test_missing_library_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    result = run(DEBUG, "-o", str(tmp_path))
    assert result.exit_code == 1
    assert "pip install 'rs2sam[train]'" in result.stderr


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A recipe that trains a small model on a referring data set, beside both."""
    write_jsonl(tmp_path / "data")
    write_small_model(tmp_path / "init", dtype="float32")
    lines = (
        f"init: {tmp_path / 'init'}",
        "epochs: 1",
        "batch_size: 2",
        "tensorboard: false",
        f"data: {{dataset: {tmp_path / 'data'}, side: 64, num_workers: 0, variation: {{flip: 0.5}}}}",
        "optimizer: {warmup_steps: 0, schedule: constant}",
        "validate: {every_epochs: 1, protocol: published}",
    )
    path = tmp_path / "recipe.yaml"
    path.write_text("\n".join(lines))
    return path


def test_data_set_is_trained_on_for_its_epochs_and_validated(own, tmp_path):
    result = run(str(own), "-o", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    # Four sentences, two a step.
    figures = json.loads((tmp_path / "out" / "validation" / "step-000002.json").read_text())
    assert (figures["num_samples"], figures["best"]) == (1, True)
    for name in ("model", "best"):
        card = (tmp_path / "out" / name / "README.md").read_text()
        assert "| train | 4 |" in card
        assert "| val | 1 |" in card
    assert Segmenter.load(tmp_path / "out" / "best", backend="torch", device="cpu")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.train_split=trian", "no split `trian`"),
        ("data.val_split=evaluation", "no split `evaluation`"),
        ("data.dataset=nowhere", "`data.dataset` = `nowhere` is not there"),
        ("data.side=128", "`data.side` must be at most the model's own 64 px, received 128"),
        ("lora_rank=two", "`lora_rank` must be int, received 'two'"),
    ],
)
def test_wrong_data_or_size_is_one_line(own, tmp_path, override, message):
    result = run(str(own), "-o", str(tmp_path / "out"), "--set", override)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_quiet_run_says_nothing(own, tmp_path):
    result = CliRunner().invoke(main, ["-q", "train", str(own), "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "step" not in result.output
    assert "saved" not in result.output
