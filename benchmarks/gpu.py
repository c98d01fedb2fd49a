"""All figures that need a GPU, in pieces that fit into short sessions; what is done is not done again.

    python -m benchmarks.gpu --out DIR                     # as many pieces as 9 minutes hold; call it again
    python -m benchmarks.gpu --out DIR --list              # the pieces, and which are done
    python -m benchmarks.gpu --out DIR --only speed-fp16   # one piece, done or not
    python -m benchmarks.gpu --out DIR --toy               # every piece at toy size on the CPU

Every piece is a process of its own that writes DIR/<piece>.json; one that fails writes DIR/<piece>.error.txt and is
tried again by the next call. Weights of `large` are drawn once into DIR/large. `--images` names a folder of pictures on
which `compact` is compared in half precision with float32.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

COMPACT = Path(__file__).parents[1] / "src" / "rs2sam" / "weights" / "compact"
PICTURE_SENTENCES = ("all buildings", "the water", "all storage tanks")
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
LEAST_MASK_PIXELS = 200
TOY_SIDE, TOY_SECONDS = 64, 0.05


@dataclass(frozen=True)
class Place:
    """Where a piece runs and what it may read.

    Args:
        out: the folder of results.
        toy: on the CPU, with a small model.
        images: a folder of pictures, or None.
    """

    out: Path
    toy: bool
    images: Path | None

    @property
    def device(self) -> str:
        """What the models run on."""
        return "cpu" if self.toy else "cuda"

    @property
    def model(self) -> Path:
        """A folder of `large`, or of a small model; drawn when first asked for."""
        folder = self.out / ("toy" if self.toy else "large")
        if not (folder / "preprocessor_config.json").is_file():
            write_model(folder, self.toy)
        return folder


def write_model(folder: Path, toy: bool) -> None:
    """Write a model of random weights, initialised as for training, in float16."""
    import torch

    from rs2sam.models import RS2SamConfig, RS2SamModel
    from rs2sam.processing import ProcessingConfig, Processor

    tokenizer = Processor.from_folder(COMPACT).tokenizer
    changes: dict[str, Any] = {"text_pad_id": 1}
    if toy:
        changes |= {"image_size": TOY_SIDE, "union_image_size": 32, "vocab_size": 8192, "max_text_positions": 64}
    config = RS2SamConfig.preset("tiny" if toy else "large", **changes)
    torch.manual_seed(0)
    RS2SamModel(config).half().save_pretrained(folder)
    sizes = (config.image_size, config.union_image_size, min(config.max_text_tokens, 62))
    Processor(ProcessingConfig(*sizes), tokenizer).save(folder)


def speed(place: Place, precision: str) -> dict[str, Any]:
    """`rs2sam benchmark` of `large`: baselines, fused and compiled in one precision."""
    from rs2sam.benchmarking.run import BenchmarkOptions, run_benchmark
    from rs2sam.benchmarking.subject import Subject
    from rs2sam.datasets.synthetic.showcase import showcase
    from rs2sam.processing import Processor

    subject = Subject(place.model, Processor.from_folder(place.model), (showcase().pixels(),))
    ours = (f"torch fused {precision}", f"torch compiled {precision}")
    options = BenchmarkOptions(
        device=place.device,
        precision=precision,  # type: ignore[arg-type]
        compiled=True,
        seconds=TOY_SECONDS if place.toy else 2.0,
        max_batch=2 if place.toy else 32,
        only=("torch plain float32", *ours),
    )
    return run_benchmark(subject, options, lambda what: print(f"measuring: {what}", file=sys.stderr))


def agreement(place: Place) -> dict[str, Any]:
    """`compact` in bf16 and fp16 beside float32, on real pictures: IoU of every mask of some size."""
    from rs2sam.backends.torch import DTYPES, TorchBackend
    from rs2sam.datasets.synthetic.showcase import showcase
    from rs2sam.imaging import read_image
    from rs2sam.processing import Processor, logits_to_mask, logits_to_probability

    processor = Processor.from_folder(COMPACT)
    files = [] if place.images is None else [f for f in place.images.rglob("*") if f.suffix.lower() in PICTURE_SUFFIXES]
    if place.images is not None and not files:
        raise FileNotFoundError(f"{place.images} must hold pictures ({', '.join(PICTURE_SUFFIXES)}), but has none.")
    pictures = [read_image(file) for file in sorted(files)[: 2 if place.toy else 60]] or [showcase().pixels()]
    asked = [(picture, sentence) for picture in pictures for sentence in PICTURE_SENTENCES]
    answers: dict[str, list[Any]] = {}
    for precision in ("float32", "bf16", "fp16"):
        backend = TorchBackend.from_folder(COMPACT, place.device, dtype=DTYPES[precision])
        answers[precision] = []
        for picture, sentence in asked:
            images, text = processor.images(picture), processor.sentences([sentence])
            inputs = (images.pixel_values[None], images.union_pixel_values[None], text.input_ids, text.attention_mask)
            answers[precision].append(backend.run(*inputs).low_res_logits[0])
    found: dict[str, Any] = {"pictures": len(pictures), "sentences": PICTURE_SENTENCES}
    for precision in ("bf16", "fp16"):
        overlaps, differences = [], [0.0]
        for ours, exact in zip(answers[precision], answers["float32"], strict=True):
            both, either = logits_to_mask(ours) & logits_to_mask(exact), logits_to_mask(ours) | logits_to_mask(exact)
            gap = np.abs(logits_to_probability(ours) - logits_to_probability(exact))
            differences.append(float(gap.max()))
            if either.sum() >= LEAST_MASK_PIXELS:
                overlaps.append(float(both.sum() / either.sum()))
        found[precision] = {"masks": len(overlaps), "max_probability_difference": max(differences)}
        if overlaps:
            found[precision] |= {"least_iou": min(overlaps), "mean_iou": float(np.mean(overlaps))}
    return found


def pictures(place: Place) -> dict[str, Any]:
    """Resizing and normalising on the device beside Pillow: values, and images a second from uint8 to logits."""
    from rs2sam.backends.torch import DTYPES, TorchBackend
    from rs2sam.benchmarking.timing import measure
    from rs2sam.models.device_images import device_images
    from rs2sam.processing import Processor

    processor = Processor.from_folder(place.model)
    backend = TorchBackend.from_folder(place.model, place.device, dtype=DTYPES["fp16"], compiled=not place.toy)
    batch = 2 if place.toy else 16
    side = processor.config.image_size
    tiles = [np.random.default_rng(n).integers(0, 256, (side, side, 3), dtype=np.uint8) for n in range(batch)]
    text = processor.sentences(["all buildings"] * batch)
    seconds = TOY_SECONDS if place.toy else 2.0

    def on_host() -> None:
        images = [processor.images(tile) for tile in tiles]
        arrays = (np.stack([getattr(one, name) for one in images]) for name in ("pixel_values", "union_pixel_values"))
        backend.run(*arrays, text.input_ids, text.attention_mask)

    def on_device() -> None:
        backend.run_pictures(tiles, text.input_ids, text.attention_mask, processor.config)

    exact = processor.images(tiles[0])
    made = device_images(tiles[:1], processor.config, backend.device)
    level = 1 / (255 * min(processor.config.image_std))
    names = ("pixel_values", "union_pixel_values")
    gaps = [
        float(np.abs(ours[0].cpu().numpy() - getattr(exact, name)).max()) / level
        for name, ours in zip(names, made, strict=True)
    ]
    return {
        "batch": batch,
        "largest_difference_levels": dict(zip(names, gaps, strict=True)),
        "pillow_images_per_s": batch / measure(on_host, seconds, warm_up=3).wall_s,
        "device_images_per_s": batch / measure(on_device, seconds, warm_up=3).wall_s,
    }


def loading(place: Place) -> dict[str, Any]:
    """Weights of `large` to the device, and the peak of the host's memory, beside reading the file."""
    import torch

    from rs2sam.benchmarking.timing import forget_peak, peak_memory_mib
    from rs2sam.models.loading import WEIGHTS_FILE, load_weights

    file = place.model / WEIGHTS_FILE
    torch.zeros(1, device=place.device)
    found: dict[str, Any] = {"file_mib": file.stat().st_size / 2**20}
    for run in ("first", "second"):
        start = time.perf_counter()
        with file.open("rb", buffering=0) as stream:
            while stream.read(2**24):
                pass
        found[f"{run}_read_s"] = time.perf_counter() - start
        forget_peak()
        before, start = peak_memory_mib(), time.perf_counter()
        model = load_weights(place.model, torch.float16, place.device)
        if not place.toy:
            torch.cuda.synchronize()
        found[f"{run}_load_s"] = time.perf_counter() - start
        found[f"{run}_host_peak_mib_more"] = peak_memory_mib() - before
        del model
    return found


