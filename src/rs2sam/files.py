"""Paths as the commands get them: what is no regular file never ends, or is endless."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rs2sam.errors import InvalidInputError

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
