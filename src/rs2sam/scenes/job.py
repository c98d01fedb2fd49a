"""The hidden folder of a run that is under way: what it has finished, and where it goes on after a kill.

State and files are written so that at any moment the last saved state fits the files: files only grow, a state names
how much of each counts, and it replaces the one before in a single step.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rs2sam.errors import BusyError, InvalidInputError, words_of

try:
    import fcntl
except ImportError:  # Windows: two runs on the same scene and folder are then told from each other by nobody
    fcntl = None  # type: ignore[assignment]

_STATE = "state.npz"
_LOCK = "lock"
_KEY_LENGTH = 12


def make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it; returns the ones that were not there, the innermost first."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return made


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders of `make_folder` as far as nothing lies in them."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def key_of(values: Mapping[str, Any]) -> str:
    """A short name for what determines a result; the same values give the same name."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_KEY_LENGTH]


class Job:
    """One run on one scene.

    Args:
        parent: folder of the results; made when the run begins, and removed again where it leaves nothing in it.
        stem: of the scene.
        key: what the run computes, see `key_of`.
        resume: go on with what a run of the same key left, and leave what was saved when this one does not come to its
            end.
    """

    def __init__(self, parent: Path, stem: str, key: str, *, resume: bool) -> None:
        self.folder = parent / f".rs2sam-{stem}-{key}"
        self._parent = parent
        self._stem = stem
        self._resume = resume
        self._lock: IO[bytes] | None = None
        self._made: list[Path] = []

    def __enter__(self) -> Job:
        """Take the folder; what runs of other keys or without resuming left behind is removed.

        Raises:
            BusyError: when another process is at work on the same scene and folder, whatever it looks for.
        """
        self._made = make_folder(self._parent)
        # First this run's own lock, then a look at the others: of two that begin at once, one at least sees the other.
        self._lock = _locked(self.folder)
        if self._lock is None:
            raise _in_use(self.folder)
        ours = re.compile(re.escape(f".rs2sam-{self._stem}-") + f"[0-9a-f]{{{_KEY_LENGTH}}}")
        try:
            for path in sorted(self._parent.iterdir()):
                if ours.fullmatch(path.name) and path != self.folder:
                    _remove_unless_locked(path)
        except BusyError:
            self._leave(remove=not self.exists)
            raise
        if not self._resume:
            _empty(self.folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_exception: object) -> None:
        """Remove the folder, unless the run failed and may be resumed: without a saved state there is nothing to."""
        self._leave(remove=kind is None or not self._resume or not self.exists)

    def _leave(self, *, remove: bool) -> None:
        """Give the folder free."""
        if remove:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
        remove_empty(self._made)

    @property
    def exists(self) -> bool:
        """Whether a run of this key was interrupted."""
        return (self.folder / _STATE).is_file()

    def load(self) -> tuple[dict[str, Any], NDArray[np.float32]] | None:
        """The last saved state and sums, or None where there are none."""
        try:
            with (self.folder / _STATE).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return json.loads(str(arrays["plain"])), arrays["sums"]
        except FileNotFoundError:
            return None
        except Exception as error:  # damaged bytes raise whatever they happen to say
            raise InvalidInputError(
                f"What an interrupted run left behind must be whole to be continued, but {str(self.folder / _STATE)!r} "
                f"is not ({words_of(error)}). Run again without --resume, or remove {str(self.folder)!r}."
            ) from error

    def save(self, plain: Mapping[str, Any], sums: NDArray[np.float32]) -> None:
        """Replace the saved state; the files it speaks of must have been handed to the operating system."""
        temporary = self.folder / "state.tmp.npz"
        np.savez(temporary, plain=np.array(json.dumps(plain)), sums=sums)
        os.replace(temporary, self.folder / _STATE)


def _locked(folder: Path) -> IO[bytes] | None:
    """Make a folder and lock it; None where another process has it."""
    while True:
        folder.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # another run took it for a leftover before it was locked
            lock = _lock(folder)
            if lock is None or _is_same(lock, folder / _LOCK):
                return lock
            lock.close()


def _lock(folder: Path) -> IO[bytes] | None:
    """An open lock, or None where another process has it."""
    file = (folder / _LOCK).open("wb")
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
    return file


def _is_same(file: IO[bytes], path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _empty(folder: Path) -> None:
    """Remove what lies in a folder, its lock aside."""
    for path in folder.iterdir():
        if path.name != _LOCK:
            path.unlink() if path.is_file() or path.is_symlink() else shutil.rmtree(path)


def _remove_unless_locked(folder: Path) -> None:
    """Remove what an earlier run left; a run that is at work there is an error."""
    lock = None
    with suppress(OSError):
        lock = _lock(folder)
        if lock is None:
            raise _in_use(folder)
    if lock is not None:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def _in_use(folder: Path) -> BusyError:
    """The error for a second run at the same time."""
    return BusyError(
        f"Another run is at work on the same image and folder of results ({str(folder)!r}); each would replace what "
        "the other writes. Wait for it, or choose another folder with -o."
    )
