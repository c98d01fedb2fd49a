"""Images that users gave: on disk with their records, prepared once, and in memory while there is room."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from rs2sam.raster.read import read_scene
from rs2sam.raster.scene import Scene, SceneInfo
from rs2sam.raster.source import open_source
from rs2sam.serve.asking.prepared import PreparedImage
from rs2sam.serve.database import Database, as_json
from rs2sam.serve.images.cache import ImageCache
from rs2sam.serve.images.encodings import EncodingShelf
from rs2sam.serve.images.intake import (
    Facts,
    as_columns,
    checked_content,
    opened_facts,
    without_path,
)
from rs2sam.serve.images.record import PART, ImageRecord, State, record_of, sealed_reading
from rs2sam.serve.metrics import Metrics
from rs2sam.serve.names import safe_stem, shown_name
from rs2sam.serve.problems import ProblemError, problem_of
from rs2sam.serve.settings import Settings
from rs2sam.views.options import SceneOptions

_LOGGER = logging.getLogger(__name__)

MOST_VIEWS = 16
"""An image of more views is asked by a job."""

_PIXELS = ".pixels.npy"
_SUFFIXES = (".tif", ".png", ".jpg", ".webp")
_SPARE_BYTES = 500_000_000
_NUM_READERS = 2


class ImageLock:
    """What whoever changes an image's files holds; a lock that can be referred to weakly."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def acquire(self, *, blocking: bool = True) -> bool:
        """As `threading.Lock.acquire`."""
        return self._lock.acquire(blocking)

    def release(self) -> None:
        """As `threading.Lock.release`."""
        self._lock.release()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_exception: object) -> None:
        self._lock.release()


