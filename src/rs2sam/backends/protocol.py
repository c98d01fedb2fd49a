"""What a backend is: arrays in, logits out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

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
    """

    low_res_logits: FloatArray
    pseudo_mask: FloatArray | None = None
    presence_logits: FloatArray | None = None
    iou_scores: FloatArray | None = None
    known_logits: FloatArray | None = None


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
