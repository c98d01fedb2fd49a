"""Many small scenes: `rs2sam batch` in one process and on Ray with several actors, whole processes from shell to files.

    python -m benchmarks.batch                                  # 200 scenes of 512 px; local, Ray with 1 and 2 actors
    python -m benchmarks.batch --scenes 12 --side 256 --actors 1

Start-up (until the first scene is finished) and the steady rate after it are told apart by the times in the manifest.
Every model has one thread, so that actors are compared with one core each. Prints the results, writes them to
benchmarks/results/batch.json and draws them beside it. The scaling model of docs/cluster.md is put beside the points.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.machine import describe_machine
from benchmarks.segment import SENTENCE, run_once, source_pixels, write_scene

RESULTS = Path(__file__).parent / "results" / "batch.json"


def write_scenes(folder: Path, image: Path | None, count: int, side: int) -> None:
    """Crops of one picture at random places."""
    pixels = source_pixels(image)
    pad = [(0, max(0, side - length)) for length in pixels.shape[:2]]
    pixels = np.pad(pixels, (*pad, (0, 0)), mode="symmetric")
    draw = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        row, col = (int(draw.integers(0, length - side + 1)) for length in pixels.shape[:2])
        write_scene(folder / f"scene_{number:05d}.tif", pixels[row : row + side, col : col + side], side)


def times_of(manifest: Path) -> dict[str, float]:
    """Seconds between the first and the last finished scene, and of the driver with the median scene."""
    events = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()[1:]]
    ends = [event["time"] for event in events if event["event"] == "done"]
    begins = [event["time"] for event in events if event["event"] == "running"]
    return {
        "scenes_done": len(ends),
        "first_begun_to_first_done_s": round(ends[0] - begins[0], 3),
        "steady_s": round(ends[-1] - ends[0], 3),
        "steady_scenes_per_s": round((len(ends) - 1) / max(1e-9, ends[-1] - ends[0]), 3),
    }


def measure(inputs: Path, out: Path, model: str, actors: int) -> dict[str, Any]:
    """One batch; 0 actors: the local engine."""
    command = [str(Path(sys.executable).parent / "rs2sam"), "-q", "batch", str(inputs), SENTENCE, "-o", str(out)]
    command += ["--model", model, "--threads", "1", "--no-catalog"]
    command += ["--engine", "ray", "--actors", str(actors)] if actors else []
    seconds, memory = run_once(command)
    times = times_of(out / "manifest.jsonl")
    return {
        "engine": "ray" if actors else "local",
        "actors": actors,
        "whole_process_s": round(seconds, 3),
        "scenes_per_s": round(times["scenes_done"] / seconds, 3),
        "peak_memory_of_the_largest_process_mib": round(memory),
        **times,
    }


def predicted(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steady rate that docs/cluster.md foretells from the local point alone: min(actors, cores - driver) / t."""
    local = next((point for point in points if point["engine"] == "local"), None)
    if local is None:
        return []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    per_core = local["steady_scenes_per_s"]
    return [
        {"actors": point["actors"], "steady_scenes_per_s": round(per_core * min(point["actors"], cores), 3)}
        for point in points
        if point["engine"] == "ray"
    ]


def draw(points: Sequence[dict[str, Any]], path: Path) -> None:
    """Bars of scenes per second: whole process and steady."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    names = [f"Ray, {point['actors']} actors" if point["actors"] else "local" for point in points]
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    places = np.arange(len(points))
    axes.bar(places - 0.2, [point["scenes_per_s"] for point in points], 0.4, label="from shell to files")
    axes.bar(places + 0.2, [point["steady_scenes_per_s"] for point in points], 0.4, label="after the first scene")
    axes.set_xticks(places, names)
    axes.set_ylabel("scenes per second")
    axes.legend()
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Measure, print, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="picture that scenes are cut from [default: the drawn scene]")
    parser.add_argument("--model", default="compact")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--side", type=int, default=512, help="of a scene in pixels")
    parser.add_argument("--actors", type=int, nargs="*", default=[1, 2], help="actors on Ray, a run for each number")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    points = []
    with tempfile.TemporaryDirectory() as name:
        write_scenes(Path(name) / "in", arguments.image, arguments.scenes, arguments.side)
        for actors in (0, *arguments.actors):
            points.append(measure(Path(name) / "in", Path(name) / f"out_{actors}", arguments.model, actors))
            print(json.dumps(points[-1]), flush=True)
    results = {
        "machine": describe_machine(),
        "model": arguments.model,
        "scenes": arguments.scenes,
        "side_px": arguments.side,
        "points": points,
        "predicted_from_the_local_point": predicted(points),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    draw(points, arguments.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
