"""Rows of published tables, to stand beside a measured one.

All are under the `published` protocol, in percent. Source: Rong et al., arXiv 2503.07266, and the papers of the other
methods as cited there; DESIGN.md section 4 of the project keeps the same table.
"""

from __future__ import annotations

COLUMNS: tuple[str, ...] = ("Pr@0.5", "Pr@0.6", "Pr@0.7", "Pr@0.8", "Pr@0.9", "oIoU", "mIoU")

_RS2SAM2: dict[tuple[str, str], tuple[float, ...]] = {
    ("refsegrs", "val"): (95.36, 94.90, 92.58, 83.76, 36.66, 88.03, 85.21),
    ("refsegrs", "test"): (84.31, 79.42, 70.89, 55.70, 21.19, 80.87, 73.90),
    ("rrsisd", "val"): (79.25, 74.08, 63.85, 50.57, 30.40, 80.16, 68.81),
    ("rrsisd", "test"): (77.56, 72.34, 61.76, 47.92, 29.73, 78.99, 66.72),
}
_OTHERS_TEST_MIOU: dict[str, dict[str, float]] = {
    "rrsisd": {"LGCE": 59.37, "RMSIN": 64.20, "RSRefSeg 2": 69.17, "EviSAM3": 70.65},
    "refsegrs": {"LGCE": 59.96, "RMSIN": 62.58, "RSRefSeg 2": 77.39, "EviSAM3": 80.56},
}
_NUM_SAMPLES: dict[tuple[str, str], int] = {
    ("refsegrs", "val"): 431,
    ("refsegrs", "test"): 1817,
    ("rrsisd", "val"): 1740,
    ("rrsisd", "test"): 3481,
}
"""Sentences of each split: Yuan et al., arXiv 2306.08625 (RefSegRS); Liu et al., arXiv 2312.12470 (RRSIS-D)."""


def published_size(dataset: str, split: str | None) -> int | None:
    """Samples of the split that published rows are of; None where nothing is published."""
    return _NUM_SAMPLES.get((dataset, split or ""))


def published_rows(dataset: str, split: str | None) -> list[dict[str, float | str]]:
    """The published rows of one split of one dataset.

    Args:
        dataset: `rrsisd`, `refsegrs` or any other name.
        split: `val`, `test` or any other name.

    Returns:
        One mapping a method: `method` and those of `COLUMNS` that are published [%]. Empty where nothing is.
    """
    rows: list[dict[str, float | str]] = []
    if (dataset, split) in _RS2SAM2:
        rows.append({"method": "RS2-SAM 2", **dict(zip(COLUMNS, _RS2SAM2[dataset, split or ""], strict=True))})
    if split == "test":
        others = _OTHERS_TEST_MIOU.get(dataset, {})
        rows += [{"method": method, "mIoU": miou} for method, miou in others.items()]
    return rows
