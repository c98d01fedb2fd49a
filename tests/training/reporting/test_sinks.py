"""Log file, terminal and TensorBoard: what they say, and what a resumed run leaves of the old."""

from __future__ import annotations

import io
import json
import sys

import pytest
from PIL import Image

from rs2sam.training.reporting.sinks import LogFile, TensorBoard, Terminal, loss_terms, read_log


def training(step: int, **changes: object) -> dict[str, object]:
    figures = {"loss": 0.5, "dice": 0.25, "learning_rate": 1e-4, "new_learning_rate": 2e-4, "grad_norm": 1.5}
    return {"step": step, "epoch": 0.1, **figures, "samples_per_second": 12.345, "seconds": 3.0, **changes}


def validation(step: int, *, best: bool = True) -> dict[str, object]:
    row = {"n": 7, "protocol": "native", "mIoU": 0.5, "oIoU": 0.625, "Pr@0.5": 0.75}
    return {"step": step, "validation": row, "best": best}


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_loss_terms_are_what_is_no_figure_of_the_run():
    assert loss_terms(training(1, boundary=0.125)) == {"dice": 0.25, "boundary": 0.125}
    assert loss_terms(validation(1)) == {}


def test_lines_of_a_log_that_are_none_of_ours_are_left_out(tmp_path):
    log = LogFile(tmp_path / "log.jsonl")
    log.begin(0, 10)
    log.logged(training(1))
    with log.path.open("ab") as file:
        file.write(b'\xff\xfe\n[]\n{"step": "many"}\n{"step": [1]}\n' + b"[" * 100_000 + b'\n{"step": 2, "lo')
    assert [entry["step"] for entry in read_log(log.path)] == [1]
    log.begin(5, 10)
    assert [json.loads(line)["step"] for line in log.path.read_text().splitlines()] == [1]


def test_log_file_holds_one_object_a_line(tmp_path):
    log = LogFile(tmp_path / "run" / "log.jsonl")
    log.begin(0, 10)
    log.logged(training(5))
    log.validated(validation(5), None)
    lines = log.path.read_text().splitlines()
    assert [json.loads(line) for line in lines] == [training(5), validation(5)] == read_log(log.path)


def test_log_file_of_a_new_run_starts_empty(tmp_path):
    log = LogFile(tmp_path / "log.jsonl")
    log.path.write_text('{"step": 3}\n')
    log.begin(0, 10)
    assert log.path.read_text() == ""


def test_log_file_is_cut_back_to_the_checkpoint(tmp_path):
    log = LogFile(tmp_path / "log.jsonl")
    log.begin(0, 10)
    for step in (2, 4, 6):
        log.logged(training(step))
    log.validated(validation(6), None)
    with log.path.open("a") as file:
        file.write('{"step": 4, "lo')  # killed while it wrote
    log.begin(4, 10)
    log.logged(training(6))
    assert [entry["step"] for entry in read_log(log.path)] == [2, 4, 6]
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_log_file_is_valid_json_when_a_figure_is_not_finite(tmp_path):
    log = LogFile(tmp_path / "log.jsonl")
    log.begin(0, 10)
    log.logged(training(1, grad_norm=float("inf")))
    assert read_log(log.path)[0]["grad_norm"] is None


def test_no_log_file_has_no_entries(tmp_path):
    assert read_log(tmp_path / "log.jsonl") == []


def test_terminal_shows_a_bar_with_loss_rate_and_time_left(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    terminal = Terminal()
    terminal.begin(4, 8)
    terminal.stepped(5)
    terminal.stepped(6)
    terminal.logged(training(6))
    terminal.validated(validation(6), None)
    terminal.logged(training(8))
    terminal.end()
    shown = screen.getvalue()
    assert "75%" in shown
    assert "6/8" in shown
    assert " left, loss 0.5000, 12.3 samples/s]" in shown
    assert "validation: mIoU 50.00  oIoU 62.50  Pr@0.5 75.00  (7 samples)  best so far" in shown
    assert "val mIoU 50.0" in shown


def test_without_a_terminal_some_lines_are_written_and_the_last(monkeypatch):
    paper = io.StringIO()
    monkeypatch.setattr(sys, "stderr", paper)
    terminal = Terminal()
    terminal.begin(0, 500)
    for step in range(1, 501):
        terminal.stepped(step)
        terminal.logged(training(step))
    terminal.validated(validation(500, best=False), None)
    terminal.end()
    lines = paper.getvalue().splitlines()
    assert [int(line.split()[1].split("/")[0]) for line in lines] == [*range(1, 500, 10), 500, 500]
    assert lines[0].startswith("step 1/500  loss 0.5000, 12.3 samples/s  ")
    assert lines[-1].endswith("(7 samples)")


def test_tensorboard_holds_every_curve_and_the_sheet(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = TensorBoard(tmp_path)
    board.begin(0, 10)
    board.logged(training(5))
    board.validated(validation(5), Image.new("RGB", (6, 4)))
    board.end()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert set(events.Tags()["scalars"]) == {
        "loss/total",
        "loss/dice",
        "rate/learning_rate",
        "rate/new_learning_rate",
        "run/grad_norm",
        "run/samples_per_second",
        "validation/mIoU",
        "validation/oIoU",
        "validation/Pr@0.5",
    }
    assert [(event.step, event.value) for event in events.Scalars("loss/dice")] == [(5, 0.25)]
    assert events.Tags()["images"] == ["validation"]


def test_without_tensorboard_a_note_says_so_and_nothing_fails(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    board = TensorBoard(tmp_path)
    board.begin(0, 10)
    board.logged(training(5))
    board.validated(validation(5), Image.new("RGB", (6, 4)))
    board.end()
    assert "pip install 'rs2sam[train]'" in caplog.text
    assert "log.jsonl" in caplog.text
    assert not list(tmp_path.iterdir())
