"""Seconds and peak memory of a training step: our ways beside a plain eager loop of the same model and loss.

    python -m benchmarks.speed.train_step                 # `hiera-compact` on the CPU at 256 and 512 px
    python -m benchmarks.speed.train_step --device cuda   # `large` on a GPU at 1024 px, as published: frozen trunk,
                                                          # bf16; with and without checkpointing, batches of 1 and 4
    python -m benchmarks.speed.train_step --device toy    # the same loops on the CPU, at toy size

`plain` is the baseline: float32, attention as two products with a softmax between, nothing stored anew. `eager` is a
loop as one would write it with this project's model in the recipe's precision, `compiled` the same with torch.compile,
`trainer` the Trainer of `rs2sam train`. Every figure is of a process of its own. All loops get the same ready-made
batches, so that data loading is in none (`benchmarks.speed.data_loading` has it), and must end with the same loss.
Writes benchmarks/results/train_step.json, where the other devices' figures stay.
"""

from __future__ import annotations

import argparse
import json
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

from benchmarks.files import COMPACT, RESULTS, write_json
from benchmarks.spread import spread
from rs2sam.benchmarking.machine import describe_machine

WARM_UP = 2
TOY = "toy"
LOOPS = {
    "cpu": ("trainer", "eager"),
    "cuda": ("plain", "eager", "compiled", "trainer"),
    TOY: ("plain", "eager", "compiled", "trainer"),
}
LARGE = {"preset": "large", "side": 1024, "precision": "bf16", "freeze_trunk": True}
CHECKPOINTING = {"activation_checkpointing": True}
CASES: dict[str, dict[str, dict[str, Any]]] = {
    "cpu": {
        "hiera-compact, 256 px": {"preset": "hiera-compact", "side": 256, "batch_size": 2},
        "hiera-compact, 512 px": {"preset": "hiera-compact", "side": 512, "batch_size": 2},
    },
    "cuda": {
        "large, 1024 px": LARGE,
        "large, 1024 px, checkpointing": LARGE | CHECKPOINTING,
        "large, 1024 px, batch 4": LARGE | {"batch_size": 4},
        "large, 1024 px, batch 4, checkpointing": LARGE | CHECKPOINTING | {"batch_size": 4},
    },
    TOY: {
        "hiera-compact, 64 px": {"preset": "hiera-compact", "side": 64, "precision": "bf16", "freeze_trunk": True},
        "hiera-compact, 64 px, checkpointing": {
            "preset": "hiera-compact",
            "side": 64,
            "precision": "bf16",
            "freeze_trunk": True,
            "activation_checkpointing": True,
        },
    },
}
LOSS_TOLERANCE = {"cpu": 1e-5, "cuda": 1e-2, TOY: 3e-2}
"""Relative difference of the last losses of any two loops; in bf16 they are not rounded alike."""


def recipe_of(case: dict[str, Any], steps: int) -> Any:
    """The recipe of a case: the published loss and rates."""
    from rs2sam.training.recipes.loss_settings import LossSettings
    from rs2sam.training.recipes.settings import DataRecipe, OptimizerRecipe, Recipe

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
    from rs2sam.training.examples.dataset import TrainingDraw

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
    from rs2sam.training.examples.dataset import ReferringDataset
    from rs2sam.training.initial import starting_point
    from rs2sam.training.objective.training_model import TrainingModel

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


def plain(case: dict[str, Any], steps: int, device: str) -> tuple[list[float], float]:
    """The baseline: the eager loop in float32, with unfused attention, all activations kept."""
    changed = case | {"precision": "float32", "activation_checkpointing": False}
    return eager(changed, steps, device, attention="eager")


def compiled(case: dict[str, Any], steps: int, device: str) -> tuple[list[float], float]:
    """The eager loop with the model compiled for its one shape."""
    return eager(case, steps, device, is_compiled=True)


