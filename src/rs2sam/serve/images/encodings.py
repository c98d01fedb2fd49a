"""What a model has made of an image, on disk while the image is not in memory, and over the end of the process.

Reading it back takes a few milliseconds where encoding takes a hundred or more (docs/serve.md has the
figures). Only encodings that are arrays by name are kept, as ONNX Runtime's are; tensors of a device are made again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from rs2sam.backends.protocol import EncodingBackend
from rs2sam.errors import RS2SAMError, words_of
from rs2sam.processing_config import ProcessingConfig

_LOGGER = logging.getLogger(__name__)

_FILE = ".encoding.npz"
_MARK = "made by"
_PROBE_SIDE = 64


class EncodingShelf:
    """Encodings in the images' folders, each with the mark of the model that made it.

    Args:
        mark: of the model at hand, see `mark_of`; asked for once, when the first encoding is written or read.
    """

    def __init__(self, mark: Callable[[], str]) -> None:
        self._make_mark = mark
        self._mark: str | None = None
        self._lock = threading.Lock()

    def write(self, folder: Path, encoding: Any) -> bool:
        """Keep an encoding in an image's folder, unless it is there already; whether it is of a form that is kept.

        A folder that is gone, or a full disk, keeps nothing: the image is encoded again then.
        """
        if not _is_kept(encoding):
            return False
        path, partial = folder / _FILE, folder / f"{_FILE}.part"
        mark = self._of_model()
        if mark is not None and not path.exists():
            arrays: dict[str, Any] = {**encoding, _MARK: np.array(mark)}
            try:
                with partial.open("wb") as file:
                    np.savez(file, **arrays)
                os.replace(partial, path)
            except OSError:
                with suppress(OSError):
                    partial.unlink()
        return True

    def read(self, folder: Path) -> dict[str, Any] | None:
        """The encoding that was kept; None where there is none that can be read. One of another model is removed."""
        path, mark = folder / _FILE, self._of_model()
        if mark is None:
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                if str(arrays[_MARK]) == mark:
                    return {name: arrays[name] for name in arrays.files if name != _MARK}
        except OSError:  # it is not there, or cannot be read now
            return None
        except (ValueError, EOFError, KeyError, zipfile.BadZipFile):
            pass
        with suppress(OSError):
            path.unlink()
        return None

    def _of_model(self) -> str | None:
        """The mark of the model at hand; None where it cannot be made, and nothing is kept then."""
        with self._lock:
            if self._mark is None:
                try:
                    self._mark = self._make_mark()
                except (RS2SAMError, MemoryError, RuntimeError, ValueError) as error:
                    _LOGGER.warning("Encodings are not kept on disk: the model cannot be marked (%s).", words_of(error))
            return self._mark


def mark_of(backend: EncodingBackend, config: ProcessingConfig) -> str:
    """What tells a model's encodings from another's: what it makes of one small picture, to the last bit.

    Weights, graph and arithmetic are all in it, wherever they came from; so is how images become its input.
    """
    probe = np.linspace(-2, 2, 3 * _PROBE_SIDE**2, dtype=np.float32).reshape(1, 3, _PROBE_SIDE, _PROBE_SIDE)
    digest = hashlib.sha256(repr(config).encode())
    for name, values in sorted(backend.encode(probe)[0].items()):
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _is_kept(encoding: Any) -> TypeGuard[dict[str, Any]]:
    """Whether an encoding is arrays by name."""
    return isinstance(encoding, dict) and all(isinstance(value, np.ndarray) for value in encoding.values())
