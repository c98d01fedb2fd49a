"""A stand-in for the model and samples whose figures can be counted by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rs2sam.datasets.base import Mask, Sample
from rs2sam.evaluation import SampleResult
from rs2sam.metrics import PixelCounts
from rs2sam.segmenter import Segmentation

SIDE = 4


class StandIn:
    """Answers with the mask and presence that a function gives for a sentence and a size."""

    image_size = 8
    min_presence = 0.0
    choose_in_view = False
    reads_phrases = False
    first_pass = None
    backend_name = "stand-in"

    def __init__(self, answer: Callable[[str, tuple[int, int]], tuple[Mask, float | None]]) -> None:
        self.answer = answer
        self.batches: list[int] = []

    def segment_views(self, pairs, batch_size=8, size_hw=None, min_presence=0.0) -> list[Segmentation]:
        self.batches.append(len(pairs))
        results = []
        for rgb, sentence in pairs:
            mask, presence = self.answer(sentence, size_hw or rgb.shape[:2])
            results.append(Segmentation(sentence, mask, mask.astype(np.float32), presence, presence))
        return [result.if_present(min_presence) for result in results]


def rows(count: int, size_hw: tuple[int, int] = (SIDE, SIDE)) -> Mask:
    """The first rows of an image."""
    mask = np.zeros(size_hw, dtype=bool)
    mask[:count] = True
    return mask


def sample(sentence: str, mask: Mask | None, **fields) -> Sample:
    fields.setdefault("id", sentence)
    return Sample(np.zeros((SIDE, SIDE, 3), np.uint8), sentence, mask, **fields)


def two_rows(_: str, size_hw: tuple[int, int]) -> tuple[Mask, float]:
    return rows(2, size_hw), 0.5


def first_number(sentence: str, size_hw: tuple[int, int]) -> tuple[Mask, float]:
    """As many rows as the sentence begins with."""
    return rows(int(sentence.split()[0]), size_hw), 0.75


def result(name: str, iou: tuple[int, int], **fields) -> SampleResult:
    """A result with this intersection and union; the target fills a quarter of 100 pixels."""
    fields = {"kind": "class", "category": "ship", "is_empty": False, "presence": None, "score": None, **fields}
    fields.setdefault("sentence", f"the {name}")
    fields.setdefault("everything", PixelCounts(25, 100))
    return SampleResult(id=name, counts=PixelCounts(*iou), class_only=None, **fields)
