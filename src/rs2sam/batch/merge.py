"""The polygons of all scenes in one file."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points

from rs2sam.batch.inputs import SceneInput
from rs2sam.raster.geoparquet import GeoParquetWriter, geoparquet_crs, read_geoparquet
from rs2sam.raster.georeference import crs_name

_LOGGER = logging.getLogger(__name__)

LAYER = "polygons"

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
        geometry: (n,) WKB.
        columns: name to (n,) values.
    """

    geometry: NDArray[np.object_]
    columns: dict[str, NDArray[Any]]


Write = Callable[[Table], None]


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
        with _writer(draft, target) as write:
            for table in _batches(located, systems, target):
                write(table)
                num_polygons += len(table.geometry)
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
    name = pyogrio.read_info(path, layer=_layers(path)[0])["crs"]
    return None if name is None else CRS.from_user_input(name)


def common_crs(systems: Sequence[CRS]) -> CRS:
    """The CRS that all share, else WGS 84."""
    return systems[0] if all(crs == systems[0] for crs in systems) else CRS.from_epsg(4326)


def reproject(table: Table, source: CRS, target: CRS) -> Table:
    """Move geometries into another CRS, longitude and easting first."""
    if source == target or not len(table.geometry):
        return table
    shapes = shapely.from_wkb(table.geometry)
    points = shapely.get_coordinates(shapes)
    xs, ys = warp_points(source, target, points[:, 0], points[:, 1])
    return Table(shapely.to_wkb(shapely.set_coordinates(shapes, np.column_stack([xs, ys]))), table.columns)


@contextmanager
def _writer(path: Path, crs: CRS) -> Iterator[Write]:
    """Takes tables of the same columns, one after another."""
    if path.suffix != ".parquet":
        yield lambda table: _append_to_geopackage(path, table, crs)
        return
    opened: list[GeoParquetWriter] = []

    def write(table: Table) -> None:
        if not opened:
            opened.append(GeoParquetWriter(path, crs, {name: values.dtype for name, values in table.columns.items()}))
        opened[0].write(table.geometry, table.columns)

    try:
        yield write
    finally:
        for writer in opened:
            writer.close()


def _append_to_geopackage(path: Path, table: Table, crs: CRS) -> None:
    """Add rows to a GeoPackage, which is made when there is none."""
    columns = table.columns
    pyogrio.raw.write(
        path,
        geometry=table.geometry,
        field_data=list(columns.values()),
        fields=np.array(list(columns), dtype=object),
        field_mask=[np.isnan(values) if values.dtype.kind == "f" else None for values in columns.values()],
        geometry_type="Polygon",
        crs=crs.to_wkt(),
        driver="GPKG",
        layer=LAYER,
        append=path.exists(),
    )


def _layers(path: Path) -> list[str]:
    """Names of the layers of a file."""
    return [str(name) for name in pyogrio.list_layers(path)[:, 0]]


def _tables(path: Path) -> Iterator[Table]:
    """All polygons of a file; at least one table, which has the columns where there is no polygon."""
    if path.suffix == ".parquet":
        yield from (Table(wkb, columns) for wkb, columns in read_geoparquet(path))
        return
    for layer in _layers(path):
        meta, _, geometry, values = pyogrio.raw.read(path, layer=layer)
        yield Table(geometry, dict(zip(meta["fields"], values, strict=True)))


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
