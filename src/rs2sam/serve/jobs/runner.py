"""One scene after another through the engine, which goes on from its finished blocks after a kill.

A job is `queued`, then `running`; a process that ends leaves it so, and the next one runs it again with `resume`:
blocks that were finished are not asked again, and a run that had written its results is found finished.
"""

from __future__ import annotations

import logging
import math
import shutil
import threading
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from rs2sam.raster.source import open_source
from rs2sam.scenes.outputs import OutputOptions
from rs2sam.scenes.run import SceneRequest, run_scene
from rs2sam.scenes.scanning import Answers, TileJob, local_answers
from rs2sam.serve.asking.model import ModelThread, SharedSegmenter
from rs2sam.serve.images.intake import without_path
from rs2sam.serve.images.library import Library
from rs2sam.serve.images.record import ImageRecord
from rs2sam.serve.jobs.partial import PartialPicture, picture_of_result
from rs2sam.serve.jobs.records import JobRecord, JobRecords
from rs2sam.serve.metrics import Metrics
from rs2sam.serve.problems import ProblemError, problem_of
from rs2sam.serve.settings import Settings
from rs2sam.views.assembly import AnsweredTile
from rs2sam.views.options import MinArea, SceneOptions

_LOGGER = logging.getLogger(__name__)

_NOTED_EVERY_S = 1.0
RESULTS, PREVIEW = "results", "preview.png"


class _StoppedError(Exception):
    """The job is to stop: somebody cancelled it, the service ends, or it has run too long."""


class Live:
    """What is known of the running job beyond its record.

    Args:
        job_id: of the job.
    """

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.since = time.monotonic()
        self.done_before: int | None = None
        self.done = 0
        self.total: int | None = None
        self.is_cancelled = threading.Event()
        self.picture: PartialPicture | None = None

    @property
    def remaining_s(self) -> float | None:
        """Seconds that are left, by the pace so far."""
        if self.total is None or self.done_before is None or self.done <= self.done_before:
            return None
        pace = (time.monotonic() - self.since) / (self.done - self.done_before)
        return round(pace * (self.total - self.done), 1)


