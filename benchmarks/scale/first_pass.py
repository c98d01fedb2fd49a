"""What a first pass over coarse views saves, and what it loses, by its threshold.

    python -m benchmarks.scale.first_pass --data ../shared/data
    python -m benchmarks.scale.first_pass --data ../shared/data --model FOLDER --write  # keep the threshold in FOLDER

Scenes are mosaics of 4 x 4 held-out images (validation and test splits; even rounds at the images' own scale), in which
a class is held by one to four images and known to be absent from the others; of vehicles and swimming pools, which are
annotated completely only where they are, nearly all images hold some. Every scene is segmented with each of its tiles,
then tiles are left out by score. The threshold that is chosen loses at most `--loss` of the rightly found pixels, and
of the objects of which half was found. Skipping is the model's default where the saved share of its time, in a scene of
many tiles, is at least `DEFAULT_FROM`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.files import RESULTS, write_json
from rs2sam.backends import Backend, BackendOutput, load_backend
from rs2sam.benchmarking.machine import describe_machine
from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.english.nouns import NOUNS
from rs2sam.datasets.mixing.augment import crop
from rs2sam.datasets.mixing.mosaic import mosaic
from rs2sam.datasets.readers.sources import read_sources
from rs2sam.models.weights.hub import resolve_model
from rs2sam.processing import CONFIG_FILE, FirstPass, Processor
from rs2sam.raster import Blend, TileGrid, Window
from rs2sam.scenes.first_pass import OverviewGrid, Screening, score
from rs2sam.segmenter import Segmentation, Segmenter

CLASSES = (
    "airplane", "ship", "baseball_diamond", "vehicle", "tennis_court", "swimming_pool", "bridge", "storage_tank",
    "ground_track_field", "harbor", "basketball_court",
)  # fmt: skip
DENSE = {"vehicle": 13, "swimming_pool": 16}
HOLDING = (1, 3, 2, 4)
"""Images of a scene that hold its class, by round."""
PART = 512
THRESHOLDS = (
    0.0, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.975,
    0.98, 0.985, 0.988, 0.99, 0.992, 0.994, 0.996, 0.997, 0.998, 0.999, 1.0,
)  # fmt: skip
PER_SIDE = (2, 3)
DEFAULT_FROM = 0.2
FOUND_SHARE = 0.5
Counts = NDArray[np.int64]


class Recorder:
    """A backend that keeps the pseudo-mask of the last view."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name, self.has_presence, self.has_score = backend.name, backend.has_presence, backend.has_score
        self.last: BackendOutput | None = None

    def run(self, *arrays: Any) -> BackendOutput:
        """Answer a batch."""
        self.last = self._backend.run(*arrays)
        return self.last


class Pixels:
    """An array as a scene that is read in windows."""

    info: Any = None

    def __init__(self, rgb: NDArray[np.uint8]) -> None:
        self._rgb = rgb

    def read_what_can_be(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_], tuple[Window, ...]]:
        """A window's pixels."""
        return self._rgb[window.slices], np.ones((window.height, window.width), dtype=np.bool_), ()


def scene_of(images: Sequence[AnnotatedImage], category: str, number: int, rng: np.random.Generator) -> AnnotatedImage:
    """A mosaic in which some images hold a class and the others do not, drawn from all sources alike."""
    known = [image for image in images if category in image.exhaustive_categories]
    holding = [image for image in known if image.of(category)]
    others: defaultdict[str, list[AnnotatedImage]] = defaultdict(list)
    for image in known:
        if not image.of(category):
            others[image.source].append(image)
    wanted = DENSE.get(category, HOLDING[number % len(HOLDING)])
    is_native = number % 2 == 0
    parts = [part_of(holding[i], rng, is_native, category) for i in rng.permutation(len(holding))[:wanted]]
    while len(parts) < 16:
        group = others[sorted(others)[int(rng.integers(len(others)))]] if others else holding
        parts.append(part_of(group[int(rng.integers(len(group)))], rng, is_native))
    parts = [parts[i] for i in rng.permutation(16)]
    return mosaic([mosaic(parts[i : i + 4]) for i in range(0, 16, 4)])


