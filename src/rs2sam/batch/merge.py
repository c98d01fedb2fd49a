"""The polygons of all scenes in one file."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # what `warp.transform` lets through has no public name
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import transform as warp_points

from rs2sam.batch.polygon_reading import WGS84, ScenePolygons, polygon_crs, read_polygons
from rs2sam.errors import InvalidInputError, words_of
from rs2sam.fields import some_of
from rs2sam.raster.georeference import crs_name, leads_to_earth
from rs2sam.vector.geopackage import GeoPackageWriter
from rs2sam.vector.polygon_files import LAYER, PolygonTable, polygon_table
from rs2sam.vector.styles import layer_style

_LOGGER = logging.getLogger(__name__)

# Polygons held in memory before they are written.
_BATCH = 20_000


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

    The CRS is that of the files where all have the same, else longitude and latitude on WGS 84. Polygons of scenes
    without a CRS lie nowhere on Earth: they are left out, and beside scenes with another CRS so are those whose CRS
    leads to no longitude and latitude, as that of a building site. A column `scene` holds the scene's key.

    Args:
        files: in the order of the rows.
        path: of the merged file, `.gpkg` or `.parquet`.

    Returns:
        `path`, `crs`, `polygons`, `scenes` (whose polygons are in it), `without_crs` (keys of those left out); None,
        and no file, where no scene has a CRS.

    Raises:
        InvalidInputError: a file is damaged, or polygons lie outside of what their CRS can place on Earth.
        MissingDependencyError: a format needs a library that is not installed.
    """
    systems = _systems(files)
    without = [file.scene.key for file in files if file.scene.key not in systems]
    if without:
        count = "1 scene has" if len(without) == 1 else f"{len(without)} scenes have"
        _LOGGER.warning("%s no CRS: such polygons are in the files of the scenes only.", count)
    located = [file for file in files if file.scene.key in systems]
    if not located:
        path.unlink(missing_ok=True)
        return None
    target = common_crs(list(systems.values()))
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


def common_crs(systems: Sequence[CRS]) -> CRS:
    """The CRS that all share, else WGS 84."""
    return systems[0] if all(crs == systems[0] for crs in systems) else WGS84


def reproject(table: Table, source: CRS, target: CRS) -> Table:
    """Move geometries into another CRS, longitude and easting first.

    Raises:
        InvalidInputError: when a corner lies outside of what the CRS can place there.
    """
    if source == target or not len(table.geometry):
        return table
    points = shapely.get_coordinates(table.geometry)
    try:
        xs, ys = warp_points(source, target, points[:, 0], points[:, 1])
    except (RasterioError, CPLE_BaseError) as error:
        raise InvalidInputError(
            f"Scenes of several CRS are merged in {crs_name(target)}, but some corners of polygons in "
            f"{crs_name(source)} have no place there ({words_of(error)}). Correct the scene's CRS, or leave the file "
            "of all polygons out with --merged none."
        ) from error
    return Table(shapely.set_coordinates(table.geometry.copy(), np.column_stack([xs, ys])), table.columns)


def _write(path: Path, crs: CRS, tables: Iterable[Table]) -> int:
    """Write tables of the same columns, one after another; returns how many polygons they hold."""
    opened: PolygonTable | None = None
    num_polygons = 0
    sentences: dict[int, str] = {}
    try:
        for table in tables:
            if opened is None:
                opened = polygon_table(path, crs, {name: values.dtype for name, values in table.columns.items()})
            opened.write(table.geometry, table.columns, LAYER)
            num_polygons += len(table.geometry)
            sentences |= _sentences_of(table)
    except BaseException:
        if opened is not None:
            opened.abandon()
        raise
    if opened is not None:
        if isinstance(opened, GeoPackageWriter) and sentences:
            opened.style(LAYER, layer_style(dict(sorted(sentences.items()))))
        opened.close()
    return num_polygons


def _sentences_of(table: Table) -> dict[int, str]:
    """The sentences of a table by their numbers, as far as it names them."""
    if not {"sentence_id", "sentence"} <= table.columns.keys():
        return {}
    numbers, first = np.unique(table.columns["sentence_id"], return_index=True)
    return dict(zip(numbers.tolist(), table.columns["sentence"][first].tolist(), strict=True))


def _systems(files: Iterable[ScenePolygons]) -> dict[str, CRS]:
    """The CRS of the scenes that can be merged, by their keys."""
    found = {file.scene.key: polygon_crs(file) for file in files}
    named = {key: (crs, crs.to_wkt()) for key, crs in found.items() if crs is not None}
    distinct = {wkt: crs for crs, wkt in named.values()}
    # Alone, a CRS needs no place on Earth.
    lost = {wkt for wkt, crs in distinct.items() if len(distinct) > 1 and not leads_to_earth(crs)}
    for wkt in lost:
        _LOGGER.warning(
            "The CRS %s leads to no longitude and latitude: among other scenes, its own count as without a CRS.",
            crs_name(distinct[wkt]),
        )
    return {key: crs for key, (crs, wkt) in named.items() if wkt not in lost}


def _batches(files: Iterable[ScenePolygons], systems: Mapping[str, CRS], target: CRS) -> Iterator[Table]:
    """Tables of many scenes put together up to a size; at least one, so that an empty file has its columns.

    Raises:
        InvalidInputError: a file is damaged, or lacks a column of the first one; what it has beyond them is left out.
    """
    held: list[Table] = []
    names: list[str] | None = None
    num_held = num_written = 0
    for file in files:
        source = systems[file.scene.key]
        for shapes, columns in read_polygons(file.path):
            names = list(columns) if names is None else names
            missing = [name for name in names if name not in columns]
            if missing:
                raise InvalidInputError(
                    f"Files of polygons have the same columns to be merged, but {str(file.path)!r} has no "
                    f"{some_of(missing)}. Remove it and give the same command again: its scene is then run anew."
                )
            moved = reproject(Table(shapes, {name: columns[name] for name in names}), source, target)
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
