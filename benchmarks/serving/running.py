"""`rs2sam serve` as a process of its own, for the scripts of this folder; nothing they start outlives them."""

from __future__ import annotations

import argparse
import ctypes
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

OBJECTS = ("the water", "the storage tanks", "the buildings", "the trees", "the road", "the ships", "the roofs")
PLACES = ("", " on the left", " on the right", " at the top", " at the bottom", " in the middle", " near the river")
SENTENCES = tuple(one + place for place in PLACES for one in OBJECTS)
"""49 that differ, so that none is answered from what another left."""

START_S = 180.0
"""A service that has not said its address by then never will, not even on a machine that others use, too [s]."""

END_S = 15.0
"""A process that was asked to end is killed after this [s]."""

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Running:
    """A service that answers.

    Args:
        url: of it, without a slash at the end.
        pid: of its process.
    """

    url: str
    pid: int

    def memory_mib(self) -> float:
        """Resident memory of its process, as Linux counts it."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        return int(status.partition("VmRSS:")[2].split()[0]) / 2**10


def parser_of(description: str | None, seconds: float) -> argparse.ArgumentParser:
    """What every script of this folder takes from the command line.

    Args:
        description: of the script.
        seconds: that it takes at most, unless `--seconds` says otherwise.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="compact")
    parser.add_argument("--image", type=Path, help="cropped or mirrored to --side [default: the scene that is drawn]")
    parser.add_argument("--side", type=int, default=1024, help="of the image [px]")
    parser.add_argument("--threads", type=int, help="of the model [default: all cores]")
    parser.add_argument("--seconds", type=float, default=seconds, help=f"that all takes at most [default: {seconds:g}]")
    return parser


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """End what takes longer, and end in order when this process is told to end: `finally` has its turn.

    Raises:
        SystemExit: time is over, or the process was told to end.
    """

    def told(number: int, _frame: FrameType | None) -> NoReturn:
        if number == signal.SIGALRM:
            raise SystemExit(f"Not done after {seconds:g} s. Give it longer (--seconds), or ask less.")
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def ends_with_parent() -> None:
    """Before a program starts: have Linux end it with this process, which may be killed without another word."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def process(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block, however that is left."""
    started = subprocess.Popen(command, preexec_fn=ends_with_parent, **options)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(END_S)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@contextmanager
def service(model: str, threads: int | None) -> Iterator[Running]:
    """A service in a folder that goes with it; no limit of its rate, which is that of one client.

    Args:
        model: name or folder.
        threads: of the model; None: all cores.

    Raises:
        SystemExit: it ended before it answered; the text is what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "rs2sam", "serve", "--port", "0", "--data", f"{folder}/data", "--model", model]
        command += ["--rate", "1000000", *([] if threads is None else ["--threads", str(threads)])]
        said = Path(folder, "said.txt")  # a pipe that nobody reads would stop it once it is full
        with said.open("w", encoding="utf-8") as file, process(command, stderr=file) as started:
            yield Running(_url(started, said), started.pid)


def _url(started: subprocess.Popen[bytes], said: Path) -> str:
    """Where a service answers, once it says so."""
    until = time.monotonic() + START_S
    while started.poll() is None and time.monotonic() < until:
        if found := re.search(r"http://\S+:\d+", said.read_text(encoding="utf-8")):
            return found.group()
        time.sleep(0.1)
    raise SystemExit(f"The service has not answered: {said.read_text(encoding='utf-8') or 'it said nothing'}")
