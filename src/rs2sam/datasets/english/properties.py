"""Three-valued properties of objects: for each object one is true, false, or too close to call.

A sentence names a target safely when every one of its properties is *true* of the target and at least one of them is
*false* of each other object of the category. Margins live here; the sentences need none.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.base import AnnotatedImage, Instance
from rs2sam.datasets.english.colours import colour_name
from rs2sam.datasets.english.vocabulary import COLOURED_CATEGORIES, COLOURS, CONFUSABLE_COLOURS
from rs2sam.datasets.images import Pixels

Truth = NDArray[np.bool_]
"""(N,) bool over the instances of one category, in their order in the image."""

_EXTREME_GAP = 0.05
_SIZE_RATIO = 1.4
_CLEAR_SIZE_RATIO = 1.8
_WHOLE = 0.95
_NEAR_RATIO = 1.35
_NEAR_GAP = 0.04
_BESIDE_MAX = 0.08
_BESIDE_CLEAR = 0.2
_ON_SHARE, _OFF_SHARE = 0.75, 0.25
_GRID = 64
_MIN_ANCHOR_VISIBLE = 0.35


@dataclass(frozen=True, eq=False)
class Property:
    """Something that may be said of objects of one category.

    Args:
        kind: `position`, `size`, `colour` or `relation`.
        name: which one, e.g. `upper left`, `largest`, `white`, `nearest`.
        true: of whom it is certainly true.
        false: of whom it is certainly false.
        superlative: whether it singles one out and so needs "the".
        anchor: category of the object that a relation refers to.
        anchor_is_other: the anchor is the one other object of the same category.
        anchor_is_plural: the anchor is all objects of its category together ("the storage tanks").
    """

    kind: str
    name: str
    true: Truth
    false: Truth
    superlative: bool = False
    anchor: str | None = None
    anchor_is_other: bool = False
    anchor_is_plural: bool = False


@dataclass(frozen=True, eq=False)
class Objects:
    """The instances of one category, measured once.

    Args:
        annotated: the image they are in.
        category: their category.
    """

    annotated: AnnotatedImage
    category: str
    instances: tuple[Instance, ...] = field(init=False)
    boxes: NDArray[np.float64] = field(init=False)
    areas: NDArray[np.float64] = field(init=False)
    visible: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        instances = self.annotated.of(self.category)
        height, width = self.annotated.size_hw
        boxes = np.array([i.box_xyxy for i in instances], dtype=np.float64).reshape(-1, 4)
        object.__setattr__(self, "instances", instances)
        object.__setattr__(self, "boxes", boxes / (width, height, width, height))  # (N, 4) in [0, 1]
        object.__setattr__(self, "areas", np.array([i.area for i in instances], dtype=np.float64))
        visible = [float(i.attributes.get("visible", 1.0)) for i in instances]
        object.__setattr__(self, "visible", np.array(visible))

    def __len__(self) -> int:
        return len(self.instances)

    @property
    def centers(self) -> NDArray[np.float64]:
        """(N, 2) centres of the boxes, x and y in [0, 1]."""
        return (self.boxes[:, :2] + self.boxes[:, 2:]) / 2


def positions(objects: Objects) -> list[Property]:
    """Properties of place in the image: corners, sides, the middle, and extremes among the objects."""
    x, y = objects.centers.T
    x0, y0, x1, y1 = objects.boxes.T
    left, not_left = (x < 0.4) & (x1 < 0.72), (x > 0.53) & (x0 > 0.2)
    right, not_right = (x > 0.6) & (x0 > 0.28), (x < 0.47) & (x1 < 0.8)
    top, not_top = (y < 0.4) & (y1 < 0.72), (y > 0.53) & (y0 > 0.2)
    bottom, not_bottom = (y > 0.6) & (y0 > 0.28), (y < 0.47) & (y1 < 0.8)
    mid_x, off_x = abs(x - 0.5) < 0.13, abs(x - 0.5) > 0.26
    mid_y, off_y = abs(y - 0.5) < 0.13, abs(y - 0.5) > 0.26
    cells = {
        "upper left": (left & top, not_left | not_top),
        "upper right": (right & top, not_right | not_top),
        "lower left": (left & bottom, not_left | not_bottom),
        "lower right": (right & bottom, not_right | not_bottom),
        "left": (left & (x < 0.36), not_left),
        "right": (right & (x > 0.64), not_right),
        "top": (top & (y < 0.36), not_top),
        "bottom": (bottom & (y > 0.64), not_bottom),
        "center": (mid_x & mid_y, off_x | off_y),
        "upper center": (mid_x & top & (y < 0.33), off_x | not_top),
        "lower center": (mid_x & bottom & (y > 0.67), off_x | not_bottom),
        "center left": (mid_y & left & (x < 0.33), off_y | not_left),
        "center right": (mid_y & right & (x > 0.67), off_y | not_right),
    }
    tight = (np.minimum(x, 1 - x) < 0.28) & (np.minimum(y, 1 - y) < 0.28)
    for name in ("upper left", "upper right", "lower left", "lower right"):
        true, false = cells[name]
        cells[f"{name} corner"] = (true & tight, false)
    found = [Property("position", name, true, false) for name, (true, false) in cells.items()]
    extremes = {"left": (x, x0), "right": (-x, -x1), "top": (y, y0), "bottom": (-y, -y1)}
    for name, (center, edge) in extremes.items():
        first = _clearly_first(center, edge)
        if first is not None:
            found.append(_single("position", f"{name}most", first, len(objects)))
    return found


def sizes(objects: Objects) -> list[Property]:
    """Properties of size among the objects; none where one that is cut off at the border might be the larger."""
    if len(objects) < 2:
        return []
    order = np.argsort(objects.areas)
    low, high = int(order[0]), int(order[-1])
    whole = objects.areas / np.maximum(objects.visible, 0.05)
    found = []
    # What is cut off may count as small by what is seen or as large by what it is: either reading has to agree.
    others_whole = np.delete(whole, high)
    if objects.areas[high] > _SIZE_RATIO * others_whole.max():
        found.append(_single("size", "largest", high, len(objects)))
        if len(objects) == 2 and objects.areas[high] > _CLEAR_SIZE_RATIO * others_whole.max():
            found.append(_single("size", "larger", high, len(objects)))
    if objects.visible[low] >= _WHOLE and whole[low] * _SIZE_RATIO < np.delete(objects.areas, low).min():
        found.append(_single("size", "smallest", low, len(objects)))
        if len(objects) == 2 and whole[low] * _CLEAR_SIZE_RATIO < objects.areas[high]:
            found.append(_single("size", "smaller", low, len(objects)))
    return found


def colours(objects: Objects, pixels: Pixels | None) -> list[Property]:
    """Properties of colour, from the objects' attributes where they have one, else measured.

    Args:
        objects: the objects.
        pixels: (H, W, 3) uint8 of the image, or None: only attributes count.
    """
    names = [_colour_of(instance, pixels) for instance in objects.instances]
    found = []
    for colour in COLOURS:
        true = np.array([name == colour for name in names], dtype=bool)
        false = np.array(
            [
                name is not None and name != colour and frozenset((name, colour)) not in CONFUSABLE_COLOURS
                for name in names
            ],
            dtype=bool,
        )
        found.append(Property("colour", colour, true, false))
    return found


def relations(objects: Objects, anchors: dict[str, Objects], regions: list[str]) -> list[Property]:
    """Properties of place relative to something else.

    Args:
        objects: the objects that are spoken of.
        anchors: other categories whose objects are all known; a single object is "the bridge", several "the bridges".
        regions: categories of stuff that everything is known of.
    """
    found = []
    for category, anchor in anchors.items():
        distances = np.min([_box_distances(objects.boxes, box) for box in anchor.boxes], axis=0)
        around = np.concatenate([anchor.boxes[:, :2].min(axis=0), anchor.boxes[:, 2:].max(axis=0)])
        is_plural = len(anchor) > 1
        found += [
            replace(p, anchor_is_plural=is_plural)
            for p in (
                *_distance_properties(objects, distances, category, with_farthest=not is_plural),
                *_direction_properties(objects, (around[:2] + around[2:]) / 2, around, category),
            )
        ]
    for category in regions:
        distances, inside = _region_distances(objects, category)
        found += _distance_properties(objects, distances, category, with_farthest=False)
        if category in ("road", "bridge", "field") and objects.category in ("vehicle", "airplane"):
            found.append(Property("relation", "on", inside > _ON_SHARE, inside < _OFF_SHARE, anchor=category))
    if len(objects) == 2 and objects.visible.min() > _MIN_ANCHOR_VISIBLE:
        for i in (0, 1):
            found += [
                Property("relation", p.name, *_only(i, 2), anchor=p.anchor, anchor_is_other=True)
                for p in _direction_properties(objects, objects.centers[1 - i], objects.boxes[1 - i], objects.category)
                if p.true[i]
            ]
    return found


def _colour_of(instance: Instance, pixels: Pixels | None) -> str | None:
    """Return the colour that an instance carries or shows."""
    if "colour" in instance.attributes:
        colour: str | None = instance.attributes["colour"]
        return colour
    if pixels is None or instance.category not in COLOURED_CATEGORIES:
        return None
    x0, y0, x1, y1 = instance.box_xyxy
    return colour_name(pixels[y0:y1, x0:x1], instance.mask)


def _clearly_first(center: NDArray[np.float64], edge: NDArray[np.float64]) -> int | None:
    """Return who comes first by centre and by edge alike, if by a margin."""
    if len(center) < 2:
        return None
    order = np.argsort(center)
    first = int(order[0])
    is_clear = center[order[1]] - center[first] > _EXTREME_GAP and edge[first] <= edge.min() + 1e-9
    return first if is_clear else None


def _only(index: int, count: int) -> tuple[Truth, Truth]:
    """True of one object, false of all others."""
    true = np.zeros(count, dtype=bool)
    true[index] = True
    return true, ~true


def _single(kind: str, name: str, index: int, count: int) -> Property:
    """Build a superlative."""
    return Property(kind, name, *_only(index, count), superlative=True)


def _box_distances(boxes: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) distances between rectangles, 0 where they touch, in parts of the image's side."""
    gaps = np.maximum(np.maximum(boxes[:, :2] - box[2:], box[:2] - boxes[:, 2:]), 0)
    return np.asarray(np.hypot(gaps[:, 0], gaps[:, 1]))


