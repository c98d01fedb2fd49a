"""`rs2sam segment`: parse, read, ask the model, write. Everything it does is in `rs2sam.raster` and the segmenter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rs2sam.cli.context import is_quiet, say_progress, says_progress_in_lines
from rs2sam.cli.scene import all_sentences, load_segmenter, scene_options, settings_from
from rs2sam.cli.shell.completing import FILE, FOLDER, complete_file
from rs2sam.errors import InvalidImageError

if TYPE_CHECKING:
    from rs2sam.scenes.run import SceneRequest

EPILOG = """\b
Files in DIR, named after the image:
  STEM_mask.tif       one band per sentence: 1 found, 0 not, 255 no data;
                      transform and CRS of the image
  STEM_mask.png       for plain pictures too: 255 found, 0 not (STEM_mask_1.png,
                      ... for several sentences)
  STEM_polygons.gpkg  (or .geojson, .fgb, .parquet, .shp) outlines with sentence,
                      area_m2, area_px, mean_probability, confidence,
                      model, source
  STEM_probability.tif  with --keep-probabilities: that of every pixel
  STEM_preview.png    picture with legend and scale bar
  STEM_result.json    everything above in numbers

\b
Examples:
  rs2sam segment scene.tif "the storage tanks" -o out/
  rs2sam segment s2.tif "the river" "all ships" -o out/ --bands 4,3,2
  rs2sam segment photo.jpg --sentences wanted.txt -o out/ --format geojson

