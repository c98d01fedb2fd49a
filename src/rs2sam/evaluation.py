"""How good a model is on samples: one loop, two protocols, figures per kind of sentence and two lines to compare with.

- `published`: prediction and target at the model's S x S, the target resized *nearest*; IoU 0 where the union is empty.
- `native`: at the image's own size; an empty prediction on an empty target counts 1.

The reference lines say what a figure is worth: `everything` marks the whole image, `class_only` perfectly marks every
object of the named class and ignores the rest of the sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from tqdm import tqdm

from rs2sam.datasets.base import Sample
from rs2sam.errors import InvalidInputError
from rs2sam.metrics import PixelCounts, Protocol, SegmentationMetrics
from rs2sam.segmenter import Segmentation, Segmenter


@dataclass(frozen=True)
class SampleResult:
    """One sample's outcome.

    Args:
        id: of the sample.
        sentence: its referring expression.
        kind: kind of expression, or "unknown".
        category: class of the target, or "unknown".
        is_empty: nothing is meant.
        counts: of the model.
        everything: of the line that marks the whole image.
        class_only: of the line that marks all of the class; None where that is unknown.
        presence: probability that the target is there, None without such a head.
        score: predicted IoU, None without such a head.
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
        absent = np.array([presence for presence, empty in scored if empty])
        if not there.size or not absent.size:
            return None
        above = (there[:, None] > absent).mean() + 0.5 * (there[:, None] == absent).mean()
        return float(above)

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


def evaluate(
    segmenter: Segmenter, samples: Sequence[Sample], protocol: Protocol = "native", batch_size: int = 8
) -> EvaluationReport:
    """Run a model over samples and count.

    Args:
        segmenter: the model; each image is one view.
        samples: images, sentences and targets.
        protocol: at which size, and what an empty union counts.
        batch_size: samples that the model reads at once.

    Raises:
        InvalidInputError: there is no sample, `batch_size` is below 1, or, natively, a target is not of its image's
            size.
    """
    if batch_size < 1:
        raise InvalidInputError(f"`batch_size` must be at least 1, received {batch_size}")
    if not samples:
        raise InvalidInputError("an evaluation needs at least one sample, received none; check the split's name")
    size_hw = (segmenter.image_size,) * 2 if protocol == "published" else None
    results: list[SampleResult] = []
    with tqdm(total=len(samples), desc="evaluate", disable=None) as progress:
        for batch in _batches(samples, batch_size):
            images = [sample.pixels() for sample in batch]
            pairs = [(image, sample.sentence) for image, sample in zip(images, batch, strict=True)]
            found = segmenter.segment_views(pairs, batch_size, size_hw=size_hw)
            for sample, image, answer in zip(batch, images, found, strict=True):
                results.append(_result(sample, (image.shape[0], image.shape[1]), answer, size_hw))
            progress.update(len(batch))
    return EvaluationReport(tuple(results), protocol)


def _result(
    sample: Sample, image_hw: tuple[int, int], answer: Segmentation, size_hw: tuple[int, int] | None
) -> SampleResult:
    """Counts of one sample, at `size_hw` or at the image's own size."""
    sample = sample.loaded()  # each mask is asked for twice
    annotation = sample.annotation()
    target = sample.target(image_hw, size_hw)
    of_class = sample.category_target(image_hw, size_hw)
    return SampleResult(
        id=sample.id,
        sentence=sample.sentence,
        kind=sample.kind or "unknown",
        category=sample.category or "unknown",
        is_empty=annotation is None or not annotation.any(),
        counts=PixelCounts.of(answer.mask, target),
        everything=PixelCounts.of(np.ones_like(target), target),
        class_only=None if of_class is None else PixelCounts.of(of_class, target),
        presence=answer.presence,
        score=answer.score,
    )


def _batches(samples: Sequence[Sample], batch_size: int) -> Iterator[list[Sample]]:
    """Consecutive batches, the last one shorter."""
    remaining = iter(samples)
    while batch := list(islice(remaining, batch_size)):
        yield batch
