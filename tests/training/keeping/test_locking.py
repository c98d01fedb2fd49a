"""A run's folder is of one process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rs2sam.errors import InvalidInputError
from rs2sam.training.keeping.locking import LOCK_FILE, only_run_in

HOLD = """
import sys
from pathlib import Path
from rs2sam.training.keeping.locking import only_run_in
with only_run_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_second_process_is_refused_and_told_of_the_first(holder, tmp_path):
    words = rf"another process trains in .*run` \(process {holder.pid} on "
    with pytest.raises(InvalidInputError, match=words), only_run_in(tmp_path / "run"):
        pass


def test_killed_process_holds_nothing(holder, tmp_path):
    holder.kill()
    holder.wait()
    with only_run_in(tmp_path / "run"):
        assert f"process {os.getpid()} on" in (tmp_path / "run" / LOCK_FILE).read_text()


def test_folder_is_free_again_afterwards(tmp_path):
    for _ in range(2):
        with only_run_in(tmp_path / "run"):
            pass
