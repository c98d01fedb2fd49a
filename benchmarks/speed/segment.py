"""Seconds and peak memory of `rs2sam segment`, whole processes, start-up told apart.

    python -m benchmarks.speed.segment                                    # on the scene that the project draws
    python -m benchmarks.speed.segment --image photo.jpg --threads 2      # on real imagery, cropped or mirrored to size

Every figure is the median over `--runs` processes after one that is thrown away. Prints the results and writes them to
benchmarks/results/segment.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from benchmarks.files import RESULTS, write_json
from benchmarks.spread import spread
from rs2sam.benchmarking.machine import describe_machine

SIDES_PX = (512, 2000)
SENTENCE = "all buildings"
PIXEL_M = 0.5
ORIGIN_XY = (691_200.0, 5_334_900.0)


def run_once(command: Sequence[str]) -> tuple[float, float]:
    """Run a process; returns its seconds and its peak resident memory [MiB]."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}: {said}")
    # Kibibytes on Linux, bytes on macOS.
    return seconds, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def source_pixels(image: Path | None) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of a picture, or of the scene that `rs2sam demo-scene` draws."""
    if image is None:
        from rs2sam.datasets.synthetic.showcase import showcase

        return showcase().pixels()
    from rs2sam.raster import read_scene

    return read_scene(image).rgb


def write_scene(path: Path, pixels: NDArray[np.uint8], side: int) -> Path:
    """Write a square GeoTIFF: a crop of the pixels, mirrored beyond their edges."""
    height, width = pixels.shape[:2]
    grown = np.pad(pixels, ((0, max(0, side - height)), (0, max(0, side - width)), (0, 0)), mode="symmetric")
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": side, "width": side}
    place = rasterio.Affine(PIXEL_M, 0.0, ORIGIN_XY[0], 0.0, -PIXEL_M, ORIGIN_XY[1])
    with rasterio.open(path, "w", crs="EPSG:32632", transform=place, photometric="RGB", **profile) as file:
        file.write(np.moveaxis(grown[:side, :side], 2, 0))
    return path


def measure_segment(scene: Path, arguments: argparse.Namespace, out: Path) -> dict[str, Any]:
    """The whole command on one image, and what it says about its own time."""
    command = [str(Path(sys.executable).parent / "rs2sam"), "segment", str(scene), SENTENCE, "-o", str(out)]
    command += ["--overwrite", "--model", arguments.model]
    command += [] if arguments.threads is None else ["--threads", str(arguments.threads)]
    wall, memory, parts, report = [], [], [], {}
    for number in range(arguments.runs + 1):
        seconds, peak = run_once(command)
        report = json.loads((out / f"{scene.stem}_result.json").read_text(encoding="utf-8"))
        if number:  # the first one reads the files from the disk
            wall.append(seconds)
            memory.append(peak)
            parts.append(report["seconds"])
    times = {name: [part[name] for part in parts] for name in parts[0]}
    views = report["sentences"][0]["views"]
    # The model's seconds are part of those of `segment`.
    told = [part["open"] + part["segment"] + part["regions"] for part in parts]
    rest = [total - part for total, part in zip(wall, told, strict=True)]
    return {
        "whole_process_s": spread(wall),
        "open_s": spread(times["open"]),
        "segment_s": spread(times["segment"]),
        "model_s": spread(times["model"]),
        "regions_s": spread(times["regions"]),
        "imports_loading_and_writing_s": spread(rest),
        "peak_memory_mib": spread(memory, 0),
        "views": views,
        "s_per_view": round(statistics.median(times["segment"]) / views, 3),
    }


def measure_start_up(runs: int) -> dict[str, Any]:
    """Seconds of an empty interpreter, of `import rs2sam` beyond it, and of `rs2sam --help`."""
    python = sys.executable
    commands = {
        "python_s": [python, "-c", "pass"],
        "python_import_rs2sam_s": [python, "-c", "import rs2sam"],
        "rs2sam_help_s": [str(Path(python).parent / "rs2sam"), "--help"],
    }
    found = {name: spread([run_once(command)[0] for _ in range(runs + 1)][1:]) for name, command in commands.items()}
    alone = found["python_import_rs2sam_s"]["median"] - found["python_s"]["median"]
    return {**found, "import_rs2sam_alone_s": round(alone, 3)}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="picture to measure on [default: the drawn scene]")
    parser.add_argument("--model", default="compact")
    parser.add_argument("--threads", type=int, help="CPU threads of the model [default: all cores]")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "segment.json")
    arguments = parser.parse_args()
    pixels = source_pixels(arguments.image)
    results: dict[str, Any] = {
        "machine": describe_machine(),
        "threads": arguments.threads or "all cores",
        "runs": arguments.runs,
        "sentence": SENTENCE,
        "start_up": measure_start_up(arguments.runs),
    }
    with tempfile.TemporaryDirectory() as name:
        for side in SIDES_PX:
            scene = write_scene(Path(name) / f"scene_{side}.tif", pixels, side)
            results[f"{side}px"] = measure_segment(scene, arguments, Path(name) / f"out_{side}")
    print(json.dumps(results, indent=1))
    write_json(results, arguments.out)


if __name__ == "__main__":
    main()
