from __future__ import annotations

import numpy as np
import pytest
import shapely
from rasterio.crs import CRS

from rs2sam.batch.merge import merge_polygons
from rs2sam.batch.polygon_reading import ScenePolygons
from rs2sam.batch.scene_input import SceneInput
from rs2sam.errors import InvalidInputError
from rs2sam.vector.geopackage import geopackage_crs, read_geopackage
from rs2sam.vector.geoparquet import read_geoparquet
from rs2sam.vector.polygon_files import polygon_table

FIELDS = {"sentence_id": np.dtype(np.int32)}
UTM = CRS.from_epsg(32610)
SITE = CRS.from_wkt('LOCAL_CS["site grid",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]')


def scene_file(folder, key, layers, crs=UTM):
    """Polygons of one scene; `layers` maps a layer to how many polygons it has."""
    path = folder / f"{key}.gpkg"
    table = polygon_table(path, crs, FIELDS)
    for number, (layer, count) in enumerate(layers.items(), start=1):
        boxes = shapely.box(500000.0 + np.arange(count), 4400000, 500000.5 + np.arange(count), 4400001)
        table.write(boxes, {"sentence_id": np.full(count, number, np.int32)}, layer)
    table.close()
    return ScenePolygons(SceneInput(key, str(folder / f"{key}.tif")), path, has_crs=crs is not None)


def test_layers_of_all_scenes_become_one_table_with_the_scene(tmp_path):
    files = [scene_file(tmp_path, "a", {"1_x": 2, "2_y": 0, "3_z": 1}), scene_file(tmp_path, "b", {"1_x": 1})]
    summary = merge_polygons(files, tmp_path / "all.gpkg")
    assert (summary["polygons"], summary["scenes"], summary["crs"]) == (4, 2, "EPSG:32610")
    ((shapes, columns),) = read_geopackage(tmp_path / "all.gpkg")
    assert columns["scene"].tolist() == ["a", "a", "a", "b"]
    assert columns["sentence_id"].tolist() == [1, 1, 3, 1]
    assert shapes[1].bounds == (500001, 4400000, 500001.5, 4400001)


@pytest.mark.parametrize("suffix", ["gpkg", "parquet"])
def test_scenes_without_a_polygon_make_an_empty_file_with_columns(tmp_path, suffix):
    path = tmp_path / f"all.{suffix}"
    assert merge_polygons([scene_file(tmp_path, "a", {"polygons": 0})], path)["polygons"] == 0
    read = read_geoparquet if suffix == "parquet" else read_geopackage
    ((shapes, columns),) = read(path)
    assert len(shapes) == 0
    assert list(columns) == ["scene", "sentence_id"]


def test_empty_geoparquet_files_are_merged_too(tmp_path):
    path = tmp_path / "a.parquet"
    polygon_table(path, UTM, FIELDS).close()
    summary = merge_polygons([ScenePolygons(SceneInput("a", "a.tif"), path, has_crs=True)], tmp_path / "all.parquet")
    assert summary["polygons"] == 0
    assert (tmp_path / "all.parquet").is_file()


def test_scenes_of_two_systems_meet_in_longitude_and_latitude(tmp_path):
    files = [scene_file(tmp_path, "a", {"p": 1}), scene_file(tmp_path, "b", {"p": 1}, CRS.from_epsg(32611))]
    summary = merge_polygons([*files, scene_file(tmp_path, "c", {"p": 1}, None)], tmp_path / "all.gpkg")
    assert (summary["crs"], summary["without_crs"]) == ("EPSG:4326", ["c"])
    assert geopackage_crs(tmp_path / "all.gpkg") == CRS.from_epsg(4326)
    ((shapes, _),) = read_geopackage(tmp_path / "all.gpkg")
    # The left sides are the central meridians of zones 10 and 11.
    assert shapely.bounds(shapes)[:, 0] == pytest.approx([-123, -117])


def test_a_crs_that_leads_nowhere_on_earth_costs_its_own_scenes_only(tmp_path, caplog):
    files = [scene_file(tmp_path, "a", {"p": 1}), scene_file(tmp_path, "site", {"p": 1}, SITE)]
    summary = merge_polygons(files, tmp_path / "all.gpkg")
    assert (summary["crs"], summary["scenes"], summary["without_crs"]) == ("EPSG:32610", 1, ["site"])
    assert "site grid" in caplog.text
    alone = merge_polygons(files[1:], tmp_path / "all.gpkg")
    assert (alone["crs"], alone["scenes"], alone["without_crs"]) == ("site grid", 1, [])


def test_a_corner_that_has_no_place_on_earth_is_an_error(tmp_path):
    far = far_scene(tmp_path)
    with pytest.raises(InvalidInputError, match=r"EPSG:32611.*--merged none"):
        merge_polygons([scene_file(tmp_path, "a", {"p": 1}), far], tmp_path / "all.gpkg")


def far_scene(folder):
    """A scene whose polygon lies where its CRS cannot follow."""
    path = folder / "far.gpkg"
    table = polygon_table(path, CRS.from_epsg(32611), FIELDS)
    table.write(np.array([shapely.box(1e12, 1e12, 2e12, 2e12)]), {"sentence_id": np.ones(1, np.int32)}, "p")
    table.close()
    return ScenePolygons(SceneInput("far", "far.tif"), path, has_crs=True)


def test_an_earlier_file_goes_where_no_scene_can_be_merged(tmp_path):
    path = tmp_path / "all.gpkg"
    merge_polygons([scene_file(tmp_path, "a", {"p": 1})], path)
    assert merge_polygons([scene_file(tmp_path, "b", {"p": 1}, None)], path) is None
    assert not path.exists()
