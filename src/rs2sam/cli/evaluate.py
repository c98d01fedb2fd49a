"""`rs2sam evaluate`: a dataset and a model in, a report folder out. `rs2sam compare`: what differs between two."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rs2sam.cli.context import is_quiet
from rs2sam.cli.data import FORMATS
from rs2sam.cli.shell.completing import FILE, FOLDER, READABLE, complete_file, complete_model
from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.fields import a_place

if TYPE_CHECKING:
    from rs2sam.backends import BackendName, Precision
    from rs2sam.datasets.base import Sample
    from rs2sam.evaluation.campaign import RunIdentity
    from rs2sam.evaluation.processes import Processes
    from rs2sam.metrics import Protocol
    from rs2sam.segmenter import Segmenter

EPILOG = """\b
Files in DIR:
  report.html    tables, plots and pictures in one file
  report.md      the tables
  report.json    every figure
  samples.jsonl  a line a sample: pixel counts, IoU, presence, predicted IoU
  masks/         with --save-masks: PNG, 255 found, 0 not
  run.json       what was evaluated

\b
Examples:
  rs2sam evaluate --dataset rrsisd --root DIR --model rrsisd
  rs2sam evaluate --dataset my-data/ --split val --protocol native -o out/
  torchrun --nproc-per-node 4 -m rs2sam evaluate --dataset DIR -o out/
  accelerate launch -m rs2sam evaluate --dataset DIR -o out/ --resume
"""

COMPARE_EPILOG = """\b
Examples:
  rs2sam compare runs/before runs/after
  rs2sam compare runs/before runs/after -o runs/difference
