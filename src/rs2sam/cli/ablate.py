"""`rs2sam ablate`: a recipe in, the paper's ablation table out."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rs2sam.cli.context import is_quiet
from rs2sam.cli.shell.completing import FOLDER, READABLE
from rs2sam.errors import InvalidInputError, TrainingError, require

if TYPE_CHECKING:
    from rs2sam.metrics import Protocol
    from rs2sam.training.ablation.runs import EvaluationSettings
    from rs2sam.training.ablation.table import Outcome
    from rs2sam.training.ablation.variants import ParameterCounts, Run
    from rs2sam.training.recipes.settings import Recipe

EPILOG = """\b
--grid takes, and may be given several times:
  paper           the ten rows of the paper's tables (the default)
  components, fusion, mask-prompt, boundary-loss, all
  NAME,NAME       single rows: baseline, boundary, prompt, bhfm, full,
                  linear, one-directional, no-decoder-fusion, no-in-encoder,
                  plain-prompt, no-fusion-layer, no-boundary,
                  published-boundary, soft-boundary, as-is
  KEY=V,V         values of a recipe's key, for every row

\b
Files in DIR:
  ablation.md, ablation.json   the table so far
  RUN/                         recipe, checkpoints, model, log, report

\b
Examples:
  rs2sam ablate recipes/refsegrs-paper.yaml --set data.dataset=DIR --dry-run
  rs2sam ablate recipes/ablation-toy.yaml --set data.root=DIR -o runs/ablation --seeds 0,1,2
  rs2sam ablate my.yaml -o out/ --grid full,linear --grid optimizer.learning_rate=1e-4,3e-4
  rs2sam ablate my.yaml -o out/ --launcher "torchrun --nproc-per-node 8"
