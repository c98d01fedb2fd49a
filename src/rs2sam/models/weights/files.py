"""Reading checkpoint files of other projects: safely, and one tensor at a time.

Forms: safetensors, the zip archives that `torch.save` writes, and its older plain pickles; one file, or a folder with
one file or many shards. Pickles are opened weights-only: a file that names any function or class to call is refused,
never executed. Zip archives and safetensors are mapped into memory, not loaded, and the mapping is dropped every
`RELEASE_BYTES`, so that reading a checkpoint of any size keeps a bounded part of it resident. (An old plain pickle
cannot be mapped and is held whole.)
"""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open

from rs2sam.errors import CheckpointError, DataNotFoundError, words_of
from rs2sam.fields import parse_json, some_of

RELEASE_BYTES = 128 * 2**20

SAFETENSORS_SUFFIX = ".safetensors"
TORCH_SUFFIXES = (".bin", ".pt", ".pth")
WEIGHT_STEMS = ("model", "pytorch_model")
"""What `save_pretrained` calls its weights: `model.safetensors`, `pytorch_model.bin`, their indexes and shards."""

NESTED_UNDER = ("model", "state_dict", "module", "model_state_dict")
"""Keys under which training scripts put the state dict beside optimizer, epoch and options."""

_ZIP_MAGIC = b"PK\x03\x04"
_LFS_MAGIC = b"version https://"
_MOST_NAME_BYTES = 255
"""Of a file's name on the common file systems."""
_SHARD = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})$")
_SAFETENSORS_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class TensorSpec:
    """What is known of a tensor before it is read.

    Args:
        shape: its sizes.
        dtype: its element type in the file.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def num_elements(self) -> int:
        """Product of the sizes; 1 for a scalar."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def num_bytes(self) -> int:
        """Size in the file, in bytes."""
        return self.num_elements * self.dtype.itemsize


class _TensorFile(Protocol):
    """One file of tensors."""

    @property
    def specs(self) -> Mapping[str, TensorSpec]: ...

    def read(self, name: str) -> torch.Tensor: ...

    def release(self) -> None: ...


class Checkpoint:
    """The tensors of a checkpoint on disk, described at once and read one at a time.

    Args:
        path: a file, or a folder with one file of weights or with shards.

    Raises:
        DataNotFoundError: nothing is at `path`, or the folder holds no weights.
        CheckpointError: a file is damaged, incomplete, or holds code; a shard is missing; the folder is ambiguous.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file_of: dict[str, _TensorFile] = {}
        self._unreleased_bytes = 0
        for file in weight_files(self.path):
            opened = _open(file)
            for name in opened.specs:
                if name in self._file_of:
                    raise CheckpointError(
                        f"Each tensor must be in one shard only: `{name}` is in {file.name} and in another file of "
                        f"{self.path}. Remove the files that do not belong to this checkpoint."
                    )
                self._file_of[name] = opened

    @property
    def specs(self) -> dict[str, TensorSpec]:
        """Shape and dtype of every tensor, by name, in file order."""
        return {name: file.specs[name] for name, file in self._file_of.items()}

    def read(self, name: str) -> torch.Tensor:
        """Read one tensor.

        Args:
            name: one of `specs`.

        Returns:
            A contiguous tensor on the CPU with memory of its own.

        Raises:
            CheckpointError: the tensor's bytes cannot be read.
        """
        file = self._file_of[name]
        if self._unreleased_bytes + file.specs[name].num_bytes > RELEASE_BYTES:
            self.release()
        self._unreleased_bytes += file.specs[name].num_bytes
        return file.read(name)

    def release(self) -> None:
        """Drop the mappings of the files; the next `read` makes them again."""
        for file in set(self._file_of.values()):
            file.release()
        self._unreleased_bytes = 0


def weight_files(path: Path) -> list[Path]:
    """Find the files that hold the weights at `path`.

    Args:
        path: a file, or a folder as `save_pretrained` writes it, or a folder with a single file of weights.

    Returns:
        The file or the shards, in order; safetensors are preferred where both forms are there.

    Raises:
        DataNotFoundError: nothing is there.
        CheckpointError: a shard is missing, or the folder holds several files of which none has a usual name.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataNotFoundError(
            f"A checkpoint must be a file or a folder: {path} does not exist. Check the path, or name a known model "
            "(`rs2sam models` lists them)."
        )
    for suffix in (SAFETENSORS_SUFFIX, *TORCH_SUFFIXES):
        files = _usual_files(path, suffix)
        if files:
            return files
    others = [f for f in sorted(path.iterdir()) if f.suffix in (SAFETENSORS_SUFFIX, *TORCH_SUFFIXES)]
    if not others:
        held = some_of(sorted(f.name for f in path.iterdir()), 8) or "nothing"
        raise DataNotFoundError(
            f"A checkpoint folder must hold .safetensors, .bin, .pt or .pth files: {path} holds {held}."
        )
    if len(others) > 1:
        names = some_of(f.name for f in others)
        raise CheckpointError(f"It must be clear which file holds the weights: {path} holds {names}. Name one of them.")
    return others


