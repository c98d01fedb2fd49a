"""Choice among the regions of a mask in memory: what a sentence means of what was found.

The same reading and the same choice as `rs2sam.scenes.finding` makes for scenes that stream.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rs2sam.language.scope import Candidate, ScopedSentence, ToMap, choose, remarks
from rs2sam.raster.georeference import Georeference
from rs2sam.vector.regions import PixelRegion, RegionCollector
from rs2sam.vector.vectorize import fill

BoolArray = NDArray[np.bool_]


def chosen(
    mask: BoolArray,
    probability: NDArray[np.float32],
    landmark: tuple[BoolArray, NDArray[np.float32]] | None,
    scoped: ScopedSentence,
    georeference: Georeference,
) -> tuple[BoolArray, tuple[str, ...]]:
    """Keep the regions that a sentence means.

    Args:
        mask: (H, W) bool, what `scoped.local` found.
        probability: (H, W) float32 in [0, 1], the same.
        landmark: mask and probability of what `scoped.landmark` found; None where it names none.
        scoped: the sentence.
        georeference: of the image, for the points of the compass.

    Returns:
        (H, W) bool, `mask` itself where the sentence compares nothing; and what a user should know, see `remarks`.
    """
    if not scoped.claims:
        return mask, ()
    regions = _regions(mask, probability)
    landmarks = [] if landmark is None else _candidates(_regions(*landmark))
    height, width = mask.shape
    to_map = to_map_of(georeference)
    kept = choose(_candidates(regions), scoped.claims, (height, width), landmarks, to_map)
    said = tuple(remarks(scoped, to_map, len(landmarks), len(kept)))
    return fill([regions[index].outline for index in kept], 0, height, width), said


def to_map_of(place: Georeference) -> ToMap | None:
    """How pixels turn into map coordinates, for the points of the compass; None where nobody knows."""
    if place.crs is None or place.gcps:
        return None
    return place.transform.a, place.transform.b, place.transform.d, place.transform.e


def _candidates(regions: Sequence[PixelRegion]) -> list[Candidate]:
    """Regions as `choose` sees them."""
    return [Candidate(one.bounds, one.num_pixels, one.mean_probability) for one in regions]


def _regions(mask: BoolArray, probability: NDArray[np.float32]) -> list[PixelRegion]:
    """The connected pieces of a mask."""
    collector = RegionCollector((mask.shape[0], mask.shape[1]))
    return collector.add(0, mask, probability) + collector.finish()
