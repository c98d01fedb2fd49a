"""Training runs in processes of their own, which may be killed, run out of disk or be told to stop.

    python -m tests.training.workers TASKS.json          # each task in a fork of one process that has loaded torch
    torchrun ... -m tests.training.workers --here TASK.json

A task is a mapping; see `run`. What a forked one ended with is printed as a JSON list.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from rs2sam.errors import RS2SAMError
from rs2sam.training import safety, watch
from rs2sam.training.examples import Examples
from rs2sam.training.losses import LossSettings
from rs2sam.training.objective import TrainingModel
from rs2sam.training.recipe import AuxiliaryRecipe, DataRecipe, OptimizerRecipe
from rs2sam.training.trainer import train
from tests.conftest import REPOSITORY
from tests.small_model import IMAGE_SIZE
from tests.training.toy import NUM_CLASSES, toy_draw, toy_recipe

LOSSES = "losses.txt"
EVENTS = "events.txt"
SAID = "said.txt"


def start(tasks: Sequence[Mapping[str, Any]], folder: Path) -> list[int]:
    """Run tasks one after another; returns what each ended with, -9 for a kill."""
    plan = folder / "tasks.json"
    plan.write_text(json.dumps(list(tasks)), encoding="utf-8")
    command = [sys.executable, "-m", "tests.training.workers", str(plan)]
    found = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=280, check=False)
    assert found.returncode == 0, found.stderr
    return list(json.loads(found.stdout.splitlines()[-1]))


def said(output_dir: Path) -> str:
    """What the last task of an output folder wrote to stderr."""
    return (output_dir.parent / f"{output_dir.name}-{SAID}").read_text(encoding="utf-8")


class Events:
    """Counts what happens in a run, writes it down, and kills the process at one of them.

    Args:
        path: file that receives the names.
        kill_at: number of the event that the process does not survive; None: it does.
    """

    def __init__(self, path: Path, kill_at: int | None) -> None:
        self.path, self.kill_at, self.count = path, kill_at, 0

    def happen(self, name: str) -> None:
        with self.path.open("a") as file:
            file.write(f"{name}\n")
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def halfway(self, write: Callable[..., Any], position: int, name: str) -> Callable[..., Any]:
        """A writer of files that lets something happen when half of its file is there."""

        def writing(*arguments: Any, **keywords: Any) -> Any:
            result = write(*arguments, **keywords)
            path = Path(arguments[position])
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2])
            self.happen(f"{name} {path.name}")
            path.write_bytes(content)
            return result

        return writing

    def around(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """A function with something before and something after it."""

        def surrounded(*arguments: Any, **keywords: Any) -> Any:
            self.happen(f"before {name}")
            result = function(*arguments, **keywords)
            self.happen(f"after {name}")
            return result

        return surrounded

    def deleting(self, path: str | Path, **keywords: Any) -> None:
        """Deletes a folder with something after its first file."""
        files = sorted(found for found in Path(path).rglob("*") if found.is_file())
        if files:
            files[0].unlink()
            self.happen("in the middle of deleting")
        REMOVE(path, **keywords)

    def watch(self) -> None:
        """From here on, in this process."""
        torch.save = self.halfway(torch.save, 1, "writing")
        safetensors.torch.save_file = self.halfway(safetensors.torch.save_file, 1, "writing")
        os.replace = self.around(os.replace, "renaming")
        shutil.rmtree = self.deleting
        safety.SafeTrainer.take_in = self.around(safety.SafeTrainer.take_in, "a loss")


REMOVE = shutil.rmtree
FULL_RECIPE: dict[str, Any] = {
    "tensorboard": False,
    "auxiliary": AuxiliaryRecipe(0.5, 0.5),
    "optimizer": OptimizerRecipe(1e-3, 2e-3, warmup_steps=2, ema_decay=0.5),
    "loss": LossSettings(dice=2.0, presence=0.1, score=0.1, boundary_form="soft", scope="sample"),
}


def run(task: Mapping[str, Any]) -> None:
    """Train the toy model.

    Args:
        task: `init`, `out`; optional: `resume`, `recipe` (changes of plain values), `rate`, `num_workers`, `kill_at`,
            `trouble` (see `TROUBLE`).
    """
    out = Path(task["out"])
    recipe = toy_recipe(Path(task["init"]), **FULL_RECIPE | task.get("recipe", {}))
    data = DataRecipe(side=IMAGE_SIZE, num_workers=task.get("num_workers", 0))
    optimizer = replace(recipe.optimizer, learning_rate=task.get("rate", recipe.optimizer.learning_rate))
    recipe = replace(recipe, data=data, optimizer=optimizer)
    _write_losses(out.parent / f"{out.name}-{LOSSES}")
    # Something that depends on the state of torch's generator, as dropout would.
    torch.nn.modules.module.register_module_forward_pre_hook(_noise)
    Events(out.parent / f"{out.name}-{EVENTS}", task.get("kill_at")).watch()
    draw = TROUBLE[task["trouble"]]() if "trouble" in task else toy_draw
    watch.draw_curves = lambda *_: None  # seconds of matplotlib in every process
    train(recipe, Examples(draw, NUM_CLASSES), out, bool(task.get("resume")), quiet=True)


def _noise(module: torch.nn.Module, arguments: Any) -> Any:
    if not isinstance(module, TrainingModel):
        return None
    inputs, *rest = arguments
    images = inputs["pixel_values"]
    return (inputs | {"pixel_values": images + 0.01 * torch.randn_like(images)}, *rest)


def _write_losses(path: Path) -> None:
    """Write every step's loss down to the last bit."""
    take_in = safety.SafeTrainer.take_in

    def writing(self: Any, terms: Any, ids: Any) -> None:
        take_in(self, terms, ids)
        if self.is_world_process_zero():
            with path.open("a") as file:
                file.write(f"{self.state.global_step} {terms['loss'].item().hex()}\n")

    safety.SafeTrainer.take_in = writing


