"""GeoPackage files of polygons, in batches, through SQLite.

A GeoPackage is an SQLite database with tables of given names (OGC 12-128r19, version 1.4): which coordinate systems
there are, which tables hold features, in which column their geometry is. A geometry is a header of 40 bytes (system and
bounds) and WKB; an R-tree beside each layer lets readers skip what lies elsewhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from rs2sam.errors import InvalidInputError, words_of
from rs2sam.vector.styles import add_styles

Columns = Mapping[str, NDArray[Any]]
Shapes = NDArray[np.object_]

GEOMETRY = "geom"
"""Name of the geometry column."""

_TYPES = {"object": "TEXT", "int32": "MEDIUMINT", "int64": "INTEGER", "float64": "REAL"}
_DTYPES = {sql: np.dtype(name) for name, sql in _TYPES.items()}
_BATCH = 8192

# Every change of a GeoPackage carries a date; a fixed one makes files of the same polygons the same bytes.
_DATE = "1970-01-01T00:00:00.000Z"

# What GDAL takes for "no coordinate system"; the standard's own -1 and 0 come back as nameless ones.
_NO_CRS = 99999
_CUSTOM_CRS = 100000
_WITHOUT_CRS = (-1, 0, _NO_CRS)

_WKT1 = ("PROJCS[", "GEOGCS[", "GEOCCS[", "COMPD_CS[", "VERT_CS[", "LOCAL_CS[")

_HEADER = np.dtype([("magic", "S2"), ("version", "u1"), ("flags", "u1"), ("srs_id", "<i4"), ("bounds", "<f8", 4)])
_LITTLE_ENDIAN, _WITH_BOUNDS = 1, 1 << 1
_BOUNDS_SIZES = (0, 32, 48, 48, 64)
"""Bytes of the bounds in a header by the kind that its flags name."""

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA application_id = 0x47504B47;
PRAGMA user_version = 10400;
BEGIN;
CREATE TABLE gpkg_spatial_ref_sys (
    srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
    organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT
);
CREATE TABLE gpkg_contents (
    table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE, description TEXT DEFAULT '',
    last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER REFERENCES gpkg_spatial_ref_sys (srs_id)
);
CREATE TABLE gpkg_geometry_columns (
    table_name TEXT NOT NULL UNIQUE REFERENCES gpkg_contents (table_name), column_name TEXT NOT NULL,
    geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL REFERENCES gpkg_spatial_ref_sys (srs_id),
    z TINYINT NOT NULL, m TINYINT NOT NULL, PRIMARY KEY (table_name, column_name)
);
CREATE TABLE gpkg_extensions (
    table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL, scope TEXT NOT NULL,
    UNIQUE (table_name, column_name, extension_name)
);
"""

_LAYER = """
CREATE TABLE {table} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, {geometry} POLYGON, {columns});
CREATE VIRTUAL TABLE {index} USING rtree(id, minx, maxx, miny, maxy);
"""

# The index follows changes that others make; the conditions are those of the standard's extension `gpkg_rtree_index`.
_FILLED = "({row}.{geometry} NOTNULL AND NOT ST_IsEmpty({row}.{geometry}))"
_BOX = "ST_MinX(NEW.{geometry}), ST_MaxX(NEW.{geometry}), ST_MinY(NEW.{geometry}), ST_MaxY(NEW.{geometry})"
_PUT = "INSERT OR REPLACE INTO {index} VALUES (NEW.fid, {box});"
_DROP = "DELETE FROM {index} WHERE id = OLD.fid;"
_TRIGGERS = {
    "insert": ("INSERT", "{new}", _PUT),
    "update2": ("UPDATE OF {geometry}", "OLD.fid = NEW.fid AND NOT {new}", _DROP),
    "update4": ("UPDATE", "OLD.fid != NEW.fid AND NOT {new}", "DELETE FROM {index} WHERE id IN (OLD.fid, NEW.fid);"),
    "update5": ("UPDATE", "OLD.fid != NEW.fid AND {new}", f"{_DROP} {_PUT}"),
    "update6": (
        "UPDATE OF {geometry}",
        "OLD.fid = NEW.fid AND {new} AND {old}",
        "UPDATE {index} SET (minx, maxx, miny, maxy) = ({box}) WHERE id = NEW.fid;",
    ),
    "update7": (
        "UPDATE OF {geometry}",
        "OLD.fid = NEW.fid AND {new} AND NOT {old}",
        "INSERT INTO {index} VALUES (NEW.fid, {box});",
    ),
    "delete": ("DELETE", "OLD.{geometry} NOTNULL", _DROP),
}


