"""The distributed engine: Ray Data reads and answers tiles on many machines, other actors put scenes together.

    plan (tasks) -> read a few windows each (tasks) -> model actors, one per GPU or core
        -> driver, which passes them on -> finishers (actors): blend, find regions, write

All scenes of a round run through one pipeline, so that models are loaded once. Answers come back in order, scene after
scene, and `run_scene` takes them in a finisher exactly as it takes those of a model in its own process. Finishers hold
back the driver, the driver holds back Ray Data, so the object store stays within its limit whatever the number and size
of the scenes.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rs2sam.batch.engine import BrokenEngineError, Watcher
from rs2sam.batch.finishing import Dispatcher, Finisher, ModelFacts, Report
from rs2sam.batch.first_pass import Screener, decisions_of, plan_views, read_views
from rs2sam.batch.ray_options import RayOptions
from rs2sam.batch.scene_input import SceneInput
from rs2sam.batch.schedule import Schedule
from rs2sam.batch.stages import Answerer, Columns, Decisions, Failure, Load, Parcel, plan_scene, read_rows, scene_row
from rs2sam.errors import InvalidInputError, RS2SAMError, require, words_of
from rs2sam.scenes.run import SceneRequest, with_model_options

if TYPE_CHECKING:
    from rs2sam.segmenter import Segmenter

_LOGGER = logging.getLogger(__name__)

# Windows that one task reads: few, so that a large scene is read by many, and enough to share the opening of a file.
_TILES_PER_READ = 8
_GIB = 2**30
# How often tiles go to another actor when theirs dies, before their scene is told.
_TASK_RETRIES = 3
# Share of the object store that tiles before the driver may take; the rest is on its way to the finishers.
_PIPELINE_SHARE = 0.8


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
        ready = schedule.next_round()
        if not ready:
            time.sleep(schedule.pause_s())
            continue
        # Each round is a job of its own: actors that were being restarted when a round ended would outlive it and keep
        # their cores from the next.
        with _cluster(options):
            facts = facts or _ask_model(load, options)
            _run_round(schedule, ready, request_of, _Pipeline(load, options, facts), watcher)


@dataclass(frozen=True)
class _Pipeline:
    """The stages on the cluster."""

    load: Load
    options: RayOptions
    facts: ModelFacts

    def batches(self, requests: Sequence[SceneRequest], *, one_by_one: bool) -> Iterator[Columns]:
        """Answers to all tiles of all scenes, in order; what breaks Ray is a `BrokenEngineError`."""
        import ray.data

        batch_size = requests[0].options.batch_size or self.facts.batch_size
        decisions = self._first_pass(requests)
        rows = [scene_row(number, request, decisions.get(number)) for number, request in enumerate(requests)]
        # Stages differ in what they need, so that Ray does not put reading into the process of the model.
        with _breaking_with_ray():
            data = (
                ray.data.from_items(rows, override_num_blocks=len(rows))
                .flat_map(partial(plan_scene, image_size=self.facts.image_size), num_cpus=0.25)
                .repartition(target_num_rows_per_block=1 if one_by_one else _TILES_PER_READ)
                .map_batches(read_rows, batch_size=None, batch_format="numpy", num_cpus=0.5)
                .map_batches(
                    Answerer,
                    fn_constructor_args=(self.load, batch_size),
                    batch_size=1 if one_by_one else max(1, batch_size // len(requests[0].sentences)),
                    **self._with_model(),
                )
            )
        yield from _batches_of(data)

    def _first_pass(self, requests: Sequence[SceneRequest]) -> dict[int, Decisions]:
        """What is left to ask about the tiles of each scene; a pass of its own, since it must be known before any."""
        if requests[0].options.first_pass is None:
            return {}
        import ray.data

        rows = [scene_row(number, request) for number, request in enumerate(requests)]
        with _breaking_with_ray():
            planned = (
                ray.data.from_items(rows, override_num_blocks=len(rows))
                .flat_map(partial(plan_views, image_size=self.facts.image_size), num_cpus=0.25)
                .materialize()
            )
            has_views = planned.count() > 0
        # Models are not loaded for scenes of one tile, which have no first pass.
        if not has_views:
            return {}
        data = (
            planned.repartition(target_num_rows_per_block=1)
            .map_batches(read_views, batch_size=None, batch_format="numpy", num_cpus=0.5)
            .map_batches(Screener, fn_constructor_args=(self.load,), batch_size=1, **self._with_model())
        )
        return decisions_of(_batches_of(data))

    def _with_model(self) -> dict[str, Any]:
        """How a stage is run in actors that hold a model."""
        import ray.data

        return {
            "compute": ray.data.ActorPoolStrategy(size=self.options.actors),
            "batch_format": "numpy",
            "num_cpus": self.options.cpus_per_actor,
            "num_gpus": self.options.gpus_per_actor or None,
            "max_restarts": -1,
            "max_task_retries": _TASK_RETRIES,
        }


def _batches_of(data: Any) -> Iterator[Columns]:
    """What comes out of a pipeline, in order; what breaks Ray is a `BrokenEngineError`."""
    with _breaking_with_ray():
        yield from data.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=1)


@contextmanager
def _breaking_with_ray() -> Iterator[None]:
    """Whatever goes wrong inside is Ray's failure, not a scene's: a `BrokenEngineError`."""
    try:
        yield
    except Exception as error:
        raise BrokenEngineError(
            f"Ray gave up ({type(error).__name__}: {_one_line(error)}). What was finished is kept; the same command "
            "again goes on."
        ) from error


@dataclass
class _Work:
    """A finisher at work: its actor, what it will return, and the answers that were sent to it last."""

    finisher: Any
    report: Any
    sent: Any = None


class RayCrew:
    """Finishers as actors; one that dies is replaced, and its scene has failed.

    Args:
        facts: of the model that answers.
        count: how many finishers.

    Raises:
        BrokenEngineError: here and in the methods, when Ray itself gives up.
    """

    def __init__(self, facts: ModelFacts, count: int) -> None:
        import ray

        # Two calls at once: one runs a scene, the other takes answers for it.
        remote: Any = ray.remote(Finisher)
        self._make = partial(remote.options(num_cpus=1, max_concurrency=2).remote, facts)
        with _breaking_with_ray():
            self._free = [self._make() for _ in range(count)]
        self._at_work: dict[int, _Work] = {}

    @property
    def num_free(self) -> int:
        """How many have nothing to do."""
        return len(self._free)

    def check_folder(self, folder: Path) -> None:
        """Raise InvalidInputError unless every finisher's machine sees a file that is written there."""
        import ray

        token = folder.absolute() / f".rs2sam-shared-{uuid.uuid4().hex}"
        token.touch()
        try:
            with _breaking_with_ray():
                seen = ray.get([finisher.sees.remote(token) for finisher in self._free])
        finally:
            token.unlink()
        if not all(seen):
            raise InvalidInputError(
                f"All machines of a cluster write results, so the output folder must be on a disk that all of them "
                f"mount at the same path, but {str(folder.absolute())!r} is not. Choose another with -o."
            )

    def begin(self, number: int, request: SceneRequest) -> None:
        """Give a scene to a finisher that has nothing to do."""
        finisher = self._free.pop()
        with _breaking_with_ray():
            self._at_work[number] = _Work(finisher, finisher.run.remote(number, request))

    def send(self, number: int, parcel: Parcel | None) -> None:
        """Answers for a scene under way; waits until those before have been taken."""
        import ray

        work = self._at_work[number]
        with _breaking_with_ray():
            try:
                if work.sent is not None:
                    ray.get(work.sent)
            except ray.exceptions.RayError:
                # It died, which its report tells; if it did not, it would wait for these answers for ever.
                ray.kill(work.finisher)
            else:
                work.sent = work.finisher.take.remote(number, parcel)

    def ended(self, *, wait: bool) -> list[tuple[int, Callable[[], Report]]]:
        """Scenes that came to their end since the last call."""
        import ray

        if not self._at_work:
            return []
        numbers = {work.report: number for number, work in self._at_work.items()}
        with _breaking_with_ray():
            ready, _ = ray.wait(list(numbers), num_returns=len(numbers), timeout=0)
            if not ready and wait:
                ready, _ = ray.wait(list(numbers))
        return [(numbers[report], partial(self._outcome, self._at_work.pop(numbers[report]))) for report in ready]

    def _outcome(self, work: _Work) -> Report:
        """A report, or why there is none; the finisher is free again, or another takes its place."""
        import ray

        try:
            report: Report | Failure = ray.get(work.report)
        except ray.exceptions.RayError as error:
            with _breaking_with_ray():
                # One that only cannot be reached would keep its core, and write where the next one writes.
                ray.kill(work.finisher)
                self._free.append(self._make())
            raise RS2SAMError(
                f"The process that put the scene together died ({type(error).__name__}: killed, or out of memory)."
            ) from error
        self._free.append(work.finisher)
        if isinstance(report, Failure):
            raise report.raised()
        return report


def _run_round(
    schedule: Schedule,
    ready: Sequence[SceneInput],
    request_of: Callable[[SceneInput], SceneRequest],
    pipeline: _Pipeline,
    watcher: Watcher,
) -> None:
    """One pipeline over the scenes of `Schedule.next_round`."""
    # What is left to the model is settled here: tiles are planned where there is no model.
    requests = [with_model_options(_placed(request_of(one)), pipeline.facts) for one in ready if one.problem is None]
    # What kills its process takes the other tiles of the task along; a second attempt is made tile by tile.
    is_second = schedule.is_second(ready[0])
    crew = RayCrew(pipeline.facts, min(pipeline.options.num_finishers, max(1, len(requests))))
    if pipeline.options.address is not None:
        crew.check_folder(schedule.folder)
    batches = pipeline.batches(requests, one_by_one=is_second) if requests else iter(())
    Dispatcher(schedule, ready, requests, crew, watcher).run(batches)


def _placed(request: SceneRequest) -> SceneRequest:
    """The request with a folder that means the same to every process."""
    return replace(request, folder=request.folder.absolute())


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
            quiet |= {"num_cpus": options.num_cores, "object_store_memory": limit, "include_dashboard": False}
        try:
            ray.init(address=options.address or "local", **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise RS2SAMError(
                f"Ray must be reachable at {options.address or 'this machine'!r}, but it is not ({words_of(error)}). "
                "Check RAY_ADDRESS (and set RAY_AUTH_MODE=token for a cluster that wants one), or unset it to start "
                "Ray here."
            ) from error
    _warn_of_waiting(options)
    context = DataContext.get_current()
    context.execution_options = ExecutionOptions(
        preserve_order=True,
        resource_limits=ExecutionResources(object_store_memory=int(limit * _PIPELINE_SHARE)),
        exclude_resources=ExecutionResources(cpu=options.num_finishers),
        verbose_progress=False,
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


def _warn_of_waiting(options: RayOptions) -> None:
    """Say so where a cluster has less than is asked for: Ray waits, since a cluster may grow."""
    import ray

    have: dict[str, float] = cast("Any", ray).cluster_resources()
    for name, needed in (("CPU", options.num_cores), ("GPU", options.actors * options.gpus_per_actor)):
        if have.get(name, 0) < needed:
            _LOGGER.warning(
                "The run takes %g %ss of the cluster, which has %g now: it waits until there are more, or give fewer "
                "--actors or --finishers.",
                needed,
                name,
                have.get(name, 0),
            )


def _ask_model(load: Load, options: RayOptions) -> ModelFacts:
    """Load the model once where the actors will run."""
    import ray

    # max_calls: the process ends and gives its GPU back.
    task = ray.remote(num_cpus=options.cpus_per_actor, num_gpus=options.gpus_per_actor, max_calls=1)(_facts)
    try:
        facts: ModelFacts = ray.get(task.remote(load))
    except ray.exceptions.RayError as error:
        # An error of the task has a cause; a process that died has none.
        cause = getattr(error, "cause", None) or error
        if isinstance(cause, RS2SAMError):
            raise cause from None
        raise RS2SAMError(
            "The model must load on the machines of the cluster, which need rs2sam and its extras, but it does not "
            f"({type(cause).__name__}: {_one_line(cause)})."
        ) from error
    return facts


def _facts(load: Load) -> ModelFacts:
    """What finishers need to know of a model."""
    return ModelFacts.of(cast("Segmenter", load()))


def _one_line(error: BaseException) -> str:
    """The beginning of a message that may hold a traceback."""
    return words_of(words_of(error)[:300])
