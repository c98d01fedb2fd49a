"""Values of configurations, checked against the types and ranges of their fields: one clear error each.

Recipes (YAML), model folders (JSON) and options of commands all end in fields of dataclasses; what a file says may have
any type and size.
"""

from __future__ import annotations

import json
import math
import numbers
import os
import types
import typing
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from rs2sam.errors import InvalidInputError, words_of

_LONGEST = 200  # characters of a value in a message


def parse_json(text: str | bytes) -> Any:
    """Read JSON; whatever is wrong with it is a ValueError, nesting that no reader can follow included."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its lists and objects are nested too deeply") from None


def checked(name: str, value: Any, hint: Any) -> Any:
    """Return a value if it has a field's type; whole numbers and YAML's texts like `1e-4` pass as floats.

    Args:
        name: of the field, for the message.
        value: what YAML or JSON read; its lists become tuples where the field is one.
        hint: the field's annotation: plain types, unions, literals, tuples and mappings of these, `Any`.

    Raises:
        InvalidInputError: it has another type.
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is Mapping and isinstance(value, Mapping):
        return {str(key): checked(f"{name}.{key}", entry, inner[1]) for key, entry in value.items()}
    if origin is tuple and isinstance(value, list | tuple):
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        require(name, value, len(kinds) == len(value), f"a list of {len(kinds)}")
        return tuple(checked(f"{name}[{i}]", one, kind) for i, (one, kind) in enumerate(zip(value, kinds, strict=True)))
    if origin in (typing.Union, types.UnionType):
        options = [option for option in inner if option is not types.NoneType]
        if value is not None and len(options) == 1 and (options[0] in (float, int) or typing.get_origin(options[0])):
            return checked(name, value, options[0])
    is_bool = isinstance(value, bool)  # for Python a number; for a configuration it is none
    if hint is int and not is_bool and isinstance(value, numbers.Integral):
        return int(value)
    if hint is float and not is_bool and isinstance(value, numbers.Real | str):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            pass  # falls through to the message below
        else:
            require(name, value, math.isfinite(number), "a finite number")
            return number
    allowed = _allowed(hint)
    if not isinstance(value, allowed) or (is_bool and bool not in allowed):
        expected = " or ".join("nothing" if option is types.NoneType else option.__name__ for option in allowed)
        raise InvalidInputError(f"`{name}` must be {expected}, received {brief(value)}")
    return value


def require(name: str, value: Any, valid: bool, rule: str) -> None:
    """Raise InvalidInputError with the rule unless a value is valid."""
    if not valid:
        raise InvalidInputError(f"`{name}` must be {rule}, received {brief(value)}")


def require_within(name: str, value: float, least: float, most: float) -> None:
    """Raise InvalidInputError unless a number lies within two others."""
    require(name, value, value >= least, f"at least {least:,}")
    require(name, value, value <= most, f"at most {most:,}")


def a_text(name: str, value: object) -> str:
    """A value that must be text.

    Raises:
        InvalidInputError: it is anything else; a list of one text is said to be one.
    """
    if not isinstance(value, str):
        hint = " Give one text, not a list." if isinstance(value, list | tuple) else ""
        raise InvalidInputError(f"`{name}` must be text (str), received {type(value).__name__} {brief(value)}.{hint}")
    return value


def texts(name: str, value: object) -> tuple[str, ...]:
    """Values that must be a list of texts.

    Raises:
        InvalidInputError: it is one text, whose letters nobody means, or holds something else.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise InvalidInputError(
            f"`{name}` must be a list of texts, received {type(value).__name__} {brief(value)}. Wrap one as [text]."
        )
    return tuple(a_text(f"{name}[{number}]", one) for number, one in enumerate(value))


def a_path(name: str, value: object) -> str:
    """A path as text.

    Raises:
        InvalidInputError: it is neither text nor a `pathlib.Path`, is empty, or holds NUL.
    """
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else value
    if not isinstance(path, str) or not path or "\0" in path:
        raise InvalidInputError(
            f"`{name}` must be the path of a file or folder (str or pathlib.Path), received {type(value).__name__} "
            f"{brief(value)}."
        )
    return path


def a_place(name: str, value: object) -> Path:
    """The path of a file or folder on this machine, whether anything is there or not.

    Everything that asks about a path later (`exists`, `mkdir`, `open`) fails in its own way where the system cannot
    even look it up: where a name is too long, links lead in a circle, or a folder on the way is closed to the user.

    Raises:
        InvalidInputError: as of `a_path`, or the system cannot look it up.
    """
    path = Path(a_path(name, value))
    reason = _why_not_looked_up(path)
    if reason is not None:
        raise InvalidInputError(
            f"`{name}` must be a path that this system can look up, received {brief(str(path))} ({reason}). "
            "Choose another."
        )
    return path


def _why_not_looked_up(path: Path) -> str | None:
    """What the system says of a path that it cannot look up; None where something or nothing is there."""
    # Below a folder that is not there it looks at no further name, and whoever makes the folder meets the next one.
    missing: list[str] = []
    for place in (path, *path.parents):
        try:
            os.stat(place)
            for name in missing:
                with suppress(FileNotFoundError, NotADirectoryError):
                    os.lstat(place / name)
        except (FileNotFoundError, NotADirectoryError):  # said by whoever opens it
            missing.append(place.name)
        except OSError as error:
            return error.strerror or words_of(error)
        except ValueError as error:  # letters that no name on this system has
            return words_of(error)
        else:
            return None
    return None


def brief(value: object) -> str:
    """A value for a message, which may be of any size and depth."""
    try:
        text = " ".join(repr(value).split())
    except (RecursionError, ValueError):  # ValueError: a number of more digits than Python writes
        return f"a {type(value).__name__} that is too large to show"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def some_of(names: Iterable[object], most: int = 6, longest: int = 80) -> str:
    """Names that somebody else chose for a message, which may be of any number and length; empty without any."""
    texts_of = [str(name) for name, _ in zip(names, range(most + 1), strict=False)]
    shown = [text if len(text) <= longest else f"{text[:longest]}..." for text in texts_of[:most]]
    return ", ".join([*shown, *(["..."] if len(texts_of) > most else [])])


def _allowed(hint: Any) -> tuple[type, ...]:
    """The classes that an annotation stands for."""
    origin = typing.get_origin(hint)
    if origin is Literal:
        return (str,)
    if origin is Mapping:
        return (Mapping,)
    if origin is tuple:
        return (list,)
    return tuple(typing.get_origin(option) or option for option in typing.get_args(hint) or (hint,))
