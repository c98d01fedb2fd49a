"""Seconds and peak memory of a training step: our Trainer beside a plain eager loop of the same model and loss.

    python -m benchmarks.train_step                       # `compact` on the CPU at 256 and 512 px
    python -m benchmarks.train_step --device cuda         # `large` on a GPU at 1024 px, as published: batch of one,
                                                          # bf16, frozen trunk; with and without checkpointing

Every figure is of a process of its own. Both loops get the same ready-made batches, so that data loading is in neither
(benchmarks/data_loading.py has it), and must end with the same loss. Writes benchmarks/results/train_step.json, where
the other device's figures stay.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.machine import describe_machine
from benchmarks.segment import spread

RESULTS = Path(__file__).parent / "results" / "train_step.json"
COMPACT = Path(__file__).parents[1] / "src" / "rs2sam" / "weights" / "compact"
WARM_UP = 2
LOOPS = ("trainer", "eager")
CASES: dict[str, dict[str, dict[str, Any]]] = {
    "cpu": {
        "compact, 256 px": {"preset": "compact", "side": 256, "batch_size": 2},
        "compact, 512 px": {"preset": "compact", "side": 512, "batch_size": 2},
    },
    "cuda": {
        "large, 1024 px": {"preset": "large", "side": 1024, "precision": "bf16", "freeze_trunk": True},
        "large, 1024 px, checkpointing": {
            "preset": "large",
            "side": 1024,
            "precision": "bf16",
            "freeze_trunk": True,
            "activation_checkpointing": True,
        },
    },
}


def recipe_of(case: dict[str, Any], steps: int) -> Any:
    """The recipe of a case: the published loss and rates."""
    from rs2sam.training.losses import LossSettings
    from rs2sam.training.recipe import DataRecipe, OptimizerRecipe, Recipe

    given = {"batch_size": 1, "precision": "float32"} | case
    side = given.pop("side")
    return Recipe(
        tokenizer=str(COMPACT),
        steps=steps,
        save_every=steps + 1,
        data=DataRecipe(side=side, num_workers=0),
        loss=LossSettings(scope="sample"),
        optimizer=OptimizerRecipe(1e-5, 5e-5, warmup_steps=0, schedule="constant"),
        tensorboard=False,
        **given,
    )


def ready_made(side: int, count: int) -> Callable[[int], Any]:
    """Draws that cost nothing, from a few examples of noise."""
    from rs2sam.training.examples import TrainingDraw

    rng = np.random.default_rng(0)
    examples = []
    for number in range(4):
        mask = np.zeros((side, side), dtype=bool)
        mask[side // 4 : side // 2, side // 8 * number : side // 8 * number + side // 3] = True
        rgb = rng.integers(0, 255, (side, side, 3), dtype=np.uint8)
        examples.append(TrainingDraw(rgb, "the large storage tank on the left", mask, id=str(number)))
    return lambda index: examples[index % len(examples)]


def prepared(case: dict[str, Any], steps: int) -> tuple[Any, Any, Any]:
    """Recipe, what is trained, and ready-made data; the same in both loops."""
    import torch

    from rs2sam.processing import Processor
    from rs2sam.training.examples import ReferringDataset
    from rs2sam.training.initial import starting_point
    from rs2sam.training.objective import TrainingModel

    recipe = recipe_of(case, steps)
    torch.manual_seed(recipe.seed)
    model, processor = starting_point(recipe)
    side = recipe.data.side
    sized = Processor(replace(processor.config, image_size=side), processor.tokenizer)
    count = steps * recipe.batch_size
    dataset = ReferringDataset(ready_made(side, count), sized, count)
    made = [dataset[index] for index in range(4)]

    class ReadyMade(ReferringDataset):
        def __getitem__(self, index: int) -> dict[str, Any]:
            return made[index % len(made)]

    return recipe, TrainingModel(model, recipe, 0), ReadyMade(dataset.draw, sized, count)


def eager(case: dict[str, Any], steps: int, device: str) -> tuple[list[float], float]:
    """A loop as one would write it: forward, backward, clip, step. Seconds of every step, and the last loss."""
    import torch

    from rs2sam.training.optimization import make_optimizer, make_schedule

    recipe, training, dataset = prepared(case, steps)
    training.to(device).train()
    optimizer = make_optimizer(training, recipe)
    schedule = make_schedule(optimizer, recipe, steps)
    times, loss = [], torch.zeros(())
    for step in range(steps):
        start = time.perf_counter()
        first = step * recipe.batch_size
        batch = dataset.collate([dataset[index] for index in range(first, first + recipe.batch_size)])
        batch = {name: value.to(device) if hasattr(value, "to") else value for name, value in batch.items()}
        loss = training(batch)["total"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(training.parameters(), recipe.optimizer.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return times, loss.item()


def trainer(case: dict[str, Any], steps: int, device: str) -> tuple[list[float], float]:
    """Our Trainer without what there is to watch, and without checkpoints."""
    from transformers import TrainerCallback

    from rs2sam.training.trainer import RS2SamTrainer, training_arguments

    recipe, training, dataset = prepared(case, steps)
    ends: list[float] = []
    losses: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    class Measured(RS2SamTrainer):
        def take_in(self, terms: Any, ids: Any) -> None:
            super().take_in(terms, ids)
            losses.append(terms["loss"].item())

        def _save_checkpoint(self, *_: Any) -> None:
            """The last step's; nothing is kept."""

    with tempfile.TemporaryDirectory() as name:
        running = Measured(recipe, training, dataset, None, training_arguments(recipe, Path(name)))
        running.add_callback(Clock())
        running.train()
        if device == "cuda":
            import torch

            torch.cuda.synchronize()
    ends.append(time.perf_counter())
    return np.diff(ends).tolist(), losses[-1]


