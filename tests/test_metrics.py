from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.errors import InvalidInputError
from rs2sam.metrics import PixelCounts, SegmentationMetrics

counts = st.integers(0, 50).flatmap(lambda i: st.builds(PixelCounts, st.just(i), st.integers(i, 100)))


def test_counts_of_a_4x4_example_by_hand():
    mask = np.zeros((4, 4), bool)
    target = np.zeros((4, 4), bool)
    mask[:2, :2] = True  # 4 pixels
    target[1:3, :2] = True  # 4 pixels, 2 of them shared
    assert PixelCounts.of(mask, target) == PixelCounts(intersection=2, union=6)


def test_iou_of_an_empty_union_depends_on_the_protocol_only():
    assert PixelCounts(0, 0).iou("published") == 0.0
    assert PixelCounts(0, 0).iou("native") == 1.0
    assert PixelCounts(0, 5).iou("published") == PixelCounts(0, 5).iou("native") == 0.0


def test_precision_counts_an_iou_equal_to_the_threshold():
    metrics = SegmentationMetrics.of([PixelCounts(5, 10), PixelCounts(9, 10)], "published")
    assert metrics.precision == {0.5: 1.0, 0.6: 0.5, 0.7: 0.5, 0.8: 0.5, 0.9: 0.5}
    assert metrics.miou == pytest.approx(0.7)
    assert metrics.oiou == pytest.approx(14 / 20)


def test_nothing_found_where_nothing_is_meant_is_right_in_sum_too():
    nothing = [PixelCounts(0, 0)] * 3
    assert [SegmentationMetrics.of(nothing, protocol).oiou for protocol in ("native", "published")] == [1.0, 0.0]
    assert SegmentationMetrics.of([*nothing, PixelCounts(0, 1)], "native").oiou == 0.0


def test_shapes_that_differ_are_refused_with_both_shapes():
    with pytest.raises(InvalidInputError, match=r"\(2, 2\) and \(2, 3\)"):
        PixelCounts.of(np.zeros((2, 2), bool), np.zeros((2, 3), bool))


def test_no_samples_are_refused():
    with pytest.raises(InvalidInputError, match="at least one sample"):
        SegmentationMetrics.of([], "native")


@given(st.lists(counts, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_metrics_do_not_depend_on_the_order_of_samples(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert SegmentationMetrics.of(rows, "native") == SegmentationMetrics.of(shuffled, "native")


@given(st.lists(counts, min_size=1, max_size=30))
def test_precision_falls_with_the_threshold_and_all_shares_are_shares(rows):
    metrics = SegmentationMetrics.of(rows, "published")
    shares = list(metrics.precision.values())
    assert shares == sorted(shares, reverse=True)
    assert all(0 <= share <= 1 for share in [metrics.miou, metrics.oiou, *shares])


def test_published_evaluation_is_reproduced(golden_dir):
    expected = json.loads((golden_dir / "metrics/metrics.json").read_text())
    arrays = np.load(golden_dir / "metrics/metrics.npz")
    masks, targets = arrays["logits"] > 0.5, arrays["targets"] > 0
    rows = [PixelCounts.of(mask, target) for mask, target in zip(masks, targets, strict=True)]
    assert [row.intersection for row in rows] == arrays["I"].tolist()
    assert [row.union for row in rows] == arrays["U"].tolist()
    metrics = SegmentationMetrics.of(rows, "published").as_dict()
    for name in ["mIoU", "oIoU", "Pr@0.5", "Pr@0.6", "Pr@0.7", "Pr@0.8", "Pr@0.9"]:
        assert metrics[name] == pytest.approx(expected[name], abs=1e-12)
    native = SegmentationMetrics.of(rows, "native")
    assert native.miou == pytest.approx(expected["other_convention_both_empty_counts_1"]["mIoU"], abs=1e-12)


def test_ignored_pixels_count_for_nothing():
    mask = np.array([[True, True, False, True]])
    target = np.array([[True, False, True, True]])
    ignore = np.array([[False, True, False, True]])
    assert PixelCounts.of(mask, target, ignore) == PixelCounts(intersection=1, union=2)
    assert PixelCounts.of(mask, target, np.ones_like(ignore)) == PixelCounts(0, 0)
    assert PixelCounts.of(mask, target, np.zeros_like(ignore)) == PixelCounts.of(mask, target)
    with pytest.raises(InvalidInputError, match=r"`ignore` must have the target's shape \(1, 4\)"):
        PixelCounts.of(mask, target, ignore.T)


def test_a_row_is_printed_in_percent_as_tables_have_it():
    metrics = SegmentationMetrics.of([PixelCounts(5, 10), PixelCounts(9, 10)], "published")
    assert str(metrics) == (
        "mIoU 70.00  oIoU 70.00  Pr@0.5 100.00  Pr@0.6 50.00  Pr@0.7 50.00  Pr@0.8 50.00  Pr@0.9 50.00  "
        "(n=2, published)"
    )
    assert list(metrics.as_dict()) == [
        "n", "protocol", "mIoU", "oIoU", "Pr@0.5", "Pr@0.6", "Pr@0.7", "Pr@0.8", "Pr@0.9",
    ]  # fmt: skip


def test_counts_and_rows_are_values_that_cannot_be_changed():
    counts = PixelCounts(1, 2)
    with pytest.raises(FrozenInstanceError):
        counts.union = 3
    with pytest.raises(FrozenInstanceError):
        SegmentationMetrics.of([counts], "native").miou = 1.0
