from __future__ import annotations

import sqlite3
import struct
from contextlib import closing

import numpy as np
import pyogrio
import pyogrio.raw
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from shapely.geometry import Polygon, box

from rs2sam.errors import InvalidInputError
from rs2sam.vector.geopackage import GeoPackageWriter, geopackage_crs, read_geopackage

FIELDS = {"name": np.dtype(object), "count": np.dtype(np.int32), "pixels": np.dtype(np.int64), "size": np.dtype(float)}
UTM = CRS.from_epsg(32610)
SHAPES = np.array([box(10, 20, 30, 40), Polygon(box(0, 0, 9, 9).exterior, [box(1, 1, 2, 2).exterior])], dtype=object)
COLUMNS = {
    "name": np.array(["a ü 飞", None], dtype=object),
    "count": np.array([1, -2], dtype=np.int32),
    "pixels": np.array([2**40, 2], dtype=np.int64),
    "size": np.array([np.nan, 0.1]),
}


def write(path, crs=UTM, layers=("polygons",)):
    with closing(GeoPackageWriter(path, crs, FIELDS)) as writer:
        for layer in layers:
            writer.write(SHAPES, COLUMNS, layer)
    return path


def query(path, statement):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(statement).fetchall()


def read_with_gdal(path, layer=None, **options):
    meta, _, wkb, values = pyogrio.raw.read(path, layer=layer, **options)
    return meta, shapely.from_wkb(wkb), dict(zip(meta["fields"], values, strict=True))


def test_gdal_reads_what_it_would_have_written_itself(tmp_path):
    pyogrio.raw.write(
        tmp_path / "theirs.gpkg",
        geometry=shapely.to_wkb(SHAPES),
        field_data=list(COLUMNS.values()),
        fields=np.array(list(COLUMNS), dtype=object),
        field_mask=[None, None, None, np.isnan(COLUMNS["size"])],
        geometry_type="Polygon",
        crs=UTM.to_wkt(),
        driver="GPKG",
        layer="polygons",
    )
    ours, theirs = (pyogrio.read_info(path) for path in (write(tmp_path / "ours.gpkg"), tmp_path / "theirs.gpkg"))
    for name in ("crs", "geometry_type", "features", "fid_column", "geometry_name", "layer_name", "ogr_types"):
        assert ours[name] == theirs[name], name
    assert ours["fields"].tolist() == theirs["fields"].tolist() == list(FIELDS)
    assert ours["total_bounds"] == theirs["total_bounds"] == (0, 0, 30, 40)
    for path in (tmp_path / "ours.gpkg", tmp_path / "theirs.gpkg"):
        _, shapes, columns = read_with_gdal(path)
        assert shapely.equals_exact(shapes, SHAPES).all()
        assert columns["name"].tolist() == ["a ü 飞", None]
        assert [columns[name].tolist() for name in ("count", "pixels")] == [[1, -2], [2**40, 2]]
        np.testing.assert_array_equal(columns["size"], [np.nan, 0.1])


