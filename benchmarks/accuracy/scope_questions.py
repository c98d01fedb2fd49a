"""Scenes put together from annotated images, and sentences that are true of the whole scene: for `scope`.

Scenes are mosaics, so what is where in them is known from the annotation. Sentences are those that the rules of the
training sentences find true of the whole mosaic (`rs2sam.datasets.english.expressions`), worded as in training and in
other words (`benchmarks.heldout.frames`), plus ranks and combinations that training does not know ("the second
largest", "the two leftmost", "the largest in the upper left"), whose truth is worked out here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.heldout.frames import FrameWording
from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.english.expressions import descriptions
from rs2sam.datasets.english.nouns import NOUNS
from rs2sam.datasets.english.phrasing import phrase
from rs2sam.datasets.english.properties import Objects, positions
from rs2sam.datasets.mixing.augment import crop
from rs2sam.datasets.mixing.mosaic import mosaic

KINDS = ("count", "position", "size", "relation")
MIN_OBJECTS = 3
CLEAR_SIZE, CLEAR_GAP = 1.3, 0.04
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Question:
    """One sentence about a scene, and what it means there.

    Args:
        sentence: the text.
        kind: of expression; `rank` and `combined` are made here.
        category: what is spoken of.
        targets: the meant instances, as places in `scene.of(category)`.
        anchor: category of the other object, if there is one.
    """

    sentence: str
    kind: str
    category: str
    targets: tuple[int, ...]
    anchor: str | None = None


def scenes(
    images: Sequence[AnnotatedImage], count: int, rng: np.random.Generator, layouts: Sequence[tuple[int, int]]
) -> Iterator[AnnotatedImage]:
    """Mosaics of images that share a class whose annotation is exhaustive in all of them.

    Args:
        images: to draw from.
        count: number of mosaics.
        rng: source of the choices.
        layouts: images a side (2 or 4) and pixels of an image's side, taken in turn.
    """
    for number in range(count):
        per_side, side = layouts[number % len(layouts)]
        complete = Counter(c for image in images for c in image.exhaustive_categories)
        present = {instance.category for image in images for instance in image.instances}
        categories = sorted(c for c in present if complete[c] >= per_side**2)
        category = categories[int(rng.integers(len(categories)))]
        fitting = [image for image in images if category in image.exhaustive_categories]
        holding = [image for image in fitting if image.of(category)]
        num_parts = per_side**2
        certain = [holding[i] for i in rng.permutation(len(holding))[: max(2, num_parts // 3)]]
        others = [fitting[i] for i in rng.permutation(len(fitting)) if fitting[i] not in certain]
        parts = [square(image, side) for image in [*certain, *others][:num_parts]]
        parts = [parts[i] for i in rng.permutation(len(parts))]
        while len(parts) > 1:
            parts = [mosaic(parts[i : i + 4]) for i in range(0, len(parts), 4)]
        yield parts[0]


def square(image: AnnotatedImage, side: int) -> AnnotatedImage:
    """The square in the middle of an image, resized."""
    height, width = image.size_hw
    short = min(height, width)
    left, top = (width - short) // 2, (height - short) // 2
    return crop(image, (left, top, left + short, top + short), side)


def questions(scene: AnnotatedImage, rng: np.random.Generator, per_kind: int) -> list[Question]:
    """Sentences of each kind, half of them worded as in training."""
    wording = FrameWording(rng)
    found = []
    for kind in KINDS:
        options = [d for d in descriptions(scene, kind) if len(scene.of(d.category)) >= MIN_OBJECTS]
        for index in rng.permutation(len(options))[:per_kind]:
            description = options[index]
            sentence = phrase(description, rng) if rng.random() < 0.5 else wording.sentence(description)
            anchor = next((p.anchor for p in description.properties if p.anchor and not p.anchor_is_other), None)
            found.append(Question(sentence, kind, description.category, description.targets, anchor))
    for kind, options in (("rank", list(ranks(scene))), ("combined", list(combined(scene)))):
        found += [options[index] for index in rng.permutation(len(options))[:per_kind] if kind == options[index].kind]
    return found


def countable(scene: AnnotatedImage) -> Iterator[Objects]:
    """The classes of a scene of which all objects are known and there are enough."""
    for category in sorted(scene.exhaustive_categories):
        if len(scene.of(category)) >= MIN_OBJECTS:
            yield Objects(scene, category)


def ranks(scene: AnnotatedImage) -> Iterator[Question]:
    """The second or third by size or from a side, and the two first, where nothing is too close to call."""
    for objects in countable(scene):
        noun = NOUNS[objects.category][0]
        x, y = objects.centers.T
        orders = {
            "largest": -np.log(objects.areas),
            "smallest": np.log(objects.areas),
            "left": x,
            "top": y,
            "right": -x,
        }
        for word, values in orders.items():
            order = np.argsort(values)
            gaps = np.diff(values[order])
            clear = np.log(CLEAR_SIZE) if word.endswith("est") else CLEAR_GAP
            side = {"left": "leftmost", "top": "topmost", "right": "rightmost"}.get(word, word)
            if gaps[1] > clear:
                two = tuple(sorted(int(i) for i in order[:2]))
                yield Question(f"the two {side} {noun.plural}", "rank", objects.category, two)
                if gaps[0] > clear:
                    text = (
                        f"second {word} {noun.singular}" if clear > 0.1 else f"second {noun.singular} from the {word}"
                    )
                    yield Question(f"the {text}", "rank", objects.category, (int(order[1]),))


def combined(scene: AnnotatedImage) -> Iterator[Question]:
    """The largest, smallest or outermost of those at a place."""
    for objects in countable(scene):
        noun = NOUNS[objects.category][0]
        _, y = objects.centers.T
        for place in positions(objects):
            inside = np.flatnonzero(place.true)
            if place.superlative or place.name.endswith("corner") or len(inside) < 2:
                continue
            if not (place.true | place.false).all():
                continue
            for word, values in (
                ("largest", -np.log(objects.areas)),
                ("smallest", np.log(objects.areas)),
                ("topmost", y),
            ):
                order = inside[np.argsort(values[inside])]
                if values[order[1]] - values[order[0]] > (CLEAR_GAP if word == "topmost" else np.log(CLEAR_SIZE)):
                    sentence = f"the {word} {noun.singular} in the {place.name} of the image"
                    yield Question(sentence, "combined", objects.category, (int(order[0]),))


def target_of(scene: AnnotatedImage, question: Question) -> Mask:
    """(H, W) bool of what is meant."""
    instances = scene.of(question.category)
    return scene.union(tuple(instances[i] for i in question.targets))
