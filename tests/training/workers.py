"""Training runs in processes of their own, which may be killed, run out of disk or be told to stop.

    python -m tests.training.workers TASKS.json          # each task in a fork of one process that has loaded torch
    torchrun ... -m tests.training.workers --here TASKS.json

A task is a mapping; see `run`. What forked ones ended with is printed as a JSON list. Forks that train together are as
torchrun starts them, without the seconds in which each of its processes loads torch.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from rs2sam.errors import RS2SAMError
from rs2sam.training.examples.dataset import Examples
from rs2sam.training.keeping import safety
from rs2sam.training.keeping.record import plain_values
from rs2sam.training.objective.training_model import TrainingModel
from rs2sam.training.recipes.settings import Recipe
from rs2sam.training.recipes.strict import build
from rs2sam.training.reporting import watch
from rs2sam.training.trainer import train
from tests.conftest import REPOSITORY
from tests.training.toy import NUM_CLASSES, toy_draw, toy_recipe

LOSSES = "losses.txt"
EVENTS = "events.txt"
SAID = "said.txt"
TIMEOUT_S = 280
TIMEOUT_OF_A_TASK_S = 60
"""More than a task takes where eight processes share a core."""


def losses(output_dir: Path, process: int = 0) -> dict[int, str]:
    """Loss of every step in a process; the last time it was computed, where it was computed again."""
    path = output_dir.parent / f"{output_dir.name}-{LOSSES}.{process}"
    return {int(step): value for step, value in map(str.split, path.read_text().splitlines())}


def start(tasks: Sequence[Mapping[str, Any]], folder: Path) -> list[int]:
    """Run tasks one after another; returns what each ended with, -9 for a kill.

    A task with `num_processes` is run in as many that train together, and ends with what the first that failed did.
    """
    plan = folder / "tasks.json"
    plan.write_text(json.dumps(list(tasks)), encoding="utf-8")
    command = [sys.executable, "-m", "tests.training.workers", str(plan)]
    limit = max(TIMEOUT_S, TIMEOUT_OF_A_TASK_S * len(tasks))
    # As torchrun has it: `torch.set_num_threads` is not for the threads that a library starts in a fork.
    surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
    found = subprocess.run(
        command, cwd=REPOSITORY, env=surroundings, capture_output=True, text=True, timeout=limit, check=False
    )
    assert found.returncode == 0, found.stderr
    return list(json.loads(found.stdout.splitlines()[-1]))


def start_together(task: Mapping[str, Any], num_processes: int) -> subprocess.CompletedProcess[str]:
    """Run a task in processes that train together, as torchrun starts and stops them."""
    out = Path(task["out"])
    plan = out.parent / f"{out.name}-task.json"
    plan.write_text(json.dumps(task), encoding="utf-8")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num_processes)]
    command = [sys.executable, *launch, "-m", "tests.training.workers", "--here", str(plan)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


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

    def around(self, function: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        """A function with something before and something after it; its arguments name it."""

        def surrounded(*arguments: Any, **keywords: Any) -> Any:
            called = name(*arguments)
            self.happen(f"before {called}")
            result = function(*arguments, **keywords)
            self.happen(f"after {called}")
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
        os.replace = self.around(os.replace, lambda _, new: f"renaming to {Path(new).name.rstrip('0123456789')}")
        shutil.rmtree = self.deleting
        safety.SafeTrainer.take_in = self.around(safety.SafeTrainer.take_in, lambda *_: "a loss")


REMOVE = shutil.rmtree
FULL_RECIPE: dict[str, Any] = {
    "tensorboard": False,
    "auxiliary.pseudo_mask": 0.5,
    "auxiliary.semantic": 0.5,
    "optimizer.new_learning_rate": 2e-3,
    "optimizer.warmup_steps": 2,
    "optimizer.ema_decay": 0.5,
    "loss.scope": "sample",
    "loss.presence": 0.1,
    "loss.score": 0.1,
}


def run(task: Mapping[str, Any]) -> None:
    """Train the toy model.

    Args:
        task: `init`, `out`; optional: `resume`, `recipe` (changes, with dotted keys), `noise` (by default there is
            some), `kill_at` and `kill_process` (by default any), `trouble` (see `TROUBLE`), `num_processes`
            (see `start`).
    """
    out, rank = Path(task["out"]), int(os.environ.get("RANK", "0"))
    values = plain_values(toy_recipe(Path(task["init"])))
    for key, value in (FULL_RECIPE | task.get("recipe", {})).items():
        *groups, last = key.split(".")
        group = values
        for name in groups:
            group = group[name]
        group[last] = value
    if task.get("noise", True):
        # Something that depends on the state of torch's generator, as dropout would.
        torch.nn.modules.module.register_module_forward_pre_hook(_noise)
    _write_losses(out.parent / f"{out.name}-{LOSSES}")
    kill_at = task.get("kill_at") if rank == task.get("kill_process", rank) else None
    Events(out.parent / f"{out.name}-{rank}-{EVENTS}", kill_at).watch()
    watch.draw_curves = lambda *_: None  # seconds of matplotlib in every process
    draw = TROUBLE[task["trouble"]]() if "trouble" in task else toy_draw
    train(build(Recipe, values), Examples(draw, NUM_CLASSES), out, bool(task.get("resume")), quiet=True)


def _noise(module: torch.nn.Module, arguments: Any) -> Any:
    if not isinstance(module, TrainingModel):
        return None
    inputs, *rest = arguments
    images = inputs["pixel_values"]
    return (inputs | {"pixel_values": images + 0.01 * torch.randn_like(images)}, *rest)


def _write_losses(path: Path) -> None:
    """Write every step's loss down to the last bit, each process its own."""
    take_in = safety.SafeTrainer.take_in

    def writing(self: Any, terms: Any, ids: Any) -> None:
        take_in(self, terms, ids)
        with path.with_name(f"{path.name}.{self.args.process_index}").open("a") as file:
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
        from rs2sam.datasets.images import load_pixels

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
        processes = [_fork(task, surroundings) for surroundings in _surroundings(task.get("num_processes", 1))]
        codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
        ends.append(next(filter(None, codes), 0))
    print(json.dumps(ends))


def _surroundings(num_processes: int) -> list[dict[str, str]]:
    """The environment that torchrun would give to each of some processes; nothing for one alone."""
    if num_processes == 1:
        return [{}]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": str(num_processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(num_processes)]


def _fork(task: Mapping[str, Any], surroundings: Mapping[str, str]) -> int:
    """The number of a process that runs a task."""
    process = os.fork()
    if process == 0:
        os.environ.update(surroundings)
        _child(task)
    return process


def _child(task: Mapping[str, Any]) -> None:
    """Ends as `rs2sam.cli.main` does, with what the first process said in a file."""
    out, rank = Path(task["out"]), os.environ.get("RANK", "0")
    name = f"{out.name}-{SAID}" if rank == "0" else f"{out.name}-{rank}-{SAID}"
    file = os.open(out.parent / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
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
