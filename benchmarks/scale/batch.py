"""Many small scenes: a batch in one process and on Ray with several actors, whole processes from start to files.

    python -m benchmarks.scale.batch --images DATA/geotiff/naip  # 200 scenes of 224 px; local, Ray with 1 and 2 actors
    python -m benchmarks.scale.batch --images DATA/geotiff/naip --scenes 12 --actors 1 --model free --out batch.json

Scenes are crops of real GeoTIFFs at random places, with their bands and places on Earth; without `--images`, of the
scene that the project draws. `free` is a stand-in that costs next to nothing. Every model has one thread, so that
actors are compared with one core each.

First the parts of the work are measured by themselves, in processor time (`benchmarks.scale.scaling.Costs`); then whole
batches. Start-up (until the first scene is finished) and the steady rate after it are told apart by the times in the
manifest. What `benchmarks.scale.scaling` foretells from the parts is put beside each point, in the JSON and in the
picture.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

from benchmarks.files import RESULTS, write_json
from benchmarks.scale.batch_run import FREE, SPENT, loader, settings_for
from benchmarks.scale.scaling import Cluster, Costs, actors_that_saturate, local_scenes_per_second, scenes_per_second
from benchmarks.speed.segment import run_once, source_pixels, write_scene
from rs2sam.batch.finishing import Finisher, ModelFacts
from rs2sam.batch.inputs import find_scenes
from rs2sam.batch.stages import Answerer, columns_of, parcels_of, plan_scene, read_rows, scene_row
from rs2sam.benchmarking.machine import describe_machine
from rs2sam.scenes.run import SceneRequest, with_model_options

READERS = 1
# Scenes by which the parts are measured: the first of the batch, and some of many tiles.
NUM_MEASURED = 8
LARGE_SIDE = 1400


def write_crops(folder: Path, images: Path | None, count: int, side: int) -> None:
    """Crops of GeoTIFFs at random places, with their bands, CRS and transform."""
    draw = np.random.default_rng(0)
    folder.mkdir()
    if images is None:
        pixels = source_pixels(None)
        for number in range(count):
            row, col = (int(draw.integers(0, max(1, length - side + 1))) for length in pixels.shape[:2])
            write_scene(folder / f"scene_{number:05d}.tif", pixels[row : row + side, col : col + side], side)
        return
    files = sorted(images.glob("*.tif"))
    for number in range(count):
        with rasterio.open(files[number % len(files)]) as source:
            row, col = (int(draw.integers(0, max(1, length - side + 1))) for length in source.shape)
            window = Window(col, row, min(side, source.width), min(side, source.height))
            profile = {**source.profile, "width": window.width, "height": window.height}
            profile["transform"] = source.window_transform(window)
            with rasterio.open(folder / f"scene_{number:05d}.tif", "w", **profile) as crop:
                crop.write(source.read(window=window))
                crop.colorinterp = source.colorinterp


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor time of all threads that a call takes, and what it returns."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def measure_parts(requests: Sequence[SceneRequest], model: str) -> tuple[float, float, float, float]:
    """Seconds to read a tile, to answer it and to finish a scene (medians over scenes), and tiles of a scene (mean)."""
    load = loader(model)
    answerer, facts = Answerer(load, requests[0].options.batch_size), ModelFacts.of(load())
    reading, answering, finishing, counts = [], [], [], []
    for request in (with_model_options(one, facts) for one in requests):
        planning_s, rows = spent(lambda request=request: plan_scene(scene_row(0, request), facts.image_size))
        read_s, read = spent(lambda rows=rows: read_rows(columns_of(rows)))
        answer_s, answered = spent(lambda read=read: answerer(read))
        finisher = Finisher(facts)
        (parcel,) = parcels_of(answered)
        finisher.take(0, parcel)
        finish_s, report = spent(lambda finisher=finisher, request=request: finisher.run(0, request))
        if not isinstance(report, dict):
            raise SystemExit(f"{request.image}: {report.message}")
        reading.append((planning_s + read_s) / len(rows))
        answering.append(answer_s / len(rows))
        finishing.append(finish_s)
        counts.append(len(rows))
    # The first one of a process pays for what is loaded at first use.
    rest = slice(1, None)
    parts = (statistics.median(values[rest]) for values in (reading, answering, finishing))
    return (*parts, statistics.mean(counts))


def measure_costs(inputs: Path, folder: Path, model: str) -> tuple[Costs, float]:
    """The costs of the parts, and the tiles of a scene of the batch."""
    settings = settings_for(folder / "parts", model)
    scenes = find_scenes(str(inputs), out=folder / "parts")[:NUM_MEASURED]
    small = measure_parts([settings.request(scene) for scene in scenes], model)
    write_large(folder / "large", inputs)
    large_scenes = find_scenes(str(folder / "large"), out=folder / "parts")
    large = measure_parts([settings.request(scene) for scene in large_scenes], model)
    per_tile = max(0.0, (large[2] - small[2]) / (large[3] - small[3]))
    costs = Costs(
        read_s=small[0],
        answer_s=small[1],
        finish_scene_s=max(0.0, small[2] - small[3] * per_tile),
        finish_tile_s=per_tile,
    )
    return costs, small[3]


def write_large(folder: Path, inputs: Path) -> None:
    """Scenes of many tiles: crops side by side."""
    folder.mkdir()
    crops = []
    for file in sorted(inputs.glob("*.tif")):
        with rasterio.open(file) as source:
            crops.append(np.moveaxis(source.read((1, 2, 3)), 0, 2))
    side = min(min(crop.shape[:2]) for crop in crops)
    per_side = -(-LARGE_SIDE // side)
    for number in range(3):
        parts = [crops[(number + 7 * index) % len(crops)][:side, :side] for index in range(per_side**2)]
        rows = [np.concatenate(parts[start : start + per_side], axis=1) for start in range(0, len(parts), per_side)]
        write_scene(folder / f"large_{number}.tif", np.concatenate(rows), LARGE_SIDE)


def times_of(manifest: Path, started: float) -> dict[str, float]:
    """What the times in the manifest say of a run that was started at a time."""
    events = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()[1:]]
    ends = [event["time"] for event in events if event["event"] == "done"]
    steady_s = max(1e-9, ends[-1] - ends[0])
    return {
        "scenes_done": len(ends),
        "start_to_first_done_s": round(ends[0] - started, 3),
        "steady_s": round(steady_s, 3),
        "steady_scenes_per_s": round((len(ends) - 1) / steady_s, 3),
    }


def measure(inputs: Path, out: Path, model: str, actors: int) -> dict[str, Any]:
    """One batch; 0 actors: the local engine."""
    command = [sys.executable, "-m", "benchmarks.scale.batch_run", str(inputs), str(out), "--model", model]
    command += ["--actors", str(actors)]
    started = time.time()
    seconds, _ = run_once(command)
    times = times_of(out / "manifest.jsonl", started)
    told = json.loads((out / SPENT).read_text(encoding="utf-8"))
    after_first = (told["cpu_s"] - told["cpu_at_first_s"]) / max(1, times["scenes_done"] - 1)
    return {
        "engine": "ray" if actors else "local",
        "actors": actors,
        "whole_process_s": round(seconds, 3),
        "scenes_per_s": round(times["scenes_done"] / seconds, 3),
        "own_cpu_s_per_scene": round(after_first, 4),
        **times,
    }


def foretold(costs: Costs, tiles: float, point: dict[str, Any]) -> dict[str, Any]:
    """What the scaling model says about a point; the start is the point's own."""
    if point["engine"] == "local":
        rate, narrowest = local_scenes_per_second(costs, round(tiles)), "the process"
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        cluster = Cluster(point["actors"], finishers=1, readers=READERS, cores=cores)
        rate, narrowest = scenes_per_second(costs, cluster, round(tiles))
    return {
        "steady_scenes_per_s": round(rate, 3),
        "narrowest": narrowest,
        "measured_to_foretold": round(point["steady_scenes_per_s"] / rate, 3),
        "model_share_of_the_measured_rate": round(
            point["steady_scenes_per_s"] * costs.model_s(round(tiles)) / max(1, point["actors"]), 3
        ),
    }


