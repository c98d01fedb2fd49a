"""The ONNX Runtime backend as something to benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rs2sam.backends import Backend, load_backend
from rs2sam.benchmarking import timing
from rs2sam.benchmarking.subject import Arrays


class OnnxCandidate:
    """ONNX Runtime in float32 on the CPU.

    Args:
        folder: a model folder with a graph.
        threads: CPU threads; None: all cores.
    """

    name = "onnx"
    what = "ONNX Runtime, float32, CPU: the base install"
    rate = "float32"
    warm_up = 1

    def __init__(self, folder: Path, threads: int | None) -> None:
        self._folder, self._threads = folder, threads

    def load(self) -> Backend:
        """Make the session."""
        return load_backend(self._folder, "onnx", "cpu", self._threads)

    def stages(self, arrays: Arrays) -> dict[str, Callable[[], object]]:
        """None: the graph is one."""
        return {}

    def attention_kernels(self, arrays: Arrays) -> dict[str, int]:
        """None are seen."""
        return {}

    def forget_peak(self) -> None:
        """Start a new peak of the process."""
        timing.forget_peak()

    def peak_memory_mib(self) -> float:
        """Of the process."""
        return timing.peak_memory_mib()

    def unload(self) -> None:
        """Nothing is held here."""
