from __future__ import annotations

import json
import os

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from PIL import Image
from rasterio.warp import transform as warp_points

from rs2sam.errors import InvalidInputError
from rs2sam.scenes.outputs import OutputOptions, OutputPaths
from rs2sam.scenes.run import SceneRequest, run_scene
from tests.make_rasters import (
    GEOGRAPHIC,
    NORTH_UP,
    ROTATED,
    SCENE,
    SOUTH_UP,
    UTM,
    RedSegmenter,
    apply,
    ground_control_points,
    objects,
    write_tiff,
)

SENTENCES = ["the red roofs", "no roofs"]


def run(path, folder, *, sentences=SENTENCES, segmenter=None, **outputs):
    request = SceneRequest(str(path), tuple(sentences), folder, outputs=OutputOptions(**outputs), model="red")
    return run_scene(request, segmenter or RedSegmenter())


def polygons_of(path):
    """Geometries and columns of the first layer."""
    meta, _, wkb, values = pyogrio.raw.read(path, layer=0)
    return meta, shapely.from_wkb(wkb), dict(zip(meta["fields"], values, strict=True))


# --- mask ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transform", "crs"),
    [(NORTH_UP, UTM), (SOUTH_UP, UTM), (ROTATED, UTM), (GEOGRAPHIC, "EPSG:4326"), (NORTH_UP, None)],
    ids=["projected", "south up", "rotated", "geographic", "no CRS"],
)
def test_mask_and_polygons_lie_where_the_source_lies(tmp_path, transform, crs):
    source = write_tiff(tmp_path / "a.tif", transform=transform, crs=crs)
    run(source, tmp_path / "out")
    with rasterio.open(source) as original, rasterio.open(tmp_path / "out/a_mask.tif") as mask:
        assert mask.transform == original.transform
        assert mask.crs == original.crs
        assert mask.shape == original.shape
        np.testing.assert_array_equal(mask.read(1), objects().astype(np.uint8))
    meta, geometries, _ = polygons_of(tmp_path / "out/a_polygons.gpkg")
    assert meta["crs"] == (None if crs is None else crs)
    corners = [apply(transform, x, y) for x, y in [(20, 10), (50, 10), (50, 30), (20, 30)]]
    hole = [apply(transform, x, y) for x, y in [(30, 18), (36, 18), (36, 22), (30, 22)]]
    assert geometries[0].symmetric_difference(shapely.Polygon(corners, [hole])).area < 1e-6 * geometries[0].area


def test_ground_control_points_are_kept(tmp_path):
    points = ground_control_points(NORTH_UP, 64, 96)
    run(write_tiff(tmp_path / "a.tif", transform=None, gcps=points), tmp_path / "out")
    with rasterio.open(tmp_path / "out/a_mask.tif") as mask:
        kept, crs = mask.gcps
        assert [(p.row, p.col, p.x, p.y) for p in kept] == [(p.row, p.col, p.x, p.y) for p in points]
        assert crs == rasterio.CRS.from_string(UTM)
    meta, geometries, columns = polygons_of(tmp_path / "out/a_polygons.gpkg")
    assert meta["crs"] == UTM
    assert geometries[1].bounds == pytest.approx((*apply(NORTH_UP, 70, 55), *apply(NORTH_UP, 80, 45)), abs=1e-3)
    assert columns["area_m2"][1] == pytest.approx(36, rel=1e-3)


def test_ground_control_points_are_kept_in_a_cloud_optimised_mask(tmp_path):
    points = ground_control_points(NORTH_UP, 64, 96)
    run(write_tiff(tmp_path / "a.tif", transform=None, gcps=points), tmp_path / "out", cog=True)
    with rasterio.open(tmp_path / "out/a_mask.tif") as mask:
        kept, crs = mask.gcps
        assert [(p.row, p.col) for p in kept] == [(p.row, p.col) for p in points]
        assert crs == rasterio.CRS.from_string(UTM)
        np.testing.assert_array_equal(mask.read(1), objects())


