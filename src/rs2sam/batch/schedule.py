"""Which scene is next: unfinished ones in order, failed ones again after a growing pause."""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rs2sam.batch.manifest import Manifest, SceneRecord
from rs2sam.batch.scene_input import SceneInput
from rs2sam.errors import (
    BusyError,
    DataNotFoundError,
    InvalidImageError,
    InvalidInputError,
    RS2SAMError,
    UnreadableImageError,
)
from rs2sam.raster.scene import is_remote
from rs2sam.scenes.reports import whole_report

_LOGGER = logging.getLogger(__name__)

MAX_PAUSE_S = 300.0


@dataclass(frozen=True)
class RetryPolicy:
    """How often a scene is tried.

    Args:
        attempts: at most, the first one included; at least 1.
        backoff_s: pause before the second attempt; it doubles with each further one, up to `MAX_PAUSE_S`.
    """

    attempts: int = 3
    backoff_s: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or not self.backoff_s >= 0:
            raise InvalidInputError(
                "A scene is tried at least once, with a pause of at least 0 s, but `--attempts` is "
                f"{self.attempts} and `--backoff` {self.backoff_s:g}."
            )

    def pause_s(self, attempts: int) -> float:
        """Seconds to wait after this many attempts."""
        return min(MAX_PAUSE_S, self.backoff_s * 2.0 ** (attempts - 1))


@dataclass(frozen=True)
class SceneOutcome:
    """How an attempt ended.

    Args:
        scene: which one.
        report: content of its `result.json`; None where it failed.
        error: why it failed; None where it did not.
        is_final: whether it will not be tried again.
        seconds: of the attempt.
    """

    scene: SceneInput
    report: dict[str, Any] | None
    error: str | None = None
    is_final: bool = True
    seconds: float = 0.0


@dataclass
class Schedule:
    """The scenes of a run, each handed out until it is finished; every step goes to the manifest first.

    Args:
        scenes: in the order in which they are begun.
        manifest: what is known of them.
        folder: of the batch.
        policy: of retries.
        retry_failed: whether scenes that failed for good in an earlier run are tried again.
        clock: seconds, growing.

    Raises:
        InvalidInputError: when results of a scene that the manifest does not know lie in the folder.
    """

    scenes: Sequence[SceneInput]
    manifest: Manifest
    folder: Path
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    retry_failed: bool = False
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._waiting: list[tuple[float, int, SceneInput]] = []
        self._begun: dict[str, tuple[SceneInput, float]] = {}
        refuse_foreign_results(self.scenes, self.manifest, self.folder)
        for number, scene in enumerate(self.scenes):
            if self._settle(scene) == "pending":
                self._waiting.append((0.0, number, scene))
        heapq.heapify(self._waiting)
        self._next_number = len(self.scenes)

    @property
    def num_left(self) -> int:
        """Scenes that wait or are under way."""
        return len(self._waiting) + len(self._begun)

    def ready(self) -> list[SceneInput]:
        """The scenes that can be begun now, in the order in which `begin` gives them out."""
        now = self.clock()
        return [scene for until, _, scene in sorted(self._waiting, key=lambda entry: entry[:2]) if until <= now]

    def next_round(self) -> list[SceneInput]:
        """The first of `ready`, up to where scenes that were tried before and new ones change.

        For engines that are more careful, and slower, with scenes that failed: new ones have a round of their own.
        """
        ready = self.ready()
        return list(itertools.takewhile(lambda scene: self.is_second(scene) == self.is_second(ready[0]), ready))

    def is_second(self, scene: SceneInput) -> bool:
        """Whether a scene was tried before."""
        return self.manifest[scene.key].attempts > 0

    def begin(self) -> SceneInput | None:
        """The next scene, or None where none is left or all that are left must wait."""
        if not self._waiting or self._waiting[0][0] > self.clock():
            return None
        scene = heapq.heappop(self._waiting)[2]
        # The result of a former run goes first, so that one that lies there later is of this attempt.
        # A name that is too long for results is none of a file; its scene fails by itself.
        if os.path.lexists(self._result(scene)):
            self._result(scene).unlink()
        self.manifest.running(scene.key, scene.signature())
        self._begun[scene.key] = scene, self.clock()
        return scene

    def pause_s(self) -> float:
        """Seconds until a scene can be begun; 0 where one can be now or none is left."""
        return max(0.0, self._waiting[0][0] - self.clock()) if self._waiting else 0.0

    def finish(self, scene: SceneInput, report: dict[str, Any]) -> SceneOutcome:
        """A scene's results lie in their place."""
        seconds = self._end(scene)
        self.manifest.done(
            scene.key, relative(self._result(scene), self.folder), seconds, len(report.get("lost") or ())
        )
        return SceneOutcome(scene, report, seconds=seconds)

    def fail(self, scene: SceneInput, error: BaseException) -> SceneOutcome:
        """An attempt failed: the scene waits for the next one, or is given up."""
        seconds = self._end(scene)
        attempts = self.manifest[scene.key].attempts
        is_final = attempts >= self.policy.attempts or not is_transient(error, scene)
        said = describe_error(error)
        _LOGGER.debug("scene %s failed", scene.key, exc_info=error)
        self.manifest.failed(scene.key, said, is_final=is_final)
        if not is_final:
            self._wait(scene, self.clock() + self.policy.pause_s(attempts))
        return SceneOutcome(scene, None, said, is_final, seconds)

    def interrupt(self) -> None:
        """The user stops the run: what is under way is as if it had not been begun."""
        for scene, _ in list(self._begun.values()):
            self._end(scene)
            self.manifest.interrupted(scene.key)

    def _settle(self, scene: SceneInput) -> str:
        """Bring what the manifest holds of a scene up to date; returns its state."""
        record = self.manifest[scene.key]
        if record.state == "running":
            self._settle_running(scene, record)
        elif is_stale(record, scene, self.folder):
            self.manifest.again([scene.key])
        if self.manifest[scene.key].state == "failed" and self.retry_failed:
            self.manifest.again([scene.key])
        return self.manifest[scene.key].state

    def _settle_running(self, scene: SceneInput, record: SceneRecord) -> None:
        """A scene at which the process ended: finished after all, tried again, or given up."""
        result = self._result(scene)
        report = whole_report(result) if record.signature == scene.signature() else None
        if report is not None:
            self.manifest.done(scene.key, relative(result, self.folder), 0.0, len(report["lost"]))
            return
        is_final = record.attempts >= self.policy.attempts
        often = f" ({record.attempts} times: killed, or out of memory)" if is_final else ""
        error = f"The process ended while it worked on this scene{often}"
        self.manifest.failed(scene.key, error, is_final=is_final)

    def _wait(self, scene: SceneInput, until: float) -> None:
        heapq.heappush(self._waiting, (until, self._next_number, scene))
        self._next_number += 1

    def _end(self, scene: SceneInput) -> float:
        """Seconds since a scene was begun."""
        return self.clock() - self._begun.pop(scene.key)[1]

    def _result(self, scene: SceneInput) -> Path:
        return result_path(self.folder, scene)


