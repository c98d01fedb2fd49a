"""Read a whole data set as training and evaluation would, and report what is in it and what is wrong with it.

Nothing stops the reading: what cannot be read becomes a finding, and the next sample is looked at.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

from PIL import ExifTags, Image

from rs2sam.datasets.base import Sample, fits
from rs2sam.datasets.checks.duplicates import Thumbnail, file_digest, near_pairs, pixel_digest, thumbnail
from rs2sam.datasets.checks.report import NO_SPLIT, DataReport, Distribution, Finding, SplitCounts
from rs2sam.datasets.images import LoadedImage
from rs2sam.datasets.readers.masks import reaches_outside
from rs2sam.datasets.readers.reading import open_dataset
from rs2sam.errors import DataNotFoundError, InvalidInputError, MissingDependencyError, RS2SAMError
from rs2sam.raster.scene import NOTHING_VALID

Progress: TypeAlias = Callable[[Iterable["_Look"], int], Iterable["_Look"]]
"""Wraps an iterable of known length, to show how far it is."""


@dataclass(frozen=True)
class TokenCounter:
    """Counts the tokens of a sentence as a model does.

    Args:
        model: name of the model.
        limit: tokens that it takes at most, `<s>` and `</s>` included.
        count: sentence -> tokens, `<s>` and `</s>` included.
    """

    model: str
    limit: int
    count: Callable[[str], int]


@dataclass(eq=False)
class _Look:
    """What was seen of one image and of the targets of all its samples.

    Args:
        name: file as it is shown to people.
        samples: what is asked of the image.
        size_hw: of the image, None where it cannot be read.
        digest: hash of the file, None where there is none.
        small: copy for the search of similar images.
        areas: target pixels of each sample; None where nothing is meant or nothing could be read.
        findings: what is wrong.
    """

    name: str
    samples: list[Sample]
    size_hw: tuple[int, int] | None = None
    digest: str | None = None
    small: Thumbnail | None = None
    areas: list[int | None] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def shares(self) -> list[float]:
        """Share of the image that each target with a pixel covers."""
        if self.size_hw is None:
            return []
        return [area / (self.size_hw[0] * self.size_hw[1]) for area in self.areas if area]

    @property
    def splits(self) -> list[str]:
        """The splits that the image is in."""
        return sorted({sample.split for sample in self.samples if sample.split is not None})


def check_dataset(
    root: Path,
    data_format: str | None = None,
    tokens: TokenCounter | None = None,
    workers: int = 1,
    progress: Progress = lambda looks, _: looks,
) -> DataReport:
    """Open a data set and check it; see `check_samples`.

    Args:
        root: its folder, or file of JSON lines.
        data_format: a name in `reading.FORMATS`; None: recognised.
        tokens: as in `check_samples`.
        workers: as in `check_samples`.
        progress: as in `check_samples`.

    Raises:
        DataNotFoundError: there is nothing, or nothing of a known format.
        InvalidInputError: the annotation as a whole cannot be read.
    """
    wrong: list[InvalidInputError] = []
    dataset = open_dataset(root, data_format, wrong.append)
    report = check_samples(dataset.samples(), root, dataset.format, tokens, workers, progress)
    return replace(report, findings=(*map(_unreadable, wrong), *report.findings))


def check_samples(
    samples: Sequence[Sample],
    root: Path | str,
    data_format: str,
    tokens: TokenCounter | None = None,
    workers: int = 1,
    progress: Progress = lambda looks, _: looks,
) -> DataReport:
    """Read every image and every mask, and report.

    Args:
        samples: the data set.
        root: its folder; files are named relative to it.
        data_format: named in the report.
        tokens: counts the tokens of sentences; None: they are not counted.
        workers: threads that read; the report is the same for any number.
        progress: shows how many images have been looked at.

    Returns:
        The report. Whatever is wrong with the data is in its findings; nothing is raised for it.
    """
    by_image: dict[object, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_image[_image_key(sample)].append(sample)
    pending = [_Look(_shown_name(asked[0], Path(root)), asked) for asked in by_image.values()]
    looks = list(progress(_looked_at(pending, workers), len(pending)))
    counted = [] if tokens is None else [tokens.count(sample.sentence) for sample in samples]
    findings = [
        *(finding for look in looks for finding in look.findings),
        *_sentence_findings(samples, counted, tokens),
        *_repeated_ids(samples),
        *_without_split(samples),
        *_repeated_sentences(looks),
        *_equal_files(looks),
        *_look_alikes(looks),
    ]
    return DataReport(
        root=str(root),
        format=data_format,
        splits=_split_counts(looks),
        num_images=len(looks),
        image_sizes=dict(Counter((hw[1], hw[0]) for hw in (look.size_hw for look in looks) if hw)),
        categories=dict(Counter(sample.category for sample in samples if sample.category)),
        kinds=dict(Counter(sample.kind for sample in samples if sample.kind)),
        words=Distribution.of([len(sample.sentence.split()) for sample in samples]),
        tokens=Distribution.of(counted),
        tokenizer=None if tokens is None else (tokens.model, tokens.limit),
        target_share=Distribution.of([share for look in looks for share in look.shares]),
        findings=tuple(findings),
    )


def _looked_at(pending: Sequence[_Look], workers: int) -> Iterator[_Look]:
    """Look at all images, in order."""
    executor = ThreadPoolExecutor(workers)
    try:
        yield from executor.map(_look, pending)
    finally:
        executor.shutdown(cancel_futures=True)  # an interrupted check does not read on


def _look(look: _Look) -> _Look:
    """Read an image, then the targets of its samples."""
    first = look.samples[0]
    try:
        image = first.loaded_image()
        rgb = image.rgb
        look.findings.extend(_image_findings(image, look.name))
        look.size_hw = rgb.shape[0], rgb.shape[1]
        look.small = thumbnail(rgb)
        look.digest = file_digest(first.image) if isinstance(first.image, Path) else pixel_digest(rgb)
    except (RS2SAMError, OSError) as error:
        rule = "missing-image" if isinstance(error, FileNotFoundError) else "unreadable-image"
        look.findings.append(Finding(rule, look.name, _reason(error)))
    orientation = _exif_orientation(first.image) if look.size_hw and isinstance(first.image, Path) else 1
    if orientation != 1:
        look.findings.append(Finding("turned-image", look.name, f"orientation {orientation}"))
    look.areas = [_area(sample, look) for sample in look.samples]
    return look


def _image_findings(image: LoadedImage, name: str) -> Iterator[Finding]:
    """What is doubtful about an image that can be read."""
    for line in image.warnings:
        if line != NOTHING_VALID:
            yield Finding("doubtful-image", name, line)
    shown = image.rgb if image.valid is None else image.rgb[image.valid]
    if not shown.size:
        yield Finding("flat-image", name, "no pixel has data")
    elif shown.size > 3 and (shown == shown.reshape(-1, 3)[0]).all():
        yield Finding("flat-image", name, f"all pixels are {tuple(map(int, shown.reshape(-1, 3)[0]))}")


def _exif_orientation(path: Path) -> int:
    """Orientation 1 to 8 of a readable image, 1 = as stored."""
    try:
        with Image.open(path) as picture:
            return int(picture.getexif().get(ExifTags.Base.Orientation) or 1)
    except (OSError, SyntaxError, ValueError):  # GDAL reads it, PIL does not: such files have no orientation
        return 1


def _area(sample: Sample, look: _Look) -> int | None:
    """Read a target and count its pixels; what is wrong with it is noted."""

    def note(rule: str, message: str) -> None:
        look.findings.append(Finding(rule, sample.id, message))

    try:
        loaded = sample.loaded()
        annotation = loaded.annotation()
    except MissingDependencyError:
        raise
    except (RS2SAMError, OSError) as error:
        note("missing-mask" if isinstance(error, DataNotFoundError) else "unreadable-mask", _reason(error))
        return None
    for what, mask in (("mask", annotation), ("mask of the class", loaded.category_target())):
        if look.size_hw is not None and mask is not None and mask.shape != look.size_hw:
            sizes = f"{what} {_wide_high(mask.shape)}, image {_wide_high(look.size_hw)}"
            note("mask-resized" if fits(mask.shape, look.size_hw) else "mask-size", sizes)
    if annotation is None:
        return None
    if not annotation.any():
        unknown = loaded.unknown()
        left_out = "" if unknown is None else f"; {int(unknown.sum()):,} pixels are left out (nodata or `ignore`)"
        note("empty-mask", f"no pixel for {sample.sentence.strip()!r}{left_out}")
    if look.size_hw is None:
        return int(annotation.sum())
    if reaches_outside(sample.mask, look.size_hw):
        note("mask-outside", f"a polygon leaves the image of {_wide_high(look.size_hw)}")
    return int(loaded.target(look.size_hw).sum()) if fits(annotation.shape, look.size_hw) else None


def _sentence_findings(
    samples: Sequence[Sample], counted: Sequence[int], tokens: TokenCounter | None
) -> Iterator[Finding]:
    """Sentences that no model can read."""
    for sample in samples:
        if not sample.sentence.strip():
            yield Finding("blank-sentence", sample.id, f"received {sample.sentence!r}")
    if tokens is not None:
        for sample, count in zip(samples, counted, strict=True):
            if count > tokens.limit:
                beginning = f"{sample.sentence[:40]}..."
                yield Finding("long-sentence", sample.id, f"{count:,} tokens, at most {tokens.limit:,}: {beginning!r}")


def _repeated_ids(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Ids by which nobody can tell samples apart."""
    for name, count in Counter(sample.id for sample in samples).items():
        if count > 1:
            yield Finding("repeated-id", name, f"{count:,} samples")


