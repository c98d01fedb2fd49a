"""One batch in a process of its own, for `benchmarks.scale.batch`, with a model or `free`, a stand-in.

    python -m benchmarks.scale.batch_run IN OUT --model compact --actors 2 --finishers 1

0 actors: the local engine. Leaves `OUT/spent.json`: the processor time of this process (on Ray the driver) in all and
when the first scene was finished.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.scale.scenes import FreeSegmenter
from rs2sam.batch.engine import BatchSettings, run_local
from rs2sam.batch.inputs import find_scenes
from rs2sam.batch.run import BatchPlan, run_batch
from rs2sam.raster import ReadOptions
from rs2sam.scenes.outputs import OutputOptions
from rs2sam.segmenter import Segmenter
from rs2sam.views import SceneOptions

SENTENCE = "all buildings"
FREE = "free"
SPENT = "spent.json"


def loader(model: str) -> Callable[[], Any]:
    """Makes the model, with one thread."""
    return FreeSegmenter if model == FREE else partial(Segmenter.load, model, threads=1)


def settings_for(out: Path, model: str) -> BatchSettings:
    """The defaults of `rs2sam batch`."""
    return BatchSettings(out, (SENTENCE,), model, ReadOptions(), SceneOptions(exhaustive=True), OutputOptions())


@dataclass
class Clock:
    """A watcher that notes when the first scene was finished."""

    first_cpu_s: float = 0.0

    def begins(self, num_scenes: int) -> None:
        """Nothing."""

    def tiles(self, done: int, total: int) -> None:
        """Nothing."""

    def ended(self, outcome: Any) -> None:
        """Read the clock once."""
        self.first_cpu_s = self.first_cpu_s or time.process_time()


def main() -> None:
    """Run one batch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="compact")
    parser.add_argument("--actors", type=int, default=0)
    parser.add_argument("--finishers", type=int, default=1)
    arguments = parser.parse_args()
    settings = settings_for(arguments.out, arguments.model)
    load = loader(arguments.model)
    plan = BatchPlan(settings, find_scenes(str(arguments.inputs), out=arguments.out))

    def engine(schedule: Any, watcher: Any) -> None:
        if not arguments.actors:
            from rs2sam.scenes.run import run_scene

            segmenter = load()
            run_local(schedule, lambda scene, show: run_scene(settings.request(scene), segmenter, show), watcher)
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Ray's default would put its processes behind everything else, so that figures depended on what else runs.
        os.environ.setdefault("RAY_worker_niceness", "0")
        from rs2sam.batch.ray_engine import run_ray
        from rs2sam.batch.ray_options import RayOptions

        options = RayOptions(actors=arguments.actors, finishers=arguments.finishers)
        run_ray(schedule, settings.request, load, options, watcher)

    watcher = Clock()
    summary = run_batch(plan, engine, watcher)
    spent = {"cpu_s": time.process_time(), "cpu_at_first_s": watcher.first_cpu_s, "failed": len(summary["failed"])}
    (arguments.out / SPENT).write_text(json.dumps(spent), encoding="utf-8")


if __name__ == "__main__":
    main()
