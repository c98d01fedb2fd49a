"""What runs a model: arrays in, logits out.

A backend is anything that fits `protocol.Backend`, or `protocol.EncodingBackend` for models that encode a picture once.
Two exist of each: `onnx` (ONNX Runtime, for a model folder with its graphs) and `torch` (any model, any device; concept
models of transformers too). Neither library is imported before its backend is asked for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

from rs2sam.backends.protocol import (
    IMAGE_FILE,
    ONNX_FILE,
    SENTENCE_FILE,
    AnyBackend,
    Backend,
    BackendName,
    BackendOutput,
    EncodingBackend,
    PictureBackend,
    Precision,
)
from rs2sam.errors import InvalidInputError, require
from rs2sam.models.weights.kinds import ENCODE_ONCE_MODEL_TYPE, concept_kind, model_type

__all__ = [
    "AnyBackend",
    "Backend",
    "BackendName",
    "BackendOutput",
    "EncodingBackend",
    "PictureBackend",
    "Precision",
    "has_graphs",
    "load_backend",
]


def load_backend(
    folder: str | Path,
    name: BackendName | None = None,
    device: str | None = None,
    threads: int | None = None,
    precision: Precision | None = None,
) -> AnyBackend:
    """Load the model of a folder.

    Args:
        folder: a model folder.
        name: which backend; None: `onnx` where the folder has its graphs and neither a GPU nor half precision is asked
            for, else `torch`.
        device: `cpu`, `cuda`, `cuda:1`, `mps`; None: a GPU where torch has one, the CPU with ONNX Runtime.
        threads: CPU threads, at most one a core; None: all cores.
        precision: of weights and computation; half precision runs with `torch` alone, and is slow on most CPUs. None:
            float32, but for concept models on a CUDA device, which then compute in bfloat16 where autocast does.

    Raises:
        InvalidInputError: there is no such backend, the folder has nothing for it, or it has not this precision.
        MissingDependencyError: torch is needed and not installed; the message has the command.
    """
    folder = Path(folder)
    if name is not None and name not in get_args(BackendName):
        raise InvalidInputError(f"`backend` must be one of {', '.join(get_args(BackendName))}, received {name!r}.")
    if threads is not None and threads < 1:
        raise InvalidInputError(f"`threads` must be at least 1, received {threads}. Leave it out to use all cores.")
    if threads is not None:
        threads = min(threads, os.cpu_count() or threads)  # more would only wait for each other
    if precision is not None and precision not in get_args(Precision):
        raise InvalidInputError(f"`precision` must be one of {', '.join(get_args(Precision))}, received {precision!r}.")
    kind = concept_kind(folder)
    if kind is not None:
        return _concept_backend(folder, kind, name, device, threads, precision)
    precision = precision or "float32"
    encodes_once = model_type(folder) == ENCODE_ONCE_MODEL_TYPE
    if name is None:
        is_onnx = (device is None or device == "cpu") and precision == "float32" and has_graphs(folder)
        name = "onnx" if is_onnx else "torch"
    if name == "onnx":
        if precision != "float32":
            raise InvalidInputError(
                f"The backend `onnx` computes in float32, received `precision` {precision!r}. Use the backend `torch`."
            )
        if encodes_once:
            from rs2sam.backends.onnx_once import OnnxOnceBackend

            return OnnxOnceBackend.from_folder(folder, device=device, threads=threads)
        from rs2sam.backends.onnx import OnnxBackend

        return OnnxBackend.from_folder(folder, device=device, threads=threads)
    for library in ("torch", "transformers"):
        require(library, "torch", f"The backend `torch` for {folder}")
    from rs2sam.backends.torch import DTYPES, TorchBackend

    if encodes_once:
        from rs2sam.backends.torch_once import TorchOnceBackend

        return TorchOnceBackend.from_folder(folder, device=device, threads=threads, dtype=DTYPES[precision])
    return TorchBackend.from_folder(folder, device=device, threads=threads, dtype=DTYPES[precision])


def _concept_backend(
    folder: Path,
    kind: str,
    name: BackendName | None,
    device: str | None,
    threads: int | None,
    precision: Precision | None,
) -> Backend:
    """The torch backend of a concept model; it has no other."""
    if name == "onnx":
        raise InvalidInputError(f"The backend `onnx` has no graph for `{kind}` models, as {folder} is. Use `torch`.")
    for library in ("torch", "transformers"):
        require(library, "torch", f"The model {folder}")
    from rs2sam.backends.torch import DTYPES
    from rs2sam.backends.torch_concepts import ConceptBackend

    return ConceptBackend.from_folder(folder, device, threads, None if precision is None else DTYPES[precision])


def has_graphs(folder: Path) -> bool:
    """Whether a model folder has what the backend `onnx` runs."""
    encodes_once = model_type(folder) == ENCODE_ONCE_MODEL_TYPE
    graphs = (IMAGE_FILE, SENTENCE_FILE) if encodes_once else (ONNX_FILE,)
    return all((folder / graph).is_file() for graph in graphs)