def _without_split(samples: Sequence[Sample]) -> Iterator[Finding]:
    """Samples that neither training nor evaluation would take."""
    without = [sample.id for sample in samples if sample.split is None]
    if 0 < len(without) < len(samples):
        yield Finding("no-split", without[0], f"{len(without):,} samples, this the first")


def _repeated_sentences(looks: Sequence[_Look]) -> Iterator[Finding]:
    """One question about one image that is asked, and perhaps answered differently, more than once."""
    for look in looks:
        asked: dict[str, list[Sample]] = defaultdict(list)
        for sample in look.samples:
            asked[" ".join(sample.sentence.lower().split())].append(sample)
        for sentence, same in asked.items():
            if sentence and len(same) > 1:
                yield Finding("repeated-sentence", look.name, f"{sentence!r}: {_listed([one.id for one in same])}")


def _equal_files(looks: Sequence[_Look]) -> Iterator[Finding]:
    """Equal files: across splits they are leakage, within one a second name."""
    by_digest: dict[str, list[_Look]] = defaultdict(list)
    for look in looks:
        if look.digest is not None:
            by_digest[look.digest].append(look)
        elif len(look.splits) > 1:  # unreadable, but one file all the same
            yield Finding("leakage", look.name, f"in {_listed(look.splits)}")
    for same in by_digest.values():
        splits = sorted({split for look in same for split in look.splits})
        others = [f"{look.name} ({_listed(look.splits) or NO_SPLIT})" for look in same[1:]]
        if len(splits) > 1:
            also = f", the same as {_listed(others)}" if others else ""
            yield Finding("leakage", same[0].name, f"in {_listed(same[0].splits) or NO_SPLIT}{also}")
        elif others:
            yield Finding("repeated-image", same[0].name, f"the same as {_listed(others)}")


