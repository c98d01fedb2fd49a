"""The loop: samples in, results out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from rs2sam.datasets.base import Mask, Sample, resize_mask
from rs2sam.datasets.images import LoadedImage
from rs2sam.errors import InvalidInputError
from rs2sam.evaluation.results import MASK_PROBABILITY, SWEEP_THRESHOLDS, UNKNOWN, EvaluationReport, SampleResult
from rs2sam.metrics import PixelCounts, Protocol
from rs2sam.segmenter import Segmentation, Segmenter

Outcome: TypeAlias = tuple[SampleResult, Segmentation]
"""What is kept of a sample, and what the model said."""


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
        InvalidInputError: there is no sample, `batch_size` is below 1, or a target is not of its image's size.
    """
    batches = split_batches(samples, batch_size)
    if not batches:
        raise InvalidInputError("an evaluation needs at least one sample, received none; check the split's name")
    results: list[SampleResult] = []
    with tqdm(total=len(samples), desc="evaluate", disable=None) as progress:
        for outcomes in evaluate_batches(segmenter, batches, protocol):
            results.extend(result for result, _ in outcomes)
            progress.update(len(outcomes))
    return EvaluationReport(tuple(results), protocol)


def split_batches(samples: Sequence[Sample], batch_size: int) -> list[Sequence[Sample]]:
    """Consecutive batches, the last one shorter.

    Raises:
        InvalidInputError: `batch_size` is below 1.
    """
    if batch_size < 1:
        raise InvalidInputError(f"`batch_size` must be at least 1, received {batch_size}")
    return [samples[start : start + batch_size] for start in range(0, len(samples), batch_size)]


def evaluate_batches(
    segmenter: Segmenter, batches: Sequence[Sequence[Sample]], protocol: Protocol
) -> Iterator[list[Outcome]]:
    """Answer batch by batch, with what the model said.

    Args:
        segmenter: the model.
        batches: samples that the model reads at once.
        protocol: at which size is counted.

    Yields:
        The outcomes of one batch, in order.
    """
    size_hw = (segmenter.image_size,) * 2 if protocol == "published" else None
    for batch in _read_ahead(batches):
        start = time.perf_counter()
        pairs = [(image.rgb, asked_sentence(one, protocol)) for image, one in batch]
        answers = answers_to(segmenter, pairs, len(batch), size_hw)
        seconds = (time.perf_counter() - start) / len(batch)
        yield [
            (count_sample(sample, image.size_hw, answer, size_hw, seconds), answer)
            for (image, sample), answer in zip(batch, map(where_there_is_data, batch, answers), strict=True)
        ]


def answers_to(
    segmenter: Segmenter,
    pairs: Sequence[tuple[NDArray[np.uint8], str]],
    batch_size: int,
    size_hw: tuple[int, int] | None = None,
) -> list[Segmentation]:
    """What a model says of views; of one that reads noun phrases alone, what is decided among what it finds."""
    answer = segmenter.decide_views if segmenter.reads_phrases else segmenter.segment_views
    return answer(pairs, batch_size, size_hw, segmenter.min_presence)


def where_there_is_data(asked: tuple[LoadedImage, Sample], answer: Segmentation) -> Segmentation:
    """An answer without the pixels of which the image has no data, as `Segmenter.segment` gives it."""
    valid = asked[0].valid
    if valid is None:
        return answer
    valid = resize_mask(valid, answer.mask.shape)
    return replace(answer, mask=answer.mask & valid, probability=answer.probability * valid)


def asked_sentence(sample: Sample, protocol: Protocol) -> str:
    """The sentence that the model reads: under `published` with the white space that the published code passes on."""
    return sample.published_sentence if protocol == "published" else sample.sentence


def count_sample(
    sample: Sample,
    image_hw: tuple[int, int],
    answer: Segmentation,
    size_hw: tuple[int, int] | None = None,
    seconds: float = 0.0,
) -> SampleResult:
    """Count one answer against its target.

    Args:
        sample: with its target.
        image_hw: height and width of its image [px].
        answer: mask and probability, at `size_hw`.
        size_hw: size at which is counted; None: the image's own.
        seconds: that the answer took.

    Raises:
        InvalidInputError: a target is not of its image's size.
    """
    sample = sample.loaded()  # each mask is asked for twice
    annotation = sample.annotation()
    target = sample.target(image_hw, size_hw)
    ignore = sample.ignored(image_hw, size_hw)
    of_class = sample.category_target(image_hw, size_hw)
    counts = PixelCounts.of(answer.mask, target, ignore)
    return SampleResult(
        id=sample.id,
        sentence=sample.sentence,
        kind=sample.kind or UNKNOWN,
        category=sample.category or UNKNOWN,
        # A small target may vanish when it is resized; it is meant all the same.
        is_empty=annotation is None or not annotation.any(),
        counts=counts,
        everything=PixelCounts.of(np.ones_like(target), target, ignore),
        class_only=None if of_class is None else PixelCounts.of(of_class, target, ignore),
        presence=answer.presence,
        score=answer.score,
        image_id=sample.image_id,
        sweep=_sweep(answer.probability, target, counts, ignore),
        seconds=seconds,
    )


def _sweep(
    probability: NDArray[np.float32], target: Mask, counts: PixelCounts, ignore: Mask | None
) -> tuple[PixelCounts, ...]:
    """Counts at each threshold; at 0.5 those of the mask itself, which a rounded probability may miss by a pixel."""
    if ignore is not None:
        probability, target = probability[~ignore], target[~ignore]
    inside, num_target = probability[target], int(np.count_nonzero(target))
    found = []
    for threshold in SWEEP_THRESHOLDS:
        if threshold == MASK_PROBABILITY:
            found.append(counts)
            continue
        intersection = int(np.count_nonzero(inside > threshold))
        num_found = int(np.count_nonzero(probability > threshold))
        found.append(PixelCounts(intersection, num_found + num_target - intersection))
    return tuple(found)


def _read_ahead(batches: Sequence[Sequence[Sample]]) -> Iterator[list[tuple[LoadedImage, Sample]]]:
    """Read images and masks of the next batch while the model works on this one."""
    if not batches:  # more processes than samples
        return
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = [reader.submit(_read, batch) for batch in batches[:1]]
        for following in [*batches[1:], None]:
            batch = coming.pop().result()
            if following is not None:
                coming.append(reader.submit(_read, following))
            yield batch


def _read(batch: Sequence[Sample]) -> list[tuple[LoadedImage, Sample]]:
    """Pixels and decoded masks of a batch; an image that several in a row are about is one array, encoded once."""
    read: list[tuple[LoadedImage, Sample]] = []
    for sample, before in zip(batch, [None, *batch], strict=False):
        is_same = before is not None and isinstance(sample.image, (str, Path)) and sample.image == before.image
        read.append((read[-1][0] if is_same else sample.loaded_image(), sample.loaded()))
    return read
