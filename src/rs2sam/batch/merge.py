"""The polygons of all scenes in one file."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points

from rs2sam.batch.inputs import SceneInput
from rs2sam.raster.geopackage import geopackage_crs, read_geopackage
from rs2sam.raster.geoparquet import geoparquet_crs, read_geoparquet
from rs2sam.raster.georeference import crs_name
from rs2sam.raster.polygon_files import LAYER, PolygonTable, polygon_table

_LOGGER = logging.getLogger(__name__)

# Polygons held in memory before they are written.
_BATCH = 20_000


@dataclass(frozen=True)
class ScenePolygons:
    """The polygons of one scene as they lie on the disk.

    Args:
        scene: where they come from.
        path: the file.
    """

    scene: SceneInput
    path: Path


@dataclass(frozen=True, eq=False)
class Table:
    """Polygons with their attributes.

    Args:
        geometry: (n,) polygons.
        columns: name to (n,) values.
    """

    geometry: NDArray[np.object_]
    columns: dict[str, NDArray[Any]]


def merge_polygons(files: Sequence[ScenePolygons], path: Path) -> dict[str, Any] | None:
    """Write the polygons of all scenes into one file, replacing an earlier one when it is whole.

    The CRS is that of the scenes where all have the same, else longitude and latitude on WGS 84. Polygons of scenes
    without a CRS lie nowhere on Earth: they are left out. A column `scene` holds the scene's key.

    Args:
        files: in the order of the rows.
        path: of the merged file, `.gpkg` or `.parquet`.

    Returns:
        `path`, `crs`, `polygons`, `scenes` (whose polygons are in it), `without_crs` (keys of those left out); None,
        and no file, where no scene has a CRS.
    """
    systems = {file.scene.key: polygon_crs(file.path) for file in files}
    without = [key for key, crs in systems.items() if crs is None]
    if without:
        _LOGGER.warning("%d scenes have no CRS: their polygons are in their own files only.", len(without))
    located = [file for file in files if systems[file.scene.key] is not None]
    if not located:
        return None
    target = common_crs([crs for crs in systems.values() if crs is not None])
    num_polygons = 0
    with tempfile.TemporaryDirectory(prefix=".rs2sam-", dir=path.parent, ignore_cleanup_errors=True) as name:
        draft = Path(name) / path.name
        num_polygons = _write(draft, target, _batches(located, systems, target))
        os.replace(draft, path)
    return {
        "path": path.name,
        "crs": crs_name(target),
        "polygons": num_polygons,
        "scenes": len(located),
        "without_crs": without,
    }


def polygon_crs(path: Path) -> CRS | None:
    """CRS of a polygon file; None where it names none."""
    if path.suffix == ".parquet":
        return geoparquet_crs(path)
    return geopackage_crs(path)


def common_crs(systems: Sequence[CRS]) -> CRS:
    """The CRS that all share, else WGS 84."""
    return systems[0] if all(crs == systems[0] for crs in systems) else CRS.from_epsg(4326)


def reproject(table: Table, source: CRS, target: CRS) -> Table:
    """Move geometries into another CRS, longitude and easting first."""
    if source == target or not len(table.geometry):
        return table
    points = shapely.get_coordinates(table.geometry)
    xs, ys = warp_points(source, target, points[:, 0], points[:, 1])
    return Table(shapely.set_coordinates(table.geometry.copy(), np.column_stack([xs, ys])), table.columns)


def _write(path: Path, crs: CRS, tables: Iterable[Table]) -> int:
    """Write tables of the same columns, one after another; returns how many polygons they hold."""
    opened: PolygonTable | None = None
    num_polygons = 0
    try:
        for table in tables:
            if opened is None:
                opened = polygon_table(path, crs, {name: values.dtype for name, values in table.columns.items()})
            opened.write(table.geometry, table.columns, LAYER)
            num_polygons += len(table.geometry)
    except BaseException:
        if opened is not None:
            opened.abandon()
        raise
    if opened is not None:
        opened.close()
    return num_polygons


def _tables(path: Path) -> Iterator[Table]:
    """All polygons of a file; at least one table, which has the columns where there is no polygon."""
    read = read_geoparquet if path.suffix == ".parquet" else read_geopackage
    yield from (Table(shapes, columns) for shapes, columns in read(path))


def _batches(files: Iterable[ScenePolygons], systems: dict[str, CRS | None], target: CRS) -> Iterator[Table]:
    """Tables of many scenes put together up to a size; at least one, so that an empty file has its columns."""
    held: list[Table] = []
    num_held = num_written = 0
    for file in files:
        source = systems[file.scene.key]
        for table in _tables(file.path):
            moved = reproject(table, source, target)
            key = np.full(len(moved.geometry), file.scene.key, dtype=object)
            held.append(Table(moved.geometry, {"scene": key, **moved.columns}))
            num_held += len(moved.geometry)
            if num_held >= _BATCH:
                yield _stack(held)
                num_written += num_held
                held, num_held = [], 0
    if num_held or (held and not num_written):
        yield _stack(held)


def _stack(tables: Sequence[Table]) -> Table:
    """Rows below each other; columns are those of the first table with rows."""
    names = max(tables, key=lambda table: bool(len(table.geometry))).columns
    full = [table for table in tables if len(table.geometry)] or tables[:1]
    columns = {name: np.concatenate([table.columns[name] for table in full]) for name in names}
    return Table(np.concatenate([table.geometry for table in full]), columns)
