"""Files and folders that are there whole or not at all: written under a hidden name beside their place, then moved."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rs2sam.errors import InvalidInputError, RS2SAMError
from rs2sam.fields import a_place
from rs2sam.files import check_utf8, folder_for


@contextmanager
def staged_file(out: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a name to write to; it becomes `out` when the block ends well, and is removed when it does not.

    Args:
        out: the file; its folder is made when missing.
        overwrite: whether an existing file may be replaced.

    Raises:
        InvalidInputError: the file exists and may not be replaced, or cannot be written.
    """
    check_file_free(out, overwrite=overwrite)
    partial = out.with_name(f".partial-{os.getpid()}-{out.name}")
    with _written(out), folder_for(out):
        try:
            yield partial
            partial.replace(out)
        finally:
            with suppress(OSError):  # it never came to be
                partial.unlink()


def check_file_free(out: Path, *, overwrite: bool) -> None:
    """Refuse a file that exists, before hours of work; raises `InvalidInputError`."""
    if _is_there(out) and out.is_dir():
        raise InvalidInputError(f"A file's name is needed; {out} is a folder. Choose another name.")
    if _is_there(out) and not overwrite:
        raise InvalidInputError(
            f"Files are not replaced unasked: {out} exists. Add --overwrite or choose another name."
        )


@contextmanager
def staged_folder(
    out: Path, *, overwrite: bool = False, may_replace: Callable[[Path], bool] = lambda _: False
) -> Iterator[Path]:
    """Give an empty folder to write to; it becomes `out` when the block ends well, and is removed when it does not.

    Args:
        out: the folder.
        overwrite: whether an existing folder may be replaced.
        may_replace: tells whether an existing folder holds what the command writes, and nothing dear to anybody.

    Raises:
        InvalidInputError: the folder exists and may not be replaced, or cannot be written.
    """
    _check_folder_free(out, overwrite, may_replace)
    partial = out.with_name(f".partial-{os.getpid()}-{out.name}")
    with _written(out), folder_for(out):
        try:
            partial.mkdir()
            yield partial
            _exchange(out, partial)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _written(out: Path) -> Iterator[None]:
    """A disk or permissions that do not allow a result are said in words."""
    try:
        yield
    except RS2SAMError:  # some are OSErrors too, and say what they mean
        raise
    except OSError as error:
        raise _not_writable(out, error) from error


def _exchange(out: Path, partial: Path) -> None:
    """Move a folder to its place; what was there goes only when that has worked."""
    old = out.with_name(f".old-{os.getpid()}-{out.name}")
    had_one = out.exists()
    if had_one:
        out.replace(old)
    try:
        partial.replace(out)
    except OSError:
        if had_one:
            old.replace(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _check_folder_free(out: Path, overwrite: bool, may_replace: Callable[[Path], bool]) -> None:
    """Refuse a folder that may not be replaced."""
    if not _is_there(out):
        return
    if not out.is_dir():
        raise InvalidInputError(f"A folder is needed; {out} is a file. Choose another name.")
    if not any(out.iterdir()):
        return
    if not overwrite:
        raise InvalidInputError(
            f"Folders are not replaced unasked: {out} is not empty. Add --overwrite or choose another name."
        )
    if not may_replace(out):
        raise InvalidInputError(
            f"--overwrite replaces only what this command has written; {out} holds something else. Choose another name."
        )


def _is_there(out: Path) -> bool:
    """Whether something has this name; a name that nothing can have is refused."""
    check_utf8("name of a result", str(out))
    a_place("out", out)
    try:
        out.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _not_writable(out, error) from error
    return True


def _not_writable(out: Path, error: OSError) -> InvalidInputError:
    """What to say when the disk or the permissions do not allow it."""
    reason = error.strerror or error
    return InvalidInputError(f"{out} cannot be written ({reason}). Make room or choose a writable place.")