class JobRunner:
    """Runs the jobs of a service in a thread.

    Args:
        settings: of the service.
        records: of the jobs.
        library: the images.
        model: the shared model.
        metrics: told of jobs that end.
    """

    def __init__(
        self, settings: Settings, records: JobRecords, library: Library, model: ModelThread, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._records = records
        self._library = library
        self._segmenter = SharedSegmenter(model, "scene")
        self._metrics = metrics
        self.folder = settings.data / "jobs"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._wake = threading.Event()
        self._is_stopping = threading.Event()
        self._live: Live | None = None
        self._thread = threading.Thread(target=self._work, name="rs2sam-jobs", daemon=True)

    def start(self) -> None:
        """Go on with what the process before left."""
        known = self._records.ids()
        for folder in self.folder.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
        self._records.requeue()
        self._thread.start()

    def stop(self) -> None:
        """Interrupt the running job, which goes on when the service is started again."""
        self._is_stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def wake(self) -> None:
        """There is a new job."""
        self._wake.set()

    def live(self, job_id: str) -> Live | None:
        """What is known of a job that runs now."""
        found = self._live
        return found if found is not None and found.job_id == job_id else None

    def cancel(self, job_id: str) -> None:
        """Cancel a job that waits or runs."""
        if not self._records.cancel_waiting(job_id):
            live = self.live(job_id)
            if live is not None:
                live.is_cancelled.set()
        else:
            self._metrics.jobs.labels("cancelled").inc()

    def remove(self, job_id: str) -> None:
        """Remove a finished job with its results."""
        self._records.remove(job_id)
        shutil.rmtree(self.folder / job_id, ignore_errors=True)

    def results(self, job_id: str) -> Path:
        """Where a job's files are."""
        return self.folder / job_id / RESULTS

    def _work(self) -> None:
        """The thread."""
        while not self._is_stopping.is_set():
            self._wake.clear()
            record = self._records.begin_next()
            if record is None:
                self._wake.wait()
                continue
            self._live = Live(record.id)
            try:
                self._run(record, self._live)
            finally:
                self._live = None

    def _run(self, record: JobRecord, live: Live) -> None:
        """One job, to its end or its interruption."""
        try:
            image = self._library.get(record.image_id)
            report = self._report(record, image, live)
            report["source"]["path"] = image.name
            report["outputs"]["folder"] = ""
            picture = picture_of_result(self.results(record.id) / report["outputs"]["mask"])
            (self.folder / record.id / PREVIEW).write_bytes(picture)
            self._end(record, "done", result=report)
        except _StoppedError:
            if live.is_cancelled.is_set():
                self._end(record, "cancelled")
                shutil.rmtree(self.folder / record.id, ignore_errors=True)
            elif self._is_stopping.is_set():
                self._records.requeue(record.id)
            else:
                limit = self._settings.limits.job_s
                self._end(record, "failed", error=ProblemError("timeout", f"A job has up to {limit:g} s.").as_dict())
        except Exception as error:
            if self._is_stopping.is_set() and not isinstance(error, ProblemError):
                # The model has ended under it.
                self._records.requeue(record.id)
                return
            problem = problem_of(error).as_dict(f"/v1/jobs/{record.id}")
            try:
                path = self._library.get(record.image_id).path
                problem["detail"] = without_path(problem["detail"], path, path.name)
            except ProblemError:
                pass
            problem["detail"] = problem["detail"].replace(str(self.results(record.id)), "the results")
            self._end(record, "failed", error=problem)

    def _end(self, record: JobRecord, state: Any, *, error: Any = None, result: Any = None) -> None:
        """Note the end."""
        if self._records.finish(record.id, state, error=error, result=result):
            self._metrics.jobs.labels(state).inc()
        _LOGGER.info("job %s: %s", record.id, state)

    def _report(self, record: JobRecord, image: ImageRecord, live: Live) -> dict[str, Any]:
        """What the engine says."""
        asked = record.request
        noted, noted_at = record.done, -math.inf

        def progress(done: int, total: int) -> None:
            """Show and note how far it is; end it where it is to end."""
            nonlocal noted, noted_at
            if live.done_before is None:
                live.done_before = max(0, done - len(asked["sentences"]))
            live.done, live.total = done, total
            now = time.monotonic()
            if (
                live.is_cancelled.is_set()
                or self._is_stopping.is_set()
                or now - live.since > self._settings.limits.job_s
            ):
                raise _StoppedError
            # The first step beyond an earlier attempt is noted at once: a job that gets on is not given up.
            if done > noted and (now - noted_at >= _NOTED_EVERY_S or done == total):
                noted, noted_at = done, now
                self._records.progress(record.id, done, total)

        request = scene_request(record, image, self.results(record.id), self._settings)
        return run_scene(request, self._segmenter, progress, self._watched(live, request.options.threshold))

    def _watched(self, live: Live, threshold: float) -> Answers:
        """Answers of the model, each drawn into the picture of what was found so far."""

        def answers(task: TileJob) -> Generator[AnsweredTile, None, None]:
            live.picture = PartialPicture(task.grid, threshold)
            with (
                open_source(task.path, task.reading, task.info.limits, quiet=True) as source,
                closing(local_answers(source, self._segmenter)(task)) as tiles,
            ):
                for tile in tiles:
                    live.picture.add(tile)
                    yield tile

        return answers


def scene_request(record: JobRecord, image: ImageRecord, folder: Path, settings: Settings) -> SceneRequest:
    """A job as the engine takes it.

    Raises:
        InvalidInputError: an option is out of range.
    """
    asked = record.request
    options, outputs = asked.get("options") or {}, asked.get("outputs") or {}
    return SceneRequest(
        image=str(image.path),
        sentences=tuple(asked["sentences"]),
        folder=folder,
        reading=image.reading,
        options=SceneOptions(
            tile=options.get("tile"),
            overlap=options.get("overlap"),
            batch_size=None,
            threshold=options.get("threshold", 0.5),
            min_presence=options.get("min_presence"),
            min_area=MinArea.parse(options.get("min_area", "0")),
            scope=options.get("scope", "scene"),
            gsd_m=options.get("gsd_m"),
            memory=settings.limits.job_bytes,
        ),
        outputs=OutputOptions(
            polygon_format=outputs.get("format", "gpkg"),
            resume=True,
            cog=outputs.get("cog", False),
            class_map=outputs.get("class_map", False),
            simplify_m=outputs.get("simplify_m", 0.0),
            orthogonal=outputs.get("orthogonal", False),
        ),
        model=settings.model,
    )