class Library:
    """All images of a service.

    Args:
        settings: of the service.
        database: where records are.
        image_size: side of the model's input [px].
        metrics: told of what was prepared.
        remarks: what is doubtful about a scene for the model.
        warm: called with an image that was prepared for the first time, so that the model encodes it.
        encodings: where what the model made of images is kept while they are not in memory.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        image_size: int,
        metrics: Metrics,
        remarks: Callable[[SceneInfo], tuple[str, ...]],
        warm: Callable[[PreparedImage], object],
        encodings: EncodingShelf,
    ) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._database = database
        self._image_size = image_size
        self._metrics = metrics
        self._remarks = remarks
        self._warm = warm
        self._encodings = encodings
        self.folder = settings.data / "images"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.cache = ImageCache(settings.limits.cache_bytes)
        self._locks_lock = threading.Lock()
        self._locks: WeakValueDictionary[str, ImageLock] = WeakValueDictionary()
        self._used: dict[str, float] = {}
        self._readers = ThreadPoolExecutor(_NUM_READERS, thread_name_prefix="rs2sam-intake")

    def start(self) -> None:
        """Go on with what the process before had not finished; what nothing refers to is removed."""
        known = {row["id"] for row in self._database.rows("SELECT id FROM images")}
        for folder in self.folder.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)
        for row in self._database.rows("SELECT id FROM images WHERE state = 'encoding'"):
            self._readers.submit(self._encode, row["id"])

    def stop(self) -> None:
        """Let the readers end, and leave what the model made of images to the process after this."""
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._put_away(self.cache.take_all())
        self.flush()

    # Records

    def get(self, image_id: str) -> ImageRecord:
        """The record of an image.

        Raises:
            ProblemError: there is no such image.
        """
        row = self._database.row("SELECT * FROM images WHERE id = ?", image_id)
        if row is None:
            raise ProblemError("not-found", f"There is no image {image_id[:80]!r}. It may have expired: send it again.")
        return record_of(row, self.folder, self._used.get(row["id"]))

    def touch(self, image_id: str, used: float | None = None) -> None:
        """Note that an image is used."""
        self._used[image_id] = time.time() if used is None else used

    def flush(self) -> None:
        """Write down when images were used."""
        for image_id, used in list(self._used.items()):
            self._database.update("images", image_id, {"used": used})
            self._used.pop(image_id, None)

    def is_interactive(self, record: ImageRecord) -> bool:
        """Whether questions about an image are answered at once."""
        if record.facts is None or record.num_views is None:
            return False
        num_pixels = record.facts.width * record.facts.height
        return num_pixels <= self._limits.interactive_pixels and record.num_views <= MOST_VIEWS

    # Taking images

    def begin(self, name: str, num_bytes: int, reading: dict[str, Any]) -> str:
        """Make room for an image whose bytes will come; returns its id.

        Args:
            name: that its sender knows it by.
            num_bytes: of its file.
            reading: how it becomes pixels, see `sealed_reading`.

        Raises:
            ProblemError: it is too large, or there is no room.
        """
        if num_bytes > self._limits.upload_bytes:
            raise ProblemError(
                "too-large",
                f"An image file has up to {self._limits.upload_bytes:,} bytes here, but {num_bytes:,} are announced.",
            )
        self.check_room(num_bytes)
        return self._insert("uploading", name, PART, num_bytes, 0, reading)

    def part(self, image_id: str) -> Path:
        """The file that an upload grows in."""
        return self.folder / image_id / PART

    def lock(self, image_id: str) -> ImageLock:
        """What whoever changes an image's files holds; it lives as long as somebody refers to it."""
        with self._locks_lock:
            return self._locks.setdefault(image_id, ImageLock())

    def complete(self, image_id: str) -> None:
        """All bytes have come: read the image."""
        num_bytes = self.part(image_id).stat().st_size
        values = {"state": "encoding", "received": num_bytes, "bytes": num_bytes, "used": time.time()}
        self._database.update("images", image_id, values)
        self._readers.submit(self._encode, image_id)

    def link(self, path: Path, name: str, reading: dict[str, Any]) -> str:
        """Take an image that lies on this machine, where it lies; returns its id. Arguments as of `begin`."""
        self.check_room(0)
        suffix = checked_content(path)
        file = f"{safe_stem(name)}{suffix}"
        num_bytes = path.stat().st_size
        image_id = self._insert("encoding", name, file, num_bytes, num_bytes, reading)
        # The link stands alone in its folder, so no neighbour of the file is found from there.
        (self.folder / image_id / file).symlink_to(path)
        self._readers.submit(self._encode, image_id)
        return image_id

    def delete(self, image_id: str) -> None:
        """Remove an image.

        Raises:
            ProblemError: there is none, or a job is at work on it.
        """
        self.get(image_id)
        with self._database.transaction() as connection:
            busy = connection.execute(
                "SELECT id FROM jobs WHERE image = ? AND state IN ('queued', 'running')", (image_id,)
            ).fetchone()
            if busy is not None:
                raise ProblemError("conflict", f"The job {busy['id']} is at work on this image. Cancel it first.")
            connection.execute("DELETE FROM images WHERE id = ?", (image_id,))
        self.cache.drop(image_id)
        self._used.pop(image_id, None)
        shutil.rmtree(self.folder / image_id, ignore_errors=True)

    # Prepared images

    def prepared(self, image_id: str) -> PreparedImage:
        """An image as the model takes it: from memory, from disk, or read again.

        Raises:
            ProblemError: it is not ready, or too large for questions.
        """
        found = self.cache.get(image_id)
        if found is not None:
            self._put_away(self.cache.make_room())
            return found
        with self.lock(image_id):
            found = self.cache.get(image_id)
            if found is None:
                found = self._from_disk(self.get(image_id))
                self._keep(image_id, found)
        return found

    def _keep(self, image_id: str, image: PreparedImage) -> None:
        """Take an image into memory; what the model made of those that leave goes to disk."""
        self._put_away(self.cache.keep(image_id, image))

    def _put_away(self, leaving: Iterable[tuple[str, PreparedImage]]) -> None:
        """Write down what the model made of images that leave memory."""
        for image_id, image in leaving:
            self._encodings.write(self.folder / image_id, image.shown.picture.encoding)

    def _from_disk(self, record: ImageRecord) -> PreparedImage:
        """Read the pixels that were kept, or the image."""
        if record.state != "ready":
            raise ProblemError("conflict", f"The image is not ready: its state is {record.state!r}.")
        try:
            with open_source(record.path, record.reading, record.limits, quiet=True) as source:
                info = source.info
            kept = np.load(record.path.parent / _PIXELS, allow_pickle=False)
            rgb, valid = np.ascontiguousarray(kept[..., :3]), kept[..., 3] != 0
        except (OSError, ValueError):
            self._metrics.encoded.labels("file").inc()
            return PreparedImage(self._named(read_scene(record.path, record.reading, quiet=True), record))
        self._metrics.encoded.labels("disk").inc()
        image = PreparedImage(self._named(Scene.of(info, rgb, valid), record))
        encoding = self._encodings.read(record.path.parent)
        if encoding is not None:
            self._metrics.encodings.inc()
            image.shown.picture.encoding = encoding
        return image

    def _named(self, scene: Scene, record: ImageRecord) -> Scene:
        """A scene under the name that its sender knows."""
        return replace(scene, source=record.path.name)

    # The readers' part

    def _encode(self, image_id: str) -> None:
        """Read an image and prepare it; what goes wrong is in its record."""
        try:
            record = self.get(image_id)
            facts, limits, num_views = self._read(record)
        except Exception as error:
            if self._database.row("SELECT id FROM images WHERE id = ?", image_id) is None:
                _LOGGER.info("image %s: it was deleted before it was read", image_id)
                return
            problem = problem_of(error)
            _LOGGER.info("image %s: %s", image_id, problem.detail)
            values = {"state": "failed", "error": as_json(problem.as_dict(f"/v1/images/{image_id}"))}
            self._database.update("images", image_id, values)
            for path in (self.folder / image_id).glob("*"):
                path.unlink(missing_ok=True)
            return
        known = {**as_columns(facts), "limits": limits, "num_views": num_views}
        path = self._placed(record)
        self._database.update("images", image_id, {"state": "ready", "facts": as_json(known), "file": path.name})

    def _placed(self, record: ImageRecord) -> Path:
        """Where the file of an image stands once its content has told its suffix."""
        if record.path.name != PART:
            return record.path
        wanted = [record.path.with_name(f"{safe_stem(record.name)}{suffix}") for suffix in _SUFFIXES]
        found = next((path for path in wanted if path.exists()), None)
        if found is None:
            found = record.path.with_name(f"{safe_stem(record.name)}{checked_content(record.path)}")
            os.replace(record.path, found)
        return found

    def _read(self, record: ImageRecord) -> tuple[Facts, Any, int]:
        """Header, and pixels where questions are answered at once; returns facts, limits and number of views."""
        if record.bytes == 0:
            raise ProblemError("invalid-image", "The image file is empty (0 bytes). Send it again.")
        path = self._placed(record)
        record = replace(record, path=path)
        facts, info = opened_facts(path, record.name, record.reading, self._limits)
        num_views = len(SceneOptions().grid(info.size_hw, self._image_size))
        seen = replace(record, facts=facts, num_views=num_views)
        if self.is_interactive(seen):
            try:
                scene = read_scene(path, record.reading, quiet=True)
            except Exception as error:
                problem = problem_of(error)
                raise ProblemError(problem.kind, without_path(problem.detail, path, record.name)) from error
            self._metrics.encoded.labels("file").inc()
            pixels = np.concatenate([scene.rgb, scene.valid[..., None].astype(np.uint8)], axis=2)
            partial = path.parent / f"{_PIXELS}.part"
            with partial.open("wb") as file:
                np.save(file, pixels, allow_pickle=False)
            os.replace(partial, path.parent / _PIXELS)
            image = PreparedImage(self._named(scene, record))
            self._warm(image)
            self._keep(record.id, image)
            facts = replace(facts, warnings=scene.warnings)
        return replace(facts, warnings=(*facts.warnings, *self._remarks(info))), info.limits, num_views

    # Room

    def _insert(
        self, state: State, name: str, file: str, num_bytes: int, received: int, reading: dict[str, Any]
    ) -> str:
        """A new record with its folder; returns the id."""
        sealed_reading(**reading)
        image_id = f"i_{secrets.token_urlsafe(12)}"
        now = time.time()
        (self.folder / image_id).mkdir(mode=0o700)
        with self._database.transaction() as connection:
            count = connection.execute("SELECT count(*) FROM images").fetchone()[0]
            if count >= self._limits.images:
                raise ProblemError("storage-full", "As many images as are kept are there. Delete some, or wait.")
            connection.execute(
                "INSERT INTO images (id, state, name, file, bytes, received, reading, created, used) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (image_id, state, shown_name(name), file, num_bytes, received, as_json(reading), now, now),
            )
        return image_id

    def check_room(self, num_bytes: int) -> None:
        """Refuse an image that would wait too long to be read, or for which there is no disk space.

        Raises:
            ProblemError: there is no room.
        """
        row = self._database.row("SELECT count(*) AS waiting FROM images WHERE state = 'encoding'")
        if row is not None and row["waiting"] >= self._limits.encodings:
            raise ProblemError("busy", "As many images as are taken on wait to be read.", retry_after=5)
        # A form is received in the folder of temporary files, and then copied.
        if any(
            shutil.disk_usage(place).free < num_bytes + _SPARE_BYTES for place in (self.folder, tempfile.gettempdir())
        ):
            raise ProblemError("storage-full", "The disk of the service is full. Delete images and jobs, or wait.")
