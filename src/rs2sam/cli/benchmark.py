"""`rs2sam benchmark`: what a model costs on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from rs2sam.backends import Precision
from rs2sam.cli.context import is_quiet
from rs2sam.cli.shell.completing import OUTPUT_FILE, complete_model

if TYPE_CHECKING:
    from rs2sam.benchmarking.subject import Subject

EPILOG = """\b
Measured one after the other: the published steps without fused attention, in
float32 and autocast (the baseline); this project's torch backend; what
--precision and --compile ask for; ONNX Runtime where the model has a graph.
Without torch only the last, and no agreement.

\b
Examples:
  rs2sam benchmark
  rs2sam benchmark rrsisd --device cuda --precision bf16 --compile --json h200.json
"""


@click.command(epilog=EPILOG)
@click.argument("model", default="compact", shell_complete=complete_model)
@click.option("--image", "images", metavar="FILE", multiple=True, help="Picture to ask about [default: a drawn scene].")
@click.option("--device", help="cpu, cuda, cuda:1 [default: a GPU where there is one].")
@click.option("--precision", type=click.Choice(get_args(Precision)), default="float32", show_default=True)
@click.option("--compile", "compiled", is_flag=True, help="Also torch.compile, with CUDA graphs on a GPU.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: all cores].")
@click.option("--seconds", type=click.FloatRange(min=0), default=2.0, show_default=True, help="Reading of each figure.")
@click.option("--max-batch", type=click.IntRange(min=1), default=16, show_default=True)
@click.option("--only", metavar="NAME", multiple=True, help="Candidate to measure, e.g. 'onnx' [default: all].")
@click.option("--json", "json_file", metavar="FILE", type=OUTPUT_FILE, help="Write all.")
@click.pass_context
def benchmark(
    ctx: click.Context, /, model: str, images: tuple[str, ...], json_file: Path | None, **options: Any
) -> None:
    """Measure what MODEL costs on this machine: time, memory, share of its limit, agreement."""
    from rs2sam.benchmarking.run import BenchmarkOptions, run_benchmark
    from rs2sam.benchmarking.table import as_text
    from rs2sam.datasets.staging import check_file_free, staged_file

    if json_file is not None:  # said before minutes of measuring, not after
        check_file_free(json_file, overwrite=True)

    quiet = is_quiet(ctx)

    def show(what: str) -> None:
        if not quiet:
            click.echo(f"measuring: {what}", err=True)

    report = run_benchmark(_subject(model, images), BenchmarkOptions(**options), show)
    if json_file is not None:
        with staged_file(json_file, overwrite=True) as partial:
            partial.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    click.echo(as_text(report))


def _subject(model: str, images: tuple[str, ...]) -> Subject:
    """The model with the pictures that were given, or the scene that `rs2sam demo-scene` draws."""
    from rs2sam.backends.processors import load_processor
    from rs2sam.benchmarking.subject import SENTENCES, Subject
    from rs2sam.imaging import read_image
    from rs2sam.language.concepts import noun_phrase
    from rs2sam.models.weights.hub import resolve_model

    folder = resolve_model(model).folder
    if images:
        pictures = tuple(read_image(image) for image in images)
    else:
        from rs2sam.datasets.synthetic.showcase import showcase

        pictures = (showcase().pixels(),)
    processor = load_processor(folder)
    if not processor.reads_phrases:
        return Subject(folder, processor, pictures)
    return Subject(folder, processor, pictures, tuple(map(noun_phrase, SENTENCES)))
