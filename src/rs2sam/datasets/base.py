"""Values that every dataset produces: annotated images (what is where) and samples (one sentence, one mask).

An `AnnotatedImage` says what is where, with no sentence. Augmentation changes it first, sentences are made from the
changed one (`english/expressions.py`), so a sentence always describes the pixels that the model sees. A `Sample` is the
end of that path, and the form in which datasets with their own sentences arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rs2sam.datasets.images import ImageSource, LoadedImage, Pixels, image_size, load_image, load_pixels
from rs2sam.errors import DataNotFoundError, InvalidInputError

Mask: TypeAlias = NDArray[np.bool_]
"""(H, W) bool, True = foreground."""


@runtime_checkable
class PartialMask(Protocol):
    """A function that reads a mask, and knows of which pixels it says nothing."""

    def __call__(self) -> Mask:
        """(H, W) bool, True = foreground."""

    def ignored(self) -> Mask | None:
        """(H, W) bool, True = nothing is known; None: everything is."""


MaskSource: TypeAlias = "Mask | Callable[[], Mask] | PartialMask | None"
"""A mask, a function that reads it, or None: there is none."""

WIDER: dict[str, str] = {"large_vehicle": "vehicle", "tree": "vegetation", "park": "vegetation"}
"""Category -> the category that all of it belongs to as well: a truck is a vehicle."""

# RRSIS-D has images of 800x801 and 800x787 with masks of 800x800; a larger misfit is another image's mask.
_MAX_MISFIT = 0.02
_LONGEST_ID = 200  # letters of an id in a message

_NO_ATTRIBUTES: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Instance:
    """One object in an image; only the rectangle around it is stored.

    Args:
        category: name from `rs2sam.datasets.english.vocabulary`, e.g. `storage_tank`.
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
        unknown: (H, W) bool, pixels of which nothing is known: void in the annotation, or the part of a box that its
            object may or may not fill. None: there are none.
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
    unknown: Mask | None = None

    def pixels(self) -> Pixels:
        """Read the image: (H, W, 3) uint8, RGB."""
        return load_pixels(self.image)

    def of(self, category: str) -> tuple[Instance, ...]:
        """Return the instances of one category, those of narrower categories included."""
        return tuple(i for i in self.instances if category in (i.category, WIDER.get(i.category)))

    def union(self, instances: tuple[Instance, ...]) -> Mask:
        """Return the union of instances as an image-sized mask, (H, W) bool."""
        canvas = np.zeros(self.size_hw, dtype=bool)
        for instance in instances:
            instance.paint(canvas)
        return canvas

    def category_mask(self, category: str) -> Mask:
        """Return everything annotated as `category`, instances and region together: (H, W) bool."""
        mask = self.union(self.of(category))
        for region in self.regions:
            if category in (region, WIDER.get(region)):
                mask |= self.regions[region]
        return mask


