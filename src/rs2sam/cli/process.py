"""What surrounds a command: streams that may be closed, full or of another encoding, and signals that end it."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, TextIO

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


def hush_libraries() -> None:
    """Keep words of libraries off stderr that say less than the error of ours that follows.

    PIL logs what it finds odd in a TIFF that GDAL reads, and warns of EXIF that is cut short. rasterio's callbacks
    cannot decode what GDAL says of tags that are no UTF-8, and show tracebacks: by `sys.excepthook` without a single
    frame, then by `sys.unraisablehook`.
    """
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    for kind in (UserWarning, RuntimeWarning):
        warnings.filterwarnings("ignore", category=kind, module=r"PIL\.")
    if not isinstance(sys.excepthook, _ExceptHook):
        sys.excepthook = _ExceptHook(sys.excepthook)
    if not isinstance(sys.unraisablehook, _UnraisableHook):
        sys.unraisablehook = _UnraisableHook(sys.unraisablehook)


class _ExceptHook:
    """Passes over what rasterio's callbacks show.

    Args:
        other: the hook for everything else.
    """

    def __init__(self, other: Callable[..., object]) -> None:
        self._other = other

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Take an exception that nobody caught."""
        if not (isinstance(error, UnicodeDecodeError) and trace is None):
            self._other(kind, error, trace)


class _UnraisableHook:
    """Passes over what rasterio's callbacks cannot raise.

    Args:
        other: the hook for everything else.
    """

    def __init__(self, other: Callable[[Any], object]) -> None:
        self._other = other

    def __call__(self, unraisable: Any) -> None:
        """Take what cannot be raised."""
        if not str(unraisable.object).startswith("rasterio._e"):  # `_env`, `_err`
            self._other(unraisable)


def is_of_output(error: OSError) -> bool:
    """Whether an error is about stdout or stderr: a full device, a closed descriptor; not about a file by name."""
    return error.errno in _OF_OUTPUT and error.filename is None


def give_up_output() -> None:
    """Let what waits to be written to stdout go nowhere, so that the process can end without a second error."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
