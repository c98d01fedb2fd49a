"""What surrounds the command line: streams, signals, names, and arguments that were meant otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from rs2sam.cli import main
from rs2sam.cli.process import Terminated, ending_politely
from tests.make_rasters import write_tiff

COMMAND = [sys.executable, "-m", "rs2sam"]
needs_dev_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")


def start(*args: str, **how: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *args], check=False, stdin=subprocess.DEVNULL, **{"capture_output": True, **how})


def invoke(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


# --- streams ----------------------------------------------------------------------------------------------------------


@needs_dev_full
@pytest.mark.parametrize("args", [["--help"], ["models"], ["segment", "--help"], ["models", "--json"]])
def test_a_full_output_is_one_line_and_exit_code_1(args: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = start(*args, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.decode().count("\n") == 1
    assert "the output cannot be written" in done.stderr.decode()


@needs_dev_full
def test_a_full_stderr_changes_no_exit_code(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = start("segment", str(tmp_path / "gone"), "a", "-o", "o", capture_output=False, stderr=full)
    assert done.returncode == 1


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-"])
def test_closed_streams_are_no_error(closed: str) -> None:
    line = f"{sys.executable} -m rs2sam -vv models {closed}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_a_terminal_of_another_encoding_shows_what_it_can(picture: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONIOENCODING": "latin-1:strict"}
    done = start("segment", str(picture), "the 🛢 or 船", "-o", str(tmp_path / "o"), "--threads", "1", env=env)
    assert done.returncode == 0, done.stderr
    assert b"\\U0001f6e2" in done.stdout


# --- signals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_run_and_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    path = write_tiff(tmp_path / "a.tif", np.zeros((1500, 1500, 3), np.uint8) + 90)
    out = tmp_path / "out"
    args = ["segment", str(path), "the pond", "-o", str(out), "--tile", "64", "--threads", "1"]
    run = subprocess.Popen([*COMMAND, *args], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(out.glob(".rs2sam-*/pixels.blocks")) and time.monotonic() < deadline:
        assert run.poll() is None
        time.sleep(0.05)
    run.send_signal(getattr(signal, name))
    stderr = run.communicate(timeout=120)[1].decode()
    assert run.returncode == 128 + getattr(signal, name)
    assert f"stopped by {name}" in stderr
    assert "Traceback" not in stderr
    assert not out.exists()


def test_signals_that_are_ignored_or_taken_stay_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_politely():
            os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(Terminated, match="stopped by SIGTERM") as stop, ending_politely():
            signal.raise_signal(signal.SIGTERM)
        assert stop.value.exit_code == 143
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


# --- arguments that were meant otherwise ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("segmnt", "segment"), ("modles", "models"), ("bench", "benchmark"), ("demo_scene", "demo-scene")],
)
def test_a_misspelled_command_names_the_nearest(typed: str, meant: str) -> None:
    result = invoke(typed)
    assert result.exit_code == 2
    assert f"Did you mean '{meant}'?" in result.output


def test_a_command_that_is_like_none_is_refused() -> None:
    result = invoke("xyzzy")
    assert (result.exit_code, "Did you mean" in result.output) == (2, False)


@pytest.mark.parametrize(("typed", "meant"), [("compackt", "compact"), ("Compact", "compact"), ("rrsis-d", "rrsisd")])
def test_a_misspelled_model_names_the_nearest(picture: Path, typed: str, meant: str, tmp_path: Path) -> None:
    result = invoke("segment", str(picture), "a pond", "-o", str(tmp_path / "o"), "--model", typed)
    assert result.exit_code == 1
    assert f"Did you mean `{meant}`?" in result.output


@pytest.mark.parametrize("command", ["segment", "batch"])
def test_a_missing_sentence_is_wrong_usage(picture: Path, tmp_path: Path, command: str) -> None:
    result = invoke(command, str(picture), "-o", str(tmp_path / "o"))
    assert result.exit_code == 2
    assert "Missing argument 'SENTENCE'" in result.output


@pytest.mark.parametrize("command", ["segment", "batch"])
@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (["the", "roofs"], True),
        (["the", "largest", "ship"], True),
        (["the roofs", "all ships"], False),
        (["the"], False),
    ],
)
def test_forgotten_quotes_are_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, command: str, words: list[str], warned: bool
) -> None:
    result = invoke(command, str(tmp_path / "gone.tif"), *words, "-o", str(tmp_path / "o"))
    assert result.exit_code == 1
    said = [line for line in caplog.messages if "quotes forgotten" in line] + [
        line for line in result.output.splitlines() if "quotes forgotten" in line
    ]
    assert bool(said) == warned
    if warned:
        assert f'"{" ".join(words)}"' in said[0]


def test_a_folder_as_image_names_the_command_for_folders(tmp_path: Path) -> None:
    (tmp_path / "many scenes").mkdir()
    result = invoke("segment", str(tmp_path / "many scenes"), "a pond", "-o", str(tmp_path / "o"))
    assert result.exit_code == 1
    assert f"rs2sam batch '{tmp_path}/many scenes'" in result.output


def test_a_name_that_leaves_no_room_for_results_is_refused_before_the_work(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / f"{'x' * 240}.tif", np.zeros((32, 32, 3), np.uint8))
    result = invoke("segment", str(path), "a pond", "-o", str(tmp_path / "o"), "--model", "gone")
    assert result.exit_code == 1
    assert "Rename the image" in result.output


def test_a_long_name_with_room_for_results_is_done(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / f"{'x' * 220}.tif", np.zeros((32, 32, 3), np.uint8))
    result = invoke("-v", "segment", str(path), "a pond", "-o", str(tmp_path / "o"), "--threads", "1")
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "o").iterdir())) == 4


def test_a_path_that_is_too_long_for_results_is_refused_before_the_work(tmp_path: Path, picture: Path) -> None:
    result = invoke("segment", str(picture), "a pond", "-o", str(tmp_path.joinpath(*["x" * 90] * 5)), "--model", "gone")
    assert result.exit_code == 1
    assert "nearer to the root" in result.output


# --- words ------------------------------------------------------------------------------------------------------------


def test_verbose_says_what_is_read_asked_and_found_and_how_long_it_took(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", np.zeros((40, 32, 3), np.uint8))

    def said(*before: str) -> list[str]:
        result = invoke(*before, "segment", str(path), "a pond", "-o", str(tmp_path / "o"), "--overwrite")
        assert result.exit_code == 0, result.output
        return result.stderr.splitlines()

    shown = "\n".join(said("-v"))
    for words in (
        "model compact from",
        "32 x 40 px of uint8",
        "asked in each of 1 views: a pond",
        "regions, ",
        "seconds: ",
    ):
        assert words in shown, words
    for words in ("model compact from", "asked in each of", "seconds: "):
        assert words not in "\n".join(said()), words
    assert said("-q") == []
