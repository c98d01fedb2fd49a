"""`rs2sam batch`: many scenes with the same sentences. Everything it does is in `rs2sam.batch`."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from rs2sam.cli.commands import EXIT_ERROR
from rs2sam.cli.context import is_quiet, say_progress, says_progress_in_lines
from rs2sam.cli.scene import all_sentences, scene_options, settings_from
from rs2sam.cli.shell.completing import FILE, FOLDER, complete_file
from rs2sam.errors import InvalidInputError, require

if TYPE_CHECKING:
    from rs2sam.batch.engine import TileProgress, Watcher
    from rs2sam.batch.run import BatchPlan, Engine
    from rs2sam.batch.scene_input import SceneInput
    from rs2sam.batch.schedule import SceneOutcome, Schedule

_OF_RAY = ("ray_address", "actors", "cpus_per_actor", "gpus_per_actor", "finishers", "object_store")

EPILOG = """\b
INPUT is one of
  scenes/              a folder, searched at any depth
  'scenes/**/*_rgb.tif'  a glob, in quotes
  scenes.txt           a list, one path or URL a line
  items.json           a STAC item, ItemCollection, catalog or collection
                       (path or URL; needs rs2sam[stac])
  scene.tif            one image

\b
Files in DIR:
  SUB/STEM_*           what `rs2sam segment` writes, in the folders of the
                       inputs (STAC: a folder per item)
  polygons.gpkg        the polygons of all scenes (.parquet: --merged)
  catalog/catalog.json  a STAC catalog of the results
  manifest.jsonl       what happened to each scene
  batch.json           counts, failures, what was found

\b
Examples:
  rs2sam batch scenes/ "the storage tanks" -o out/
  rs2sam batch 'in/*.tif' --sentences wanted.txt -o out/ --dry-run
  rs2sam batch items.json "all ships" -o out/ --asset visual --shard 1/4
  rs2sam batch scenes/ "the roofs" -o out/ --engine ray --actors 2

The same command again goes on where it ended: finished scenes are not run twice.

