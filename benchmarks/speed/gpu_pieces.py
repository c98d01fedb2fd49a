"""The pieces of benchmarks/speed/gpu.py: each measures one thing in a process of its own.

A piece returns plain values for JSON, and hands on what it has so far where much is still to come, so that a piece
that runs out of time leaves that. `CASES` of benchmarks/speed/train_step.py are the pieces of training.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.files import COMPACT

PICTURE_SENTENCES = ("all buildings", "the water", "all storage tanks")
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
MOST_PICTURES = 60
LEAST_MASK_PIXELS = 200
TOY_SIDE, TOY_SECONDS, TOY_BATCH = 64, 0.05, 2
BATCH = 16

Found = dict[str, Any]
Keep = Callable[[Found], None]
"""Takes what a piece has found so far."""


@dataclass(frozen=True)
class Place:
    """Where a piece runs and what it may read.

    Args:
        scratch: a folder for drawn weights, compiled code and logs.
        toy: on the CPU, with a small model.
        images: a folder of pictures, or None.
    """

    scratch: Path
    toy: bool
    images: Path | None

    @property
    def device(self) -> str:
        """What the models run on."""
        return "cpu" if self.toy else "cuda"

    @property
    def seconds(self) -> float:
        """How long a figure is read."""
        return TOY_SECONDS if self.toy else 2.0

    @property
    def model(self) -> Path:
        """A folder of `large`, or of a small model; drawn when first asked for."""
        folder = self.scratch / ("toy" if self.toy else "large")
        if not (folder / "preprocessor_config.json").is_file():
            write_model(folder, self.toy)
        return folder


@dataclass(frozen=True)
class Piece:
    """Something to measure.

    Args:
        run: does it.
        needs_s: it is not begun where less time is left [s].
    """

    run: Callable[[Place, Keep], Found]
    needs_s: float


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


def device_facts(place: Place) -> Found:
    """What the figures of a GPU depend on besides the machine."""
    if place.toy:
        return {}
    import torch

    properties = torch.cuda.get_device_properties(0)
    return {
        "gpu": properties.name,
        "gpu_memory_mib": properties.total_memory // 2**20,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def uncompiled(place: Place, kind: str, precision: str, keep: Keep) -> Found:
    """`rs2sam benchmark` of `large` in one way: latency, stages, batches, attention kernels, matrix rate.

    Small batches first: of large ones the windows may be more than a kernel can count, which is no error of memory.
    """
    from rs2sam.benchmarking.run import BenchmarkOptions, run_benchmark
    from rs2sam.benchmarking.subject import Subject
    from rs2sam.datasets.synthetic.showcase import showcase
    from rs2sam.processing import Processor

    subject = Subject(place.model, Processor.from_folder(place.model), (showcase().pixels(),))
    found: Found = {}
    for max_batch in (1, TOY_BATCH) if place.toy else (4, 32):
        options = BenchmarkOptions(
            device=place.device,
            precision=precision,  # type: ignore[arg-type]
            seconds=place.seconds,
            max_batch=max_batch,
            only=(f"torch {kind} {precision}",),
        )
        found = run_benchmark(subject, options, lambda what: print(f"measuring: {what}", file=sys.stderr))
        keep(found)
    return found


def compiled(place: Place, precision: str, mode: str, batch: int, keep: Keep) -> Found:
    """`large` compiled for one batch size: images a second and share of the matrix rate, by where the images are.

    `on_device`: the four tensors lie on the device already, the answer is waited for. `from_arrays`: float32 arrays in
    the host's memory to logits in the host's memory. `from_pictures`: 8-bit pictures instead, resized on the device.
    """
    import torch
    from torch._dynamo.utils import counters

    from rs2sam.backends.torch import DTYPES, TEXT_STEP, TorchBackend
    from rs2sam.benchmarking.flops import count_flops
    from rs2sam.benchmarking.timing import MIB, Reading, measure
    from rs2sam.benchmarking.torch_side import full_sizes, matrix_rates
    from rs2sam.processing import Processor

    (timed, operations) = matrix_rates(place.device, {precision}, lambda call: measure(call, place.seconds))[precision]  # type: ignore[arg-type]
    rate = operations / timed.least_s
    processor = Processor.from_folder(place.model)
    side = processor.config.image_size
    pictures = [np.random.default_rng(n).integers(0, 256, (side, side, 3), dtype=np.uint8) for n in range(batch)]
    images, text = [processor.images(picture) for picture in pictures], processor.sentences([PICTURE_SENTENCES[0]])
    flops = count_flops(full_sizes(place.model), text.input_ids.shape[1])["total"]
    # Filled up as the backend would, so that all three ways meet one compiled shape.
    filler = ((0, 0), (0, -text.input_ids.shape[1] % TEXT_STEP))
    ids, attend = (np.repeat(np.pad(one, filler), batch, 0) for one in (text.input_ids, text.attention_mask))
    pixels, union_pixels = (
        np.stack([getattr(one, name) for one in images]) for name in ("pixel_values", "union_pixel_values")
    )
    arrays = (pixels, union_pixels, ids, attend)
    exact = TorchBackend.from_folder(place.model, place.device).run(*arrays).low_res_logits
    backend = TorchBackend.from_folder(place.model, place.device, dtype=DTYPES[precision])  # type: ignore[index]
    assert backend.staged is not None
    backend.staged.compile(dynamic=False, mode=mode)
    backend.compiled = True  # sentences are filled up
    if not place.toy:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    logits = backend.run(*arrays).low_res_logits
    found: Found = {"precision": precision, "mode": mode, "batch": batch, "compile_s": time.perf_counter() - start}
    found["relative_difference_to_float32"] = float(np.linalg.norm(logits - exact) / np.linalg.norm(exact))
    found |= {"flops_per_image": flops, "matrix_flops_per_s": rate}
    tensors = [torch.from_numpy(array) for array in arrays]
    with torch.inference_mode():
        tensors = [tensor.to(backend.device) for tensor in tensors]

    def on_device() -> None:
        with torch.inference_mode():
            backend.staged(*tensors)  # type: ignore[misc]
        if not place.toy:
            torch.cuda.synchronize()

    ways: dict[str, Callable[[], object]] = {
        "on_device": on_device,
        "from_arrays": lambda: backend.run(*arrays),
        "from_pictures": lambda: backend.run_pictures(pictures, ids, attend, processor.config),
    }
    for name, call in ways.items():
        reading: Reading = measure(call, place.seconds, warm_up=4)
        speed = batch / reading.wall_s
        found[name] = {"wall_s": reading.wall_s, "least_s": reading.least_s, "images_per_s": speed}
        found[name]["share_of_matrix_rate"] = flops * speed / rate
        # More than one graph, any break and any skip (on a GPU) say that this is not what was meant to be measured.
        found[name]["compiler"] = {
            "graphs": counters["stats"]["unique_graphs"],
            "graph_breaks": sum(counters["graph_break"].values()),
            "cudagraph_skips": counters["inductor"]["cudagraph_skips"],
        }
        if not place.toy:
            found["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated() / MIB
        keep(found)
    return found


def agreement(place: Place, keep: Keep, mode: str | None = None) -> Found:
    """`compact` in bf16 and fp16, with `mode` its trunk compiled, beside float32 on real pictures: IoU of masks."""
    from rs2sam.backends.torch import DTYPES
    from rs2sam.backends.torch_once import TorchOnceBackend
    from rs2sam.datasets.synthetic.showcase import showcase
    from rs2sam.imaging import read_image
    from rs2sam.processing import Processor

    processor = Processor.from_folder(COMPACT)
    files = [] if place.images is None else [f for f in place.images.rglob("*") if f.suffix.lower() in PICTURE_SUFFIXES]
    if place.images is not None and not files:
        raise FileNotFoundError(f"{place.images} must hold pictures ({', '.join(PICTURE_SUFFIXES)}), but has none.")
    read = [read_image(file) for file in sorted(files)[: 2 if place.toy else MOST_PICTURES]] or [showcase().pixels()]
    text = processor.sentences(PICTURE_SENTENCES)
    found: Found = {"pictures": len(read), "real": bool(files), "sentences": PICTURE_SENTENCES, "mode": mode}
    exact: list[Any] = []
    for precision in ("float32", "fp16", "bf16"):
        backend = TorchOnceBackend.from_folder(COMPACT, place.device, dtype=DTYPES[precision])
        if mode is not None:
            backend.model.trunk.compile(dynamic=False, mode=mode)
        answers = [
            logits
            for picture in read
            for logits in backend.answer(
                backend.encode(processor.picture(picture)[None]), text.input_ids, text.attention_mask
            ).low_res_logits
        ]
        if precision == "float32":
            exact = answers
        else:
            found[precision] = overlaps(answers, exact)
            keep(found)
    return found


def overlaps(answers: list[Any], exact: list[Any]) -> Found:
    """IoU of masks that have some size, and how far probabilities are apart at most."""
    from rs2sam.processing import logits_to_mask, logits_to_probability

    ious, gaps = [], [0.0]
    for ours, theirs in zip(answers, exact, strict=True):
        both, either = logits_to_mask(ours) & logits_to_mask(theirs), logits_to_mask(ours) | logits_to_mask(theirs)
        gaps.append(float(np.abs(logits_to_probability(ours) - logits_to_probability(theirs)).max()))
        if either.sum() >= LEAST_MASK_PIXELS:
            ious.append(float(both.sum() / either.sum()))
    found: Found = {"masks": len(ious), "max_probability_difference": max(gaps)}
    return found | ({"least_iou": min(ious), "mean_iou": float(np.mean(ious))} if ious else {})


def pictures(place: Place) -> Found:
    """Resizing and normalising on the device beside Pillow: values, and images a second from uint8 to logits."""
    from rs2sam.backends.torch import DTYPES, TorchBackend
    from rs2sam.benchmarking.timing import measure
    from rs2sam.models.device_images import device_images
    from rs2sam.processing import Processor

    processor = Processor.from_folder(place.model)
    backend = TorchBackend.from_folder(place.model, place.device, dtype=DTYPES["bf16"])
    batch, side = TOY_BATCH if place.toy else BATCH, processor.config.image_size
    tiles = [np.random.default_rng(n).integers(0, 256, (side, side, 3), dtype=np.uint8) for n in range(batch)]
    text = processor.sentences(["all buildings"] * batch)

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
        "pillow_images_per_s": batch / measure(on_host, place.seconds, warm_up=3).wall_s,
        "device_images_per_s": batch / measure(on_device, place.seconds, warm_up=3).wall_s,
    }


def attention(place: Place, keep: Keep) -> Found:
    """Every shape of attention in one batch of `large` in bf16, timed in each of torch's kernels that takes it.

    `padded` is the chosen kernel where heads are filled up with zeros to a multiple of 8, the filling included: with a
    mask, no fused kernel of a GPU takes other sizes.
    """
    import torch
    from torch.nn import functional as F
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.overrides import TorchFunctionMode

    from rs2sam.backends.torch import DTYPES, TorchBackend
    from rs2sam.benchmarking.timing import measure
    from rs2sam.processing import Processor

    processor = Processor.from_folder(place.model)
    backend = TorchBackend.from_folder(place.model, place.device, dtype=DTYPES["bf16"])
    batch, side = TOY_BATCH if place.toy else BATCH, processor.config.image_size
    tiles = [np.zeros((side, side, 3), np.uint8)] * batch
    text = processor.sentences([PICTURE_SENTENCES[0]] * batch)
    calls: Counter[tuple[Any, ...]] = Counter()
    given: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    class Listening(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is F.scaled_dot_product_attention:
                mask = (kwargs or {}).get("attn_mask")
                key = (*(tuple(one.shape) for one in args[:3]), str(args[0].dtype), mask is not None)
                calls[key] += 1
                given.setdefault(key, (*args[:3], mask))
            return func(*args, **(kwargs or {}))

    with Listening():
        backend.run_pictures(tiles, text.input_ids, text.attention_mask, processor.config)
    kernels: dict[str, Any] = {
        "chosen": None,
        "padded": None,
        "flash": SDPBackend.FLASH_ATTENTION,
        "math": SDPBackend.MATH,
    }
    kernels |= {"efficient": SDPBackend.EFFICIENT_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}
    found: Found = {"batch": batch, "shapes": []}
    for key, (*tensors, mask) in given.items():
        names = ("query", "key", "value", "dtype", "has_mask")
        row: Found = {**dict(zip(names, key, strict=True)), "calls": calls[key], "ms": {}}

        def attend(filler: int, tensors: Any = tensors, mask: Any = mask) -> None:
            with torch.inference_mode():
                query, key, value = (F.pad(one, (0, filler)) for one in tensors) if filler else tensors
                F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            if not place.toy:
                torch.cuda.synchronize()

        for name, kernel in kernels.items():
            filler = -tensors[0].shape[-1] % 8 if name == "padded" else 0
            if name == "padded" and not filler:
                continue
            try:
                with warnings.catch_warnings(), nullcontext() if kernel is None else sdpa_kernel(kernel):
                    warnings.simplefilter("ignore")  # why a kernel does not take a shape
                    row["ms"][name] = 1000 * measure(partial(attend, filler), place.seconds / 10, warm_up=2).least_s
            except RuntimeError as error:
                row["ms"][name] = None
                print(f"{name} {key}: {error}", file=sys.stderr)
        found["shapes"].append(row)
        keep(found)
    return found


def loading(place: Place) -> Found:
    """Weights of `large` to the device, and the peak of the host's memory, beside reading the file."""
    import torch

    from rs2sam.benchmarking.timing import forget_peak, peak_memory_mib
    from rs2sam.models.weights.loading import WEIGHTS_FILE, load_weights

    file = place.model / WEIGHTS_FILE
    torch.zeros(1, device=place.device)
    found: Found = {"file_mib": file.stat().st_size / 2**20}
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
        found[f"{run}_host_peak_mib"] = peak_memory_mib()
        found[f"{run}_host_peak_mib_more"] = found[f"{run}_host_peak_mib"] - before
        del model
    return found


def training(place: Place, case: str, loop: str) -> Found:
    """One loop of one case of benchmarks/speed/train_step.py."""
    from benchmarks.speed.train_step import measure_here

    return measure_here("toy" if place.toy else "cuda", case, loop, 2 if place.toy else 10)
