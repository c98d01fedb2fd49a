"""Which pixels of an annotated image are known to be of a class, and which are known not to be.

Where a class is exhaustive, everything is known but what the annotation leaves open. Where it is not, a pixel is known
if the class is marked there, or a class that excludes it: no part of a building is water, whatever was annotated.

K classes (`CATEGORIES`), H W sides [px], h w cells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.base import WIDER, AnnotatedImage, Mask
from rs2sam.datasets.english.vocabulary import CATEGORIES

_MAY_SHARE_GROUND: dict[str, str] = {
    "vehicle": "large_vehicle road bridge land harbor roundabout field",
    "large_vehicle": "road bridge land harbor roundabout field",
    "ship": "water harbor",
    "harbor": "water land road building",
    "bridge": "road water",
    "airplane": "land",
    "helicopter": "land building airplane",
    "storage_tank": "building land",
    "baseball_diamond": "vegetation land park field",
    "tennis_court": "park land field",
    "basketball_court": "park land field",
    "ground_track_field": "vegetation land park soccer_field road field",
    "soccer_field": "vegetation land park field",
    "swimming_pool": "water park",
    "road": "land roundabout park golf_field field",
    "water": "park golf_field field",
    "vegetation": "tree park golf_field roundabout field",
    "tree": "park golf_field road roundabout field",
    "golf_field": "land field",
    "park": "land building golf_field field",
    "land": "field",
}
"""Category -> others that the same pixel may belong to; all other pairs exclude each other."""

MIN_SHARE, MIN_EXCLUDING_SHARE = 0.5, 0.7
"""Share of a cell above which it is known to be of a class, and not to be of those that this class excludes."""
MOST_UNKNOWN = 0.01
"""Share of a cell that may be left open if the cell is to teach anything."""
_WITHOUT_CENTRES = ("road", "water", "vegetation", "land", "park")
"""Regions that have no middle, unlike those that are objects joined together."""


def _excluding() -> NDArray[np.bool_]:
    """(K, K) bool, True = no pixel belongs to both."""
    table = ~np.eye(len(CATEGORIES), dtype=bool)
    for category, others in _MAY_SHARE_GROUND.items():
        row = CATEGORIES.index(category)
        for other in others.split():
            column = CATEGORIES.index(other)
            table[row, column] = table[column, row] = False
    return table


EXCLUDES: NDArray[np.bool_] = _excluding()
"""(K, K) bool, symmetric: no pixel belongs to both classes."""


class ClassTargets(NamedTuple):
    """What an image teaches about every class, cell by cell."""

    shares: NDArray[np.float32]
    """(K, h, w) in [0, 1], share of a cell that belongs to the class."""
    known: NDArray[np.bool_]
    """(K, h, w), True = the share is known."""


class CentreTarget(NamedTuple):
    """What an image teaches about the middles of objects, cell by cell."""

    depth: NDArray[np.float32]
    """(h, w) in [0, 1]: 1 in an object's middle, 0 at its outline; the mean over a cell's pixels that show objects."""
    known: NDArray[np.float32]
    """(h, w), 1 where a cell lies inside objects, or in ground that has none and no middle, else 0."""


def known_pixels(annotated: AnnotatedImage, category: str) -> Mask:
    """Pixels of which it is known whether they are of a category: (H, W) bool."""
    if category in annotated.exhaustive_categories:
        known = np.ones(annotated.size_hw, dtype=bool)
    else:
        known = annotated.category_mask(category)
        row = EXCLUDES[CATEGORIES.index(category)]
        for other in marked_categories(annotated):
            if row[CATEGORIES.index(other)]:
                known |= marked_pixels(annotated, other)
    return known if annotated.unknown is None else known & ~annotated.unknown


def marked_categories(annotated: AnnotatedImage) -> list[str]:
    """Categories that are marked in an image by their own names, sorted."""
    regions = {name for name, mask in annotated.regions.items() if mask.any()}
    return sorted({instance.category for instance in annotated.instances} | regions)


def marked_pixels(annotated: AnnotatedImage, category: str) -> Mask:
    """What is marked by the name of a category itself: (H, W) bool.

    Without narrower categories: what excludes vegetation need not exclude a park, which is said to be vegetation too.
    """
    mask = annotated.union(tuple(one for one in annotated.instances if one.category == category))
    return mask | annotated.regions[category] if category in annotated.regions else mask


def class_targets(annotated: AnnotatedImage, stride: int) -> ClassTargets:
    """What an image teaches about every class.

    Args:
        annotated: sides are multiples of `stride`.
        stride: pixels per cell.
    """
    height, width = (side // stride for side in annotated.size_hw)
    shares = np.zeros((len(CATEGORIES), height, width), np.float32)
    exhaustive = np.array([category in annotated.exhaustive_categories for category in CATEGORIES])
    known = np.broadcast_to(exhaustive[:, None, None], shares.shape).copy()
    own = marked_categories(annotated)
    for category in own:
        cells = cell_means(marked_pixels(annotated, category), stride) > MIN_EXCLUDING_SHARE
        known[EXCLUDES[CATEGORIES.index(category)]] |= cells
    for category in {*own, *(WIDER[name] for name in own if name in WIDER)}:
        shares[CATEGORIES.index(category)] = cell_means(annotated.category_mask(category), stride)
    known |= shares > MIN_SHARE
    if annotated.unknown is not None:
        known &= cell_means(annotated.unknown, stride) < MOST_UNKNOWN
    return ClassTargets(shares, known)


def centre_target(annotated: AnnotatedImage, stride: int) -> CentreTarget:
    """What an image teaches about the middles of objects; a smaller object lies on a larger one.

    Roads, water and greenery are known to have no middle, where no object lies on them.

    Args:
        annotated: sides are multiples of `stride`.
        stride: pixels per cell.
    """
    depth = np.zeros(annotated.size_hw, np.float32)
    for instance in sorted(annotated.instances, key=lambda one: -one.area):
        x0, y0, x1, y1 = instance.box_xyxy
        distance = distance_to_outside(instance.mask)
        depth[y0:y1, x0:x1][instance.mask] = (distance / distance.max())[instance.mask]
    shown = cell_means(depth > 0, stride)
    mean = cell_means(depth, stride) / np.maximum(shown, 1e-3)
    ground = np.zeros(annotated.size_hw, bool)
    for category in set(annotated.regions).intersection(_WITHOUT_CENTRES):
        ground |= annotated.regions[category]
    if annotated.unknown is not None:
        ground &= ~annotated.unknown
    bare = cell_means(ground & (depth == 0), stride)
    known = (shown > 1 - MOST_UNKNOWN) | (bare > 1 - MOST_UNKNOWN)
    return CentreTarget(np.clip(mean, 0, 1), known.astype(np.float32))


def cell_means(pixels: NDArray[np.generic], stride: int) -> NDArray[np.float32]:
    """Means over cells of `stride` x `stride` pixels: (H, W) to (h, w)."""
    height, width = pixels.shape[0] // stride, pixels.shape[1] // stride
    covered = pixels[: height * stride, : width * stride]
    total = np.zeros((height, width), np.float32)
    # A cell's pixels one after another: numpy's mean over two axes takes longer.
    for row in range(stride):
        for column in range(stride):
            total += covered[row::stride, column::stride]
    total /= stride * stride
    return total


def distance_to_outside(mask: Mask) -> NDArray[np.float32]:
    """Distance of every pixel of a mask to the nearest one outside of it, which is all beyond its border.

    Args:
        mask: (H, W) bool.

    Returns:
        (H, W) float32 [px], 0 outside.
    """
    padded = np.pad(mask, 1)
    height, width = padded.shape
    column = np.where(padded, np.float32(height), np.float32(0))  # distance along a column
    for row in range(1, height):
        column[row] = np.minimum(column[row], column[row - 1] + 1)
    for row in reversed(range(height - 1)):
        column[row] = np.minimum(column[row], column[row + 1] + 1)
    squares, nearest = column**2, column**2
    most = int(column.max())  # no pixel is farther from the outside than along its own column
    for offset in range(1, min(most, width - 1) + 1):
        nearest[:, offset:] = np.minimum(nearest[:, offset:], squares[:, :-offset] + offset**2)
        nearest[:, :-offset] = np.minimum(nearest[:, :-offset], squares[:, offset:] + offset**2)
    distance: NDArray[np.float32] = np.sqrt(nearest)[1:-1, 1:-1]
    return distance
