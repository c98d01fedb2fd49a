"""A run that is killed, or stops, at any moment continues to the same losses and weights, bit for bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from rs2sam.training.keeping.checkpoints import complete_checkpoints
from tests.training.toy import toy_init
from tests.training.workers import EVENTS, losses, said, start

# Checkpoints after steps 3, 6, 9 and 10; the mean that is logged after step 10 spans the former three.
RECIPE = {"steps": 10, "save_every": 3, "batch_size": 1}
KILLED = -9

# One fixture makes some twenty runs, which is a quarter of a minute on a quiet machine and many on a busy one.
pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

# What happens to a run -> in each attempt but the last: a kill (event, which of its times) or a trouble. Every kind of
# event has its turn in `test_kill_at_any_moment_changes_nothing`.
INTERRUPTIONS: dict[str, list[dict[str, Any]]] = {
    "killed while weights are written": [{"event": "writing model.safetensors", "time": 1}],
    "killed while an old checkpoint is deleted": [{"event": "in the middle of deleting", "time": 0}],
    # Before the first checkpoint, and then, with a loading process, in the resumed run after its own first one.
    "killed at two steps": [
        {"event": "after a loss", "time": 1},
        {"event": "after a loss", "time": 5, "recipe": {"data.num_workers": 1}},
    ],
    "full disk": [{"trouble": "little disk"}],
    "missing image in a loading process": [{"trouble": "missing image", "recipe": {"data.num_workers": 1}}],
    "told to stop": [{"trouble": "told to stop"}],
    "told to stop with a loading process": [{"trouble": "told to stop", "recipe": {"data.num_workers": 1}}],
}


class Runs:
    """A run that nothing interrupts, one whose numbers overflow, and others with the recipe of the former."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.task: dict[str, Any] = {"init": str(toy_init(folder / "init")), "recipe": RECIPE}
        self.whole, self.steep = folder / "whole", folder / "steep"
        too_steep = RECIPE | {"save_every": 1, "optimizer.learning_rate": 10.0, "optimizer.weight_decay": 1e9}
        tasks = [self.task | {"out": str(self.whole)}, self.task | {"out": str(self.steep), "recipe": too_steep}]
        assert start(tasks, folder) == [0, 1], said(self.whole) + said(self.steep)
        self.events = (folder / f"whole-0-{EVENTS}").read_text().splitlines()

    def moments(self, event: str) -> list[int]:
        """When something happened in the whole run, in counts of events."""
        return [number for number, found in enumerate(self.events) if found == event]

    def attempts(self, out: Path, interruptions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Tasks that end with interruptions, each resuming the one before."""
        tasks = []
        for number, one in enumerate(interruptions):
            how = {name: value for name, value in one.items() if name not in ("event", "time")}
            if "event" in one:
                how["kill_at"] = self.moments(one["event"])[one["time"]]
            how["recipe"] = RECIPE | how.get("recipe", {})
            tasks.append(self.task | {"out": str(out), "resume": number > 0} | how)
        return tasks


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def ends(runs: Runs) -> dict[str, tuple[list[int], str, list[str]]]:
    """For every interruption: how its attempts ended, what the last one said, which checkpoints were left."""
    plan = {name: runs.attempts(runs.folder / name, steps) for name, steps in INTERRUPTIONS.items()}
    codes = iter(start([task for tasks in plan.values() for task in tasks], runs.folder))
    found = {}
    for name, tasks in plan.items():
        out = runs.folder / name
        left = [folder.name for folder in complete_checkpoints(out)]
        found[name] = [next(codes) for _ in tasks], said(out), left
    resumed = [runs.task | {"out": str(runs.folder / name), "resume": True} for name in plan]
    for name, code in zip(plan, start(resumed, runs.folder), strict=True):
        assert code == 0, f"{name}: {said(runs.folder / name)}"
    return found


def error_of(words: str) -> str:
    """The one line of an error."""
    return next(line for line in words.splitlines() if line.startswith("error: "))


def logged(out: Path) -> list[dict[str, float]]:
    """The log without what depends on the clock."""
    entries = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [{k: v for k, v in entry.items() if k not in ("samples_per_second", "seconds")} for entry in entries]


def assert_same_run(out: Path, whole: Path) -> None:
    assert losses(out) == losses(whole)
    assert [entry["step"] for entry in logged(out)] == [1, 10]
    assert logged(out) == logged(whole)
    ours, theirs = (load_file(folder / "model" / "model.safetensors") for folder in (out, whole))
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    # The trained weights and the training-time heads too, not only their average, which is the result.
    last, reference = (complete_checkpoints(folder)[-1] for folder in (out, whole))
    assert last.name == reference.name == "checkpoint-10"
    assert (last / "model.safetensors").read_bytes() == (reference / "model.safetensors").read_bytes()
    assert not list(out.glob("tmp-*"))


def test_whole_run_writes_everything_that_a_next_step_depends_on(runs: Runs) -> None:
    files = {event.split()[-1] for event in runs.events if event.startswith("writing")}
    assert {"model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "terms_0.pt"} <= files
    assert len(runs.moments("after a loss")) == RECIPE["steps"]
    assert [folder.name for folder in complete_checkpoints(runs.whole)] == ["checkpoint-9", "checkpoint-10"]


@pytest.mark.parametrize("name", INTERRUPTIONS)
def test_interrupted_run_equals_the_uninterrupted_one_bit_for_bit(runs: Runs, ends: Any, name: str) -> None:
    assert_same_run(runs.folder / name, runs.whole)


@pytest.mark.parametrize("name", [name for name in INTERRUPTIONS if name.startswith("killed")])
def test_kill_is_a_kill(ends: Any, name: str) -> None:
    assert set(ends[name][0]) == {KILLED}


def test_kill_during_a_write_leaves_the_checkpoint_before(ends: Any) -> None:
    assert ends["killed while weights are written"][2] == ["checkpoint-3"]
    assert ends["killed while an old checkpoint is deleted"][2] == ["checkpoint-6", "checkpoint-9"]


def test_full_disk_stops_with_the_path_and_leaves_the_last_checkpoint(runs: Runs, ends: Any) -> None:
    codes, words, left = ends["full disk"]
    assert codes == [1]
    assert left == ["checkpoint-3"]
    out = runs.folder / "full disk"
    assert f"error: cannot write the checkpoint `{out}/checkpoint-6`" in words
    assert "MB are free there. Make room, or raise the quota" in words
    assert f"`{out}/checkpoint-3` is complete: `--resume` continues from it." in words
    assert "Traceback" not in words


def test_missing_image_stops_with_its_name_when_its_turn_comes(runs: Runs, ends: Any) -> None:
    name = "missing image in a loading process"
    codes, words, left = ends[name]
    assert codes == [1]
    assert left == ["checkpoint-3"]
    message = error_of(words)
    assert "example 5 of the run cannot be made: no image `pictures/gone.jpg`" in message
    assert message.endswith(f"`{runs.folder / name}/checkpoint-3` is complete: `--resume` continues from it.")
    assert "Traceback" not in words


@pytest.mark.parametrize("name", ["told to stop", "told to stop with a loading process"])
def test_signal_to_stop_saves_the_step_it_came_in(ends: Any, name: str) -> None:
    # Loading processes are ahead of the run, so that step is known only without them.
    codes, words, left = ends[name]
    assert codes == [130]
    assert "checkpoint-10" not in left
    assert "recipe" in INTERRUPTIONS[name][0] or left[-1] == "checkpoint-7"
    assert "stopping after this step, with a checkpoint" in words
    assert f"{left[-1]}` is complete: `--resume` continues from it." in words
    assert "Traceback" not in words


def test_numbers_that_are_not_finite_stop_the_run_before_they_are_saved(runs: Runs) -> None:
    last = complete_checkpoints(runs.steep)[-1]
    step = int(last.name.removeprefix("checkpoint-"))
    assert all(np.isfinite(value).all() for value in load_file(last / "model.safetensors").values())
    message = error_of(said(runs.steep))
    assert f"step {step + 1} is not finite" in message
    assert f"Samples: toy-{step}." in message
    assert "lower `optimizer.learning_rate`" in message
    assert f"`{last}` is complete" in message


def test_moments_of_a_kill_are_all_kinds_of_events(runs: Runs) -> None:
    chosen = [runs.events[number] for number in kill_points(runs.events)]
    assert set(chosen) == set(runs.events[1:])
    renamed = ("recipe.yaml", "log.jsonl", "checkpoint-", "tmp-checkpoint-old-", "model")
    assert {f"after renaming to {name}" for name in renamed} <= set(chosen)
    assert {f"before renaming to {name}" for name in renamed[1:]} <= set(chosen)
    assert max(map(chosen.count, chosen)) == 2


def kill_points(events: list[str]) -> list[int]:
    """The first and the last time of every kind of event: with no checkpoint yet, and with others to be deleted.

    The run's first event is none, the recipe is not written by then: there is nothing to resume.
    """
    numbers = range(1, len(events))
    first = {events[number]: number for number in reversed(numbers)}
    last = {events[number]: number for number in numbers}
    return sorted({*first.values(), *last.values()})


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("most", [8, pytest.param(None, id="all", marks=pytest.mark.long)])
def test_kill_at_any_moment_changes_nothing(runs: Runs, tmp_path: Path, most: int | None) -> None:
    chosen = kill_points(runs.events)
    chosen = chosen[:: 1 if most is None else -(-len(chosen) // most)]
    for numbers in (chosen[first : first + 8] for first in range(0, len(chosen), 8)):
        tasks = [runs.task | {"out": str(tmp_path / f"run{number}")} for number in numbers]
        plan = [one | {"kill_at": number} for one, number in zip(tasks, numbers, strict=True)]
        assert start(plan, tmp_path) == [KILLED] * len(plan)
        assert start([one | {"resume": True} for one in tasks], tmp_path) == [0] * len(plan)
        for number in numbers:
            assert_same_run(tmp_path / f"run{number}", runs.whole)
            shutil.rmtree(tmp_path / f"run{number}")