def _region_distances(objects: Objects, category: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N,) distances from each rectangle to a region, and (N,) shares of each rectangle that the region fills."""
    mask = objects.annotated.regions[category]
    height, width = mask.shape
    rows, columns = np.arange(_GRID) * height // _GRID, np.arange(_GRID) * width // _GRID
    grid = mask[rows][:, columns]  # (64, 64)
    y, x = np.nonzero(grid)
    points = np.stack([x, y], axis=1)[None] / _GRID + 0.5 / _GRID  # (1, M, 2)
    if not len(x):
        return np.full(len(objects), np.inf), np.zeros(len(objects))
    low, high = objects.boxes[:, None, :2], objects.boxes[:, None, 2:]  # (N, 1, 2)
    gaps = np.maximum(np.maximum(low - points, points - high), 0)  # (N, M, 2)
    distances = np.hypot(gaps[..., 0], gaps[..., 1]).min(axis=1)
    inside = [float(mask[y0:y1, x0:x1].mean()) for x0, y0, x1, y1 in (i.box_xyxy for i in objects.instances)]
    return distances, np.array(inside)


def _distance_properties(
    objects: Objects, distances: NDArray[np.float64], anchor: str, with_farthest: bool
) -> list[Property]:
    """Build nearest, farthest and beside from distances to an anchor."""
    found = []
    count = len(objects)
    if count >= 2 and np.isfinite(distances).all():
        order = np.argsort(distances)
        first, second, last, before = (float(distances[order[i]]) for i in (0, 1, -1, -2))
        if second > _NEAR_RATIO * first + _NEAR_GAP:
            found.append(_relation("nearest", *_only(int(order[0]), count), anchor, superlative=True))
        if last > _NEAR_RATIO * before + _NEAR_GAP and with_farthest:
            found.append(_relation("farthest", *_only(int(order[-1]), count), anchor, superlative=True))
    found.append(_relation("beside", distances < _BESIDE_MAX, distances > _BESIDE_CLEAR, anchor))
    return found


def _relation(name: str, true: Truth, false: Truth, anchor: str, superlative: bool = False) -> Property:
    """Build a relation to an anchor."""
    return Property("relation", name, true, false, superlative, anchor)


def _direction_properties(
    objects: Objects, center: NDArray[np.float64], box: NDArray[np.float64], anchor: str
) -> list[Property]:
    """Build left, right, above and below of an anchor: beyond its edge and rather that way than another."""
    x, y = objects.centers.T
    dx, dy = x - center[0], y - center[1]
    straight = 0.8
    left = (objects.boxes[:, 2] < box[0] + 0.02) & (abs(dy) < straight * -dx)
    right = (objects.boxes[:, 0] > box[2] - 0.02) & (abs(dy) < straight * dx)
    above = (objects.boxes[:, 3] < box[1] + 0.02) & (abs(dx) < straight * -dy)
    below = (objects.boxes[:, 1] > box[3] - 0.02) & (abs(dx) < straight * dy)
    margin = 0.03
    sides = {
        "left": (left, dx > -margin),
        "right": (right, dx < margin),
        "above": (above, dy > -margin),
        "below": (below, dy < margin),
    }
    return [_relation(name, true & ~false, false, anchor) for name, (true, false) in sides.items()]