def part_of(
    image: AnnotatedImage, rng: np.random.Generator, is_native: bool, category: str | None = None
) -> AnnotatedImage:
    """A square of an image, at its own scale or the largest there is; one that holds the class, if that can be had."""
    height, width = image.size_hw
    side = PART if is_native and min(height, width) >= PART else min(height, width)
    for _ in range(12):
        left, top = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
        part = crop(image, (left, top, left + side, top + side), PART)
        if category is None or part.of(category):
            break
    return part


def measure_scene(segmenter: Segmenter, recorder: Recorder, scene: AnnotatedImage, category: str) -> dict[str, Any]:
    """Ask about every tile and every coarse view of a scene; count what is found at each threshold."""
    sentence = f"all {NOUNS[category][0].plural}"
    rgb, grid = scene.pixels(), TileGrid(scene.size_hw, segmenter.image_size, segmenter.image_size // 4)
    start = time.process_time()
    tiles, signals = ask_tiles(segmenter, recorder, rgb, sentence, grid)
    seconds = {"tile": (time.process_time() - start) / len(grid)}
    for per_side in PER_SIDE:
        views = OverviewGrid(grid, per_side)
        screening, start = Screening(views, segmenter.image_size, (sentence,), 0.0), time.process_time()
        for number in range(views.number_of(len(grid) - 1) + 1):
            overview = screening.read(Pixels(rgb), number)
            assert overview is not None
            view = segmenter.segment_views([(overview, sentence)], 1)[0]
            for tile in views.tiles_of(number):
                highest = score(view, views, number, tile)
                presence = 1.0 if view.presence is None else view.presence
                signals[tile] |= {
                    f"highest_{per_side}": highest,
                    f"presence_{per_side}": presence,
                    f"product_{per_side}": highest * presence,
                }
        seconds[f"view_{per_side}"] = (time.process_time() - start) / (views.number_of(len(grid) - 1) + 1)
    instances = np.zeros(scene.size_hw, dtype=np.int32)
    for label, instance in enumerate(scene.of(category), start=1):
        instances[scene.union((instance,))] = label
    target = instances > 0
    kept = [tile.if_present(segmenter.min_presence) for tile in tiles]
    return {
        "category": category,
        "images": scene.id,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "tiles": [
            {
                **{name: round(value, 5) for name, value in one.items()},
                "true": int(np.count_nonzero(target[window.slices])),
                "right": int(np.count_nonzero(tile.mask & target[window.slices])),
            }
            for one, tile, window in zip(signals, kept, grid.windows(), strict=True)
        ],
        "counts": {
            str(per_side): counts_of(kept, [one[f"highest_{per_side}"] for one in signals], grid, instances)
            for per_side in PER_SIDE
        },
    }


def ask_tiles(
    segmenter: Segmenter, recorder: Recorder, rgb: NDArray[np.uint8], sentence: str, grid: TileGrid
) -> tuple[list[Segmentation], list[dict[str, float]]]:
    """The answers of all tiles, and the highest value of each one's pseudo-mask."""
    tiles: list[Segmentation] = []
    signals: list[dict[str, float]] = []
    for window in grid.windows():
        tiles += segmenter.segment_views([(np.ascontiguousarray(rgb[window.slices]), sentence)], 1)
        assert recorder.last is not None
        pseudo = recorder.last.pseudo_mask
        signals.append({} if pseudo is None else {"pseudo_mask": float(pseudo.max())})
    return tiles, signals


def counts_of(
    tiles: Sequence[Segmentation], scores: Sequence[float], grid: TileGrid, instances: NDArray[np.int32]
) -> list[list[int]]:
    """At each threshold: pixels found rightly and wrongly, objects of which half was found, tiles that were asked."""
    areas = np.bincount(instances.ravel())[1:]
    known: dict[tuple[bool, ...], list[int]] = {}
    found = []
    for threshold in THRESHOLDS:
        asked = tuple(value >= threshold for value in scores)
        if asked not in known:
            blend = Blend(grid)
            for tile, window in zip(compress(tiles, asked), compress(grid.windows(), asked), strict=True):
                blend.add(window, tile.probability)
            of_found = np.bincount(instances[blend.result() > 0.5], minlength=len(areas) + 1)
            objects = np.count_nonzero((of_found[1:] >= FOUND_SHARE * areas) & (areas > 0))
            known[asked] = [int(of_found[1:].sum()), int(of_found[0]), int(objects), sum(asked)]
        found.append(known[asked])
    return found


def curve_of(scenes: Sequence[dict[str, Any]], per_side: int) -> list[dict[str, float]]:
    """What is skipped and lost at each threshold."""
    counts: Counts = np.array([scene["counts"][str(per_side)] for scene in scenes]).sum(axis=0)  # (T, 4)
    tiles = [tile for scene in scenes for tile in scene["tiles"]]
    scores = np.array([tile[f"highest_{per_side}"] for tile in tiles])
    is_void = np.array([tile["true"] == 0 for tile in tiles])
    whole = np.maximum(counts[0], 1)
    return [
        {
            "threshold": threshold,
            "skipped": round(float(np.mean(scores < threshold)), 4),
            "skipped_of_tiles_without": round(float(np.mean(scores[is_void] < threshold)), 4),
            "recall_loss": round(float(1 - row[0] / whole[0]), 4),
            "object_loss": round(float(1 - row[2] / whole[2]), 4),
            "wrong_pixels_left": round(float(row[1] / whole[1]), 4),
        }
        for threshold, row in zip(THRESHOLDS, counts, strict=True)
    ]


def chosen(curve: Sequence[dict[str, float]], loss: float) -> dict[str, float]:
    """The highest threshold up to which nothing loses more than is allowed."""
    best = curve[0]
    for point in curve:
        if max(point["recall_loss"], point["object_loss"]) > loss:
            break
        best = point
    return best


def left_out(scenes: Sequence[dict[str, Any]], per_side: int, loss: float) -> dict[str, float]:
    """Loss and saving when the threshold of each class is chosen on all others."""
    right = np.zeros(2, dtype=np.int64)
    asked = total = 0
    for category in CLASSES:
        own = [scene for scene in scenes if scene["category"] == category]
        others = [scene for scene in scenes if scene["category"] != category]
        if own and others:
            index = THRESHOLDS.index(chosen(curve_of(others, per_side), loss)["threshold"])
            counts: Counts = np.array([scene["counts"][str(per_side)] for scene in own]).sum(axis=0)
            right += counts[[0, index], 0]
            asked, total = asked + int(counts[index, 3]), total + int(counts[0, 3])
    return {
        "recall_loss": round(float(1 - right[1] / max(1, right[0])), 4),
        "skipped": round(1 - asked / max(1, total), 4),
    }


def signals_of(scenes: Sequence[dict[str, Any]], loss: float) -> dict[str, dict[str, float]]:
    """How well each signal parts tiles with something rightly found from tiles without the class."""
    tiles = [tile for scene in scenes for tile in scene["tiles"]]
    right = np.array([tile["right"] for tile in tiles])
    is_void = np.array([tile["true"] == 0 for tile in tiles])
    found = {}
    for name in [name for name in tiles[0] if name not in ("true", "right")]:
        values = np.array([tile[name] for tile in tiles])
        with_it, without = values[right > 0][:, None], values[is_void][None]
        order = np.argsort(values, kind="stable")
        lost = np.cumsum(right[order]) / max(1, right.sum())
        found[name] = {
            "auc": round(float(np.mean((with_it > without) + 0.5 * (with_it == without))), 4),
            "skipped": round(float(np.count_nonzero(lost <= loss) / len(values)), 4),
        }
    return found


def report_of(scenes: Sequence[dict[str, Any]], tiles: int, loss: float) -> dict[str, Any]:
    """The whole result, from the counts of scenes."""
    curves = {str(per_side): curve_of(scenes, per_side) for per_side in PER_SIDE}
    best = chosen(curves[str(tiles)], loss)
    others = left_out(scenes, tiles, loss)
    saved = best["skipped"] - 1 / tiles**2
    # What is said to users is what a class loses that had no say in the threshold, if that is more.
    lost = max(best["recall_loss"], others["recall_loss"])
    first_pass = FirstPass(tiles, best["threshold"], lost, best["skipped"], is_default=saved >= DEFAULT_FROM)
    return {
        "first_pass": asdict(first_pass),
        "saved_share_of_model_time": round(saved, 4),
        "at_threshold": best,
        "left_one_class_out": others,
        "signals": signals_of(scenes, loss),
        "seconds": {
            name: round(float(np.mean([scene["seconds"][name] for scene in scenes])), 3)
            for name in scenes[0]["seconds"]
        },
        "curves": curves,
    }


def draw(report: dict[str, Any], path: Path) -> None:
    """Loss against the share of tiles that is skipped."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    for per_side, curve in report["curves"].items():
        skipped = [100 * point["skipped"] for point in curve]
        for name, style in (("recall_loss", "-"), ("object_loss", ":")):
            label = f"{per_side} x {per_side} tiles a view, {'pixels' if style == '-' else 'objects'}"
            recall = [100 * (1 - point[name]) for point in curve]
            axes.plot(skipped, recall, style, color=f"C{per_side}", label=label)
        axes.axvline(100 / int(per_side) ** 2, color=f"C{per_side}", linewidth=0.6, linestyle="--")
    axes.set(xlabel="tiles skipped [%]; dashed: what the views cost", ylabel="of what all tiles find rightly [%]")
    axes.set_ylim(80, 100.5)
    axes.legend(fontsize=7, loc="lower left")
    figure.savefig(path, dpi=120)


def measured(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Each scene's counts."""
    folder = resolve_model(arguments.model).folder
    recorder = Recorder(load_backend(folder, threads=arguments.threads))
    segmenter = Segmenter(Processor.from_folder(folder), recorder)
    sources = read_sources(arguments.data).values()
    images = [image for source in sources for image in source if image.split in ("val", "test")]
    known = []
    if arguments.rows and arguments.rows.is_file():
        known = [json.loads(line) for line in arguments.rows.read_text(encoding="utf-8").splitlines()]
        yield from known
    for index in range(len(known), arguments.rounds * len(CLASSES)):
        number, place = divmod(index, len(CLASSES))
        rng = np.random.default_rng([number, place])
        shown = scene_of(images, CLASSES[place], number, rng)
        scene = measure_scene(segmenter, recorder, shown, CLASSES[place])
        print(f"round {number}, {CLASSES[place]}: {scene['seconds']}", flush=True)
        if arguments.rows:
            with arguments.rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(scene) + "\n")
        yield scene


