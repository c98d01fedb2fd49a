"""Weights from safetensors files straight to their device and dtype.

Where the file has the dtype asked for, tensors on a CPU are the mapped file itself: nothing is copied, and a page is
read when it is first used. Otherwise one tensor after the other is converted, so the peak of memory is the converted
weights and a few hundred megabytes of the file, whatever its size; or the large ones stay as they are and are converted
whenever they are used (`rs2sam.models.stored_weights`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.initialization import no_init_weights

from rs2sam.errors import CheckpointError
from rs2sam.fields import parse_json, some_of
from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.encode_once.configuration import EncodeOnceConfig
from rs2sam.models.encode_once.model import EncodeOnceModel
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.stored_weights import keep_as_stored
from rs2sam.models.weights.files import shard_name

Model = TypeVar("Model", bound=PreTrainedModel)

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

_FAULTS = (
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    MemoryError,
    OverflowError,
    SafetensorError,
)
"""What transformers, torch and safetensors raise over a damaged folder."""

_MAPPED_AT_ONCE = 2**28
"""Bytes of a file whose pages are held at once while they are converted; a quarter gigabyte."""


def load_weights(
    folder: str | Path,
    dtype: torch.dtype,
    device: str | torch.device = "cpu",
    float32_parts: Collection[str] = (),
    as_stored: bool = False,
) -> RS2SamModel:
    """Build the model of a folder around its stored tensors, every one accounted for.

    Args:
        folder: what `RS2SamModel.save_pretrained` writes.
        dtype: of the floating-point weights.
        device: where they are put.
        float32_parts: names of the model's own parts that are float32 whatever `dtype` says.
        as_stored: large weights keep the dtype of the file and are converted when they are used: for inference where
            memory is to be no more than the file.

    Returns:
        The model in evaluation mode. On a CPU its weights may be the mapped file: writing to them changes memory only,
        never the file.

    Raises:
        CheckpointError: the weights cannot be read, or some are missing, left over or of other shapes.
    """
    dtypes = _Dtypes(dtype, frozenset(float32_parts))
    return _loaded(
        Path(folder), lambda place: RS2SamModel(RS2SamConfig.from_pretrained(place)), dtypes, device, as_stored
    )


def load_encode_once(
    folder: str | Path, dtype: torch.dtype, device: str | torch.device = "cpu", as_stored: bool = False
) -> EncodeOnceModel:
    """As `load_weights`, of a folder that `EncodeOnceModel.save_pretrained` writes.

    Args:
        folder: a model folder.
        dtype: of the floating-point weights.
        device: where they are put.
        as_stored: as for `load_weights`.

    Raises:
        CheckpointError: as `load_weights`.
    """
    return _loaded(
        Path(folder),
        lambda place: EncodeOnceModel(EncodeOnceConfig.from_pretrained(place)),
        _Dtypes(dtype),
        device,
        as_stored,
    )


def _loaded(
    folder: Path,
    make: Callable[[Path], Model],
    dtypes: _Dtypes,
    device: str | torch.device,
    as_stored: bool,
) -> Model:
    """The model that `make` builds of a folder's sizes, around its stored tensors."""
    try:
        with torch.device("meta"), no_init_weights():
            model = make(folder)
        dtypes = replace(dtypes, as_stored=frozenset(keep_as_stored(model) if as_stored else ()))
        tensors = dict(_tensors(weight_files(folder), dtypes, torch.device(device)))
    except _FAULTS as error:
        said = str(error).rstrip(".")
        raise CheckpointError(
            f"The weights in {folder} cannot be loaded: {said}. Write the folder again with `rs2sam convert`."
        ) from error
    _check(folder, model, tensors)
    model.load_state_dict(tensors, assign=True)
    model.config.dtype, model.name_or_path = dtypes.dtype, str(folder)
    return model.eval()


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder: the one, or those that its index names."""
    index = folder / INDEX_FILE
    if not index.is_file():
        return [folder / WEIGHTS_FILE]
    places: dict[str, str] = parse_json(index.read_text(encoding="utf-8"))["weight_map"]
    names = sorted({shard_name(name, index) for name in places.values()})
    if not names:
        raise CheckpointError(f"An index of shards must name one: {index} names none. Download it again.")
    return [folder / name for name in names]


@dataclass(frozen=True)
class _Dtypes:
    """Which dtype every weight gets.

    Args:
        dtype: of most.
        float32_parts: parts of the model that get float32.
        as_stored: names of weights that stay as they are.
    """

    dtype: torch.dtype
    float32_parts: frozenset[str] = frozenset()
    as_stored: frozenset[str] = frozenset()

    def of(self, name: str, tensor: Tensor) -> torch.dtype:
        """The dtype of a tensor of the file."""
        if name in self.as_stored or not tensor.is_floating_point():
            return tensor.dtype
        return torch.float32 if name.partition(".")[0] in self.float32_parts else self.dtype


def _tensors(files: list[Path], dtypes: _Dtypes, device: torch.device) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of files, in the order of their bytes."""
    for file in files:
        _announce(file)
        stored = safe_open(file, "pt", device="cpu")
        mapped = 0
        for name in stored.offset_keys():
            tensor = stored.get_tensor(name)
            mapped += tensor.nbytes
            yield name, tensor.to(device, dtypes.of(name, tensor))
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
    details = "; ".join(f"{kind}: {some_of(names, 5)} ({len(names)})" for kind, names in wrong.items() if names)
    if details:
        raise CheckpointError(
            f"The weights in {folder} do not fit its config.json: {details}. "
            "Write the folder again with `rs2sam convert`."
        )
