"""Samples a second that loading makes for training: 800 px JPEG files with run-length masks, as RRSIS-D has them.

    python -m benchmarks.speed.data_loading                          # on scenes that the project draws
    python -m benchmarks.speed.data_loading --images DIR             # on real pictures, cropped or mirrored to 800 px

Everything of a training step's data is in it: reading, decoding, both of the model's inputs at the published sizes,
tokens, target, batch of one. Besides, what follows for 8 GPUs: the demand at a step's time, and the share of one
loading process a GPU that meets it. Writes benchmarks/results/data_loading.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader

from benchmarks.files import COMPACT, RESULTS, write_json
from benchmarks.spread import spread
from rs2sam.benchmarking.machine import describe_machine
from rs2sam.datasets.base import Sample
from rs2sam.datasets.readers.jsonl import write_jsonl
from rs2sam.datasets.readers.reading import open_dataset
from rs2sam.datasets.synthetic import generate_scene
from rs2sam.models import RS2SamConfig
from rs2sam.processing import ProcessingConfig, Processor
from rs2sam.training.examples.dataset import ReferringDataset
from rs2sam.training.examples.draws import DatasetDraw
from rs2sam.training.recipes.settings import DataRecipe

TRAIN_STEP = RESULTS / "train_step.json"
FILE_SIDE_PX = 800
JPEG_QUALITY = 90
NUM_FILES = 48
NUM_GPUS = 8
WARM_UP = 8
SENTENCES = ("the large storage tank on the left", "a ship", "the tennis court next to the baseball field")


def pictures(folder: Path | None) -> list[NDArray[np.uint8]]:
    """(800, 800, 3) uint8 each: real ones cropped or mirrored to size, or drawn ones."""
    if folder is None:
        rngs = (np.random.default_rng(seed) for seed in range(NUM_FILES))
        return [generate_scene(rng, side=FILE_SIDE_PX).pixels() for rng in rngs]
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))[:NUM_FILES]
    if not files:
        raise SystemExit(f"`{folder}` holds no .jpg or .png; name a folder that does")
    found = []
    for path in files:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        missing = [(0, max(0, FILE_SIDE_PX - side)) for side in pixels.shape[:2]]
        grown = np.pad(pixels, (*missing, (0, 0)), mode="symmetric")
        found.append(grown[:FILE_SIDE_PX, :FILE_SIDE_PX])
    return found


def write_dataset(folder: Path, images: Sequence[NDArray[np.uint8]]) -> Path:
    """Referring JSONL with JPEG files and run lengths of a ragged region."""
    rows, columns = np.mgrid[:FILE_SIDE_PX, :FILE_SIDE_PX]
    samples = []
    (folder / "files").mkdir(parents=True)
    for number, pixels in enumerate(images):
        path = folder / "files" / f"{number}.jpg"
        Image.fromarray(pixels).save(path, quality=JPEG_QUALITY)
        rng = np.random.default_rng(number)
        y, x, radius = [*rng.integers(200, 600, 2).tolist(), int(rng.integers(20, 180))]
        mask = np.hypot(rows - y, columns - x) + 6 * rng.standard_normal(rows.shape) < radius
        samples.append(Sample(path, SENTENCES[number % len(SENTENCES)], mask, str(number), split="train"))
    write_jsonl(samples, folder / "data", image_mode="copy")
    return folder / "data"


def published_sizes() -> Processor:
    """Inputs of the published model, with the tokenizer that is in the package."""
    config = RS2SamConfig.preset("large")
    sizes = ProcessingConfig(config.image_size, config.union_image_size, config.max_text_tokens)
    return Processor(sizes, Processor.from_folder(COMPACT).tokenizer)


def samples_a_second(dataset: ReferringDataset, num_workers: int, count: int) -> float:
    """Rate of a loader as the Trainer makes it, after a warm-up."""
    loader = DataLoader(dataset, batch_size=1, num_workers=num_workers, collate_fn=dataset.collate)
    batches = iter(loader)
    for _ in itertools.islice(batches, WARM_UP):
        pass
    start = time.perf_counter()
    made = sum(1 for _ in itertools.islice(batches, count))
    return made / (time.perf_counter() - start)


def parts_of_a_sample(dataset: ReferringDataset, data: Path, count: int) -> dict[str, float]:
    """Milliseconds of the parts, one after another in one process."""
    samples = open_dataset(data).samples()
    size_hw, side = (FILE_SIDE_PX, FILE_SIDE_PX), dataset.processor.config.image_size
    images = [sample.pixels() for sample in samples]
    parts: dict[str, Callable[[int], object]] = {
        "read_jpeg_ms": lambda i: samples[i].pixels(),
        "decode_mask_ms": lambda i: samples[i].target(size_hw, resize_to=(side, side)),
        "both_inputs_ms": lambda i: dataset.processor.images(images[i]),
        "whole_batch_of_one_ms": lambda i: dataset.collate([dataset[i]]),
    }
    found = {}
    for name, part in parts.items():
        start = time.perf_counter()
        for number in range(count):
            part(number % len(samples))
        found[name] = round(1e3 * (time.perf_counter() - start) / count, 2)
    return found


def step_times(given: Sequence[float]) -> dict[str, float]:
    """Seconds of a training step of `large` on one GPU: measured where they have been, and those given."""
    times = {f"{seconds:g} s, given": seconds for seconds in given}
    if TRAIN_STEP.is_file():
        for name, found in json.loads(TRAIN_STEP.read_text(encoding="utf-8")).items():
            if isinstance(found, dict) and found.get("device") == "cuda":
                times[f"{name}, measured"] = found["trainer"]["step_s"]["median"]
    return times


def demand(step_s: float, per_worker: float) -> dict[str, float]:
    """What 8 GPUs ask of loading, each with a batch of one in a process of its own."""
    return {
        "step_s": step_s,
        "samples_a_second_of_8_gpus": round(NUM_GPUS / step_s, 2),
        "share_of_one_worker_a_gpu": round(1 / step_s / per_worker, 3),
        "workers_a_gpu_that_suffice": int(np.ceil(1 / step_s / per_worker)),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="folder of pictures [default: drawn scenes]")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--count", type=int, default=200, help="samples a run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--step-seconds", type=float, nargs="*", default=[0.25, 0.5, 1.0])
    parser.add_argument("--out", type=Path, default=RESULTS / "data_loading.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # as in loading processes
    processor = published_sizes()
    with tempfile.TemporaryDirectory() as name:
        data = write_dataset(Path(name), pictures(arguments.images))
        recipe = DataRecipe(dataset=str(data), side=processor.config.image_size)
        draw = DatasetDraw(open_dataset(data).samples("train"), recipe, seed=0)
        dataset = ReferringDataset(draw, processor, WARM_UP + arguments.count)
        results: dict[str, Any] = {
            "machine": describe_machine(),
            "images": "drawn scenes" if arguments.images is None else "/".join(arguments.images.parts[-2:]),
            "file_side_px": FILE_SIDE_PX,
            "inputs_px": [processor.config.image_size, processor.config.union_image_size],
            "samples_a_run": arguments.count,
            "one_process": parts_of_a_sample(dataset, data, min(arguments.count, 50)),
            "samples_a_second": {},
        }
        for workers in arguments.workers:
            rates = [samples_a_second(dataset, workers, arguments.count) for _ in range(arguments.runs)]
            results["samples_a_second"][f"{workers} workers"] = spread(rates, 2)
    one = results["samples_a_second"].get("1 workers")
    if one is not None:
        times = step_times(arguments.step_seconds)
        results["8_gpus"] = {label: demand(seconds, one["median"]) for label, seconds in times.items()}
    print(json.dumps(results, indent=1))
    write_json(results, arguments.out)


if __name__ == "__main__":
    main()
