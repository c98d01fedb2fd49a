"""An area for the tests of the fuzzer: what a case does is told by its number."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable
from pathlib import Path

from fuzz.contract import Box
from rs2sam.errors import InvalidInputError


def make(rng: random.Random, box: Box) -> Callable[[], None]:
    """Ends as the number that the input file holds says."""
    number = rng.randrange(10**6)
    (box.inputs / "number.txt").write_text(str(number))
    return lambda: ENDINGS[number % len(ENDINGS)](box)


def _result(box: Box) -> None:
    box.out.mkdir()
    (box.out / "result.txt").write_text("done")


def _refuse(_: Box) -> None:
    raise InvalidInputError("no such thing. Give another.")


def _bug(_: Box) -> None:
    raise ZeroDivisionError("a bug")


def _crash(_: Box) -> None:
    ctypes.string_at(0)


def _leave(_: Box) -> None:
    Path("left.txt").write_text("behind")


def _half(box: Box) -> None:
    _result(box)
    raise InvalidInputError("after all not")


def _touch(box: Box) -> None:
    (box.inputs / "number.txt").write_text("something else")


def _hold(_: Box) -> None:
    bytearray(3 * 2**30)


ENDINGS = (_result, _refuse, _bug, _crash, _leave, _half, _touch, _hold)
WORDS = (
    "result",
    "refusal",
    "ZeroDivisionError: a bug",
    "SIGSEGV",
    "left behind",
    "results of a refusal",
    "changed",
    "MemoryError",
)