@dataclass
class _Layer:
    """What is known of a layer that is being written."""

    num_rows: int
    bounds: NDArray[np.float64]


class GeoPackageWriter:
    """Writes polygons and their attributes to the layers of one file.

    A file appears under its name as it grows: callers that need all or nothing write elsewhere and rename.

    Args:
        path: of the file, which must not exist.
        crs: of the polygons, or None where it is unknown.
        fields: name and numpy dtype (object for text, int32, int64 or float64) of each attribute. All may be null.

    Raises:
        InvalidInputError: here and in the methods, when the file cannot be written.
    """

    def __init__(self, path: Path, crs: CRS | None, fields: Mapping[str, Any]) -> None:
        self._fields = {name: _TYPES[np.dtype(kind).name] for name, kind in fields.items()}
        self._layers: dict[str, _Layer] = {}
        self._styles: dict[str, str] = {}
        with _our_errors():
            self._database = sqlite3.connect(path, isolation_level=None)
            try:
                self._database.executescript(_SCHEMA)
                self._srs_id = _add_crs(self._database, crs)
            except BaseException:
                self._database.close()
                raise

    def write(self, polygons: Shapes, columns: Columns, layer: str) -> None:
        """Append polygons; the layer exists afterwards even if there are none.

        Args:
            polygons: (n,) of shapely, none of them empty.
            columns: (n,) values of every attribute; None and not-a-number become null.
            layer: where they go.
        """
        with _our_errors():
            if layer not in self._layers:
                self._begin(layer)
            if not len(polygons):
                return
            known = self._layers[layer]
            bounds = shapely.bounds(polygons)
            numbers = range(known.num_rows + 1, known.num_rows + len(polygons) + 1)
            values = [columns[name].tolist() for name in self._fields]
            rows = zip(numbers, _blobs(polygons, bounds, self._srs_id), *values, strict=True)
            marks = ", ".join("?" * (2 + len(values)))
            self._database.executemany(f"INSERT INTO {_quoted(layer)} VALUES ({marks})", rows)  # not-a-number is null
            boxes = zip(numbers, *bounds[:, [0, 2, 1, 3]].T.tolist(), strict=True)
            self._database.executemany(f"INSERT INTO {_quoted(_index(layer))} VALUES (?, ?, ?, ?, ?)", boxes)
            known.num_rows += len(polygons)
            known.bounds[:2] = np.minimum(known.bounds[:2], bounds[:, :2].min(axis=0))
            known.bounds[2:] = np.maximum(known.bounds[2:], bounds[:, 2:].max(axis=0))

    def style(self, layer: str, qml: str) -> None:
        """Give a layer the style in which QGIS shows it by itself."""
        self._styles[layer] = qml

    def close(self) -> None:
        """Complete the file."""
        with _our_errors(), closing(self._database):
            for name, layer in self._layers.items():
                box = layer.bounds.tolist() if layer.num_rows else [None] * 4
                self._database.execute(
                    "UPDATE gpkg_contents SET min_x = ?, min_y = ?, max_x = ?, max_y = ? WHERE table_name = ?",
                    (*box, name),
                )
                for statement in _triggers(name):
                    self._database.execute(statement)
            if self._styles:
                add_styles(self._database, self._styles, GEOMETRY, _DATE)
            self._database.execute("COMMIT")

    def abandon(self) -> None:
        """Let go of the unfinished file."""
        self._database.close()

    def _begin(self, layer: str) -> None:
        """Add an empty layer."""
        names = {"table": _quoted(layer), "index": _quoted(_index(layer)), "geometry": _quoted(GEOMETRY)}
        columns = ", ".join(f"{_quoted(name)} {kind}" for name, kind in self._fields.items())
        for statement in _LAYER.split(";\n"):
            self._database.execute(statement.format(columns=columns, **names))
        self._database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change, srs_id) VALUES (?, ?, ?, ?, ?)",
            (layer, "features", layer, _DATE, self._srs_id),
        )
        self._database.execute(
            "INSERT INTO gpkg_geometry_columns VALUES (?, ?, 'POLYGON', ?, 0, 0)", (layer, GEOMETRY, self._srs_id)
        )
        self._database.execute(
            "INSERT INTO gpkg_extensions VALUES (?, ?, 'gpkg_rtree_index', ?, 'write-only')",
            (layer, GEOMETRY, "http://www.geopackage.org/spec120/#extension_rtree"),
        )
        self._layers[layer] = _Layer(0, np.array([np.inf, np.inf, -np.inf, -np.inf]))


