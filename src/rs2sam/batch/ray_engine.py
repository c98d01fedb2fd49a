"""The distributed engine: Ray Data reads and answers tiles on many machines, the driver puts scenes together.

    plan (tasks) -> read a few windows each (tasks) -> model actors, one per GPU or core -> driver: blend, write

All scenes of a round run through one pipeline, so that models are loaded once. Answers come back in order, scene after
scene, and `run_scene` takes them exactly as it takes those of a model in its own process. Ray Data holds back what runs
ahead of the driver, so the object store stays within its limit whatever the number and size of the scenes.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from rs2sam.batch.engine import BrokenEngineError, Watcher, attempt
from rs2sam.batch.inputs import SceneInput
from rs2sam.batch.schedule import Schedule
from rs2sam.batch.stages import Answerer, Failure, Load, answers_of, plan_scene, read_rows, scene_row
from rs2sam.errors import InvalidInputError, RS2SAMError, require
from rs2sam.raster.assembly import AnsweredTile
from rs2sam.raster.scanning import TileJob
from rs2sam.raster.scene import View
from rs2sam.scene_run import SceneRequest, run_scene, with_model_options

if TYPE_CHECKING:
    from rs2sam.segmenter import Segmenter

# Windows that one task reads: few, so that a large scene is read by many, and enough to share the opening of a file.
_TILES_PER_READ = 8
_GIB = 2**30
# How often tiles go to another actor when theirs dies, before their scene is told.
_TASK_RETRIES = 3
# Cores beside those of the models, on a machine of one's own.
_READERS = 1


@dataclass(frozen=True)
class RayOptions:
    """How much of a cluster is used.

    Args:
        address: of the cluster; None starts Ray on this machine.
        actors: processes with a model.
        cpus_per_actor: cores that each may use.
        gpus_per_actor: GPUs, or parts of one, that each may use.
        object_store_gib: shared memory for tiles under way, on this machine or in all of the cluster.
    """

    address: str | None = None
    actors: int = 1
    cpus_per_actor: float = 1.0
    gpus_per_actor: float = 0.0
    object_store_gib: float = 1.0

    def __post_init__(self) -> None:
        if self.actors < 1 or min(self.cpus_per_actor, self.gpus_per_actor) < 0 or self.object_store_gib < 0.1:
            raise InvalidInputError(
                f"Ray needs at least one actor, shares of at least 0 and an object store of at least 0.1 GiB, but "
                f"they are {self.actors}, {self.cpus_per_actor:g} CPUs, {self.gpus_per_actor:g} GPUs, "
                f"{self.object_store_gib:g} GiB."
            )


@dataclass(frozen=True)
class ModelFacts:
    """What a scene asks of a model besides answers, as a `Segmenter` has it.

    Args:
        image_size: side of the square that the model sees [px].
        min_presence: below which it says nothing.
        choose_in_view: whether it leaves words that compare to the choice among what it found.
        backend_name: what runs it.
    """

    image_size: int
    min_presence: float
    choose_in_view: bool
    backend_name: str

    def segment_views(self, pairs: Sequence[Any], batch_size: int = 1) -> list[View]:
        """Never called: the actors have answered."""
        raise AssertionError("tiles are answered by the actors")


def run_ray(
    schedule: Schedule,
    request_of: Callable[[SceneInput], SceneRequest],
    load: Load,
    options: RayOptions,
    watcher: Watcher,
) -> None:
    """Run all scenes of a schedule on Ray; one that fails does not stop the others.

    Args:
        schedule: what is to be done; it keeps the manifest.
        request_of: the run of a scene.
        load: makes the model in each actor; it is pickled.
        options: how much of the cluster is used.
        watcher: is told of tiles and scenes.

    Raises:
        MissingDependencyError: Ray is not installed.
        RS2SAMError: the cluster cannot be reached or gives up; what was finished is finished.
        KeyboardInterrupt: the user stopped it; scenes under way count as not begun.
    """
    require("ray", "ray", "`--engine ray`")
    facts: ModelFacts | None = None
    while schedule.num_left:
        ready = schedule.ready()
        if not ready:
            time.sleep(schedule.pause_s())
            continue
        # Each round is a job of its own: actors that were being restarted when a round ended would outlive it and keep
        # their cores from the next.
        with _cluster(options):
            facts = facts or _ask_model(load, options)
            _run_round(schedule, ready, request_of, _Pipeline(load, options, facts), watcher)


_Answer = tuple[int, int, AnsweredTile | Failure]


@dataclass(frozen=True)
class _Pipeline:
    """The stages on the cluster."""

    load: Load
    options: RayOptions
    facts: ModelFacts

    def answers(self, requests: Sequence[SceneRequest], *, one_by_one: bool) -> Iterator[_Answer]:
        """Scene, tile and answer of all tiles of all scenes, in order; what breaks Ray is a `BrokenEngineError`."""
        import ray.data

        batch_size = requests[0].options.batch_size
        rows = [scene_row(number, request) for number, request in enumerate(requests)]
        # Stages differ in what they need, so that Ray does not put reading into the process of the model.
        data = (
            ray.data.from_items(rows, override_num_blocks=len(rows))
            .flat_map(partial(plan_scene, image_size=self.facts.image_size), num_cpus=0.25)
            .repartition(target_num_rows_per_block=1 if one_by_one else _TILES_PER_READ)
            .map_batches(read_rows, batch_size=None, batch_format="numpy", num_cpus=0.5)
            .map_batches(
                Answerer,
                fn_constructor_args=(self.load, batch_size),
                compute=ray.data.ActorPoolStrategy(size=self.options.actors),
                batch_size=1 if one_by_one else max(1, batch_size // len(requests[0].sentences)),
                batch_format="numpy",
                num_cpus=self.options.cpus_per_actor,
                num_gpus=self.options.gpus_per_actor or None,
                max_restarts=-1,
                max_task_retries=_TASK_RETRIES,
            )
        )
        try:
            for batch in data.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=1):
                yield from answers_of(batch)
        except Exception as error:
            raise BrokenEngineError(
                f"Ray gave up ({type(error).__name__}: {_one_line(error)}). What was finished is "
                "kept; the same command again goes on."
            ) from error


class _Stream:
    """The answers of all scenes, handed out scene by scene; those of a scene that was given up are skipped."""

    def __init__(self, answers: Iterator[_Answer]) -> None:
        self._answers = answers
        self._next: _Answer | None = None

    def of(self, number: int, job: TileJob) -> Generator[AnsweredTile, None, None]:
        """The answered tiles of a scene; raises what kept one of them from being answered."""
        wanted = job.start
        for tile, answer in self._rows_of(number):
            if isinstance(answer, Failure):
                raise answer.raised()
            if tile < wanted:
                continue
            if tile > wanted:
                break
            yield answer
            wanted += 1
        if wanted < len(job.grid):
            raise RuntimeError(
                f"Tile {wanted} of {len(job.grid)} did not come back: the processes that read it or answered it died."
            )

    def _rows_of(self, number: int) -> Iterator[tuple[int, AnsweredTile | Failure]]:
        """Rows of one scene, up to the first of another."""
        while True:
            row = next(self._answers, None) if self._next is None else self._next
            self._next = row
            if row is None or row[0] > number:
                return
            self._next = None
            if row[0] == number:
                yield row[1], row[2]


def _run_round(
    schedule: Schedule,
    ready: Sequence[SceneInput],
    request_of: Callable[[SceneInput], SceneRequest],
    pipeline: _Pipeline,
    watcher: Watcher,
) -> None:
    """One pipeline over all scenes that can be begun now."""
    # What is left to the model is settled here: tiles are planned where there is no model.
    requests = [with_model_options(request_of(scene), pipeline.facts) for scene in ready if scene.problem is None]
    # What kills its process takes the other tiles of the task along; a second attempt is made tile by tile.
    is_second = any(schedule.manifest[scene.key].attempts for scene in ready)
    stream = _Stream(pipeline.answers(requests, one_by_one=is_second) if requests else iter(()))
    segmenter = cast("Segmenter", pipeline.facts)
    numbers = count()

    def run() -> dict[str, Any]:
        number = next(numbers)
        return run_scene(requests[number], segmenter, watcher.tiles, partial(stream.of, number))

    for _ in ready:
        scene = schedule.begin()
        assert scene is not None, "scenes that are ready can be begun"
        attempt(schedule, scene, run, watcher)


@contextmanager
def _cluster(options: RayOptions) -> Iterator[None]:
    """Ray, started on this machine or joined, with what keeps its store within bounds."""
    import ray
    from ray.data import DataContext, ExecutionOptions, ExecutionResources

    own = not ray.is_initialized()
    limit = int(options.object_store_gib * _GIB)
    if own:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if options.address is None:
            cpus = math.ceil(options.actors * max(1.0, options.cpus_per_actor)) + _READERS
            quiet |= {"num_cpus": cpus, "object_store_memory": limit, "include_dashboard": False}
        try:
            ray.init(address=options.address or "local", **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise RS2SAMError(
                f"Ray must be reachable at {options.address or 'this machine'!r}, but it is not ({error}). Check "
                "RAY_ADDRESS, or unset it to start Ray here."
            ) from error
    context = DataContext.get_current()
    context.execution_options = ExecutionOptions(
        preserve_order=True, resource_limits=ExecutionResources(object_store_memory=limit), verbose_progress=False
    )
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # Rows that are lost with their process are noticed by the scene they belong to; the others go on.
    context.max_errored_blocks = -1
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        if own:
            ray.shutdown()


def _ask_model(load: Load, options: RayOptions) -> ModelFacts:
    """Load the model once where the actors will run."""
    import ray

    # max_calls: the process ends and gives its GPU back.
    task = ray.remote(num_cpus=options.cpus_per_actor, num_gpus=options.gpus_per_actor, max_calls=1)(_facts)
    try:
        facts: ModelFacts = ray.get(task.remote(load))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, RS2SAMError):
            raise error.cause from None
        raise RS2SAMError(
            "The model must load on the machines of the cluster, which need rs2sam and its extras, but it does not "
            f"({type(error.cause).__name__}: {_one_line(error.cause)})."
        ) from error
    return facts


def _facts(load: Load) -> ModelFacts:
    """What the driver needs to know of a model."""
    segmenter = cast("Segmenter", load())
    return ModelFacts(segmenter.image_size, segmenter.min_presence, segmenter.choose_in_view, segmenter.backend_name)


def _one_line(error: BaseException) -> str:
    """The beginning of a message that may hold a traceback."""
    return " ".join(str(error).split())[:300]
