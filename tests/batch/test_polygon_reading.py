from __future__ import annotations

import random
from contextlib import suppress

import numpy as np
import pytest
import shapely
from rasterio.crs import CRS

from rs2sam.batch.polygon_reading import ScenePolygons, polygon_crs, read_polygons
from rs2sam.batch.scene_input import SceneInput
from rs2sam.errors import InvalidInputError
from rs2sam.vector.polygon_files import FIELDS, polygon_table

UTM = CRS.from_epsg(32610)
FORMATS = ["gpkg", "geojson", "fgb", "parquet", "shp"]


def attributes(count):
    """Texts with what ends a line of a GeoJSON file; the first area is unknown."""
    texts = np.array([f"“{number}”\n]}}," for number in range(count)], dtype=object)
    columns = {
        name: texts if kind == np.dtype(object) else np.arange(count).astype(kind) for name, kind in FIELDS.items()
    }
    if count:
        columns["area_m2"][0] = np.nan
    return columns


def write(path, count, crs=UTM):
    table = polygon_table(path, crs, FIELDS)
    boxes = shapely.box(500000.0 + np.arange(count), 4400000, 500000.5 + np.arange(count), 4400001)
    table.write(boxes, attributes(count), "polygons")
    table.close()
    return path


@pytest.fixture(params=FORMATS)
def suffix(request):
    needed = {"fgb": "pyogrio", "parquet": "pyarrow"}
    if request.param in needed:
        pytest.importorskip(needed[request.param])
    return request.param


def test_what_was_written_is_read_with_types_and_nulls(tmp_path, suffix):
    # More than one batch.
    count = 8200
    path = write(tmp_path / f"a.{suffix}", count)
    batches = list(read_polygons(path))
    columns = {name: np.concatenate([values[name] for _, values in batches]) for name in FIELDS}
    shapes = np.concatenate([shapes for shapes, _ in batches])
    order = np.argsort(columns["area_px"])  # FlatGeobuf sorts by place
    for name, expected in attributes(count).items():
        found = columns[name][order]
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    if suffix == "geojson":
        assert shapely.bounds(shapes[order[0]]) == pytest.approx([-123, 39.7499, -123, 39.7499], abs=1e-4)
    else:
        assert shapes[order[0]].bounds == (500000, 4400000, 500000.5, 4400001)


def test_a_file_without_polygons_has_its_columns(tmp_path, suffix):
    ((shapes, columns),) = read_polygons(write(tmp_path / f"a.{suffix}", 0))
    assert len(shapes) == 0
    assert {name: values.dtype for name, values in columns.items()} == dict(FIELDS)


def test_the_crs_is_that_of_the_file(tmp_path, suffix):
    scene = SceneInput("a", "a.tif")
    path = write(tmp_path / f"a.{suffix}", 1)
    expected = CRS.from_epsg(4326) if suffix == "geojson" else UTM
    assert polygon_crs(ScenePolygons(scene, path, has_crs=True)) == expected
    nowhere = write(tmp_path / f"b.{suffix}", 1, crs=None)
    assert polygon_crs(ScenePolygons(scene, nowhere, has_crs=False)) is None


def test_what_the_antimeridian_cuts_is_a_polygon_for_each_part(tmp_path):
    path = tmp_path / "a.geojson"
    table = polygon_table(path, CRS.from_epsg(4326), FIELDS)
    table.write(np.array([shapely.box(179, 0, 181, 1), shapely.box(0, 0, 1, 1)]), attributes(2), "polygons")
    table.close()
    ((shapes, columns),) = read_polygons(path)
    assert [shape.geom_type for shape in shapes] == ["Polygon"] * 3
    assert columns["area_px"].tolist() == [0, 0, 1]


@pytest.mark.parametrize("content", ["", "{}", '{"type":"FeatureCollection","features":[\n{"type":', "no JSON"])
def test_a_damaged_file_is_an_error_that_says_how_to_go_on(tmp_path, suffix, content):
    path = tmp_path / f"a.{suffix}"
    path.write_text(content)
    file = ScenePolygons(SceneInput("a", "a.tif"), path, has_crs=True)
    with pytest.raises(InvalidInputError, match=f"a.{suffix}"):
        _ = polygon_crs(file), list(read_polygons(path))


def test_bytes_that_something_else_changed_are_an_error_or_polygons(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", 20)
    content = path.read_bytes()
    file = ScenePolygons(SceneInput("a", "a.tif"), path, has_crs=True)
    chance = random.Random(suffix)
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        path.write_bytes(damaged)
        with suppress(InvalidInputError):
            polygon_crs(file)
            for shapes, columns in read_polygons(path):
                assert {len(values) for values in columns.values()} == {len(shapes)}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"area_px":1', '"area_px":1' + "0" * 30),
        ('"area_px":1', '"area_px":"many"'),
        ('"sentence_id":1', '"sentence_id":null'),
        ('"sentence_id"', '"number"'),
        ('"Polygon"', '"MultiPoint"'),
        ('"properties":{', '"properties":[' * 5000),
    ],
)
def test_features_that_are_none_of_ours_are_an_error(tmp_path, old, new):
    path = write(tmp_path / "a.geojson", 2)
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))
    with pytest.raises(InvalidInputError, match=r"a\.geojson.*Remove it"):
        list(read_polygons(path))