"""

COMPARE_FILES = ("compare.json", "compare.md")


@click.command(epilog=EPILOG)
@click.option(
    "--dataset",
    default="auto",
    show_default=True,
    metavar="FORMAT|PATH",
    shell_complete=complete_file,
    help=f"{', '.join(FORMATS)} or auto, with --root; or the dataset itself, its format recognised.",
)
@click.option("--root", metavar="DIR", type=FILE, help="Folder (or file) of the dataset.")
@click.option("--split", help="Which samples [default: test where there is one; all where there are no splits].")
@click.option(
    "--model",
    default="compact",
    show_default=True,
    shell_complete=complete_model,
    help="Name, folder or hub id; `rs2sam models` lists the names.",
)
@click.option(
    "--protocol",
    type=click.Choice(["published", "native"]),
    default="published",
    show_default=True,
    help="At the model's size, as published tables count; or at the image's own size, where an empty answer to an "
    "empty target is right.",
)
@click.option(
    "-o", "--output", "folder", metavar="DIR", type=FOLDER, help="Report folder [default: named after all of it]."
)
@click.option("--backend", type=click.Choice(["onnx", "torch"]), help="What runs the model [default: what it needs].")
@click.option("--device", help="Where it runs, e.g. cpu or cuda:0 [default: a GPU if the backend has one].")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bf16", "fp16"]),
    default="float32",
    show_default=True,
    help="Of weights and computation; bf16 and fp16 need the backend torch and are for GPUs.",
)
@click.option("--mirror", is_flag=True, help="Ask about the mirror image of every view too; takes twice as long.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads for the model [default: all cores].")
@click.option("--batch-size", type=click.IntRange(min=1), default=4, show_default=True, help="Samples read at once.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only N samples, evenly spread over the split.")
@click.option(
    "--gallery",
    type=click.IntRange(min=0),
    default=8,
    show_default=True,
    metavar="N",
    help="Pictures a gallery; 0: none.",
)
@click.option("--save-masks", is_flag=True, help="Write each prediction as PNG.")
@click.option("--resume", is_flag=True, help="Go on with the evaluation that DIR holds.")
@click.option("--overwrite", is_flag=True, help="Replace the evaluation that DIR holds.")
@click.option("--json", "as_json", is_flag=True, help="Print the content of report.json to stdout.")
@click.pass_context
def evaluate(ctx: click.Context, /, **options: Any) -> None:
    """Measure a model on a dataset; the report is a folder.

    The metric row stands beside published rows and two reference lines. Several processes, one for each GPU, are
    started by torchrun or `accelerate launch`; the figures are the same. A run that was cut short goes on with
    --resume.
    """
    quiet = is_quiet(ctx)
    as_json = options.pop("as_json")
    summary, folder = _Run(quiet=quiet or as_json, **options).execute()
    if summary is None:
        return
    if as_json:
        click.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    elif not quiet:
        click.echo(describe(summary, folder))


@dataclass(frozen=True)
class _Run:
    """One call of `rs2sam evaluate`; the fields are its options."""

    quiet: bool
    dataset: str
    root: Path | None
    split: str | None
    model: str
    protocol: Protocol
    folder: Path | None
    backend: BackendName | None
    device: str | None
    precision: Precision
    mirror: bool
    threads: int | None
    batch_size: int
    limit: int | None
    gallery: int
    save_masks: bool
    resume: bool
    overwrite: bool

    def execute(self) -> tuple[dict[str, Any] | None, Path]:
        """Do it, cheapest checks first; returns the content of `report.json` (None but in the first process)."""
        from rs2sam.datasets.readers.reading import open_dataset
        from rs2sam.evaluation.campaign import Campaign, RunOptions, spread_evenly
        from rs2sam.evaluation.run_folder import safe_name
        from rs2sam.versions import versions

        if self.resume and self.overwrite:
            raise click.UsageError("--resume goes on and --overwrite starts afresh: give one of them.")
        root, form = self._place()
        data = open_dataset(root, form)
        split = choose_split(self.split, data.splits)
        samples = spread_evenly(data.samples(split), self.limit)
        name = root.resolve().name
        model = model_title(self.model)
        folder = self.folder or Path(safe_name("-".join(self._parts_of_name(name, split, model)).lower()))
        check_apart(folder, root)
        options = RunOptions(
            batch_size=self.batch_size,
            gallery_size=self.gallery,
            save_masks=self.save_masks,
            resume=self.resume,
            overwrite=self.overwrite,
            quiet=self.quiet,
            versions=versions(),
        )
        processes = join_processes(on_cpu=self.device == "cpu" or self.backend == "onnx")
        try:
            identity = self._identity(name, data.format, split, samples)
            return Campaign(self._load, samples, identity, folder, options, processes).run(), folder
        finally:
            processes.close()

    def _place(self) -> tuple[Path, str | None]:
        """Where the dataset is, and its format; None: to be recognised."""
        if self.dataset in FORMATS or self.dataset == "auto":
            if self.root is None:
                raise InvalidInputError(
                    f"`--dataset {self.dataset}` needs the place of the data: add --root DIR, or give the folder "
                    "itself as --dataset DIR."
                )
            return self.root, None if self.dataset == "auto" else self.dataset
        if self.root is not None:
            raise InvalidInputError(
                f"With --root, `--dataset` names a format ({', '.join(FORMATS)} or auto), received {self.dataset!r}."
            )
        if not a_place("--dataset", self.dataset).exists():
            raise DataNotFoundError(
                f"`--dataset` must be a format ({', '.join(FORMATS)}, auto) or a place, but {self.dataset!r} is "
                "neither. Check the path."
            )
        return Path(self.dataset), None

    def _parts_of_name(self, data: str, split: str | None, model: str) -> list[str]:
        """Name of the report's folder: what is evaluated, and how where it is not as by default."""
        parts = ["evaluation", data, split or "all", model]
        unusual = (self.protocol, "published"), (self.precision, "float32"), (self.limit, None)
        parts += [str(value) for value, usual in unusual if value != usual]
        return [*parts, "mirrored"] if self.mirror else parts

    def _load(self, device: str | None) -> Segmenter:
        """The model, on the device that was asked for or else on the process's own."""
        from rs2sam.cli.scene import load_segmenter

        place = self.device or (None if self.backend == "onnx" else device)
        segmenter = load_segmenter(self.model, self.backend, place, self.threads, self.precision)
        if not self.mirror:
            return segmenter
        from rs2sam.mirror import MirroringSegmenter

        return MirroringSegmenter(segmenter)

    def _identity(self, data: str, form: str, split: str | None, samples: list[Sample]) -> Callable[[], RunIdentity]:
        """Makes the identity, which reads the weights, when it is asked for."""

        def identity() -> RunIdentity:
            """What the results depend on."""
            from rs2sam.evaluation.campaign import RunIdentity, hash_folder, hash_samples
            from rs2sam.models.weights.hub import resolve_model

            return RunIdentity(
                model=model_title(self.model),
                weights_sha256=hash_folder(resolve_model(self.model).folder),
                data=data,
                dataset=form,
                split=split,
                limit=self.limit,
                protocol=self.protocol,
                num_samples=len(samples),
                samples_sha256=hash_samples(samples),
                precision=self.precision,
                mirrored=self.mirror,
            )

        return identity