\b
Exit codes: 0 all scenes done, 1 some failed (they are listed) or a known
error, 2 usage, 130 interrupted.
"""


@click.command(epilog=EPILOG)
@click.argument("given", metavar="INPUT", shell_complete=complete_file)
@click.argument("sentence", nargs=-1)
@click.option("-o", "--output", "folder", metavar="DIR", required=True, type=FOLDER, help="Folder for the results.")
@click.option("--sentences", "sentences_file", metavar="FILE", type=FILE, help="Text file, one sentence a line.")
@click.option("--pattern", help="Names of the files to take from a folder, e.g. '*_rgb.tif' [default: all images].")
@click.option(
    "--asset", help="Key or role of the STAC asset to read [default: the only image, or role visual or data]."
)
@click.option("--dry-run", is_flag=True, help="Say what would be run, and change nothing.")
@click.option("--shard", metavar="I/N", help="Run the I-th of N parts; which scenes those are is the same everywhere.")
@click.option("--retry-failed", is_flag=True, help="Try scenes again that failed for good in an earlier run.")
@click.option("--attempts", type=int, default=3, show_default=True, help="Tries of a scene whose error may pass.")
@click.option(
    "--backoff", type=float, default=5.0, show_default=True, help="Seconds before the second try; it doubles."
)
@click.option(
    "--merged",
    type=click.Choice(["gpkg", "parquet", "none"]),
    default="gpkg",
    show_default=True,
    help="One file with the polygons of all scenes: GeoPackage, or GeoParquet (needs rs2sam[parquet]).",
)
@click.option(
    "--catalog/--no-catalog",
    default=None,
    help="Write a STAC catalog of the results; without, an earlier one is removed, as it no longer fits them "
    "[default: where rs2sam[stac] is installed].",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="This process, or Ray Data: this machine or the cluster of RAY_ADDRESS (needs rs2sam[ray]).",
)
@click.option("--ray-address", envvar="RAY_ADDRESS", help="Of a Ray cluster [default: RAY_ADDRESS, else this machine].")
@click.option("--actors", type=int, default=1, show_default=True, help="Ray processes that hold a model.")
@click.option("--cpus-per-actor", type=float, default=1.0, show_default=True, help="Cores of each.")
@click.option(
    "--gpus-per-actor", type=float, default=0.0, show_default=True, help="GPUs of each; 0.5 shares one by two."
)
@click.option(
    "--finishers", type=int, help="Ray processes that put scenes together, a core each [default: one for two actors]."
)
@click.option(
    "--object-store", type=float, default=1.0, show_default=True, help="GiB that Ray holds of tiles under way."
)
@click.option("--json", "as_json", is_flag=True, help="Print the content of batch.json to stdout.")
@scene_options
@click.pass_context
def batch(ctx: click.Context, /, given: str, sentence: tuple[str, ...], folder: Path, **options: Any) -> None:
    """Find what SENTENCE names in many scenes.

    Every scene is done as `rs2sam segment` does it. A scene that fails does not stop the others.
    """
    quiet = is_quiet(ctx)
    _refuse_ray_options(ctx)
    _refuse_expanded_glob(sentence)
    sentences = all_sentences(ctx, sentence, options["sentences_file"], given)
    plan = make_plan(given, sentences, folder, options)
    engine = choose_engine(plan, options)
    if options["dry_run"]:
        click.echo(describe_plan(plan))
        return
    from rs2sam.batch.run import run_batch

    bars: AbstractContextManager[Watcher] = _watch(quiet=quiet, lines=not options["as_json"])
    if says_progress_in_lines(ctx):
        bars = nullcontext(_Lines())
    with bars as watcher, _stop_on_sigterm():
        summary = run_batch(plan, engine, watcher)
    if options["as_json"]:
        click.echo(json.dumps(summary, indent=2, ensure_ascii=False))
    elif not quiet:
        click.echo(describe_summary(summary, folder))
    if summary["failed"] or summary["with_lost_blocks"]:
        for failure in summary["failed"]:
            click.echo(f"failed: {failure['scene']}: {failure['error']}", err=True)
        for key in summary["with_lost_blocks"]:
            click.echo(f"incomplete: {key}: parts of the source could not be read and are nodata", err=True)
        ctx.exit(EXIT_ERROR)


# What an interrupted scene left is always gone on with.
batch.params = [parameter for parameter in batch.params if parameter.name != "resume"]


def make_plan(given: str, given_sentences: tuple[str, ...], folder: Path, options: Mapping[str, Any]) -> BatchPlan:
    """Everything that can be checked before a model is loaded."""
    from rs2sam.batch.engine import BatchSettings
    from rs2sam.batch.inputs import Shard, find_scenes
    from rs2sam.batch.run import BatchPlan
    from rs2sam.batch.schedule import RetryPolicy
    from rs2sam.views.options import check_sentences

    check_sentences(given_sentences)
    # Answered twice, a sentence would be counted twice; the same one may stand in the command and in the file.
    sentences = list(dict.fromkeys(given_sentences))
    settings = settings_from({**options, "resume": True})
    catalog = options["catalog"]
    if catalog is None:
        catalog = importlib.util.find_spec("pystac") is not None
    elif catalog:
        require("pystac", "stac", "`--catalog`")
    return BatchPlan(
        settings=BatchSettings(
            folder, tuple(sentences), options["model"], settings.reading, settings.options, settings.outputs
        ),
        scenes=find_scenes(given, asset=options["asset"], pattern=options["pattern"], out=folder),
        shard=None if options["shard"] is None else Shard.parse(options["shard"]),
        policy=RetryPolicy(options["attempts"], options["backoff"]),
        retry_failed=options["retry_failed"],
        overwrite=options["overwrite"],
        merged=None if options["merged"] == "none" else f"polygons.{options['merged']}",
        catalog=catalog,
    )


def choose_engine(plan: BatchPlan, options: Mapping[str, Any]) -> Engine:
    """The engine that was asked for; the model is loaded when it is called."""
    return _ray_engine(plan, options) if options["engine"] == "ray" else _local_engine(plan, options)


def _ray_engine(plan: BatchPlan, options: Mapping[str, Any]) -> Engine:
    """The processes of a Ray cluster."""
    require("ray", "ray", "`--engine ray`")
    # Before Ray is imported: it reports to nobody that it is used, and errors that it recovers from are its own affair.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    from rs2sam.batch.ray_engine import run_ray
    from rs2sam.batch.ray_options import RayOptions
    from rs2sam.cli.scene import load_segmenter

    ray_options = RayOptions(
        address=options["ray_address"],
        actors=options["actors"],
        cpus_per_actor=options["cpus_per_actor"],
        gpus_per_actor=options["gpus_per_actor"],
        object_store_gib=options["object_store"],
        finishers=options["finishers"],
    )
    threads = options["threads"] or max(1, int(options["cpus_per_actor"]))
    # Every process must find the same, whatever folder it runs in.
    model = os.path.abspath(options["model"]) if os.path.isdir(options["model"]) else options["model"]
    load = partial(load_segmenter, model, options["backend"], options["device"], threads)

    def engine(schedule: Schedule, watcher: Watcher) -> None:
        run_ray(schedule, plan.settings.request, load, ray_options, watcher)

    return engine


def _local_engine(plan: BatchPlan, options: Mapping[str, Any]) -> Engine:
    """One scene after another in this process."""
    from rs2sam.batch.engine import run_local
    from rs2sam.cli.scene import load_segmenter
    from rs2sam.scenes.run import run_scene

    def engine(schedule: Schedule, watcher: Watcher) -> None:
        segmenter = load_segmenter(options["model"], options["backend"], options["device"], options["threads"])

        def run(scene: SceneInput, progress: TileProgress) -> dict[str, Any]:
            return run_scene(plan.settings.request(scene), segmenter, progress)

        run_local(schedule, run, watcher)

    return engine


def _refuse_ray_options(ctx: click.Context) -> None:
    """Options of Ray on the command line ask for Ray; leaving them aside would be slower than the user thinks."""
    given = [name for name in _OF_RAY if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given and ctx.params["engine"] != "ray":
        raise InvalidInputError(
            f"`--{given[0].replace('_', '-')}` is an option of Ray, but the engine is {ctx.params['engine']!r}. Add "
            "--engine ray, or leave it out."
        )


def _refuse_expanded_glob(sentence: tuple[str, ...]) -> None:
    """A glob without quotes is files by the time it gets here; the second would be taken for a sentence."""
    files = [text for text in sentence if os.path.isfile(text)]
    if files:
        raise InvalidInputError(
            f"`rs2sam batch` takes one INPUT and then sentences, but {files[0]!r} is a file. Put a glob in quotes "
            "('scenes/*.tif'), or name the folder or a list."
        )


def describe_plan(plan: BatchPlan) -> str:
    """What a run would do."""
    from rs2sam.batch.run import preview_states

    states = preview_states(plan)
    scenes = {scene.key: scene for scene in plan.scenes}
    lines = [f"{state:8} {key}  <- {scenes[key].problem or scenes[key].source}" for key, state in states.items()]
    counts = {state: list(states.values()).count(state) for state in ("pending", "done", "failed")}
    return "\n".join(
        [
            *lines,
            f"{counts['pending']} to run, {counts['done']} done, {counts['failed']} failed earlier; nothing was run",
        ]
    )


def describe_summary(summary: Mapping[str, Any], folder: Path) -> str:
    """What was done and found, in words."""
    lines = [
        f"{summary['done']} of {_count(summary['scenes'], 'scene')} done ({summary['run_now']} run now), "
        f"{len(summary['failed'])} failed"
    ]
    for total in summary["sentences"]:
        found = f"{_count(total['polygons'], 'region')} in {_count(total['scenes'], 'scene')}"
        lines.append(f'  "{total["sentence"]}": {found}')
    written = [summary["merged"]["path"]] if summary["merged"] else []
    written += [summary["catalog"]] if summary["catalog"] else []
    if summary["shard"] is not None:
        lines.append("a shard: run once more without --shard after all of them for polygons.gpkg and the catalog")
    return "\n".join([*lines, f"wrote to {folder}: {', '.join([*written, 'the results of each scene'])}"])


@dataclass
class _Bars:
    """Progress over scenes and tiles on stderr, and a line for each scene on stdout."""

    scenes: Any
    tiles_bar: Any
    lines: bool

    def begins(self, num_scenes: int) -> None:
        """Show how many there are."""
        self.scenes.total = num_scenes
        self.scenes.refresh()

    def tiles(self, done: int, total: int) -> None:
        """Show the scene under way."""
        self.tiles_bar.total = total
        self.tiles_bar.n = done
        self.tiles_bar.refresh()

    def ended(self, outcome: SceneOutcome) -> None:
        """Show how an attempt ended."""
        self.scenes.update(int(outcome.is_final))
        if self.lines:
            self.scenes.write(describe_outcome(outcome))


@dataclass
class _Lines:
    """Progress over scenes and tiles, a line each on stderr, for the program that reads it."""

    scenes: int = 0
    done: int = 0

    def begins(self, num_scenes: int) -> None:
        """Say how many there are."""
        self.scenes = num_scenes
        say_progress(0, num_scenes, "scenes")

    def tiles(self, done: int, total: int) -> None:
        """Say how far the scene under way is."""
        say_progress(done, total, "views")

    def ended(self, outcome: SceneOutcome) -> None:
        """Say how many scenes need nothing more."""
        self.done += int(outcome.is_final)
        say_progress(self.done, self.scenes, "scenes")


def describe_outcome(outcome: SceneOutcome) -> str:
    """One line for an attempt."""
    key = outcome.scene.key
    if outcome.report is None:
        return f"{key}: failed{'' if outcome.is_final else ', will be tried again'}: {outcome.error}"
    num_regions = sum(found["polygons"] for found in outcome.report["sentences"])
    return f"{key}: {_count(num_regions, 'region')}, {outcome.seconds:.1f} s"


def _count(number: int, noun: str) -> str:
    """A number of things in words."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@contextmanager
def _watch(*, quiet: bool, lines: bool) -> Iterator[_Bars]:
    """Two bars; silent when stderr is no terminal."""
    from tqdm import tqdm

    disable = True if quiet else None
    with (
        tqdm(desc="scenes", unit="scene", position=0, disable=disable) as scenes,
        tqdm(desc="tiles", unit="view", position=1, leave=False, disable=disable) as tiles,
    ):
        yield _Bars(scenes, tiles, lines and not quiet)


@contextmanager
def _stop_on_sigterm() -> Iterator[None]:
    """A polite kill stops the run as Ctrl-C does, so that the scene under way does not count as an attempt."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt("The same command again goes on from here.")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
