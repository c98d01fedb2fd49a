"""The parts of stop and go: what counts as a checkpoint, what a resumed run may change, what stops a run."""

from __future__ import annotations

import errno
import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rs2sam.errors import DataNotFoundError, InvalidInputError, TrainingError
from rs2sam.training.examples.failures import failed_batch, failed_example, raise_failure
from rs2sam.training.keeping import checkpoints
from rs2sam.training.keeping.checkpoints import (
    MANIFEST,
    complete_checkpoints,
    delete_checkpoint,
    is_complete,
    keep_newest,
    last_complete_checkpoint,
    num_processes_of,
    publish,
    sweep,
    write_text,
)
from rs2sam.training.keeping.record import RECIPE_FILE, has_begun, record_recipe, require_same_recipe
from rs2sam.training.keeping.safety import RunningTerms, clear_stops
from rs2sam.training.recipes.loss_settings import LossSettings
from rs2sam.training.recipes.settings import DataRecipe, OptimizerRecipe, Recipe

RECIPE = Recipe(preset="tiny", tokenizer="folder", steps=4)


def staged(folder: Path) -> Path:
    """A checkpoint's files before they are a checkpoint."""
    (folder / "shards").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "shards" / "0.pt").write_bytes(b"a part")
    return folder


def checkpoint(output_dir: Path, step: int, num_processes: int = 1) -> Path:
    final = output_dir / f"checkpoint-{step}"
    publish(staged(output_dir / f"tmp-checkpoint-{step}" / final.name), final, num_processes)
    return final


def old_checkpoint(output_dir: Path, step: int) -> Path:
    """As Trainer writes one by itself."""
    folder = output_dir / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "optimizer.pt", "scheduler.pt"):
        (folder / name).write_bytes(b"content")
    (folder / "trainer_state.json").write_text("{}")
    return folder


# ---- checkpoints


