"""What runs a model: arrays in, logits out.

A backend is anything that fits the protocol below. Two exist: `onnx` (ONNX Runtime, for a model folder with a
`model.onnx`) and `torch` (any model, any device). Neither library is imported before its backend is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args, runtime_checkable

import numpy as np
import numpy.typing as npt

from rs2sam.errors import InvalidInputError, require

if TYPE_CHECKING:
    from rs2sam.imaging import RGB
    from rs2sam.processing import ProcessingConfig

__all__ = ["Backend", "BackendName", "BackendOutput", "PictureBackend", "Precision", "load_backend"]

BackendName = Literal["onnx", "torch"]
Precision = Literal["float32", "bf16", "fp16"]
"""Of weights and computation."""

ONNX_FILE = "model.onnx"

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

GPU_BATCH_SIZE = 4
"""Sentences at once on a GPU, unless told otherwise."""


@dataclass(frozen=True, eq=False)
class BackendOutput:
    """What a model says about a batch of B sentences.

    Args:
        low_res_logits: (B, h, w) float32 mask logits at a quarter of the input's side; see `processing.resize_logits`.
        pseudo_mask: (B, g, g) float32 mask prompt in [0, 1], None where the model has none.
        presence_logits: (B,) float32 logit of "what the sentence names is there", None where the head is untrained.
        iou_scores: (B,) float32 predicted IoU in [0, 1], None where the head is untrained.
    """

    low_res_logits: FloatArray
    pseudo_mask: FloatArray | None = None
    presence_logits: FloatArray | None = None
    iou_scores: FloatArray | None = None


class Backend(Protocol):
    """A loaded model."""

    @property
    def name(self) -> str:
        """`onnx`, `torch` or the name of a backend of your own."""

    @property
    def has_presence(self) -> bool:
        """Whether `presence_logits` is given."""

    @property
    def has_score(self) -> bool:
        """Whether `iou_scores` is given."""

    @property
    def batch_size(self) -> int:
        """Sentences that it best answers at once: one on a CPU, whose caches more activations only leave."""

    def run(
        self,
        pixel_values: FloatArray,
        union_pixel_values: FloatArray,
        input_ids: IntArray,
        attention_mask: IntArray,
    ) -> BackendOutput:
        """Answer a batch: B sentences about I pictures.

        Args:
            pixel_values: (I, 3, S, S) float32, normalised. B is a multiple of I, and sentence b is about picture
                b * I // B; `rs2sam.pictures.one_per_sentence` repeats them for a model that wants one each.
            union_pixel_values: (I, 3, s, s) float32, normalised.
            input_ids: (B, L) int64.
            attention_mask: (B, L) int64, 1 = attend.
        """


@runtime_checkable
class PictureBackend(Protocol):
    """A backend that also takes pictures as they are."""

    @property
    def takes_pictures(self) -> bool:
        """Whether that is the faster way here."""

    def run_pictures(
        self, pictures: Sequence[RGB], input_ids: IntArray, attention_mask: IntArray, config: ProcessingConfig
    ) -> BackendOutput:
        """Answer a batch.

        Args:
            pictures: I arrays (H, W, 3) uint8 of any sizes; which sentences are about which is as for `Backend.run`.
            input_ids: (B, L) int64.
            attention_mask: (B, L) int64, 1 = attend.
            config: how they become the model's inputs.
        """


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
