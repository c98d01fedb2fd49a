"""Seconds, processor seconds and peak memory of a call."""

from __future__ import annotations

import gc
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Reading:
    """Seconds of one call, read over several.

    Args:
        wall_s: median.
        least_s: the fastest.
        cpu_s: mean processor time (user and system, all threads), which other work on the machine hardly changes.
        calls: how many were read.
    """

    wall_s: float
    least_s: float
    cpu_s: float
    calls: int


def measure(call: Callable[[], object], seconds: float, warm_up: int = 1) -> Reading:
    """Time a call over and over.

    Args:
        call: what to time; on a GPU it has to wait for its own end.
        seconds: how long to go on; three calls are read at least.
        warm_up: calls before the first reading.
    """
    for _ in range(warm_up):
        call()
    walls: list[float] = []
    cpu = time.process_time()
    while len(walls) < 3 or sum(walls) < seconds:
        start = time.perf_counter()
        call()
        walls.append(time.perf_counter() - start)
    spent = (time.process_time() - cpu) / len(walls)
    return Reading(statistics.median(walls), min(walls), spent, len(walls))


def forget_peak() -> None:
    """Start a new peak of this process's memory, where the system can (Linux)."""
    gc.collect()
    try:
        _RESET.write_text("5", encoding="ascii")
    except OSError:
        return


def peak_memory_mib() -> float:
    """Peak resident memory of this process [MiB], since `forget_peak` where the system can, else since its start."""
    try:
        lines = _STATUS.read_text(encoding="utf-8", errors="replace").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        # Kibibytes on Linux, bytes on macOS.
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB
