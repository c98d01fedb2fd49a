"""What a backend is: arrays in, logits out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rs2sam.errors import CheckpointError

if TYPE_CHECKING:
    from rs2sam.imaging import RGB
    from rs2sam.processing import ProcessingConfig

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


def check_output(output: BackendOutput, num_sentences: int) -> None:
    """Refuse what is no answer: other shapes, or values that are not finite, which would read as "nothing found".

    Args:
        output: what a backend gave.
        num_sentences: that it was asked about.

    Raises:
        CheckpointError: an array has another shape or type, or holds NaN or infinity.
    """
    arrays = {
        "low_res_logits": (output.low_res_logits, 3),
        "presence_logits": (output.presence_logits, 1),
        "iou_scores": (output.iou_scores, 1),
    }
    for name, (array, num_axes) in arrays.items():
        if array is None and num_axes == 1:
            continue
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.ndim != num_axes or not array.size:
            kind = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise CheckpointError(
                f"A model's `{name}` must be floats of {num_axes} axes, received {kind}. The weights are of another "
                "model; copy the model folder again."
            )
        if len(array) != num_sentences:
            raise CheckpointError(
                f"A model's `{name}` must be of {num_sentences} sentences, received {len(array)}. The weights are of "
                "another model; copy the model folder again."
            )
        if not np.isfinite(array).all():
            raise CheckpointError(
                f"A model's `{name}` must be finite, but it computed NaN or infinity. Its weights or its "
                "preprocessor_config.json are damaged, or it overflows in half precision: copy the model folder "
                "again, or use the precision float32."
            )


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
