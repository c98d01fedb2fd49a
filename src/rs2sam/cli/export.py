"""`rs2sam export`: a model for programs without rs2sam."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from rs2sam.backends import Precision
from rs2sam.cli.context import is_quiet
from rs2sam.cli.shell.completing import OUTPUT_FOLDER, complete_model
from rs2sam.errors import require

if TYPE_CHECKING:
    _ToSize = click.ParamType[int | None]
else:
    # Generic only in newer releases of click than the lowest that is allowed.
    _ToSize = click.ParamType

FREE = "dynamic"
FORMATS = ("onnx", "torch-export", "aot")

EPILOG = """\b
onnx          for ONNX Runtime alone; see examples/onnx_only.py
torch-export  a program for torch alone (torch.export.load)
aot           compiled for this kind of machine, for torch alone

\b
Examples:
  rs2sam export compact out/compact --to onnx
  rs2sam export rrsisd out/one --to onnx --batch 1 --length 32
  rs2sam export rrsisd out/gpu --to aot --batch 8 --device cuda --precision bf16
"""


class _Size(_ToSize):
    """A number of at least 1, or `dynamic`."""

    name = "N|dynamic"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value in (None, FREE):
            return None
        try:
            return int(value)
        except ValueError:
            self.fail(f"must be a number or {FREE}, received {value!r}", param, ctx)


@click.command(epilog=EPILOG)
@click.argument("model", shell_complete=complete_model)
@click.argument("out", type=OUTPUT_FOLDER)
@click.option("--to", type=click.Choice(FORMATS), required=True)
@click.option("--batch", type=_Size(), default=FREE, help="Samples of a call [default: dynamic].")
@click.option("--length", type=_Size(), default=FREE, help="Tokens of a sentence, padded [default: dynamic].")
@click.option("--precision", type=click.Choice(get_args(Precision)), default="float32", show_default=True)
@click.option("--device", default="cpu", show_default=True, help="Where torch-export and aot will run.")
@click.option("--standard-operators", is_flag=True, help="onnx: none of ONNX Runtime's own, for other runtimes.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it is an export.")
@click.option("--json", "as_json", is_flag=True, help="Print the content of export.json.")
@click.pass_context
def export(
    ctx: click.Context, /, model: str, out: Path, batch: int | None, length: int | None, as_json: bool, **options: Any
) -> None:
    """Write MODEL into OUT for programs without rs2sam, checked against torch."""
    for library in ("torch", "transformers"):
        require(library, "export", "`rs2sam export`")
    from rs2sam.export.exported import Shapes
    from rs2sam.export.folder import ExportOptions, export_model

    def say(line: str) -> None:
        if not is_quiet(ctx):
            click.echo(f"export: {line}", err=True)

    report = export_model(model, out, ExportOptions(shapes=Shapes(batch, length), **options), say)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    elif not is_quiet(ctx):
        click.echo(f"wrote {out}: {report['format']}, checked against torch within {report['tolerance']:g}")
