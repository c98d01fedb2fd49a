"""Mosaics: images with their annotation become one, which shows more classes, or the same from farther away.

Objects that a drone sees at a few centimetres a pixel are seen at as many decimetres where a few dozen of its images
share one; and small photographs put together teach what lies beside what at the size that is trained at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.base import AnnotatedImage, Instance, LabelRegions, Mask
from rs2sam.datasets.mixing.augment import crop, turn
from rs2sam.errors import InvalidInputError

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class FarMosaics:
    """Mosaics that show a source from farther away.

    Args:
        source: whose training images are put together.
        sides: sides of the mosaics [px], about: each is a whole number of cells.
        count: mosaics of each side.
        cells: cells along a side, taking turns: a mosaic has as many images as their square.
    """

    source: str
    sides: tuple[int, ...]
    count: int
    cells: tuple[int, ...] = (4, 5, 6)


FAR_MOSAICS: Mapping[str, FarMosaics] = {
    "cats_mosaic": FarMosaics("cats_drone_vehicles", sides=(640, 400, 320), count=12),
    "drone_mosaic": FarMosaics("dronedeploy_chips", sides=(640, 400), count=20),
}
"""Name of a source -> how its images are made: cars of 0.04 and 0.1 m/px at 0.16 to 0.5 m/px."""


def mosaic(parts: Sequence[AnnotatedImage]) -> AnnotatedImage:
    """Put n * n images of one size into a square, in reading order.

    A category is exhaustive where it is so in every part, so that what is said of the whole picture stays true.

    Args:
        parts: images of the same height and width (h, w), n * n of them.

    Returns:
        An image of (n * h, n * w) pixels. Its ground sampling distance is unknown unless the parts agree.

    Raises:
        InvalidInputError: the number of parts is no square, or their sizes differ.
    """
    sizes = {part.size_hw for part in parts}
    cells = math.isqrt(len(parts))
    if not parts or cells**2 != len(parts) or len(sizes) != 1:
        raise InvalidInputError(
            f"A mosaic takes n * n images of one size; received {len(parts)} of sizes {sorted(sizes)}."
        )
    height, width = parts[0].size_hw
    offsets = [(column * width, row * height) for row in range(cells) for column in range(cells)]
    unknown = [np.zeros((height, width), bool) if part.unknown is None else part.unknown for part in parts]
    distances = {part.gsd_m for part in parts}
    return AnnotatedImage(
        image=_joined([part.pixels() for part in parts]),
        size_hw=(cells * height, cells * width),
        instances=tuple(
            _moved(instance, offset) for part, offset in zip(parts, offsets, strict=True) for instance in part.instances
        ),
        regions=_joined_regions(parts),
        exhaustive_categories=reduce(frozenset.intersection, (part.exhaustive_categories for part in parts)),
        id="+".join(part.id for part in parts),
        source=parts[0].source,
        gsd_m=distances.pop() if len(distances) == 1 else None,
        split=parts[0].split,
        unknown=_joined(unknown) if any(part.unknown is not None for part in parts) else None,
    )


def far_mosaics(
    images: Sequence[AnnotatedImage], name: str, form: FarMosaics, rng: np.random.Generator
) -> list[AnnotatedImage]:
    """Put images together so that they are seen from farther away.

    Each cell is a square of an image, as wide as its shorter side, at a place drawn anywhere, shrunk and turned. What
    vanishes by shrinking makes its category no longer exhaustive in the mosaic.

    Args:
        images: of one source and the split `train`.
        name: source of the mosaics.
        form: how many and how large.
        rng: source of all choices.

    Raises:
        InvalidInputError: there are no images.
    """
    if not images:
        raise InvalidInputError(f"`{name}` is made of training images of `{form.source}`, of which there are none.")
    made: list[AnnotatedImage] = []
    for side in form.sides:
        for number in range(form.count):
            cells = form.cells[number % len(form.cells)]
            chosen = rng.choice(len(images), cells**2, replace=len(images) < cells**2)
            parts = [_far_cell(images[int(one)], side // cells, rng) for one in chosen]
            made.append(replace(mosaic(parts), source=name, id=f"{name}_{len(made)}"))
    return made


def turned_mosaics(
    tiles: Sequence[AnnotatedImage], cells: int, rounds: int, rng: np.random.Generator
) -> list[AnnotatedImage]:
    """Put small square images together at their own size, each turned; in every round an image is in one mosaic.

    What is left over in a round, since it fills no mosaic, is left out of it.

    Args:
        tiles: square images of one size, of one source.
        cells: cells along a side.
        rounds: how often all images are put together anew.
        rng: source of all choices.

    Raises:
        InvalidInputError: there are too few images for one mosaic.
    """
    if len(tiles) < cells**2:
        raise InvalidInputError(
            f"A mosaic of {cells} x {cells} needs {cells**2} images, received {len(tiles)}. Add images, or leave the "
            "source out."
        )
    made: list[AnnotatedImage] = []
    for _ in range(rounds):
        order = rng.permutation(len(tiles))
        for start in range(0, len(order) - cells**2 + 1, cells**2):
            parts = [_turned(tiles[int(one)], rng) for one in order[start : start + cells**2]]
            made.append(replace(mosaic(parts), id=f"{parts[0].source}_{len(made)}"))
    return made


def _far_cell(annotated: AnnotatedImage, side: int, rng: np.random.Generator) -> AnnotatedImage:
    """A square of an image, shrunk and turned."""
    height, width = annotated.size_hw
    shorter = min(height, width)
    x, y = int(rng.integers(width - shorter + 1)), int(rng.integers(height - shorter + 1))
    return _turned(crop(annotated, (x, y, x + shorter, y + shorter), side), rng)


def _turned(annotated: AnnotatedImage, rng: np.random.Generator) -> AnnotatedImage:
    """An image turned by quarters and mirrored at random."""
    return turn(annotated, int(rng.integers(4)), bool(rng.integers(2)))


def _joined_regions(parts: Sequence[AnnotatedImage]) -> Mapping[str, Mask]:
    """The regions of the whole: a label map where every part has one, else a mask each; empty where a part lacks it."""
    names = tuple(dict.fromkeys(name for part in parts for name in part.regions))
    if names and all(isinstance(part.regions, LabelRegions) for part in parts):
        labels = []
        for part in parts:
            assert isinstance(part.regions, LabelRegions)
            relabel = np.array([0, *(names.index(name) + 1 for name in part.regions.names)], np.uint8)
            labels.append(relabel[part.regions.labels])
        return LabelRegions(_joined(labels), names)
    empty = np.zeros(parts[0].size_hw, bool)
    return {name: _joined([part.regions.get(name, empty) for part in parts]) for name in names}


def _joined(cells: Sequence[NDArray[Scalar]]) -> NDArray[Scalar]:
    """Join n * n arrays of one size (h, w, ...) in reading order: (n * h, n * w, ...)."""
    count = math.isqrt(len(cells))
    rows = [np.concatenate(cells[row * count : (row + 1) * count], axis=1) for row in range(count)]
    return np.concatenate(rows)


def _moved(instance: Instance, offset_xy: tuple[int, int]) -> Instance:
    """The instance at its place in the mosaic."""
    (x, y), (dx, dy) = instance.origin_xy, offset_xy
    return replace(instance, origin_xy=(x + dx, y + dy))
