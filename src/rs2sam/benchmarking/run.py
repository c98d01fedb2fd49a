"""`rs2sam benchmark`: every way to run a model that this machine has, one after the other, into one report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from rs2sam.backends import Backend, Precision, has_graphs
from rs2sam.benchmarking.flops import count_flops
from rs2sam.benchmarking.machine import describe_machine
from rs2sam.benchmarking.onnx_side import OnnxCandidate
from rs2sam.benchmarking.subject import (
    Answer,
    Candidate,
    Subject,
    agreement,
    ask,
    matrix_rate_numpy,
    model_sizes,
)
from rs2sam.benchmarking.table import REFERENCE
from rs2sam.benchmarking.timing import Reading, measure
from rs2sam.errors import InvalidInputError
from rs2sam.processing import logits_to_mask, logits_to_probability, resize_logits

_LEAST_GAIN = 1.02
_NUMPY_SIDE = 2048


@dataclass(frozen=True)
class BenchmarkOptions:
    """How to measure.

    Args:
        device: `cpu`, `cuda`, ...; None: a GPU where torch has one, else the CPU.
        precision: `float32`, `bf16` or `fp16`: also measured beside the baseline's.
        compiled: also measure torch.compile.
        threads: CPU threads; None: all cores.
        seconds: how long each figure is read.
        max_batch: largest batch that is tried.
        only: names of candidates to run; empty: all.
    """

    device: str | None = None
    precision: Precision = "float32"
    compiled: bool = False
    threads: int | None = None
    seconds: float = 2.0
    max_batch: int = 16
    only: tuple[str, ...] = ()


def run_benchmark(
    subject: Subject, options: BenchmarkOptions, show: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Measure a model.

    Args:
        subject: model, pictures and sentences.
        options: how.
        show: told what is measured next.

    Returns:
        Plain values for JSON: machine, operations, matrix rates, and of every candidate times, throughput, memory,
        share of the matrix rate (read before and after, the faster counts), and agreement with the baseline in float32
        (None where that was not measured).

    Raises:
        InvalidInputError: nothing fits the options.
    """
    torch_side = _torch_side(options.threads)
    found = _candidates(subject, options, torch_side)
    flops = None if subject.processor.reads_phrases else _flops(_sizes(subject, torch_side), subject)
    show("matrix rate")
    before = _rates(options, torch_side, found)
    reference: list[Answer] | None = None
    report: list[dict[str, Any]] = []
    for candidate in found:
        show(candidate.name)
        values, answers = _measure_candidate(candidate, subject, options, reference)
        reference = answers if candidate.name == REFERENCE else reference
        report.append(values)
    show("matrix rate once more")
    after = _rates(options, torch_side, found)
    # The machine's limit is the faster reading: a virtual machine's clock changes within minutes.
    rates = {name: {by: max(rate[by], after[name][by]) for by in rate} for name, rate in before.items()}
    for candidate, values in zip(found, report, strict=True):
        values |= _shares(values, flops, rates.get(candidate.rate))
    return {
        "machine": describe_machine(),
        "model": subject.folder.name,
        "options": asdict(options),
        "pictures": [list(picture.shape[:2]) for picture in subject.pictures],
        "sentences": list(subject.sentences),
        "num_tokens": subject.num_tokens,
        "flops_per_image": flops,
        "matrix_flops_per_s": rates,
        "around": _around(subject, options.seconds),
        "candidates": report,
    }


def _torch_side(threads: int | None) -> Any:
    """The module that knows torch, or None where torch is not installed."""
    if any(find_spec(library) is None for library in ("torch", "transformers")):
        return None
    module = import_module("rs2sam.benchmarking.torch_side")
    if threads is not None:
        module.torch.set_num_threads(threads)
    return module


def _candidates(subject: Subject, options: BenchmarkOptions, torch_side: Any) -> list[Candidate]:
    """What can be measured, the reference first."""
    found: list[Candidate] = []
    if subject.processor.reads_phrases:
        concept_side = import_module("rs2sam.benchmarking.concept_side")
        found += concept_side.candidates(subject.folder, options.device, options.precision)
    elif torch_side is not None:
        found += torch_side.candidates(subject.folder, options.device, options.precision, options.compiled)
    if options.device in (None, "cpu") and has_graphs(subject.folder):
        found.append(OnnxCandidate(subject.folder, options.threads))
    unknown = set(options.only) - {candidate.name for candidate in found}
    if unknown or not found:
        names = ", ".join(f"'{candidate.name}'" for candidate in found) or "none: it has no graph, and torch is missing"
        raise InvalidInputError(
            f"There is no candidate {sorted(unknown) or 'at all'} for {subject.folder} here; there are {names}."
        )
    return [candidate for candidate in found if not options.only or candidate.name in options.only]