@dataclass(frozen=True, eq=False)
class Sample:
    """One referring expression with its image and target. Pixels and masks may stay on disk until asked for.

    Args:
        image: file, (H, W, 3) uint8 array, or a function returning one; read by `pixels`.
        sentence: the referring expression.
        mask: (H, W) bool, a function returning it, or None: nothing in the image is meant. Read by `target`.
        id: unique inside its dataset.
        category: class of the target, where known.
        kind: kind of expression (`class`, `position`, ...; see `expressions.KINDS`), where known.
        split: `train`, `val`, `test` or None.
        category_mask: (H, W) bool or a function returning it, everything of `category` in the image: what a model that
            reads only the class word would find at best. None where unknown. Read by `category_target`.
        ref_id: what is meant; several sentences about one target share it. None where the dataset has no such id.
        image_id: the image; all sentences about one image share it. None where the dataset has no such id.
        raw_sentence: the sentence with the white space around it that its file has; None: the same as `sentence`. Read
            by `published_sentence`.
        ignore: (H, W) bool or a function returning it: pixels of which nobody knows whether they are meant, left out of
            losses and metrics. None: as `mask` says (`PartialMask`), else none. Read by `ignored`.
    """

    image: ImageSource
    sentence: str
    mask: MaskSource
    id: str
    category: str | None = None
    kind: str | None = None
    split: str | None = None
    category_mask: MaskSource = None
    ref_id: str | None = None
    image_id: str | None = None
    raw_sentence: str | None = None
    ignore: MaskSource = None

    @property
    def published_sentence(self) -> str:
        """The sentence as the published code passes it on.

        RefSegRS keeps the newline of its lines there, and the published tokenizer makes an unknown token of it.
        """
        return self.sentence if self.raw_sentence is None else self.raw_sentence

    @property
    def is_absent(self) -> bool:
        """Whether nothing in the image is meant."""
        return self.mask is None

    def pixels(self) -> Pixels:
        """Read the image: (H, W, 3) uint8, RGB.

        Raises:
            DataNotFoundError: there is no such file.
            InvalidImageError: it cannot be read.
        """
        return self.loaded_image().rgb

    def loaded_image(self) -> LoadedImage:
        """Read the image with what is known of its validity.

        Raises:
            DataNotFoundError: there is no such file.
            InvalidImageError: it cannot be read.
        """
        with self._named():
            return load_image(self.image)

    def image_size(self) -> tuple[int, int]:
        """Height and width of the image in pixels; of a file the header alone is read."""
        with self._named():
            return image_size(self.image)

    def loaded(self) -> Sample:
        """Return this sample with its masks read: they are decoded once, however often they are asked for."""
        mask, category_mask = self._read(self.mask), self._read(self.category_mask)
        return replace(self, mask=mask, category_mask=category_mask, ignore=self.unknown())

    def annotation(self) -> Mask | None:
        """Read the mask at the size in which it was annotated, which may differ from the image's; None if absent."""
        return self._read(self.mask)

    def unknown(self) -> Mask | None:
        """Read which pixels are left out, at the size in which they were annotated; None: none."""
        if self.ignore is None and isinstance(self.mask, PartialMask):
            return self._read(self.mask.ignored)
        return self._read(self.ignore)

    def ignored(self, size_hw: tuple[int, int], resize_to: tuple[int, int] | None = None) -> Mask | None:
        """Read which pixels are left out of losses and metrics; sizes as in `target`. None: none."""
        return self._fitted(self.unknown(), size_hw, resize_to)

    def target(self, size_hw: tuple[int, int], resize_to: tuple[int, int] | None = None) -> Mask:
        """Read the mask, or make an empty one where nothing is meant.

        An annotation within 2 % of the image's size (two images of RRSIS-D) is brought to it by the nearest pixel.

        Args:
            size_hw: height and width of the image in pixels.
            resize_to: size of the result, reached in one nearest step from the annotation as the published transforms
                do it; by default the image's.

        Returns:
            (H, W) bool of `resize_to`, or of `size_hw`.

        Raises:
            InvalidInputError: if the annotation is not of the image's size.
        """
        mask = self._fitted(self.mask, size_hw, resize_to)
        return np.zeros(resize_to or size_hw, dtype=bool) if mask is None else mask

    def category_target(
        self, size_hw: tuple[int, int] | None = None, resize_to: tuple[int, int] | None = None
    ) -> Mask | None:
        """Read the mask of everything of the category; sizes as in `target`, without them as annotated.

        Returns:
            (H, W) bool, or None where it is unknown.

        Raises:
            InvalidInputError: if the annotation is not of the image's size.
        """
        return self._fitted(self.category_mask, size_hw, resize_to)

    def _fitted(
        self, source: MaskSource, size_hw: tuple[int, int] | None, resize_to: tuple[int, int] | None
    ) -> Mask | None:
        """Read a mask, check that it fits the image, resize it."""
        mask = self._read(source)
        if mask is None:
            return None
        if size_hw is not None and not fits(mask.shape, size_hw):
            raise InvalidInputError(
                f"an image and its mask must have one shape, received {tuple(size_hw)} and {mask.shape} in sample "
                f"`{self.id}`. Check that it is this image's mask; if so, resize it (nearest) to the image's size."
            )
        return resize_mask(mask, resize_to or size_hw or mask.shape)

    def _read(self, source: MaskSource | Callable[[], Mask | None]) -> Mask | None:
        """Read a mask source."""
        with self._named():
            return source() if callable(source) else source

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Say in errors of reading which sample of which split they are about."""
        try:
            yield
        except (DataNotFoundError, InvalidInputError) as error:
            split = f" of split `{self.split[:_LONGEST_ID]}`" if self.split else ""
            raise type(error)(f"{error} (Met in sample `{self.id[:_LONGEST_ID]}`{split}.)") from error


def resize_mask(mask: Mask, size_hw: tuple[int, ...]) -> Mask:
    """Resize a mask by the nearest pixel, as the published transforms do it (PIL).

    Args:
        mask: (H, W) bool.
        size_hw: height and width of the result in pixels.

    Returns:
        (height, width) bool; the mask itself where it has this size.
    """
    height, width = size_hw
    if mask.shape == (height, width):
        return mask
    picture = Image.fromarray(mask.astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(picture) > 0


def fits(mask_hw: tuple[int, ...], size_hw: tuple[int, int]) -> bool:
    """Whether each side of a mask is the image's, up to the misfit that is known from published data."""
    return all(abs(m - s) <= _MAX_MISFIT * s for m, s in zip(mask_hw, size_hw, strict=True))
