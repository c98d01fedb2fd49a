"""What is kept of a sample, and the metric rows of many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rs2sam.fields import checked
from rs2sam.metrics import PixelCounts, Protocol, SegmentationMetrics

UNKNOWN = "unknown"
"""Kind or category of a sample that has none."""
SWEEP_THRESHOLDS: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Foreground probabilities at which masks are also counted."""
_COUNTS: Any = tuple[int, int]
_TYPES: Mapping[str, Any] = {
    "id": str,
    "image_id": str | None,
    "sentence": str,
    "kind": str,
    "category": str,
    "is_empty": bool,
    "counts": _COUNTS,
    "everything": _COUNTS,
    "class_only": _COUNTS | None,
    "sweep": tuple[_COUNTS, ...],
    "presence": float | None,
    "score": float | None,
    "seconds": float,
}
MASK_PROBABILITY = 0.5
"""The probability at which the mask itself lies: sigmoid(2x - 1) > 0.5 where the logit x > 0.5."""


@dataclass(frozen=True)
class SampleResult:
    """One sample's outcome.

    Args:
        id: of the sample.
        sentence: its referring expression.
        kind: kind of expression, or `UNKNOWN`.
        category: class of the target, or `UNKNOWN`.
        is_empty: nothing is meant.
        counts: of the model.
        everything: of the line that marks the whole image; its intersection is the target's area, its union the
            image's, both in pixels of the size at which is counted.
        class_only: of the line that marks all of the class; None where that is unknown.
        presence: probability that the target is there, None without such a head.
        score: predicted IoU, None without such a head.
        image_id: the image, where the dataset names it.
        sweep: of the model at each of `SWEEP_THRESHOLDS`; empty where it was not counted.
        seconds: time that the model took for it, its share of the batch [s]; the one field that is not reproducible.
    """

    id: str
    sentence: str
    kind: str
    category: str
    is_empty: bool
    counts: PixelCounts
    everything: PixelCounts
    class_only: PixelCounts | None
    presence: float | None
    score: float | None
    image_id: str | None = None
    sweep: tuple[PixelCounts, ...] = ()
    seconds: float = 0.0

    @property
    def target_share(self) -> float:
        """Area of the target as a share of the image, in [0, 1]."""
        # All of a target may be unknown.
        return self.everything.intersection / max(1, self.everything.union)

    def as_record(self, protocol: Protocol) -> dict[str, Any]:
        """Ready for one line of JSON; `iou` is for the reader, the rest restores the result exactly."""
        return {
            "id": self.id,
            "image_id": self.image_id,
            "sentence": self.sentence,
            "kind": self.kind,
            "category": self.category,
            "is_empty": self.is_empty,
            "iou": round(self.counts.iou(protocol), 6),
            "counts": _pair(self.counts),
            "everything": _pair(self.everything),
            "class_only": None if self.class_only is None else _pair(self.class_only),
            "sweep": [_pair(counts) for counts in self.sweep],
            "presence": self.presence,
            "score": self.score,
            "seconds": round(self.seconds, 6),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> SampleResult:
        """The inverse of `as_record`.

        Raises:
            KeyError: a field is missing.
            TypeError: there is a field that none of ours is.
            InvalidInputError: a field is of another type.
        """
        values = {name: value for name, value in record.items() if name != "iou"}
        for name, hint in _TYPES.items():
            values[name] = checked(name, values[name], hint)
        for name in ("counts", "everything", "class_only"):
            values[name] = None if values[name] is None else PixelCounts(*values[name])
        values["sweep"] = tuple(PixelCounts(*pair) for pair in values["sweep"])
        return cls(**values)


@dataclass(frozen=True)
class EvaluationReport:
    """Results of all samples under one protocol."""

    results: tuple[SampleResult, ...]
    protocol: Protocol

    def metrics(self, kind: str | None = None, line: str = "counts") -> SegmentationMetrics | None:
        """The metric row of one kind of sentence, or of all.

        Args:
            kind: a kind of expression; None: all samples.
            line: `counts` (the model), `everything` or `class_only`.

        Returns:
            None where no sample of this kind has this line.
        """
        rows = [getattr(result, line) for result in self.results if kind in (None, result.kind)]
        known = [row for row in rows if row is not None]
        return SegmentationMetrics.of(known, self.protocol) if known else None

    @property
    def kinds(self) -> list[str]:
        """The kinds of expression, in the order in which the samples bring them."""
        return list(dict.fromkeys(result.kind for result in self.results))

    def presence_auc(self) -> float | None:
        """Share of (present, absent) pairs that the presence puts in the right order; None where undefined."""
        scored = [(result.presence, result.is_empty) for result in self.results if result.presence is not None]
        there = np.array([presence for presence, empty in scored if not empty])
        absent = np.sort([presence for presence, empty in scored if empty])
        if not there.size or not absent.size:
            return None
        # Absent samples below each present one, and those below or equal: an equal pair counts half.
        ranks = np.searchsorted(absent, there, "left").sum() + np.searchsorted(absent, there, "right").sum()
        return float(ranks / (2 * there.size * absent.size))

    def as_dict(self) -> dict[str, Any]:
        """Everything but the single samples, ready for JSON."""
        rows: dict[str, Any] = {}
        for kind in (None, *self.kinds):
            lines = {line: self.metrics(kind, line) for line in ("counts", "everything", "class_only")}
            rows[kind or "overall"] = {
                "model" if line == "counts" else line: metrics.as_dict()
                for line, metrics in lines.items()
                if metrics is not None
            }
        return {"protocol": self.protocol, "presence_auc": self.presence_auc(), "rows": rows}

    def table(self) -> str:
        """A Markdown table in percent, one row per kind of sentence."""
        lines = [
            f"| kind ({self.protocol}) | n | mIoU | oIoU | Pr@0.5 | Pr@0.7 | Pr@0.9 | everything | class only |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for kind in (None, *self.kinds):
            model = self.metrics(kind)
            assert model is not None
            shares = [model.miou, model.oiou, *(model.precision[x] for x in (0.5, 0.7, 0.9))]
            references = [self.metrics(kind, line) for line in ("everything", "class_only")]
            cells = [f"{100 * share:.1f}" for share in shares]
            cells += ["-" if metrics is None else f"{100 * metrics.miou:.1f}" for metrics in references]
            lines.append(f"| {kind or 'overall'} | {model.num_samples} | " + " | ".join(cells) + " |")
        return "\n".join(lines)


def _pair(counts: PixelCounts) -> list[int]:
    """Intersection and union."""
    return [counts.intersection, counts.union]
