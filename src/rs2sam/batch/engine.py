"""The local engine: one scene after another in this process, with one model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from rs2sam.batch.scene_input import SceneInput
from rs2sam.batch.schedule import SceneOutcome, Schedule
from rs2sam.errors import InvalidInputError, RS2SAMError
from rs2sam.fields import a_place, texts
from rs2sam.raster import ReadOptions
from rs2sam.scenes.outputs import OutputOptions
from rs2sam.scenes.run import SceneRequest
from rs2sam.views import SceneOptions

# Options that change how fast a scene is done, or whether, but not what is found in it.
_NOT_OF_THE_RESULT = frozenset({"batch_size", "memory", "overwrite", "resume", "threads", "workers"})

TileProgress = Callable[[int, int], None]
SceneRun = Callable[[SceneInput, TileProgress], dict[str, Any]]


class Watcher(Protocol):
    """Who is told how a batch gets on."""

    def begins(self, num_scenes: int) -> None:
        """So many scenes are to be run."""

    def tiles(self, done: int, total: int) -> None:
        """Views done and in all, of the scene under way."""

    def ended(self, outcome: SceneOutcome) -> None:
        """An attempt at a scene has ended."""


@dataclass(frozen=True)
class BatchSettings:
    """What is done with each scene.

    Args:
        folder: of the batch; results mirror the inputs below it.
        sentences: one or more.
        model: its name, for the records.
        reading: how files become pixels.
        options: how scenes are cut, answered and thresholded.
        outputs: which files are written and how.
    """

    folder: Path
    sentences: tuple[str, ...]
    model: str
    reading: ReadOptions
    options: SceneOptions
    outputs: OutputOptions

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", a_place("folder", self.folder))
        object.__setattr__(self, "sentences", texts("sentences", self.sentences))

    def request(self, scene: SceneInput) -> SceneRequest:
        """The run of one scene; whether results may be replaced was decided when the batch was planned."""
        return SceneRequest(
            image=scene.source,
            sentences=self.sentences,
            folder=self.folder / scene.parent,
            reading=self.reading,
            options=self.options,
            outputs=replace(self.outputs, overwrite=True, resume=True),
            model=self.model,
        )

    def of_the_result(self) -> dict[str, Any]:
        """What decides about results, as plain values: a folder holds results of equal settings only."""
        parts = {"reading": asdict(self.reading), "options": asdict(self.options), "outputs": asdict(self.outputs)}
        plain: dict[str, Any] = {"sentences": list(self.sentences), "model": self.model}
        for name, values in parts.items():
            plain |= {f"{name}.{key}": value for key, value in values.items() if key not in _NOT_OF_THE_RESULT}
        return plain


class BrokenEngineError(RS2SAMError, RuntimeError):
    """The engine itself failed, not a scene."""


def attempt(schedule: Schedule, scene: SceneInput, run: Callable[[], dict[str, Any]], watcher: Watcher) -> None:
    """Run one scene and record how that ended; whatever is no fault of the scene's is raised.

    Args:
        schedule: that has begun the scene.
        scene: what is run.
        run: does it, and returns the content of its `result.json`.
        watcher: is told of the end.
    """
    try:
        if scene.problem is not None:
            raise InvalidInputError(scene.problem)
        report = run()
    except BrokenEngineError:
        schedule.interrupt()
        raise
    except Exception as error:
        watcher.ended(schedule.fail(scene, error))
    except BaseException:
        schedule.interrupt()
        raise
    else:
        watcher.ended(schedule.finish(scene, report))


def run_local(schedule: Schedule, run: SceneRun, watcher: Watcher, sleep: Callable[[float], None] = time.sleep) -> None:
    """Run all scenes of a schedule; one that fails does not stop the others.

    Args:
        schedule: what is to be done; it keeps the manifest.
        run: does one scene and returns the content of its `result.json`.
        watcher: is told of tiles and scenes.
        sleep: waits for some seconds.

    Raises:
        KeyboardInterrupt: the user stopped it; the scene under way counts as not begun.
    """
    while schedule.num_left:
        scene = schedule.begin()
        if scene is None:
            sleep(schedule.pause_s())
            continue
        attempt(schedule, scene, partial(run, scene, watcher.tiles), watcher)
