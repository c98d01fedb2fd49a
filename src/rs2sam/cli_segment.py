"""`rs2sam segment`: parse, read, ask the model, write. Everything it does is in `rs2sam.raster` and the segmenter."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rs2sam.cli import package_version
from rs2sam.errors import DataNotFoundError, InvalidInputError

if TYPE_CHECKING:
    from rs2sam.backends import BackendName
    from rs2sam.raster.outputs import PolygonFormat
    from rs2sam.segmenter import Segmenter

EPILOG = """\b
Files in DIR, named after the image:
  STEM_mask.tif       one band per sentence: 1 found, 0 not, 255 no data;
                      transform and CRS of the image
  STEM_mask.png       for plain pictures too: 255 found, 0 not (STEM_mask_1.png,
                      ... for several sentences)
  STEM_polygons.gpkg  (or .geojson) outlines with sentence, area_m2, area_px,
                      mean_probability, model, source
  STEM_preview.png    picture with legend and scale bar
  STEM_result.json    everything above in numbers

\b
Examples:
  rs2sam segment scene.tif "the storage tanks" -o out/
  rs2sam segment s2.tif "the river" "all ships" -o out/ --bands 4,3,2
  rs2sam segment photo.jpg --sentences wanted.txt -o out/ --format geojson

\b
Exit codes: 0 done (also when nothing was found), 1 known error, 2 usage,
130 interrupted.
"""


@click.command(epilog=EPILOG)
@click.argument("image")
@click.argument("sentence", nargs=-1)
@click.option("-o", "--output", "folder", metavar="DIR", required=True, type=Path, help="Folder for the results.")
@click.option("--sentences", "sentences_file", metavar="FILE", type=Path, help="Text file, one sentence a line.")
@click.option(
    "--model", default="compact", show_default=True, help="Name, folder or hub id; `rs2sam models` lists the names."
)
@click.option("--backend", type=click.Choice(["onnx", "torch"]), help="What runs the model [default: what it needs].")
@click.option("--device", help="Where it runs, e.g. cpu or cuda:0 [default: a GPU if the backend has one].")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads for the model [default: all cores].")
@click.option("--bands", help="Bands shown as red,green,blue, counted from 1, e.g. 4,3,2; or one band for grey.")
@click.option(
    "--stretch",
    help="Values to 8 bit: none, percentile[:lo,hi] or fixed:lo,hi; found once per scene "
    "[default: none for 8-bit images, percentile:2,98 for others].",
)
@click.option("--nodata", type=float, help="Value of pixels without data, instead of what the file says.")
@click.option(
    "--format",
    "polygon_format",
    type=click.Choice(["gpkg", "geojson"]),
    default="gpkg",
    show_default=True,
    help="Of the polygons: GeoPackage in the image's CRS, or GeoJSON in longitude and latitude.",
)
@click.option(
    "--tile",
    type=int,
    help="Side of a tile in pixels [default: the model's own; images up to twice that are seen whole].",
)
@click.option("--overlap", type=int, help="Overlap of tiles in pixels [default: a quarter of the tile].")
@click.option("--batch-size", type=int, default=4, show_default=True, help="Views the model reads at once.")
@click.option("--threshold", type=float, default=0.5, show_default=True, help="Probability above which a pixel counts.")
@click.option(
    "--min-presence",
    type=float,
    help="Leave a view empty where the model's belief that it holds the object is below this; 0: never "
    "[default: the model's own].",
)
@click.option("--min-area", default="0", show_default=True, help="Drop smaller regions, e.g. 40px or 25m2.")
@click.option("--json", "as_json", is_flag=True, help="Print the content of STEM_result.json to stdout.")
@click.option("--overwrite", is_flag=True, help="Replace results of this image in DIR.")
@click.pass_context
def segment(ctx: click.Context, /, image: str, sentence: tuple[str, ...], folder: Path, **options: Any) -> None:
    """Find what SENTENCE names in IMAGE.

    IMAGE is a GeoTIFF or any other raster that GDAL opens, of any pixel type: PNG, JPEG, WebP, COG, also by URL.
    Several sentences may be given. An image up to twice the model's input is seen whole; a larger one is read in
    overlapping tiles, blended without seams, where words that compare ("the largest", "upper left") are judged inside
    each tile.
    """
    quiet = bool((ctx.obj or {}).get("quiet"))
    run = _Run(image, folder, quiet, **options)
    report = run.execute(sentence)
    if run.as_json:
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    elif not quiet:
        click.echo(describe(report))


@dataclass(frozen=True)
class _Run:
    """One call of `rs2sam segment`; the fields are its options."""

    image: str
    folder: Path
    quiet: bool
    sentences_file: Path | None
    model: str
    backend: BackendName | None
    device: str | None
    threads: int | None
    bands: str | None
    stretch: str | None
    nodata: float | None
    polygon_format: PolygonFormat
    tile: int | None
    overlap: int | None
    batch_size: int
    threshold: float
    min_presence: float | None
    min_area: str
    as_json: bool
    overwrite: bool

    def execute(self, given: tuple[str, ...]) -> dict[str, Any]:
        """Do it, cheapest checks first; returns the content of `result.json`."""
        from rs2sam.raster import (
            MinArea,
            OutputPaths,
            ReadOptions,
            SceneOptions,
            Stretch,
            read_scene,
            segment_scene,
            write_outputs,
        )
        from rs2sam.raster.scene import check_sentences

        start = time.perf_counter()
        sentences = [*given, *(read_sentences(self.sentences_file) if self.sentences_file else ())]
        check_sentences(sentences)
        options = SceneOptions(
            tile=self.tile,
            overlap=self.overlap,
            batch_size=self.batch_size,
            threshold=self.threshold,
            min_presence=self.min_presence or 0.0,
            min_area=MinArea.parse(self.min_area),
        )
        reading = ReadOptions(
            bands=parse_bands(self.bands),
            stretch=None if self.stretch is None else Stretch.parse(self.stretch),
            nodata=self.nodata,
        )
        scene = read_scene(self.image, reading)
        paths = OutputPaths(self.folder, scene.stem, self.polygon_format)
        paths.prepare(overwrite=self.overwrite)
        read_at = time.perf_counter()
        segmenter = load_segmenter(self.model, self.backend, self.device, self.threads)
        if self.min_presence is None:
            options = replace(options, min_presence=segmenter.min_presence)
        loaded_at = time.perf_counter()
        with _progress(quiet=self.quiet) as show:
            results = segment_scene(segmenter, scene, sentences, options, show)
        done_at = time.perf_counter()
        grid = options.grid(scene.size_hw, segmenter.image_size)
        details = {
            "model": {"name": self.model, "backend": segmenter.backend_name, "image_size": segmenter.image_size},
            "options": {
                "tile": grid.tile if len(grid) > 1 else None,
                "overlap": grid.overlap if len(grid) > 1 else None,
                "threshold": self.threshold,
                "min_presence": options.min_presence,
                "min_area": self.min_area,
            },
            "seconds": {
                "read": round(read_at - start, 3),
                "load_model": round(loaded_at - read_at, 3),
                "segment": round(done_at - loaded_at, 3),
            },
            "versions": versions(),
        }
        return write_outputs(scene, results, paths, model=self.model, details=details)


def load_segmenter(name: str, backend: BackendName | None, device: str | None, threads: int | None) -> Segmenter:
    """The model that was asked for; raises what `Segmenter.load` raises."""
    from rs2sam.segmenter import Segmenter

    return Segmenter.load(name, backend=backend, device=device, threads=threads)


def read_sentences(path: Path) -> list[str]:
    """Sentences of a UTF-8 text file, one a line; blank lines are skipped."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise DataNotFoundError(f"The sentences file {str(path)!r} is not there. Check the path.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"The sentences file must be UTF-8 text, one sentence a line, but {str(path)!r} is not ({error})."
        ) from error
    sentences = [line.strip() for line in lines if line.strip()]
    if not sentences:
        raise InvalidInputError(f"The sentences file {str(path)!r} holds no sentence. Write one a line.")
    return sentences


