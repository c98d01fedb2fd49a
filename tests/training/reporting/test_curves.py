"""The curves of a run: their picture appears whatever the log holds, and smoothing is a plain mean."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rs2sam.training.reporting.curves import draw_curves, running_mean


def entries(count: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for number in range(1, count + 1):
        figures = {"loss": 3 / number, "dice": 2 / number, "presence": 0.0, "grad_norm": 1 / number}
        rows.append({"step": 10 * number, **figures, "learning_rate": 1e-4, "new_learning_rate": 2e-4})
        if number % 4 == 0:
            row = {"mIoU": 1 - 1 / number, "oIoU": 1 - 0.5 / number}
            rows.append({"step": 10 * number, "validation": row, "best": number % 8 == 0})
    return rows


@pytest.mark.parametrize("count", [1, 60])
def test_curves_are_one_picture(tmp_path, count):
    pytest.importorskip("matplotlib")
    assert draw_curves(entries(count), tmp_path / "training.png")
    with Image.open(tmp_path / "training.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape[1] > pixels.shape[0] > 500
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    assert [path.name for path in tmp_path.iterdir()] == ["training.png"]


def test_curves_of_a_log_with_gaps_and_without_losses(tmp_path):
    pytest.importorskip("matplotlib")
    gaps = entries(4)
    gaps[1]["loss"] = gaps[1]["grad_norm"] = None
    assert draw_curves(gaps, tmp_path / "gaps.png")
    assert draw_curves([entry for entry in gaps if "validation" in entry], tmp_path / "validation.png")
    assert draw_curves([], tmp_path / "empty.png")


def test_without_matplotlib_a_note_says_how_to_get_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert not draw_curves(entries(2), tmp_path / "training.png")
    assert "`training.png` needs `matplotlib`" in caplog.text
    assert not list(tmp_path.iterdir())


def test_running_mean_by_hand():
    values = np.array([0.0, 3.0, 6.0, 3.0, 10.0])
    assert running_mean(values, 1).tolist() == [0, 3, 4, pytest.approx(19 / 3), 10]
    assert running_mean(np.array([1.0, np.nan, 3.0]), 1).tolist() == [1, 2, 3]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.integers(0, 10))
def test_running_mean_stays_within_its_values_and_keeps_the_ends(values, reach):
    mean = running_mean(np.array(values), reach)
    assert mean.shape == (len(values),)
    assert mean.min() >= min(values) - 1e-9
    assert mean.max() <= max(values) + 1e-9
    assert mean[[0, -1]] == pytest.approx([values[0], values[-1]], abs=1e-9)