def test_mask_has_a_band_per_sentence_and_keeps_nodata(tmp_path):
    valid = np.ones((64, 96), dtype=bool)
    valid[:, :30] = False
    run(write_tiff(tmp_path / "a.tif", mask=valid), tmp_path / "out")
    with rasterio.open(tmp_path / "out/a_mask.tif") as mask:
        assert mask.descriptions == tuple(SENTENCES)
        assert (mask.nodata, mask.dtypes, mask.count) == (255, ("uint8", "uint8"), 2)
        assert mask.compression == rasterio.enums.Compression.deflate
        np.testing.assert_array_equal(mask.read(1), np.where(valid, objects(), 255))
        np.testing.assert_array_equal(mask.read(2), np.where(valid, 0, 255))
        np.testing.assert_array_equal(mask.read_masks(1) > 0, valid)


def test_mask_of_one_sentence_has_a_colour_table(tmp_path):
    run(write_tiff(tmp_path / "a.tif"), tmp_path / "out", sentences=["red"])
    with rasterio.open(tmp_path / "out/a_mask.tif") as mask:
        assert mask.colormap(1)[1] != mask.colormap(1)[0]
        assert set(np.unique(mask.read(1))) == {0, 1}


# --- polygons --------------------------------------------------------------------------------------------------------


def test_polygons_carry_what_is_known_of_them(tmp_path):
    run(write_tiff(tmp_path / "a.tif"), tmp_path / "out")
    _, geometries, columns = polygons_of(tmp_path / "out/a_polygons.gpkg")
    layers = [["1_the_red_roofs", "Polygon"], ["2_no_roofs", "Polygon"], ["layer_styles", None]]
    assert pyogrio.list_layers(tmp_path / "out/a_polygons.gpkg").tolist() == layers
    assert pyogrio.read_info(tmp_path / "out/a_polygons.gpkg", layer="2_no_roofs")["features"] == 0
    assert columns["sentence"].tolist() == ["the red roofs"] * 2
    assert columns["sentence_id"].tolist() == [1, 1]
    assert columns["area_px"].tolist() == [576, 100]
    assert columns["area_m2"] == pytest.approx([576 * 0.36, 36], rel=1e-3)
    assert columns["mean_probability"] == pytest.approx([0.9, 0.9])
    assert columns["model"].tolist() == ["red"] * 2
    assert columns["source"].tolist() == ["a.tif"] * 2
    assert [geometry.area for geometry in geometries] == pytest.approx([576 * 0.36, 36], rel=1e-6)


@pytest.mark.parametrize("transform", [NORTH_UP, SOUTH_UP], ids=["north up", "south up"])
def test_geojson_is_as_rfc_7946_asks(tmp_path, transform):
    run(write_tiff(tmp_path / "a.tif", transform=transform), tmp_path / "out", polygon_format="geojson")
    content = json.loads((tmp_path / "out/a_polygons.geojson").read_text())
    assert "crs" not in content
    assert content["type"] == "FeatureCollection"
    first = shapely.geometry.shape(content["features"][0]["geometry"])
    assert first.exterior.is_ccw
    assert not first.interiors[0].is_ccw
    corners = [apply(transform, x, y) for x, y in [(20, 10), (50, 10), (50, 30), (20, 30)]]
    lon, lat = warp_points(UTM, "EPSG:4326", *zip(*corners, strict=True))
    assert first.bounds == pytest.approx((min(lon), min(lat), max(lon), max(lat)), abs=1e-7)
    assert content["features"][0]["properties"]["sentence"] == "the red roofs"


def test_without_a_crs_polygons_are_in_pixels_and_areas_unknown(tmp_path):
    Image.fromarray(SCENE).save(tmp_path / "a.png")
    for polygon_format in ("gpkg", "geojson"):
        run(tmp_path / "a.png", tmp_path / polygon_format, polygon_format=polygon_format)
        _, geometries, columns = polygons_of(tmp_path / polygon_format / f"a_polygons.{polygon_format}")
        assert geometries[1].bounds == (70, 45, 80, 55)
        assert all(area is None or np.isnan(area) for area in columns["area_m2"])
    assert (
        json.loads((tmp_path / "geojson/a_polygons.geojson").read_text())["features"][0]["properties"]["area_m2"]
        is None
    )


