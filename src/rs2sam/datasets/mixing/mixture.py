"""Samples without end for training, and a fixed list for evaluation, from annotated images."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.base import AnnotatedImage, Mask, Sample
from rs2sam.datasets.english.expressions import (
    KIND_WEIGHTS,
    KINDS,
    ReferringExpression,
    draw_expression,
    expressions_for,
)
from rs2sam.datasets.english.vocabulary import CATEGORIES
from rs2sam.datasets.images import Pixels
from rs2sam.datasets.mixing.augment import Augmentation, augment, fit
from rs2sam.errors import InvalidInputError

SceneMaker: TypeAlias = Callable[[np.random.Generator], AnnotatedImage]
"""Makes a new annotated image each time."""

_MAX_TRIES = 50
_MAX_CONTRAST_TRIES = 8


class TrainingSample(NamedTuple):
    """What the model is trained on.

    rgb: (side, side, 3) uint8. sentence: str. mask: (side, side) bool. kind, category: of the expression.
    """

    rgb: Pixels
    sentence: str
    mask: Mask
    kind: str
    category: str


class SemanticSample(NamedTuple):
    """What an image shows of every category.

    rgb: (side, side, 3) uint8. labels: (K, side, side) bool in the order of `CATEGORIES`. known: (K,) bool; where
    False, nothing is known of that category in this image and its plane of `labels` means nothing.
    """

    rgb: Pixels
    labels: NDArray[np.bool_]
    known: NDArray[np.bool_]


class ReferringMixture:
    """Endless samples from several sources: sample (seed, epoch, index) is the same in every process.

    Args:
        sources: name -> annotated images, or a function that makes one.
        weights: name -> how often the source is drawn, relative to the others.
        side: height and width of the samples in pixels.
        rng_seed: first part of every sample's seed.
        augmentation: how images are varied; None: not at all, each is squeezed into the square.
        kind_weights: how often each kind of expression is drawn.
        max_side: images are kept in memory, shrunk to this longer side.
    """

    def __init__(
        self,
        sources: Mapping[str, Sequence[AnnotatedImage] | SceneMaker],
        weights: Mapping[str, float],
        side: int,
        rng_seed: int = 0,
        augmentation: Augmentation | None = Augmentation(),  # noqa: B008 - a frozen value
        kind_weights: Mapping[str, float] = KIND_WEIGHTS,
        max_side: int = 1024,
    ) -> None:
        unknown = sorted(set(weights) - set(sources))
        if unknown or not any(weight > 0 for weight in weights.values()):
            raise InvalidInputError(
                f"`weights` gives positive weights to names of `sources` ({', '.join(sources)}); "
                f"received {dict(weights)}."
            )
        self.side = side
        self.rng_seed = rng_seed
        self._sources = {name: sources[name] for name, weight in weights.items() if weight > 0}
        self._names = list(self._sources)
        shares = np.array([weights[name] for name in self._names], dtype=np.float64)
        self._shares = shares / shares.sum()
        self._image_shares = {n: image_shares(s) for n, s in self._sources.items() if not callable(s)}
        self._augmentation = augmentation or Augmentation(whole_share=1.0, jitter=0.0, blur_share=0.0, turn=False)
        self._kind_weights = kind_weights
        self._max_side = max_side
        self._cache: dict[tuple[str, int], AnnotatedImage] = {}

    def preload(self) -> int:
        """Read every image into memory, so that worker processes forked afterwards share them; returns the bytes."""
        for name, source in self._sources.items():
            if not callable(source):
                for position in range(len(source)):
                    self._image(name, position)
        return sum(annotated.pixels().nbytes for annotated in self._cache.values())

    def sample(self, index: int, epoch: int = 0) -> TrainingSample:
        """Return one sample.

        Args:
            index: any number; one sample each.
            epoch: any number; the same index in another epoch is another sample.
        """
        annotated, expression = self.draw(index, epoch)
        return TrainingSample(
            annotated.pixels(), expression.sentence, expression.mask(annotated), expression.kind, expression.category
        )

    def draw(self, index: int, epoch: int = 0) -> tuple[AnnotatedImage, ReferringExpression]:
        """Return one image as it was varied, with its annotation, and one sentence about it.

        Args:
            index: as in `sample`.
            epoch: as in `sample`.

        Raises:
            InvalidInputError: nothing can be said of the images with these weights of kinds.
        """
        rng = np.random.default_rng((self.rng_seed, epoch, index))
        kind_weights = self._draw_presence(rng)
        for _ in range(_MAX_TRIES):
            annotated = self._draw_image(rng)
            expression = draw_expression(annotated, rng, annotated.pixels(), kind_weights)
            if expression is not None:
                return annotated, expression
        raise InvalidInputError(
            f"Nothing could be said of {_MAX_TRIES} images in a row with `kind_weights={dict(self._kind_weights)}`. "
            "Give weight to more kinds of expression, or check the sources' annotation."
        )

    def draw_contrast(self, index: int, epoch: int = 0) -> tuple[AnnotatedImage, ReferringExpression]:
        """Like `draw`, but numbers 2n and 2n + 1 are one image with two sentences, of different classes if it can be.

        Where most images show one class, a model can do well without reading; asked twice, it cannot.

        Args:
            index: as in `sample`.
            epoch: as in `sample`.
        """
        annotated, first = self.draw(index // 2, epoch)
        if index % 2 == 0:
            return annotated, first
        rng = np.random.default_rng((self.rng_seed, epoch, index, 2))
        second = first
        for _ in range(_MAX_CONTRAST_TRIES):
            found = draw_expression(annotated, rng, annotated.pixels(), self._kind_weights)
            second = second if found is None else found
            if second.category != first.category:
                break
        return annotated, second

    def _draw_presence(self, rng: np.random.Generator) -> Mapping[str, float]:
        """Settle first whether something absent is asked for: it can be said of nearly every image, all else cannot."""
        weights = dict(self._kind_weights)
        absent = weights.pop("absent", 0.0)
        total = absent + sum(weights.values())
        return {"absent": 1.0} if total > 0 and rng.random() * total < absent else weights

    def _draw_image(self, rng: np.random.Generator) -> AnnotatedImage:
        """Draw a source, one of its images and a variation of it."""
        name = self._names[int(rng.choice(len(self._names), p=self._shares))]
        source = self._sources[name]
        if callable(source):
            annotated = source(rng)
        else:
            annotated = self._image(name, int(rng.choice(len(source), p=self._image_shares[name])))
        return augment(annotated, rng, self.side, self._augmentation)

    def _image(self, name: str, position: int) -> AnnotatedImage:
        """Return an image of a source, read once."""
        key = (name, position)
        if key not in self._cache:
            source = self._sources[name]
            assert not callable(source)
            self._cache[key] = fit(source[position], self._max_side)
        return self._cache[key]


def semantic(annotated: AnnotatedImage) -> SemanticSample:
    """Turn an annotated image into the label stack of `SemanticSample`."""
    labels = np.zeros((len(CATEGORIES), *annotated.size_hw), dtype=bool)
    known = np.array([category in annotated.exhaustive_categories for category in CATEGORIES])
    present = {i.category for i in annotated.instances} | set(annotated.regions)
    for category in present:
        labels[CATEGORIES.index(category)] = annotated.category_mask(category)
    return SemanticSample(annotated.pixels(), labels, known)


def of_split(sources: Mapping[str, Sequence[AnnotatedImage]], split: str) -> dict[str, list[AnnotatedImage]]:
    """Keep the images of one split, and the sources that have any."""
    kept = {name: [a for a in images if a.split == split] for name, images in sources.items()}
    return {name: images for name, images in kept.items() if images}


def evaluation_samples(
    sources: Mapping[str, Sequence[AnnotatedImage]], split: str, seed: int = 0, per_kind: int = 60
) -> list[Sample]:
    """Make the fixed list of sentences on which a model is measured.

    Whole images at their own size; of each kind up to `per_kind` sentences, spread over categories, then images.

    Args:
        sources: name -> annotated images, as `read_sources` returns them.
        split: `val` or `test`.
        seed: of wordings and choices.
        per_kind: number of sentences of each kind, as far as there are as many.
    """
    rng = np.random.default_rng(seed)
    pools: dict[str, list[tuple[AnnotatedImage, ReferringExpression]]] = defaultdict(list)
    for images in of_split(sources, split).values():
        for annotated in sorted(images, key=lambda a: a.id):
            for expression in expressions_for(annotated, rng, annotated.pixels()):
                pools[expression.kind].append((annotated, expression))
    samples: list[Sample] = []
    for kind in KINDS:
        for annotated, expression in _spread(pools[kind], rng)[:per_kind]:
            samples.append(_as_sample(annotated, expression, f"{split}-{len(samples):04d}"))
    return samples


def _spread(
    pool: Iterable[tuple[AnnotatedImage, ReferringExpression]], rng: np.random.Generator
) -> list[tuple[AnnotatedImage, ReferringExpression]]:
    """Order a pool so that any beginning of it is spread over sources and categories, then images."""
    entries = list(pool)
    entries = [entries[i] for i in rng.permutation(len(entries))]
    of_image: Counter[tuple[str, str, str]] = Counter()
    by_category: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for position, (annotated, expression) in enumerate(entries):
        image = (annotated.source, expression.category, annotated.id)
        by_category[annotated.source, expression.category].append((of_image[image], position))
        of_image[image] += 1
    ranked = [
        (rank, position) for members in by_category.values() for rank, (_, position) in enumerate(sorted(members))
    ]
    return [entries[position] for _, position in sorted(ranked)]


def _as_sample(annotated: AnnotatedImage, expression: ReferringExpression, name: str) -> Sample:
    """Turn an expression into a sample of the image as it is on disk."""
    mask = None if expression.kind == "absent" else expression.mask(annotated)
    return Sample(
        image=annotated.image,
        sentence=expression.sentence,
        mask=mask,
        id=f"{name}-{annotated.source}-{annotated.id}",
        category=expression.category,
        kind=expression.kind,
        split=annotated.split,
        category_mask=annotated.category_mask(expression.category),
        ignore=annotated.unknown,
    )


def image_shares(images: Sequence[AnnotatedImage], power: float = 0.7) -> NDArray[np.float64]:
    """How often each image is drawn: those with rare categories more often.

    Args:
        images: of one source.
        power: shares fall with this power of the number of images that show the rarest category of an image.

    Returns:
        (n,) shares that sum to 1.
    """
    shown = [{i.category for i in a.instances} | set(a.regions) for a in images]
    counts = Counter(category for categories in shown for category in categories)
    rarity = np.array([max((counts[c] ** -power for c in categories), default=0.0) for categories in shown])
    # Images that show nothing annotated are still needed: they teach absence.
    rarity = np.where(rarity > 0, rarity, rarity.max() / 2 if rarity.any() else 1.0)
    shares: NDArray[np.float64] = rarity / rarity.sum()
    return shares