def _usual_files(folder: Path, suffix: str) -> list[Path]:
    """The weights of a folder under the names that `save_pretrained` uses, or nothing."""
    for stem in WEIGHT_STEMS:
        single, index = folder / f"{stem}{suffix}", folder / f"{stem}{suffix}.index.json"
        if single.is_file():
            return [single]
        if index.is_file():
            return _indexed_files(index)
        shards = [f for f in sorted(folder.glob(f"{stem}-*{suffix}")) if _SHARD.match(f.stem)]
        if shards:
            return _complete_shards(shards)
    return []


def _indexed_files(index: Path) -> list[Path]:
    """The shards that an index names, all of them present."""
    try:
        named = parse_json(index.read_text(encoding="utf-8"))["weight_map"].values()
        files = [index.parent / name for name in sorted({shard_name(name, index) for name in named})]
    except CheckpointError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"An index of shards must be JSON with a `weight_map`: {index} is not ({words_of(error)}). Download it "
            "again."
        ) from error
    _require_all(index.parent, files)
    return files


def shard_name(name: object, index: Path) -> str:
    """The name of a file beside its index.

    Raises:
        CheckpointError: it leads elsewhere, or is no name of a file.
    """
    is_plain = isinstance(name, str) and name not in ("", ".", "..") and not re.search(r"[/\\\0]", name)
    if not is_plain or len(str(name).encode("utf-8", "replace")) > _MOST_NAME_BYTES:
        raise CheckpointError(
            f"Shards of a checkpoint lie beside their index: {index} names {str(name)[:80]!r}. Nothing was read; get "
            "the checkpoint from its authors again."
        )
    return str(name)


def _complete_shards(shards: list[Path]) -> list[Path]:
    """Shards without an index: their names say how many there must be."""
    match = _SHARD.match(shards[0].stem)
    assert match is not None
    total, suffix = int(match["total"]), shards[0].suffix
    files = [shards[0].parent / f"{match['stem']}-{n:05d}-of-{total:05d}{suffix}" for n in range(1, total + 1)]
    _require_all(shards[0].parent, files)
    return files


def _require_all(folder: Path, files: list[Path]) -> None:
    missing = [f.name for f in files if not f.is_file()]
    if missing:
        raise CheckpointError(
            f"Every shard of a checkpoint must be there: {folder} lacks {some_of(missing)} "
            f"({len(files) - len(missing)} of {len(files)} found). Complete the download."
        )


def _open(path: Path) -> _TensorFile:
    if path.stat().st_size == 0:
        raise CheckpointError(f"A checkpoint file must hold tensors: {path} is empty (0 bytes). Download it again.")
    with path.open("rb") as stream:
        head = stream.read(16)
    if head.startswith(_LFS_MAGIC):
        raise CheckpointError(
            f"A checkpoint file must hold tensors: {path} is a pointer that git-lfs left in its place. Fetch the file "
            "itself with `git lfs pull`."
        )
    # safetensors: 8 bytes of header length, then the header's opening brace; the suffix is not trusted
    return _SafetensorsFile(path) if head[8:9] == b"{" else _TorchFile(path, mapped=head.startswith(_ZIP_MAGIC))


