"""What surrounds a command: streams that may be closed, full or of another encoding, and signals that end it."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TextIO

_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # no SIGHUP on Windows
_OF_OUTPUT = {errno.ENOSPC, errno.EIO, errno.EBADF}


class Terminated(KeyboardInterrupt):
    """A signal asked the process to end: whoever is at work leaves as after Ctrl-C.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number


@contextmanager
def ending_politely() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an exception, so that unfinished files go; what is ignored stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, _frame: FrameType | None) -> None:
        # Once: a second one must not stop the tidying up. SIGKILL still does.
        for each in taken:
            signal.signal(each, signal.SIG_IGN)
        raise Terminated(number)

    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def open_streams() -> None:
    """Let words go to streams that are closed, and letters to those whose encoding lacks them."""
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:  # `2>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process
        elif getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def is_of_output(error: OSError) -> bool:
    """Whether an error is about stdout or stderr: a full device, a closed descriptor; not about a file by name."""
    return error.errno in _OF_OUTPUT and error.filename is None


def give_up_output() -> None:
    """Let what waits to be written to stdout go nowhere, so that the process can end without a second error."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
