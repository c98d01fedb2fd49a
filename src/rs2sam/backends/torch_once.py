"""Torch for models that encode a picture once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rs2sam.backends.protocol import GPU_BATCH_SIZE, BackendOutput, FloatArray, IntArray
from rs2sam.backends.torch import as_array, as_device
from rs2sam.models.encode_once.model import Agreement, EncodeOnceModel, EncodeOnceOutput, ImageEncoding
from rs2sam.models.weights.loading import load_encode_once


class TorchOnceBackend:
    """An `EncodeOnceModel` on a device; an `EncodingBackend`.

    Args:
        model: the model, in float32; it is put into evaluation mode.
        device: where it is moved; None: a GPU if there is one, else the CPU.
        dtype: precision in which trunk, pyramid and union encoder compute, under autocast; the fusions and the decoder,
            which make the logits that a threshold cuts, stay in float32.
    """

    name = "torch"

    def __init__(
        self,
        model: EncodeOnceModel,
        device: str | torch.device | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._device = as_device(device)
        self._model: EncodeOnceModel = model.eval().to(self._device)
        self._dtype = dtype
        self.batch_size = 1 if self._device.type == "cpu" else GPU_BATCH_SIZE
        self.has_presence, self.has_score = bool(model.config.has_presence), bool(model.config.has_score)

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        device: str | None = None,
        threads: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> TorchOnceBackend:
        """Load a model folder.

        Args:
            folder: what `EncodeOnceModel.save_pretrained` writes.
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
        model = load_encode_once(folder, torch.float32, place)
        model.fold()  # once, and not in every call
        return cls(model, place, dtype)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self._device

    @property
    def model(self) -> EncodeOnceModel:
        """The model itself."""
        return self._model

    def encode(self, pixel_values: FloatArray) -> list[ImageEncoding]:
        """Encode pictures together; see `EncodingBackend.encode`."""
        with torch.inference_mode(), self._precision():
            encoding = self._model.encode(torch.from_numpy(pixel_values).to(self._device))
        return [encoding.each(itemgetter(slice(row, row + 1))) for row in range(len(pixel_values))]

    def answer(
        self, encodings: Sequence[ImageEncoding], input_ids: IntArray, attention_mask: IntArray
    ) -> BackendOutput:
        """Answer sentences together; see `EncodingBackend.answer`."""
        with torch.inference_mode():
            encoding = encodings[0]
            if len(encodings) > 1:
                parts = [one.given() for one in encodings]
                encoding = ImageEncoding(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})
            text = (torch.from_numpy(array).to(self._device) for array in (input_ids, attention_mask))
            found = self._answer(encoding, *text)
        return _arrays(found)

    def _answer(self, encoding: ImageEncoding, input_ids: Tensor, attention_mask: Tensor) -> EncodeOnceOutput:
        """As `EncodeOnceModel.answer`, its last steps in float32."""
        if self._dtype == torch.float32:
            return self._model.answer(encoding, input_ids, attention_mask)
        with self._precision():
            sentence = self._model.read(input_ids, attention_mask)
            agreement = self._model.agree(encoding, sentence)
        return self._model.conclude(
            encoding.each(Tensor.float),
            sentence._replace(text=sentence.text.float(), pooled=sentence.pooled.float()),
            Agreement(*(part.float() for part in agreement)),
        )

    def _precision(self) -> AbstractContextManager[Any]:
        """Autocast, where it is half precision."""
        if self._dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self._device.type, dtype=self._dtype)


def _arrays(output: EncodeOnceOutput) -> BackendOutput:
    """What a model says as float32 on the CPU."""
    logits = output.low_res_logits
    assert logits is not None
    names = ("presence_logits", "iou_scores", "known_logits")
    presence, scores, known = (
        None if values is None else as_array(values) for values in (getattr(output, name) for name in names)
    )
    return BackendOutput(as_array(logits[:, 0]), presence_logits=presence, iou_scores=scores, known_logits=known)