"""


@click.command(epilog=EPILOG)
@click.argument("recipe", type=READABLE)
@click.option("-o", "--output", "folder", metavar="DIR", type=FOLDER, help="Folder of runs and table.")
@click.option("--grid", multiple=True, metavar="WHAT", help="Which rows; see below.")
@click.option("--seeds", default="0", show_default=True, help="Seeds of every row, commas between them.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one value of the recipe.")
@click.option("--split", help="What the models are evaluated on [default: the recipe's `data.val_split`].")
@click.option(
    "--protocol",
    type=click.Choice(["published", "native"]),
    default="published",
    show_default=True,
    help="Of the evaluation; see `rs2sam evaluate`.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Evaluate on N samples, evenly spread.")
@click.option("--batch-size", type=click.IntRange(min=1), default=4, show_default=True, help="Of the evaluation.")
@click.option("--device", help="Of the evaluation, e.g. cpu or cuda:0 [default: a GPU if there is one].")
@click.option("--launcher", help="What starts each training [default: this Python], e.g. torchrun with its options.")
@click.option("--overwrite", is_flag=True, help="Do all runs of the grid anew.")
@click.option("--dry-run", is_flag=True, help="List the runs with their parameters and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the content of ablation.json to stdout.")
@click.pass_context
def ablate(ctx: click.Context, /, **options: Any) -> None:
    """Train a grid of variants of RECIPE and print the paper's table.

    Runs are done one after the other, each in a folder of its own. The same command again does what is left: finished
    runs are kept, begun ones go on. A run that fails is reported at the end, and the others are done.
    """
    for library in ("torch", "transformers", "accelerate", "yaml"):
        require(library, "train", "training")
    job = _Job(quiet=is_quiet(ctx), **options)
    failed = job.execute()
    if failed:
        names = ", ".join(outcome.run.name for outcome in failed)
        raise TrainingError(
            f"{len(failed)} of the runs failed, for the reasons below the table: {names}. The same command again tries "
            "only these."
        )


@dataclass(frozen=True)
class _Job:
    """One call of `rs2sam ablate`; the fields are its options."""

    quiet: bool
    recipe: Path
    folder: Path | None
    grid: tuple[str, ...]
    seeds: str
    overrides: tuple[str, ...]
    split: str | None
    protocol: Protocol
    limit: int | None
    batch_size: int
    device: str | None
    launcher: str | None
    overwrite: bool
    dry_run: bool
    as_json: bool

    def execute(self) -> list[Outcome]:
        """Do it, cheapest checks first; returns the runs that failed."""
        from rs2sam.training.ablation.runs import check_folders, discard
        from rs2sam.training.ablation.table import plan_as_markdown
        from rs2sam.training.ablation.variants import count_rows, plan
        from rs2sam.training.initial import check_start
        from rs2sam.training.recipes.settings import load_recipe

        recipe = load_recipe(self.recipe, self.overrides)
        runs = plan(recipe, self.grid, parse_seeds(self.seeds))
        counts = count_rows(runs)
        if self.dry_run:
            self._print_plan(plan_as_markdown(runs, counts), counts)
            return []
        if self.folder is None:
            raise click.UsageError("Missing option '-o' / '--output': the folder of the runs (or --dry-run).")
        if self.folder.exists() and not self.folder.is_dir():
            raise InvalidInputError(f"The output must be a folder, but {self.folder} is a file. Choose another name.")
        self._check_processes()
        check_start(recipe)
        if self.overwrite:
            discard(runs, self.folder)
        check_folders(runs, self.folder)
        settings = self._settings(recipe)
        self.folder.mkdir(parents=True, exist_ok=True)
        return self._do(runs, counts, settings, self.folder)

    @property
    def _launcher(self) -> list[str]:
        """What starts a Python module."""
        return shlex.split(self.launcher) if self.launcher else [sys.executable]

    def _check_processes(self) -> None:
        """This is one process, and what starts those of the trainings is there."""
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise InvalidInputError(
                "`rs2sam ablate` is one process, which starts each training: give torchrun or `accelerate launch` as "
                "--launcher instead of starting this command by it."
            )
        if shutil.which(self._launcher[0]) is None:
            raise InvalidInputError(
                f"--launcher must be a program, but `{self._launcher[0]}` is not there. Correct it."
            )

    def _do(
        self, runs: Sequence[Run], counts: Mapping[str, ParameterCounts], settings: EvaluationSettings, folder: Path
    ) -> list[Outcome]:
        """All runs, the table on disk after each."""
        from rs2sam.training.ablation.runs import LOG, do_run, train_by_command
        from rs2sam.training.ablation.table import METRICS, Outcome, as_markdown

        train = train_by_command(self._launcher)
        outcomes: list[Outcome] = []
        for number, run in enumerate(runs):
            self._say(f"[{number + 1}/{len(runs)}] {run.name}: {folder / run.name / LOG}")
            outcome = do_run(run, folder, train, settings)
            outcomes.append(outcome)
            figures = outcome.figures or {}
            said = "  ".join(f"{name} {100 * figures[name]:.2f}" for name in METRICS if name in figures)
            self._say(f"  {said}" if said else f"  failed: {outcome.error}")
            summary = self._write(
                [*outcomes, *(Outcome(left) for left in runs[number + 1 :])], counts, settings, folder
            )
        click.echo(
            json.dumps(summary, indent=2, ensure_ascii=False) if self.as_json else as_markdown(summary), nl=False
        )
        return [outcome for outcome in outcomes if outcome.error]

    def _write(
        self,
        outcomes: Sequence[Outcome],
        counts: Mapping[str, ParameterCounts],
        settings: EvaluationSettings,
        folder: Path,
    ) -> dict[str, Any]:
        """The two tables; returns what they say."""
        from rs2sam.evaluation.run_folder import write_whole
        from rs2sam.training.ablation.table import as_markdown, summarize

        summary = summarize(
            outcomes,
            counts,
            {
                "recipe": self.recipe.name,
                "overrides": list(self.overrides),
                "data": settings.data,
                "split": settings.split,
                "num_samples": len(settings.samples),
                "protocol": settings.protocol,
                "seeds": parse_seeds(self.seeds),
            },
        )
        write_whole(folder / "ablation.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
        write_whole(folder / "ablation.md", as_markdown(summary))
        return summary

    def _settings(self, recipe: Recipe) -> EvaluationSettings:
        """The samples that all runs are evaluated on."""
        from rs2sam.evaluation.campaign import spread_evenly
        from rs2sam.training.ablation.runs import EvaluationSettings
        from rs2sam.training.ablation.variants import EVALUATION_SEED
        from rs2sam.training.examples.draws import validation_samples

        split = self.split or recipe.data.val_split
        # Rendered scenes are made from the recipe's seed: all runs shall be asked about the same ones.
        shared = replace(recipe, seed=EVALUATION_SEED, data=replace(recipe.data, val_split=split))
        samples = spread_evenly(validation_samples(shared), self.limit)
        if not samples:
            raise InvalidInputError(f"the split {split!r} has no samples to evaluate on; name another with --split")
        place = recipe.data.dataset or recipe.data.root
        return EvaluationSettings(
            samples=samples,
            data="rendered scenes" if place is None else Path(place).resolve().name,
            form="rule-made" if recipe.data.dataset is None else _format_of(recipe.data.dataset),
            split=split,
            protocol=self.protocol,
            batch_size=self.batch_size,
            device=self.device,
            quiet=self.quiet,
        )

    def _print_plan(self, table: str, counts: Mapping[str, ParameterCounts]) -> None:
        """What `--dry-run` prints."""
        if self.as_json:
            table = json.dumps({name: vars(count) for name, count in counts.items()}, indent=2) + "\n"
        click.echo(table, nl=False)

    def _say(self, text: str) -> None:
        """Progress, on stderr."""
        if not self.quiet:
            click.echo(text, err=True)


def parse_seeds(text: str) -> list[int]:
    """`0,1,2` as numbers.

    Raises:
        InvalidInputError: something else.
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidInputError(
            f"`--seeds` takes whole numbers with commas between them, received {text!r}."
        ) from error


def _format_of(dataset: str) -> str:
    """Name of a data set's format, which decides whose published rows its reports show."""
    from rs2sam.datasets.readers.reading import open_dataset

    return open_dataset(dataset).format


if __name__ == "__main__":
    ablate()
