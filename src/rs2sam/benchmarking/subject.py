"""What a benchmark measures: a model folder, pictures and sentences, and the answers that are compared.

S model side, s union side [px], L text tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rs2sam.backends import AnyBackend, Backend, BackendOutput, EncodingBackend
from rs2sam.benchmarking.timing import Reading
from rs2sam.fields import parse_json
from rs2sam.imaging import RGB
from rs2sam.processing import Processor, logits_to_mask, logits_to_probability, resize_logits

SENTENCES = ("all buildings", "the water", "all storage tanks", "the largest ship on the left")
CONFIG_FILE = "config.json"

Arrays = tuple[npt.NDArray[Any], ...]
"""What a loaded candidate's `run` takes: the four arrays of `Backend.run`, or picture, ids and attention mask."""


@dataclass(frozen=True)
class Subject:
    """A model's inputs.

    Args:
        folder: the model folder.
        processor: its processor.
        pictures: (H, W, 3) uint8 each.
        sentences: asked about every picture; times are those of the first about the first.
    """

    folder: Path
    processor: Processor
    pictures: tuple[RGB, ...]
    sentences: tuple[str, ...] = SENTENCES

    def arrays(self, picture: int = 0, sentence: int = 0, batch: int = 1) -> Arrays:
        """One picture and sentence as the model takes them, repeated to a batch."""
        text = self.processor.sentences([self.sentences[sentence]])
        inputs: tuple[npt.NDArray[Any], ...]
        if self.processor.config.keeps_aspect:
            inputs = (self.processor.picture(self.pictures[picture]),)
        else:
            images = self.processor.images(self.pictures[picture])
            inputs = images.pixel_values, images.union_pixel_values
        one: Arrays = (*(array[None] for array in inputs), text.input_ids, text.attention_mask)
        return tuple(np.repeat(array, batch, axis=0) for array in one)

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Indices of all pictures and sentences."""
        return ((p, s) for p in range(len(self.pictures)) for s in range(len(self.sentences)))

    @property
    def num_tokens(self) -> int:
        """Length of the first sentence in tokens."""
        return int(self.arrays()[-1].shape[1])


class EncodeAndAnswer:
    """A model that encodes pictures once, asked for a picture and a sentence in one call.

    Args:
        backend: what runs it.
    """

    def __init__(self, backend: EncodingBackend) -> None:
        self.backend = backend
        self.name, self.batch_size = backend.name, backend.batch_size
        self.has_presence, self.has_score = backend.has_presence, backend.has_score

    def run(self, *arrays: Any) -> BackendOutput:
        """Answer a batch of pictures with a sentence each."""
        pixel_values, input_ids, attention_mask = arrays
        return self.backend.answer(self.backend.encode(pixel_values), input_ids, attention_mask)

    def stages(self, arrays: Arrays) -> dict[str, Callable[[], object]]:
        """The picture, and each further sentence about it."""
        pixel_values, input_ids, attention_mask = arrays
        encodings = self.backend.encode(pixel_values)
        return {
            "image": lambda: self.backend.encode(pixel_values),
            "sentence": lambda: self.backend.answer(encodings, input_ids, attention_mask),
        }


def in_one_call(backend: AnyBackend) -> Backend:
    """A backend whose `run` takes the arrays of `Subject.arrays`."""
    return EncodeAndAnswer(backend) if isinstance(backend, EncodingBackend) else backend


class Candidate(Protocol):
    """A way to run the model."""

    @property
    def name(self) -> str:
        """How it is called in the report."""

    @property
    def what(self) -> str:
        """One line on what it is."""

    @property
    def rate(self) -> str:
        """Name of the matrix rate that its operations are a share of."""

    @property
    def warm_up(self) -> int:
        """Calls before the first reading."""

    def load(self) -> Backend:
        """Load the model; what it needs to be imported is imported already."""

    def stages(self, arrays: Arrays) -> dict[str, Callable[[], object]]:
        """Calls for single stages of the loaded model, each waiting for its own end; empty where they are one."""

    def attention_kernels(self, arrays: Arrays) -> dict[str, int]:
        """Attention functions that one run calls, and how often; empty where that cannot be seen."""

    def forget_peak(self) -> None:
        """Start a new peak of memory."""

    def peak_memory_mib(self) -> float:
        """Peak memory where the model runs [MiB]."""

    def unload(self) -> None:
        """Free the model."""


@dataclass(frozen=True)
class Answer:
    """Logits (h, w) of one picture and sentence at full size: mask and probability."""

    mask: npt.NDArray[np.bool_]
    probability: npt.NDArray[np.float32]


def ask(backend: Backend, subject: Subject) -> list[Answer]:
    """Answers to all pairs of a subject, each alone, at the pictures' own size."""
    answers = []
    for picture, sentence in subject.pairs():
        low_res = backend.run(*subject.arrays(picture, sentence)).low_res_logits[0]
        height, width = subject.pictures[picture].shape[:2]
        logits = resize_logits(low_res, (height, width))
        answers.append(Answer(logits_to_mask(logits), logits_to_probability(logits)))
    return answers


def agreement(answers: list[Answer], reference: list[Answer]) -> dict[str, float]:
    """How far answers are from those of a reference.

    Returns:
        Least and mean IoU of the masks (1 where both are empty) and the largest difference of any probability.
    """
    overlaps, differences = [], []
    for ours, theirs in zip(answers, reference, strict=True):
        union = int((ours.mask | theirs.mask).sum())
        overlaps.append(int((ours.mask & theirs.mask).sum()) / union if union else 1.0)
        differences.append(float(np.abs(ours.probability - theirs.probability).max()))
    return {
        "least_mask_iou": min(overlaps),
        "mean_mask_iou": sum(overlaps) / len(overlaps),
        "max_probability_difference": max(differences),
    }


def matrix_rate_numpy(measure: Callable[[Callable[[], object]], Reading], side: int = 2048) -> Reading:
    """Time of a (side, side) float32 matrix product in numpy: 2 side^3 operations."""
    random = np.random.default_rng(0)
    left, right = (random.standard_normal((side, side), dtype=np.float32) for _ in range(2))
    return measure(lambda: left @ right)


def model_sizes(folder: Path) -> dict[str, Any]:
    """The fields of a folder's config.json."""
    values: dict[str, Any] = parse_json((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    return values
