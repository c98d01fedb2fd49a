"""What measures the service leaves nothing running behind it, however it is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOLDING = """
from benchmarks.serving.running import bounded, process
import sys, time
with bounded(float(sys.argv[1])), process(["sleep", "600"]) as started:
    print(started.pid, flush=True)
    time.sleep(600)
"""


def holding(seconds: float) -> tuple[subprocess.Popen[str], int]:
    """A process that holds another one, whose id is given."""
    command = [sys.executable, "-c", HOLDING, str(seconds)]
    parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    return parent, int(parent.stdout.readline())


def is_gone(pid: int) -> bool:
    """Whether a process has ended within a while; one that nobody waited for yet has."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_the_service_of_a_benchmark_ends_with_it(number, code):
    parent, child = holding(600)
    os.kill(parent.pid, number)
    parent.communicate(timeout=60)
    assert parent.returncode == code
    assert is_gone(child)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_benchmark_that_takes_too_long_says_so_and_ends():
    parent, child = holding(1.0)
    _, said = parent.communicate(timeout=60)
    assert (parent.returncode, said) == (1, "Not done after 1 s. Give it longer (--seconds), or ask less.\n")
    assert is_gone(child)
