"""Torch: every model, every device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.utils import logging

from rs2sam.backends.protocol import GPU_BATCH_SIZE, BackendOutput, FloatArray, IntArray, Precision
from rs2sam.errors import InvalidInputError, words_of
from rs2sam.imaging import RGB
from rs2sam.models.device_images import device_images
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.sharing import one_per_sentence
from rs2sam.models.staged import FLOAT32_PARTS, StagedModel
from rs2sam.models.weights.loading import load_weights
from rs2sam.processing import ProcessingConfig

DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
TEXT_STEP = 16
"""Tokens: compiled models see sentences filled up to multiples of this."""
MOST_AT_ONCE = 32
"""Views: of 64, `large` has more windows than CUDA's attention kernels can count (65,535)."""
MOST_SHAPES = 128
"""That a model is compiled for: batches of powers of two, times lengths."""


class TorchBackend:
    """An `RS2SamModel` on a device.

    Args:
        model: the model; it is put into evaluation mode.
        device: where it is moved; None: a GPU if there is one, else the CPU.
        dtype: precision of union encoder and trunk; None: the model's own. In half precision the parts that need
            float32 keep it (`rs2sam.models.staged`).
        compiled: compile the model for static shapes, with CUDA graphs on a GPU. Batches are filled up to powers of
            two and sentences to multiples of 16 tokens, so that few shapes occur; the first of each takes minutes, and
            later processes find it in torch's cache. On a GPU it must then be called from one thread: CUDA graphs
            belong to the thread that recorded them.
    """

    name = "torch"

    def __init__(
        self,
        model: RS2SamModel,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        compiled: bool = False,
    ) -> None:
        self._device = as_device(device)
        self._model: RS2SamModel = model.eval().to(self._device)
        # Where padding has weight nothing is filled up.
        self._longest_text = model.config.max_text_tokens if model.config.mask_fusion_padding else 0
        self.batch_size = 1 if self._device.type == "cpu" else GPU_BATCH_SIZE
        self.has_presence = bool(model.config.has_presence)
        self.has_score = bool(model.config.has_score)
        self.compiled = compiled
        self.staged: StagedModel | None = None
        self._answer: Callable[..., tuple[Tensor | None, ...]] = self._whole
        if compiled or dtype in (torch.bfloat16, torch.float16):
            self.staged = StagedModel.in_precision(model, dtype or torch.float32)
            self._answer = self.staged
            if compiled:
                # CUDA graphs; "max-autotune" has them too, but tries out every kernel for minutes at each new shape.
                mode = "reduce-overhead" if self._device.type == "cuda" else "default"
                self.staged.compile(dynamic=False, mode=mode)
                self._answer = partial(_without_shape_limit, self.staged)

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        device: str | None = None,
        threads: int | None = None,
        dtype: torch.dtype = torch.float32,
        compiled: bool = False,
    ) -> TorchBackend:
        """Load a model folder.

        Args:
            folder: what `RS2SamModel.save_pretrained` writes.
            device: `cpu`, `cuda`, `cuda:1`, `mps`; None: a GPU if there is one, else the CPU.
            threads: CPU threads, a setting of the whole process in torch; None: as torch has it.
            dtype: of union encoder and trunk; half precision is slow on most CPUs.
            compiled: compile for static shapes.

        Raises:
            InvalidInputError: the device is not there.
            CheckpointError: the weights cannot be loaded.
        """
        place = as_device(device)
        if threads is not None:
            torch.set_num_threads(threads)
        is_half = dtype in (torch.bfloat16, torch.float16)
        as_stored = place.type == "cpu" and not (is_half or compiled)
        parts = FLOAT32_PARTS if is_half else ()
        return cls(load_weights(folder, dtype, place, parts, as_stored), place, dtype, compiled)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self._device

    @property
    def model(self) -> RS2SamModel:
        """The model itself."""
        return self._model

    def run(
        self,
        pixel_values: FloatArray,
        union_pixel_values: FloatArray,
        input_ids: IntArray,
        attention_mask: IntArray,
    ) -> BackendOutput:
        """Answer a batch; see `Backend.run`."""
        with torch.inference_mode():  # as tensors of `run_pictures` are: compiled code tells the two apart
            images = torch.from_numpy(pixel_values), torch.from_numpy(union_pixel_values)
        return self._run(*images, input_ids, attention_mask)

    @property
    def takes_pictures(self) -> bool:
        """Whether `run_pictures` is the faster way: on anything but a CPU, where it saves moving the larger inputs."""
        return self._device.type != "cpu"

    def run_pictures(
        self, pictures: Sequence[RGB], input_ids: IntArray, attention_mask: IntArray, config: ProcessingConfig
    ) -> BackendOutput:
        """Answer a batch of pictures that are resized and normalised on the device.

        Args:
            pictures: I arrays (H, W, 3) uint8, see `Backend.run`; one that occurs again is moved once.
            input_ids: (B, L) int64.
            attention_mask: (B, L) int64, 1 = attend.
            config: of the model's inputs.

        Raises:
            InvalidInputError: an array is no picture.
        """
        with torch.inference_mode():
            pixel_values, union_pixel_values = device_images(pictures, config, self._device)
        return self._run(pixel_values, union_pixel_values, input_ids, attention_mask)

    def _run(
        self, pixel_values: Tensor, union_pixel_values: Tensor, input_ids: IntArray, attention_mask: IntArray
    ) -> BackendOutput:
        """Answer a batch; the host waits for the device once for every 32 views, when the answers are read."""
        batch = len(input_ids)
        if batch > MOST_AT_ONCE or self.compiled:
            # A part may end between two sentences about one picture. Compiled, every number of pictures would be one
            # more shape for each number of sentences, to save 0.7 % of the work of `large`.
            pixel_values, union_pixel_values = (
                one_per_sentence(images, batch) for images in (pixel_values, union_pixel_values)
            )
        if batch > MOST_AT_ONCE:
            both = (slice(None, MOST_AT_ONCE), slice(MOST_AT_ONCE, None))
            arrays = (pixel_values, union_pixel_values, input_ids, attention_mask)
            return _joined(*(self._run(*(one[part] for one in arrays)) for part in both))  # type: ignore[arg-type]
        with torch.inference_mode():
            text = (torch.from_numpy(input_ids), torch.from_numpy(attention_mask))
            tensors: tuple[Tensor, ...] = (pixel_values, union_pixel_values, *text)
            if self.compiled:
                tensors = _filled(tensors, self._longest_text)
            moved = [tensor.to(self._device, non_blocking=self._device.type == "cuda") for tensor in tensors]
            logits, pseudo_mask, presence, scores = self._answer(*moved)
        assert logits is not None
        return BackendOutput(
            low_res_logits=as_array(logits[:batch, 0]),
            pseudo_mask=None if pseudo_mask is None else as_array(pseudo_mask[:batch, 0]),
            presence_logits=as_array(presence[:batch]) if self.has_presence and presence is not None else None,
            iou_scores=as_array(scores[:batch]) if self.has_score and scores is not None else None,
        )

    def _whole(self, pixel_values: Tensor, union_pixel_values: Tensor, *text: Tensor) -> tuple[Tensor | None, ...]:
        """The model's own forward, which wrappers around a model (a sharded one) hook into."""
        dtype = next(self._model.parameters()).dtype
        output = self._model(pixel_values.to(dtype), union_pixel_values.to(dtype), *text)
        return output.low_res_logits, output.pseudo_mask, output.presence_logits, output.iou_scores


