"""Values that every dataset produces: annotated images (what is where) and samples (one sentence, one mask).

An `AnnotatedImage` says what is where, with no sentence. Augmentation changes it first, sentences are made from the
changed one (`expressions.py`), so a sentence always describes the pixels that the model sees. A `Sample` is the end of
that path, and the form in which datasets with their own sentences arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rs2sam.errors import InvalidInputError

Mask: TypeAlias = NDArray[np.bool_]
"""(H, W) bool, True = foreground."""
Pixels: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""
ImageSource: TypeAlias = "Path | Pixels | Callable[[], Pixels]"
"""A file, the pixels themselves, or a function that makes them."""

_NO_ATTRIBUTES: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Instance:
    """One object in an image; only the rectangle around it is stored.

    Args:
        category: name from `rs2sam.datasets.vocabulary`, e.g. `storage_tank`.
        mask: (h, w) bool, the object inside its rectangle; at least one pixel is True.
        origin_xy: column and row of `mask[0, 0]` in the image.
        attributes: what is known besides the mask, e.g. `colour` (a name of `vocabulary.COLOURS`, or None
            where no name fits), `length_m`, `visible` (share of the object that the image shows, 1 where missing).
    """

    category: str
    mask: Mask
    origin_xy: tuple[int, int] = (0, 0)
    attributes: Mapping[str, Any] = field(default_factory=lambda: _NO_ATTRIBUTES)

    @classmethod
    def from_mask(cls, category: str, mask: Mask, attributes: Mapping[str, Any] | None = None) -> Instance:
        """Crop an image-sized mask to its rectangle.

        Args:
            category: name of the class.
            mask: (H, W) bool at the image's size.
            attributes: see the class.

        Raises:
            InvalidInputError: if the mask is empty.
        """
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            raise InvalidInputError(f"An instance needs at least one pixel; `{category}` has an empty mask. Drop it.")
        top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        return cls(category, mask[top:bottom, left:right].copy(), (left, top), attributes or _NO_ATTRIBUTES)

    @property
    def area(self) -> int:
        """Number of foreground pixels."""
        return int(np.count_nonzero(self.mask))

    @property
    def box_xyxy(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the stored rectangle; right and bottom are exclusive."""
        (x, y), (h, w) = self.origin_xy, self.mask.shape
        return x, y, x + w, y + h

    @property
    def center_xy(self) -> tuple[float, float]:
        """Centre of the stored rectangle, in pixels."""
        x0, y0, x1, y1 = self.box_xyxy
        return (x0 + x1) / 2, (y0 + y1) / 2

    def paint(self, canvas: Mask) -> None:
        """Set this object's pixels to True in an image-sized mask."""
        x0, y0, x1, y1 = self.box_xyxy
        canvas[y0:y1, x0:x1] |= self.mask


class LabelRegions(Mapping[str, Mask]):
    """Regions that share no pixel, kept as one label map instead of one mask each.

    Args:
        labels: (H, W) uint8; 0 = none of the names, k + 1 = `names[k]`.
        names: category of each label.
    """

    def __init__(self, labels: NDArray[np.uint8], names: tuple[str, ...]) -> None:
        self.labels = labels
        self.names = names

    def __getitem__(self, category: str) -> Mask:
        if category not in self.names:
            raise KeyError(category)
        mask: Mask = self.labels == self.names.index(category) + 1
        return mask

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """An image and what is known to be in it.

    Args:
        image: file, (H, W, 3) uint8 array, or a function returning one; read by `pixels`.
        size_hw: height and width of the image in pixels.
        instances: countable objects.
        regions: "stuff": category -> (H, W) bool. A category is in `regions` or in `instances`; when buildings are
            known only as an area, they are a region. An all-False region says that the category is absent.
        exhaustive_categories: categories of which everything in the image is annotated. Only these may be said to be
            absent, counted, or meant by "all".
        id: unique inside the source.
        source: name of the dataset.
        gsd_m: ground sampling distance [m/px], None where unknown.
        split: `train`, `val`, `test` or None.
        group: images of one group show common ground and are never split apart; by default the id.
    """

    image: ImageSource
    size_hw: tuple[int, int]
    instances: tuple[Instance, ...]
    regions: Mapping[str, Mask]
    exhaustive_categories: frozenset[str]
    id: str
    source: str
    gsd_m: float | None = None
    split: str | None = None
    group: str | None = None

    def pixels(self) -> Pixels:
        """Read the image: (H, W, 3) uint8, RGB."""
        return load_pixels(self.image)

    def of(self, category: str) -> tuple[Instance, ...]:
        """Return the instances of one category."""
        return tuple(i for i in self.instances if i.category == category)

    def union(self, instances: tuple[Instance, ...]) -> Mask:
        """Return the union of instances as an image-sized mask, (H, W) bool."""
        canvas = np.zeros(self.size_hw, dtype=bool)
        for instance in instances:
            instance.paint(canvas)
        return canvas

    def category_mask(self, category: str) -> Mask:
        """Return everything annotated as `category`, instances and region together: (H, W) bool."""
        mask = self.union(self.of(category))
        if category in self.regions:
            mask |= self.regions[category]
        return mask


@dataclass(frozen=True, eq=False)
class Sample:
    """One referring expression with its image and target.

    Args:
        image: file, (H, W, 3) uint8 array, or a function returning one.
        sentence: the referring expression.
        mask: (H, W) bool at the image's own size, or None: nothing in the image is meant.
        id: unique inside its dataset.
        category: class of the target, where known.
        category_mask: (H, W) bool, everything of `category` in the image: what a model that reads only the class word
            would find at best. None where unknown.
        kind: kind of expression (`class`, `position`, ...; see `expressions.KINDS`), where known.
        split: `train`, `val`, `test` or None.
    """

    image: ImageSource
    sentence: str
    mask: Mask | None
    id: str
    category: str | None = None
    kind: str | None = None
    split: str | None = None
    category_mask: Mask | None = None

    def pixels(self) -> Pixels:
        """Read the image: (H, W, 3) uint8, RGB."""
        return load_pixels(self.image)

    def target(self, size_hw: tuple[int, int]) -> Mask:
        """Return the mask, or an empty one of `size_hw` where nothing is meant."""
        return np.zeros(size_hw, dtype=bool) if self.mask is None else self.mask


def load_pixels(image: ImageSource) -> Pixels:
    """Read an image source.

    Args:
        image: file, (H, W, 3) uint8 array, or a function returning one.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    if isinstance(image, np.ndarray):
        return image
    if callable(image):
        return image()
    with Image.open(image) as file:
        return np.asarray(file.convert("RGB"))
