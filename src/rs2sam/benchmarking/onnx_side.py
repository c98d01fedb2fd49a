"""The ONNX Runtime backend as something to benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rs2sam.backends import Backend, load_backend
from rs2sam.benchmarking import timing
from rs2sam.benchmarking.subject import Arrays, EncodeAndAnswer, in_one_call


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
        self._backend: Backend | None = None

    def load(self) -> Backend:
        """Make the session, or both."""
        self._backend = in_one_call(load_backend(self._folder, "onnx", "cpu", self._threads))
        return self._backend

    def stages(self, arrays: Arrays) -> dict[str, Callable[[], object]]:
        """Those of two graphs; none where the graph is one."""
        return self._backend.stages(arrays) if isinstance(self._backend, EncodeAndAnswer) else {}

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
        """Let the sessions go."""
        self._backend = None