def main() -> None:
    """Measure, choose, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of annotated imagery")
    parser.add_argument("--model", default="compact")
    parser.add_argument("--rounds", type=int, default=3, help="scenes of each class")
    parser.add_argument("--tiles", type=int, default=2, choices=PER_SIDE, help="tiles a side of a coarse view")
    parser.add_argument("--loss", type=float, default=0.01, help="share of pixels and of objects that may be lost")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "first_pass.json")
    parser.add_argument("--rows", type=Path, help="JSON lines of the scenes that are done; a second call goes on there")
    parser.add_argument("--write", action="store_true", help=f"keep the choice in the {CONFIG_FILE} of the model")
    arguments = parser.parse_args()
    scenes = list(measured(arguments))
    report = report_of(scenes, arguments.tiles, arguments.loss)
    asked = {name: value for name, value in vars(arguments).items() if name in ("model", "rounds", "loss")}
    whole = {"machine": describe_machine(), **asked, "scenes": len(scenes), **report}
    write_json(whole, arguments.out)
    draw(report, arguments.out.with_suffix(".png"))
    if arguments.write:
        path = resolve_model(arguments.model).folder / CONFIG_FILE
        config = Processor.from_folder(path.parent).config
        replace(config, first_pass=FirstPass(**report["first_pass"])).to_json(path)
    print(json.dumps({name: report[name] for name in report if name != "curves"}, indent=1))


if __name__ == "__main__":
    main()
