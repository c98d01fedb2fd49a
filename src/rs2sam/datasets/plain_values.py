"""Values that files of data say: JSON of any depth, names of files, texts and ids, checked before anything uses them.

What a file says may be anything: nested a hundred thousand deep, text with NUL or half of a surrogate pair, a list
where an id is due. Here it becomes a plain value or one clear error, for every reader alike.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeAlias

from rs2sam.errors import DataNotFoundError, InvalidInputError, words_of
from rs2sam.fields import brief, parse_json

Id: TypeAlias = "str | int | float"

MAX_NAME_BYTES, MAX_PATH_BYTES = 255, 4096
"""What file systems take for one name, and for a path."""


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataNotFoundError: there is no such file.
        InvalidInputError: it cannot be read as JSON.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise DataNotFoundError(f"`{path}` is not there. Take all files of one release.") from error
    except (OSError, ValueError) as error:
        raise InvalidInputError(
            f"`{path}` cannot be read as JSON: {words_of(error)}. Copy or export it again."
        ) from error


def plain_text(value: object, where: str) -> str:
    """Text that can be written as UTF-8 and shown.

    Args:
        value: what a file says.
        where: what has it, for the message.

    Raises:
        InvalidInputError: it is no text, or holds half of a surrogate pair.
    """
    if not isinstance(value, str):
        raise InvalidInputError(f"{where} is text, received {brief(value)}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInputError(
            f"{where} is text that UTF-8 can hold, received half of a surrogate pair: {brief(value)}. "
            "Write the text anew."
        ) from None
    return value


def file_name(value: object, where: str) -> str:
    """The path of a file that any file system can hold.

    Args:
        value: what a file says; a number becomes its digits.
        where: what has it, for the message.

    Raises:
        InvalidInputError: it is empty, no text, holds NUL, or is longer than a name or path can be.
    """
    name = plain_text(str(value) if isinstance(value, int | float) else value, where)
    longest = max((len(part.encode()) for part in re.split(r"[/\\]", name)), default=0)
    if not name or "\0" in name or longest > MAX_NAME_BYTES or len(name.encode()) > MAX_PATH_BYTES:
        raise InvalidInputError(
            f"{where} is the path of a file, with names of 1 to {MAX_NAME_BYTES} bytes and no NUL; received "
            f"{brief(name)} with a name of {longest} bytes"
        )
    return name


def plain_id(value: object, where: str) -> Id:
    """An id: text or a number.

    Raises:
        InvalidInputError: it is anything else.
    """
    if isinstance(value, str):
        return plain_text(value, where)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInputError(f"{where} is text or a number, received {brief(value)}")
    return value


def listed(value: object, where: str) -> list[Any]:
    """A list.

    Raises:
        InvalidInputError: it is anything else.
    """
    if not isinstance(value, list | tuple):
        raise InvalidInputError(f"{where} is a list, received {brief(value)}")
    return list(value)