def _without_shape_limit(call: Callable[..., Any], *tensors: Tensor) -> Any:
    """Run a compiled model; beyond torch's own limit of shapes it would run uncompiled and say so in its log alone.

    The setting is of one thread, so it is made for each call.
    """
    limit = max(torch._dynamo.config.recompile_limit, MOST_SHAPES)
    with torch._dynamo.config.patch(recompile_limit=limit):
        return call(*tensors)


def _filled(tensors: tuple[Tensor, ...], longest_text: int) -> tuple[Tensor, ...]:
    """A batch repeated up to a power of two; its sentences padded to a multiple of 16 tokens.

    Args:
        tensors: the four of `Backend.run`.
        longest_text: no sentence is padded beyond this many tokens.
    """
    batch, length = tensors[2].shape
    size = 1 << (batch - 1).bit_length()
    filler = max(0, min(-length % TEXT_STEP, longest_text - length))
    if size > batch:
        tensors = tuple(tensor[torch.arange(size, device=tensor.device) % batch] for tensor in tensors)
    pixels, union, ids, attend = tensors
    return pixels, union, F.pad(ids, (0, filler)), F.pad(attend, (0, filler))


def _joined(first: BackendOutput, second: BackendOutput) -> BackendOutput:
    """The answers to two batches as those to one."""
    answers: dict[str, Any] = {}
    for field in fields(BackendOutput):
        pair = getattr(first, field.name), getattr(second, field.name)
        answers[field.name] = None if pair[0] is None else np.concatenate(pair)
    return BackendOutput(**answers)


def load_model(
    folder: str | Path, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
) -> RS2SamModel:
    """Load a model folder, every tensor accounted for; see `rs2sam.models.weights.loading.load_weights`."""
    return load_weights(folder, dtype, device)


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


def as_array(tensor: Tensor) -> FloatArray:
    """A tensor as float32 on the CPU."""
    return np.asarray(tensor.float().cpu().numpy())


def as_device(device: str | torch.device | None) -> torch.device:
    """The device asked for, checked to be there."""
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise InvalidInputError(
            f"The device `{device}` is not there ({words_of(str(error).splitlines()[0])}). Use `cpu`, or leave it out."
        ) from error
    return place
