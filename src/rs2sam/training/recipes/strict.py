"""Values from YAML into dataclasses, strictly: an unknown key or a value of another type is an error that helps."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

from rs2sam.errors import InvalidInputError

T = TypeVar("T")


def build(kind: type[T], values: Any, prefix: str = "") -> T:
    """Builds a dataclass from nested mappings.

    Args:
        kind: the dataclass; fields may be dataclasses themselves.
        values: what YAML read.
        prefix: of every key in messages.

    Raises:
        InvalidInputError: an unknown key (the nearest known one is suggested) or a value of another type.
    """
    if not isinstance(values, Mapping):
        require(prefix.rstrip(".") or "recipe", values, False, "a mapping of keys to values")
    hints = typing.get_type_hints(kind)
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        require_known(str(key), hints, prefix)
        nested = dataclasses.is_dataclass(hints[key])
        arguments[key] = (
            build(hints[key], value, f"{prefix}{key}.") if nested else checked(prefix + key, value, hints[key])
        )
    return kind(**arguments)


def require_known(key: str, known: Iterable[str], prefix: str = "") -> None:
    """Raises for a key that does not exist, with the nearest one that does."""
    names = list(known)
    if key not in names:
        near = difflib.get_close_matches(key, names, n=1)
        hint = f"did you mean `{prefix}{near[0]}`?" if near else f"the keys are {', '.join(names)}"
        raise InvalidInputError(f"unknown key `{prefix}{key}` in the recipe; {hint}")


def checked(name: str, value: Any, hint: Any) -> Any:
    """Returns a value if it has a field's type; whole numbers and YAML's texts like `1e-4` pass as floats.

    Args:
        name: of the field, for the message.
        value: what YAML read; its lists become tuples where the field is one.
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
        if value is not None and len(options) == 1 and (options[0] is float or typing.get_origin(options[0])):
            return checked(name, value, options[0])
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass  # falls through to the message below
    allowed = _allowed(hint)
    # For Python a bool is a number; for a recipe it is not.
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        expected = " or ".join("nothing" if option is types.NoneType else option.__name__ for option in allowed)
        raise InvalidInputError(f"`{name}` must be {expected}, received {value!r}")
    return value


def require(name: str, value: Any, valid: bool, rule: str) -> None:
    """Raises with the rule unless a value is valid."""
    if not valid:
        raise InvalidInputError(f"`{name}` must be {rule}, received {value!r}")


def _allowed(hint: Any) -> tuple[type, ...]:
    """The classes that an annotation stands for."""
    origin = typing.get_origin(hint)
    if origin is Literal:
        return (str,)
    if origin is Mapping:
        return (Mapping,)
    if origin is tuple:
        return (list,)
    return typing.get_args(hint) or (hint,)
