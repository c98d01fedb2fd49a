"""Paths as the commands get them: what is no regular file never ends, what is not UTF-8 no result can name."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rs2sam.errors import InvalidInputError

_LONGEST = 300  # letters of a text in a message
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def refuse_special_file(what: str, path: str | Path, error: type[InvalidInputError] = InvalidInputError) -> None:
    """Refuse pipes, devices and sockets, which may never end; files, folders and what is not there pass.

    Args:
        what: it is, for the message, e.g. "image".
        path: where it is.
        error: what is raised.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # not there, or no name at all: said by whoever opens it
        return
    for is_kind, name in _KINDS:
        if is_kind(mode):
            raise error(
                f"The {what} must be a regular file, but {str(path)!r} is {name}, which may never end. "
                "Write its content to a file first."
            )


def check_utf8(what: str, text: str) -> None:
    """Refuse text that no result could hold: Python reads bytes of a name that are not UTF-8 as lone surrogates.

    Raises:
        InvalidInputError: when the text cannot be written as UTF-8, or has a NUL, which ends names for GDAL.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"The {what} must be UTF-8, but it is {_shown(text)}. Give it another.") from error
    if "\0" in text:
        raise InvalidInputError(f"The {what} must not hold a NUL, but it is {_shown(text)}. Give it another.")


@contextmanager
def folder_for(out: Path) -> Iterator[None]:
    """Make the folder of a result when it is missing, and remove it again where the result never comes to be."""
    made = [folder for folder in out.absolute().parents if not folder.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):  # something else lies in it, or it was not made
                folder.rmdir()
        raise


def _shown(text: str) -> str:
    """The first letters of a text, those that UTF-8 or a terminal lacks as escapes."""
    return ascii(text) if len(text) <= _LONGEST else f"{text[:_LONGEST]!a}..."