def _measure_candidate(
    candidate: Candidate, subject: Subject, options: BenchmarkOptions, reference: list[Answer] | None
) -> tuple[dict[str, Any], list[Answer]]:
    """All figures of one candidate, and its answers."""
    candidate.forget_peak()
    start, cpu = time.perf_counter(), time.process_time()
    backend = candidate.load()
    load = {"wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
    arrays = subject.arrays()
    start = time.perf_counter()
    backend.run(*arrays)
    first_s = time.perf_counter() - start
    latency = measure(lambda: backend.run(*arrays), options.seconds, candidate.warm_up)
    stages = {name: asdict(measure(call, options.seconds)) for name, call in candidate.stages(arrays).items()}
    peak_one = candidate.peak_memory_mib()
    batches = _throughput(backend, subject, options, candidate.warm_up)
    peak_all = candidate.peak_memory_mib()
    answers = ask(backend, subject)
    values = {
        "name": candidate.name,
        "what": candidate.what,
        "load": load,
        "first_run_s": first_s,
        "latency": asdict(latency),
        "stages": stages,
        "batches": batches,
        "best_batch": max(batches, key=lambda batch: float(batch["images_per_s"])),
        "peak_memory_mib": {"batch_1": peak_one, "all_batches": peak_all},
        "agreement": None if reference is None else agreement(answers, reference),
        "attention_kernels": candidate.attention_kernels(arrays),
    }
    candidate.unload()
    return values, answers


def _throughput(backend: Backend, subject: Subject, options: BenchmarkOptions, warm_up: int) -> list[dict[str, Any]]:
    """Images a second at growing batches, until that stops growing or the next is too large."""
    found: list[dict[str, Any]] = []
    batch = 1
    while batch <= options.max_batch:
        arrays = subject.arrays(batch=batch)
        try:
            reading = measure(lambda arrays=arrays: backend.run(*arrays), options.seconds, warm_up)  # type: ignore[misc]
        except (MemoryError, RuntimeError) as error:  # memory, or more windows than a kernel of the baseline counts
            if not found:
                raise
            found[-1]["twice_as_many"] = f"{type(error).__name__}: {error}".partition("\n")[0]
            break
        best = max((one["images_per_s"] for one in found), default=0.0)
        found.append({"batch": batch, "images_per_s": batch / reading.wall_s, "cpu_s_per_image": reading.cpu_s / batch})
        if batch > 1 and found[-1]["images_per_s"] < _LEAST_GAIN * best:
            break
        batch *= 2
    return found


def _rates(options: BenchmarkOptions, torch_side: Any, found: Sequence[Candidate]) -> dict[str, dict[str, float]]:
    """Operations a second of a plain matrix product, by precision: by the clock and by processor time."""

    def read(call: Callable[[], object]) -> Reading:
        return measure(call, options.seconds)

    if torch_side is None:
        readings = {"float32": (matrix_rate_numpy(read, _NUMPY_SIDE), 2.0 * _NUMPY_SIDE**3)}
    else:
        readings = torch_side.matrix_rates(options.device, {candidate.rate for candidate in found}, read)
    return {
        name: {"wall": operations / reading.least_s, "cpu": operations / max(reading.cpu_s, 1e-9)}
        for name, (reading, operations) in readings.items()
    }


def _shares(values: dict[str, Any], flops: dict[str, float] | None, rate: dict[str, float] | None) -> dict[str, Any]:
    """Achieved operations a second, as they are and as a share of the matrix rate."""
    if flops is None or rate is None:
        return {"flops_per_s": None, "share_of_matrix_rate": None, "share_by_cpu_time": None}
    best = values["best_batch"]
    achieved = flops["total"] * best["images_per_s"]
    return {
        "flops_per_s": achieved,
        "share_of_matrix_rate": achieved / rate["wall"],
        "share_by_cpu_time": flops["total"] / max(best["cpu_s_per_image"], 1e-9) / rate["cpu"],
    }


def _sizes(subject: Subject, torch_side: Any) -> dict[str, Any]:
    """The sizes of a model, with those that its config.json leaves out where torch, which knows them, is there."""
    sizes: dict[str, Any] = torch_side.full_sizes(subject.folder) if torch_side else model_sizes(subject.folder)
    return sizes


def _flops(sizes: dict[str, Any], subject: Subject) -> dict[str, float] | None:
    """Operations by stage; None for a model that encodes pictures once, or where sizes are left out of config.json.

    (Defaults are left out there, and only torch's side knows them.)
    """
    try:
        return count_flops(sizes, subject.num_tokens)
    except KeyError:
        return None


def _around(subject: Subject, seconds: float) -> dict[str, Any]:
    """What stands before and after the model: reading the inputs of one picture, making mask and probability."""
    picture, processor = subject.pictures[0], subject.processor
    prepare = processor.picture if processor.config.keeps_aspect else processor.images
    height, width = (side // 4 for side in processor.config.input_hw((picture.shape[0], picture.shape[1])))
    logits = np.random.default_rng(0).standard_normal((height, width), dtype=np.float32)

    def before() -> None:
        prepare(picture)
        processor.sentences([subject.sentences[0]])

    def after() -> None:
        full = resize_logits(logits, (picture.shape[0], picture.shape[1]))
        logits_to_mask(full)
        logits_to_probability(full)

    return {"preprocess": asdict(measure(before, seconds)), "postprocess": asdict(measure(after, seconds))}
