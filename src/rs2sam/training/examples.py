"""Training examples on their way into the model: drawn by index, processed, stacked.

Shapes: S image side, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from rs2sam.processing import Processor


@dataclass(frozen=True, eq=False)
class TrainingDraw:
    """One training example before it becomes the model's input.

    Args:
        rgb: (S, S, 3) uint8.
        sentence: the referring expression.
        mask: (S, S) bool target, all False where nothing is meant.
        labels: (K, S, S) bool, every class's pixels.
        known: (K,) bool, True = `labels` of this class are complete.
        category: index in [0, K) of the class that the sentence names, whether it is there or not.
    """

    rgb: NDArray[np.uint8]
    sentence: str
    mask: NDArray[np.bool_]
    labels: NDArray[np.bool_]
    known: NDArray[np.bool_]
    category: int


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
        drawn = self.draw(index)
        images = self.processor.images(drawn.rgb)
        return {"pixel_values": images.pixel_values, "union_pixel_values": images.union_pixel_values, "drawn": drawn}

    def collate(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Stacks examples; sentences are padded to the longest of the batch."""
        drawn: list[TrainingDraw] = [example["drawn"] for example in examples]
        text = self.processor.sentences([one.sentence for one in drawn])
        arrays = {
            "pixel_values": np.stack([example["pixel_values"] for example in examples]),
            "union_pixel_values": np.stack([example["union_pixel_values"] for example in examples]),
            "input_ids": text.input_ids,
            "attention_mask": text.attention_mask,
            "target": np.stack([one.mask for one in drawn]),
            "labels": np.stack([one.labels for one in drawn]),
            "known": np.stack([one.known for one in drawn]),
            "category": np.array([one.category for one in drawn], dtype=np.int64),
            "rgb": np.stack([one.rgb.transpose(2, 0, 1) for one in drawn]),
        }
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}
