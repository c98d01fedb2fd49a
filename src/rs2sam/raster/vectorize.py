"""Masks to polygons: exact pixel outlines with their holes, largest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.features import rasterize, shapes
from shapely.geometry import Polygon, shape

from rs2sam.raster.georeference import Georeference

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Region:
    """One connected piece of a mask; pixels that touch only at a corner belong to different regions.

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
    pixels = mask.astype(np.uint8)
    outlines = [shape(geometry) for geometry, _ in shapes(pixels, mask=mask, connectivity=4)]
    # A stable order by size, then from top to bottom: numbers of regions do not depend on the tracer.
    return sorted(outlines, key=lambda polygon: (-polygon.area, polygon.bounds[1], polygon.bounds[0]))


def mask_polygons(mask: BoolArray, georeference: Georeference | None = None) -> list[Polygon]:
    """Polygons of a mask, largest first.

    Args:
        mask: (H, W) bool.
        georeference: where the pixels lie; without it polygons are in pixel coordinates.

    Returns:
        Polygons with holes in the georeference's CRS.
    """
    return _place(trace(mask), georeference)


def mask_regions(
    mask: BoolArray, probability: NDArray[np.float32], georeference: Georeference | None = None
) -> list[Region]:
    """Polygons of a mask with what is known of each, largest first.

    Args:
        mask: (H, W) bool.
        probability: (H, W) float32 in [0, 1].
        georeference: where the pixels lie; without it polygons are in pixel coordinates and areas unknown.
    """
    outlines = trace(mask)
    if not outlines:
        return []
    labels = label_pixels(outlines, mask.shape)[mask]  # (foreground pixels,)
    counts = np.bincount(labels, minlength=len(outlines) + 1)[1:]
    sums = np.bincount(labels, weights=probability[mask], minlength=len(outlines) + 1)[1:]
    areas = [None] * len(outlines) if georeference is None else georeference.areas_m2(outlines)
    return [
        Region(geometry, int(count), float(total / count), area)
        for geometry, count, total, area in zip(_place(outlines, georeference), counts, sums, areas, strict=True)
    ]


def label_pixels(outlines: Sequence[Polygon], size_hw: tuple[int, ...]) -> NDArray[np.int32]:
    """Number the pixels of each outline from 1; 0 elsewhere. Returns (H, W) int32."""
    if not outlines:
        return np.zeros(size_hw, dtype=np.int32)
    numbered = ((outline, number) for number, outline in enumerate(outlines, start=1))
    labels: NDArray[np.int32] = rasterize(
        numbered, out_shape=size_hw, transform=Affine.identity(), fill=0, dtype=np.int32
    )
    return labels


def _place(outlines: Sequence[Polygon], georeference: Georeference | None) -> list[Polygon]:
    """Move outlines from pixel coordinates into the CRS."""
    if georeference is None or not outlines:
        return list(outlines)
    array = np.array(outlines, dtype=object)
    return list(shapely.set_coordinates(array, georeference.to_crs(shapely.get_coordinates(array))))
