"""Choice among the objects of a mask in memory: what a sentence means of what was found.

Objects are those that a model told apart; else the connected regions of the mask.

The same reading and the same choice as `rs2sam.scenes.finding` makes for scenes that stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rs2sam.language.choosing import Confidence
from rs2sam.language.concepts import names_one, number_remark
from rs2sam.language.scope import Candidate, ScopedSentence, ToMap, choose, remarks
from rs2sam.raster.georeference import Georeference
from rs2sam.vector.objects import Labels, object_regions, objects_of
from rs2sam.vector.vectorize import fill

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class FoundMask:
    """What a model found of a phrase.

    Args:
        mask: (H, W) bool.
        probability: (H, W) float32 in [0, 1].
        labels: (H, W) numbers of the objects that it told apart, from 1; None where it tells none apart.
    """

    mask: BoolArray
    probability: NDArray[np.float32]
    labels: Labels | None = None


def chosen(
    found: FoundMask,
    landmark: FoundMask | None,
    scoped: ScopedSentence,
    georeference: Georeference,
    confidence: Confidence | None = None,
) -> tuple[BoolArray, tuple[str, ...]]:
    """Keep the objects that a sentence means.

    Args:
        found: what `scoped.local` found.
        landmark: what `scoped.landmark` found; None where it names none.
        scoped: the sentence.
        georeference: of the image, for the points of the compass.
        confidence: how often regions of a mean probability are right, where that was measured, see `choose`.

    Returns:
        (H, W) bool, the mask itself where the sentence compares nothing; and what a user should know, see `remarks`.
    """
    if not scoped.claims:
        return found.mask, ()
    pieces = object_regions(found.mask, found.labels, found.probability)
    candidates, members = objects_of(pieces)
    landmarks: list[Candidate] = []
    if landmark is not None:
        landmarks, _ = objects_of(object_regions(landmark.mask, landmark.labels, landmark.probability))
    height, width = found.mask.shape
    to_map = to_map_of(georeference)
    kept = choose(candidates, scoped.claims, (height, width), landmarks, to_map, confidence)
    said = tuple(remarks(scoped, to_map, len(landmarks), len(kept), len(candidates)))
    outlines = [pieces[piece].region.outline for index in kept for piece in members[index]]
    return fill(outlines, 0, height, width, may_touch=found.labels is not None), said


def said_of_number(found: FoundMask, sentence: str) -> tuple[str, ...]:
    """What a user should know where a sentence that chooses nothing names one object, see `number_remark`."""
    noun = names_one(sentence)
    if noun is None:
        return ()
    candidates, _ = objects_of(object_regions(found.mask, found.labels, found.probability))
    remark = number_remark(noun, [one.area_px for one in candidates])
    return () if remark is None else (f'"{sentence}": {remark}',)


def to_map_of(place: Georeference) -> ToMap | None:
    """How pixels turn into map coordinates, for the points of the compass; None where nobody knows."""
    if place.crs is None or place.gcps:
        return None
    return place.transform.a, place.transform.b, place.transform.d, place.transform.e
