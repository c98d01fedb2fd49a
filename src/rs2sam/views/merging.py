"""Objects of tiles to objects of the scene: one that lies in several tiles is found in each of them and is one.

Two tiles share the pixels of their overlap. What one found there and what the other found there are the same object
where they cover the same pixels, by at least half of their union; so no object is ever two of another tile, and those
that touch are not run together. Chains of tiles make one object of a runway that no tile holds whole. Where tiles
disagree about a pixel, the one that has it farthest from its border decides, as in the blended map.

Numbers of objects begin with 1; 0 is none. h w pixels of a tile or strip.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rs2sam.raster.tiling import TileGrid, Window

Labels = NDArray[np.integer]
IntArray = NDArray[np.int64]

SAME_SHARE = 0.5
"""Intersection over union, in the pixels that two tiles share, from which on they have found the same object."""


@dataclass(frozen=True, eq=False)
class SceneObjects:
    """Objects of a scene.

    Args:
        numbers: for each tile an (n + 1,) array that turns its numbers into those of the scene; None for a tile that
            found none.
        boxes: (N, 4) left, top, right, bottom of each object in pixels of the scene; right and bottom outside.
        scores: (N,) float32 in [0, 1], the highest of any tile.
    """

    numbers: list[IntArray | None]
    boxes: IntArray
    scores: NDArray[np.float32]


def merge(
    grid: TileGrid, labels_of: Callable[[int], Labels | None], scores_of: Callable[[int], NDArray[np.float32]]
) -> SceneObjects:
    """Find out which objects of tiles are one.

    Args:
        grid: the tiles.
        labels_of: (h, w) numbers of the objects of a tile; None where there are none. Asked for a tile and its
            neighbours before it, row by row.
        scores_of: (n,) of the objects of a tile.
    """
    firsts: list[int | None] = []
    parents: list[int] = []
    boxes: list[IntArray] = []
    scores: list[NDArray[np.float32]] = []
    for number in range(len(grid)):
        labels = labels_of(number)
        if labels is None:
            firsts.append(None)
            continue
        window, own = grid.window(number), scores_of(number)
        firsts.append(len(parents))
        parents.extend(range(len(parents), len(parents) + len(own)))
        boxes.append(_boxes(labels, len(own)) + np.array([window.col, window.row, window.col, window.row]))
        scores.append(own)
        for other in _before(grid, number):
            start = firsts[other]
            theirs = None if start is None else labels_of(other)
            if theirs is not None and start is not None:
                for a, b in _same(labels, window, theirs, grid.window(other)):
                    _join(parents, len(parents) - len(own) + a - 1, start + b - 1)
    return _numbered(grid, firsts, parents, boxes, scores)


def paint(
    tiles: Iterable[tuple[Window, Labels, NDArray[np.float32]]], rows: int, width: int, top: int = 0
) -> NDArray[np.int32]:
    """Which object each pixel of a strip belongs to.

    Args:
        tiles: parts of tiles: where they lie in the scene, the scene's numbers of the objects in them, and the weights
            of the tile there.
        rows: height of the strip.
        width: of the scene.
        top: first row of the strip.

    Returns:
        (rows, width) int32.
    """
    found = np.zeros((rows, width), dtype=np.int32)
    heaviest = np.zeros((rows, width), dtype=np.float32)
    for window, numbers, weights in tiles:
        first, last = max(window.row, top), min(window.row + window.height, top + rows)
        if first >= last:
            continue
        part = slice(first - window.row, last - window.row)
        place = slice(first - top, last - top), slice(window.col, window.col + window.width)
        wins = (numbers[part] > 0) & (weights[part] > heaviest[place])
        found[place][wins] = numbers[part][wins]
        heaviest[place][wins] = weights[part][wins]
    return found


def _before(grid: TileGrid, number: int) -> Iterator[int]:
    """Tiles with lower numbers that share pixels with one."""
    rows, cols = grid.offsets_hw
    row, col = divmod(number, len(cols))
    near = (
        range(bisect_right(offsets, offsets[place] - grid.tile), bisect_left(offsets, offsets[place] + grid.tile))
        for offsets, place in ((rows, row), (cols, col))
    )
    for other_row, other_col in product(*near):
        other = other_row * len(cols) + other_col
        if other < number:
            yield other


def _same(first: Labels, first_at: Window, second: Labels, second_at: Window) -> list[tuple[int, int]]:
    """Pairs of numbers of objects that two tiles have in common."""
    parts = []
    for labels, at in ((first, first_at), (second, second_at)):
        top, left = max(first_at.row, second_at.row), max(first_at.col, second_at.col)
        bottom = min(first_at.row + first_at.height, second_at.row + second_at.height)
        right = min(first_at.col + first_at.width, second_at.col + second_at.width)
        parts.append(labels[top - at.row : bottom - at.row, left - at.col : right - at.col].astype(np.int64))
    a, b = parts
    sizes_a, sizes_b = np.bincount(a.ravel()), np.bincount(b.ravel())
    both = (a > 0) & (b > 0)
    pairs, counts = np.unique(a[both] * len(sizes_b) + b[both], return_counts=True)
    ours, theirs = np.divmod(pairs, len(sizes_b))
    unions = sizes_a[ours] + sizes_b[theirs] - counts
    is_same = counts >= SAME_SHARE * unions
    return list(zip(ours[is_same].tolist(), theirs[is_same].tolist(), strict=True))


def _boxes(labels: Labels, count: int) -> IntArray:
    """(n, 4) left, top, right, bottom of objects in a tile; one without pixels is turned inside out."""
    rows, cols = np.nonzero(labels)
    numbers = labels[rows, cols].astype(np.int64) - 1
    far = np.iinfo(np.int32).max
    boxes = np.tile(np.array([far, far, -far, -far], dtype=np.int64), (count, 1))
    for side, values, reduce in ((0, cols, np.minimum), (1, rows, np.minimum), (2, cols, np.maximum)):
        reduce.at(boxes[:, side], numbers, values)
    np.maximum.at(boxes[:, 3], numbers, rows)
    boxes[:, 2:] += 1
    return boxes


def _root(parents: list[int], node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


def _join(parents: list[int], first: int, second: int) -> None:
    """Make two objects one; the earlier one stands for both."""
    low, high = sorted((_root(parents, first), _root(parents, second)))
    parents[high] = low


def _numbered(
    grid: TileGrid,
    firsts: list[int | None],
    parents: list[int],
    boxes: list[IntArray],
    scores: list[NDArray[np.float32]],
) -> SceneObjects:
    """Number the objects of the scene in the order in which they were first found."""
    roots = np.array([_root(parents, node) for node in range(len(parents))], dtype=np.int64)
    unique, of_node = np.unique(roots, return_inverse=True)
    count = len(unique)
    around = np.concatenate(boxes) if boxes else np.zeros((0, 4), dtype=np.int64)
    merged = np.zeros((count, 4), dtype=np.int64)
    merged[:, :2] = np.iinfo(np.int64).max
    highest = np.zeros(count, dtype=np.float32)
    np.minimum.at(merged[:, :2], of_node, around[:, :2])
    np.maximum.at(merged[:, 2:], of_node, around[:, 2:])
    np.maximum.at(highest, of_node, np.concatenate(scores) if scores else np.zeros(0, dtype=np.float32))
    height, width = grid.size_hw
    merged = np.clip(merged, 0, [width, height, width, height])
    starts = [*(first for first in firsts if first is not None), len(parents)]
    sizes = iter(np.diff(starts).tolist())
    numbers: list[IntArray | None] = []
    for first in firsts:
        if first is None:
            numbers.append(None)
        else:
            own = of_node[first : first + next(sizes)] + 1
            numbers.append(np.concatenate([[0], own]).astype(np.int64))
    return SceneObjects(numbers, merged, highest)
