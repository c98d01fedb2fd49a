"""Everything that one service consists of, put together; begun and ended in order."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from pathlib import Path

from rs2sam.raster.scene import SceneInfo
from rs2sam.scenes.resolution import resolution_lines
from rs2sam.segmenter import Segmenter
from rs2sam.serve.asking.answers import AnswerStore
from rs2sam.serve.asking.desk import Desk
from rs2sam.serve.asking.model import ModelThread
from rs2sam.serve.asking.prepared import PreparedImage
from rs2sam.serve.database import Database
from rs2sam.serve.images.encodings import EncodingShelf
from rs2sam.serve.images.library import Library
from rs2sam.serve.jobs.records import JobRecords
from rs2sam.serve.jobs.runner import JobRunner
from rs2sam.serve.metrics import Metrics
from rs2sam.serve.problems import ProblemError
from rs2sam.serve.settings import Settings

_LOGGER = logging.getLogger(__name__)

CLEAN_EVERY_S = 30.0
_UPLOAD_S = 3600.0
"""An upload that nobody goes on with is removed after this long."""


class Service:
    """A model with images, questions and jobs around it.

    Args:
        settings: what the operator decides.
        segmenter: the model.

    Raises:
        BusyError: another service works in the folder.
        InvalidInputError: the folder cannot be used.
    """

    def __init__(self, settings: Settings, segmenter: Segmenter) -> None:
        self.settings = settings
        self.segmenter = segmenter
        self.metrics = Metrics()
        self.database = Database(settings.data)
        self.model = ModelThread(segmenter, self.metrics)
        self.answers = AnswerStore(settings.data / "answers", settings.limits.answers_bytes)
        self.library = Library(
            settings,
            self.database,
            segmenter.image_size,
            self.metrics,
            self._remarks,
            self._warm,
            EncodingShelf(self.model.mark),
        )
        self.desk = Desk(settings, self.library, self.model, self.answers)
        self.records = JobRecords(self.database, settings.limits)
        self.jobs = JobRunner(settings, self.records, self.library, self.model, self.metrics)
        self.is_ready = False
        self._is_stopping = threading.Event()
        self._cleaner = threading.Thread(target=self._clean_now_and_then, name="rs2sam-cleaner", daemon=True)
        self._add_gauges()

    def start(self) -> None:
        """Go on with what the process before left, and take requests."""
        self.library.start()
        self.jobs.start()
        self._cleaner.start()
        self.is_ready = True

    def stop(self) -> None:
        """End: what runs is interrupted where it can go on later, else finished."""
        self.is_ready = False
        self._is_stopping.set()
        if self._cleaner.is_alive():
            self._cleaner.join()
        self.jobs.stop()
        self.desk.stop()
        self.library.stop()
        self.model.stop()
        self.database.close()

    def delete_image(self, image_id: str) -> None:
        """Remove an image and what was answered about it."""
        self.library.delete(image_id)
        self.answers.drop(image_id)

    def clean(self, now: float | None = None) -> None:
        """Remove what is too old, then the oldest until the rest fits its room."""
        limits, now = self.settings.limits, time.time() if now is None else now
        self.library.flush()
        for job_id in self.records.finished_before(now - limits.keep_s):
            self.jobs.remove(job_id)
        for row in self.database.rows("SELECT id, state, used FROM images ORDER BY used"):
            keep_s = min(limits.keep_s, _UPLOAD_S) if row["state"] == "uploading" else limits.keep_s
            if row["used"] < now - keep_s:
                self._delete_unless_busy(row["id"])
        for path in self.answers.folder.iterdir():
            if path.stat().st_mtime < now - limits.keep_s:
                path.unlink(missing_ok=True)
        if folder_bytes(self.settings.data) > limits.store_bytes:
            self._make_room()

    def _make_room(self) -> None:
        """Remove answers, then results and images, those that were used longest ago first."""
        most = self.settings.limits.store_bytes
        for path in sorted(self.answers.folder.iterdir(), key=lambda path: path.stat().st_mtime):
            path.unlink(missing_ok=True)
        ages = [
            *(
                (row["finished"], "job", row["id"])
                for row in self.database.rows("SELECT id, finished FROM jobs WHERE finished > 0")
            ),
            *((row["used"], "image", row["id"]) for row in self.database.rows("SELECT id, used FROM images")),
        ]
        for _, kind, key in sorted(ages):
            if folder_bytes(self.settings.data) <= most:
                return
            if kind == "job":
                self.jobs.remove(key)
            else:
                self._delete_unless_busy(key)

    def _delete_unless_busy(self, image_id: str) -> None:
        """Remove an image that no job needs."""
        try:
            self.delete_image(image_id)
        except ProblemError as problem:
            _LOGGER.debug("image %s stays: %s", image_id, problem.detail)

    def _clean_now_and_then(self) -> None:
        """The cleaner's thread."""
        while not self._is_stopping.wait(CLEAN_EVERY_S):
            try:
                self.clean()
            except Exception:  # what cannot be removed now can be later; the service goes on
                _LOGGER.exception("cleaning has failed")

    def _remarks(self, info: SceneInfo) -> tuple[str, ...]:
        """Whether a scene is at a scale that the model was made for."""
        return resolution_lines(self.segmenter, info, None)

    def _warm(self, image: PreparedImage) -> None:
        """Have the model encode an image before it is asked about."""
        self.model.encode(image.shown)

    def _add_gauges(self) -> None:
        """What is shown whenever it is asked for."""
        gauge = self.metrics.gauge
        gauge("rs2sam_questions_waiting", "Questions taken on and not answered", lambda: self.desk.num_waiting)
        gauge("rs2sam_batches_waiting", "Batches that wait for the model", lambda: self.model.num_waiting)
        gauge("rs2sam_image_cache_bytes", "Prepared images in memory", lambda: self.library.cache.num_bytes)
        gauge("rs2sam_answer_cache_bytes", "Answers in memory", lambda: self.answers.num_bytes)
        gauge("rs2sam_jobs_queued", "Jobs that wait", lambda: self.records.counts().get("queued", 0))
        gauge("rs2sam_jobs_running", "Jobs that run", lambda: self.records.counts().get("running", 0))
        gauge(
            "rs2sam_disk_free_bytes", "Free on the service's disk", lambda: shutil.disk_usage(self.settings.data).free
        )


def folder_bytes(folder: Path) -> int:
    """Bytes of all files of a folder; links count nothing."""
    total = 0
    for inner, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(inner, name)).st_size
            except OSError:  # removed meanwhile
                continue
    return total
