"""Regions of objects that a model told apart: those that touch stay two, pieces of one stay together.

A mask is traced as ever (`rs2sam.vector.regions`), in layers: objects whose rectangles meet lie in different layers, so
no region of a layer holds pixels of two. How many layers there are depends on how crowded the objects are, not on their
number. Pixels of the mask that belong to no object make regions of their own.

Objects are numbered from 1; 0 is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from rs2sam.language.scope import Candidate
from rs2sam.raster.georeference import Georeference
from rs2sam.vector.boundary import BoolArray, IntArray
from rs2sam.vector.regions import PixelRegion, RegionCollector

Labels = NDArray[np.integer]


@dataclass(frozen=True)
class ObjectRegion:
    """A connected piece of a mask, and which object it is a piece of.

    Args:
        region: the piece.
        number: of its object; 0 where it belongs to none, and is one by itself.
    """

    region: PixelRegion
    number: int


class ObjectCollector:
    """Collects the regions of objects from strips of their numbers; see `RegionCollector`.

    Args:
        size_hw: of the whole map.
        boxes: (N, 4) left, top, right, bottom of a rectangle around each object in pixels; right and bottom outside.
        georeference: where the pixels lie, for areas; without it they are None.
    """

    def __init__(self, size_hw: tuple[int, int], boxes: IntArray, georeference: Georeference | None = None) -> None:
        self._boxes = np.asarray(boxes, dtype=np.int64).reshape(-1, 4)
        layer_of = layers(self._boxes)
        self._num_layers = int(layer_of.max(initial=-1)) + 1
        # The layer after the last holds what belongs to no object.
        self._layer_of = np.concatenate([[self._num_layers], layer_of]).astype(np.int32)
        self._collectors = [RegionCollector(size_hw, georeference) for _ in range(self._num_layers + 1)]
        self._trees = [
            (numbers, shapely.STRtree(shapely.box(*self._boxes[numbers].T)))
            for numbers in (np.flatnonzero(layer_of == layer) for layer in range(self._num_layers))
        ]
        self._width = size_hw[1]

    def add(self, top: int, mask: BoolArray, labels: Labels, probability: NDArray[np.float32]) -> list[ObjectRegion]:
        """Add the next strip.

        Args:
            top: its first row.
            mask: (h, W) bool.
            labels: (h, W) numbers of objects; read only where the mask is set.
            probability: (h, W) float32 in [0, 1]; read only where the mask is set.

        Returns:
            Regions that end above or in this strip.
        """
        of_layer = self._layer_of[labels] if self._num_layers else np.zeros(mask.shape, dtype=np.int32)
        found: list[ObjectRegion] = []
        for layer, collector in enumerate(self._collectors):
            found += self._numbered(layer, collector.add(top, mask & (of_layer == layer), probability))
        return found

    def finish(self) -> list[ObjectRegion]:
        """Regions that touch the last row."""
        found: list[ObjectRegion] = []
        for layer, collector in enumerate(self._collectors):
            found += self._numbered(layer, collector.finish())
        return found

    def _numbered(self, layer: int, regions: Sequence[PixelRegion]) -> list[ObjectRegion]:
        """Regions of a layer with the object whose rectangle they lie in; no two rectangles of a layer meet."""
        if layer == self._num_layers or not regions:
            return [ObjectRegion(region, 0) for region in regions]
        numbers, tree = self._trees[layer]
        rows, columns = np.divmod([region.first_pixel for region in regions], self._width)
        places, hits = tree.query(shapely.points(columns + 0.5, rows + 0.5), predicate="within")
        found = np.zeros(len(regions), dtype=np.int64)
        found[places] = numbers[hits] + 1
        return [ObjectRegion(region, int(number)) for region, number in zip(regions, found, strict=True)]


def layers(boxes: IntArray) -> IntArray:
    """Share rectangles out so that no two of a layer overlap or touch, the larger ones first.

    Args:
        boxes: (N, 4) left, top, right, bottom.

    Returns:
        (N,) the layer of each, from 0.
    """
    found = np.full(len(boxes), -1, dtype=np.int64)
    if not len(boxes):
        return found
    shapes = shapely.box(*boxes.T)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    order = np.argsort(first, kind="stable")
    first, second = first[order], second[order]
    starts = np.searchsorted(first, np.arange(len(boxes) + 1))
    for index in np.argsort(-shapely.area(shapes), kind="stable"):
        taken = set(found[second[starts[index] : starts[index + 1]]].tolist())
        found[index] = next(layer for layer in range(len(taken) + 1) if layer not in taken)
    return found


def boxes_of(labels: Labels, count: int) -> IntArray:
    """(N, 4) left, top, right, bottom of the pixels of each object; an object without pixels is empty at the corner.

    Args:
        labels: (H, W) numbers of objects.
        count: N.
    """
    rows, columns = np.nonzero(labels)
    numbers = labels[rows, columns].astype(np.int64) - 1
    boxes = np.zeros((count, 4), dtype=np.int64)
    if not len(numbers):
        return boxes
    order = np.argsort(numbers, kind="stable")
    present, starts = np.unique(numbers[order], return_index=True)
    for side, values, reduce in ((0, columns, np.minimum), (1, rows, np.minimum), (2, columns, np.maximum)):
        boxes[present, side] = reduce.reduceat(values[order], starts)
    boxes[present, 3] = np.maximum.reduceat(rows[order], starts)
    boxes[present, 2:] += 1
    return boxes


def object_regions(
    mask: BoolArray,
    labels: Labels | None,
    probability: NDArray[np.float32],
    georeference: Georeference | None = None,
) -> list[ObjectRegion]:
    """Regions of a mask in memory with their objects, largest first, then by their first pixel.

    Args:
        mask: (H, W) bool.
        labels: (H, W) numbers of objects; None where nothing was told apart: then every region is one.
        probability: (H, W) float32 in [0, 1].
        georeference: where the pixels lie, for areas; without it they are None.
    """
    if labels is None:
        regions = RegionCollector((mask.shape[0], mask.shape[1]), georeference)
        pieces = [ObjectRegion(one, 0) for one in regions.add(0, mask, probability) + regions.finish()]
        return _largest_first(pieces)
    labels = np.where(mask, labels, 0)
    collector = ObjectCollector(
        (mask.shape[0], mask.shape[1]), boxes_of(labels, int(labels.max(initial=0))), georeference
    )
    return _largest_first(collector.add(0, mask, labels, probability) + collector.finish())


def _largest_first(found: Sequence[ObjectRegion]) -> list[ObjectRegion]:
    """In the order of `object_regions`."""
    return sorted(found, key=lambda one: (-one.region.num_pixels, one.region.first_pixel))


def objects_of(pieces: Sequence[ObjectRegion]) -> tuple[list[Candidate], list[list[int]]]:
    """Whole objects out of their pieces, as `choose` sees them.

    Returns:
        The objects, and for each which of `pieces` it is made of.
    """
    members: dict[tuple[int, int], list[int]] = {}
    for index, piece in enumerate(pieces):
        members.setdefault((piece.number, 0 if piece.number else index), []).append(index)
    found = []
    for indices in members.values():
        regions = [pieces[index].region for index in indices]
        bounds = np.array([region.bounds for region in regions])
        pixels = sum(region.num_pixels for region in regions)
        mean = sum(region.num_pixels * region.mean_probability for region in regions) / pixels
        left, top = bounds[:, :2].min(axis=0).tolist()
        right, bottom = bounds[:, 2:].max(axis=0).tolist()
        found.append(Candidate((left, top, right, bottom), pixels, mean))
    return found, list(members.values())
