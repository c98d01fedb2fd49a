"""Trainings of an ablation as processes of their own: what they say, how they end, how they are stopped."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from rs2sam.errors import InvalidInputError, TrainingError
from rs2sam.training.ablation.runs import train_by_command


def test_a_command_that_fails_says_its_last_line(tmp_path):
    fails = tmp_path / "rs2sam" / "__main__.py"
    fails.parent.mkdir()
    (fails.parent / "__init__.py").touch()
    fails.write_text("import sys; print('started', sys.argv[1:]); sys.exit('error: no room left\\n')")
    code = f"import sys, runpy; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[1:2] = []; runpy.run_module('rs2sam')"
    launcher = [sys.executable, "-S", "-c", code.replace("'rs2sam'", "'rs2sam.__main__', run_name='__main__'")]
    train = train_by_command(launcher)
    log = tmp_path / "train.log"
    with pytest.raises(TrainingError, match=r"^no room left \(exit code 1; all of it is in .*train.log\)"):
        train(Path("recipe.yaml"), Path("out"), True, log)
    assert "started ['rs2sam', 'train', 'recipe.yaml', '-o', 'out', '--resume']" in log.read_text()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("[rank1]: Traceback\n[rank1]:   File a.py\n[rank1]: RuntimeError: full\n\n=====\n", "RuntimeError: full"),
        ("error: no room left\ntorch.distributed.elastic.x.ChildFailedError: \n=====\n", "no room left"),
        ("step 1\nKilled\n\n", "Killed"),
        ("", "training said nothing"),
    ],
)  # fmt: skip
def test_reason_of_a_failure_is_found_among_what_a_launcher_says(said, words, tmp_path):
    train = train_by_command([sys.executable, "-c", f"import sys; print({said!r}); sys.exit(1)"])
    with pytest.raises(TrainingError, match=f"^{words} .exit code 1"):
        train(Path("recipe.yaml"), tmp_path, False, tmp_path / "log")


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
def test_grid_that_is_told_to_stop_stops_its_training_and_waits_for_it(tmp_path):
    ready, done = tmp_path / "ready", tmp_path / "done"
    training = (
        "import signal, sys, time; from pathlib import Path\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (Path({str(done)!r}).touch(), sys.exit(130)))\n"
        f"Path({str(ready)!r}).touch(); time.sleep(60)"
    )

    before = signal.getsignal(signal.SIGTERM)

    def stop() -> None:
        while not ready.exists() or signal.getsignal(signal.SIGTERM) == before:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    with pytest.raises(KeyboardInterrupt):
        train_by_command([sys.executable, "-c", training])(Path("recipe.yaml"), tmp_path, False, tmp_path / "log")
    assert done.exists()
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_interrupted_training_interrupts_the_grid(tmp_path):
    train = train_by_command([sys.executable, "-c", "import sys; sys.exit(130)"])
    with pytest.raises(KeyboardInterrupt):
        train(Path("recipe.yaml"), tmp_path, False, tmp_path / "log")


def test_a_launcher_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match=r"`no-such-launcher` cannot be started.*--launcher"):
        train_by_command(["no-such-launcher"])(Path("recipe.yaml"), tmp_path, False, tmp_path / "log")
