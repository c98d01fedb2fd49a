"""Time and memory of loading weights of `large`'s size, against reading the file.

    python -m benchmarks.speed.load                    # makes 1.9 GB of float16 in a temporary folder, and removes it
    python -m benchmarks.speed.load --dtypes float16   # of the file alone

Every figure is of a process of its own; the file is in the page cache. "used" loads and then touches every page of the
weights once, since a mapped file is read when it is used. Processor time (user and system) is what other work on the
machine hardly changes. Writes benchmarks/results/load.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.files import RESULTS, write_json
from rs2sam.benchmarking.machine import describe_machine
from rs2sam.benchmarking.timing import forget_peak, peak_memory_mib

AS_STORED = "float32-as-stored"
"""Computed in float32 with large weights in the file's half precision, as the torch backend does on a CPU."""
BLOCK = 2**24
PAGE = 4096


def write_model(folder: Path) -> Path:
    """Write a folder of `large` with weights of noise in float16; returns the weights file."""
    import torch
    from safetensors.torch import save_file

    from rs2sam.models import RS2SamConfig, RS2SamModel

    config = RS2SamConfig.preset("large")
    with torch.device("meta"):
        model = RS2SamModel(config)
    noise = torch.randn(2**20).to(torch.float16)
    tensors = {}
    for name, tensor in model.state_dict().items():
        copies = -(-tensor.numel() // noise.numel())
        tensors[name] = noise.repeat(copies)[: tensor.numel()].reshape(tensor.shape).contiguous()
    config.save_pretrained(folder)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder / "model.safetensors"


def timed(what: str, folder: Path) -> dict[str, float]:
    """Seconds and peak memory of one thing, in this process: `read`, or a dtype."""
    call = _reader(folder) if what == "read" else _loader(folder, what)
    forget_peak()
    before = peak_memory_mib()
    wall, cpu = time.perf_counter(), time.process_time()
    kept = call()
    found = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    found |= {"peak_mib": peak_memory_mib(), "before_mib": before}
    if what != "read":
        wall, cpu = time.perf_counter(), time.process_time()
        for tensor in kept.state_dict().values():
            tensor.flatten().view(_bytes())[::PAGE].sum()
        found |= {
            "used_wall_s": found["wall_s"] + time.perf_counter() - wall,
            "used_cpu_s": found["cpu_s"] + time.process_time() - cpu,
            "used_peak_mib": peak_memory_mib(),
        }
    return found


def _bytes() -> Any:
    import torch

    return torch.uint8


def _reader(folder: Path) -> Any:
    def read() -> None:
        block = bytearray(BLOCK)
        with (folder / "model.safetensors").open("rb", buffering=0) as file:
            while file.readinto(block):
                pass

    return read


def _loader(folder: Path, dtype: str) -> Any:
    import torch

    from rs2sam.models.weights.loading import load_weights

    if dtype == AS_STORED:
        return lambda: load_weights(folder, torch.float32, as_stored=True)
    return lambda: load_weights(folder, getattr(torch, dtype))


def main() -> None:
    """Generate, measure in processes of their own, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtypes", nargs="+", default=["float16", AS_STORED, "float32"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "load.json")
    parser.add_argument("--one", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(timed(arguments.one[0], Path(arguments.one[1]))))
        return
    with tempfile.TemporaryDirectory() as name:
        file = write_model(Path(name))
        found: dict[str, Any] = {}
        for what in ("read", *arguments.dtypes):
            command = [sys.executable, "-m", "benchmarks.speed.load", "--one", what, name]
            readings = [json.loads(subprocess.check_output(command)) for _ in range(arguments.runs + 1)][1:]
            found[what] = {key: statistics.median(one[key] for one in readings) for key in readings[0]}
        report = {"machine": describe_machine(), "file_mib": file.stat().st_size / 2**20, "runs": arguments.runs}
    report["seconds"] = found
    print(json.dumps(report, indent=1))
    write_json(report, arguments.out)


if __name__ == "__main__":
    main()
