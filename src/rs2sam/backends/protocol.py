"""What a backend is: arrays in, logits out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

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
IMAGE_FILE, SENTENCE_FILE = "image.onnx", "sentence.onnx"
"""The two graphs of a model that encodes a picture once."""
FloatArray = npt.NDArray[np.float32]

IntArray = npt.NDArray[np.int64]
GPU_BATCH_SIZE = 4
"""Sentences at once on a GPU, unless told otherwise."""
LARGEST_BATCH = 1024
"""Samples of a call, which an export may fix."""


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """What a model found of one sentence in one picture.

    Args:
        logits: (N, h, w) float32 mask logits, see `rs2sam.processing.resize_logits`.
        scores: (N,) float32 in [0, 1], how sure the model is of each.
    """

    logits: FloatArray
    scores: FloatArray


@dataclass(frozen=True, eq=False)
class BackendOutput:
    """What a model says about a batch of B sentences.

    Args:
        low_res_logits: (B, h, w) float32 mask logits at a quarter of the input's side; see `processing.resize_logits`.
        pseudo_mask: (B, g, g) float32 mask prompt in [0, 1], None where the model has none apart from its mask.
        presence_logits: (B,) float32 logit of "what the sentence names is there", None where the head is untrained.
        iou_scores: (B,) float32 predicted IoU in [0, 1], None where the head is untrained.
        known_logits: (B,) float32 logit of "the sentence names something the model was taught", None where the head is
            untrained or missing.
        objects: for each sentence the objects that were found, each with a mask and a score; None where the model tells
            none apart. Where they are given, they are the mask.
    """

    low_res_logits: FloatArray
    pseudo_mask: FloatArray | None = None
    presence_logits: FloatArray | None = None
    iou_scores: FloatArray | None = None
    known_logits: FloatArray | None = None
    objects: tuple[FoundObjects, ...] | None = None


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
        "known_logits": (output.known_logits, 1),
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
    _check_objects(output.objects, num_sentences)


def _check_objects(objects: Sequence[FoundObjects] | None, num_sentences: int) -> None:
    """As `check_output`, of the objects of each sentence."""
    if objects is None:
        return
    if len(objects) != num_sentences:
        raise CheckpointError(f"A model's `objects` must be of {num_sentences} sentences, received {len(objects)}.")
    for one in objects:
        is_array = one.logits.ndim == 3 and one.scores.shape == one.logits.shape[:1]
        if not is_array or not (np.isfinite(one.logits).all() and np.isfinite(one.scores).all()):
            raise CheckpointError(
                f"A model's `objects` must be finite masks with a score each, received {one.logits.shape} and "
                f"{one.scores.shape}. Its weights are damaged, or it overflows in half precision."
            )


class LoadedModel(Protocol):
    """What every backend says of its model."""

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


class Backend(LoadedModel, Protocol):
    """A loaded model that reads picture and sentence together."""

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
class EncodingBackend(LoadedModel, Protocol):
    """A loaded model that reads a picture once, without any sentence."""

    def encode(self, pixel_values: FloatArray) -> list[Any]:
        """What pictures leave for their sentences.

        Args:
            pixel_values: (I, 3, h, w) float32, normalised; sides multiples of 32.

        Returns:
            One encoding a picture, of a form that only this backend knows.
        """

    def answer(self, encodings: Sequence[Any], input_ids: IntArray, attention_mask: IntArray) -> BackendOutput:
        """Answer B sentences about I encoded pictures of one size.

        Args:
            encodings: of `encode`; B is a multiple of I, and sentence b is about picture b * I // B.
            input_ids: (B, L) int64.
            attention_mask: (B, L) int64, 1 = attend.
        """


AnyBackend: TypeAlias = Backend | EncodingBackend


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


@runtime_checkable
class PromptBackend(EncodingBackend, Protocol):
    """A backend that also finds what lies at points or in a box of a picture that it encoded."""

    @property
    def takes_prompts(self) -> bool:
        """Whether the model at hand has a head for them."""

    def prompt(
        self,
        encoding: Any,
        points_xy: Sequence[tuple[float, float]] = (),
        labels: Sequence[int] = (),
        box_xyxy: tuple[float, float, float, float] | None = None,
    ) -> tuple[FloatArray, float]:
        """Find one object.

        Args:
            encoding: of the picture, from `encode`.
            points_xy: in pixels of the model's input.
            labels: 1 for a point of the object, 0 for one outside it, one a point.
            box_xyxy: around the object, in pixels of the model's input.

        Returns:
            (h, w) float32 mask logits, see `BackendOutput.low_res_logits`, and the predicted IoU in [0, 1].
        """