\b
Exit codes: 0 done (also when nothing was found), 1 known error (also when a
part of the image could not be read: the rest is written), 2 usage,
130 interrupted.
"""


@click.command(epilog=EPILOG)
@click.argument("image", shell_complete=complete_file)
@click.argument("sentence", nargs=-1)
@click.option("-o", "--output", "folder", metavar="DIR", required=True, type=FOLDER, help="Folder for the results.")
@click.option("--sentences", "sentences_file", metavar="FILE", type=FILE, help="Text file, one sentence a line.")
@scene_options
@click.option("--mirror", is_flag=True, help="Ask about the mirror image of every view too; takes twice as long.")
@click.option("--server", metavar="URL", help="Have a running `rs2sam serve` do it; its token is in RS2SAM_TOKEN.")
@click.option("--json", "as_json", is_flag=True, help="Print the content of STEM_result.json to stdout.")
@click.pass_context
def segment(ctx: click.Context, /, image: str, sentence: tuple[str, ...], folder: Path, **options: Any) -> None:
    """Find what SENTENCE names in IMAGE.

    IMAGE is a GeoTIFF or any other raster that GDAL opens, of any pixel type: PNG, JPEG, WebP, COG, also by URL.
    Several sentences may be given. An image up to twice the model's input is seen whole; a larger one is read in
    overlapping tiles, blended without seams, and words that compare ("the largest", "upper left") are decided among all
    that was found. Memory does not depend on the image's height; a killed run goes on with --resume.
    """
    quiet = is_quiet(ctx)
    sentences = all_sentences(ctx, sentence, options["sentences_file"], image)
    if options["server"] is not None:
        from rs2sam.cli.service.remote import segment_remotely

        with _progress(quiet=quiet) as show:
            report = segment_remotely(ctx, image, sentences, folder, options, show)
        _tell(report, image, as_json=options["as_json"], quiet=quiet)
        return
    request = request_from(image, sentences, folder, options)
    request.check()
    segmenter = load_segmenter(options["model"], options["backend"], options["device"], options["threads"])
    if options["mirror"]:
        from rs2sam.mirror import MirroringSegmenter

        segmenter = MirroringSegmenter(segmenter)
    from rs2sam.scenes.run import run_scene

    with _progress(quiet=quiet, lines=says_progress_in_lines(ctx)) as show:
        report = run_scene(request, segmenter, show)
    _tell(report, image, as_json=options["as_json"], quiet=quiet)


def _tell(report: dict[str, Any], image: str, *, as_json: bool, quiet: bool) -> None:
    """Say what was found, and what could not be read.

    Raises:
        InvalidImageError: a part of the image could not be read.
    """
    if as_json:
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    elif not quiet:
        click.echo(describe(report))
    if report["lost"]:
        raise InvalidImageError(
            f"{image!r} is damaged: {len(report['lost'])} blocks of it cannot be read and have no data in the results "
            f"(`lost` in {report['outputs']['result']}). The rest is done. Fetch or write the image again."
        )


def request_from(image: str, sentences: tuple[str, ...], folder: Path, options: Mapping[str, Any]) -> SceneRequest:
    """The command line as a request; raises what it says wrongly."""
    from rs2sam.scenes.run import SceneRequest

    settings = settings_from(options)
    return SceneRequest(
        image=image,
        sentences=sentences,
        folder=folder,
        reading=settings.reading,
        options=settings.options,
        outputs=settings.outputs,
        model=options["model"],
    )


def describe(report: dict[str, Any]) -> str:
    """What was found and where it was written, in words."""
    from rs2sam.scenes.preview import format_area

    source, outputs = report["source"], report["outputs"]
    place = source["crs"] or "no CRS"
    lines = [f"{source['path']}: {source['width']} x {source['height']} px, {place}"]
    for found in report["sentences"]:
        lines += _describe_words(found)
        if not found["found"]:
            lines.append(f'  "{found["sentence"]}": nothing found{_describe_presence(found)}')
            continue
        area = f"{found['pixels']:,} px" if found["area_m2"] is None else format_area(found["area_m2"])
        count = found["polygons"] if found["objects"] is None else found["objects"]
        noun = ("region" if found["objects"] is None else "object") + ("" if count == 1 else "s")
        lines.append(
            f'  "{found["sentence"]}": {count} {noun}, {area}, mean probability {found["mean_probability"]:.2f}'
            f"{_describe_presence(found)}"
        )
    tiles = report["tiles"]
    if tiles["read"] > 1 and "refined_from" not in report:
        lines.append(_describe_tiles(tiles, report["options"]["first_pass"]))
    kinds = ("mask", "classes", "polygons", "preview", "result")
    names = [
        *(outputs[kind] for kind in kinds if outputs[kind]),
        *outputs["mask_png"],
        *outputs["probabilities"],
        *outputs["sidecars"],
    ]
    return "\n".join([*lines, f"wrote to {outputs['folder']}: {', '.join(names)}"])


def _describe_presence(found: dict[str, Any]) -> str:
    """How probable it is that what a sentence names is there, where the model tells."""
    return "" if found["presence"] is None else f", presence {found['presence']:.2f}"


def _describe_words(found: dict[str, Any]) -> list[str]:
    """What the model was asked and what the scene decided, where that is not the sentence as it is."""
    asked, decided = found["words"]["model"], found["words"]["scene"]
    if asked == [found["sentence"]] and not decided:
        return []
    said = f'  "{found["sentence"]}": the model was asked ' + " and ".join(f'"{one}"' for one in asked)
    return [said + (f"; decided among what it found: {', '.join(decided)}" if decided else "")]


def _describe_tiles(tiles: dict[str, int], first_pass: dict[str, Any] | None) -> str:
    """How many tiles there were, and what became of them."""
    said = f"  {tiles['read']:,} tiles read, {tiles['run']:,} asked about, {tiles['skipped_empty']:,} without data"
    if first_pass is None:
        return said
    loss = first_pass["recall_loss"]
    known = "was not measured" if loss is None else f"cost {loss:.1%} of what is rightly found on held-out scenes"
    return (
        f"{said}, {tiles['skipped_first_pass']:,} skipped by the first pass\n"
        f"  (score below {first_pass['threshold']:g}, which {known}; --exhaustive asks about every tile)"
    )


@contextmanager
def _progress(*, quiet: bool, lines: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, silent when stderr is no terminal; or lines."""
    if lines:
        yield lambda done, total: say_progress(done, total, "views")
        return
    from tqdm import tqdm

    with tqdm(desc="segment", unit="view", disable=True if quiet else None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
