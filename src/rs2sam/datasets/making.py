"""Referring data sets from what has no sentences yet: annotated imagery, and rendered scenes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rs2sam.datasets.base import AnnotatedImage, Sample
from rs2sam.datasets.english.expressions import KIND_WEIGHTS, ReferringExpression, draw_expression
from rs2sam.datasets.mixing.mixture import evaluation_samples
from rs2sam.datasets.readers.sources import READERS
from rs2sam.datasets.synthetic import generate_scene
from rs2sam.errors import InvalidInputError
from rs2sam.fields import brief

SPLITS = ("train", "val", "test")

_SMALL_SPLIT = 0.1
_MAX_TRIES = 20
MOST_PER_IMAGE = 1000
"""Different sentences about a scene; it holds a few dozen objects, and more only say the same in other words."""
_ABSENT_SHARE = KIND_WEIGHTS["absent"] / sum(KIND_WEIGHTS.values())


def source_samples(name: str, root: Path, split: str | None = None, per_kind: int = 60, seed: int = 0) -> list[Sample]:
    """Make sentences about annotated imagery; splits are by ground, as the readers define them.

    Args:
        name: a name of `sources.READERS`.
        root: its folder.
        split: `train`, `val` or `test`; None: all.
        per_kind: sentences of each kind of expression in each split, as far as there are as many.
        seed: of wordings and choices.

    Raises:
        DataNotFoundError: the folder does not hold this imagery.
        InvalidInputError: there is no such split, or nothing can be said of its images.
    """
    if split is not None and split not in SPLITS:
        raise InvalidInputError(f"annotated imagery has the splits {', '.join(SPLITS)}, received {split!r}. Name one.")
    images = READERS[name](root)
    samples: list[Sample] = []
    for one in (split,) if split else SPLITS:
        samples += evaluation_samples({name: images}, one, seed, per_kind)
    if not samples:
        where = f" in split `{split}`" if split else ""
        raise InvalidInputError(f"nothing can be said of the images of `{root}` ({name}){where}. Check the folder.")
    return samples


def synthetic_samples(num_images: int, per_image: int = 4, side: int = 512, seed: int = 0) -> Iterator[Sample]:
    """Render scenes and make sentences about them, one scene after the other.

    The last tenth of the scenes is the split `test`, the tenth before it `val`, at least one scene each where there
    are three. Scene k of one seed and side is the same for any number of scenes.

    Args:
        num_images: number of scenes, at least 1.
        per_image: sentences about each; fewer where less can be said.
        side: width and height of the scenes [px].
        seed: of everything.

    Raises:
        InvalidInputError: a number is out of range.
    """
    if num_images < 1 or not 1 <= per_image <= MOST_PER_IMAGE:
        raise InvalidInputError(
            f"A synthetic set needs at least 1 image and 1 to {MOST_PER_IMAGE:,} sentences each, received "
            f"{brief(num_images)} and {brief(per_image)}. Render more images for more sentences."
        )
    held_out = round(num_images * _SMALL_SPLIT) or (1 if num_images >= len(SPLITS) else 0)
    for number in range(num_images):
        rng = np.random.default_rng((seed, number))
        annotated, expressions = _told_scene(rng, side, per_image)
        left = num_images - number
        split = "test" if left <= held_out else "val" if left <= 2 * held_out else "train"
        for place, expression in enumerate(expressions):
            is_absent = expression.kind == "absent"
            yield Sample(
                image=annotated.image,
                sentence=expression.sentence,
                mask=None if is_absent else expression.mask(annotated),
                id=f"{number:06d}-{place}",
                category=expression.category,
                kind=expression.kind,
                split=split,
                category_mask=annotated.category_mask(expression.category),
                image_id=f"{number:06d}",
            )


def _told_scene(
    rng: np.random.Generator, side: int, per_image: int
) -> tuple[AnnotatedImage, list[ReferringExpression]]:
    """A scene of which something can be said, and different sentences about it."""
    while True:
        annotated = generate_scene(rng, side)
        told: dict[str, ReferringExpression] = {}
        for _ in range(_MAX_TRIES * per_image):
            if len(told) == per_image:
                break
            # Something is absent from nearly every scene; drawn with the others it would be asked for too often.
            weights = {kind: weight for kind, weight in KIND_WEIGHTS.items() if kind != "absent"}
            if rng.random() < _ABSENT_SHARE:
                weights = {"absent": 1.0}
            expression = draw_expression(annotated, rng, annotated.pixels(), weights)
            if expression is not None:
                told.setdefault(expression.sentence.lower().strip("."), expression)
        if told:
            return annotated, list(told.values())
