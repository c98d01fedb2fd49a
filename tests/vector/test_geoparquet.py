from __future__ import annotations

import json
from contextlib import closing

import numpy as np
import pytest
import shapely
from rasterio.crs import CRS
from shapely.geometry import Polygon, box

from rs2sam.errors import InvalidInputError
from rs2sam.vector.geoparquet import GeoParquetWriter, geoparquet_crs, read_geoparquet

pq = pytest.importorskip("pyarrow.parquet")

FIELDS = {"name": np.dtype(object), "count": np.dtype(np.int32), "size": np.dtype(np.float64)}
UTM = CRS.from_epsg(32610)
SHAPES = np.array([box(10, 20, 30, 40), Polygon(box(0, 0, 9, 9).exterior, [box(1, 1, 2, 2).exterior])], dtype=object)


def write(path, crs=UTM, num_batches=1):
    columns = {"name": np.array(["a", None], object), "count": np.array([1, 2]), "size": np.array([np.nan, 0.5])}
    with closing(GeoParquetWriter(path, crs, FIELDS)) as writer:
        for _ in range(num_batches):
            writer.write(SHAPES, columns)


def geo(path):
    return json.loads(pq.read_metadata(path).metadata[b"geo"])


def test_metadata_is_that_of_geoparquet_1_1(tmp_path):
    write(tmp_path / "a.parquet", num_batches=2)
    content = geo(tmp_path / "a.parquet")
    assert (content["version"], content["primary_column"]) == ("1.1.0", "geometry")
    column = content["columns"]["geometry"]
    assert (column["encoding"], column["geometry_types"], column["edges"]) == ("WKB", ["Polygon"], "planar")
    assert column["bbox"] == [0, 0, 30, 40]
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 32610}
    assert column["covering"]["bbox"]["ymax"] == ["bbox", "ymax"]


def test_outer_rings_are_counter_clockwise_and_each_row_has_its_box(tmp_path):
    write(tmp_path / "a.parquet")
    assert geo(tmp_path / "a.parquet")["columns"]["geometry"]["orientation"] == "counterclockwise"
    table = pq.read_table(tmp_path / "a.parquet").to_pylist()
    for row, shape in zip(table, SHAPES, strict=True):
        polygon = shapely.from_wkb(row["geometry"])
        assert polygon.equals(shape)
        assert polygon.exterior.is_ccw
        assert not any(ring.is_ccw for ring in polygon.interiors)
        assert tuple(row["bbox"].values()) == shape.bounds


def test_values_come_back_in_batches_with_nulls(tmp_path):
    write(tmp_path / "a.parquet", num_batches=3)
    batches = list(read_geoparquet(tmp_path / "a.parquet", batch_size=4))
    assert [len(shapes) for shapes, _ in batches] == [4, 2]
    shapes, columns = batches[0]
    assert list(columns) == list(FIELDS)
    assert columns["name"].tolist() == ["a", None, "a", None]
    assert columns["count"].tolist() == [1, 2, 1, 2]
    assert np.isnan(columns["size"]).tolist() == [True, False, True, False]
    assert shapely.equals(shapes, np.tile(SHAPES, 2)).all()


@pytest.mark.parametrize("crs", [UTM, CRS.from_epsg(4326), CRS.from_string("+proj=laea +lat_0=45 +lon_0=7"), None])
def test_crs_comes_back(tmp_path, crs):
    write(tmp_path / "a.parquet", crs)
    assert geoparquet_crs(tmp_path / "a.parquet") == crs


def test_a_file_without_rows_has_no_box(tmp_path):
    write(tmp_path / "a.parquet", num_batches=0)
    assert "bbox" not in geo(tmp_path / "a.parquet")["columns"]["geometry"]
    ((shapes, columns),) = read_geoparquet(tmp_path / "a.parquet")
    assert len(shapes) == 0
    assert [(name, len(values)) for name, values in columns.items()] == [("name", 0), ("count", 0), ("size", 0)]


def test_other_files_are_refused(tmp_path):
    import pyarrow as pa

    (tmp_path / "a.parquet").write_text("text")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "b.parquet")
    for name in ("a", "b", "missing"):
        with pytest.raises(InvalidInputError, match="entry `geo`"):
            geoparquet_crs(tmp_path / f"{name}.parquet")


def test_another_encoding_is_refused(tmp_path):
    import pyarrow as pa

    content = {"primary_column": "g", "columns": {"g": {"encoding": "polygon"}}}
    table = pa.table({"g": [1]}).replace_schema_metadata({"geo": json.dumps(content)})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InvalidInputError, match="must be WKB"):
        list(read_geoparquet(tmp_path / "a.parquet"))