def training(place: Place, case: str, loop: str) -> dict[str, Any]:
    """One loop of one case of benchmarks/train_step.py."""
    from benchmarks.train_step import measure_here

    return measure_here("toy" if place.toy else "cuda", case, loop, 2 if place.toy else 10)


def pieces(toy: bool) -> dict[str, Callable[[Place], dict[str, Any]]]:
    """All pieces by name, the most wanted first."""
    from benchmarks.train_step import CASES, LOOPS

    device = "toy" if toy else "cuda"
    found: dict[str, Callable[[Place], dict[str, Any]]] = {
        "speed-fp16": lambda place: speed(place, "fp16"),
        "speed-bf16": lambda place: speed(place, "bf16"),
        "agreement": agreement,
        "pictures": pictures,
        "loading": loading,
    }
    for number, case in enumerate(CASES[device]):
        for loop in LOOPS[device]:
            found[f"train-{number}-{loop}"] = lambda place, case=case, loop=loop: training(place, case, loop)  # type: ignore[misc]
    return found


def run_piece(name: str, place: Place, timeout_s: float) -> bool:
    """Run a piece in a process of its own; returns whether its result is there."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--out", str(place.out), "--piece", name]
    command += ["--toy"] if place.toy else []
    command += [] if place.images is None else ["--images", str(place.images)]
    error = place.out / f"{name}.error.txt"
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
        said, code = run.stderr, run.returncode
    except subprocess.TimeoutExpired as expired:
        said, code = f"{expired}", 1
    if code:
        error.write_text(said[-4000:], encoding="utf-8")
        return False
    error.unlink(missing_ok=True)
    return True


def summary(out: Path, toy: bool) -> dict[str, Any]:
    """All results in one, with what training loops say about each other."""
    from benchmarks.train_step import CASES, LOOPS, compared

    found = {
        name: json.loads((out / f"{name}.json").read_text()) for name in pieces(toy) if (out / f"{name}.json").is_file()
    }
    device = "toy" if toy else "cuda"
    for number, case in enumerate(CASES[device]):
        loops = {loop: found.get(f"train-{number}-{loop}", {"error": "not done"}) for loop in LOOPS[device]}
        if any("error" not in one for one in loops.values()):
            try:
                found[f"train-{number}"] = {"case": case, **compared(device, loops)}
            except ValueError as error:
                found[f"train-{number}"] = {"case": case, "error": str(error)}
    return found


def main() -> None:
    """Run what is not done until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=9.0, help="no piece is started or left running beyond this")
    parser.add_argument(
        "--images", type=Path, help="folder of pictures for the comparison of precisions; without, the drawn scene"
    )
    parser.add_argument("--only", help="one piece, done or not")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--piece", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    place = Place(arguments.out, arguments.toy, arguments.images)
    place.out.mkdir(parents=True, exist_ok=True)
    # Compiled code outlives a process, and a session where DIR does.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str((place.out / "compiled").resolve()))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    known = pieces(place.toy)
    if arguments.piece:
        from benchmarks.machine import describe_machine

        found = {"machine": describe_machine(), **known[arguments.piece](place)}
        (place.out / f"{arguments.piece}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return
    if arguments.only and arguments.only not in known:
        parser.error(f"--only must be one of {', '.join(known)}, not {arguments.only}")
    wanted = [arguments.only] if arguments.only else [n for n in known if not (place.out / f"{n}.json").is_file()]
    if arguments.list:
        print("\n".join(f"{'open' if name in wanted else 'done'}  {name}" for name in known))
        return
    _ = place.model  # drawn before the first clock runs
    for name in wanted:
        left = end - time.monotonic()
        if left < 30:
            print(f"time is up; call again for {name} and what follows")
            break
        start = time.monotonic()
        done = run_piece(name, place, left)
        print(f"{name}: {'done' if done else 'failed'} in {time.monotonic() - start:.0f} s", flush=True)
    (place.out / "summary.json").write_text(
        json.dumps(summary(place.out, place.toy), indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