def parse_bands(text: str | None) -> tuple[int, ...] | None:
    """`4,3,2` as numbers."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise InvalidInputError(
            f"Bands are numbers from 1, written as red,green,blue, but `--bands` is {text!r}. For example 4,3,2."
        ) from error


def describe(report: dict[str, Any]) -> str:
    """What was found and where it was written, in words."""
    from rs2sam.raster.preview import format_area

    source, outputs = report["source"], report["outputs"]
    place = source["crs"] or "no CRS"
    lines = [f"{source['path']}: {source['width']} x {source['height']} px, {place}"]
    for found in report["sentences"]:
        if not found["found"]:
            lines.append(f'  "{found["sentence"]}": nothing found')
            continue
        area = f"{found['pixels']:,} px" if found["area_m2"] is None else format_area(found["area_m2"])
        noun = "region" if found["polygons"] == 1 else "regions"
        lines.append(
            f'  "{found["sentence"]}": {found["polygons"]} {noun}, {area}, '
            f"mean probability {found['mean_probability']:.2f}"
        )
    names = [outputs["mask"], *outputs["mask_png"], outputs["polygons"], outputs["preview"], outputs["result"]]
    return "\n".join([*lines, f"wrote to {outputs['folder']}: {', '.join(names)}"])


def versions() -> dict[str, str]:
    """Versions of what computed the result."""
    from rasterio import __gdal_version__

    found = {"rs2sam": package_version(), "python": platform.python_version(), "gdal": __gdal_version__}
    for name in ("numpy", "pillow", "rasterio", "shapely", "onnxruntime", "torch", "transformers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr; silent when stderr is no terminal."""
    from tqdm import tqdm

    with tqdm(desc="segment", unit="view", disable=True if quiet else None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
