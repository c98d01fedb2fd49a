from __future__ import annotations

import numpy as np
import pytest
import shapely
from rasterio.crs import CRS

from rs2sam.batch.inputs import SceneInput
from rs2sam.batch.merge import ScenePolygons, merge_polygons
from rs2sam.raster.geopackage import geopackage_crs, read_geopackage
from rs2sam.raster.geoparquet import read_geoparquet
from rs2sam.raster.polygon_files import polygon_table

FIELDS = {"sentence_id": np.dtype(np.int32)}
UTM = CRS.from_epsg(32610)


def scene_file(folder, key, layers, crs=UTM):
    """Polygons of one scene; `layers` maps a layer to how many polygons it has."""
    path = folder / f"{key}.gpkg"
    table = polygon_table(path, crs, FIELDS)
    for number, (layer, count) in enumerate(layers.items(), start=1):
        boxes = shapely.box(500000.0 + np.arange(count), 4400000, 500000.5 + np.arange(count), 4400001)
        table.write(boxes, {"sentence_id": np.full(count, number, np.int32)}, layer)
    table.close()
    return ScenePolygons(SceneInput(key, str(folder / f"{key}.tif")), path)


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
    summary = merge_polygons([ScenePolygons(SceneInput("a", "a.tif"), path)], tmp_path / "all.parquet")
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
