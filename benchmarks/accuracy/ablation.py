"""Train the rows of an ablation at toy size in one process, and say what each part is worth.

    python -m benchmarks.accuracy.ablation recipes/ablation-toy.yaml ../shared/data MODEL \
        benchmarks/results/ablation.json --runs runs/ablation [--seeds 1,2,3] [--rows full,linear]

The runs are those of `rs2sam ablate`; here they share one reading of the images and, for one seed, the very same
training examples, so that on one core the time goes into training. MODEL is the pretrained model that every row
starts from.
Stopped and started again it goes on where it was.
"""

from __future__ import annotations

import argparse
import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.files import write_json
from rs2sam.benchmarking.machine import describe_machine
from rs2sam.evaluation.campaign import spread_evenly
from rs2sam.training.ablation.runs import EvaluationSettings, do_run
from rs2sam.training.ablation.table import Outcome, as_markdown, summarize
from rs2sam.training.ablation.variants import EVALUATION_SEED, Run, count_rows, plan
from rs2sam.training.examples.dataset import Examples
from rs2sam.training.examples.draws import examples_of, validation_samples
from rs2sam.training.recipes.settings import Recipe, load_recipe
from rs2sam.training.trainer import train

ROWS = "full,published-recipe,no-boundary,one-directional,linear,no-decoder-fusion,no-in-encoder,bhfm"


class _Shared:
    """Training examples of one seed, drawn once for all rows."""

    def __init__(self) -> None:
        self.seed = -1
        self.examples = Examples(lambda index: None)  # type: ignore[arg-type, return-value]

    def of(self, recipe: Recipe) -> Examples:
        """The examples of a recipe's seed; those of the seed before are given up."""
        if self.seed != recipe.seed:
            found = examples_of(recipe)
            self.seed, self.examples = recipe.seed, replace(found, draw=functools.cache(found.draw))
        return self.examples


def settings_of(recipe: Recipe, limit: int) -> EvaluationSettings:
    """The sentences that all rows are measured on: of images of the validation split, by native IoU."""
    samples = spread_evenly(validation_samples(replace(recipe, seed=EVALUATION_SEED)), limit)
    return EvaluationSettings(
        samples, "real images", "rule-made", recipe.data.val_split, "native", 8, "cpu", quiet=True
    )


def main() -> None:
    """Parse the command line, train, measure, write after every run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("data", help="folder of annotated imagery")
    parser.add_argument("model", help="folder of the model that every row starts from")
    parser.add_argument("output", type=Path, help="JSON file to write")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--rows", default=ROWS)
    parser.add_argument("--limit", type=int, default=200, help="sentences that every row is measured on")
    parser.add_argument("--steps", type=int, help="of every run, instead of the recipe's")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    changes = [f"data.root={arguments.data}", f"init={arguments.model}"]
    changes += [f"steps={arguments.steps}"] if arguments.steps else []
    recipe = load_recipe(arguments.recipe, changes)
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    runs = plan(recipe, [arguments.rows], seeds)
    counts, settings, shared = count_rows(runs), settings_of(recipe, arguments.limit), _Shared()
    setting: dict[str, Any] = {
        "recipe": arguments.recipe.name,
        "steps": recipe.steps,
        "samples": recipe.steps * recipe.batch_size,
        "data": settings.data,
        "split": settings.split,
        "num_samples": len(settings.samples),
        "protocol": settings.protocol,
        "seeds": seeds,
        "machine": describe_machine(),
    }

    def train_here(run: Run) -> Any:
        def do(path: Path, output: Path, resume: bool, log: Path) -> None:
            train(run.recipe, shared.of(run.recipe), output, resume, quiet=True)

        return do

    outcomes: list[Outcome] = []
    for number, run in enumerate(runs):
        outcomes.append(do_run(run, arguments.runs, train_here(run), settings))
        figures = outcomes[-1].figures or {}
        print(run.name, f"{100 * figures['mIoU']:.2f}" if figures else outcomes[-1].error, flush=True)
        summary = summarize([*outcomes, *(Outcome(left) for left in runs[number + 1 :])], counts, setting)
        write_json(summary, arguments.output)
    print(as_markdown(summary))


if __name__ == "__main__":
    main()