@pytest.mark.parametrize("polygon_format", ["gpkg", "geojson"])
def test_an_empty_result_is_a_valid_result(tmp_path, polygon_format):
    report = run(write_tiff(tmp_path / "a.tif"), tmp_path / "out", sentences=["no"], polygon_format=polygon_format)
    assert report["sentences"][0]["found"] is False
    assert report["sentences"][0]["area_m2"] == 0
    path = tmp_path / f"out/a_polygons.{polygon_format}"
    meta, geometries, _ = polygons_of(path)
    assert len(geometries) == 0
    if polygon_format == "gpkg":
        assert list(meta["fields"]) == [
            "sentence",
            "sentence_id",
            "area_m2",
            "area_px",
            "mean_probability",
            "confidence",
            "model",
            "source",
        ]
        assert [str(kind) for kind in meta["dtypes"]] == [
            "object", "int32", "float64", "int64", "float64", "float64", "object", "object",
        ]  # fmt: skip
        assert meta["crs"] == UTM
    with rasterio.open(tmp_path / "out/a_mask.tif") as mask:
        assert mask.read(1).max() == 0


# --- result.json and pictures ----------------------------------------------------------------------------------------


def test_result_says_everything_in_numbers(tmp_path):
    report = run(write_tiff(tmp_path / "a.tif", nodata=3), tmp_path / "out")
    assert json.loads((tmp_path / "out/a_result.json").read_text(encoding="utf-8")) == report
    source = report["source"]
    assert (source["width"], source["height"], source["crs"]) == (96, 64, UTM)
    assert source["transform"] == list(NORTH_UP[:6])
    assert (source["bands"], source["num_bands"], source["dtype"], source["nodata"]) == ([1, 2, 3], 3, "uint8", 3)
    assert source["stretch"] == {"kind": "none", "limits": [[0, 255]] * 3}
    found, absent = report["sentences"]
    assert (found["pixels"], found["polygons"], found["mean_probability"]) == (676, 2, 0.9)
    assert (absent["pixels"], absent["polygons"], absent["mean_probability"]) == (0, 0, None)
    assert sorted(os.listdir(tmp_path / "out")) == ["a_mask.tif", "a_polygons.gpkg", "a_preview.png", "a_result.json"]


def test_result_is_valid_json_where_nodata_is_not_a_number(tmp_path):
    report = run(write_tiff(tmp_path / "a.tif", SCENE.astype(np.float32), nodata=float("nan")), tmp_path / "out")
    assert report["source"]["nodata"] == "nan"
    assert "NaN" not in (tmp_path / "out/a_result.json").read_text()


@pytest.mark.parametrize(
    ("sentences", "names"), [(["red"], ["a_mask.png"]), (SENTENCES, ["a_mask_1.png", "a_mask_2.png"])]
)
def test_a_photo_gets_mask_pictures(tmp_path, sentences, names):
    Image.fromarray(SCENE).save(tmp_path / "a.png")
    report = run(tmp_path / "a.png", tmp_path / "out", sentences=sentences)
    assert report["outputs"]["mask_png"] == names
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / names[0])), objects() * np.uint8(255))


# --- writing ---------------------------------------------------------------------------------------------------------


def test_results_are_replaced_only_when_asked(tmp_path):
    source = write_tiff(tmp_path / "a.tif")
    run(source, tmp_path / "out")
    with pytest.raises(InvalidInputError, match="--overwrite"):
        run(source, tmp_path / "out")
    run(source, tmp_path / "out", overwrite=True)


def test_replacing_leaves_nothing_of_the_earlier_run(tmp_path):
    Image.fromarray(SCENE).save(tmp_path / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a_notes.txt").touch()
    run(tmp_path / "a.png", tmp_path / "out")
    run(tmp_path / "a.png", tmp_path / "out", sentences=["red"], polygon_format="geojson", overwrite=True)
    assert sorted(os.listdir(tmp_path / "out")) == [
        "a_mask.png", "a_mask.tif", "a_notes.txt", "a_polygons.geojson", "a_preview.png", "a_result.json",
    ]  # fmt: skip


def test_other_images_share_the_folder(tmp_path):
    run(write_tiff(tmp_path / "a.tif"), tmp_path / "out")
    run(write_tiff(tmp_path / "b.tif"), tmp_path / "out")
    assert len(os.listdir(tmp_path / "out")) == 8


def test_a_run_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rs2sam.scenes.writing.draw_preview", fail)
    with pytest.raises(InvalidInputError, match="No space left"):
        run(write_tiff(tmp_path / "a.tif"), tmp_path / "out")
    assert os.listdir(tmp_path) == ["a.tif"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match="must be writable"):
        OutputPaths(tmp_path / "file" / "out", "a").prepare(overwrite=False)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InvalidInputError, match="must be writable"):
        OutputPaths(tmp_path / "link", "a").prepare(overwrite=False)
