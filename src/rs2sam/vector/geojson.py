"""GeoJSON files of polygons (RFC 7946), in batches.

With a CRS, coordinates are longitude and latitude on WGS 84; what crosses the antimeridian is cut there, and what goes
round a pole reaches up to it. Without one they are the polygons' own. Outer rings are counter-clockwise either way.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio._err import CPLE_AppDefinedError, CPLE_BaseError  # what `warp.transform` raises has no public name
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform as warp_points

from rs2sam.errors import InvalidInputError, words_of
from rs2sam.raster.georeference import crs_name, leads_to_earth

Columns = Mapping[str, NDArray[Any]]
Shapes = NDArray[np.object_]

_LOGGER = logging.getLogger(__name__)

# 0.1 mm on the ground: a tenth of a pixel of anything that flies.
_DECIMALS = 9
_GRID = 10.0**-_DECIMALS

# An outline that may cross the antimeridian is followed in steps of its longer side divided by this.
_NUM_STEPS = 64


class GeoJSONWriter:
    """Writes polygons and their attributes to one feature collection.

    A file appears under its name as it grows: callers that need all or nothing write elsewhere and rename. Polygons
    with a corner that is not on Earth are left out, with a warning that counts them.

    Args:
        path: of the file; replaced if it exists.
        crs: of the polygons, or None where it is unknown.
        name: of the collection.

    Raises:
        InvalidInputError: when the CRS has no longitude and latitude; here and in the methods, when the file cannot be
            written.
    """

    def __init__(self, path: Path, crs: CRS | None, name: str) -> None:
        check_crs(crs)
        self._crs = crs
        self._num_left_out = 0
        self._separator = "\n"
        try:
            self._file = path.open("w", encoding="utf-8", newline="\n")
            self._file.write(f'{{"type":"FeatureCollection","name":{json.dumps(name)},"features":[')
        except OSError as error:
            raise _refusal(error) from error

    def write(self, polygons: Shapes, columns: Columns) -> None:
        """Append polygons.

        Args:
            polygons: (n,) of shapely, none of them empty.
            columns: (n,) values of every attribute; None and not-a-number become null.
        """
        placed = to_wgs84(polygons, self._crs)
        is_placed = ~shapely.is_missing(placed)
        self._num_left_out += int(np.count_nonzero(~is_placed))
        geometries = shapely.to_geojson(placed[is_placed]).tolist()
        rows = zip(*(column[is_placed].tolist() for column in columns.values()), strict=True)
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
        if self._num_left_out:
            _LOGGER.warning(
                "Polygons left out of the GeoJSON, since a corner of each is not on Earth: %d. GeoPackage keeps them: "
                "--format gpkg.",
                self._num_left_out,
            )

    def abandon(self) -> None:
        """Let go of the unfinished file."""
        self._file.close()


def check_crs(crs: CRS | None) -> None:
    """Refuse a CRS that has no longitude and latitude now rather than after the work.

    Raises:
        InvalidInputError: for an engineering CRS, or one of another celestial body.
    """
    if crs is not None and not leads_to_earth(crs):
        raise _nowhere(crs)


def to_wgs84(polygons: Shapes, crs: CRS | None) -> Shapes:
    """Polygons as RFC 7946 wants them: longitude and latitude, outer rings counter-clockwise.

    Args:
        polygons: (n,) of shapely.
        crs: of the polygons; None leaves coordinates as they are.

    Returns:
        (n,) polygons, multipolygons where the antimeridian cuts one, None for one with a corner that is not on Earth.

    Raises:
        InvalidInputError: when the CRS has no longitude and latitude.
    """
    if crs is not None and len(polygons):
        placed = _placed(polygons, crs)
        west, _, east, _ = shapely.bounds(placed).T
        may_cross = (west < -180) | (east > 180) | (east - west >= 180)
        if crs.is_geographic:
            # A shift of datum may take both ends of the Earth to the same longitude.
            left, _, right, _ = shapely.bounds(polygons).T
            may_cross |= right - left >= 180
        for number in np.flatnonzero(may_cross & ~shapely.is_missing(placed)).tolist():
            placed[number] = _within_range(polygons[number], placed[number], crs)
        polygons = placed
    return _oriented(polygons)


def _oriented(polygons: Shapes) -> Shapes:
    """Polygons with counter-clockwise outer rings and clockwise holes."""
    oriented: Shapes = shapely.reverse(shapely.normalize(polygons))
    return oriented


def _placed(shapes: Shapes, crs: CRS) -> Shapes:
    """(n,) geometries in longitude and latitude, rounded; None for one with a corner that is not on Earth.

    Raises:
        InvalidInputError: when the CRS has no longitude and latitude.
    """
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    try:
        places = np.column_stack(warp_points(crs, CRS.from_epsg(4326), points[:, 0], points[:, 1]))
    except CPLE_AppDefinedError:
        # One point outside of the projection fails all of them.
        if len(shapes) == 1:
            return np.array([None], dtype=object)
        half = len(shapes) // 2
        return np.concatenate([_placed(shapes[:half], crs), _placed(shapes[half:], crs)])
    except (RasterioError, CPLE_BaseError) as error:
        raise _nowhere(crs) from error
    placed: Shapes = shapely.set_coordinates(shapes.copy(), places.round(_DECIMALS))
    placed[owner[~np.isfinite(places).all(axis=1)]] = None
    return placed


def _within_range(polygon: Any, placed: Any, crs: CRS) -> Any:
    """A polygon that leaves -180 to 180 degrees or seems wider than half the Earth, in parts that are neither.

    Args:
        polygon: in its CRS.
        placed: the same in longitude and latitude.
        crs: its CRS.

    Returns:
        A polygon or multipolygon, `placed` where it is wide in truth, None where some of the outline is not on Earth.
    """
    west, _, east, _ = shapely.bounds(placed).tolist()
    is_outside = west < -180 or east > 180
    if is_outside and not _jumps(placed):
        cut = _cut(placed)
    else:
        left, bottom, right, top = shapely.bounds(polygon).tolist()
        rings = _oriented(shapely.polygons(shapely.get_rings(polygon)))
        outlines = _placed(shapely.segmentize(rings, max(right - left, top - bottom) / _NUM_STEPS), crs)
        if shapely.is_missing(outlines).any():
            return None
        # A long edge is wide in truth where the points along it do not jump.
        if not is_outside and not any(map(_jumps, outlines)):
            return placed
        outer, *holes = (_cut(_unwrapped(outline)) for outline in outlines)
        cut = shapely.difference(outer, shapely.union_all(holes), grid_size=_GRID)
    # What lies beyond 90 degrees of latitude leaves nothing.
    return None if cut.is_empty else cut


def _jumps(polygon: Any) -> bool:
    """Whether longitudes of neighbouring corners differ by 180 degrees or more."""
    rings = shapely.get_rings(polygon)
    return any(bool((np.abs(np.diff(shapely.get_coordinates(ring)[:, 0])) >= 180).any()) for ring in rings)


def _unwrapped(outline: Any) -> Any:
    """A polygon without holes whose longitudes jump, with longitudes that go on beyond 180 degrees instead.

    Args:
        outline: counter-clockwise in its CRS: what lies inside is at the left, which is north on the way to the east.
    """
    lon, lat = shapely.get_coordinates(outline).T
    lon = np.unwrap(lon, period=360)
    turn = lon[-1] - lon[0]
    if abs(turn) > 180:
        # It goes round a pole, which in longitude and latitude is a line.
        lon, lat = np.append(lon, [lon[-1], lon[0]]), np.append(lat, np.copysign([90, 90], turn))
    return shapely.make_valid(shapely.polygons(np.column_stack([lon, lat])))


def _cut(shape: Any) -> Any:
    """The area of a shape whose longitudes go beyond 180 degrees in parts that do not, joined where they touch."""
    west, _, east, _ = shapely.bounds(shape)
    areas = _areas(shape)
    pieces = []
    for turn in 360 * np.arange(np.floor((west + 180) / 360), np.ceil((east - 180) / 360) + 1):
        inside = _areas(shapely.intersection(areas, shapely.box(turn - 180, -90, turn + 180, 90)))
        pieces.append(shapely.transform(inside, lambda xy, turn=turn: xy - (turn, 0)))
    return shapely.union_all(np.concatenate(pieces), grid_size=_GRID)


def _areas(shapes: Any) -> Shapes:
    """The polygons in geometries, without lines and points that beside them are left of an edge."""
    parts = shapely.get_parts(shapes)
    areas: Shapes = parts[shapely.get_dimensions(parts) == 2]
    return areas


def _nowhere(crs: CRS) -> InvalidInputError:
    """The error for a CRS that has no longitude and latitude."""
    return InvalidInputError(
        f"GeoJSON needs longitude and latitude, but the coordinate system `{crs_name(crs)}` has none. Choose "
        "GeoPackage, which keeps any system: --format gpkg."
    )


def _refusal(error: OSError) -> InvalidInputError:
    """A full disk is an error of ours."""
    return InvalidInputError(
        f"The polygons could not be written ({words_of(error)}). Free space, or choose another folder or format."
    )
