"""All figures of an evaluation as the content of `report.json`; `report.md` and `report.html` are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rs2sam.evaluation.analysis import (
    calibration,
    group_rows,
    iou_histogram,
    ious_of,
    precision_curve,
    threshold_sweep,
    timing,
)
from rs2sam.evaluation.gallery import choose
from rs2sam.evaluation.published import published_rows
from rs2sam.evaluation.results import EvaluationReport


def summarize(
    report: EvaluationReport, run: Mapping[str, Any], settings: Mapping[str, Any], gallery_size: int
) -> dict[str, Any]:
    """Everything but the single samples, ready for JSON.

    Args:
        report: results of all samples.
        run: what was evaluated, the content of `run.json`.
        settings: how, and with which versions; nothing here changes a figure.
        gallery_size: samples a gallery.
    """
    results, protocol = report.results, report.protocol
    lines = {name: report.metrics(None, line) for name, line in _LINES.items()}
    ious = ious_of(results, protocol)
    return {
        "run": dict(run),
        "figures": {name: None if metrics is None else metrics.as_dict() for name, metrics in lines.items()},
        "published": published_rows(str(run["dataset"]), run["split"]),
        "by_kind": group_rows(results, protocol, "kind"),
        "by_category": group_rows(results, protocol, "category"),
        "by_size": group_rows(results, protocol, "size"),
        "iou_histogram": iou_histogram(ious),
        "precision_curve": precision_curve(ious),
        "threshold_sweep": threshold_sweep(results, protocol),
        "calibration": calibration(report),
        "galleries": {
            name: [results[place].id for place in places]
            for name, places in choose(results, protocol, gallery_size).items()
        },
        "seconds_per_sample": timing(results),
        "settings": dict(settings),
    }


_LINES = {"model": "counts", "everything": "everything", "class_only": "class_only"}
