"""Values from YAML into dataclasses, strictly: an unknown key or a value of another type is an error that helps."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from rs2sam.errors import InvalidInputError
from rs2sam.fields import checked, require

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