def result_path(folder: Path, scene: SceneInput) -> Path:
    """Where the `result.json` of a scene lies."""
    return folder / scene.parent / f"{scene.stem}_result.json"


def relative(path: Path, folder: Path) -> str:
    """A path below a folder, with `/`."""
    return path.relative_to(folder).as_posix()


def refuse_foreign_results(scenes: Sequence[SceneInput], manifest: Manifest, folder: Path) -> None:
    """Raise InvalidInputError where results of scenes lie that the manifest knows nothing of."""
    # `os.path`: a name that no file can have is not there, where `pathlib` raises.
    foreign = [
        result_path(folder, scene)
        for scene in scenes
        if manifest[scene.key].time == 0 and os.path.exists(result_path(folder, scene))
    ]
    if foreign:
        raise InvalidInputError(
            f"{str(folder)!r} already holds results of {len(foreign)} scenes that no batch wrote there, the first in "
            f"{str(foreign[0])!r}. Replace them with --overwrite, or choose another folder with -o."
        )


def is_stale(record: SceneRecord, scene: SceneInput, folder: Path) -> bool:
    """Whether a finished scene has changed since, or a result is gone; a source that is gone has not changed."""
    if record.state != "done":
        return False
    now, result = scene.signature(), result_path(folder, scene)
    if now is not None and record.signature != now:
        return True
    # A manifest that somebody changed may name any file.
    return record.result != relative(result, folder) or whole_report(result) is None


def is_transient(error: BaseException, scene: SceneInput) -> bool:
    """Whether another attempt may help: not where a file of this machine, what a file holds, or an option is wrong."""
    if scene.problem is not None:
        return False
    if is_remote(scene.source) and isinstance(error, (UnreadableImageError, DataNotFoundError)):
        return True
    return not is_fault_of_input(error)


def is_fault_of_input(error: BaseException) -> bool:
    """Whether a file or an option is wrong, so that another attempt at a local scene would fail alike.

    Results that cannot be written are an `InvalidInputError` as well, yet a full disk may have room later.
    """
    if isinstance(error, BusyError):
        return False
    if isinstance(error, (InvalidImageError, DataNotFoundError)):
        return True
    return isinstance(error, InvalidInputError) and not isinstance(error.__cause__, (OSError, sqlite3.Error))


def describe_error(error: BaseException) -> str:
    """An error in one line."""
    said = " ".join(str(error).split())
    return said if isinstance(error, RS2SAMError) else f"{type(error).__name__}: {said}"
