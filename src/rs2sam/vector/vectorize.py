"""Masks in memory to polygons, exact along pixel edges with their holes, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

from rs2sam.raster.georeference import Georeference
from rs2sam.vector.boundary import BoolArray, ranges
from rs2sam.vector.objects import Labels, object_regions
from rs2sam.vector.regions import PixelRegion, RegionCollector


@dataclass(frozen=True)
class Region:
    """One connected piece of a mask, of one object where a model told objects apart.

    Pixels that touch only at a corner belong to different regions.

    Args:
        geometry: outline in the scene's CRS, or in pixel coordinates (x = column, y = row) for a scene without one.
        num_pixels: pixels inside.
        mean_probability: mean foreground probability inside, in [0, 1].
        area_m2: area on the ellipsoid, or None where the CRS does not say.
    """

    geometry: Polygon
    num_pixels: int
    mean_probability: float
    area_m2: float | None


def trace(mask: BoolArray) -> list[Polygon]:
    """Outline the 4-connected pieces of a mask in pixel coordinates, largest first.

    Args:
        mask: (H, W) bool.

    Returns:
        Valid polygons with holes whose area is their number of pixels.
    """
    return [region.outline for region in pixel_regions(mask, np.zeros(mask.shape, dtype=np.float32))]


def mask_polygons(
    mask: BoolArray, georeference: Georeference | None = None, labels: Labels | None = None
) -> list[Polygon]:
    """Polygons of a mask, largest first.

    Args:
        mask: (H, W) bool.
        georeference: where the pixels lie; without it polygons are in pixel coordinates.
        labels: (H, W) numbers of the objects that were told apart; those that touch stay two polygons.

    Returns:
        Polygons with holes in the georeference's CRS.
    """
    found = pixel_regions(mask, np.zeros(mask.shape, dtype=np.float32), labels=labels)
    return _place([region.outline for region in found], georeference)


def mask_regions(
    mask: BoolArray,
    probability: NDArray[np.float32],
    georeference: Georeference | None = None,
    labels: Labels | None = None,
) -> list[Region]:
    """Polygons of a mask with what is known of each, largest first.

    Args:
        mask: (H, W) bool.
        probability: (H, W) float32 in [0, 1].
        georeference: where the pixels lie; without it polygons are in pixel coordinates and areas unknown.
        labels: as for `mask_polygons`.
    """
    found = pixel_regions(mask, probability, georeference, labels)
    polygons = _place([region.outline for region in found], georeference)
    return [
        Region(polygon, region.num_pixels, region.mean_probability, region.area_m2)
        for polygon, region in zip(polygons, found, strict=True)
    ]


def fill(
    outlines: Sequence[Polygon] | NDArray[np.object_], top: int, height: int, width: int, *, may_touch: bool = False
) -> BoolArray:
    """Draw polygons along pixel edges that do not overlap, as the regions of a mask do not.

    Args:
        outlines: in pixel coordinates.
        top: first row.
        height: number of rows.
        width: number of columns.
        may_touch: they may share edges, as objects that were told apart do; costs more.

    Returns:
        (height, width) bool.
    """
    # Along a row, the inside begins and ends at the vertical edges.
    sides = np.zeros((height, width + 1), dtype=np.bool_)
    rings = shapely.get_rings(np.asarray(outlines, dtype=object))
    corners, ring = shapely.get_coordinates(rings, return_index=True)
    x, y = np.rint(corners).astype(np.int64).T
    is_side = (ring[1:] == ring[:-1]) & (x[1:] == x[:-1])
    upper = np.clip(np.minimum(y[1:], y[:-1]) - top, 0, height)[is_side]
    lower = np.clip(np.maximum(y[1:], y[:-1]) - top, 0, height)[is_side]
    lengths = lower - upper
    places = ranges(upper, lengths), np.repeat(x[1:][is_side], lengths)
    if may_touch:  # what ends where another begins is no side of both together
        np.logical_xor.at(sides, places, True)
    else:
        sides[places] = True
    return np.logical_xor.accumulate(sides[:, :-1], axis=1)


def pixel_regions(
    mask: BoolArray,
    probability: NDArray[np.float32],
    georeference: Georeference | None = None,
    labels: Labels | None = None,
) -> list[PixelRegion]:
    """Regions of a mask in pixel coordinates: largest first, then by their first pixel; arguments as `mask_regions`."""
    if labels is not None:
        return [one.region for one in object_regions(mask, labels, probability, georeference)]
    collector = RegionCollector((mask.shape[0], mask.shape[1]), georeference)
    regions = collector.add(0, mask, probability) + collector.finish()
    return sorted(regions, key=lambda region: (-region.num_pixels, region.first_pixel))


def _place(outlines: Sequence[Polygon], georeference: Georeference | None) -> list[Polygon]:
    """Move outlines from pixel coordinates into the CRS."""
    return list(outlines if georeference is None or not outlines else georeference.place(outlines))
