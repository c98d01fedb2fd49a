"""ONNX Runtime for models that encode a picture once: one graph for the picture, one for its sentences.

Both read their large tensors from the folder's `model.safetensors`, so the folder has to stay together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rs2sam.backends.onnx import ANSWERS, MAPS, TEXT, Arrays, check_signature, open_session, run_session
from rs2sam.backends.protocol import (
    GPU_BATCH_SIZE,
    IMAGE_FILE,
    SENTENCE_FILE,
    BackendOutput,
    FloatArray,
    IntArray,
)
from rs2sam.errors import InvalidInputError
from rs2sam.pictures import sentences_per_picture

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Encoding = dict[str, FloatArray]
"""What a picture leaves for its sentences, by name: outputs of one graph that are inputs of the other."""


_PICTURE: Arrays = {"pixel_values": MAPS}
_ENCODED: Arrays = dict.fromkeys(("fine", "middle", "coarse", "cells", "detail"), MAPS)
_NEEDED = {"fine", "cells"}
"""What every such model leaves of a picture; the rest is read by a decoder."""


class OnnxOnceBackend:
    """`image.onnx` and `sentence.onnx` in sessions of ONNX Runtime; an `EncodingBackend`.

    Args:
        image: takes `pixel_values` (1, 3, h, w).
        sentence: takes what `image` gives, `input_ids` and `attention_mask`; outputs are named as the fields of
            `BackendOutput`.
    """

    name = "onnx"

    def __init__(self, image: InferenceSession, sentence: InferenceSession) -> None:
        self._image, self._sentence = image, sentence
        outputs = {output.name for output in sentence.get_outputs()}
        self.batch_size = 1 if sentence.get_providers() == ["CPUExecutionProvider"] else GPU_BATCH_SIZE
        self.has_presence = "presence_logits" in outputs
        self.has_score = "iou_scores" in outputs

    @classmethod
    def from_folder(cls, folder: str | Path, device: str | None = None, threads: int | None = None) -> OnnxOnceBackend:
        """Load the graphs of a model folder.

        Args:
            folder: a model folder.
            device: `cpu` or `cuda` (with onnxruntime-gpu); None: the CPU.
            threads: CPU threads of one run; None: all cores.

        Raises:
            InvalidInputError: the folder lacks a graph, or the device is not there.
            CheckpointError: a graph is damaged, or the weights beside it are missing.
        """
        files = [Path(folder) / name for name in (IMAGE_FILE, SENTENCE_FILE)]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise InvalidInputError(
                f"The backend `onnx` needs {IMAGE_FILE} and {SENTENCE_FILE}, but {folder} lacks {', '.join(missing)}. "
                f"Use the backend `torch`, or export them with: python -m rs2sam.export.onnx_export {folder}"
            )
        image, sentence = (open_session(file, device, threads) for file in files)
        check_signature(image, files[0], (_PICTURE, set(_PICTURE)), (_ENCODED, _NEEDED))
        encoded: Arrays = {output.name: MAPS for output in image.get_outputs()}
        taken = {**encoded, **TEXT}
        check_signature(sentence, files[1], (taken, set(taken)), (ANSWERS, {"low_res_logits"}))
        return cls(image, sentence)

    def encode(self, pixel_values: FloatArray) -> list[Encoding]:
        """Encode pictures, one after another; see `EncodingBackend.encode`."""
        pictures = np.split(pixel_values, len(pixel_values))
        return [run_session(self._image, IMAGE_FILE, {"pixel_values": one}) for one in pictures]

    def answer(self, encodings: Sequence[Encoding], input_ids: IntArray, attention_mask: IntArray) -> BackendOutput:
        """Answer sentences, those about one picture at once; see `EncodingBackend.answer`."""
        count = sentences_per_picture(len(encodings), len(input_ids))
        answers = []
        for index, encoding in enumerate(encodings):
            rows = slice(index * count, (index + 1) * count)
            text = {"input_ids": input_ids[rows], "attention_mask": attention_mask[rows]}
            answers.append(BackendOutput(**run_session(self._sentence, SENTENCE_FILE, {**encoding, **text})))
        return joined(answers)


def joined(answers: Sequence[BackendOutput]) -> BackendOutput:
    """The answers to several batches as those to one."""
    if len(answers) == 1:
        return answers[0]
    values: dict[str, Any] = {}
    for field in fields(BackendOutput):
        parts = [getattr(answer, field.name) for answer in answers]
        values[field.name] = None if parts[0] is None else np.concatenate(parts)
    return BackendOutput(**values)