class _SafetensorsFile:
    """A safetensors file, mapped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: Any = None
        handle = self._mapped()
        self.specs: dict[str, TensorSpec] = {}
        for name in handle.keys():  # noqa: SIM118 (the handle is no mapping)
            entry = handle.get_slice(name)
            dtype = entry.get_dtype()
            if dtype not in _SAFETENSORS_DTYPES:
                raise CheckpointError(
                    f"Tensors must have an ordinary dtype: `{name}` in {path} is {dtype}, not one of "
                    f"{', '.join(_SAFETENSORS_DTYPES)}. Convert from unquantised weights."
                )
            self.specs[name] = TensorSpec(tuple(entry.get_shape()), _SAFETENSORS_DTYPES[dtype])

    def _mapped(self) -> Any:
        if self._handle is None:
            try:
                self._handle = safe_open(self.path, framework="pt")
            except SafetensorError as error:
                raise _damaged(self.path, error) from error
        return self._handle

    def read(self, name: str) -> torch.Tensor:
        # a copy: the handle's tensors may share the mapping, which `release` must be able to drop
        tensor: torch.Tensor = self._mapped().get_tensor(name)
        return tensor.clone(memory_format=torch.contiguous_format)

    def release(self) -> None:
        self._handle = None


class _TorchFile:
    """A file that `torch.save` wrote; mapped if it is a zip archive, held if it is an old plain pickle."""

    def __init__(self, path: Path, *, mapped: bool) -> None:
        self.path = path
        self.is_mapped = mapped
        if mapped:
            _check_archive(path)
        self._tensors: dict[str, torch.Tensor] | None = _load_tensors(path, mmap=mapped)
        self.specs = {name: TensorSpec(tuple(t.shape), t.dtype) for name, t in self._tensors.items()}

    def read(self, name: str) -> torch.Tensor:
        if self._tensors is None:
            self._tensors = _load_tensors(self.path, mmap=True)
        return self._tensors[name].detach().clone(memory_format=torch.contiguous_format)

    def release(self) -> None:
        if self.is_mapped:
            self._tensors = None


def _check_archive(path: Path) -> None:
    """Compare every record with its checksum: mapping a damaged archive would silently give wrong weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except Exception as error:  # damaged archives raise nearly anything: BadZipFile, zlib.error, UnicodeDecodeError
        raise _damaged(path, error) from error
    if bad is not None:
        raise _damaged(path, f"the record `{bad}` does not match its checksum")


def _load_tensors(path: Path, *, mmap: bool) -> dict[str, torch.Tensor]:
    """The state dict of a pickle, opened weights-only, wherever it is nested."""
    try:
        # Options of argparse lie beside the weights in many training checkpoints; the class only holds values.
        with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
            # of an unusual pickle protocol: what such a file holds is found out by reading it
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL ([\w.]+)|global `?([\w.]+)`?", str(error))
        if code is None:
            raise _damaged(path, "torch's weights-only reader refuses it, as it does with code") from error
        raise CheckpointError(
            f"A checkpoint must hold tensors and plain values only: {path} asks to call `{code[1] or code[2]}`. It was "
            "not opened, since pickled code can do anything. Get the weights as .safetensors, or as a state dict."
        ) from error
    except MemoryError as error:
        raise _damaged(path, "it asks for more memory than there is") from error
    except Exception as error:  # the bytes decide what torch meets, so that it raises nearly anything over damaged ones
        raise _damaged(path, error) from error
    return dict(_state_dict(content, path))


def _state_dict(content: object, path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Descend to the mapping that holds tensors and give its items."""
    while isinstance(content, Mapping):
        nested = next((content[key] for key in NESTED_UNDER if isinstance(content.get(key), Mapping)), None)
        if nested is None:
            break
        content = nested
    if not isinstance(content, Mapping):
        raise CheckpointError(f"A checkpoint must hold a state dict: {path} holds a {type(content).__name__}.")
    others = [str(name) for name, value in content.items() if not isinstance(value, torch.Tensor)]
    if others or not content:
        found = some_of(others) or "nothing"
        raise CheckpointError(
            f"A state dict must map names to tensors, at the top or under one of {', '.join(NESTED_UNDER)}: "
            f"{path} has {found}, which {'are' if len(others) > 1 else 'is'} no tensor."
        )
    yield from ((str(name), value) for name, value in content.items())


def _damaged(path: Path, reason: Exception | str) -> CheckpointError:
    if isinstance(reason, Exception):
        reason = words_of(f"{type(reason).__name__}: {reason}".partition("\n")[0])
    reason = some_of([reason], longest=300)
    return CheckpointError(
        f"A checkpoint file must be whole: {path} ({path.stat().st_size:,} bytes) cannot be read ({reason}). It is cut "
        "off, damaged or of another format; download or write it again."
    )
