"""How a case ends: with a result, with a refusal in one line, or with a finding."""

from __future__ import annotations

import contextlib
import io
import json
import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from rs2sam.errors import RS2SAMError

LONGEST_LINE = 6000
"""Letters of an error; longer ones hold a part of the input that nobody reads."""


# What somebody else's full stop before ours leaves; a list may end in an ellipsis, and paths have dots of their own.
_DOUBLED = re.compile(r"(?:(?<!\.)\.\)[.,;:]|[,;:]\.|[\w)]\.\.)(?=\s|$)")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")


class WrongResultError(Exception):
    """A success that is none, or words that are no error of rs2sam: a finding."""


class RefusedError(Exception):
    """A command refused its input as it should."""


@dataclass(frozen=True)
class Box:
    """The folders of a case.

    Args:
        inputs: what the case makes up; it must stay as it is while rs2sam is at work.
        out: for results; nothing may lie there after a refusal.
        models: folders of models made before all cases, see `standin`; read only.
    """

    inputs: Path
    out: Path
    models: Path


Try: TypeAlias = Callable[[], None]
"""Has rs2sam work on what was made up; returns after a valid result, and raises otherwise."""
Area: TypeAlias = Callable[[random.Random, Box], Try]
"""Makes a case up, and returns what is to be tried on it."""


@dataclass(frozen=True)
class Ran:
    """What a command said.

    Args:
        code: its exit code.
        out: stdout.
        err: stderr.
    """

    code: int
    out: str
    err: str


def command(*arguments: str, partly: tuple[str, ...] = ()) -> Ran:
    """Run `rs2sam` with these arguments in this process.

    Args:
        arguments: of the command line.
        partly: what lines begin with that name the parts that failed, where a command ends so with 1 after the rest.

    Raises:
        RefusedError: it ended with one line of an error, or as wrong usage.
        WrongResultError: it ended otherwise, and not with 0.
    """
    from rs2sam.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(list(arguments), prog_name="rs2sam", standalone_mode=True)
            code: Any = 0
        except SystemExit as stop:
            code = stop.code
    ran = Ran(0 if code is None else code, out.getvalue(), err.getvalue())
    # Asked for twice, it shows the one that led to an error, too.
    is_wanted = sum(word.count("v") for word in arguments if word in ("-v", "-vv", "--verbose")) > 1
    if "Traceback (most recent call last)" in ran.err and not is_wanted:
        raise WrongResultError(f"a traceback on stderr: {ran.err[-1500:]}")
    if ran.code == 0:
        return ran
    if ran.code == 1 and partly and ran.err.splitlines()[-1:] and ran.err.splitlines()[-1].startswith(partly):
        for line in ran.err.splitlines():
            check_line(line)
        return ran
    lines = [line for line in ran.err.splitlines() if line.startswith(("error: ", "Error: "))]
    if ran.code not in (1, 2) or len(lines) != 1:
        raise WrongResultError(f"exit code {ran.code} with {len(lines)} lines of errors: {ran.err[-1500:]!r}")
    check_line(lines[0])
    raise RefusedError(lines[0])


def check_line(text: str) -> None:
    """Raise WrongResultError for words of an error that nobody could read."""
    if not text.strip() or len(text) > LONGEST_LINE:
        raise WrongResultError(f"an error of {len(text)} letters: {text[:300]!r}")
    if doubled(text):
        raise WrongResultError(f"doubled punctuation: {text}")


def doubled(text: str) -> bool:
    """Whether two marks stand where one belongs, beyond what is quoted."""
    return _DOUBLED.search(_QUOTED.sub("x", text)) is not None


def known(error: BaseException) -> bool:
    """Whether an exception is how a case may end."""
    if isinstance(error, RS2SAMError):
        check_line(str(error))
        return True
    return isinstance(error, RefusedError)


def strict_json(text: str) -> Any:
    """Read JSON as every reader reads it.

    Raises:
        WrongResultError: it is none.
    """

    def refuse(constant: str) -> None:
        raise WrongResultError(f"JSON with {constant}")

    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError as error:
        raise WrongResultError(f"no JSON: {error}") from error


def require(holds: bool, what: str) -> None:
    """Raise WrongResultError unless something holds of a result."""
    if not holds:
        raise WrongResultError(what)


def all_finite(values: Sequence[float]) -> bool:
    """Whether all numbers are finite."""
    return all(map(math.isfinite, values))
