"""`rs2sam ablate` as a user runs it: toy runs of two steps, one of which fails; what is done again; errors."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from rs2sam.cli import main
from tests.conftest import REPOSITORY

pytest.importorskip("torch")

DEBUG = "recipes/debug.yaml"
TOY = (
    *("--set", "steps=2", "--set", "save_every=2", "--set", "data.num_synthetic=1"),
    *("--set", "tensorboard=false", "--set", "validate.every_steps=0"),
    *("--set", "config={image_size: 64, union_image_size: 32, union_layers: 1}"),
    *("--limit", "2", "--device", "cpu"),
)


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    """Recipes name the tokenizer's folder from there."""
    monkeypatch.chdir(REPOSITORY)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["ablate", *arguments])


class InThisProcess:
    """Does what a process would that is started for a training, without the seconds in which it loads torch."""

    def __init__(self, command, stdout, **_options):
        assert command[1:4] == ["-m", "rs2sam", "train"]
        done = CliRunner().invoke(main, command[3:])
        stdout.write(done.output)
        self.code = done.exit_code

    def wait(self):
        return self.code


@pytest.fixture(params=["here", pytest.param("by processes", marks=pytest.mark.slow)])
def trained(request, monkeypatch):
    """Where the trainings of a grid take place."""
    if request.param == "here":
        standing_in = SimpleNamespace(Popen=InThisProcess, STDOUT=subprocess.STDOUT)
        monkeypatch.setattr("rs2sam.training.ablation.runs.subprocess", standing_in)


@pytest.mark.usefixtures("trained")
def test_one_run_fails_the_other_is_kept_and_the_table_says_both(tmp_path):
    # The second side is larger than the model's own, which only the training finds out.
    grid = ("--grid", "baseline", "--grid", "data.side=64,128")
    result = run(DEBUG, "-o", str(tmp_path), *grid, *TOY)
    assert result.exit_code == 1, result.output
    assert "1 of the runs failed" in result.stderr
    assert "at most the model's own 64 px, received 128" in result.stderr
    table = result.stdout.splitlines()
    assert table[0] == "debug.yaml on rendered scenes, split val, 2 samples, protocol published, seeds 0"
    assert table[4].startswith("| SAM 2 + union encoder, data.side=64 | 1/1 | ")
    assert table[5].startswith("| SAM 2 + union encoder, data.side=128 | 0/1 | - |")
    assert (tmp_path / "ablation.md").read_text() == result.stdout

    (model,) = tmp_path.glob("*/train/model/model.safetensors")
    written = model.stat().st_mtime_ns
    again = run(DEBUG, "-o", str(tmp_path), *grid, *TOY, "--json")
    assert again.exit_code == 1
    assert model.stat().st_mtime_ns == written
    summary = json.loads(again.stdout)
    assert summary == json.loads((tmp_path / "ablation.json").read_text())
    assert [row["finished"] for row in summary["rows"]] == [1, 0]
    assert summary["rows"][0]["figures"]["mIoU"]["deviation"] is None
    assert "at most the model's own" in summary["runs"][1]["error"]

    other = run(DEBUG, "-o", str(tmp_path), *grid, *TOY, "--set", "batch_size=3")
    assert other.exit_code == 1
    assert "holds a run of another recipe" in other.stderr
    assert model.stat().st_mtime_ns == written


def test_dry_run_lists_runs_with_parameters_and_writes_nothing(tmp_path):
    result = run(DEBUG, "-o", str(tmp_path / "out"), "--dry-run", "--seeds", "0,1", "--grid", "full,baseline")
    assert result.exit_code == 0, result.output
    assert [line.split(" | ")[0] for line in result.stdout.splitlines()[2:]] == [
        "| full-seed0", "| baseline-seed0", "| full-seed1", "| baseline-seed1",
    ]  # fmt: skip
    assert not (tmp_path / "out").exists()
    counts = json.loads(run(DEBUG, "--dry-run", "--grid", "full", "--json").stdout)
    assert counts["all"]["total"] > counts["all"]["new"] > 0


def test_a_plan_of_the_paper_needs_neither_weights_nor_data(tmp_path, monkeypatch):
    paper = str(REPOSITORY / "recipes" / "refsegrs-paper.yaml")
    monkeypatch.chdir(tmp_path)
    result = run(paper, "--dry-run", "--grid", "full,linear")
    assert result.exit_code == 0, result.output
    assert "| full-seed0 | all | 0 | 926,636,267 | 35,436,841 | 212,703,280 |" in result.stdout
    begun = run(paper, "-o", "out", "--grid", "full,linear")
    assert begun.exit_code == 1
    assert "is not there; correct it in the recipe" in begun.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((DEBUG, "-o", "OUT", "--grid", "everything"), "takes a grid (paper, components"),
        ((DEBUG, "-o", "OUT", "--seeds", "one"), "`--seeds` takes whole numbers"),
        ((DEBUG, "-o", "OUT", "--seeds", "1,1"), "distinct whole numbers"),
        ((DEBUG, "-o", "OUT", "--set", "tokenizer=nowhere"), "`tokenizer` = `nowhere` is not there"),
        (("recipes/none.yaml", "-o", "OUT"), "no recipe `recipes/none.yaml`"),
        ((DEBUG, "-o", DEBUG), "is a file"),
        ((DEBUG, "-o", "OUT", "--launcher", "no-such-program -x"), "`no-such-program` is not there"),
    ],
)
def test_errors_come_before_anything_is_trained(tmp_path, arguments, message):
    out = tmp_path / "out"
    result = run(*(str(out) if argument == "OUT" else argument for argument in arguments))
    assert result.exit_code == 1
    assert message in result.stderr
    assert not out.exists()


def test_it_is_one_process_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = run(DEBUG, "-o", str(tmp_path / "out"), "--grid", "full")
    assert result.exit_code == 1
    assert "give torchrun or `accelerate launch` as --launcher" in result.stderr


def test_a_folder_is_needed_but_for_the_plan():
    result = run(DEBUG)
    assert result.exit_code == 2
    assert "--dry-run" in result.stderr


def test_missing_library_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    result = run(DEBUG, "-o", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "pip install 'rs2sam[train]'" in result.stderr
