"""Where a file says that its pixels lie: believed only as far as results can lie there.

| the file has | results lie |
|---|---|
| a transform, with or without a CRS | there |
| ground control points with a CRS, three or more that are not on one line | there |
| rational polynomials (RPCs) only | in pixels; masks carry the polynomials |
| a transform or points that no pixel can be placed with, or a CRS without a plane | in pixels |
| a CRS and no transform | in pixels |
| points without a CRS | in pixels |
| a transform, and a CRS that cannot be read | at the transform's coordinates, without a CRS |

Whatever is not believed is said in one line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.rpc import RPC

from rs2sam.raster.faults import reason_of
from rs2sam.raster.georeference import Georeference

_FARTHEST = 1e12
"""Coordinates beyond this are of no place: the Earth is 4e10 mm around."""
# Part of the coordinates below which neighbouring pixels are no longer told apart.
_FINEST = 1e-13
# Least angle between rows and columns, and least width of control points, as a share.
_FLAT = 1e-9
_NO_PLANE = {"GEOCCS": "geocentric", "VERT_CS": "vertical", "VERTCRS": "vertical"}
_IN_PIXELS = "results are in pixels"


def place_of(dataset: DatasetReader) -> tuple[Georeference, tuple[str, ...]]:
    """The georeferencing of an open file, and what is said of the part that is not believed."""
    said: list[str] = []
    rpcs = _rpcs_of(dataset, said)
    points, points_crs = dataset.gcps
    placed: Georeference | None
    if not dataset.transform.is_identity:
        placed = _by_transform(dataset.transform, dataset.shape, _crs_of(dataset, said), said)
    elif points:
        placed = _by_points(points, points_crs, said)
    else:
        placed = None
        if _crs_of(dataset, said) is not None:
            said.append(f"it names a CRS and no transform: {_IN_PIXELS}")
        elif rpcs is not None:
            said.append(
                f"it is placed by rational polynomials (RPCs) only: {_IN_PIXELS}, and masks carry the polynomials. "
                "Orthorectify it first for map coordinates"
            )
    return replace(placed or Georeference(Affine.identity()), rpcs=rpcs), tuple(said)


def degenerate(transform: Affine, size_hw: tuple[int, int]) -> str | None:
    """Why a transform cannot place the pixels of an image; None where it can."""
    a, b, c, d, e, f = transform[:6]
    if not all(map(math.isfinite, (a, b, c, d, e, f))):
        return "it has values that are no finite numbers"
    height, width = size_hw
    corners = [(x, y) for x in (0, width) for y in (0, height)]
    farthest = max(max(abs(a * x + b * y + c), abs(d * x + e * y + f)) for x, y in corners)
    if not farthest <= _FARTHEST:
        return f"coordinates of up to {farthest:.3g}"
    across, down = math.hypot(a, d), math.hypot(b, e)
    if abs(a * e - b * d) <= _FLAT * across * down:
        return "its pixels have no area"
    if min(across, down) <= _FINEST * farthest:
        return "its pixels are smaller than the precision of their coordinates"
    return None


def _by_transform(transform: Affine, size_hw: tuple[int, int], crs: CRS | None, said: list[str]) -> Georeference | None:
    """The georeferencing by a transform, if it gives one."""
    reason = _without_plane(crs) or degenerate(transform, size_hw)
    if reason is None:
        # Broken GeoKeys look just so: GDAL leaves them out and says nothing that rasterio passes on.
        if crs is None and not said:
            said.append("its transform has no CRS that can be read: coordinates are the transform's, areas are unknown")
        return Georeference(transform, crs)
    said.append(f"its transform places no pixels ({reason}): {_IN_PIXELS}")
    return None


def _by_points(points: Sequence[GroundControlPoint], crs: CRS | None, said: list[str]) -> Georeference | None:
    """The georeferencing by ground control points, as far as they give one."""
    count = "1 ground control point" if len(points) == 1 else f"{len(points)} ground control points"
    kept = tuple(point for point in points if _is_somewhere(point))
    reason = _without_plane(crs) if crs else "no CRS says where they are"
    if reason is None and not _span_a_plane(kept):
        reason = "it takes three that are not on one line"
    if reason is not None:
        said.append(f"its {count} place no pixels ({reason}): {_IN_PIXELS}")
        return None
    if len(kept) < len(points):
        said.append(f"{len(points) - len(kept)} of its {count} are no finite numbers and are left out")
    return Georeference(Affine.identity(), crs, kept)


def _is_somewhere(point: GroundControlPoint) -> bool:
    """Whether a control point has numbers that may be a place."""
    values = (point.row, point.col, point.x, point.y)
    return all(value is not None and math.isfinite(value) and abs(value) <= _FARTHEST for value in values)


def _span_a_plane(points: Sequence[GroundControlPoint]) -> bool:
    """Whether control points are not all on one line, neither in the image nor on the ground."""
    for spots in ([(p.row, p.col) for p in points], [(p.x, p.y) for p in points]):
        if len(set(spots)) < 3:
            return False
        from_middle = np.array(spots) - np.mean(spots, axis=0)
        sizes = np.linalg.svd(from_middle, compute_uv=False)
        if not sizes[1] > _FLAT * sizes[0]:
            return False
    return True


def _rpcs_of(dataset: DatasetReader, said: list[str]) -> RPC | None:
    """The rational polynomials of a file; None where there are none, or none that can be read."""
    try:
        rpcs: RPC | None = dataset.rpcs
    except Exception as error:  # numbers that are text, too few of them, ...
        said.append(f"its rational polynomials (RPCs) cannot be read ({reason_of(error)}) and are left out")
        return None
    if rpcs is not None and not np.isfinite(np.concatenate([np.ravel(value) for value in _numbers(rpcs)])).all():
        said.append("its rational polynomials (RPCs) have values that are no finite numbers and are left out")
        return None
    return rpcs


def _numbers(rpcs: RPC) -> list[Any]:
    """All values of rational polynomials that are there."""
    return [np.asarray(value, dtype=float) for value in rpcs.to_dict().values() if value is not None]


def _crs_of(dataset: DatasetReader, said: list[str]) -> CRS | None:
    """The CRS of a file; None where there is none, or none that can be read and written again."""
    try:
        crs = dataset.crs
        if crs:
            CRS.from_wkt(crs.to_wkt())
    except Exception as error:  # CRSError, UnicodeDecodeError, ... by how it is broken
        said.append(f"its CRS cannot be read ({reason_of(error)}) and is left out")
        return None
    return crs or None


def _without_plane(crs: CRS | None) -> str | None:
    """Why no polygon can lie in a CRS; None where it can."""
    kind = None if crs is None else _NO_PLANE.get(crs.to_wkt().partition("[")[0])
    return None if kind is None else f"its CRS is {kind} and has no plane"
