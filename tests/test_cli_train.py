"""`rs2sam train`: the toy recipe from file to a model that segments, and errors before anything is read."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from click.testing import CliRunner, Result

from rs2sam.cli import main
from rs2sam.segmenter import Segmenter
from rs2sam.training import draws
from tests.conftest import REPOSITORY

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
    written = {"checkpoint-3", "checkpoint-6", "model", "recipe.yaml"} | watched
    assert {path.name for path in tmp_path.iterdir()} == written
    segmenter = Segmenter.load(tmp_path / "model", backend="torch", device="cpu")
    found = segmenter.segment(np.full((70, 90, 3), 128, np.uint8), "the large pond")
    assert found.mask.shape == (70, 90)
    assert np.isfinite(found.probability).all()


def test_interrupted_run_is_resumed(tmp_path):
    few = ("--set", "steps=2", "--set", "save_every=1", "--set", "data.num_synthetic=1")
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
