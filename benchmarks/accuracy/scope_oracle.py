"""A model that finds every object of a class and tells them apart, for `scope.py`.

It answers views as a concept model does, through the same interface: `rs2sam.views.segment_scene` cuts the scene, asks
it in every tile and merges what it says. Where a view lies it reads from the pixels, which hold their own place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.base import Instance
from rs2sam.vector.instances import Instances


@dataclass(frozen=True)
class OracleView:
    """What it says of a view; see `rs2sam.views.options.View`."""

    probability: NDArray[np.float32]
    instances: Instances
    presence: float | None = 1.0
    score: float | None = 1.0
    known: float | None = None


class Oracle:
    """Perfect answers to phrases.

    Args:
        objects: for each phrase what it names in the scene.
        size_hw: height and width of the scene [px], each below 4,096.
    """

    image_size = 512

    def __init__(self, objects: Mapping[str, Sequence[Instance]], size_hw: tuple[int, int]) -> None:
        self._labels = {phrase: numbered(instances, size_hw) for phrase, instances in objects.items()}

    def segment_views(self, pairs: Sequence[tuple[NDArray[np.uint8], str]], batch_size: int = 1) -> list[OracleView]:
        """Answer pairs of a view and a phrase."""
        return [self._answer(view, phrase) for view, phrase in pairs]

    def _answer(self, view: NDArray[np.uint8], phrase: str) -> OracleView:
        row, col = divmod(int(np.dot(view[0, 0].astype(np.int64), [2**16, 2**8, 1])), 2**12)
        part = self._labels[phrase][row : row + view.shape[0], col : col + view.shape[1]]
        present = np.flatnonzero(np.bincount(part.ravel()))
        present = present[present > 0]
        own = np.zeros(int(part.max()) + 1, dtype=np.uint16)
        own[present] = np.arange(1, len(present) + 1)
        scores = np.ones(len(present), dtype=np.float32)
        return OracleView((part > 0).astype(np.float32), Instances(own[part], scores))


def numbered(instances: Sequence[Instance], size_hw: tuple[int, int]) -> NDArray[np.int64]:
    """(H, W) numbers of objects; where the annotation overlaps, a pixel is the smaller one's."""
    labels = np.zeros(size_hw, dtype=np.int64)
    for number in sorted(range(len(instances)), key=lambda index: -instances[index].area):
        mask = np.zeros(size_hw, dtype=np.bool_)
        instances[number].paint(mask)
        labels[mask] = number + 1
    return labels


def places(size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) pixels that hold their own row and column, 12 bits each."""
    rows, cols = np.indices(size_hw)
    values = rows * 2**12 + cols
    return np.stack([values >> 16, values >> 8 & 255, values & 255], axis=-1).astype(np.uint8)


def touching(labels: NDArray[np.int64]) -> int:
    """How many objects share an edge of a pixel with another."""
    pairs = [(labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])]
    found: set[int] = set()
    for first, second in pairs:
        meet = (first != second) & (first > 0) & (second > 0)
        found |= set(first[meet].tolist()) | set(second[meet].tolist())
    return len(found)
