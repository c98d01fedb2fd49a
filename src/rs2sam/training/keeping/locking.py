"""One run a folder: two processes that train in the same folder would delete and overwrite each other's checkpoints."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rs2sam.errors import InvalidInputError

logger = logging.getLogger(__name__)

LOCK_FILE = ".lock"


@contextmanager
def only_run_in(output_dir: Path) -> Iterator[None]:
    """Hold a run's folder against other processes, on this machine and others that share the disk.

    The system lets go of it however the process ends. Loading processes do not inherit it (it is a record lock), so
    that a run can be resumed at once after a kill.

    Args:
        output_dir: of the run; made where it is not there.

    Raises:
        InvalidInputError: another process trains in it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    output_dir.mkdir(parents=True, exist_ok=True)
    path = output_dir / LOCK_FILE
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            raise InvalidInputError(
                f"another process trains in `{output_dir}` ({file.read().strip() or 'unknown'}); wait for it or stop "
                "it, or give another folder"
            ) from error
        except OSError as error:  # a file system without locks
            logger.debug("`%s` cannot be locked: %s", path, error)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
