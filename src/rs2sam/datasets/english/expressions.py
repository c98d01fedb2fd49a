"""Referring expressions by rule: sentences that are true of an annotated image and name their target unambiguously.

What may be said is decided first (`properties.py`: three-valued, with margins), how to word it second (`phrasing.py`).
A category is spoken of only where the image's annotation of it is exhaustive: otherwise "the ship", "all ships" or "no
ship" could be false.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rs2sam.datasets.base import AnnotatedImage, Mask
from rs2sam.datasets.english.nouns import NOUN_KINDS, NOUNS
from rs2sam.datasets.english.phrasing import Description, Nouns, phrase, phrase_in_other_words
from rs2sam.datasets.english.properties import Objects, Property, Truth, colours, positions, relations, sizes
from rs2sam.datasets.english.vocabulary import NUMBER_WORDS, PLURAL_REGIONS, SPOILS_ABSENCE
from rs2sam.datasets.images import Pixels

KINDS: tuple[str, ...] = ("class", "all", "stuff", "count", "position", "size", "colour", "relation", "absent")
"""Kinds of expression: the only one of a class; all of a class; an area; a stated number; singled out by place in the
image, size, colour or relation to something else; and something that is not there."""

KIND_WEIGHTS: Mapping[str, float] = {
    "class": 1.5,
    "all": 1.5,
    "stuff": 1.5,
    "count": 0.4,
    "position": 2.5,
    "size": 0.8,
    "colour": 0.8,
    "relation": 1.5,
    "absent": 1.0,
}
"""How often each kind is drawn, relative to the others that an image offers."""

# There are trees nearly everywhere: nobody finds a thing by them.
_NO_ANCHORS = ("tree",)
_MIN_TARGET_PX = 24
_MIN_TARGET_SHARE = 0.0002
_MIN_TARGET_VISIBLE = 0.35
_MIN_REGION_SHARE = 0.004
_MAX_OBJECTS = 200
_EXTRA_PROPERTY_SHARE = 0.2


@dataclass(frozen=True)
class ReferringExpression:
    """A sentence and what it means in the image that it was made from.

    Args:
        sentence: the text.
        kind: one of `KINDS`.
        category: what is spoken of.
        targets: the meant instances, as places in `annotated.of(category)`; empty for a region and for what is absent.
        is_region: the whole area of the category is meant.
    """

    sentence: str
    kind: str
    category: str
    targets: tuple[int, ...] = ()
    is_region: bool = False

    def mask(self, annotated: AnnotatedImage) -> Mask:
        """Return the target as (H, W) bool; all False for an absent one.

        Args:
            annotated: the image that the expression was made from.
        """
        if self.is_region:
            return annotated.category_mask(self.category)
        instances = annotated.of(self.category)
        return annotated.union(tuple(instances[i] for i in self.targets))


def expressions_for(
    annotated: AnnotatedImage,
    rng: np.random.Generator,
    pixels: Pixels | None = None,
    kinds: tuple[str, ...] = KINDS,
) -> list[ReferringExpression]:
    """Make one sentence for everything that can be said of an image.

    Args:
        annotated: the image.
        rng: source of the wordings.
        pixels: (H, W, 3) uint8 of the image, from which colours are read; without it only `colour` attributes count.
        kinds: the kinds that are wanted.
    """
    found = []
    for kind in kinds:
        found += [worded(annotated, d, rng) for d in descriptions(annotated, kind, pixels)]
    return found


def draw_expression(
    annotated: AnnotatedImage,
    rng: np.random.Generator,
    pixels: Pixels | None = None,
    kind_weights: Mapping[str, float] = KIND_WEIGHTS,
) -> ReferringExpression | None:
    """Draw one sentence: first a kind by weight, then a category, then what to say of it.

    Args:
        annotated: the image.
        rng: source of all choices.
        pixels: as in `expressions_for`.
        kind_weights: weight of each kind; kinds that are left out are not drawn.

    Returns:
        An expression, or None where nothing of these kinds can be said.
    """
    weights = {kind: weight for kind, weight in kind_weights.items() if weight > 0}
    while weights:
        names = list(weights)
        share = np.array([weights[name] for name in names])
        kind = names[int(rng.choice(len(names), p=share / share.sum()))]
        options = list(descriptions(annotated, kind, pixels))
        if options:
            categories = sorted({d.category for d in options})
            category = categories[int(rng.integers(len(categories)))]
            options = [d for d in options if d.category == category]
            chosen = options[int(rng.integers(len(options)))]
            return worded(annotated, with_extra(annotated, chosen, pixels, rng), rng)
        del weights[kind]
    return None


def descriptions(annotated: AnnotatedImage, kind: str, pixels: Pixels | None = None) -> Iterator[Description]:
    """List what may be said of an image in one kind of expression.

    Args:
        annotated: the image.
        kind: one of `KINDS`.
        pixels: as in `expressions_for`.
    """
    if kind == "stuff" or kind == "all":
        yield from _regions(annotated, kind)
    for category in _countable(annotated):
        objects = Objects(annotated, category)
        if kind == "class" and len(objects) == 1 and _is_target(objects, 0):
            yield Description("class", category, (0,))
        elif kind == "all" and len(objects) >= 2 and objects.areas.sum() >= _MIN_TARGET_PX:
            yield Description("all", category, tuple(range(len(objects))), is_plural=True, says_all=True)
        elif (
            kind == "count"
            and len(objects) in NUMBER_WORDS
            and all(_is_target(objects, i) for i in range(len(objects)))
        ):
            yield Description("count", category, tuple(range(len(objects))), is_plural=True, count=len(objects))
        elif kind in ("position", "size", "colour", "relation"):
            yield from _singled_out(objects, kind, annotated, pixels)
    if kind == "absent":
        yield from _absent(annotated, pixels)


def worded(
    annotated: AnnotatedImage,
    description: Description,
    rng: np.random.Generator,
    nouns: Nouns = NOUNS,
    bare: bool = False,
) -> ReferringExpression:
    """Put a description of an image into words.

    Args:
        annotated: the image.
        description: what to say of it.
        rng: source of the wording.
        nouns: category -> its names.
        bare: whether the sentence is a noun phrase without a way to ask around it.
    """
    return _expression(description, phrase(description, rng, _unfit(annotated), nouns, bare))


def worded_otherwise(
    annotated: AnnotatedImage, description: Description, rng: np.random.Generator, nouns: Nouns = NOUNS
) -> ReferringExpression | None:
    """Put a description into the words of one of many people; None where `phrase_in_other_words` has none."""
    said = phrase_in_other_words(description, rng, _unfit(annotated), nouns)
    return None if said is None else _expression(description, said)


def _unfit(annotated: AnnotatedImage) -> frozenset[str]:
    """Nouns that would be wrong for a vehicle of the image."""
    shown = {
        str(i.attributes["kind"]) for i in annotated.instances if "kind" in i.attributes and i.category == "vehicle"
    }
    return frozenset(noun for noun, kinds in NOUN_KINDS.items() if shown - kinds)


def _expression(description: Description, sentence: str) -> ReferringExpression:
    """A sentence with what it means."""
    return ReferringExpression(
        sentence=sentence,
        kind=description.kind,
        category=description.category,
        targets=description.targets,
        is_region=description.is_region,
    )


def _countable(annotated: AnnotatedImage) -> list[str]:
    """Return the categories with instances, all of them annotated, no part of them known as an area only."""
    present = {i.category for i in annotated.instances}
    if "large_vehicle" in present:  # trucks are among the vehicles that may be counted
        present.add("vehicle")
    regions = {category for category in present if category in annotated.regions}
    return sorted(present & annotated.exhaustive_categories - regions)


def _is_target(objects: Objects, index: int) -> bool:
    """Tell whether an object is large and whole enough to be asked for by itself."""
    height, width = objects.annotated.size_hw
    smallest = max(_MIN_TARGET_PX, _MIN_TARGET_SHARE * height * width)
    return bool(objects.areas[index] >= smallest and objects.visible[index] >= _MIN_TARGET_VISIBLE)


def _regions(annotated: AnnotatedImage, kind: str) -> Iterator[Description]:
    """Describe areas: as stuff, or as all of what would be countable had it been counted."""
    for category, mask in annotated.regions.items():
        is_plural = category in PLURAL_REGIONS
        if (kind == "all") == is_plural and mask.mean() >= _MIN_REGION_SHARE:
            yield Description(kind, category, is_plural=is_plural, is_region=True, says_all=is_plural)


def _properties(objects: Objects, kind: str, annotated: AnnotatedImage, pixels: Pixels | None) -> list[Property]:
    """Measure the properties of one kind."""
    if kind == "position":
        return positions(objects)
    if kind == "size":
        return sizes(objects)
    if kind == "colour":
        return colours(objects, pixels)
    anchors = {}
    for category in _countable(annotated):
        anchor = Objects(annotated, category)
        if category not in (objects.category, *_NO_ANCHORS) and all(_is_target(anchor, i) for i in range(len(anchor))):
            anchors[category] = anchor
    regions = [
        category
        for category, mask in annotated.regions.items()
        if category in annotated.exhaustive_categories
        and category not in PLURAL_REGIONS
        and category != "land"
        and _MIN_REGION_SHARE <= mask.mean() < 0.8
    ]
    return relations(objects, anchors, regions)


def _singled_out(
    objects: Objects, kind: str, annotated: AnnotatedImage, pixels: Pixels | None
) -> Iterator[Description]:
    """Describe each object, or group of objects, that properties of `kind` tell from the rest of its category.

    One property may be enough; else one of another kind is added, and the pair has to do.
    """
    if len(objects) > _MAX_OBJECTS:
        return
    own = [p for p in _properties(objects, kind, annotated, pixels) if p.true.any()]
    left_over = []
    for prop in own:
        description = _described(objects, (prop,))
        if description is not None:
            yield description
        if (description is None or description.is_plural) and not prop.superlative:
            left_over.append(prop)
    partner_kinds = {"position": ("colour",), "colour": ("position",), "relation": ("position", "colour")}.get(kind, ())
    partners = [
        p
        for k in partner_kinds
        for p in _properties(objects, k, annotated, pixels)
        if p.true.any() and not p.superlative
    ]
    for prop in left_over:
        for partner in partners:
            description = _described(objects, (prop, partner))
            if description is not None and len(description.targets) == 1:
                yield description


def _described(objects: Objects, properties: tuple[Property, ...]) -> Description | None:
    """Build the description if the properties settle every object, and what they mean is large enough."""
    true, false = _combine(properties)
    if not true.any() or not (true | false).all():
        return None
    targets = tuple(int(i) for i in np.flatnonzero(true))
    if len(targets) == 1 and not _is_target(objects, targets[0]):
        return None
    if len(targets) > 1 and (len(targets) == len(objects) or objects.areas[true].min() < _MIN_TARGET_PX):
        return None
    return Description(properties[0].kind, objects.category, targets, properties, is_plural=len(targets) > 1)


def _combine(properties: tuple[Property, ...]) -> tuple[Truth, Truth]:
    """True of an object: all properties are. False: at least one is."""
    true = np.logical_and.reduce([p.true for p in properties])
    false = np.logical_or.reduce([p.false for p in properties])
    return true, false


def with_extra(
    annotated: AnnotatedImage, description: Description, pixels: Pixels | None, rng: np.random.Generator
) -> Description:
    """Sometimes add a second property that is true of the target, as people do without need."""
    if len(description.targets) != 1 or len(description.properties) > 1 or rng.random() > _EXTRA_PROPERTY_SHARE:
        return description
    objects = Objects(annotated, description.category)
    kinds = [k for k in ("position", "colour") if k != description.kind]
    options = [
        p
        for kind in kinds
        for p in _properties(objects, kind, annotated, pixels)
        if p.true[description.targets[0]] and not p.superlative
    ]
    if not options:
        return description
    extra = options[int(rng.integers(len(options)))]
    return Description(description.kind, description.category, description.targets, (*description.properties, extra))


def _absent(annotated: AnnotatedImage, pixels: Pixels | None) -> Iterator[Description]:
    """Describe what is certainly not there: a class, or a present class with a property that none of it has."""
    present = {i.category for i in annotated.instances} | {c for c, m in annotated.regions.items() if m.any()}
    for category in sorted(annotated.exhaustive_categories - present):
        if not SPOILS_ABSENCE.get(category, frozenset()) & present:
            is_region = category in annotated.regions
            yield Description("absent", category)
            if not is_region:
                yield Description("absent", category, is_plural=True, says_all=True)
    for category in _countable(annotated):
        objects = Objects(annotated, category)
        if len(objects) > _MAX_OBJECTS:
            continue
        for kind in ("position", "colour", "relation"):
            for prop in _properties(objects, kind, annotated, pixels):
                if prop.false.all() and not prop.superlative:
                    yield Description("absent", category, (), (prop,))
