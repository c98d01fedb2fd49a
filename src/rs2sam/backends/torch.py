"""Torch: every model, every device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers.utils import logging

from rs2sam.backends import BackendOutput, FloatArray, IntArray
from rs2sam.errors import CheckpointError, InvalidInputError
from rs2sam.models.rs2sam import RS2SamModel


class TorchBackend:
    """An `RS2SamModel` on a device.

    Args:
        model: the model; it is put into evaluation mode.
        device: where it is moved; None: a GPU if there is one, else the CPU.
    """

    name = "torch"

    def __init__(self, model: RS2SamModel, device: str | torch.device | None = None) -> None:
        self._device = _device(device)
        self._model = model.eval().to(self._device)
        self._dtype = next(model.parameters()).dtype
        self.has_presence = bool(model.config.has_presence)
        self.has_score = bool(model.config.has_score)

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        device: str | None = None,
        threads: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> TorchBackend:
        """Load a model folder.

        Args:
            folder: what `RS2SamModel.save_pretrained` writes.
            device: `cpu`, `cuda`, `cuda:1`, `mps`; None: a GPU if there is one, else the CPU.
            threads: CPU threads, a setting of the whole process in torch; None: as torch has it.
            dtype: of weights and computation; half precision is slow on most CPUs.

        Raises:
            InvalidInputError: the device is not there.
            CheckpointError: the weights cannot be loaded.
        """
        place = _device(device)
        if threads is not None:
            torch.set_num_threads(threads)
        return cls(load_model(folder, dtype), place)

    def run(
        self,
        pixel_values: FloatArray,
        union_pixel_values: FloatArray,
        input_ids: IntArray,
        attention_mask: IntArray,
    ) -> BackendOutput:
        """Answer a batch; see `Backend.run`."""
        with torch.inference_mode():
            output = self._model(
                pixel_values=torch.from_numpy(pixel_values).to(self._device, self._dtype),
                union_pixel_values=torch.from_numpy(union_pixel_values).to(self._device, self._dtype),
                input_ids=torch.from_numpy(input_ids).to(self._device),
                attention_mask=torch.from_numpy(attention_mask).to(self._device),
            )
        return BackendOutput(
            low_res_logits=_array(output.low_res_logits[:, 0]),
            pseudo_mask=None if output.pseudo_mask is None else _array(output.pseudo_mask[:, 0]),
            presence_logits=None if output.presence_logits is None else _array(output.presence_logits),
            iou_scores=None if output.iou_scores is None else _array(output.iou_scores),
        )


def load_model(folder: str | Path, dtype: torch.dtype = torch.float32) -> RS2SamModel:
    """Load a model folder, every tensor accounted for.

    Args:
        folder: what `RS2SamModel.save_pretrained` writes.
        dtype: of the loaded weights.

    Raises:
        CheckpointError: the weights cannot be read, or some are missing, left over or of other shapes.
    """
    try:
        with no_progress_bars():
            model, report = RS2SamModel.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise CheckpointError(
            f"The weights in {folder} cannot be loaded: {error}. Write the folder again with `rs2sam convert`."
        ) from error
    # transformers fills what is missing with random numbers and goes on.
    wrong = {kind: sorted(map(str, names)) for kind, names in report.items() if names}
    if wrong:
        details = "; ".join(f"{kind}: {', '.join(names[:5])} ({len(names)})" for kind, names in wrong.items())
        raise CheckpointError(
            f"The weights in {folder} do not fit its config.json: {details}. "
            "Write the folder again with `rs2sam convert`."
        )
    return cast("RS2SamModel", model)


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Without transformers' bars for files that it reads and writes, which appear whether anyone watches or not."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _array(tensor: Tensor) -> FloatArray:
    """A tensor as float32 on the CPU."""
    return np.asarray(tensor.float().cpu().numpy())


def _device(device: str | torch.device | None) -> torch.device:
    """The device asked for, checked to be there."""
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise InvalidInputError(
            f"The device `{device}` is not there ({str(error).splitlines()[0]}). Use `cpu`, or leave it out."
        ) from error
    return place
