"""Concept models as things to benchmark: transformers' own classes in float32, and under autocast.

Their operations are not counted: their sizes are other projects' own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from rs2sam.backends import Backend, Precision
from rs2sam.backends.torch import DTYPES
from rs2sam.backends.torch_concepts import ConceptBackend
from rs2sam.benchmarking.subject import Arrays
from rs2sam.benchmarking.torch_side import OnDevice


@dataclass
class ConceptCandidate(OnDevice):
    """A way to run a concept model.

    Args:
        folder: a model folder.
        device: `cpu`, `cuda`, ...
        precision: `float32`, or that of autocast.
    """

    folder: Path
    device: torch.device
    precision: Precision = "float32"
    warm_up = 1

    def __post_init__(self) -> None:
        self._backend: ConceptBackend | None = None

    @property
    def name(self) -> str:
        """E.g. `torch autocast bf16`; the one in float32 is what others are compared with."""
        return f"torch {'plain' if self.precision == 'float32' else 'autocast'} {self.precision}"

    @property
    def what(self) -> str:
        """One line."""
        return f"transformers' own classes; {self.precision} on {self.device}"

    @property
    def rate(self) -> str:
        """The rate of its own precision."""
        return self.precision

    def load(self) -> Backend:
        """Load the model onto the device."""
        self._backend = ConceptBackend.from_folder(self.folder, str(self.device), dtype=DTYPES[self.precision])
        return self._backend

    def stages(self, arrays: Arrays) -> dict[str, Callable[[], object]]:
        """The image, and a phrase about it; a phrase that was read before is not read again."""
        assert self._backend is not None
        backend, (pixels, _, ids, attend) = self._backend, arrays
        encodings = backend.encode(pixels)
        return {
            "image": self._waited(lambda: backend.encode(pixels)),
            "phrase": lambda: backend.answer(encodings, ids, attend),
        }

    def attention_kernels(self, arrays: Arrays) -> dict[str, int]:
        """Not looked at."""
        return {}

    def unload(self) -> None:
        """Free the model."""
        self._backend = None
        self.release()

    def _waited(self, call: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            call()
            self.wait()

        return run


def candidates(folder: Path, device: str | None, precision: Precision) -> list[ConceptCandidate]:
    """float32, and what was asked for beside it; on a CUDA device bfloat16, which is the default there."""
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    other: Precision = "bf16" if precision == "float32" and place.type == "cuda" else precision
    return [ConceptCandidate(folder, place, one) for one in dict.fromkeys(("float32", other))]