def _little_disk() -> Callable[[int], Any]:
    """Files may not grow beyond a size once the second checkpoint is due: the disk is full from there."""

    def draw(index: int) -> Any:
        if index >= 6:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        return toy_draw(index)

    return draw


def _missing_image() -> Callable[[int], Any]:
    def draw(index: int) -> Any:
        from rs2sam.datasets.base import load_pixels

        if index == 5:
            load_pixels(Path("pictures/gone.jpg"))
        return toy_draw(index)

    return draw


def _told_to_stop() -> Callable[[int], Any]:
    """A signal to the whole group, as Ctrl-C in a terminal sends it, in the middle of the run."""
    process = os.getpid()

    def draw(index: int) -> Any:
        if index == 7:
            os.kill(process, signal.SIGINT)
            if os.getpid() != process:
                os.kill(os.getpid(), signal.SIGINT)
        return toy_draw(index)

    return draw


TROUBLE = {"little disk": _little_disk, "missing image": _missing_image, "told to stop": _told_to_stop}


def main(arguments: Sequence[str]) -> None:
    """Run tasks, in forks or here."""
    torch.set_num_threads(1)
    if arguments[0] == "--here":
        run(json.loads(Path(arguments[1]).read_text(encoding="utf-8")))
        return
    ends = []
    for task in json.loads(Path(arguments[0]).read_text(encoding="utf-8")):
        process = os.fork()
        if process == 0:
            _child(task)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
    print(json.dumps(ends))


def _child(task: Mapping[str, Any]) -> None:
    """Ends as `rs2sam.cli.main` does, with what was said in a file."""
    out = Path(task["out"])
    file = os.open(out.parent / f"{out.name}-{SAID}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    logging.basicConfig(level=logging.WARNING, force=True)
    status = 0
    try:
        run(task)
    except RS2SAMError as error:
        sys.stderr.write(f"error: {error}\n")
        status = 1
    except KeyboardInterrupt as stop:
        sys.stderr.write(f"interrupted. {stop}\n")
        status = 130
    except BaseException:
        traceback.print_exc()
        status = 99
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
