"""`rs2sam data`: look at, check, convert and make sets of images, sentences and masks."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rs2sam.cli.context import is_quiet
from rs2sam.cli.shell.completing import FILE, FOLDER, READABLE, complete_model
from rs2sam.cli.shell.groups import HelpfulGroup
from rs2sam.errors import InvalidInputError, RS2SAMError
from rs2sam.fields import a_place

if TYPE_CHECKING:
    from rs2sam.datasets.base import Sample
    from rs2sam.datasets.checks.inspection import TokenCounter
    from rs2sam.datasets.checks.report import DataReport
    from rs2sam.datasets.checks.sheet import Tile
    from rs2sam.datasets.readers.jsonl import ImageMode

logger = logging.getLogger(__name__)

FORMATS = ("rrsisd", "refsegrs", "jsonl", "coco")
SOURCES = (
    "nwpu_vhr10",
    "dubai_landcover",
    "swimming_pools",
    "openaerialmap_buildings",
    "roads",
    "airbus_aircraft",
    "airbus_oil_tanks",
    "cats_drone_vehicles",
    "dior_fewshot",
    "neon_tree_boxes",
    "dota_tiles",
    "isaid_samples",
    "barnarp_buildings",
    "dronedeploy_chips",
    "eth_cil_roads",
    "google_maps_nyc",
    "india_landcover",
    "massachusetts_roads",
    "s2_water_bodies",
)

EPILOG = """\b
Formats that are recognised (docs/data.md describes them):
  rrsisd     rrsisd/refs(unc).p, rrsisd/instances.json, images/rrsisd/JPEGImages/
  refsegrs   output_phrase_train.txt, ..., images/, masks/
  jsonl      *.jsonl, one object a line: image, sentence, mask or segmentation
  coco       instances.json with sentences, or refs.json beside it

\b
Examples:
  rs2sam data synth 50 synthetic/
  rs2sam data check synthetic/
  rs2sam data show synthetic/ sheet.png --split val
"""

CHECK_EPILOG = """\b
Errors (exit code 1): what cannot be read, masks of another size, blank or too
long sentences, equal ids, one image in several splits (leakage).
Warnings (exit code 0): images of different splits that look alike, equal
files or questions, samples in no split, empty masks, polygons that leave the
image, images that viewers turn (EXIF), masks nearly of the image's size.
"""

CONVERT_EPILOG = """\b
OUT/annotations.jsonl has one sample a line, masks as COCO run lengths, images
in OUT/images/. With --source DIR is a folder of annotated imagery without
sentences; sentences are made by rules, splits are by ground.

\b
Examples:
  rs2sam data convert RRSIS-D/ rrsisd-jsonl/ --images link
  rs2sam data convert data/nwpu_vhr10 nwpu/ --source nwpu_vhr10 --split val
