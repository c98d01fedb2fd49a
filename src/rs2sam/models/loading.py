"""Weights from safetensors files straight to their device and dtype.

Where the file has the dtype asked for, tensors on a CPU are the mapped file itself: nothing is copied, and a page is
read when it is first used. Otherwise one tensor after the other is converted, so the peak of memory is the converted
weights and a few hundred megabytes of the file, whatever its size.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers.initialization import no_init_weights

from rs2sam.errors import CheckpointError
from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.rs2sam import RS2SamModel

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

_MAPPED_AT_ONCE = 2**28
"""Bytes of a file whose pages are held at once while they are converted; a quarter gigabyte."""


def load_weights(
    folder: str | Path,
    dtype: torch.dtype,
    device: str | torch.device = "cpu",
    float32_parts: Collection[str] = (),
) -> RS2SamModel:
    """Build the model of a folder around its stored tensors, every one accounted for.

    Args:
        folder: what `RS2SamModel.save_pretrained` writes.
        dtype: of the floating-point weights.
        device: where they are put.
        float32_parts: names of the model's own parts that are float32 whatever `dtype` says.

    Returns:
        The model in evaluation mode. On a CPU its weights may be the mapped file: writing to them changes memory only,
        never the file.

    Raises:
        CheckpointError: the weights cannot be read, or some are missing, left over or of other shapes.
    """
    folder = Path(folder)
    try:
        config = RS2SamConfig.from_pretrained(folder)
        with torch.device("meta"), no_init_weights():
            model = RS2SamModel(config)
        tensors = dict(_tensors(weight_files(folder), dtype, torch.device(device), float32_parts))
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(
            f"The weights in {folder} cannot be loaded: {error}. Write the folder again with `rs2sam convert`."
        ) from error
    _check(folder, model, tensors)
    model.load_state_dict(tensors, assign=True)
    model.config.dtype, model.name_or_path = dtype, str(folder)
    return model.eval()


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder: the one, or those that its index names."""
    index = folder / INDEX_FILE
    if not index.is_file():
        return [folder / WEIGHTS_FILE]
    places: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    return [folder / name for name in sorted(set(places.values()))]


def _tensors(
    files: list[Path], dtype: torch.dtype, device: torch.device, float32_parts: Collection[str]
) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of files, in the order of their bytes."""
    for file in files:
        _announce(file)
        stored = safe_open(file, "pt", device="cpu")
        mapped = 0
        for name in stored.offset_keys():
            tensor = stored.get_tensor(name)
            mapped += tensor.nbytes
            own = torch.float32 if name.partition(".")[0] in float32_parts else dtype
            wanted = own if tensor.is_floating_point() else tensor.dtype
            yield name, tensor.to(device, wanted)
            if mapped > _MAPPED_AT_ONCE:
                # Pages of a mapping count as this process's memory until nothing refers to it.
                del tensor
                stored, mapped = safe_open(file, "pt", device="cpu"), 0


def _announce(file: Path) -> None:
    """Tell the kernel that all of a file will be read, so that it reads ahead in long runs."""
    if hasattr(os, "posix_fadvise"):
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(descriptor)


def _check(folder: Path, model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Raise unless tensors are those of a model, in name and shape."""
    expected: dict[str, Any] = dict(model.state_dict())
    wrong = {
        "missing": sorted(set(expected) - set(tensors)),
        "unexpected": sorted(set(tensors) - set(expected)),
        "of another shape": sorted(
            name for name in set(expected) & set(tensors) if expected[name].shape != tensors[name].shape
        ),
    }
    details = "; ".join(f"{kind}: {', '.join(names[:5])} ({len(names)})" for kind, names in wrong.items() if names)
    if details:
        raise CheckpointError(
            f"The weights in {folder} do not fit its config.json: {details}. "
            "Write the folder again with `rs2sam convert`."
        )