def geopackage_crs(path: Path) -> CRS | None:
    """The CRS of the first layer of a GeoPackage, None where it names none.

    Raises:
        InvalidInputError: when the file is none, or has no layer.
    """
    with _opened(path) as database:
        row = database.execute(
            "SELECT r.* FROM gpkg_geometry_columns g JOIN gpkg_spatial_ref_sys r ON r.srs_id = g.srs_id "
            "ORDER BY g.rowid LIMIT 1"
        ).fetchone()
        if row is None:
            raise InvalidInputError(f"A GeoPackage of polygons has a layer, but {str(path)!r} has none.")
    if row["srs_id"] in _WITHOUT_CRS:
        return None
    if row["organization"].upper() == "EPSG":
        return CRS.from_epsg(row["organization_coordsys_id"])
    wkt2 = row["definition_12_063"] if "definition_12_063" in row.keys() else None  # noqa: SIM118  a row iterates values
    return CRS.from_wkt(wkt2 or row["definition"])


def read_geopackage(path: Path, batch_size: int = _BATCH) -> Iterator[tuple[Shapes, dict[str, NDArray[Any]]]]:
    """Read the polygons of all layers of a GeoPackage in batches.

    Args:
        path: of the file.
        batch_size: most polygons in a batch.

    Yields:
        (n,) geometries, and (n,) values of each attribute; nulls are None in text and not-a-number in real numbers. A
        layer without polygons yields one empty batch, which has the columns.

    Raises:
        InvalidInputError: when the file is none.
    """
    with _opened(path) as database:
        layers = database.execute("SELECT table_name, column_name FROM gpkg_geometry_columns ORDER BY rowid").fetchall()
        for layer, geometry in layers:
            described = database.execute(f"PRAGMA table_info({_quoted(layer)})").fetchall()
            kinds = {
                row["name"]: _DTYPES[row["type"].upper()]
                for row in described
                if not row["pk"] and row["name"] != geometry
            }
            chosen = ", ".join(map(_quoted, (geometry, *kinds)))
            rows = database.execute(f"SELECT {chosen} FROM {_quoted(layer)} ORDER BY rowid")
            first = rows.fetchmany(batch_size)
            yield _batch(first, kinds)
            while first and (batch := rows.fetchmany(batch_size)):
                yield _batch(batch, kinds)


def _batch(rows: list[Any], kinds: Mapping[str, np.dtype[Any]]) -> tuple[Shapes, dict[str, NDArray[Any]]]:
    """Rows of a geometry and attributes as arrays."""
    columns = list(zip(*rows, strict=True)) or [()] * (1 + len(kinds))
    shapes: Shapes = shapely.from_wkb(np.array([_wkb(blob) for blob in columns[0]], dtype=object))
    values = {
        name: np.array(column, dtype=kind) for (name, kind), column in zip(kinds.items(), columns[1:], strict=True)
    }
    return shapes, values


def _blobs(polygons: Shapes, bounds: NDArray[np.float64], srs_id: int) -> Iterator[bytes]:
    """Geometries as GeoPackage stores them."""
    headers = np.zeros(len(polygons), dtype=_HEADER)
    headers["magic"] = b"GP"
    headers["flags"] = _LITTLE_ENDIAN | _WITH_BOUNDS
    headers["srs_id"] = srs_id
    headers["bounds"] = bounds[:, [0, 2, 1, 3]]
    wkb = shapely.to_wkb(polygons, byte_order=1)
    return (header.tobytes() + body for header, body in zip(headers, wkb.tolist(), strict=True))