def test_last_checkpoint_is_the_one_of_the_highest_step(tmp_path: Path) -> None:
    assert last_complete_checkpoint(tmp_path) is None
    assert last_complete_checkpoint(tmp_path / "nowhere") is None
    for step in (100, 20, 3):
        checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-final").mkdir()
    (tmp_path / "checkpoint-200").write_text("a file")
    assert last_complete_checkpoint(tmp_path) == tmp_path / "checkpoint-100"
    assert [folder.name for folder in complete_checkpoints(tmp_path)] == [
        "checkpoint-3",
        "checkpoint-20",
        "checkpoint-100",
    ]


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.safetensors").write_bytes(b"weig"),
        lambda folder: (folder / "shards" / "0.pt").unlink(),
        lambda folder: (folder / MANIFEST).unlink(),
        lambda folder: (folder / MANIFEST).write_text('{"files": {'),
        lambda folder: (folder / MANIFEST).write_text("[]"),
    ],
)
def test_damaged_checkpoint_is_passed_over(tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    checkpoint(tmp_path, 1)
    damage(checkpoint(tmp_path, 2))
    assert last_complete_checkpoint(tmp_path) == tmp_path / "checkpoint-1"


def test_checkpoint_without_manifest_counts_when_all_its_parts_are_there(tmp_path: Path) -> None:
    folder = old_checkpoint(tmp_path, 7)
    assert is_complete(folder)
    assert num_processes_of(folder) is None
    (folder / "trainer_state.json").write_text('{"global_step": ')
    assert not is_complete(folder)


def test_published_checkpoint_replaces_an_incomplete_one_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-5").mkdir()
    (tmp_path / "checkpoint-5" / "model.safetensors").write_bytes(b"half")
    folder = checkpoint(tmp_path, 5, num_processes=2)
    assert is_complete(folder)
    assert num_processes_of(folder) == 2
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert json.loads((folder / MANIFEST).read_text())["files"] == {"model.safetensors": 7, "shards/0.pt": 6}


def test_only_the_newest_complete_checkpoints_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-4" / "model.safetensors").unlink()
    keep_newest(tmp_path, 2)
    assert [folder.name for folder in complete_checkpoints(tmp_path)] == ["checkpoint-2", "checkpoint-3"]


def test_deletion_that_is_cut_short_leaves_nothing_that_looks_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(tmp_path, 1)
    monkeypatch.setattr(checkpoints.shutil, "rmtree", lambda *_, **__: None)
    delete_checkpoint(folder)
    assert complete_checkpoints(tmp_path) == []
    monkeypatch.undo()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_sweep_leaves_checkpoints_and_names_the_incomplete(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole, broken = checkpoint(tmp_path, 1), checkpoint(tmp_path, 2)
    (broken / "model.safetensors").unlink()
    staged(tmp_path / "tmp-checkpoint-3" / "checkpoint-3")
    (tmp_path / "model").mkdir()
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-1", "checkpoint-2", "model"}
    assert is_complete(whole)
    assert f"`{broken}` lacks files" in caplog.text


def test_text_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "recipe.yaml"
    write_text(path, "first")

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "_sync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "second")
    assert path.read_text() == "first"


# ---- the recipe of a run


def test_recipe_of_a_run_is_read_back_as_it_was(tmp_path: Path) -> None:
    recipe = replace(
        RECIPE,
        data=DataRecipe(weights={"synthetic": 2.0, "roads": 0.1}, root="straße"),
        loss=LossSettings(scope="sample"),
        optimizer=OptimizerRecipe(1e-5, 5e-5),
    )
    assert not has_begun(tmp_path / "run")
    record_recipe(recipe, tmp_path / "run")
    assert has_begun(tmp_path / "run")
    require_same_recipe(recipe, tmp_path / "run")


def test_other_recipe_is_refused_with_every_key_that_differs(tmp_path: Path) -> None:
    record_recipe(RECIPE, tmp_path)
    other = replace(RECIPE, steps=6, seed=1, data=DataRecipe(side=512), save_every=7)
    with pytest.raises(InvalidInputError) as caught:
        require_same_recipe(other, tmp_path)
    message = str(caught.value)
    for part in ("`steps` was 4 and is 6", "`seed` was 0 and is 1", "`data.side` was 256 and is 512"):
        assert part in message
    assert "save_every" not in message
    assert str(tmp_path / RECIPE_FILE) in message


def test_what_no_weight_depends_on_may_change(tmp_path: Path) -> None:
    record_recipe(RECIPE, tmp_path)
    require_same_recipe(replace(RECIPE, save_every=1, data=DataRecipe(num_workers=0)), tmp_path)


def test_recipe_that_counts_in_epochs_is_compared_before_its_steps_are_known(tmp_path: Path) -> None:
    data = DataRecipe(dataset="folder")
    record_recipe(replace(RECIPE, steps=40, epochs=2, data=data), tmp_path)
    require_same_recipe(replace(RECIPE, steps=0, epochs=2, data=data), tmp_path)
    with pytest.raises(InvalidInputError, match="`epochs` was 2 and is 3"):
        require_same_recipe(replace(RECIPE, steps=0, epochs=3, data=data), tmp_path)
    with pytest.raises(InvalidInputError, match="`steps` was 40 and is 44"):
        require_same_recipe(replace(RECIPE, steps=44, epochs=2, data=data), tmp_path)


def test_run_from_before_recipes_were_kept_is_resumed_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    require_same_recipe(RECIPE, tmp_path)
    assert "nobody can tell whether the run began with this recipe" in caplog.text


# ---- what stops a run


def test_example_that_cannot_be_made_stops_its_batch_with_the_reason() -> None:
    missing = failed_example(7, DataNotFoundError("no image `x.jpg`"))
    unreadable = failed_example(8, OSError("broken pipe"))
    assert failed_batch([{"id": "6"}, {"id": "5"}]) is None
    batch = failed_batch([{"id": "6"}, missing, unreadable])
    assert batch is not None
    with pytest.raises(TrainingError, match=r"^example 7 of the run cannot be made: no image `x\.jpg`$"):
        raise_failure(batch)
    with pytest.raises(TrainingError, match="example 8 of the run cannot be made: OSError: broken pipe"):
        raise_failure(unreadable)
    raise_failure({"ids": ["6"]})


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (TrainingError("step 3 is not finite."), "step 3 is not finite. `"),
        (OSError(errno.ENOSPC, "No space left on device"), "cannot be read or written: .*No space left.* MB are free"),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot be read or written: .*Permission denied"),
        (torch.OutOfMemoryError("CUDA out of memory.\nTried"), "memory is too small: CUDA out of memory. Lower `batch"),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. \nmore"),
            "a loading process ended: .*Ki",
        ),
    ],
)
def test_known_ends_of_a_run_say_what_is_left(tmp_path: Path, error: Exception, message: str) -> None:
    last = checkpoint(tmp_path, 3)
    with pytest.raises(TrainingError, match=message) as caught, clear_stops(tmp_path):
        raise error
    assert str(caught.value).endswith(f"`{last}` is complete: `--resume` continues from it.")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError(errno.EBADF, "no"), ValueError("a bug")])
def test_bugs_stay_what_they_are(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, clear_stops(tmp_path):
        raise error
    assert caught.value is error


def test_interruption_before_the_first_checkpoint_says_so_and_frees_the_signals(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)

    def run() -> None:
        with clear_stops(tmp_path):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="There is no checkpoint yet: `--resume` begins anew"):
        run()
    assert signal.getsignal(signal.SIGINT) is before


def test_terms_are_averaged_and_survive_a_checkpoint() -> None:
    alone: Any = SimpleNamespace(args=SimpleNamespace(world_size=1))
    terms, other = RunningTerms(), RunningTerms()
    terms.add({"loss": torch.tensor(1.0, requires_grad=True)})
    other.load(terms.state())
    for one in (terms, other):
        one.add({"loss": torch.tensor(2.5)})
        assert one.means(alone) == {"loss": 1.75}
        assert one.state() == {}
