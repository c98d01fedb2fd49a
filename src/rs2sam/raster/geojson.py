"""GeoJSON files of polygons (RFC 7946), in batches.

With a CRS, coordinates are longitude and latitude on WGS 84; what crosses the antimeridian is cut there. Without one
they are the polygons' own. Outer rings are counter-clockwise either way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # what `warp.transform` lets through has no public name
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform as warp_points

from rs2sam.errors import InvalidInputError
from rs2sam.raster.georeference import crs_name

Columns = Mapping[str, NDArray[Any]]
Shapes = NDArray[np.object_]

# 0.1 mm on the ground: a tenth of a pixel of anything that flies.
_DECIMALS = 9


class GeoJSONWriter:
    """Writes polygons and their attributes to one feature collection.

    A file appears under its name as it grows: callers that need all or nothing write elsewhere and rename.

    Args:
        path: of the file; replaced if it exists.
        crs: of the polygons, or None where it is unknown.
        name: of the collection.

    Raises:
        InvalidInputError: here and in the methods, when the file cannot be written.
    """

    def __init__(self, path: Path, crs: CRS | None, name: str) -> None:
        self._crs = crs
        self._separator = "\n"
        try:
            self._file = path.open("w", encoding="utf-8", newline="\n")
            self._file.write(f'{{"type":"FeatureCollection","name":{json.dumps(name)},"features":[')
        except OSError as error:
            raise _refusal(error) from error

    def __enter__(self) -> GeoJSONWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def write(self, polygons: Shapes, columns: Columns) -> None:
        """Append polygons.

        Args:
            polygons: (n,) of shapely, none of them empty.
            columns: (n,) values of every attribute; None and not-a-number become null.
        """
        geometries = shapely.to_geojson(to_wgs84(polygons, self._crs)).tolist()
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        try:
            for geometry, row in zip(geometries, rows, strict=True):
                # Not-a-number alone differs from itself.
                known = {name: value if value == value else None for name, value in zip(columns, row, strict=True)}
                properties = json.dumps(known, ensure_ascii=False, separators=(",", ":"))
                self._file.write(
                    f'{self._separator}{{"type":"Feature","properties":{properties},"geometry":{geometry}}}'
                )
                self._separator = ",\n"
        except OSError as error:
            raise _refusal(error) from error

    def close(self) -> None:
        """Complete the file."""
        try:
            with self._file:
                self._file.write("\n]}\n")
        except OSError as error:
            raise _refusal(error) from error

    def abandon(self) -> None:
        """Let go of the unfinished file."""
        self._file.close()


def to_wgs84(polygons: Shapes, crs: CRS | None) -> Shapes:
    """Polygons as RFC 7946 wants them: longitude and latitude, outer rings counter-clockwise.

    Args:
        polygons: (n,) of shapely.
        crs: of the polygons; None leaves coordinates as they are.

    Returns:
        (n,) polygons, multipolygons where the antimeridian cuts one.
    """
    if crs is not None and len(polygons):
        placed = _placed(polygons, crs)
        west, _, east, _ = shapely.bounds(placed).T
        is_outside = (west < -180) | (east > 180)
        for number in np.flatnonzero(is_outside | (east - west > 180)).tolist():
            if is_outside[number]:
                placed[number] = _cut(placed[number])
            elif _jumps(polygons[number], crs):
                placed[number] = _cut(shapely.transform(placed[number], lambda xy: xy % (360, np.inf)))
        polygons = placed
    oriented: Shapes = shapely.reverse(shapely.normalize(polygons))
    return oriented


def _placed(polygons: Shapes, crs: CRS) -> Shapes:
    """Polygons in longitude and latitude, rounded.

    Raises:
        InvalidInputError: when the CRS does not say where on Earth they lie.
    """
    points = shapely.get_coordinates(polygons)
    try:
        places = np.column_stack(warp_points(crs, CRS.from_epsg(4326), points[:, 0], points[:, 1]))
    except (RasterioError, CPLE_BaseError) as error:
        raise _nowhere(crs, str(error)) from error
    if not np.isfinite(places).all():
        raise _nowhere(crs, "some corners lie outside it")
    placed: Shapes = shapely.set_coordinates(polygons.copy(), places.round(_DECIMALS))
    return placed


def _jumps(polygon: Any, crs: CRS) -> bool:
    """Whether a polygon that seems wider than half the Earth crosses the antimeridian instead."""
    if crs.is_geographic:
        return False
    west, south, east, north = shapely.bounds(polygon).tolist()
    # A long edge is wide in truth where the points along it do not jump.
    dense = shapely.segmentize(polygon, max(east - west, north - south) / 64)
    rings = shapely.get_rings(_placed(np.array([dense], dtype=object), crs))
    return any(bool((np.abs(np.diff(shapely.get_coordinates(ring)[:, 0])) > 180).any()) for ring in rings)


def _cut(polygon: Any) -> Any:
    """A polygon with longitudes beyond 180 degrees in parts that have none."""
    parts = []
    for turn in (-360, 0, 360):
        inside = shapely.intersection(polygon, shapely.box(turn - 180, -90, turn + 180, 90))
        parts.append(shapely.transform(inside, lambda xy, turn=turn: (xy - (turn, 0)).round(_DECIMALS)))
    pieces = shapely.get_parts(np.array(parts, dtype=object))
    pieces = pieces[(shapely.get_dimensions(pieces) == 2) & ~shapely.is_empty(pieces)]
    return pieces[0] if len(pieces) == 1 else shapely.multipolygons(pieces)


def _nowhere(crs: CRS, reason: str) -> InvalidInputError:
    """A coordinate system that GeoJSON cannot follow."""
    return InvalidInputError(
        f"GeoJSON needs longitude and latitude, but the coordinate system `{crs_name(crs)}` does not give them "
        f"({reason}). Choose GeoPackage, which keeps any system: --format gpkg."
    )


def _refusal(error: OSError) -> InvalidInputError:
    """A full disk is an error of ours."""
    return InvalidInputError(
        f"The polygons could not be written ({error}). Free space, or choose another folder or format."
    )