"""

_Item = TypeVar("_Item")

format_option = click.option(
    "--format", "data_format", type=click.Choice(FORMATS), help="Of DIR [default: recognised by its files]."
)
seed_option = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of every draw.")
folder_argument = click.argument("folder", metavar="DIR", type=READABLE)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace OUT if it is there.")


@click.group(cls=HelpfulGroup, epilog=EPILOG)
def data() -> None:
    """Look at, check, convert and make sets of images, sentences and masks."""


@data.command(epilog=CHECK_EPILOG)
@folder_argument
@format_option
@click.option("--json", "json_file", metavar="FILE", type=FILE, help="Write all of it as JSON; `-`: to stdout.")
@click.option(
    "--model",
    default="compact",
    show_default=True,
    shell_complete=complete_model,
    help="Name or folder; its tokenizer counts tokens.",
)
@click.option("--list", "max_listed", type=click.IntRange(min=0), default=10, show_default=True, help="Places a rule.")
@click.option("--workers", type=click.IntRange(min=1), help="Threads that read [default: all cores, at most 8].")
@click.option("--overwrite", is_flag=True, help="Replace the JSON file if it is there.")
@click.pass_context
def check(ctx: click.Context, /, folder: Path, json_file: Path | None, **options: Any) -> None:
    """Read the whole data set in DIR, and report what is in it and what is wrong.

    Every image and every mask is read; what cannot be read is reported, and the reading goes on.
    """
    from rs2sam.datasets.staging import check_file_free, staged_file

    to_stdout = json_file is not None and str(json_file) == "-"
    if json_file is not None and not to_stdout:
        check_file_free(json_file, overwrite=options["overwrite"])
    report = _checked(folder, options, quiet=is_quiet(ctx))
    content = json.dumps(report.as_dict(), indent=2, ensure_ascii=False)
    if json_file is not None and not to_stdout:
        with staged_file(json_file, overwrite=options["overwrite"]) as partial:
            partial.write_text(content + "\n", encoding="utf-8")
    if to_stdout:
        click.echo(content)
    elif not is_quiet(ctx):
        click.echo(report.as_text(options["max_listed"]))
    num_errors = len(report.of_severity("error"))
    if num_errors:
        found = "1 error" if num_errors == 1 else f"{num_errors:,} errors"
        raise InvalidInputError(f"`{folder}` has {found}. Correct what is wrong, or take the samples out.")


@data.command(epilog=CONVERT_EPILOG)
@folder_argument
@click.argument("out", type=FOLDER)
@format_option
@click.option("--split", help="Only this split [default: all].")
@click.option(
    "--images",
    "image_mode",
    type=click.Choice(["copy", "link", "reference"]),
    default="copy",
    show_default=True,
    help="Copy the images, link to them, or leave them where they are.",
)
@click.option("--source", type=click.Choice(SOURCES), help="DIR is this annotated imagery; make the sentences.")
@click.option(
    "--per-kind",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="With --source: sentences of each kind in each split, as far as there are as many.",
)
@seed_option
@overwrite_option
@click.pass_context
def convert(
    ctx: click.Context,
    /,
    folder: Path,
    out: Path,
    data_format: str | None,
    split: str | None,
    image_mode: ImageMode,
    source: str | None,
    per_kind: int,
    seed: int,
    overwrite: bool,
) -> None:
    """Write the data set in DIR as referring JSONL to the folder OUT."""
    from rs2sam.datasets.making import source_samples
    from rs2sam.datasets.readers.reading import open_dataset

    if source is not None and data_format is not None:
        raise InvalidInputError("DIR is a data set (--format) or annotated imagery (--source), not both. Give one.")
    _refuse_nested(folder, out)
    samples = (
        open_dataset(folder, data_format).samples(split)
        if source is None
        else source_samples(source, folder, split, per_kind, seed)
    )
    _write(samples, len(samples), out, image_mode, overwrite, quiet=is_quiet(ctx))


@data.command()
@folder_argument
@click.argument("out", metavar="OUT.png", type=FILE)
@format_option
@click.option("--split", help="Only this split [default: all].")
@click.option("--count", type=click.IntRange(min=1), default=24, show_default=True, help="Samples, drawn at random.")
@click.option("--columns", type=click.IntRange(min=1), default=4, show_default=True, help="Pictures in a row.")
@click.option("--side", type=click.IntRange(64, 2048), default=300, show_default=True, help="Of a picture in pixels.")
@seed_option
@overwrite_option
@click.pass_context
def show(
    ctx: click.Context,
    /,
    folder: Path,
    out: Path,
    data_format: str | None,
    split: str | None,
    count: int,
    columns: int,
    side: int,
    seed: int,
    overwrite: bool,
) -> None:
    """Draw samples of the data set in DIR on a sheet: target outlined, sentence below."""
    from rs2sam.datasets.checks.sheet import chosen, draw_sheet
    from rs2sam.datasets.readers.reading import open_dataset
    from rs2sam.datasets.staging import check_file_free, staged_file

    if out.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise InvalidInputError(f"A sheet is a .png, .jpg or .webp, received {str(out)!r}. Choose such a name.")
    check_file_free(out, overwrite=overwrite)
    samples = chosen(open_dataset(folder, data_format).samples(split), count, seed)
    tiles = (_tile(sample) for sample in _bar(samples, len(samples), "show", "sample", quiet=is_quiet(ctx)))
    sheet = draw_sheet(tiles, side, columns)
    with staged_file(out, overwrite=overwrite) as partial:
        sheet.save(partial)
    _say(ctx, f"{out}  {len(samples)} samples, {sheet.width} x {sheet.height} px")


@data.command()
@click.argument("number", metavar="N", type=click.IntRange(min=1))
@click.argument("out", type=FOLDER)
@click.option("--side", type=click.IntRange(64, 4096), default=512, show_default=True, help="Of a scene in pixels.")
@click.option(
    "--per-image", type=click.IntRange(min=1), default=4, show_default=True, help="Sentences about each scene."
)
@seed_option
@overwrite_option
@click.pass_context
def synth(ctx: click.Context, /, number: int, out: Path, side: int, per_image: int, seed: int, overwrite: bool) -> None:
    """Render N scenes with sentences and masks as referring JSONL to the folder OUT.

    The last tenth of the scenes is the split test, the tenth before it val. Nothing in them is real, and nothing is
    downloaded; the same numbers give the same files.
    """
    from rs2sam.datasets.making import synthetic_samples

    samples = synthetic_samples(number, per_image, side, seed)
    _write(samples, number * per_image, out, "copy", overwrite, quiet=is_quiet(ctx))


def _checked(folder: Path, options: dict[str, Any], *, quiet: bool) -> DataReport:
    """Open a data set and check it."""
    from rs2sam.datasets.checks.inspection import check_dataset

    return check_dataset(
        folder,
        options["data_format"],
        _token_counter(options["model"]),
        options["workers"] or min(os.cpu_count() or 1, 8),
        lambda looks, total: _bar(looks, total, "check", "image", quiet=quiet),
    )


def _token_counter(model: str) -> TokenCounter:
    """Counts as the model of this name does."""
    from rs2sam.datasets.checks.inspection import TokenCounter
    from rs2sam.models.weights.hub import resolve_model
    from rs2sam.processing import Processor

    folder = Path(model) if a_place("--model", model).is_dir() else resolve_model(model).folder
    processor = Processor.from_folder(folder)
    return TokenCounter(
        model, processor.config.max_text_tokens, lambda sentence: len(processor.tokenizer.encode(sentence))
    )


def _write(
    samples: Iterable[Sample], total: int, out: Path, image_mode: ImageMode, overwrite: bool, *, quiet: bool
) -> None:
    """Write samples as referring JSONL: the whole folder or none of it."""
    from rs2sam.datasets.readers.jsonl import write_jsonl
    from rs2sam.datasets.staging import staged_folder

    counts: dict[str, int] = {}

    def counted() -> Iterator[Sample]:
        for sample in _bar(samples, total, "write", "sample", quiet=quiet):
            counts[sample.split or "no split"] = counts.get(sample.split or "no split", 0) + 1
            yield sample

    with staged_folder(out, overwrite=overwrite, may_replace=_is_written_by_us) as partial:
        write_jsonl(counted(), partial, image_mode)
    if not quiet:
        parts = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        click.echo(f"{out}  {sum(counts.values()):,} samples ({parts})", err=True)


def _is_written_by_us(folder: Path) -> bool:
    """Whether a folder holds what `write_jsonl` writes and nothing else."""
    from rs2sam.datasets.readers.jsonl import FILE_NAME

    return (folder / FILE_NAME).is_file() and {path.name for path in folder.iterdir()} <= {FILE_NAME, "images"}


def _refuse_nested(folder: Path, out: Path) -> None:
    """Refuse a result inside its source, or around it: neither could be read again or replaced safely."""
    source, target = folder.resolve(), out.resolve()
    if source == target or source in target.parents or target in source.parents:
        raise InvalidInputError(f"OUT lies beside DIR, neither inside nor around it: received {folder} and {out}.")


def _tile(sample: Sample) -> Tile:
    """A sample's picture; a grey one with the reason where it cannot be read."""
    import numpy as np

    from rs2sam.datasets.checks.sheet import Tile, sample_tile

    try:
        return sample_tile(sample)
    except RS2SAMError as error:
        logger.warning("%s", error)
        grey = np.full((64, 64, 3), 160, np.uint8)
        return Tile(grey, (), sample.sentence, sample.id, "cannot be read")


def _bar(items: Iterable[_Item], total: int, label: str, unit: str, *, quiet: bool) -> Iterable[_Item]:
    """A bar on stderr; silent when stderr is no terminal."""
    from tqdm import tqdm

    return tqdm(items, total=total, desc=label, unit=unit, disable=True if quiet else None)


def _say(ctx: click.Context, text: str) -> None:
    """A line on stderr, unless all should be quiet."""
    if not is_quiet(ctx):
        click.echo(text, err=True)
