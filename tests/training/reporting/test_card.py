"""The model card of a run: facts, names instead of paths, and honest gaps."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from rs2sam.backends.torch import load_model
from rs2sam.models import RS2SamModel
from rs2sam.training.recipes.settings import DataRecipe, Recipe
from rs2sam.training.reporting import card
from rs2sam.training.reporting.card import git_commit, recipe_text, training_card
from tests.training.toy import toy_init, toy_recipe


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RS2SamModel:
    return load_model(toy_init(tmp_path_factory.mktemp("toy") / "init"))


def validation(step: int, miou: float) -> dict[str, object]:
    row = {"n": 12, "protocol": "native", "mIoU": miou, "oIoU": miou, **{f"Pr@0.{x}": x / 10 for x in range(5, 10)}}
    rows = {"overall": {"model": row}}
    return {"step": step, "num_samples": 12, "selection": 2 * miou, "protocol": "native", "rows": rows}


def on_dataset(**changes: object) -> Recipe:
    return Recipe(init="somewhere/deep/base", steps=90, data=DataRecipe(dataset="/home/me/harbours"), **changes)


def test_card_names_data_counts_base_figures_and_versions(model):
    text = training_card(
        on_dataset(), model, 60, {"train": 1200, "val": 34}, [validation(30, 0.25), validation(60, 0.5)]
    )
    assert text.startswith("---\nlibrary_name: rs2sam\n")
    for part in (
        "# rs2sam, trained on harbours",
        f"| parameters | {model.num_parameters():,} |",
        "| trained for | 60 of 90 steps |",
        "| step 60, **this one**, best by mIoU + oIoU | 12 | 50.00 | 50.00 | 50.00 | 60.00 |",
        "`harbours`: trained on split `train`, validated on `val`.",
        "| train | 1,200 |\n| val | 34 |",
        "- Started from `base`: terms not stated in its card; find them out.",
        "license: unknown",
        "torch ",
    ):
        assert part in text
    assert "step 30" not in text
    assert "/home" not in text
    assert "somewhere" not in text


def test_card_shows_the_best_beside_this_one(model):
    text = training_card(on_dataset(), model, 90, {}, [validation(60, 0.5), validation(90, 0.25)])
    assert "| step 60, best by mIoU + oIoU | 12 | 50.00 |" in text
    assert "| step 90, **this one** | 12 | 25.00 |" in text
    assert "| trained for | 90 steps |" in text


def test_card_says_what_was_not_measured(model):
    assert "None: the run was not validated." in training_card(on_dataset(), model, 90)
    text = training_card(on_dataset(), model, 90, {}, [validation(60, 0.5)])
    assert "The model at step 90 itself was not validated." in text


def test_card_of_a_mixture_has_its_shares(model):
    data = DataRecipe(weights={"roads": 3.0, "synthetic": 1.0})
    text = training_card(Recipe(tokenizer="tokens", data=data), model, 1)
    assert "| roads | 75.0 % |\n| synthetic | 25.0 % |" in text
    assert "Part of its training images are rendered." in text
    assert "Built anew from the preset `compact`" in text


def test_card_names_every_base(model, tmp_path):
    parts = {"init_sam2": "a/sam2.pt", "init_beit3": "b/beit3.pth"}
    text = training_card(Recipe(preset="large", tokenizer="t", **parts), model, 1)
    assert "SAM 2 (Apache-2.0): trunk, neck, mask decoder, from `sam2.pt`." in text
    assert "BEiT-3 (MIT): union encoder, from `beit3.pth`." in text
    text = training_card(Recipe(tokenizer="t", init_lite0="c/lite0.pth"), model, 1)
    assert "EfficientNet-lite0 (Apache-2.0, trained on ImageNet): trunk, from `lite0.pth`." in text
    text = training_card(Recipe(init="compact"), model, 1)
    assert "Started from `compact`: research and non-commercial use" in text
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    text = training_card(Recipe(init=str(tmp_path)), model, 1)
    assert "its card states the licence cc-by-4.0" in text


def test_recipe_in_the_card_is_what_differs_from_the_defaults(tmp_path):
    recipe = toy_recipe(tmp_path / "init", data=DataRecipe(weights={"roads": 2.0}, root="/data/all", side=64))
    assert yaml.safe_load(recipe_text(recipe)) == {
        "init": "init",
        "steps": 4,
        "batch_size": 2,
        "save_every": 2,
        "data": {"root": "all", "weights": {"roads": 2.0}, "side": 64},
        "loss": {"dice": 2.0, "boundary_form": "soft", "dice_reduction": "mean"},
        "optimizer": {
            "learning_rate": 0.001,
            "new_learning_rate": 0.001,
            "warmup_steps": 1,
            "schedule": "constant",
        },
        "tensorboard": False,
    }
    assert recipe_text(replace(recipe, preset="tiny", init=None, tokenizer="t")).count("/") == 0


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commit_is_that_of_tracked_files_only(tmp_path):
    assert git_commit(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert git_commit(tmp_path) is None
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert git_commit(tmp_path) == commit
    (tmp_path / "file").write_text("two")
    assert git_commit(tmp_path) == f"{commit} with local changes"
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "package.py").write_text("")
    assert git_commit(tmp_path / "installed") is None


def test_without_git_there_is_no_commit(tmp_path, monkeypatch):
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(card.subprocess, "run", missing)
    assert git_commit(tmp_path) is None
