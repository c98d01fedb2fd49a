"""What runs a model: arrays in, logits out.

A backend is anything that fits `protocol.Backend`. Two exist: `onnx` (ONNX Runtime, for a model folder with a
`model.onnx`) and `torch` (any model, any device). Neither library is imported before its backend is asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from rs2sam.backends.protocol import ONNX_FILE, Backend, BackendName, BackendOutput, PictureBackend, Precision
from rs2sam.errors import InvalidInputError, require

__all__ = ["Backend", "BackendName", "BackendOutput", "PictureBackend", "Precision", "load_backend"]


def load_backend(
    folder: str | Path,
    name: BackendName | None = None,
    device: str | None = None,
    threads: int | None = None,
    precision: Precision = "float32",
) -> Backend:
    """Load the model of a folder.

    Args:
        folder: a model folder.
        name: which backend; None: `onnx` where the folder has a `model.onnx` and neither a GPU nor half precision is
            asked for, else `torch`.
        device: `cpu`, `cuda`, `cuda:1`, `mps`; None: a GPU where torch has one, the CPU with ONNX Runtime.
        threads: CPU threads; None: all cores.
        precision: of weights and computation; half precision runs with `torch` alone, and is slow on most CPUs.

    Raises:
        InvalidInputError: there is no such backend, the folder has nothing for it, or it has not this precision.
        MissingDependencyError: torch is needed and not installed; the message has the command.
    """
    folder = Path(folder)
    if name is not None and name not in get_args(BackendName):
        raise InvalidInputError(f"`backend` must be one of {', '.join(get_args(BackendName))}, received {name!r}.")
    if threads is not None and threads < 1:
        raise InvalidInputError(f"`threads` must be at least 1, received {threads}. Leave it out to use all cores.")
    if precision not in get_args(Precision):
        raise InvalidInputError(f"`precision` must be one of {', '.join(get_args(Precision))}, received {precision!r}.")
    if name is None:
        is_onnx = (device is None or device == "cpu") and precision == "float32" and (folder / ONNX_FILE).is_file()
        name = "onnx" if is_onnx else "torch"
    if name == "onnx":
        if precision != "float32":
            raise InvalidInputError(
                f"The backend `onnx` computes in float32, received `precision` {precision!r}. Use the backend `torch`."
            )
        from rs2sam.backends.onnx import OnnxBackend

        return OnnxBackend.from_folder(folder, device=device, threads=threads)
    return _torch_backend(folder, device, threads, precision)


def _torch_backend(folder: Path, device: str | None, threads: int | None, precision: Precision) -> Backend:
    """The torch backend, or the command that installs what it needs."""
    for library in ("torch", "transformers"):
        require(library, "torch", f"The backend `torch` for {folder}")
    from rs2sam.backends.torch import DTYPES, TorchBackend

    return TorchBackend.from_folder(folder, device=device, threads=threads, dtype=DTYPES[precision])
