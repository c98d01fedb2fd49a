"""`rs2sam refine`: the results of a run made again from the probabilities that it kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from rs2sam.cli.context import is_quiet
from rs2sam.cli.scene import outputs_from, result_options
from rs2sam.cli.segment import describe
from rs2sam.cli.shell.completing import FOLDER, complete_file

EPILOG = """\b
RESULT is STEM_result.json of a run with --keep-probabilities, or the folder
in which it is the only one. The image and the model are not needed.

\b
Files in DIR are those of `rs2sam segment`, and mask and polygons are byte for
byte what it writes with --keep-probabilities and these options. Options that
are left out have the defaults shown here, whatever the run had. In DIR =
the run's own folder, with --overwrite, the probabilities stay. The preview
shows the probabilities in grey, since the image is not read.

\b
Examples:
  rs2sam segment scene.tif "the roofs" -o out/ --keep-probabilities
  rs2sam refine out/ --threshold 0.6 --min-area 20m2 -o strict/
  rs2sam refine out/scene_result.json "the largest roof" -o largest/
  rs2sam refine out/ --simplify 0.5 --format geojson -o out/ --overwrite

\b
Exit codes: 0 done (also when nothing was found), 1 known error, 2 usage,
130 interrupted.
"""


@click.command(epilog=EPILOG)
@click.argument("result", shell_complete=complete_file)
@click.argument("sentence", nargs=-1)
@click.option("-o", "--output", "folder", metavar="DIR", required=True, type=FOLDER, help="Folder for the results.")
@result_options
@click.option("--json", "as_json", is_flag=True, help="Print the content of STEM_result.json to stdout.")
@click.pass_context
def refine(ctx: click.Context, /, result: str, sentence: tuple[str, ...], folder: Path, **options: Any) -> None:
    """Make the results of RESULT again from its probabilities, without the model.

    With every SENTENCE of the run, or with those that are given: sentences of the run, and others that differ from one
    in words that are decided afterwards, as "the largest roof" is beside "the roofs". A threshold is a multiple of
    0.005, the step in which probabilities are kept.
    """
    from rs2sam.scenes.refining.decide_again import refine as make_again

    report = make_again(
        result,
        folder,
        sentence or None,
        threshold=options["threshold"],
        min_area=options["min_area"],
        outputs=outputs_from(options),
    )
    if options["as_json"]:
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    elif not is_quiet(ctx):
        click.echo(describe(report))
