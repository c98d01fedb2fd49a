"""One scene from its file to its results: open, ask the model tile by tile, write.

`rs2sam segment` runs one request, `rs2sam batch` one after another with the same model. The memory of a run depends on
neither the height of the scene nor on what is found in it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import rasterio

from rs2sam.errors import InvalidInputError
from rs2sam.fields import a_path, a_place, texts
from rs2sam.files import check_utf8
from rs2sam.processing import FirstPass
from rs2sam.raster.faults import unreadable
from rs2sam.raster.scene import NOTHING_VALID, SceneInfo, scene_stem
from rs2sam.raster.source import ReadOptions, Source, open_source
from rs2sam.raster.thumbnail import ThumbnailGrid
from rs2sam.scenes.budget import Budget, budget
from rs2sam.scenes.finding import Finder, Plan
from rs2sam.scenes.first_pass import OverviewGrid, Screening
from rs2sam.scenes.job import Job, key_of
from rs2sam.scenes.outputs import OutputOptions, OutputPaths, writing_results
from rs2sam.scenes.reports import whole_report
from rs2sam.scenes.resolution import resolution_lines
from rs2sam.scenes.scanning import Answers, Scan, TileJob, local_answers, scan
from rs2sam.scenes.store import Decided, check_threshold
from rs2sam.scenes.writing import SceneFiles
from rs2sam.segmenter import Segmenter
from rs2sam.vector.geojson import check_crs
from rs2sam.versions import versions
from rs2sam.views.in_memory import check_min_area
from rs2sam.views.options import SceneOptions, check_sentences
from rs2sam.views.segmentation import unknown_remark

_LOGGER = logging.getLogger(__name__)


class ModelOptions(Protocol):
    """What a model decides where a request leaves it open; `Segmenter` is one."""

    @property
    def min_presence(self) -> float:
        """Presence below which its answer is "nothing"."""

    @property
    def min_known(self) -> float:
        """Probability that a sentence names something taught below which its answer is "nothing"."""

    @property
    def batch_size(self) -> int:
        """Views that it best reads at once."""

    @property
    def choose_in_view(self) -> bool:
        """Whether words that compare are chosen among the regions it finds in one view."""

    @property
    def reads_phrases(self) -> bool:
        """Whether it reads noun phrases alone."""

    @property
    def first_pass(self) -> FirstPass | None:
        """How tiles are skipped with it; None where that was not measured."""


@dataclass(frozen=True)
class SceneRequest:
    """What to find in one scene, and where the results go.

    Args:
        image: a file, a URL or a GDAL `/vsi` path.
        sentences: one or more, none of them blank.
        folder: for the results; made when needed.
        reading: how the file becomes pixels.
        options: how the scene is cut, answered and thresholded; a `min_presence` of None is the model's own.
        outputs: which files are written and how.
        model: name of the model, for the records.
    """

    image: str
    sentences: tuple[str, ...]
    folder: Path
    reading: ReadOptions = field(default_factory=ReadOptions)
    options: SceneOptions = field(default_factory=SceneOptions)
    outputs: OutputOptions = field(default_factory=OutputOptions)
    model: str = "compact"

    def __post_init__(self) -> None:
        object.__setattr__(self, "image", a_path("image", self.image))
        object.__setattr__(self, "sentences", texts("sentences", self.sentences))
        object.__setattr__(self, "folder", a_place("folder", self.folder))
        object.__setattr__(self, "model", a_path("model", self.model))
        # The scene is read at the resolution at which the model sees it.
        object.__setattr__(self, "reading", replace(self.reading, gsd_m=self.options.gsd_m))

    def paths(self) -> OutputPaths:
        """Where the results go."""
        return OutputPaths(self.folder, scene_stem(self.image), self.outputs.polygon_format)

    def check(self) -> None:
        """Refuse at once, before a model is loaded, what would fail after the work is done.

        Raises:
            InvalidInputError: a name or sentence is not UTF-8; a sentence is blank; there are too many for a class map;
                probabilities are kept and the threshold is none of their steps; the folder cannot be written, or holds
                results of this scene and may not be overwritten.
            MissingDependencyError: the format of the polygons needs a library that is not installed.
        """
        check_utf8("name of an image", self.image)
        check_utf8("name of a folder", str(self.folder))
        check_sentences(self.sentences)
        for sentence in self.sentences:
            check_utf8("text of a sentence", sentence)
        self.outputs.check(len(self.sentences))
        if self.outputs.keep_probabilities:
            check_threshold(self.options.threshold)
        # What a resumed run finds there may be its own: that is known when the scene is open.
        self.paths().prepare(overwrite=self.outputs.overwrite or self.outputs.resume)


def run_scene(
    request: SceneRequest,
    segmenter: Segmenter,
    progress: Callable[[int, int], None] | None = None,
    answers: Answers | None = None,
) -> dict[str, Any]:
    """Find what the sentences name in a scene and write every result, all or none.

    Args:
        request: the scene, the sentences, the options.
        segmenter: the model.
        progress: called with the number of views done and of all views, in another thread.
        answers: who asks the model about the tiles of `plan_tiles`; None: this process.

    Returns:
        The content of `STEM_result.json`. Its `lost` lists the windows that could not be read, in pixels of the
        results, where they have no data.

    Raises:
        DataNotFoundError: when there is no such image.
        InvalidInputError: when the image cannot be read, an option does not fit it, or the results cannot be written.
    """
    request.check()
    request = with_model_options(request, segmenter)

    def check(source: Source) -> None:
        memory_of(request, source, plan_tiles(request, source.info, segmenter.image_size))

    with open_source(request.image, request.reading, before_sampling=check) as source:
        run = _Run(request, segmenter, source, time.perf_counter())
        finished = run.finished_before()
        if finished is not None:
            return finished
        with writing_results(request.folder):
            return run.execute(answers or local_answers(source, segmenter), progress)


def with_model_options(request: SceneRequest, model: ModelOptions) -> SceneRequest:
    """The request with the model's own choice wherever the options leave it to the model.

    Raises:
        InvalidInputError: tiles are to be skipped, and nothing says at which threshold.
    """
    options = request.options
    if options.min_presence is None:
        options = replace(options, min_presence=model.min_presence)
    if options.batch_size is None:
        options = replace(options, batch_size=model.batch_size)
    if options.choose_in_view is None:
        options = replace(options, choose_in_view=model.choose_in_view)
    first_pass = options.first_pass or model.first_pass
    if options.exhaustive is None:
        options = replace(options, exhaustive=not (first_pass and first_pass.is_default))
    if not options.exhaustive and first_pass is None:
        raise InvalidInputError(
            f"A first pass needs a threshold that was measured for the model, but {request.model!r} has none. Measure "
            "it (`python -m benchmarks.scale.first_pass --help`), or ask about every tile with --exhaustive."
        )
    return replace(request, options=replace(options, first_pass=None if options.exhaustive else first_pass))


def plan_tiles(request: SceneRequest, info: SceneInfo, image_size: int) -> TileJob:
    """The tiles of a scene and what is asked about each.

    Args:
        request: the scene, the sentences, the options.
        info: of the open scene.
        image_size: side of the model's input in pixels.

    Raises:
        InvalidInputError: when the tiling, the least area or the format of the polygons does not fit the scene.
    """
    options = request.options
    check_min_area(info, options)
    if request.outputs.polygon_format == "geojson":
        check_crs(info.georeference.crs)
    pixel_m = None if options.gsd_m is None else info.georeference.pixel_size_m(info.size_hw)
    grid = options.grid(info.size_hw, image_size, pixel_m)
    sentences = Plan.of(request.sentences, by_scene=options.chooses(len(grid))).asked
    screening = None
    if options.first_pass is not None and len(grid) > 1:
        views = OverviewGrid(grid, options.first_pass.tiles)
        screening = Screening(views, image_size, sentences, options.first_pass.threshold)
    return TileJob(
        path=request.image,
        reading=request.reading,
        info=info,
        grid=grid,
        sentences=sentences,
        batch_size=options.batch_size or 1,
        start=0,
        thumbnail=ThumbnailGrid(info.size_hw),
        side=None if options.gsd_m is None else grid.tile,
        screening=screening,
    )


def memory_of(request: SceneRequest, source: Source, task: TileJob) -> Budget:
    """What a run needs in memory; no pixel is read.

    Raises:
        InvalidInputError: when it is more than it may use.
    """
    screening = task.screening
    # Rows of the scene that are read before the reader moves on to lower ones.
    rows = task.grid.tile if screening is None else screening.views.side
    cache, memory = source.cache_bytes(rows), request.options.memory
    return budget(task.grid, len(task.sentences), task.batch_size, cache, memory, screening)


class _Run:
    """A request on its open scene."""

    def __init__(self, request: SceneRequest, segmenter: Segmenter, source: Source, start: float) -> None:
        self._request = request
        self._segmenter = segmenter
        self._source = source
        self._start = start
        self._paths = request.paths()
        self._task = plan_tiles(request, source.info, segmenter.image_size)
        self._key = key_of(self._identity())
        self._resolution = resolution_lines(segmenter, source.info, request.options.gsd_m)

    def finished_before(self) -> dict[str, Any] | None:
        """The report of this very run where it has come to its end already and is only to be continued.

        Raises:
            InvalidInputError: when there are results of another run that may not be replaced.
        """
        outputs = self._request.outputs
        if not outputs.resume:
            return None
        report = whole_report(self._paths.folder / self._paths.result)
        if report is not None and report.get("key") == self._key:
            return report
        if not outputs.overwrite and not self._job().exists:
            self._paths.prepare(overwrite=False)
        return None

    def execute(self, answers: Answers, progress: Callable[[int, int], None] | None) -> dict[str, Any]:
        """Scan, choose, write."""
        options, keep = self._request.options, self._request.outputs.keep_probabilities
        plan = memory_of(self._request, self._source, self._task)
        self._tell(plan)
        with self._job() as job, rasterio.Env(GDAL_CACHEMAX=plan.cache):
            if not self._request.outputs.resume:
                # Another run may have come to its end since the request was checked.
                self._paths.prepare(overwrite=self._request.outputs.overwrite)
            opened_at = time.perf_counter()
            scanned = scan(self._task, options, job, answers, progress, keep=keep)
            self._check_pixels(scanned)
            self._source.close()
            scanned_at = time.perf_counter()
            said = (*self._source.info.warnings, *self._resolution, *self._unknown(scanned))
            sentences = Plan.of(self._request.sentences, by_scene=options.chooses(len(self._task.grid)))
            pixels = Decided(scanned.stored, options.threshold) if keep else scanned.stored
            calibration = self._segmenter.calibration
            finder = Finder(pixels, self._source.info, sentences, options, job.folder, scanned.objects, calibration)
            found = [finder.find(number) for number in range(len(self._request.sentences))]
            info = replace(self._source.info, warnings=(*said, *(line for one in found for line in one.doubts)))
            if not scanned.num_valid:
                info = replace(info, limits=(), warnings=(*info.warnings, NOTHING_VALID))
            seconds = {
                "open": round(opened_at - self._start, 3),
                "segment": round(scanned_at - opened_at, 3),
                "model": round(sum(tally.seconds for tally in scanned.tallies), 3),
                "first_pass": round(scanned.first_pass_seconds, 3),
                "regions": round(time.perf_counter() - scanned_at, 3),
            }
            for one in found:
                _LOGGER.info('"%s": %d regions, %d px', one.scoped.sentence, one.num_regions, one.num_pixels)
            _LOGGER.info("seconds: %s", seconds)
            return SceneFiles(
                info,
                [scanned.thumbnail] * len(scanned.tallies),
                scanned.tallies,
                finder,
                self._paths,
                self._request.outputs,
                self._request.model,
                job.folder,
                reads_phrases=self._segmenter.reads_phrases,
                kept=scanned.stored if keep else None,
            ).write(found, scanned.describe(info), self._details(seconds))

    def _tell(self, plan: Budget) -> None:
        """Say what is doubtful about the scale, and with -v what is going to be done."""
        info, task = self._source.info, self._task
        for line in self._resolution:
            _LOGGER.warning("%s: %s.", self._request.image, line)
        height, width = info.size_hw
        _LOGGER.info("%s: %d x %d px of %s, bands %s", self._request.image, width, height, info.dtype, info.bands)
        _LOGGER.info("asked in each of %d views: %s", len(task.grid), "; ".join(task.sentences))
        _LOGGER.info("tiles of %d px, %d at once, %s", task.grid.tile, task.batch_size, plan)

    def _job(self) -> Job:
        """The folder of this run."""
        return Job(self._paths.folder, self._paths.stem, self._key, resume=self._request.outputs.resume)

    def _check_pixels(self, scanned: Scan) -> None:
        """Refuse a scene of which nothing could be read, and say what is missing from others."""
        if scanned.lost and not scanned.num_valid:
            raise unreadable(self._request.image)
        if not scanned.num_valid:
            _LOGGER.warning("%s: %s.", self._request.image, NOTHING_VALID)

    def _unknown(self, scanned: Scan) -> list[str]:
        """What of that which was asked names nothing that the model was taught, said in words."""
        asked, least = zip(self._task.sentences, scanned.tallies, strict=True), self._segmenter.min_known
        remarks = [unknown_remark(sentence, tally.known, least) for sentence, tally in asked]
        said = [remark for remark in remarks if remark is not None]
        for remark in said:
            _LOGGER.warning("%s: %s.", self._request.image, remark)
        return said

    def _identity(self) -> dict[str, Any]:
        """Everything that the results depend on."""
        request, segmenter = self._request, self._segmenter
        options = {name: value for name, value in asdict(request.options).items() if name != "memory"}
        how = ("overwrite", "resume")
        outputs = {name: value for name, value in asdict(request.outputs).items() if name not in how}
        return {
            "image": _identity_of(request.image),
            "size_hw": self._source.info.size_hw,
            "sentences": request.sentences,
            "reading": asdict(request.reading),
            "options": options,
            "outputs": outputs,
            "model": [request.model, segmenter.backend_name, segmenter.image_size, _identity_of(request.model)],
            "rs2sam": versions().get("rs2sam"),
            "state": 3,  # the form of what an interrupted run leaves
        }

    def _details(self, seconds: dict[str, float]) -> dict[str, Any]:
        """What `result.json` says of the run."""
        options, grid, segmenter = self._request.options, self._task.grid, self._segmenter
        is_tiled = len(grid) > 1
        first_pass = options.first_pass if self._task.screening is not None else None
        return {
            "key": self._key,
            "model": {
                "name": self._request.model,
                "backend": segmenter.backend_name,
                "image_size": segmenter.image_size,
                "reads_phrases": segmenter.reads_phrases,
                "calibration": None if segmenter.calibration is None else asdict(segmenter.calibration),
            },
            "options": {
                "tile": grid.tile if is_tiled else None,
                "overlap": grid.overlap if is_tiled else None,
                "threshold": options.threshold,
                "min_presence": options.min_presence,
                "min_area": str(options.min_area),
                "scope": options.scope,
                "choose_in_view": options.choose_in_view,
                "gsd_m": options.gsd_m,
                "first_pass": None if first_pass is None else asdict(first_pass),
                "simplify_m": self._request.outputs.simplify_m,
                "orthogonal": self._request.outputs.orthogonal,
            },
            "seconds": seconds,
            "versions": versions(),
        }


def _identity_of(name: str) -> Any:
    """Place, size and time of a file, or of the files of a folder; the name itself where there is none."""
    path = Path(name)
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    return [[str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns] for file in files] or name
