"""Results made again from kept probabilities: another threshold, least area, outline or format, without the model.

What decides, chooses and writes is what a run uses, on the same steps of probability, so mask and polygons are byte for
byte those of a run that keeps probabilities and has the same options.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rs2sam.fields import a_place, a_text, texts
from rs2sam.raster.mask_files import MASK_NODATA, PROBABILITY_STEPS
from rs2sam.raster.scene import SceneInfo
from rs2sam.raster.thumbnail import Thumbnail, ThumbnailGrid
from rs2sam.raster.tiling import Window
from rs2sam.scenes.finding import Finder, Plan
from rs2sam.scenes.job import Job, key_of
from rs2sam.scenes.outputs import OutputOptions, OutputPaths, writing_results
from rs2sam.scenes.refining.kept_result import KeptResult, ProbabilityFiles, read_kept_result
from rs2sam.scenes.store import Decided, check_threshold
from rs2sam.scenes.writing import SceneFiles
from rs2sam.vector.geojson import check_crs
from rs2sam.versions import versions
from rs2sam.views.in_memory import check_min_area
from rs2sam.views.options import MinArea, SceneOptions, check_sentences


def refine(
    result: str | Path,
    output: str | Path,
    sentences: Sequence[str] | None = None,
    *,
    threshold: float = 0.5,
    min_area: str | MinArea = "0",
    outputs: OutputOptions | None = None,
) -> dict[str, Any]:
    """Make mask, polygons, preview and `result.json` of a run again from the probabilities that it kept.

    Options that are left out have their defaults, whatever the run had. Everything is written, or nothing.

    Args:
        result: `STEM_result.json` of a run with `keep_probabilities`, or its folder where it is the only one there.
        output: folder of the new results; in the run's own, with `overwrite`, the probabilities stay.
        sentences: one or more of which the kept probabilities decide, so any of the run's, and others that differ in
            words that are decided afterwards ("the largest ..."); None: all of the run's.
        threshold: a pixel is foreground where its probability is above this, a multiple of 0.005 in [0, 1].
        min_area: smaller regions are dropped, e.g. `40px` or `25m2`.
        outputs: which files are written and how; `resume` and `keep_probabilities` have no meaning here.

    Returns:
        The content of the new `STEM_result.json`.

    Raises:
        DataNotFoundError: the result or a file of probabilities is not there.
        InvalidInputError: the result has no probabilities, or none for a sentence; an option is out of range; the
            results cannot be written.
        MissingDependencyError: the format of the polygons needs a library that is not installed.
    """
    start = time.perf_counter()
    outputs = replace(outputs or OutputOptions(), resume=False, keep_probabilities=False)
    least = min_area if isinstance(min_area, MinArea) else MinArea.parse(a_text("min_area", min_area))
    options = SceneOptions(threshold=threshold, min_area=least)
    check_threshold(options.threshold)
    kept = read_kept_result(a_place("result", result))
    wanted = kept.sentences if sentences is None else texts("sentences", sentences)
    check_sentences(wanted)
    outputs.check(len(wanted))
    plan = Plan.of(wanted, by_scene=kept.by_scene)
    kept.check_asked(plan.asked)
    paths = OutputPaths(a_place("output", output), kept.stem, outputs.polygon_format)
    paths.prepare(overwrite=outputs.overwrite)
    return _Refinement(kept, plan, options, outputs, paths, start).execute()


class _Refinement:
    """A result that is made again."""

    def __init__(
        self,
        kept: KeptResult,
        plan: Plan,
        options: SceneOptions,
        outputs: OutputOptions,
        paths: OutputPaths,
        start: float,
    ) -> None:
        self._kept = kept
        self._plan = plan
        self._options = options
        self._outputs = outputs
        self._paths = paths
        self._start = start

    def execute(self) -> dict[str, Any]:
        """Read, decide, choose, write."""
        kept, paths = self._kept, self._paths
        key = key_of({"refined": kept.report, "options": str(self._options), "outputs": str(self._outputs)})
        with ExitStack() as stack:
            files = stack.enter_context(ProbabilityFiles(kept.paths(self._plan.asked), kept.size_hw))
            info = kept.info(files.first.dataset)
            self._check(info)
            stack.enter_context(writing_results(paths.folder))
            job = stack.enter_context(Job(paths.folder, paths.stem, key, resume=False))
            finder = Finder(
                Decided(files, self._options.threshold),
                info,
                self._plan,
                self._options,
                job.folder,
                calibration=kept.calibration,
            )
            found = [finder.find(number) for number in range(len(self._plan.sentences))]
            is_in_place = paths.folder.resolve() == kept.path.parent.resolve() and paths.result == kept.path.name
            return SceneFiles(
                info,
                [_picture(files, band, ThumbnailGrid(kept.size_hw)) for band in range(len(self._plan.asked))],
                [kept.tally(asked) for asked in self._plan.asked],
                finder,
                paths,
                self._outputs,
                kept.model,
                job.folder,
                reads_phrases=kept.reads_phrases,
                kept_before=kept.files if is_in_place else (),
            ).write(found, kept.origin, self._details(key, is_in_place=is_in_place))

    def _check(self, info: SceneInfo) -> None:
        """Refuse options that do not fit the scene."""
        check_min_area(info, self._options)
        if self._outputs.polygon_format == "geojson":
            check_crs(info.georeference.crs)

    def _details(self, key: str, *, is_in_place: bool) -> dict[str, Any]:
        """What `result.json` says besides; what the run said of itself stays."""
        report = self._kept.report
        decided = {
            "threshold": self._options.threshold,
            "min_area": str(self._options.min_area),
            "simplify_m": self._outputs.simplify_m,
            "orthogonal": self._outputs.orthogonal,
        }
        asked = report["asked"] if is_in_place else [{**one, "probability": None} for one in report["asked"]]
        return {
            "asked": asked,
            "key": key,
            "refined_from": str(self._kept.path.resolve()),
            "model": report["model"],
            "options": {**report["options"], **decided},
            "seconds": {"refine": round(time.perf_counter() - self._start, 3)},
            "versions": versions(),
        }


def _picture(files: ProbabilityFiles, band: int, grid: ThumbnailGrid) -> Thumbnail:
    """The probability of something asked as a grey picture, black 0 and white 1: the image may be gone."""
    sums = np.zeros((4, *grid.size_hw), dtype=np.uint32)
    for top, steps in files.strips(band):
        valid = steps != MASK_NODATA
        grey = (np.where(valid, steps, 0) * np.float32(255 / PROBABILITY_STEPS)).astype(np.uint8)
        window = Window(top, 0, *steps.shape)
        rows = slice(None), *grid.cells(window).slices
        sums[rows] += grid.sums(window, np.repeat(grey[..., None], 3, axis=2), valid)
    return grid.picture(sums)