def model_title(name: str) -> str:
    """What a report calls a model: its name, or of a folder the last part that says something."""
    folder = Path(name)
    if not folder.is_dir():
        return name
    parts = folder.resolve().parts
    # A training run calls them all alike.
    alike = parts[-1] in ("model", "best") or parts[-1].startswith("checkpoint-")
    return "/".join(parts[-2:]) if alike else parts[-1]


def choose_split(wanted: str | None, splits: tuple[str, ...]) -> str | None:
    """The split to evaluate; None: all samples.

    Raises:
        InvalidInputError: there is no such split, or one must be named.
    """
    if wanted == "all" and wanted not in splits:
        return None
    names = ", ".join(splits) or "none"
    if wanted is not None:
        if wanted not in splits:
            raise InvalidInputError(f"The split must be one of the dataset's ({names}) or `all`, received {wanted!r}.")
        return wanted
    if not splits or "test" in splits:
        return "test" if splits else None
    raise InvalidInputError(f"The dataset has no split `test`. Name one of its splits ({names}) by --split, or `all`.")


def check_apart(folder: Path, root: Path) -> None:
    """Refuse a report in the dataset's own folder, where `samples.jsonl` and `masks/` would be taken for data."""
    if folder.resolve() == (root.resolve().parent if root.is_file() else root.resolve()):
        raise InvalidInputError(
            f"A report is written to a folder of its own, received the dataset's: {folder}. Choose another, or one "
            "inside it."
        )


def join_processes(*, on_cpu: bool) -> Processes:
    """The processes that a launcher started, or this one alone."""
    from rs2sam.evaluation.processes import LaunchedProcesses, SingleProcess

    # Set by torchrun and `accelerate launch`.
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return LaunchedProcesses(on_cpu=on_cpu)
    return SingleProcess()


def describe(summary: dict[str, Any], folder: Path) -> str:
    """The metric row and where the rest is."""
    from rs2sam.evaluation.markdown import main_table, published_note, subtitle, title

    note = published_note(summary)
    parts = [title(summary), subtitle(summary), "", main_table(summary).as_markdown().replace("**", ""), ""]
    return "\n".join([*parts, *([note] if note else []), f"wrote to {folder}: report.html, report.md, report.json"])


@click.command(epilog=COMPARE_EPILOG)
@click.argument("a", type=READABLE)
@click.argument("b", type=READABLE)
@click.option("-o", "--output", "folder", metavar="DIR", type=FOLDER, help="Folder for compare.json and compare.md.")
@click.option("--common", is_flag=True, help="Compare over the samples that both have, where they differ.")
@click.option("--draws", type=click.IntRange(min=1), default=2000, show_default=True, help="Of the bootstrap.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@click.option(
    "--most", type=click.IntRange(min=0), default=10, show_default=True, help="Samples listed as changed most."
)
@click.option("--overwrite", is_flag=True, help="Replace a comparison in DIR.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of Markdown.")
@click.pass_context
def compare(
    ctx: click.Context,
    /,
    a: Path,
    b: Path,
    folder: Path | None,
    common: bool,
    draws: int,
    seed: int,
    most: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Compare two report folders of `rs2sam evaluate`: B against A.

    Each difference has a 95 % interval from a paired bootstrap over the images.
    """
    from rs2sam.evaluation.comparing import compare as compare_sides
    from rs2sam.evaluation.comparing import comparison_as_markdown, read_sides
    from rs2sam.evaluation.run_folder import write_whole

    if folder is not None:
        _check_comparison(folder, overwrite=overwrite)
    found = compare_sides(*read_sides(a, b), common=common, seed=seed, draws=draws, most=most)
    as_text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    as_words = comparison_as_markdown(found)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in zip(COMPARE_FILES, (as_text, as_words), strict=True):
            write_whole(folder / name, content)
    if as_json or not is_quiet(ctx):
        click.echo(as_text if as_json else as_words, nl=False)


def _check_comparison(folder: Path, *, overwrite: bool) -> None:
    """Whether the folder may be written."""
    if folder.exists() and not folder.is_dir():
        raise InvalidInputError(f"The output must be a folder, but {folder} is a file. Choose another name.")
    there = [name for name in COMPARE_FILES if (folder / name).exists()]
    if there and not overwrite:
        raise InvalidInputError(
            f"{folder} holds a comparison already ({', '.join(there)}). Replace it by --overwrite, or choose another "
            "folder."
        )
