"""Several sentences about one image in one draw: what is there, what is not, and what nobody taught.

A model that encodes an image once learns from all of them at the price of one. Sentences are made by the rules of
`english.expressions`, plus kinds that single draws do not have: sentences about classes of which not everything is
marked (`weak`) or nothing is (`open`: what is marked shows where they are not), for which the loss looks at known
pixels alone, and sentences that name nothing taught (`untaught`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from rs2sam.datasets.base import WIDER, AnnotatedImage, Mask
from rs2sam.datasets.english.expressions import ReferringExpression, descriptions, with_extra, worded, worded_otherwise
from rs2sam.datasets.english.frames import as_typed, framed
from rs2sam.datasets.english.phrasing import Description
from rs2sam.datasets.english.training_nouns import TRAINING_NOUNS
from rs2sam.datasets.english.untaught import untaught_sentence
from rs2sam.datasets.english.vocabulary import CATEGORIES
from rs2sam.datasets.images import Pixels
from rs2sam.datasets.mixing.known_pixels import known_pixels

_T = TypeVar("_T")

WEAK, OPEN, ABSENT, UNTAUGHT = "weak", "open", "absent", "untaught"
_SINGLED_OUT = ("position", "size", "colour", "relation")
_OTHER_WORDS_SHARE = 0.6
"""Of sentences that many people word, those that `frames.in_other_words` says, where it can."""
_CROWD = 60
"""Objects above which an image is asked for classes alone: measuring pairs of them takes longer than a step."""
_WEAK_SHARE = 0.3
"""Of the sentences about what is there, where classes are marked of which not everything is."""
_OPEN_SHARE = 0.2
"""Of the same sentences, before those: a class of which nothing is marked, and which may be there all the same."""
_LEAST_OPEN_KNOWN = 0.08
"""Share of an image that is known not to be of such a class, below which it is not asked for."""
_ABSENT_PROPERTY_SHARE = 0.3
"""Of the absent sentences: a present class with a property that none of it has."""
_ABSENT_PIXELS_SHARE = 0.5
"""How often colours are read for absent sentences, which takes time."""
_MIN_WEAK_PX, _MIN_WEAK_REGION = 24, 0.004


@dataclass(frozen=True, eq=False)
class Question:
    """One sentence about an image and its answer.

    Args:
        sentence: the referring expression, or text that is none.
        target: (H, W) bool.
        known: (H, W) bool, True = the target is known here.
        kind: a kind of `english.expressions`, `weak`, `open` or `untaught`.
        is_present: whether something is meant; None where nobody knows.
        is_taught: whether the sentence names something taught.
    """

    sentence: str
    target: Mask
    known: Mask
    kind: str
    is_present: bool | None = True
    is_taught: bool = True


@dataclass(frozen=True)
class QuestionMix:
    """What is asked about an image.

    Args:
        count: sentences an image.
        absent: share of them that name what is certainly not there, as far as anything is.
        untaught: share of them that name nothing taught, on average.
        kind_weights: kind of expression -> how often it is drawn for the others.
        framed: share of those that name a thing, taught or not, that `english.frames` words.
    """

    count: int
    absent: float
    untaught: float
    kind_weights: Mapping[str, float]
    framed: float = 0.0


def draw_questions(annotated: AnnotatedImage, rng: np.random.Generator, mix: QuestionMix) -> list[Question]:
    """Draw sentences about an image.

    Args:
        annotated: the image as it is shown, with its pixels in memory.
        rng: source of all choices.
        mix: of which kinds.

    Returns:
        `mix.count` questions; where an image offers too little, more of them name nothing taught.
    """
    pixels = annotated.pixels()
    num_absent = round(mix.count * mix.absent)
    num_untaught = int(mix.count * mix.untaught + rng.random())
    asked = _present(annotated, rng, pixels, mix.count - num_absent - num_untaught, mix)
    asked += _absent(annotated, rng, pixels, num_absent, mix.framed)
    asked = asked[: mix.count - num_untaught]
    nothing, everything = np.zeros(annotated.size_hw, bool), _sure(annotated)
    asked += [
        Question(untaught_sentence(rng, mix.framed), nothing, everything, UNTAUGHT, is_present=False, is_taught=False)
        for _ in range(mix.count - len(asked))
    ]
    return asked


def _present(
    annotated: AnnotatedImage, rng: np.random.Generator, pixels: Pixels, count: int, mix: QuestionMix
) -> list[Question]:
    """Up to `count` sentences about what is there, or may be."""
    kind_weights = mix.kind_weights
    is_crowd = len(annotated.instances) > _CROWD
    kinds = [k for k, w in kind_weights.items() if w > 0 and k != ABSENT and not (is_crowd and k in _SINGLED_OUT)]
    said = {kind: list(descriptions(annotated, kind, pixels)) for kind in kinds}
    said = {kind: found for kind, found in said.items() if found}
    kinds, weak, unmarked = list(said), _weak_categories(annotated), _unmarked_categories(annotated)
    weights = np.array([kind_weights[kind] for kind in kinds])
    asked: list[Question] = []
    for _ in range(count):
        possible = _open(annotated, rng, unmarked, mix.framed) if rng.random() < _OPEN_SHARE else []
        if possible:
            asked += possible
        elif weak and (not kinds or rng.random() < _WEAK_SHARE):
            asked += _weak(annotated, rng, _one_of(weak, rng), mix.framed)
        elif kinds:
            kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
            description = _of_one_category(said[kind], rng)
            if kind in _SINGLED_OUT:
                description = with_extra(annotated, description, pixels, rng)
            expression = _worded(annotated, description, rng, mix.framed)
            known = known_pixels(annotated, expression.category)
            asked.append(Question(expression.sentence, expression.mask(annotated), known, kind))
    return asked


def _marked(annotated: AnnotatedImage, least: float) -> set[str]:
    """Categories that are marked and wider ones of them; regions from a share of the image on."""
    marked = {instance.category for instance in annotated.instances}
    marked |= {name for name, mask in annotated.regions.items() if mask.mean() > least}
    return marked | {WIDER[name] for name in marked if name in WIDER}


def _weak_categories(annotated: AnnotatedImage) -> list[str]:
    """Categories that are marked, of which not everything is."""
    return sorted(_marked(annotated, _MIN_WEAK_REGION) - annotated.exhaustive_categories)


def _unmarked_categories(annotated: AnnotatedImage) -> list[str]:
    """Categories of which nothing is marked, and which may be there all the same."""
    return sorted(set(CATEGORIES) - _marked(annotated, 0.0) - annotated.exhaustive_categories)


def _weak(annotated: AnnotatedImage, rng: np.random.Generator, category: str, framed_share: float) -> list[Question]:
    """A sentence about all of such a category; none where next to nothing of it is shown."""
    target = annotated.category_mask(category)
    if np.count_nonzero(target) < _MIN_WEAK_PX:
        return []
    sentence = _all_of(annotated, rng, category, framed_share)
    return [Question(sentence, target, known_pixels(annotated, category), WEAK)]


def _open(
    annotated: AnnotatedImage, rng: np.random.Generator, categories: Sequence[str], framed_share: float
) -> list[Question]:
    """A sentence about all of one of these, of which is known where it is not; none where that is nearly nowhere."""
    if not categories:
        return []
    category = _one_of(categories, rng)
    known = known_pixels(annotated, category)
    if known.mean() < _LEAST_OPEN_KNOWN:
        return []
    sentence = _all_of(annotated, rng, category, framed_share)
    return [Question(sentence, np.zeros(annotated.size_hw, bool), known, OPEN, is_present=None)]


def _all_of(annotated: AnnotatedImage, rng: np.random.Generator, category: str, framed_share: float) -> str:
    """A sentence about all of a category."""
    is_region = category in annotated.regions
    description = Description("all", category, is_plural=True, is_region=is_region, says_all=True)
    return _worded(annotated, description, rng, framed_share).sentence


def _worded(
    annotated: AnnotatedImage, description: Description, rng: np.random.Generator, framed_share: float
) -> ReferringExpression:
    """Put a description into words, a share of them in the many ways of `english.frames`."""
    if not framed_share or rng.random() >= framed_share:
        return worded(annotated, description, rng, TRAINING_NOUNS)
    with_tail = description.kind not in _SINGLED_OUT
    if rng.random() < _OTHER_WORDS_SHARE:
        other = worded_otherwise(annotated, description, rng, TRAINING_NOUNS)
        if other is not None:  # what singles something out, or counts, may be a request already
            is_phrase = not (description.properties or description.count)
            return replace(other, sentence=(framed if is_phrase else as_typed)(other.sentence, rng))
    expression = worded(annotated, description, rng, TRAINING_NOUNS, bare=True)
    return replace(expression, sentence=framed(expression.sentence, rng, with_tail))


def _absent(
    annotated: AnnotatedImage, rng: np.random.Generator, pixels: Pixels, count: int, framed_share: float
) -> list[Question]:
    """Up to `count` sentences about what is certainly not there."""
    shown = _marked(annotated, 0.0)
    if len(annotated.instances) > _CROWD:
        # Classes alone: of a crowd's properties none is measured.
        found = list(descriptions(replace(annotated, instances=annotated.instances[:1]), ABSENT))
        found = [one for one in found if one.category not in shown]
    else:
        colours = pixels if rng.random() < _ABSENT_PIXELS_SHARE else None
        found = list(descriptions(annotated, ABSENT, colours))
        found = [one for one in found if one.properties or one.category not in shown]
    whole = [one for one in found if not one.properties]
    part = [one for one in found if one.properties]
    nothing, asked = np.zeros(annotated.size_hw, bool), []
    for _ in range(count if found else 0):
        pool = part if part and (not whole or rng.random() < _ABSENT_PROPERTY_SHARE) else whole
        expression = _worded(annotated, _of_one_category(pool, rng), rng, framed_share)
        asked.append(Question(expression.sentence, nothing, _sure(annotated), ABSENT, is_present=False))
    return asked


def _of_one_category(found: Iterable[Description], rng: np.random.Generator) -> Description:
    """Draw a category, then a description of it: a class of many objects offers more, and is not asked for more."""
    options = list(found)
    category = _one_of(sorted({one.category for one in options}), rng)
    return _one_of([one for one in options if one.category == category], rng)


def _sure(annotated: AnnotatedImage) -> Mask:
    """Pixels that the annotation does not leave open."""
    return np.ones(annotated.size_hw, bool) if annotated.unknown is None else ~annotated.unknown


def _one_of(options: Sequence[_T], rng: np.random.Generator) -> _T:
    """Draw one."""
    return options[int(rng.integers(len(options)))]