def test_the_file_is_what_the_standard_asks(tmp_path):
    path = write(tmp_path / "a.gpkg")
    assert path.read_bytes()[68:72] == b"GPKG"
    assert query(path, "PRAGMA user_version") == [(10400,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []
    systems = query(path, "SELECT srs_id, organization, organization_coordsys_id FROM gpkg_spatial_ref_sys ORDER BY 1")
    assert systems == [(-1, "NONE", -1), (0, "NONE", 0), (4326, "EPSG", 4326), (32610, "EPSG", 32610)]
    assert query(path, "SELECT * FROM gpkg_contents") == [
        ("polygons", "features", "polygons", "", "1970-01-01T00:00:00.000Z", 0, 0, 30, 40, 32610)
    ]
    assert query(path, "SELECT * FROM gpkg_geometry_columns") == [("polygons", "geom", "POLYGON", 32610, 0, 0)]
    assert query(path, "SELECT table_name, column_name, extension_name, scope FROM gpkg_extensions") == [
        ("polygons", "geom", "gpkg_rtree_index", "write-only")
    ]


def test_a_geometry_is_a_header_with_bounds_and_wkb(tmp_path):
    ((blob,), _) = query(write(tmp_path / "a.gpkg"), "SELECT geom FROM polygons ORDER BY fid")
    # Little-endian (1) with bounds in two dimensions (1 << 1); bounds are min and max of x, then of y.
    assert struct.unpack("<2sBBi4d", blob[:40]) == (b"GP", 0, 3, 32610, 10, 30, 20, 40)
    assert shapely.from_wkb(blob[40:]).equals(SHAPES[0])


@pytest.mark.parametrize(
    "crs",
    [
        UTM,
        CRS.from_epsg(4326),
        CRS.from_string("ESRI:102003"),
        CRS.from_string("+proj=laea +lat_0=45 +lon_0=7 +datum=WGS84"),
        CRS.from_epsg(4979),
        CRS.from_wkt('LOCAL_CS["a building site",UNIT["metre",1]]'),
        None,
    ],
    ids=["projected", "geographic", "another authority", "custom", "three dimensions", "local", "none"],
)
def test_crs_comes_back(tmp_path, crs):
    path = write(tmp_path / "a.gpkg", crs)
    assert geopackage_crs(path) == crs
    theirs = pyogrio.read_info(path)["crs"]
    assert (None if theirs is None else CRS.from_user_input(theirs)) == crs


def test_the_index_finds_what_lies_in_a_window(tmp_path):
    path = write(tmp_path / "a.gpkg")
    assert query(path, "SELECT rtreecheck('rtree_polygons_geom')") == [("ok",)]
    assert query(path, "SELECT * FROM rtree_polygons_geom") == [(1, 10, 30, 20, 40), (2, 0, 9, 0, 9)]
    _, shapes, _ = read_with_gdal(path, bbox=(25, 25, 26, 26))
    assert shapely.equals(shapes, SHAPES[:1]).all()


def test_the_index_follows_changes_of_others(tmp_path):
    path = write(tmp_path / "a.gpkg")
    with closing(sqlite3.connect(path)) as database:
        # What programs that know geometry bring along.
        database.create_function("ST_IsEmpty", 1, lambda blob: int(blob[3] >> 4 & 1))
        for place, name in enumerate(("MinX", "MaxX", "MinY", "MaxY")):
            database.create_function(f"ST_{name}", 1, lambda blob, place=place: struct.unpack("<4d", blob[8:40])[place])

        def rows():
            return database.execute("SELECT * FROM rtree_polygons_geom ORDER BY id").fetchall()

        database.execute("UPDATE polygons SET fid = 7 WHERE fid = 2")
        assert rows() == [(1, 10, 30, 20, 40), (7, 0, 9, 0, 9)]
        database.execute("INSERT INTO polygons (geom) SELECT geom FROM polygons WHERE fid = 1")
        assert rows()[2:] == [(8, 10, 30, 20, 40)]
        database.execute("UPDATE polygons SET geom = (SELECT geom FROM polygons WHERE fid = 7) WHERE fid = 8")
        assert rows()[2:] == [(8, 0, 9, 0, 9)]
        database.execute("UPDATE polygons SET geom = NULL WHERE fid = 8")
        assert len(rows()) == 2
        database.execute("UPDATE polygons SET geom = (SELECT geom FROM polygons WHERE fid = 7) WHERE fid = 8")
        assert rows()[2:] == [(8, 0, 9, 0, 9)]
        database.execute("DELETE FROM polygons WHERE fid != 1")
        assert rows() == [(1, 10, 30, 20, 40)]


def test_layers_stand_beside_each_other(tmp_path):
    path = write(tmp_path / "a.gpkg", layers=["b", 'a "quoted" name; DROP TABLE b', "b"])
    assert pyogrio.list_layers(path)[:, 0].tolist() == ["b", 'a "quoted" name; DROP TABLE b']
    assert [len(shapes) for shapes, _ in read_geopackage(path)] == [4, 2]


def test_a_layer_without_polygons_has_columns_and_no_bounds(tmp_path):
    path = tmp_path / "a.gpkg"
    with closing(GeoPackageWriter(path, UTM, FIELDS)) as writer:
        writer.write(SHAPES[:0], {}, "polygons")
    assert query(path, "SELECT min_x, max_y FROM gpkg_contents") == [(None, None)]
    ((shapes, columns),) = read_geopackage(path)
    assert len(shapes) == 0
    assert {name: values.dtype for name, values in columns.items()} == FIELDS
    assert pyogrio.read_info(path)["features"] == 0


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_values_come_back_in_batches(tmp_path_factory, data):
    num_rows = data.draw(st.integers(1, 9))
    corners = data.draw(st.lists(st.integers(-(2**30), 2**30), min_size=num_rows, max_size=num_rows))
    shapes = shapely.box(corners, 0.1, np.array(corners) + 0.25, 3)
    text = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    columns = {
        "name": np.array(data.draw(st.lists(text, min_size=num_rows, max_size=num_rows)), dtype=object),
        "count": np.arange(num_rows, dtype=np.int32),
        "pixels": np.array(corners, dtype=np.int64) * 2**32,
        "size": np.array(data.draw(st.lists(st.floats(), min_size=num_rows, max_size=num_rows))),
    }
    path = tmp_path_factory.mktemp("a") / "a.gpkg"
    with closing(GeoPackageWriter(path, None, FIELDS)) as writer:
        writer.write(shapes[:4], {name: values[:4] for name, values in columns.items()}, "polygons")
        writer.write(shapes[4:], {name: values[4:] for name, values in columns.items()}, "polygons")
    batches = list(read_geopackage(path, batch_size=2))
    assert [len(one) for one, _ in batches] == [2] * (num_rows // 2) + [1] * (num_rows % 2)
    assert shapely.equals_exact(np.concatenate([one for one, _ in batches]), shapes).all()
    for name, values in columns.items():
        np.testing.assert_array_equal(np.concatenate([one[name] for _, one in batches]), values)


def test_files_of_gdal_can_be_read(tmp_path):
    pyogrio.raw.write(
        tmp_path / "a.gpkg",
        geometry=shapely.to_wkb(SHAPES),
        field_data=[COLUMNS["pixels"]],
        fields=np.array(["pixels"], dtype=object),
        geometry_type="Polygon",
        crs="EPSG:4326",
        driver="GPKG",
    )
    ((shapes, columns),) = read_geopackage(tmp_path / "a.gpkg")
    assert shapely.equals(shapes, SHAPES).all()
    assert columns["pixels"].tolist() == [2**40, 2]
    assert geopackage_crs(tmp_path / "a.gpkg") == CRS.from_epsg(4326)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.gpkg").write_text("text")
    with closing(sqlite3.connect(tmp_path / "b.gpkg")) as database:
        database.execute("CREATE TABLE a (b)")
    for name in ("a", "b", "missing"):
        with pytest.raises(InvalidInputError, match="gpkg_geometry_columns"):
            geopackage_crs(tmp_path / f"{name}.gpkg")
    GeoPackageWriter(tmp_path / "c.gpkg", UTM, FIELDS).close()
    with pytest.raises(InvalidInputError, match="has none"):
        geopackage_crs(tmp_path / "c.gpkg")


def test_a_full_disk_is_an_error_of_ours(tmp_path):
    writer = GeoPackageWriter(tmp_path / "a.gpkg", UTM, FIELDS)
    writer._database.execute("PRAGMA max_page_count = 30")

    def fill():
        for _ in range(1000):
            writer.write(SHAPES, COLUMNS, "polygons")

    with pytest.raises(InvalidInputError, match=r"full.*Free space"):
        fill()
    writer.abandon()


def test_a_layer_may_have_any_name(tmp_path):
    name = 'a;\nDROP TABLE "b" {table}'
    path = write(tmp_path / "a.gpkg", layers=[name])
    assert pyogrio.list_layers(path)[:, 0].tolist() == [name]
    assert [len(shapes) for shapes, _ in read_geopackage(path)] == [2]


def test_other_errors_of_sqlite_do_not_speak_of_space(tmp_path):
    writer = GeoPackageWriter(tmp_path / "a.gpkg", UTM, FIELDS)
    with pytest.raises(InvalidInputError, match="already exists") as caught:
        writer.write(SHAPES, COLUMNS, "gpkg_contents")
    writer.abandon()
    assert "space" not in str(caught.value)