def measure_here(device: str, name: str, loop: str, steps: int) -> dict[str, Any]:
    """One case in this process."""
    import torch

    times, loss = {"trainer": trainer, "eager": eager}[loop](CASES[device][name], steps + WARM_UP, device)
    found: dict[str, Any] = {"step_s": spread(times[WARM_UP:]), "last_loss": loss}
    if device == "cuda":
        return found | {
            "gpu": torch.cuda.get_device_name(),
            "peak_gpu_memory_mib": round(torch.cuda.max_memory_allocated() / 2**20),
        }
    # Kibibytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return found | {"threads": torch.get_num_threads(), "peak_memory_mib": round(peak)}


def measured(device: str, steps: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every case of a device, each loop in a process of its own."""
    for name, case in CASES[device].items():
        found: dict[str, Any] = {"device": device, **case}
        for loop in LOOPS:
            command = [sys.executable, "-m", "benchmarks.train_step", "--device", device, "--steps", str(steps)]
            run = subprocess.run([*command, "--one", name, loop], stdout=subprocess.PIPE, text=True, check=True)
            found[loop] = json.loads(run.stdout.splitlines()[-1])
        losses = [found[loop]["last_loss"] for loop in LOOPS]
        if not np.isclose(*losses, rtol=1e-2 if device == "cuda" else 1e-5):
            raise SystemExit(f"{name}: the loops end with different losses, {losses}")
        ratio = found["trainer"]["step_s"]["median"] / found["eager"]["step_s"]["median"]
        yield name, found | {"trainer_beside_eager": round(ratio, 3)}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=tuple(CASES), default="cpu")
    parser.add_argument("--steps", type=int, default=10, help="steps measured, after two that are thrown away")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--one", nargs=2, metavar=("CASE", "LOOP"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if arguments.one:
        print(json.dumps(measure_here(arguments.device, *arguments.one, arguments.steps)))
        return
    before = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.is_file() else {}
    kept = {name: value for name, value in before.items() if name not in CASES[arguments.device]}
    kept[f"machine_{arguments.device}"] = describe_machine()
    kept["steps"] = arguments.steps
    for name, found in measured(arguments.device, arguments.steps):
        kept[name] = found
    text = json.dumps(kept, indent=2)
    print(text)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
