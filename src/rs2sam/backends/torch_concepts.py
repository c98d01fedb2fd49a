"""Torch for concept models: pictures encoded once, phrases read once, objects with scores."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rs2sam.backends.protocol import GPU_BATCH_SIZE, BackendOutput, FloatArray, FoundObjects, IntArray
from rs2sam.backends.torch import as_array, as_device
from rs2sam.errors import InvalidInputError
from rs2sam.models.concepts.answer import ConceptAnswer
from rs2sam.models.concepts.loading import load_concepts

MOST_PHRASES_KEPT = 256


class ConceptBackend:
    """A concept model on a device; an `EncodingBackend`.

    Args:
        concepts: the model.
        device: where it is.
        dtype: precision in which it computes, under autocast; None: bfloat16 on a CUDA device, float32 elsewhere.
    """

    name = "torch"

    def __init__(self, concepts: Any, device: torch.device, dtype: torch.dtype | None = None) -> None:
        self._concepts = concepts
        self._device = device
        self._dtype = dtype or (torch.bfloat16 if device.type == "cuda" else torch.float32)
        self._phrases: dict[bytes, Tensor] = {}
        self.batch_size = 1 if device.type == "cpu" else GPU_BATCH_SIZE
        self.has_presence, self.has_score = concepts.has_presence, concepts.has_score

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        device: str | None = None,
        threads: int | None = None,
        dtype: torch.dtype | None = None,
    ) -> ConceptBackend:
        """Load a folder of transformers.

        Args:
            folder: of a model of type `sam3`, `sam3_video` or `clipseg`.
            device: `cpu`, `cuda`, `cuda:1`, `mps`; None: a GPU if there is one, else the CPU.
            threads: CPU threads, a setting of the whole process in torch; None: as torch has it.
            dtype: see the class.

        Raises:
            InvalidInputError: the device is not there.
            CheckpointError: the weights cannot be loaded.
        """
        place = as_device(device)
        if threads is not None:
            torch.set_num_threads(threads)
        return cls(load_concepts(folder, place), place, dtype)

    @property
    def takes_prompts(self) -> bool:
        """Whether `prompt` answers: SAM 3 with its tracker."""
        return bool(self._concepts.takes_prompts)

    def encode(self, pixel_values: FloatArray) -> list[Any]:
        """Encode pictures together; see `EncodingBackend.encode`."""
        with torch.inference_mode(), self._precision():
            found: list[Any] = self._concepts.encode(torch.from_numpy(pixel_values).to(self._device))
        return found

    def answer(self, encodings: Sequence[Any], input_ids: IntArray, attention_mask: IntArray) -> BackendOutput:
        """Find what B phrases name in I pictures; see `EncodingBackend.answer`."""
        with torch.inference_mode(), self._precision():
            phrases = self._read(input_ids, attention_mask)
            mask = torch.from_numpy(attention_mask).to(self._device)
            return _arrays(self._concepts.answer(encodings, phrases, mask))

    def run(
        self,
        pixel_values: FloatArray,
        union_pixel_values: FloatArray,
        input_ids: IntArray,
        attention_mask: IntArray,
    ) -> BackendOutput:
        """Encode and answer at once; see `Backend.run`."""
        return self.answer(self.encode(pixel_values), input_ids, attention_mask)

    def prompt(
        self,
        encoding: Any,
        points_xy: Sequence[tuple[float, float]] = (),
        labels: Sequence[int] = (),
        box_xyxy: tuple[float, float, float, float] | None = None,
    ) -> tuple[FloatArray, float]:
        """What lies at points or in a box of a picture.

        Args:
            encoding: of the picture, from `encode`.
            points_xy: in pixels of the model's input.
            labels: 1 for a point of the object, 0 for one outside it, one a point.
            box_xyxy: around the object, in pixels of the model's input.

        Returns:
            (h, w) float32 mask logits, see `BackendOutput.low_res_logits`, and the predicted IoU in [0, 1].

        Raises:
            InvalidInputError: the model takes neither points nor boxes, or none is given.
        """
        if not self.takes_prompts:
            raise InvalidInputError(
                "Points and boxes need a model with a head for them, as `sam3` (a folder of type sam3_video) has. "
                "This one reads phrases alone."
            )
        if len(points_xy) != len(labels) or not (len(points_xy) or box_xyxy):
            raise InvalidInputError(
                f"A prompt is points with a label each, or a box; received {len(points_xy)} points, {len(labels)} "
                f"labels and {'a' if box_xyxy else 'no'} box."
            )
        with torch.inference_mode(), self._precision():
            points = torch.tensor(points_xy, dtype=torch.float32, device=self._device).reshape(-1, 2)
            marks = torch.tensor(labels, dtype=torch.int32, device=self._device)
            box = None if box_xyxy is None else torch.tensor(box_xyxy, dtype=torch.float32, device=self._device)
            logits, score = self._concepts.prompt(encoding, points, marks, box)
        return _as_ours(logits), float(score)

    def _read(self, input_ids: IntArray, attention_mask: IntArray) -> Tensor:
        """What phrases are to the model; tiles of a scene ask the same few again and again."""
        keys = [ids.tobytes() for ids in input_ids]
        new = [row for row, key in enumerate(keys) if key not in self._phrases and key not in keys[:row]]
        if new:
            if len(self._phrases) + len(new) > MOST_PHRASES_KEPT:
                self._phrases.clear()
                new = [row for row, key in enumerate(keys) if key not in keys[:row]]
            arrays = (torch.from_numpy(array[new]).to(self._device) for array in (input_ids, attention_mask))
            for row, features in zip(new, self._concepts.read(*arrays), strict=True):
                self._phrases[keys[row]] = features
        return torch.stack([self._phrases[key] for key in keys])

    def _precision(self) -> AbstractContextManager[Any]:
        """Autocast, where it is half precision."""
        if self._dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self._device.type, dtype=self._dtype)


def _arrays(answer: ConceptAnswer) -> BackendOutput:
    """What a model says as float32 on the CPU."""
    objects = None
    if answer.objects is not None:
        objects = tuple(FoundObjects(_as_ours(masks), as_array(scores)) for masks, scores in answer.objects)
    return BackendOutput(
        low_res_logits=_as_ours(answer.logits),
        presence_logits=None if answer.presence_logits is None else as_array(answer.presence_logits),
        iou_scores=None if answer.scores is None else as_array(answer.scores),
        objects=objects,
    )


def _as_ours(logits: Tensor) -> FloatArray:
    """Logits x of this project, whose probability is sigmoid(2x - 1), of those whose probability is sigmoid(z)."""
    return np.asarray((as_array(logits) + np.float32(1)) / np.float32(2))
