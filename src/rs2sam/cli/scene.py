"""Options of the commands that segment scenes, and what they say as values."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rs2sam.cli.shell.completing import complete_model
from rs2sam.errors import DataNotFoundError, InvalidInputError, words_of
from rs2sam.files import refuse_special_file

if TYPE_CHECKING:
    from rs2sam.backends import BackendName, Precision
    from rs2sam.raster.source import ReadOptions
    from rs2sam.scenes.outputs import OutputOptions
    from rs2sam.segmenter import Segmenter
    from rs2sam.views.options import SceneOptions

_LOGGER = logging.getLogger(__name__)
_NO_SENTENCES = frozenset(
    re.findall(
        r"\w+",
        "the a an all every each any both some this that these those of in on at to by near next nearest closest left"
        " right upper lower top bottom and or with without from between above below largest smallest large small big",
    )
)
"""Words that name nothing by themselves."""

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = [
    click.option(
        "--model",
        default="compact",
        show_default=True,
        shell_complete=complete_model,
        help="Name, folder or hub id; `rs2sam models` lists the names.",
    ),
    click.option(
        "--backend", type=click.Choice(["onnx", "torch"]), help="What runs the model [default: what it needs]."
    ),
    click.option("--device", help="Where it runs, e.g. cpu or cuda:0 [default: a GPU if the backend has one]."),
    click.option("--threads", type=click.IntRange(min=1), help="CPU threads for the model [default: all cores]."),
    click.option("--bands", help="Bands shown as red,green,blue, counted from 1, e.g. 4,3,2; or one band for grey."),
    click.option(
        "--stretch",
        help="Values to 8 bit: none, percentile[:lo,hi] or fixed:lo,hi; found once per scene "
        "[default: none for 8-bit images, percentile:2,98 for others].",
    ),
    click.option("--nodata", type=float, help="Value of pixels without data, instead of what the file says."),
    click.option(
        "--nodata-tolerance",
        type=float,
        default=0.0,
        show_default=True,
        help="Values so near to nodata count as it too, as the collars of JPEG-compressed images need it, e.g. 8.",
    ),
    click.option(
        "--alpha",
        type=click.Choice(["use", "ignore"]),
        default="use",
        show_default=True,
        help="Whether an alpha band says where there is data; near-infrared is often tagged as alpha.",
    ),
    click.option(
        "--tile",
        type=int,
        help="Side of a tile in pixels [default: the model's own; images up to twice that are seen whole].",
    ),
    click.option("--overlap", type=int, help="Overlap of tiles in pixels [default: a quarter of the tile]."),
    click.option("--batch-size", type=int, help="Views the model reads at once [default: 1 on a CPU, 4 on a GPU]."),
    click.option(
        "--min-presence",
        type=float,
        help="Leave a view empty where the model's belief that it holds the object is below this; 0: never "
        "[default: the model's own].",
    ),
    click.option(
        "--scope",
        type=click.Choice(["tile", "scene"]),
        default="scene",
        show_default=True,
        help="What words that compare refer to where there are several tiles: all that was found, or each tile.",
    ),
    click.option(
        "--first-pass/--exhaustive",
        "first_pass",
        default=None,
        help="Skip tiles of a large scene where one coarse view over several of them shows nothing of what is named, "
        "or ask about every tile [default: what was measured to be better for the model].",
    ),
    click.option("--gsd", "gsd_m", type=float, help="Metres per pixel at which the model sees the image, e.g. 0.3."),
    click.option(
        "--memory", default="2GB", show_default=True, help="What the engine may use beside the model, e.g. 500MB."
    ),
    click.option(
        "--keep-probabilities",
        is_flag=True,
        help="Write STEM_probability.tif, the probability of every pixel, from which `rs2sam refine` makes the results "
        "again with another threshold, without the model.",
    ),
    click.option("--resume", is_flag=True, help="Go on where an interrupted run of the same command stopped."),
]
"""How a scene is read, cut and asked about."""

_RESULT_OPTIONS = [
    click.option(
        "--threshold", type=float, default=0.5, show_default=True, help="Probability above which a pixel counts."
    ),
    click.option("--min-area", default="0", show_default=True, help="Drop smaller regions, e.g. 40px or 25m2."),
    click.option(
        "--format",
        "polygon_format",
        type=click.Choice(["gpkg", "geojson", "fgb", "parquet", "shp"]),
        default="gpkg",
        show_default=True,
        help="Of the polygons: GeoPackage, FlatGeobuf, GeoParquet or Shapefile in the image's CRS, or GeoJSON in "
        "longitude and latitude.",
    ),
    click.option(
        "--simplify", "simplify_m", type=float, default=0.0, help="Simplify outlines within this distance in metres."
    ),
    click.option("--orthogonal", is_flag=True, help="Square up outlines, as those of buildings."),
    click.option("--class-map", is_flag=True, help="Write STEM_classes.tif: number of the most probable sentence."),
    click.option("--cog", is_flag=True, help="Write masks as cloud-optimised GeoTIFFs with overviews."),
    click.option("--overwrite", is_flag=True, help="Replace results of the same image in the output folder."),
]
"""What becomes of the probabilities: also without the model."""


@dataclass(frozen=True)
class Settings:
    """What the options of `scene_options` say, the model aside.

    Args:
        reading: how files become pixels.
        options: how scenes are cut, answered and thresholded.
        outputs: which files are written and how.
    """

    reading: ReadOptions
    options: SceneOptions
    outputs: OutputOptions


def scene_options(command: Command) -> Command:
    """Give a command the options of the model, reading, tiling and outputs."""
    command = result_options(command)
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def result_options(command: Command) -> Command:
    """Give a command the options of what is made of probabilities: threshold, polygons, files."""
    for option in reversed(_RESULT_OPTIONS):
        command = option(command)
    return command


def settings_from(options: Mapping[str, Any]) -> Settings:
    """The values of `scene_options` as the engine takes them.

    Args:
        options: keyword arguments of the command; others among them are left alone.

    Raises:
        InvalidInputError: when one of them is out of range or cannot be read.
    """
    from rs2sam.raster.source import ReadOptions
    from rs2sam.raster.stretch import Stretch
    from rs2sam.scenes.budget import parse_memory
    from rs2sam.views.options import MinArea, SceneOptions

    return Settings(
        reading=ReadOptions(
            bands=parse_bands(options["bands"]),
            stretch=None if options["stretch"] is None else Stretch.parse(options["stretch"]),
            nodata=options["nodata"],
            nodata_tolerance=options["nodata_tolerance"],
            alpha=options["alpha"],
        ),
        options=SceneOptions(
            tile=options["tile"],
            overlap=options["overlap"],
            batch_size=options["batch_size"],
            threshold=options["threshold"],
            min_presence=options["min_presence"],
            min_area=MinArea.parse(options["min_area"]),
            scope=options["scope"],
            exhaustive=None if options["first_pass"] is None else not options["first_pass"],
            gsd_m=options["gsd_m"],
            memory=parse_memory(options["memory"]),
        ),
        outputs=outputs_from(options),
    )


def outputs_from(options: Mapping[str, Any]) -> OutputOptions:
    """The values of `result_options`, and of those of `scene_options` that are about files.

    Args:
        options: keyword arguments of the command; others among them are left alone.

    Raises:
        InvalidInputError: when one of them is out of range.
    """
    from rs2sam.scenes.outputs import OutputOptions

    return OutputOptions(
        polygon_format=options["polygon_format"],
        overwrite=options["overwrite"],
        resume=options.get("resume", False),
        cog=options["cog"],
        class_map=options["class_map"],
        simplify_m=options["simplify_m"],
        orthogonal=options["orthogonal"],
        keep_probabilities=options.get("keep_probabilities", False),
    )


def all_sentences(ctx: click.Context, given: Sequence[str], file: Path | None, before: str) -> tuple[str, ...]:
    """The sentences of a command line and of a file; says where quotes seem to be missing.

    Args:
        ctx: of the command.
        given: arguments that are sentences.
        file: of `--sentences`.
        before: the arguments before, for the message.

    Raises:
        UsageError: there is none.
    """
    if not given and file is None:
        raise click.UsageError(
            "Missing argument 'SENTENCE': say what to find, e.g. \"the storage tanks\", or give a file by --sentences.",
            ctx,
        )
    loose = [text for text in given if text.strip().lower() in _NO_SENTENCES]
    if len(given) > 1 and loose:
        _LOGGER.warning(
            '%r alone is no sentence: were quotes forgotten? One sentence is one argument: rs2sam %s %s "%s"',
            loose[0],
            ctx.info_name,
            before,
            " ".join(given),
        )
    return (*given, *(read_sentences(file) if file is not None else ()))


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


def load_segmenter(
    name: str,
    backend: BackendName | None,
    device: str | None,
    threads: int | None,
    precision: Precision | None = None,
) -> Segmenter:
    """The model that was asked for; raises what `Segmenter.load` raises."""
    from rs2sam.segmenter import Segmenter

    return Segmenter.load(name, backend=backend, device=device, threads=threads, precision=precision)


def read_sentences(path: Path) -> list[str]:
    """Sentences of a UTF-8 text file, one a line; blank lines are skipped."""
    refuse_special_file("sentences file", path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise DataNotFoundError(f"The sentences file {str(path)!r} is not there. Check the path.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"The sentences file must be UTF-8 text, one sentence a line, but {str(path)!r} is not ({words_of(error)})."
        ) from error
    sentences = [line.strip() for line in lines if line.strip()]
    if not sentences:
        raise InvalidInputError(f"The sentences file {str(path)!r} holds no sentence. Write one a line.")
    return sentences
