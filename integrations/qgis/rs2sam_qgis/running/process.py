"""rs2sam as a program: its lines are followed while it runs, and it can be stopped."""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .commands import environment_for_program
from .errors import CanceledError, RunError

_PROGRESS = re.compile(r"progress: (\d+)/(\d+) (\w+)\s*$")
_ERROR = re.compile(r"error: ", re.IGNORECASE)
_SECONDS_TO_ANSWER = 60.0
_SECONDS_TO_END = 10.0
_POLL_SECONDS = 0.1
_WITHOUT_A_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows would open a console


@dataclass
class Progress:
    """How far a run is, from its lines `progress: 3/20 views`.

    With many scenes the views are those of the scene under way.
    """

    counts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def read(self, line: str) -> bool:
        """Take in a line; False if it does not speak of progress."""
        match = _PROGRESS.match(line)
        if match is None:
            return False
        unit = match[3]
        self.counts[unit] = (int(match[1]), int(match[2]))
        if unit == "scenes":
            self.counts.pop("views", None)
        return True

    @property
    def percent(self) -> float:
        """In [0, 100]."""
        done, total = self.counts.get("views", (0, 1))
        part = done / max(total, 1)
        if "scenes" in self.counts:
            scenes, total_scenes = self.counts["scenes"]
            part = (scenes + min(part, 1)) / max(total_scenes, 1)
        return 100 * min(part, 1.0)


@dataclass(frozen=True)
class Outcome:
    """How a program ended: the object that it printed, and what it complained about."""

    report: dict[str, Any]
    problem: str = ""


def run_program(
    command: Sequence[str],
    on_progress: Callable[[float], None],
    on_line: Callable[[str], None],
    is_canceled: Callable[[], bool],
) -> Outcome:
    """Run a command line of rs2sam to its end.

    Args:
        command: with `--progress lines` and `--json`.
        on_progress: told how far it is, in [0, 100].
        on_line: told every other line of stderr.
        is_canceled: asked ten times a second.

    Raises:
        CanceledError: when the user stopped it.
        RunError: when it printed no report.
    """
    # A file takes any length; a pipe that nobody reads would stop the program.
    with tempfile.TemporaryFile() as stdout:
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                env=environment_for_program(os.environ),
                creationflags=_WITHOUT_A_WINDOW,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise RunError(
                f"{command[0]} cannot be run: {error.strerror or error}. Name another program in the settings."
            ) from error
        lines = _follow(process, on_progress, on_line, is_canceled)
        stdout.seek(0)
        printed = stdout.read().decode("utf-8", "replace")
    return _outcome(command, process.returncode, printed, lines)


def version_of(program: Sequence[str]) -> str:
    """What a program says of its version, e.g. `rs2sam, version 0.2.0`.

    Raises:
        RunError: when it is not rs2sam or does not answer.
    """
    try:
        answer = subprocess.run(
            [*program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS_TO_ANSWER,
            env=environment_for_program(os.environ),
            creationflags=_WITHOUT_A_WINDOW,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunError(f"{program[0]} cannot be run: {error}. Name another program in the settings.") from error
    said = answer.stdout.strip()
    if answer.returncode or not said.startswith("rs2sam"):
        complaint = answer.stderr.strip().rpartition("\n")[2]
        raise RunError(f"{program[0]} is not rs2sam ({complaint or said or 'it says nothing'}).")
    return said


def _follow(
    process: subprocess.Popen[str],
    on_progress: Callable[[float], None],
    on_line: Callable[[str], None],
    is_canceled: Callable[[], bool],
) -> list[str]:
    """Read stderr until the program ends; the lines that are no progress."""
    coming: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stderr is not None
        with process.stderr as stderr:
            for line in stderr:
                coming.put(line.rstrip())
        coming.put(None)

    threading.Thread(target=read, daemon=True).start()
    progress, lines = Progress(), []
    try:
        while True:
            if is_canceled():
                raise CanceledError
            try:
                line = coming.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if line is None:
                break
            if progress.read(line):
                on_progress(progress.percent)
            elif line:
                lines.append(line)
                on_line(line)
        process.wait()
    finally:
        _end(process)
    return lines


def _end(process: subprocess.Popen[str]) -> None:
    """Let a program that still runs tidy up, then end it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _outcome(command: Sequence[str], code: int, printed: str, lines: Sequence[str]) -> Outcome:
    """What the program printed; without a report its own error."""
    said = [line for line in lines if _ERROR.match(line)]
    problem = _ERROR.sub("", said[-1]) if said else ""
    try:
        report = json.loads(printed)
    except ValueError:
        report = None
    if isinstance(report, dict):
        return Outcome(report, problem if code else "")
    if "No such option" in problem and "progress" in problem:
        raise RunError(f"{command[0]} is older than this plugin. Update it: pip install --upgrade rs2sam.")
    if not problem:
        problem = f"rs2sam ended with code {code} and without results" + "".join(f"\n{line}" for line in lines[-5:])
    raise RunError(problem)
