"""Scenes of growing size: seconds, peak memory, tiles a second, and what the engine costs beside the model.

    python -m benchmarks.scale.scenes --data ../shared/data                           # 2,000 and 5,000 px a side
    python -m benchmarks.scale.scenes --data ../shared/data --sides 2000 5000 20000 40000 --compact-sides 2000 5000 \
        --pictures /tmp/scenes

Scenes are mosaics of real pictures, written as striped GeoTIFFs without compression, as the least convenient layout for
tiles. `free` is a stand-in that marks bright blocks of 16 px and costs next to nothing, so that its figures are the
engine's; `compact` is the model that ships. Every figure is of one whole process; on a machine that does other things
too, only processor time can be compared. Prints the results, writes them to benchmarks/results/scenes.json and a plot
beside it. There is one scene at a time on the disk; the largest, of 40,000 px, takes 5 GB.

`--pictures` writes, per scene and model, the whole scene at 2,000 px with its mask, and pieces of 768 px at full
resolution around corners of tiles, to look for seams. Blocks of `free` begin anew in every tile, so its masks are
ragged where tiles meet; those of `compact` tell.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.windows import Window

from benchmarks.files import RESULTS, write_json
from benchmarks.speed.segment import run_once
from rs2sam.benchmarking.machine import describe_machine
from rs2sam.drawing import COLOURS, overlay
from rs2sam.raster.tiling import TileGrid

SENTENCE = "the storage tanks"
CELL = 500
STRIP = 16
PIXEL_M = 0.5
BLOCK = 16


CROP = 768
OVERVIEW = 2000


@dataclass
class FreeView:
    """What the stand-in says about a view."""

    probability: NDArray[np.float32]
    presence: float | None = None
    score: float | None = None
    known: float | None = None


class FreeSegmenter:
    """Marks bright blocks of a view; the engine's cost is what remains."""

    image_size = 512
    backend_name = "free"
    batch_size = 4
    min_presence = 0.0
    choose_in_view = False
    reads_phrases = False
    min_known = 0.0
    first_pass = None

    def __init__(self) -> None:
        self.cpu_s = 0.0

    def segment_views(self, pairs: Sequence[tuple[NDArray[np.uint8], str]], batch_size: int = 1) -> list[FreeView]:
        """Answer pairs of an (h, w, 3) uint8 view and a sentence."""
        start = time.thread_time()
        found = [FreeView(self._mark(rgb)) for rgb, _ in pairs]
        self.cpu_s += time.thread_time() - start
        return found

    @staticmethod
    def _mark(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        bright = np.where(rgb[::BLOCK, ::BLOCK, 1] > 200, np.float32(0.9), np.float32(0.05))
        return bright.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[: rgb.shape[0], : rgb.shape[1]]


def pictures(data: Path) -> list[NDArray[np.uint8]]:
    """Real pictures of CELL x CELL px, a few dozen."""
    files = sorted((data / "nwpu_vhr10").rglob("*.jpg"))[:40] + sorted((data / "dubai_landcover").rglob("*.jpg"))[:8]
    found = []
    for file in files:
        with Image.open(file) as image:
            if min(image.size) >= CELL:
                found.append(np.asarray(image.convert("RGB").crop((0, 0, CELL, CELL))))
    if not found:
        raise SystemExit(f"{data} has no nwpu_vhr10/ or dubai_landcover/ with pictures of {CELL} px.")
    return found


def write_scene(path: Path, cells: Sequence[NDArray[np.uint8]], side: int) -> Path:
    """Write a striped square mosaic, each cell drawn from the pictures by a fixed rule."""
    profile: dict[str, Any] = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": side, "width": side}
    place = rasterio.Affine(PIXEL_M, 0.0, 600_000.0, 0.0, -PIXEL_M, 5_300_000.0)
    random = np.random.default_rng(side)
    with rasterio.open(
        path, "w", crs="EPSG:32632", transform=place, photometric="RGB", blockysize=STRIP, bigtiff="if_safer", **profile
    ) as file:
        for top in range(0, side, CELL):
            chosen = random.integers(len(cells), size=-(-side // CELL))
            row = np.concatenate([cells[index] for index in chosen], axis=1)[: min(CELL, side - top), :side]
            file.write(np.moveaxis(row, 2, 0), window=Window(0, top, side, row.shape[0]))
    return path


def run_here(scene: Path, model: str, out: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Segment one scene in this process; what is printed is for the process that measures."""
    from rs2sam.scenes.outputs import OutputOptions
    from rs2sam.scenes.run import SceneRequest, run_scene
    from rs2sam.segmenter import Segmenter
    from rs2sam.views.options import SceneOptions

    segmenter: Any = FreeSegmenter() if model == "free" else Segmenter.load(model, threads=options.pop("threads"))
    options.pop("threads", None)
    request = SceneRequest(
        str(scene), (SENTENCE,), out, options=SceneOptions(min_presence=None, **options),
        outputs=OutputOptions(overwrite=True), model=model,
    )  # fmt: skip
    start, cpu = time.perf_counter(), time.process_time()
    report = run_scene(request, segmenter)
    cpu = time.process_time() - cpu
    return {
        "wall_s": time.perf_counter() - start,
        "cpu_s": cpu,
        "engine_cpu_s": cpu - segmenter.cpu_s if model == "free" else None,
        "model_s": report["seconds"]["model"],
        "parts_s": report["seconds"],
        "tiles": report["tiles"],
        "regions": report["sentences"][0]["polygons"],
        "peak_memory_mib": peak_memory_mib(),
    }


def peak_memory_mib() -> float:
    """Peak resident memory of this process.

    What `wait4` tells of a child counts the parent's memory at the time of the fork, too.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM"))


def measure(scene: Path, side: int, model: str, threads: int | None, out: Path) -> dict[str, Any]:
    """One scene in a process of its own."""
    said = out / "said.json"
    out.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "benchmarks.scale.scenes",
        "--one",
        str(scene),
        "--model",
        model,
        "--said",
        str(said),
    ]
    command += [] if threads is None else ["--threads", str(threads)]
    whole, _ = run_once([*command, "--work", str(out)])
    inside = json.loads(said.read_text(encoding="utf-8"))
    engine, engine_cpu = inside["wall_s"] - inside["model_s"], inside["engine_cpu_s"]
    return {
        "side_px": side,
        "megapixels": side * side / 1e6,
        "whole_process_s": round(whole, 2),
        "peak_memory_mib": round(inside["peak_memory_mib"]),
        "tiles": inside["tiles"],
        "regions": inside["regions"],
        "tiles_per_s": round(inside["tiles"]["read"] / inside["wall_s"], 2),
        "megapixels_per_s": round(side * side / 1e6 / inside["wall_s"], 1),
        "megapixels_per_engine_cpu_s": None if engine_cpu is None else round(side * side / 1e6 / engine_cpu, 1),
        "wall_s": round(inside["wall_s"], 2),
        "cpu_s": round(inside["cpu_s"], 2),
        "engine_cpu_s": None if engine_cpu is None else round(engine_cpu, 2),
        "parts_s": inside["parts_s"],
        "engine_s": round(engine, 2),
        "engine_share_of_model": round(engine / inside["model_s"], 3) if inside["model_s"] > 0.5 else None,
    }


def draw(scene: Path, out: Path, folder: Path, name: str, tile: int) -> None:
    """Write the whole scene small, and full pieces around corners of tiles, with the mask."""
    folder.mkdir(parents=True, exist_ok=True)
    with rasterio.open(scene) as pixels, rasterio.open(out / f"{scene.stem}_mask.tif") as mask:
        side = pixels.width
        rows = TileGrid((side, side), tile, tile // 4).offsets_hw[0]
        # A corner of the first tiles, one in the middle, one of the last tiles.
        corners = sorted({rows[1], rows[len(rows) // 2], rows[-1]}) if len(rows) > 1 else []
        places = {f"corner_{corner}": _around(corner, side) for corner in corners}
        for label, window in {"whole": Window(0, 0, side, side), **places}.items():
            size = min(OVERVIEW if label == "whole" else CROP, side)
            average = rasterio.enums.Resampling.average
            rgb = pixels.read(out_shape=(3, size, size), window=window, resampling=average)
            found = mask.read(1, out_shape=(size, size), window=window) == 1
            picture = overlay(np.moveaxis(rgb, 0, 2).astype(np.float32), [(found, COLOURS[0])])
            picture.save(folder / f"{name}_{label}.png")


def _around(corner: int, side: int) -> Window:
    """A piece of the scene around where tiles that begin in a row and column begin."""
    size = min(CROP, side)
    start = min(max(0, corner - size // 2), side - size)
    return Window(start, start, size, size)


def plot(results: dict[str, Any], path: Path) -> None:
    """Memory and seconds over the number of pixels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (memory, speed) = pyplot.subplots(1, 2, figsize=(10, 4))
    for model, rows in results["models"].items():
        pixels = [row["megapixels"] for row in rows]
        memory.plot(pixels, [row["peak_memory_mib"] for row in rows], marker="o", label=model)
        speed.plot(pixels, [row["wall_s"] for row in rows], marker="o", label=model)
    for axes, label in ((memory, "peak resident memory [MiB]"), (speed, "seconds")):
        axes.set_xscale("log")
        axes.set_xlabel("megapixels")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.legend()
    memory.set_ylim(bottom=0)
    speed.set_yscale("log")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of real imagery")
    parser.add_argument("--sides", type=int, nargs="*", default=[2000, 5000], help="of the scenes for `free` [px]")
    parser.add_argument("--compact-sides", type=int, nargs="*", default=[2000], help="of those for `compact` [px]")
    parser.add_argument("--threads", type=int, help="CPU threads of the model [default: all cores]")
    parser.add_argument("--work", type=Path, help="folder for scenes and results [default: a temporary one]")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of the results [default: none]")
    parser.add_argument("--out", type=Path, default=RESULTS / "scenes.json")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--said", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure, print, write, plot."""
    arguments = parse()
    if arguments.one is not None:
        found = run_here(arguments.one, arguments.model, arguments.work, {"threads": arguments.threads})
        arguments.said.write_text(json.dumps(found), encoding="utf-8")
        return
    if arguments.data is None:
        raise SystemExit("Name the folder of real imagery with --data.")
    cells = pictures(arguments.data)
    models: dict[str, list[dict[str, Any]]] = {"free": [], "compact": []}
    with tempfile.TemporaryDirectory(dir=arguments.work) as name:
        for side in sorted({*arguments.sides, *arguments.compact_sides}):
            scene = write_scene(Path(name) / f"scene_{side}.tif", cells, side)
            for model, sides in (("free", arguments.sides), ("compact", arguments.compact_sides)):
                if side in sides:
                    out = Path(name) / f"{model}_{side}"
                    row = measure(scene, side, model, arguments.threads, out)
                    models[model].append(row)
                    if arguments.pictures is not None:
                        draw(scene, out, arguments.pictures, f"{model}_{side}", FreeSegmenter.image_size)
                    shutil.rmtree(out)
                    print(model, json.dumps(row), flush=True)
            scene.unlink()
    results = {"machine": describe_machine(), "threads": arguments.threads or "all cores", "models": models}
    write_json(results, arguments.out)
    plot(results, arguments.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