def _wkb(blob: bytes) -> bytes:
    """What follows the header."""
    return blob[8 + _BOUNDS_SIZES[blob[3] >> 1 & 0b111] :]


def _add_crs(database: sqlite3.Connection, crs: CRS | None) -> int:
    """Describe the coordinate systems of a file; returns the number of this one."""
    wgs84 = CRS.from_epsg(4326).to_wkt()
    systems: dict[int, tuple[Any, ...]] = {
        -1: ("Undefined Cartesian SRS", "NONE", -1, "undefined"),
        0: ("Undefined geographic SRS", "NONE", 0, "undefined"),
        4326: ("WGS 84", "EPSG", 4326, wgs84),
    }
    wkt = "" if crs is None else crs.to_wkt()
    if crs is None:
        srs_id = _NO_CRS
        systems[srs_id] = ("Undefined SRS", "GDAL", srs_id, 'LOCAL_CS["Undefined SRS"]')
    else:
        # confidence 100: never a code that merely looks alike.
        authority = crs.to_authority(confidence_threshold=100)
        is_epsg = authority is not None and authority[0] == "EPSG"
        srs_id = int(authority[1]) if is_epsg else _CUSTOM_CRS
        name = wkt.split('"')[1] if '"' in wkt else "custom"
        systems[srs_id] = (name, "EPSG" if is_epsg else "NONE", srs_id, wkt if wkt.startswith(_WKT1) else "undefined")
    rows = ((name, srs_id, *others, None) for srs_id, (name, *others) in systems.items())
    database.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, ?)", rows)
    if wkt and not wkt.startswith(_WKT1):
        _add_wkt2(database, srs_id, wkt)
    return srs_id


def _add_wkt2(database: sqlite3.Connection, srs_id: int, wkt: str) -> None:
    """Describe a coordinate system that the older form of WKT cannot express, by the extension `gpkg_crs_wkt`."""
    table, column = "gpkg_spatial_ref_sys", "definition_12_063"
    database.execute(f"ALTER TABLE {table} ADD COLUMN {column} TEXT NOT NULL DEFAULT 'undefined'")
    database.execute(f"UPDATE {table} SET {column} = ? WHERE srs_id = ?", (wkt, srs_id))
    database.execute(
        "INSERT INTO gpkg_extensions VALUES (?, ?, 'gpkg_crs_wkt', ?, 'read-write')",
        (table, column, "http://www.geopackage.org/spec120/#extension_crs_wkt"),
    )


def _triggers(layer: str) -> Iterator[str]:
    """The statements that keep the index of a layer up to date when others change it."""
    names = {"index": _quoted(_index(layer)), "geometry": _quoted(GEOMETRY)}
    names["box"] = _BOX.format(**names)
    names["new"], names["old"] = (_FILLED.format(row=row, **names) for row in ("NEW", "OLD"))
    for kind, (event, condition, action) in _TRIGGERS.items():
        statement = f"AFTER {event} ON {{table}} WHEN {condition} BEGIN {action} END"
        trigger = _quoted(f"{_index(layer)}_{kind}")
        yield f"CREATE TRIGGER {trigger} " + statement.format(table=_quoted(layer), **names)


def _index(layer: str) -> str:
    """Name of a layer's R-tree."""
    return f"rtree_{layer}_{GEOMETRY}"


def _quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A GeoPackage to read; what is none is an error of ours."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            yield database
    except (sqlite3.Error, KeyError) as error:
        raise InvalidInputError(
            f"A GeoPackage of polygons is an SQLite file with a table `gpkg_geometry_columns` and columns of text and "
            f"numbers, but {str(path)!r} is none ({words_of(error)}). Write it with rs2sam."
        ) from error


@contextmanager
def _our_errors() -> Iterator[None]:
    """What goes wrong in SQLite is an error of ours."""
    try:
        yield
    except sqlite3.Error as error:
        # "database or disk is full"; the number of the error is known from Python 3.11 on.
        remedy = "Free space, or choose" if "is full" in str(error) else "Choose"
        raise InvalidInputError(
            f"The polygons could not be written ({words_of(error)}). {remedy} another folder or format."
        ) from error
