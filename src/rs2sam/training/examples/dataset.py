"""Training examples on their way into the model: drawn by index, processed, stacked.

Shapes: S image side, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from rs2sam.datasets.base import Sample
from rs2sam.processing import Processor
from rs2sam.training.examples.failures import READ_ERRORS, failed_batch, failed_example


@dataclass(frozen=True, eq=False)
class TrainingDraw:
    """One training example before it becomes the model's input.

    Args:
        rgb: (H, W, 3) uint8 at any size; the model's two inputs are both resized from it.
        sentence: the referring expression.
        mask: (S, S) bool target, all False where nothing is meant.
        labels: (K, S, S) bool, every class's pixels; None where classes are not annotated.
        known: (K,) bool, True = `labels` of this class are complete; None with `labels`.
        category: index in [0, K) of the class that the sentence names, whether it is there or not; -1: not known.
        id: names the example in messages; by default its index in the run.
        ignore: (S, S) bool, pixels that the loss leaves out; None: none.
    """

    rgb: NDArray[np.uint8]
    sentence: str
    mask: NDArray[np.bool_]
    labels: NDArray[np.bool_] | None = None
    known: NDArray[np.bool_] | None = None
    category: int = -1
    id: str = ""
    ignore: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Examples:
    """What a run is fed with.

    Args:
        draw: index -> training example, the same in every process: a `TrainingDraw`, or a `shared.SharedDraw` for a
            model that encodes an image once.
        num_classes: K of the examples' labels; 0 where classes are not annotated.
        epoch_size: examples in one pass over the data; 0: it has no end.
        validation: what the run is validated on; empty: it is not.
        counts: split -> number of samples, for the model card.
    """

    draw: Callable[[int], Any]
    num_classes: int = 0
    epoch_size: int = 0
    validation: Sequence[Sample] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


class ReferringDataset(Dataset[dict[str, Any]]):
    """Examples drawn by index, with the image as the model takes it.

    Args:
        draw: index -> example; deterministic, so that neither worker count nor resuming changes anything.
        processor: makes the inputs; its `image_size` is the side that is trained at.
        length: number of examples.
    """

    def __init__(self, draw: Callable[[int], TrainingDraw], processor: Processor, length: int) -> None:
        self.draw = draw
        self.processor = processor
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        try:
            drawn = self.draw(index)
            images = self.processor.images(drawn.rgb)
            self.processor.sentences([drawn.sentence])  # one that is too long is this example's failure
        except READ_ERRORS as error:
            return failed_example(index, error)
        return {
            "pixel_values": images.pixel_values,
            "union_pixel_values": images.union_pixel_values,
            "drawn": drawn,
            "id": drawn.id or str(index),
        }

    def collate(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Stacks examples; sentences are padded to the longest of the batch.

        Returns:
            Tensors by name, and `ids`, a list of texts. `labels` and `known` are there where every example has them,
            `ignore` (B, S, S) bool where an example has some.
            Instead of all that a failure, where an example could not be made.
        """
        failed = failed_batch(examples)
        if failed is not None:
            return failed
        drawn: list[TrainingDraw] = [example["drawn"] for example in examples]
        text = self.processor.sentences([one.sentence for one in drawn])
        arrays = {
            "pixel_values": np.stack([example["pixel_values"] for example in examples]),
            "union_pixel_values": np.stack([example["union_pixel_values"] for example in examples]),
            "input_ids": text.input_ids,
            "attention_mask": text.attention_mask,
            "target": np.stack([one.mask for one in drawn]),
            "category": np.array([one.category for one in drawn], dtype=np.int64),
        }
        if any(one.ignore is not None for one in drawn):
            none = np.zeros_like(drawn[0].mask)
            arrays["ignore"] = np.stack([none if one.ignore is None else one.ignore for one in drawn])
        labels = [one.labels for one in drawn if one.labels is not None]
        known = [one.known for one in drawn if one.known is not None]
        if len(labels) == len(known) == len(drawn):
            arrays |= {"labels": np.stack(labels), "known": np.stack(known)}
        tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}
        return tensors | {"ids": [example["id"] for example in examples]}


def resized(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """An image as a trunk of one side sees it, before normalisation: (H, W, 3) to (side, side, 3)."""
    if rgb.shape[:2] == (side, side):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((side, side), Image.Resampling.BILINEAR))
