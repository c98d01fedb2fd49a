"""`rs2sam compare`: what differs between two report folders, and whether by more than chance."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rs2sam.cli.context import is_quiet
from rs2sam.errors import InvalidInputError

FILES = ("compare.json", "compare.md")

EPILOG = """\b
Examples:
  rs2sam compare runs/before runs/after
  rs2sam compare runs/before runs/after -o runs/difference
"""


@click.command(epilog=EPILOG)
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", metavar="DIR", type=Path, help="Folder for compare.json and compare.md.")
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
        _check_output(folder, overwrite=overwrite)
    found = compare_sides(*read_sides(a, b), common=common, seed=seed, draws=draws, most=most)
    as_text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    as_words = comparison_as_markdown(found)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in zip(FILES, (as_text, as_words), strict=True):
            write_whole(folder / name, content)
    if as_json or not is_quiet(ctx):
        click.echo(as_text if as_json else as_words, nl=False)


def _check_output(folder: Path, *, overwrite: bool) -> None:
    """Whether the folder may be written."""
    if folder.exists() and not folder.is_dir():
        raise InvalidInputError(f"The output must be a folder, but {folder} is a file. Choose another name.")
    there = [name for name in FILES if (folder / name).exists()]
    if there and not overwrite:
        raise InvalidInputError(
            f"{folder} holds a comparison already ({', '.join(there)}). Replace it by --overwrite, or choose another "
            "folder."
        )
