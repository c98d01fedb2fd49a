from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.evaluation import EvaluationReport
from rs2sam.evaluation.analysis import (
    calibration,
    group_rows,
    grouped,
    iou_histogram,
    precision_curve,
    reliability,
    size_bin,
    threshold_sweep,
    timing,
)
from rs2sam.metrics import PixelCounts
from tests.evaluation.stand_in import result


def of_share(pixels: int, **fields):
    return result(f"{pixels}", (0, 1), everything=PixelCounts(pixels, 10_000), **fields)


@pytest.mark.parametrize(
    ("pixels", "name"),
    [
        (0, "below 0.1 %"),  # vanished when it was resized, yet meant
        (9, "below 0.1 %"),
        (10, "0.1 to 1 %"),
        (100, "1 to 5 %"),
        (499, "1 to 5 %"),
        (500, "5 to 25 %"),
        (2500, "25 % and above"),
        (10_000, "25 % and above"),
    ],
)
def test_size_is_the_targets_share_of_the_image(pixels, name):
    assert size_bin(of_share(pixels)) == name


def test_nothing_meant_is_a_size_of_its_own_and_sizes_ascend():
    results = [of_share(3000), of_share(5), of_share(0, is_empty=True)]
    assert list(grouped(results, "size")) == ["nothing meant", "below 0.1 %", "25 % and above"]


def test_rows_of_groups_by_hand():
    results = [
        result("a", (1, 2), category="ship"),
        result("b", (1, 1), category="plane"),
        result("c", (0, 2), category="ship"),
    ]
    plane, ship = group_rows(results, "native", "category")
    assert (plane["name"], plane["n"], plane["mIoU"]) == ("plane", 1, 1.0)
    assert (ship["name"], ship["n"], ship["mIoU"], ship["oIoU"], ship["Pr@0.5"]) == ("ship", 2, 0.25, 0.25, 0.5)
    assert (ship["everything"], ship["class_only"]) == (0.25, None)


def test_rows_of_kinds_have_the_reference_lines_of_what_is_known():
    results = [
        replace(result("a", (1, 2), kind="class"), class_only=PixelCounts(3, 4)),
        result("b", (1, 1), kind="class"),
        result("c", (0, 2), kind="place"),
    ]
    rows = group_rows(results, "native", "kind")
    assert [(row["name"], row["n"], row["class_only"]) for row in rows] == [("class", 2, 0.75), ("place", 1, None)]


def test_histogram_puts_edges_where_they_belong():
    histogram = iou_histogram(np.array([0.0, 3 / 20, 7 / 20, 0.049, 19 / 20, 1.0]))
    counts = dict(zip(histogram["edges"], histogram["counts"], strict=False))
    assert {edge: count for edge, count in counts.items() if count} == {0.0: 2, 0.15: 1, 0.35: 1, 0.95: 2}


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 400)).map(lambda p: min(p) / max(p)), min_size=1))
def test_histogram_counts_every_sample_once_and_the_curve_falls(ious):
    values = np.array(ious)
    histogram, curve = iou_histogram(values), precision_curve(values)
    assert sum(histogram["counts"]) == len(ious)
    assert (len(histogram["counts"]), histogram["edges"][0], histogram["edges"][-1]) == (20, 0.0, 1.0)
    assert curve["thresholds"] == [k / 100 for k in range(101)]
    assert curve["shares"][0] == 1.0
    assert curve["shares"] == sorted(curve["shares"], reverse=True)


def test_curve_counts_an_iou_equal_to_the_threshold():
    curve = precision_curve(np.array([0.5, 0.29]))
    at = dict(zip(curve["thresholds"], curve["shares"], strict=True))
    assert (at[0.29], at[0.3], at[0.5], at[0.51]) == (1.0, 0.5, 0.5, 0.0)


def test_sweep_is_a_metric_row_at_each_threshold():
    sweep = tuple(PixelCounts(k, 10) for k in range(9, 0, -1))
    rows = threshold_sweep([result("a", (5, 10), sweep=sweep)], "native")
    assert [row["threshold"] for row in rows] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert [row["mIoU"] for row in rows] == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    assert threshold_sweep([result("a", (5, 10))], "native") == []


def test_reliability_by_hand():
    found = reliability(np.array([0.05, 0.15, 0.15, 1.0]), np.array([0.0, 1.0, 0.0, 1.0]))
    assert found["mean_square"] == pytest.approx((0.05**2 + 0.85**2 + 0.15**2) / 4)
    assert found["expected_error"] == pytest.approx((0.05 + 2 * 0.35 + 0) / 4)
    assert [one["n"] for one in found["bins"]] == [1, 2, 0, 0, 0, 0, 0, 0, 0, 1]
    assert found["bins"][1] == {"from": 0.1, "n": 2, "predicted": pytest.approx(0.15), "observed": 0.5}
    assert found["bins"][2]["observed"] is None
    assert found["bins"][2]["predicted"] is None
    assert [one["from"] for one in found["bins"]] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert found["n"] == 4


def test_calibration_of_presence_and_score():
    results = (
        result("a", (1, 2), presence=0.9, score=0.5),
        result("b", (0, 2), presence=0.1, score=0.5, is_empty=True),
    )
    found = calibration(EvaluationReport(results, "native"))
    assert found["presence"]["mean_square"] == pytest.approx(0.01)
    assert found["presence"]["area_under_curve"] == 1.0
    assert found["presence"]["share_present"] == 0.5
    assert found["score"]["mean_square"] == pytest.approx(0.125)


def test_weights_without_heads_have_no_calibration():
    assert calibration(EvaluationReport((result("a", (1, 2)),), "native")) == {"presence": None, "score": None}


def test_timing_by_hand():
    found = timing([result(str(k), (1, 2), seconds=float(k)) for k in range(11)])
    assert found == {"mean": 5.0, "median": 5.0, "percentile_90": 9.0}