def draw(points: Sequence[dict[str, Any]], path: Path) -> None:
    """Bars of scenes per second, whole process and steady, with what the scaling model says."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    names = [f"Ray, {point['actors']} actors" if point["actors"] else "local" for point in points]
    figure, axes = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
    places = np.arange(len(points))
    axes.bar(places - 0.2, [point["scenes_per_s"] for point in points], 0.4, label="from start to files")
    axes.bar(places + 0.2, [point["steady_scenes_per_s"] for point in points], 0.4, label="after the first scene")
    said = [point["foretold"]["steady_scenes_per_s"] for point in points]
    axes.hlines(said, places, places + 0.4, "k", linewidth=2, label="scaling model, after the first scene")
    axes.set_xticks(places, names)
    axes.set_ylabel("scenes per second")
    axes.set_ylim(0, 1.45 * max(*said, *(point["steady_scenes_per_s"] for point in points)))
    axes.legend(loc="upper left", fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Measure, print, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--images", type=Path, help="folder of GeoTIFFs that scenes are cut from [default: a drawn scene]"
    )
    parser.add_argument("--model", default="compact", help=f"a model, or `{FREE}`, the stand-in")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--side", type=int, default=224, help="of a scene in pixels")
    parser.add_argument("--actors", type=int, nargs="*", default=[1, 2], help="actors on Ray, a run for each number")
    parser.add_argument("--out", type=Path, default=RESULTS / "batch.json")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_crops(folder / "in", arguments.images, arguments.scenes, arguments.side)
        costs, tiles = measure_costs(folder / "in", folder, arguments.model)
        print(json.dumps(asdict(costs)), flush=True)
        points = []
        for actors in (0, *arguments.actors):
            points.append(measure(folder / "in", folder / f"out_{actors}", arguments.model, actors))
            print(json.dumps(points[-1]), flush=True)
    on_ray = [point["own_cpu_s_per_scene"] for point in points if point["engine"] == "ray"]
    costs = replace(costs, driver_scene_s=statistics.mean(on_ray) if on_ray else 0.0)
    for point in points:
        point["foretold"] = foretold(costs, tiles, point)
    results = {
        "machine": describe_machine(),
        "load_before": round(load, 2),
        "model": arguments.model,
        "scenes": arguments.scenes,
        "side_px": arguments.side,
        "tiles_per_scene": tiles,
        "images": "drawn scene" if arguments.images is None else arguments.images.name,
        "costs_cpu_s": {key: round(value, 5) for key, value in asdict(costs).items()},
        "driver_saturates_at_actors": round(actors_that_saturate(costs, round(tiles)), 1) if on_ray else None,
        "points": points,
    }
    write_json(results, arguments.out)
    draw(points, arguments.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
