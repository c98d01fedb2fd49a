"""The polygons of one scene, read back from any of the formats in which they are written."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from rs2sam.batch.scene_input import SceneInput
from rs2sam.errors import InvalidInputError, RS2SAMError, require, words_of
from rs2sam.fields import parse_json
from rs2sam.vector.copied_formats import SHAPEFILE_NAMES
from rs2sam.vector.geopackage import geopackage_crs, read_geopackage
from rs2sam.vector.geoparquet import geoparquet_crs, read_geoparquet
from rs2sam.vector.polygon_files import FIELDS

Batch = tuple[NDArray[np.object_], dict[str, NDArray[Any]]]
"""(n,) polygons, and (n,) values of each attribute."""

WGS84 = CRS.from_epsg(4326)

_BATCH = 8192
_POLYGONS = (3, 6)  # types of geometries in GEOS: polygons, and those of several parts
_NEEDS_PYOGRIO = ("pyogrio", "vector", "Merging FlatGeobuf or Shapefiles")
_FULL_NAMES = {short: name for name, short in SHAPEFILE_NAMES.items()}


@dataclass(frozen=True)
class ScenePolygons:
    """The polygons of one scene as they lie on the disk.

    Args:
        scene: where they come from.
        path: the file, `.gpkg`, `.parquet`, `.geojson`, `.fgb` or `.shp`.
        has_crs: whether the scene has a CRS; GeoJSON does not tell.
    """

    scene: SceneInput
    path: Path
    has_crs: bool


def polygon_crs(file: ScenePolygons) -> CRS | None:
    """CRS of a polygon file; None where the scene has none.

    Raises:
        InvalidInputError: when the file is none of its format.
        MissingDependencyError: for `.fgb` and `.shp` without pyogrio, for `.parquet` without pyarrow.
    """
    if not file.has_crs:
        return None
    if file.path.suffix == ".geojson":
        return WGS84
    with _whole(file.path):
        if file.path.suffix in (".fgb", ".shp"):
            return _crs_by_gdal(file.path)
        return geoparquet_crs(file.path) if file.path.suffix == ".parquet" else geopackage_crs(file.path)


def read_polygons(path: Path) -> Iterator[Batch]:
    """All polygons of a file; at least one batch, which has the columns where there is no polygon.

    FlatGeobuf and Shapefile are read at once, the others in batches.

    Raises:
        InvalidInputError: when the file is none of its format.
        MissingDependencyError: for `.fgb` and `.shp` without pyogrio, for `.parquet` without pyarrow.
    """
    readers: Mapping[str, Callable[[Path], Iterator[Batch]]] = {
        ".gpkg": read_geopackage,
        ".parquet": read_geoparquet,
        ".geojson": _read_geojson,
        ".fgb": _read_with_gdal,
        ".shp": _read_with_gdal,
    }
    with _whole(path):
        for shapes, columns in readers[path.suffix](path):
            is_polygon = np.isin(shapely.get_type_id(shapes), _POLYGONS)
            if not (is_polygon.all() and np.isfinite(shapely.get_coordinates(shapes)).all()):
                raise ValueError("it holds a geometry that is no polygon")
            # A text in a column of numbers is a fault, and a number of other bits, as GDAL may write it, is none.
            kinds = {name: FIELDS.get(name, values.dtype) for name, values in columns.items()}
            yield shapes, {name: columns[name].astype(kinds[name], casting="same_kind", copy=False) for name in kinds}


def _read_geojson(path: Path) -> Iterator[Batch]:
    """A feature collection as `GeoJSONWriter` leaves it, one feature a line."""
    with path.open(encoding="utf-8") as file:
        features = _feature_lines(file)
        lines = list(islice(features, _BATCH))
        yield _from_features(lines)
        while lines := list(islice(features, _BATCH)):
            yield _from_features(lines)


def _feature_lines(lines: Iterator[str]) -> Iterator[str]:
    """The features between the first line and the last."""
    if not next(lines, "").startswith('{"type":"FeatureCollection"'):
        raise ValueError("its first line begins no feature collection")
    for line in lines:
        if line.startswith("]}"):
            return
        yield line.rstrip().removesuffix(",")
    raise ValueError("its end is missing")


def _from_features(lines: list[str]) -> Batch:
    """Features as arrays; what the antimeridian cuts is a polygon for each part, with the attributes of the whole."""
    shapes, part_of = shapely.get_parts(shapely.from_geojson(np.array(lines, dtype=object)), return_index=True)
    properties = [parse_json(line)["properties"] for line in lines]
    columns = {name: np.array([each[name] for each in properties], dtype=kind) for name, kind in FIELDS.items()}
    return shapes, {name: values[part_of] for name, values in columns.items()}


def _read_with_gdal(path: Path) -> Iterator[Batch]:
    """All polygons at once, their attributes under their full names."""
    require(*_NEEDS_PYOGRIO)
    import pyogrio.raw

    with _quiet():
        meta, _, geometry, values = pyogrio.raw.read(path)
    names = [_FULL_NAMES.get(name, name) for name in meta["fields"].tolist()]
    yield shapely.from_wkb(geometry), dict(zip(names, values, strict=True))


def _crs_by_gdal(path: Path) -> CRS | None:
    """CRS of a file, None where it names none."""
    require(*_NEEDS_PYOGRIO)
    import pyogrio

    with _quiet():
        name = pyogrio.read_info(path)["crs"]
    return None if name is None else CRS.from_user_input(name)


@contextmanager
def _quiet() -> Iterator[None]:
    """GDAL's warnings are of what it mends by itself, a ring that is not closed, say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """A file that is damaged, or none of its format, is an error of ours."""
    try:
        yield
    except (RS2SAMError, MemoryError):
        raise
    except Exception as error:  # damaged bytes raise whatever they happen to say
        said = f"it has no {words_of(error)}" if isinstance(error, KeyError) else words_of(error)
        raise InvalidInputError(
            f"Polygons are merged from whole files, as rs2sam writes them, but {str(path)!r} is none ({said}). Remove "
            "it and give the same command again: its scene is then run anew."
        ) from error
