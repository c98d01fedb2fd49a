"""A folder of scenes with one call: what `rs2sam batch` does, from Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rs2sam.batch.engine import BatchSettings, TileProgress, Watcher, run_local
from rs2sam.batch.inputs import find_scenes
from rs2sam.batch.run import BatchPlan, run_batch
from rs2sam.batch.scene_input import SceneInput
from rs2sam.batch.schedule import SceneOutcome, Schedule
from rs2sam.fields import a_place, texts
from rs2sam.raster.source import ReadOptions
from rs2sam.scenes.outputs import OutputOptions
from rs2sam.scenes.run import run_scene
from rs2sam.segmenter import Segmenter
from rs2sam.views.options import SceneOptions, check_sentences


def segment_folder(
    folder: str | Path,
    sentences: Sequence[str],
    output: str | Path,
    *,
    segmenter: Segmenter | None = None,
    model: str = "compact",
    pattern: str | None = None,
    overwrite: bool = False,
    reading: ReadOptions | None = None,
    options: SceneOptions | None = None,
    outputs: OutputOptions | None = None,
) -> dict[str, Any]:
    """Find what sentences name in all images of a folder, and write the results of each.

    Called again, it goes on with what is missing. An image that fails does not stop the others.

    Args:
        folder: searched at any depth; also a quoted glob, a list of paths or a STAC file, as `rs2sam batch` takes them.
        sentences: one or more.
        output: folder of the results; made when needed.
        segmenter: the model; None: `model` is loaded.
        model: its name, for the records.
        pattern: names of the files that are taken, e.g. `*_rgb.tif`; None: all images.
        overwrite: whether everything is done anew.
        reading: how files become pixels; None: by their own types.
        options: how scenes are cut, answered and thresholded; None: as the model has it.
        outputs: which files are written and how.

    Returns:
        The content of `batch.json`: `done`, `failed` with the reasons, and what was found.

    Raises:
        DataNotFoundError: there is no such folder, or no image in it.
        InvalidInputError: an option is out of range, or the output holds results of other settings.
    """
    wanted = texts("sentences", sentences)
    check_sentences(wanted)
    output = a_place("output", output)
    settings = BatchSettings(
        output,
        wanted,
        model,
        reading or ReadOptions(),
        options or SceneOptions(min_presence=None),
        outputs or OutputOptions(),
    )
    plan = BatchPlan(settings, find_scenes(folder, pattern=pattern, out=output), overwrite=overwrite)

    def engine(schedule: Schedule, watcher: Watcher) -> None:
        asked = segmenter or Segmenter.load(model)

        def run(scene: SceneInput, progress: TileProgress) -> dict[str, Any]:
            return run_scene(settings.request(scene), asked, progress)

        run_local(schedule, run, watcher)

    return run_batch(plan, engine, _Silent())


class _Silent:
    """Tells nobody how a batch gets on."""

    def begins(self, num_scenes: int) -> None:
        """Nothing to say."""

    def tiles(self, done: int, total: int) -> None:
        """Nothing to say."""

    def ended(self, outcome: SceneOutcome) -> None:
        """Nothing to say."""