def eager(
    case: dict[str, Any], steps: int, device: str, attention: str | None = None, is_compiled: bool = False
) -> tuple[list[float], float]:
    """A loop as one would write it: forward, backward, clip, step. Seconds of every step, and the last loss."""
    import torch

    from rs2sam.training.objective.optimization import make_optimizer, make_schedule

    recipe, training, dataset = prepared(case, steps)
    training.to(device).train()
    if attention is not None:
        training.rs2sam.set_attn_implementation(attention)
    if is_compiled:
        training.rs2sam.compile(dynamic=False)
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

    place = "cpu" if device == TOY else device
    run = {"trainer": trainer, "eager": eager, "plain": plain, "compiled": compiled}[loop]
    case = CASES[device][name]
    times, loss = run(case, steps + WARM_UP, place)
    found: dict[str, Any] = {"step_s": spread(times[WARM_UP:]), "last_loss": loss, "first_step_s": round(times[0], 3)}
    found["samples_per_s"] = round(case.get("batch_size", 1) / found["step_s"]["median"], 3)
    if device == "cuda":
        return found | {
            "gpu": torch.cuda.get_device_name(),
            "peak_gpu_memory_mib": round(torch.cuda.max_memory_allocated() / 2**20),
        }
    # Kibibytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return found | {"threads": torch.get_num_threads(), "peak_memory_mib": round(peak)}


def run_loop(device: str, name: str, loop: str, steps: int) -> dict[str, Any]:
    """One loop of one case in a process of its own; a failure (memory, compiler) is told in `error`."""
    command = [sys.executable, "-m", "benchmarks.speed.train_step", "--device", device, "--steps", str(steps)]
    run = subprocess.run([*command, "--one", name, loop], capture_output=True, text=True)
    if run.returncode:
        return {"error": run.stderr.strip().splitlines()[-1:] or [f"exit code {run.returncode}"]}
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def compared(device: str, found: dict[str, Any]) -> dict[str, Any]:
    """What the loops of a case say about each other; raises where two end with different losses."""
    done = {loop: found[loop] for loop in LOOPS[device] if "error" not in found[loop]}
    losses = {loop: one["last_loss"] for loop, one in done.items()}
    values = list(losses.values())
    if not np.allclose(values, values[:1], rtol=LOSS_TOLERANCE[device]):
        raise ValueError(f"The loops must end with one loss, but they end with {losses}.")
    seconds = {loop: one["step_s"]["median"] for loop, one in done.items()}
    result: dict[str, Any] = {}
    if "trainer" in done and "eager" in done:
        result["trainer_beside_eager"] = round(seconds["trainer"] / seconds["eager"], 3)
    if "plain" in done:
        others = {loop: value for loop, value in seconds.items() if loop != "plain"}
        result["times_as_fast_as_plain"] = {loop: round(seconds["plain"] / value, 2) for loop, value in others.items()}
    return result


def measured(device: str, steps: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every case of a device, each loop in a process of its own."""
    for name, case in CASES[device].items():
        found: dict[str, Any] = {"device": device, **case}
        found |= {loop: run_loop(device, name, loop, steps) for loop in LOOPS[device]}
        yield name, found | compared(device, found)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=tuple(CASES), default="cpu")
    parser.add_argument("--steps", type=int, default=10, help="steps measured, after two that are thrown away")
    parser.add_argument("--out", type=Path, default=RESULTS / "train_step.json")
    parser.add_argument("--one", nargs=2, metavar=("CASE", "LOOP"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure_here(arguments.device, *arguments.one, arguments.steps)))
        return
    before = json.loads(arguments.out.read_text(encoding="utf-8")) if arguments.out.is_file() else {}
    kept = {name: value for name, value in before.items() if name not in CASES[arguments.device]}
    kept[f"machine_{arguments.device}"] = describe_machine()
    kept["steps"] = arguments.steps
    for name, found in measured(arguments.device, arguments.steps):
        kept[name] = found
    print(json.dumps(kept, indent=1))
    write_json(kept, arguments.out)


if __name__ == "__main__":
    main()
