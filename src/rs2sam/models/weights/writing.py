"""Writing a checkpoint as safetensors, one tensor at a time.

`safetensors.torch.save_file` wants every tensor in memory. The format does not: 8 bytes with the length of a JSON
header (little-endian), the header (name -> dtype, shape, byte range), then the tensors' bytes, end to end.

Source: the format's description in the safetensors README; names of files and index as `save_pretrained` writes them.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch

from rs2sam.models.weights.files import TensorSpec

MAX_SHARD_BYTES = 5 * 10**9
"""A checkpoint larger than this is written as several files with an index."""

_FORMAT_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write_checkpoint(
    folder: Path,
    specs: Mapping[str, TensorSpec],
    read: Callable[[str], torch.Tensor],
    *,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    on_bytes: Callable[[int], object] | None = None,
) -> list[Path]:
    """Write tensors as `model.safetensors`, or as shards with an index where they are too large for one file.

    Args:
        folder: an existing folder.
        specs: shape and dtype of every tensor as it is to be written.
        read: gives a tensor of that shape and dtype; called once for each name.
        max_shard_bytes: most bytes of tensors in one file.
        on_bytes: told the number of bytes after each tensor.

    Returns:
        The files with tensors.
    """
    shards = _shards(specs, max_shard_bytes)
    total = len(shards)
    names = [
        f"model-{n:05d}-of-{total:05d}.safetensors" if total > 1 else "model.safetensors" for n in range(1, total + 1)
    ]
    for name, shard in zip(names, shards, strict=True):
        with (folder / name).open("wb") as stream:
            _write_file(stream, {tensor: specs[tensor] for tensor in shard}, read, on_bytes)
    if total > 1:
        index: dict[str, Any] = {
            "metadata": {"total_size": sum(spec.num_bytes for spec in specs.values())},
            "weight_map": {tensor: name for name, shard in zip(names, shards, strict=True) for tensor in shard},
        }
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return [folder / name for name in names]


def follow_umask(folder: Path) -> None:
    """Give the weights in a folder the mode that any new file gets there.

    `safetensors` writes them into a temporary file, which nobody but its owner can read.
    """
    # The mask itself can only be read by setting it, for all threads.
    with tempfile.TemporaryDirectory(prefix=".rs2sam-", dir=folder) as name:
        other = Path(name) / "new"
        other.touch()
        for file in folder.glob("*.safetensors"):
            shutil.copymode(other, file)


def _shards(specs: Mapping[str, TensorSpec], max_shard_bytes: int) -> list[list[str]]:
    """Names in order, cut where a file would grow too large; wide elements first, so that each is aligned."""
    shards: list[list[str]] = [[]]
    size = 0
    for name in sorted(specs, key=lambda name: -specs[name].dtype.itemsize):
        if shards[-1] and size + specs[name].num_bytes > max_shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += specs[name].num_bytes
    return shards


def _write_file(
    stream: BinaryIO,
    specs: Mapping[str, TensorSpec],
    read: Callable[[str], torch.Tensor],
    on_bytes: Callable[[int], object] | None,
) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, spec in specs.items():
        end = offset + spec.num_bytes
        header[name] = {"dtype": _FORMAT_NAMES[spec.dtype], "shape": list(spec.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)  # the data starts aligned
    stream.write(len(text).to_bytes(8, "little") + text)
    for name, spec in specs.items():
        tensor = read(name)
        assert (tuple(tensor.shape), tensor.dtype) == (spec.shape, spec.dtype), name
        stream.write(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        if on_bytes is not None:
            on_bytes(spec.num_bytes)
