"""What a check of a data set found: figures, errors and warnings, as text and as JSON."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

Severity: TypeAlias = Literal["error", "warning"]

RULES: Mapping[str, tuple[Severity, str]] = {
    "unreadable-annotation": ("error", "an entry of the annotation cannot be read, and was left out"),
    "missing-image": ("error", "an image is not there"),
    "unreadable-image": ("error", "an image cannot be read"),
    "missing-mask": ("error", "a mask is not there"),
    "unreadable-mask": ("error", "a mask cannot be read"),
    "mask-size": ("error", "a mask has not the size of its image"),
    "blank-sentence": ("error", "a sentence is blank"),
    "long-sentence": ("error", "a sentence has more tokens than the model takes"),
    "repeated-id": ("error", "samples share one id"),
    "leakage": ("error", "one image (equal files) is in several splits"),
    "near-duplicate": ("warning", "images of different splits look alike (perceptual hash, turned and mirrored too)"),
    "no-split": ("warning", "samples are in no split, though others are"),
    "repeated-image": ("warning", "one image (equal files) is there under several names"),
    "repeated-sentence": ("warning", "one sentence is asked of one image more than once"),
    "flat-image": ("warning", "an image has one colour throughout, or no data at all"),
    "doubtful-image": ("warning", "an image leaves open how it is to be read; see how that is decided"),
    "empty-mask": ("warning", "a mask has no pixel; write null where nothing is meant"),
    "turned-image": ("warning", "an image asks viewers to turn it (EXIF); it is read as stored, as its mask has to be"),
    "mask-outside": ("warning", "a mask reaches beyond its image"),
    "mask-resized": ("warning", "a mask is nearly of its image's size and is brought to it by the nearest pixel"),
}
"""Rule -> how grave it is to break it, and what it means. Errors spoil a training or a figure; warnings ask for a
look."""

NO_SPLIT = "(none)"
"""Name that the report gives to samples without a split."""

_MAX_NAMES = 12
_WIDTH = 110


@dataclass(frozen=True)
class Finding:
    """One place where a rule is broken.

    Args:
        rule: a name of `RULES`.
        where: image file or id of the sample.
        message: what was found.
    """

    rule: str
    where: str
    message: str

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        return RULES[self.rule][0]


@dataclass(frozen=True)
class Distribution:
    """Summary of a list of numbers."""

    least: float
    median: float
    p95: float
    most: float
    mean: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Distribution | None:
        """Summarise; None where there is nothing."""
        if not len(values):
            return None
        array = np.asarray(values, dtype=np.float64)
        middle, p95 = np.percentile(array, [50, 95])
        return cls(float(array.min()), float(middle), float(p95), float(array.max()), float(array.mean()))


@dataclass(frozen=True)
class SplitCounts:
    """How much a split holds.

    Args:
        samples: sentences with their targets.
        images: different image files.
        absent: samples where nothing is meant (`null`).
        empty: samples whose mask has no pixel.
        categories: category -> samples.
    """

    samples: int
    images: int
    absent: int
    empty: int
    categories: Mapping[str, int]


@dataclass(frozen=True)
class DataReport:
    """What a check found.

    Args:
        root: the data set's folder.
        format: its format.
        splits: name -> counts.
        num_images: different image files.
        image_sizes: (width, height) in pixels -> images.
        categories: category -> samples; those without one are not counted.
        kinds: kind of expression -> samples, where known.
        words: of the sentences, separated by white space.
        tokens: of the sentences, `<s>` and `</s>` included; None where they were not counted.
        tokenizer: name of the model whose tokenizer counted, and its limit.
        target_share: target over image area of the targets with a pixel, in (0, 1].
        findings: every broken rule.
    """

    root: str
    format: str
    splits: Mapping[str, SplitCounts]
    num_images: int
    image_sizes: Mapping[tuple[int, int], int]
    categories: Mapping[str, int]
    kinds: Mapping[str, int]
    words: Distribution | None
    tokens: Distribution | None
    tokenizer: tuple[str, int] | None
    target_share: Distribution | None
    findings: tuple[Finding, ...]

    @property
    def num_samples(self) -> int:
        """Number of sentences."""
        return sum(counts.samples for counts in self.splits.values())

    def of_severity(self, severity: Severity) -> list[Finding]:
        """The errors, or the warnings."""
        return [finding for finding in self.findings if finding.severity == severity]

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        content = asdict(self)
        content["image_sizes"] = {f"{w}x{h}": count for (w, h), count in self.image_sizes.items()}
        content["tokenizer"] = self.tokenizer and {"model": self.tokenizer[0], "max_tokens": self.tokenizer[1]}
        content["findings"] = [{"severity": found.severity, **asdict(found)} for found in self.findings]
        counts = {
            "num_samples": self.num_samples,
            "num_errors": len(self.of_severity("error")),
            "num_warnings": len(self.of_severity("warning")),
        }
        return {**counts, **content}

    def as_text(self, max_listed: int = 10) -> str:
        """A report for people.

        Args:
            max_listed: places that are listed of each broken rule; the others are counted.
        """
        parts = [
            f"{self.root}: {self.format}, {_number(self.num_samples, 'sample')} of {_number(self.num_images, 'image')}",
            _split_table(self.splits),
            "\n".join(_line(name, text) for name, text in self._figures() if text),
            *(_findings_text(self.of_severity(severity), severity, max_listed) for severity in get_args(Severity)),
        ]
        return "\n\n".join(part for part in parts if part)

    def _figures(self) -> list[tuple[str, str]]:
        """Name and text of each line of figures."""
        tokens = _spread(self.tokens)
        if tokens and self.tokenizer:
            tokens += f" (tokenizer of `{self.tokenizer[0]}`, at most {self.tokenizer[1]})"
        return [
            ("image size", _sizes_text(self.image_sizes)),
            ("words", _spread(self.words)),
            ("tokens", tokens),
            ("target", _share_text(self.target_share)),
            ("categories", _counts_text(self.categories, self.num_samples)),
            ("kinds", _counts_text(self.kinds, self.num_samples)),
        ]


def _line(name: str, text: str) -> str:
    """A name and what is told of it, in a column of its own."""
    return textwrap.fill(text, _WIDTH, initial_indent=f"{name:<12}", subsequent_indent=" " * 12)


def _number(count: int, noun: str) -> str:
    """`1 image`, `2,000 images`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _split_table(splits: Mapping[str, SplitCounts]) -> str:
    """Counts of each split, numbers to the right."""
    rows: list[tuple[str, ...]] = [("split", "samples", "images", "nothing meant", "empty masks", "categories")]
    for name, counts in splits.items():
        numbers = counts.samples, counts.images, counts.absent, counts.empty, len(counts.categories)
        rows.append((name, *(f"{number:,}" for number in numbers)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        row[0].ljust(widths[0]) + "".join("  " + cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def _sizes_text(sizes: Mapping[tuple[int, int], int]) -> str:
    """The size of the images, or their range and the most frequent one."""
    if not sizes:
        return ""
    (width, height), most = max(sizes.items(), key=lambda item: (item[1], item[0]))
    if len(sizes) == 1:
        return f"{width} x {height} px"
    widths, heights = [w for w, _ in sizes], [h for _, h in sizes]
    return (
        f"{min(widths)} to {max(widths)} px wide, {min(heights)} to {max(heights)} px high; "
        f"{len(sizes):,} sizes, most often {width} x {height} ({_number(most, 'image')})"
    )


def _spread(values: Distribution | None) -> str:
    """Range, median and 95th percentile of whole numbers."""
    if values is None:
        return ""
    return f"{values.least:.0f} to {values.most:.0f}, median {values.median:g}, 95 % up to {values.p95:.3g}"


def _share_text(share: Distribution | None) -> str:
    """Share of the image that targets cover."""
    if share is None:
        return ""
    return f"{100 * share.least:.2g} to {100 * share.most:.3g} % of the image, median {100 * share.median:.2g} %"


def _counts_text(counts: Mapping[str, int], total: int) -> str:
    """The most frequent names with their counts, and how many samples have none."""
    if not counts:
        return ""
    common = Counter(counts).most_common()
    names = [f"{name} {count:,}" for name, count in common[:_MAX_NAMES]]
    if len(common) > _MAX_NAMES:
        rest = sum(count for _, count in common[_MAX_NAMES:])
        names.append(f"{len(common) - _MAX_NAMES} others {rest:,}")
    without = total - sum(counts.values())
    return ", ".join([*names, *([f"none {without:,}"] if without else [])])


def _findings_text(findings: Sequence[Finding], severity: Severity, max_listed: int) -> str:
    """Findings of one severity, by rule."""
    if not findings:
        return f"no {severity}s"
    lines = [f"{_number(len(findings), severity)}:"]
    for rule, (_, meaning) in RULES.items():
        found = [finding for finding in findings if finding.rule == rule]
        if not found:
            continue
        lines.append(f"  {rule}: {meaning} ({len(found):,})")
        lines += [f"    {finding.where}: {finding.message}" for finding in found[:max_listed]]
        if len(found) > max_listed:
            lines.append(f"    and {len(found) - max_listed:,} more")
    return "\n".join(lines)
