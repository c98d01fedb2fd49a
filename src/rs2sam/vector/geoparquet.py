"""GeoParquet 1.1 files of polygons, in batches, through pyarrow (the extra `parquet`).

Polygons are stored as WKB with counter-clockwise outer rings; a `bbox` column lets readers skip what lies elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from rs2sam.errors import InvalidInputError, require, words_of
from rs2sam.fields import parse_json

Columns = Mapping[str, NDArray[Any]]
Shapes = NDArray[np.object_]

GEOMETRY = "geometry"
"""Name of the geometry column."""

_SIDES = ("xmin", "ymin", "xmax", "ymax")


class GeoParquetWriter:
    """Writes polygons and their attributes to one file.

    A file appears under its name as it grows: callers that need all or nothing write elsewhere and rename.

    Args:
        path: of the file; replaced if it exists.
        crs: of the polygons, or None where it is unknown.
        fields: name and numpy dtype of each attribute; `object` is text. All attributes may be null.

    Raises:
        MissingDependencyError: without pyarrow.
    """

    def __init__(self, path: Path, crs: CRS | None, fields: Mapping[str, Any]) -> None:
        require("pyarrow", "parquet", "Writing GeoParquet")
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = [
            pa.field(name, pa.string() if np.dtype(kind) == np.dtype(object) else pa.from_numpy_dtype(kind))
            for name, kind in fields.items()
        ]
        box = pa.struct([pa.field(side, pa.float64(), nullable=False) for side in _SIDES])
        self._schema = pa.schema([*columns, pa.field("bbox", box), pa.field(GEOMETRY, pa.binary())])
        self._names = list(fields)
        self._crs = crs
        self._bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, polygons: Shapes, columns: Columns) -> None:
        """Append polygons.

        Args:
            polygons: (n,) of shapely, none of them empty.
            columns: (n,) values of every attribute; None and not-a-number become null.
        """
        import pyarrow as pa

        if not len(polygons):
            return
        polygons = shapely.reverse(shapely.normalize(polygons))
        bounds = shapely.bounds(polygons)
        self._bounds[:2] = np.minimum(self._bounds[:2], bounds[:, :2].min(axis=0))
        self._bounds[2:] = np.maximum(self._bounds[2:], bounds[:, 2:].max(axis=0))
        box = self._schema.field("bbox").type
        arrays = [pa.array(columns[name], self._schema.field(name).type, from_pandas=True) for name in self._names]
        arrays.append(pa.StructArray.from_arrays([pa.array(side) for side in bounds.T], fields=list(box)))
        arrays.append(pa.array(shapely.to_wkb(polygons), pa.binary()))
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def abandon(self) -> None:
        """Let go of the unfinished file."""
        self._writer.close()

    def close(self) -> None:
        """Write the footer."""
        column: dict[str, Any] = {
            "encoding": "WKB",
            "geometry_types": ["Polygon"],
            "crs": None if self._crs is None else self._crs.to_dict(projjson=True),
            "orientation": "counterclockwise",
            "edges": "planar",
            "covering": {"bbox": {side: ["bbox", side] for side in _SIDES}},
        }
        if np.isfinite(self._bounds).all():
            column["bbox"] = self._bounds.tolist()
        content = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
        self._writer.add_key_value_metadata({"geo": json.dumps(content)})
        self._writer.close()


def geoparquet_crs(path: Path) -> CRS | None:
    """The CRS of a GeoParquet file, WGS 84 where the file leaves it to the default, None where it is unknown.

    Raises:
        InvalidInputError: when the file is none.
        MissingDependencyError: without pyarrow.
    """
    column = _geometry_column(path)[1]
    if "crs" not in column:
        return CRS.from_string("OGC:CRS84")
    return None if column["crs"] is None else CRS.from_string(json.dumps(column["crs"]))


def read_geoparquet(path: Path, batch_size: int = 8192) -> Iterator[tuple[Shapes, dict[str, NDArray[Any]]]]:
    """Read a GeoParquet file in batches.

    Args:
        path: of the file.
        batch_size: most polygons in a batch.

    Yields:
        (n,) geometries, and (n,) values of each attribute; nulls are None in text and not-a-number in numbers.
        A file without polygons yields one empty batch, which has the columns.

    Raises:
        InvalidInputError: when the file is none.
        MissingDependencyError: without pyarrow.
    """
    name, column = _geometry_column(path)
    import pyarrow as pa
    import pyarrow.parquet as pq

    covering = column.get("covering", {}).get("bbox", {}).get("xmin", [None])[0]
    with pq.ParquetFile(path) as file:
        empty = pa.RecordBatch.from_pylist([], schema=file.schema_arrow)
        for batch in file.iter_batches(batch_size) if file.metadata.num_rows else [empty]:
            fields = [field for field in batch.schema.names if field not in (name, covering)]
            values = {field: batch.column(field).to_numpy(zero_copy_only=False) for field in fields}
            yield shapely.from_wkb(batch.column(name).to_numpy(zero_copy_only=False)), values


def _geometry_column(path: Path) -> tuple[str, dict[str, Any]]:
    """Name and description of the primary geometry column, which must be WKB."""
    require("pyarrow", "parquet", "Reading GeoParquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        geo = parse_json((pq.read_metadata(path).metadata or {})[b"geo"])
        name = geo["primary_column"]
        column = geo["columns"][name]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(
            f"A GeoParquet file has an entry `geo` that describes its geometry, but {str(path)!r} has none "
            f"({words_of(error)}). Write it with rs2sam, GDAL or geopandas."
        ) from error
    if column.get("encoding") != "WKB":
        raise InvalidInputError(
            f"Geometries must be WKB, but those of {str(path)!r} are {column.get('encoding')}. Convert the file first."
        )
    return name, column