def _look_alikes(looks: Sequence[_Look]) -> Iterator[Finding]:
    """Pairs of different files in different splits that show one picture."""
    by_split: dict[str, list[tuple[_Look, Thumbnail]]] = defaultdict(list)
    for look in looks:
        for split in look.splits:
            if look.small is not None:
                by_split[split].append((look, look.small))
    for one, other in combinations(sorted(by_split), 2):
        first, second = by_split[one], by_split[other]
        for pair in near_pairs([small for _, small in first], [small for _, small in second]):
            a, b = first[pair.first][0], second[pair.second][0]
            if a.digest != b.digest:
                likeness = f"{100 * pair.difference:.0f} % of the comparisons differ"
                yield Finding("near-duplicate", a.name, f"({one}) looks like {b.name} ({other}); {likeness}")


def _split_counts(looks: Sequence[_Look]) -> dict[str, SplitCounts]:
    """Counts of every split, in the order of the usual names."""
    samples: dict[str, list[tuple[_Look, Sample, int | None]]] = defaultdict(list)
    for look in looks:
        for sample, area in zip(look.samples, look.areas, strict=True):
            samples[sample.split or NO_SPLIT].append((look, sample, area))
    usual = ["train", "val", "test"]
    names = sorted(samples, key=lambda name: (usual.index(name) if name in usual else len(usual), name))
    return {
        name: SplitCounts(
            samples=len(samples[name]),
            images=len({id(look) for look, _, _ in samples[name]}),
            absent=sum(sample.is_absent for _, sample, _ in samples[name]),
            empty=sum(area == 0 for _, _, area in samples[name]),
            categories=dict(Counter(sample.category for _, sample, _ in samples[name] if sample.category)),
        )
        for name in names
    }


def _image_key(sample: Sample) -> object:
    """What the samples of one image have in common."""
    if isinstance(sample.image, Path):
        return os.path.realpath(sample.image)  # of links in a circle, too, which the reading then tells
    return sample.image_id or id(sample.image)


def _shown_name(sample: Sample, root: Path) -> str:
    """The image's file, relative to the data set where it lies inside."""
    if not isinstance(sample.image, Path):
        return sample.image_id or sample.id
    try:
        return Path(os.path.abspath(sample.image)).relative_to(os.path.abspath(root)).as_posix()
    except ValueError:
        return str(sample.image)


def _unreadable(error: InvalidInputError) -> Finding:
    """An entry that the reader left out; its message begins with the place."""
    where, _, message = str(error).partition(": ")
    return Finding("unreadable-annotation", where, message)


def _reason(error: Exception) -> str:
    """What went wrong, without the name of the sample, which the finding says itself."""
    return str(error.__cause__ if isinstance(error.__cause__, RS2SAMError) else error)


def _wide_high(size_hw: tuple[int, ...]) -> str:
    """`800 x 787 px`, width first."""
    return f"{size_hw[1]} x {size_hw[0]} px"


def _listed(names: Sequence[str], limit: int = 4) -> str:
    """`a, b and c`; of many only the first."""
    shown = [*names[:limit], *([f"{len(names) - limit:,} more"] if len(names) > limit else [])]
    return shown[0] if len(shown) == 1 else " and ".join([", ".join(shown[:-1]), shown[-1]]) if shown else ""
