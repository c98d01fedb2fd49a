"""Where the pixels of a scene lie: pixel coordinates to the scene's CRS, to metres, to square metres.

Pixel coordinates are x = column and y = row counted from the outer corner of the upper left pixel, so that pixel (0, 0)
covers the square from (0, 0) to (1, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio import Affine
from rasterio._err import CPLE_AppDefinedError, CPLE_BaseError  # what `warp.transform` lets through has no public name
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.rpc import RPC
from rasterio.transform import GCPTransformer
from rasterio.warp import transform as warp_points
from shapely.geometry import Polygon

Points = NDArray[np.float64]

# A straight pixel edge is a curve after reprojection; this many pixels of it are close enough to straight.
_MAX_EDGE_PIXELS = 32.0

# Areas of polygons are measured in a projection centred on the upper left corner of their block of this many pixels.
_BLOCK_PIXELS = 4096.0

# The ground area of a pixel changes so slowly that a polygon narrower than this many metres has that of its centroid's
# pixel, to (5 km / Earth's radius)^2 = 6e-7 at most, times its number of pixels. Wider ones are projected.
_WIDE_M = 5000.0
_PIXEL = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])


@dataclass(frozen=True)
class Georeference:
    """The georeferencing of a raster.

    Args:
        transform: pixel (column, row) to CRS coordinates; the identity for an image without any.
        crs: the coordinate system, or None where the file names none.
        gcps: ground control points in `crs`, for a raster that has these instead of a transform.
        rpcs: rational polynomials; masks carry them along, nothing is placed by them.
    """

    transform: Affine
    crs: CRS | None = None
    gcps: tuple[GroundControlPoint, ...] = ()
    rpcs: RPC | None = None

    @property
    def is_located(self) -> bool:
        """Whether pixels have coordinates other than their column and row."""
        return self.crs is not None or self.transform != Affine.identity() or bool(self.gcps)

    def resampled(self, size_hw: tuple[int, int], new_size_hw: tuple[int, int]) -> Georeference:
        """The georeferencing of the same raster with another number of pixels."""
        down, across = (old / new for old, new in zip(size_hw, new_size_hw, strict=True))
        a, b, c, d, e, f = self.transform[:6]
        gcps = tuple(
            GroundControlPoint(point.row / down, point.col / across, point.x, point.y, point.z) for point in self.gcps
        )
        transform = Affine(a * across, b * down, c, d * across, e * down, f)
        return replace(self, transform=transform, gcps=gcps) if new_size_hw != size_hw else self

    def to_crs(self, pixel_xy: Points) -> Points:
        """Map (n, 2) pixel coordinates to (n, 2) coordinates in `crs` (easting or longitude first)."""
        if self.gcps and len(pixel_xy):
            with GCPTransformer(list(self.gcps)) as transformer:
                # "ul": without the half pixel that `xy` adds by default, since ours are corners, not centres.
                xs, ys = transformer.xy(pixel_xy[:, 1].tolist(), pixel_xy[:, 0].tolist(), offset="ul")
            return np.column_stack([xs, ys]).astype(np.float64)
        a, b, c, d, e, f = self.transform[:6]
        x, y = pixel_xy[:, 0], pixel_xy[:, 1]
        return np.column_stack([a * x + b * y + c, d * x + e * y + f])

    def place(self, pixel_polygons: Sequence[Polygon] | NDArray[np.object_]) -> NDArray[np.object_]:
        """Move polygons in pixel coordinates to where they lie in `crs`. Returns (n,) polygons."""
        polygons = np.array(pixel_polygons, dtype=object)
        placed: NDArray[np.object_] = shapely.set_coordinates(polygons, self.to_crs(shapely.get_coordinates(polygons)))
        return placed

    def areas_m2(self, pixel_polygons: Sequence[Polygon] | NDArray[np.object_]) -> list[float | None]:
        """Areas on the ellipsoid of polygons in pixel coordinates; None where the CRS does not say where on Earth.

        An area depends on its polygon alone, not on the others in the list.
        """
        polygons = np.asarray(pixel_polygons, dtype=object)
        areas: list[float | None] = [None] * len(polygons)
        if self.crs is None or not len(polygons):
            return areas
        corners = shapely.bounds(polygons)[:, :2] // _BLOCK_PIXELS * _BLOCK_PIXELS
        blocks, block_of = np.unique(corners, axis=0, return_inverse=True)
        for number, corner in enumerate(blocks):
            members = np.flatnonzero(block_of.reshape(-1) == number)
            found = self._areas_near(polygons[members], corner)
            if found is None:
                continue
            for member, area in zip(members.tolist(), found.tolist(), strict=True):
                areas[member] = area
        return areas

    def _areas_near(self, polygons: NDArray[np.object_], centre: Points) -> Points | None:
        """Areas [m2] by a projection centred on a (2,) pixel position; None where there is none."""
        centroids = shapely.get_coordinates(shapely.centroid(polygons))
        metres = self._to_equal_area_m((centroids[:, None] + _PIXEL).reshape(-1, 2), centre)
        if metres is None:
            return None
        pixel_areas = shapely.area(shapely.polygons(metres.reshape(-1, 4, 2)))
        areas: Points = shapely.area(polygons) * pixel_areas
        left, top, right, bottom = shapely.bounds(polygons).T
        is_wide = np.maximum(right - left, bottom - top) * np.sqrt(pixel_areas) > _WIDE_M
        # Ground control points may bend the pixel grid as they like.
        is_wide |= bool(self.gcps)
        if is_wide.any():
            outlines = shapely.segmentize(polygons[is_wide], _MAX_EDGE_PIXELS)
            metres = self._to_equal_area_m(shapely.get_coordinates(outlines), centre)
            if metres is None:
                return None
            areas[is_wide] = shapely.area(shapely.set_coordinates(outlines, metres))
        return areas

    def pixel_size_m(self, size_hw: tuple[int, int]) -> tuple[float, float] | None:
        """Width and height of the centre pixel in metres, above 0; None where the CRS does not say."""
        x, y = size_hw[1] / 2, size_hw[0] / 2
        cross = np.array([[x - 0.5, y], [x + 0.5, y], [x, y - 0.5], [x, y + 0.5]])
        metres = self._to_equal_area_m(cross, cross.mean(axis=0))
        if metres is None:
            return None
        width, height = float(np.hypot(*(metres[1] - metres[0]))), float(np.hypot(*(metres[3] - metres[2])))
        # Pixels that are smaller than what a projection tells apart have no size.
        return (width, height) if width > 0 and height > 0 else None

    def _to_equal_area_m(self, pixel_xy: Points, centre: Points) -> Points | None:
        """Pixel coordinates in a local equal-area projection [m], or None where there is none.

        Lambert's azimuthal projection keeps areas everywhere, and lengths near its centre, a (2,) pixel position.
        """
        if self.crs is None:
            return None
        try:
            points = self.to_crs(np.vstack([centre, pixel_xy]))
            (lon,), (lat,) = warp_points(self.crs, CRS.from_epsg(4326), points[:1, 0], points[:1, 1])
            if not (np.isfinite((lon, lat)).all() and abs(lat) <= 90):
                return None
            local = CRS.from_string(f"+proj=laea +lat_0={lat:.6f} +lon_0={lon:.6f} +datum=WGS84 +units=m")
            xs, ys = warp_points(self.crs, local, points[1:, 0], points[1:, 1])
        except (RasterioError, CPLE_BaseError):
            # An engineering or extraterrestrial CRS: it has coordinates, but no place on the ellipsoid.
            return None
        metres = np.column_stack([xs, ys]).astype(np.float64)
        return metres if np.isfinite(metres).all() else None

    def describe(self) -> dict[str, Any]:
        """The georeferencing as plain values for `result.json`."""
        return {
            "crs": None if self.crs is None else crs_name(self.crs),
            "crs_wkt": None if self.crs is None else self.crs.to_wkt(),
            "transform": list(self.transform[:6]),
            "num_gcps": len(self.gcps),
            "has_rpcs": self.rpcs is not None,
        }


def leads_to_earth(crs: CRS) -> bool:
    """Whether coordinates can be turned into longitude and latitude: not those of a building site or the Moon."""
    try:
        warp_points(crs, CRS.from_epsg(4326), [0.0], [0.0])
    except CPLE_AppDefinedError:
        # This point lies outside of the projection; others need not.
        return True
    except (RasterioError, CPLE_BaseError):
        return False
    return True


def crs_name(crs: CRS) -> str:
    """`EPSG:26910` where the CRS carries such a code itself, else its name or a definition."""
    # confidence 100: never a code that merely looks alike.
    authority = crs.to_authority(confidence_threshold=100)
    if authority is not None:
        return ":".join(authority)
    wkt = str(crs.to_wkt())
    return wkt.split('"')[1] if '"' in wkt else wkt
