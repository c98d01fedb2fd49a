"""Processes that train together compute what one process with the whole batch does, and stop and go together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from rs2sam.training.keeping.checkpoints import complete_checkpoints, num_processes_of
from tests.training.toy import toy_init
from tests.training.workers import losses, said, start, start_together

# Terms whose mean over the samples is the batch's; the semantic head's counts the classes that are known in a batch.
RECIPE = {"steps": 6, "save_every": 3, "auxiliary.semantic": 0.0}


def task(folder: Path, name: str, batch_size: int, **changes: Any) -> dict[str, Any]:
    recipe = RECIPE | {"batch_size": batch_size} | changes.pop("recipe", {})
    return {"init": str(folder / "init"), "out": str(folder / name), "recipe": recipe, "noise": False} | changes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two processes beside such of one with the same samples a step."""
    folder = tmp_path_factory.mktemp("processes")
    toy_init(folder / "init")
    runs = [
        task(folder, "one of four", 4),
        task(folder, "one of two", 2),
        task(folder, "two of two", 2, num_processes=2),
        task(folder, "two of one, as published", 1, num_processes=2, recipe={"loss.scope": "batch"}),
        task(folder, "two of two", 2, resume=True),  # which is refused
    ]
    ends = start(runs, folder)
    assert ends == [0, 0, 0, 0, 1], [said(Path(run["out"])) for run in runs]
    return folder


@pytest.mark.parametrize(
    ("together", "alone"), [("two of two", "one of four"), ("two of one, as published", "one of two")]
)
def test_two_processes_with_half_the_batch_train_what_one_does(folder: Path, together: str, alone: str) -> None:
    reference = {step: float.fromhex(value) for step, value in losses(folder / alone).items()}
    halves = [losses(folder / together, process) for process in (0, 1)]
    assert list(reference) == list(range(RECIPE["steps"]))
    for step, value in reference.items():
        assert np.mean([float.fromhex(half[step]) for half in halves]) == pytest.approx(value, rel=1e-4)
    ours, theirs, begin = (
        load_file(folder / name / "model.safetensors") for name in (f"{together}/model", f"{alone}/model", "init")
    )
    error = {name: np.linalg.norm(ours[name] - theirs[name]) for name in theirs}
    moved = {name: np.linalg.norm(theirs[name] - begin[name]) for name in theirs}
    assert np.linalg.norm(list(error.values())) < 2e-4 * np.linalg.norm(list(moved.values()))
    for name in theirs:
        # An attention does not depend on its keys' bias: what moves it is rounding, which AdamW makes large.
        assert name.endswith("k_proj.bias") or error[name] <= 5e-3 * moved[name], name


def test_log_of_processes_has_the_mean_over_all_of_them(folder: Path) -> None:
    found = [
        json.loads((folder / name / "log.jsonl").read_text().splitlines()[0]) for name in ("two of two", "one of four")
    ]
    for term in ("loss", "cross_entropy", "dice", "boundary", "presence", "score", "pseudo_mask", "grad_norm"):
        assert found[0][term] == pytest.approx(found[1][term], rel=1e-3), term


def test_run_of_two_processes_is_not_resumed_by_one(folder: Path) -> None:
    assert num_processes_of(complete_checkpoints(folder / "two of two")[-1]) == 2
    assert "resumed on as many processes as it was started on, which is 2; it is 1 now" in said(folder / "two of two")


@pytest.mark.slow
def test_killed_process_takes_the_others_along_and_the_run_resumes(folder: Path) -> None:
    events = (folder / "two of two-1-events.txt").read_text().splitlines()
    kill_at = [number for number, event in enumerate(events) if event == "after a loss"][4]
    broken = task(folder, "broken", 2, kill_at=kill_at, kill_process=1)
    assert start_together(broken, 2).returncode != 0
    assert [path.name for path in complete_checkpoints(folder / "broken")] == ["checkpoint-3"]
    assert start([task(folder, "broken", 2, resume=True, num_processes=2)], folder) == [0], said(folder / "broken")
    for process in (0, 1):
        assert losses(folder / "broken", process) == losses(folder / "two of two", process)
    ours, theirs = (load_file(folder / name / "model" / "model.safetensors") for name in ("broken", "two of two"))
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
