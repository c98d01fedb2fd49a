"""What is behind the metric row: groups of samples, distribution of the IoU, thresholds, calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rs2sam.evaluation.results import SWEEP_THRESHOLDS, EvaluationReport, SampleResult
from rs2sam.metrics import Protocol, SegmentationMetrics

SIZE_BINS: tuple[tuple[float, str], ...] = (
    (0.001, "below 0.1 %"),
    (0.01, "0.1 to 1 %"),
    (0.05, "1 to 5 %"),
    (0.25, "5 to 25 %"),
    (float("inf"), "25 % and above"),
)
"""Target's share of the image: upper bound (exclusive) and name. 0.1 % of 800 x 800 pixels is a square of 25."""
NOTHING_MEANT = "nothing meant"
NUM_IOU_BINS, NUM_CALIBRATION_BINS = 20, 10


def size_bin(result: SampleResult) -> str:
    """Name of the bin of a sample's target."""
    if result.is_empty:
        return NOTHING_MEANT
    return next(name for bound, name in SIZE_BINS if result.target_share < bound)


def kind_of(result: SampleResult) -> str:
    """Kind of sentence."""
    return result.kind


def category_of(result: SampleResult) -> str:
    """Class of the target."""
    return result.category


GROUPINGS: dict[str, Callable[[SampleResult], str]] = {
    "kind": kind_of,
    "category": category_of,
    "size": size_bin,
}
"""What samples are grouped by."""


def grouped(results: Sequence[SampleResult], by: str) -> dict[str, list[SampleResult]]:
    """Samples by the name of their group; sizes ascending, others by name."""
    name_of = GROUPINGS[by]
    groups: dict[str, list[SampleResult]] = {}
    for result in results:
        groups.setdefault(name_of(result), []).append(result)
    order = [NOTHING_MEANT, *(name for _, name in SIZE_BINS)] if by == "size" else sorted(groups)
    return {name: groups[name] for name in order if name in groups}


def group_rows(results: Sequence[SampleResult], protocol: Protocol, by: str) -> list[dict[str, Any]]:
    """A metric row a group, with the mIoU of the reference lines.

    Args:
        results: samples, in any order.
        protocol: rule for empty unions.
        by: `kind`, `category` or `size`.
    """
    rows = []
    for name, members in grouped(results, by).items():
        known = [one.class_only for one in members if one.class_only is not None]
        rows.append(
            {
                "name": name,
                **SegmentationMetrics.of([one.counts for one in members], protocol).as_dict(),
                "everything": SegmentationMetrics.of([one.everything for one in members], protocol).miou,
                "class_only": SegmentationMetrics.of(known, protocol).miou if known else None,
            }
        )
    return rows


def ious_of(results: Sequence[SampleResult], protocol: Protocol) -> NDArray[np.float64]:
    """IoU of each sample: (n,) float64 in [0, 1]."""
    return np.array([one.counts.iou(protocol) for one in results], dtype=np.float64)


def iou_histogram(ious: NDArray[np.float64]) -> dict[str, Any]:
    """Samples in bins of 0.05; the last bin holds an IoU of 1 too."""
    # Not `np.histogram`: its edges are floats, which 0.15 and others miss. An IoU is a ratio of integers.
    places = np.minimum(np.floor(np.round(ious * NUM_IOU_BINS, 9)).astype(int), NUM_IOU_BINS - 1)
    edges = [round(k / NUM_IOU_BINS, 2) for k in range(NUM_IOU_BINS + 1)]
    return {"edges": edges, "counts": np.bincount(places, minlength=NUM_IOU_BINS).tolist()}


def precision_curve(ious: NDArray[np.float64]) -> dict[str, Any]:
    """Pr@X for X = 0, 0.01, ..., 1: the share of samples with IoU >= X."""
    thresholds = [round(k / 100, 2) for k in range(101)]
    return {"thresholds": thresholds, "shares": [float((ious >= x).mean()) for x in thresholds]}


def threshold_sweep(results: Sequence[SampleResult], protocol: Protocol) -> list[dict[str, Any]]:
    """The metric row at each probability threshold; empty where it was not counted."""
    if any(len(one.sweep) != len(SWEEP_THRESHOLDS) for one in results):
        return []
    return [
        {"threshold": threshold, **SegmentationMetrics.of([one.sweep[k] for one in results], protocol).as_dict()}
        for k, threshold in enumerate(SWEEP_THRESHOLDS)
    ]


def reliability(predicted: NDArray[np.float64], observed: NDArray[np.float64]) -> dict[str, Any]:
    """How far predictions in [0, 1] are what comes true.

    Args:
        predicted: (n,) float64 in [0, 1].
        observed: (n,) float64 in [0, 1]: 0 or 1 for an event, or the value itself.

    Returns:
        `bins` of width 0.1 with their count and both means; `mean_square` = mean((predicted - observed)^2), which for
        an event is the Brier score; `expected_error` = the mean over samples of |mean predicted - mean observed| in
        their bin.
    """
    places = np.minimum((predicted * NUM_CALIBRATION_BINS).astype(int), NUM_CALIBRATION_BINS - 1)
    bins: list[dict[str, Any]] = []
    for place in range(NUM_CALIBRATION_BINS):
        inside = places == place
        num = int(inside.sum())
        bins.append(
            {
                "from": place / NUM_CALIBRATION_BINS,
                "n": num,
                "predicted": float(predicted[inside].mean()) if num else None,
                "observed": float(observed[inside].mean()) if num else None,
            }
        )
    gaps = sum(one["n"] * abs(one["predicted"] - one["observed"]) for one in bins if one["n"])
    return {
        "n": len(predicted),
        "mean_square": float(((predicted - observed) ** 2).mean()),
        "expected_error": gaps / len(predicted),
        "bins": bins,
    }


def calibration(report: EvaluationReport) -> dict[str, Any]:
    """Reliability of `presence` (is anything meant there?) and of `score` (the IoU); None without the head."""
    present = [(one.presence, float(not one.is_empty)) for one in report.results if one.presence is not None]
    scored = [(one.score, one.counts.iou(report.protocol)) for one in report.results if one.score is not None]
    found: dict[str, Any] = {}
    for name, pairs in (("presence", present), ("score", scored)):
        values = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        found[name] = reliability(values[:, 0], values[:, 1]) if len(values) else None
    if found["presence"] is not None:
        found["presence"]["area_under_curve"] = report.presence_auc()
        found["presence"]["share_present"] = float(np.mean([there for _, there in present]))
    return found


def timing(results: Sequence[SampleResult]) -> dict[str, float]:
    """Seconds that the model took for a sample: mean, median, 90th percentile."""
    seconds = np.array([one.seconds for one in results])
    return {
        "mean": float(seconds.mean()),
        "median": float(np.median(seconds)),
        "percentile_90": float(np.percentile(seconds, 90)),
    }
