"""`rs2sam models` and `rs2sam convert`: what models there are, and how a foreign checkpoint becomes one."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rs2sam.cli.context import is_quiet
from rs2sam.cli.shell.completing import EXISTING_FILE, OUTPUT_FOLDER, complete_file
from rs2sam.errors import DataNotFoundError, MissingDependencyError, RS2SAMError, words_of
from rs2sam.fields import a_place, parse_json
from rs2sam.models.weights.hub import KNOWN_MODELS, ModelListing, list_models, resolve_model
from rs2sam.models.weights.kinds import refuse_concepts

if TYPE_CHECKING:
    from rs2sam.models.configuration import RS2SamConfig
    from rs2sam.models.weights.matching import ConversionReport

_INDENT: dict[str, Any] = {"initial_indent": "  ", "subsequent_indent": "         "}

DTYPES = ("float32", "float16", "bfloat16")

CONVERT_EPILOG = """\b
SOURCE is a folder that the published code saved, a file with its state dict
(.pt, .pth, .bin, .safetensors), a known name or a hub id, or a folder of
rs2sam itself, to change its dtype. Pickled files are opened weights-only:
code in them is never run.

\b
Examples:
  rs2sam convert rrsisd weights/rrsisd --dtype float16
  rs2sam convert pytorch_model.bin weights/mine --tokenizer beit3.spm
"""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable JSON.")
def models(as_json: bool) -> None:
    """List the models: where they are, how large, under which terms."""
    listings = list_models()
    if as_json:
        click.echo(json.dumps([_as_json(listing) for listing in listings], indent=2))
        return
    for listing in listings:
        click.echo(_as_text(listing))
    click.echo(
        "A folder that `rs2sam convert` wrote, one of a concept model and a hub id of such (owner/name) are models too."
    )


@click.command(epilog=CONVERT_EPILOG)
@click.argument("source", shell_complete=complete_file)
@click.argument("out", type=OUTPUT_FOLDER)
@click.option("--dtype", type=click.Choice(DTYPES), help="Of the weights written [default: as in SOURCE].")
@click.option(
    "--tokenizer",
    type=EXISTING_FILE,
    help="beit3.spm, an XLM-R tokenizer.json or a tokenizer.model [default: the one beside the weights].",
)
@click.option(
    "--config",
    "config_file",
    type=EXISTING_FILE,
    help="config.json of rs2sam with the sizes, if the tensors' shapes do not tell them.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it holds a model of rs2sam.")
@click.option("--json", "as_json", is_flag=True, help="Print machine-readable JSON.")
@click.pass_context
def convert(
    ctx: click.Context,
    source: str,
    out: Path,
    dtype: Any,
    tokenizer: Path | None,
    config_file: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Convert a published checkpoint to this project's format."""
    try:
        from rs2sam.models.weights.convert import convert as convert_checkpoint
    except ImportError as error:
        raise MissingDependencyError(error.name or "torch", "torch", "`rs2sam convert`") from error
    quiet = is_quiet(ctx)
    found = _source_path(source)
    refuse_concepts(found, "converted")
    report = convert_checkpoint(
        found,
        out,
        dtype=dtype,
        tokenizer=tokenizer,
        config=None if config_file is None else _read_config(config_file),
        overwrite=overwrite,
        show_progress=not quiet,
    )
    if as_json:
        click.echo(json.dumps(_report_as_json(report, out), indent=2))
    elif not quiet:
        click.echo(f"{report}\nwritten: {out}")


def _source_path(source: str) -> Path:
    """A path as it is; a name or hub id as the folder it is downloaded to."""
    path = a_place("SOURCE", source).expanduser()
    if source not in KNOWN_MODELS and path.exists():
        return path
    if source not in KNOWN_MODELS and (path.suffix or path.is_absolute() or source.startswith(".")):
        raise DataNotFoundError(f"SOURCE must be a file, a folder, a known name or a hub id: {source} does not exist.")
    return resolve_model(source, convert=False).folder


def _read_config(file: Path) -> RS2SamConfig:
    from rs2sam.models.configuration import RS2SamConfig

    try:
        values: dict[str, Any] = dict(parse_json(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise click.BadParameter(f"{file} is no JSON object: {error}", param_hint="--config") from error
    if values.get("model_type", RS2SamConfig.model_type) != RS2SamConfig.model_type:
        raise click.BadParameter(f"{file} is of model_type {values['model_type']}, not rs2sam", param_hint="--config")
    try:
        config: RS2SamConfig = RS2SamConfig.from_dict(values)
    except (RS2SAMError, MemoryError):
        raise
    except Exception as error:  # transformers meets odd entries with whatever exception they cause
        raise click.BadParameter(f"{file} has no sizes of a model: {words_of(error)}", param_hint="--config") from error
    return config


def _as_json(listing: ModelListing) -> dict[str, Any]:
    return {**asdict(listing), "folder": None if listing.folder is None else str(listing.folder)}


def _as_text(listing: ModelListing) -> str:
    size = "" if listing.size_bytes is None else f", {_size(listing.size_bytes)}"
    needs = {True: ", runs without torch", False: ", needs rs2sam[torch]", None: ""}[listing.runs_without_torch]
    lines = [
        listing.name,
        f"  {listing.summary}",
        f"  {listing.status}{size}{needs}",
        *([f"  where: {listing.folder}"] if listing.folder else []),
        f"  terms: {listing.terms}",
        *([textwrap.fill(f"finds: {', '.join(listing.classes)}", 88, **_INDENT)] if listing.classes else []),
    ]
    return "\n".join(lines) + "\n"


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def _report_as_json(report: ConversionReport, out: Path) -> dict[str, Any]:
    return {
        "source": report.source,
        "out": str(out),
        "num_parameters": report.num_elements,
        "mapped": dict(report.mapped),
        "dropped": dict(report.dropped),
        "missing": list(report.missing),
    }
