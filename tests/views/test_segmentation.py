"""What users do with a result: files, tables, pictures; and what they may hand in."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from PIL import Image
from rasterio import Affine

from rs2sam import Segmentation, Segmenter, segment_folder
from rs2sam.datasets.readers.reading import open_dataset
from rs2sam.errors import DataNotFoundError, InvalidInputError, MissingDependencyError
from rs2sam.language.scope import read_sentence
from rs2sam.mirror import MirroringSegmenter
from rs2sam.processing_config import Calibration
from rs2sam.raster.georeference import Georeference
from rs2sam.scenes.run import SceneRequest
from rs2sam.vector.polygon_files import PolygonWriter, RegionLabels
from tests.small_model import COMPACT, small_processor
from tests.test_segmenter import BrightnessBackend, half_bright

TRANSFORM = Affine(2.0, 0.0, 500_000.0, 0.0, -2.0, 5_600_000.0)


@pytest.fixture
def segmenter() -> Segmenter:
    return Segmenter(small_processor(), BrightnessBackend())


@pytest.fixture
def placed(segmenter: Segmenter) -> Segmentation:
    """Two white squares of 10 and 20 px on black, 2 m a pixel."""
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[4:14, 4:14] = rgb[30:50, 30:50] = 255
    return segmenter.segment(rgb, "the roof", georeference=(TRANSFORM, "EPSG:32631"))


# --- results ---------------------------------------------------------------------------------------------------------


def test_an_array_with_a_georeference_gives_placed_polygons_with_areas_and_probabilities(placed: Segmentation) -> None:
    large, small = placed.regions()
    assert placed.crs is not None
    assert placed.crs.to_epsg() == 32631
    assert placed.transform == TRANSFORM
    assert large.num_pixels == placed.mask[20:].sum()
    assert large.area_m2 == pytest.approx(large.num_pixels * 4, rel=2e-3)
    assert large.mean_probability == pytest.approx(placed.probability[20:][placed.mask[20:]].mean(), abs=1e-6)
    assert small.geometry.bounds[3] <= 5_600_000
    assert [region.geometry for region in placed.regions()] == placed.polygons()


@pytest.mark.parametrize("suffix", [".tif", ".TIF", ".tiff"])
def test_a_mask_is_saved_as_a_geotiff_that_lies_where_the_image_lies(
    tmp_path: Path, placed: Segmentation, suffix: str
) -> None:
    path = placed.save(tmp_path / f"mask{suffix}")
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), placed.mask)
        assert (dataset.crs.to_epsg(), dataset.transform, dataset.nodata) == (32631, TRANSFORM, 255)
        assert dataset.descriptions == ("the roof",)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_pixels_without_data_are_nodata_in_the_saved_mask(tmp_path: Path, segmenter: Segmenter) -> None:
    rgba = np.dstack([half_bright(), np.full((48, 80), 255, np.uint8)])
    rgba[:8, :, 3] = 0
    found = segmenter.segment(rgba, "the roof", georeference=(TRANSFORM, None))
    with rasterio.open(found.save(str(tmp_path / "a.tif"))) as dataset:
        values = dataset.read(1)
    assert (values[:8] == 255).all()
    assert set(np.unique(values[8:])) == {0, 1}


def test_a_mask_is_saved_as_a_picture(tmp_path: Path, placed: Segmentation) -> None:
    np.testing.assert_array_equal(np.asarray(Image.open(placed.save(tmp_path / "m.png"))), placed.mask * 255)


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "fgb", "parquet", "shp"])
def test_polygons_are_saved_in_every_format(tmp_path: Path, placed: Segmentation, suffix: str) -> None:
    pytest.importorskip({"fgb": "pyogrio", "shp": "pyogrio", "parquet": "pyarrow"}.get(suffix, "rasterio"))
    path = placed.save(tmp_path / f"p.{suffix}")
    if suffix == "geojson":
        features = json.loads(path.read_text())["features"]
        assert [feature["properties"]["sentence"] for feature in features] == ["the roof"] * 2
        assert all(0 < feature["properties"]["mean_probability"] <= 1 for feature in features)
    elif suffix == "parquet":
        import pyarrow.parquet as pq

        assert pq.read_table(path).num_rows == 2
    else:
        import pyogrio

        info = pyogrio.read_info(path, layer=0)
        assert info["features"] == 2
        assert "32631" in info["crs"]
    assert len(list(tmp_path.iterdir())) == (5 if suffix == "shp" else 1)


@pytest.mark.parametrize("path", ["a.jpg", "a", ".", "a.tab", "", "a\0.tif", 3, None, b"a.tif"])
def test_a_name_that_says_no_format_is_refused(tmp_path: Path, placed: Segmentation, path: Any) -> None:
    with pytest.raises(InvalidInputError, match="`path` must"):
        placed.save(tmp_path / path if path in ("a.jpg", "a", ".", "a.tab") else path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.gpkg"])
def test_a_folder_that_is_not_there_is_said(tmp_path: Path, placed: Segmentation, name: str) -> None:
    with pytest.raises(InvalidInputError, match="gone"):
        placed.save(tmp_path / "gone" / name)


def test_geo_interface_is_a_feature_collection_that_shapely_reads(placed: Segmentation) -> None:
    collection = placed.__geo_interface__
    assert json.loads(json.dumps(collection))["type"] == "FeatureCollection"
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in collection["features"]]
    assert shapes == placed.polygons()
    first = collection["features"][0]["properties"]
    assert first["score"] == pytest.approx(0.75)
    assert set(first) == {"sentence", "area_m2", "area_px", "mean_probability", "confidence", "score"}


def test_confidence_is_what_the_models_calibration_says(placed: Segmentation) -> None:
    assert {one["properties"]["confidence"] for one in placed.__geo_interface__["features"]} == {None}
    said = Calibration((0.5, 1.0), (0.2, 0.6))
    measured = replace(placed, calibration=said)
    expected = [said.share_of(region.mean_probability) for region in placed.regions()]
    features = measured.__geo_interface__["features"]
    assert [one["properties"]["confidence"] for one in features] == pytest.approx(expected)


def test_a_geodataframe_has_a_row_a_region_in_the_images_crs(placed: Segmentation) -> None:
    pytest.importorskip("geopandas")
    table = placed.to_geodataframe()
    assert table.crs.to_epsg() == 32631
    assert list(table.area_px) == [region.num_pixels for region in placed.regions()]


def test_without_geopandas_the_message_has_the_command(monkeypatch: Any, placed: Segmentation) -> None:
    monkeypatch.setitem(__import__("sys").modules, "geopandas", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'rs2sam\[geopandas\]'"):
        placed.to_geodataframe()


def test_a_map_holds_the_image_where_it_lies_and_a_polygon_a_region(placed: Segmentation) -> None:
    pytest.importorskip("folium")
    shown = placed.explore()
    image, polygons, *_ = shown._children.values()
    (south, west), (north, east) = image.bounds
    # 500 km east in UTM is the central meridian of zone 31, 3 degrees east; 64 px of 2 m are 128 m.
    assert west == pytest.approx(3.0, abs=1e-5)
    assert (north - south) * 111_250 == pytest.approx(128, rel=0.02)
    assert [feature["properties"]["area"] for feature in polygons.data["features"]] == [
        f"{region.area_m2:,.0f} m²" for region in placed.regions()
    ]
    for feature in polygons.data["features"]:
        left, bottom, right, top = shapely.geometry.shape(feature["geometry"]).bounds
        assert west <= left < right <= east
        assert south <= bottom < top <= north
    html = shown.get_root().render()
    assert "the roof" in html
    assert "tileLayer" not in html  # nothing is asked of a tile server that nobody named


def test_a_map_of_an_image_without_a_place_counts_pixels(segmenter: Segmenter) -> None:
    pytest.importorskip("folium")
    rgb = np.zeros((40, 60, 3), np.uint8)
    rgb[4:14, 4:24] = 255
    result = segmenter.segment(rgb, "the roof")
    image, polygons, *_ = result.explore()._children.values()
    assert image.bounds == [[-40.0, 0.0], [0.0, 60.0]]
    outline = shapely.geometry.shape(polygons.data["features"][0]["geometry"])
    (found,) = result.polygons()
    assert outline.bounds == (found.bounds[0], -found.bounds[3], found.bounds[2], -found.bounds[1])
    with pytest.raises(InvalidInputError, match="tiles='OpenStreetMap'"):
        result.explore("OpenStreetMap")


def test_without_folium_the_message_has_the_command(monkeypatch: Any, placed: Segmentation) -> None:
    monkeypatch.setitem(__import__("sys").modules, "folium", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'rs2sam\[explore\]'"):
        placed.explore()


def test_notebooks_show_the_image_with_the_mask(segmenter: Segmenter, placed: Segmentation) -> None:
    for result in (placed, segmenter.segment_views([(half_bright(), "<b>x</b> & y")])[0]):
        picture = Image.open(BytesIO(result._repr_png_()))
        assert picture.size == (result.mask.shape[1], result.mask.shape[0])
        html = result._repr_html_()
        assert "data:image/png;base64," in html
        assert "<b>x</b>" not in html
    assert "2 regions" in placed._repr_html_()
    large = segmenter.segment(np.zeros((90, 2000, 3), np.uint8), "the roof", tile=2000)
    assert max(Image.open(BytesIO(large._repr_png_())).size) == 512
    assert "nothing found" in large._repr_html_()


# --- what is handed in -----------------------------------------------------------------------------------------------


def test_the_threshold_decides_in_one_view_and_in_tiles(segmenter: Segmenter) -> None:
    ramp = np.tile(np.linspace(0, 255, 300).astype(np.uint8), (100, 1))
    for image in (ramp[:, ::3], ramp):
        strict, plain = (segmenter.segment(image, "the roof", threshold=value) for value in (0.9, 0.5))
        np.testing.assert_array_equal(strict.mask, strict.probability > 0.9)
        assert 0 < strict.mask.sum() < plain.mask.sum()
    with pytest.raises(InvalidInputError, match="threshold"):
        segmenter.segment(ramp, "the roof", threshold=2)


def test_bands_and_stretch_of_an_array_are_chosen(segmenter: Segmenter) -> None:
    array = np.zeros((40, 40, 6), np.uint16)
    array[:, :20, 4] = 3000
    found = segmenter.segment(array, "the roof", bands=[5], stretch="fixed:0,3000")
    assert found.mask[:, :15].all()
    assert not found.mask[:, 25:].any()
    for bands in ([7], [0], [1, 2], "123", [1.5], 3):
        with pytest.raises(InvalidInputError, match=r"[Bb]ands"):
            segmenter.segment(array, "the roof", bands=bands)  # type: ignore[arg-type]
    for stretch in ("x", 3, ["none"]):
        with pytest.raises(InvalidInputError, match="stretch"):
            segmenter.segment(array[..., :3], "the roof", stretch=stretch)  # type: ignore[arg-type]


def test_the_ground_resolution_decides_the_tiles_and_needs_a_place(segmenter: Segmenter) -> None:
    image = np.tile(half_bright(64, 64), (2, 2, 1))
    place = Georeference(TRANSFORM, rasterio.CRS.from_epsg(32631))
    found = segmenter.segment(image, "the roof", gsd=1.0, georeference=place)
    assert found.mask.shape == (128, 128)
    backend: Any = segmenter._backend
    assert sum(backend.batches) > 4  # tiles of 32 px, not one view
    with pytest.raises(InvalidInputError, match="needs a scene whose CRS"):
        segmenter.segment(image, "the roof", gsd=1.0)


def test_the_content_of_a_file_is_an_image_with_its_place(tmp_path: Path, segmenter: Segmenter) -> None:
    from tests.make_rasters import write_tiff

    path = write_tiff(tmp_path / "a.tif", half_bright())
    by_path, by_bytes = (segmenter.segment(image, "the roof") for image in (path, path.read_bytes()))
    np.testing.assert_array_equal(by_path.mask, by_bytes.mask)
    assert by_path.georeference == by_bytes.georeference
    written = BytesIO()
    Image.fromarray(half_bright()).save(written, "PNG")
    assert segmenter.segment(written.getvalue(), "the roof").mask[:, :30].all()
    for broken in (b"", b"no image", path.read_bytes()[:50]):
        with pytest.raises(InvalidInputError):
            segmenter.segment(broken, "the roof")
    with pytest.raises(InvalidInputError, match="says it itself"):
        segmenter.segment(path, "the roof", georeference=(TRANSFORM, "EPSG:32631"))


@pytest.mark.parametrize(
    "place",
    [
        3,
        "EPSG:32631",
        (TRANSFORM,),
        (TRANSFORM, "EPSG:0"),
        (TRANSFORM, "x"),
        (Affine(0, 0, 0, 0, 0, 0), None),
        (None, 4),
    ],
)
def test_a_georeference_that_is_none_is_refused(segmenter: Segmenter, place: Any) -> None:
    with pytest.raises(InvalidInputError, match="georeference"):
        segmenter.segment(half_bright(), "the roof", georeference=place)


def test_a_dataset_and_a_result_say_where_an_array_lies(
    tmp_path: Path, segmenter: Segmenter, placed: Segmentation
) -> None:
    with rasterio.open(placed.save(tmp_path / "m.tif")) as dataset:
        found = segmenter.segment(np.zeros((64, 64, 3), np.uint8), "the roof", georeference=dataset)
    assert found.georeference == placed.georeference
    assert segmenter.segment(half_bright(), "the roof", georeference=placed).crs == placed.crs


# --- types at the doors ----------------------------------------------------------------------------------------------

DOORS: dict[str, Any] = {
    "segment, list": (lambda s: s.segment(half_bright(), ["ships"]), "sentence` must be text"),
    "segment, bytes": (lambda s: s.segment(half_bright(), b"ships"), "sentence` must be text"),
    "segment, None": (lambda s: s.segment(half_bright(), None), "sentence` must be text"),
    "segment, image": (lambda s: s.segment(3, "ships"), "`image` must be"),
    "segment, bytearray": (lambda s: s.segment(bytearray(b"x"), "ships"), "`image` must be"),
    "segment, tile": (lambda s: s.segment(half_bright(), "ships", tile="64"), "`tile` must be int"),
    "segment, tile float": (lambda s: s.segment(half_bright(), "ships", tile=64.5), "`tile` must be int"),
    "segment, scope": (lambda s: s.segment(half_bright(), "ships", scope="all"), "`scope` is one of"),
    "segment, gsd": (lambda s: s.segment(half_bright(), "ships", gsd=[1]), "gsd_m` must be float"),
    "segment, threshold": (lambda s: s.segment(half_bright(), "ships", threshold=None), "threshold` must be float"),
    "many, one path": (lambda s: s.segment_many("a.tif"), "`pairs` must be a list"),
    "many, one image": (lambda s: s.segment_many(half_bright()), "`pairs` must be a list"),
    "many, no pairs": (lambda s: s.segment_many(["a.tif"]), "A pair must be"),
    "many, None": (lambda s: s.segment_many(None), "`pairs` must be a list"),
    "many, batch": (lambda s: s.segment_many([], batch_size="4"), "batch_size` must be int"),
    "load, number": (lambda s: Segmenter.load(3), "`name` must be the path"),
    "load, None": (lambda s: Segmenter.load(None), "`name` must be the path"),
    "request, one sentence": (lambda s: SceneRequest("a.tif", "ships", Path("o")), "must be a list of texts"),
    "request, bytes": (lambda s: SceneRequest("a.tif", (b"ships",), Path("o")), r"sentences\[0\]` must be text"),
    "request, image": (lambda s: SceneRequest(3, ("ships",), Path("o")), "`image` must be the path"),
    "request, folder": (lambda s: SceneRequest("a.tif", ("ships",), None), "`folder` must be the path"),
    "folder, one sentence": (lambda s: segment_folder("x", "ships", "o"), "must be a list of texts"),
    "folder, output": (lambda s: segment_folder("x", ["ships"], 3), "`output` must be the path"),
    "reader": (lambda s: read_sentence(["ships"]), "sentence` must be text"),
    "data": (lambda s: open_dataset(3), "`root` must be the path"),
}


@pytest.mark.parametrize(("call", "message"), DOORS.values(), ids=DOORS)
def test_other_types_are_one_clear_line(segmenter: Segmenter, call: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        call(segmenter)
    assert "\n" not in str(caught.value)


def test_paths_and_texts_may_be_mixed(tmp_path: Path) -> None:
    request = SceneRequest(tmp_path / "a.tif", ["ships", "the river"], str(tmp_path))  # type: ignore[arg-type]
    assert (request.image, request.sentences) == (str(tmp_path / "a.tif"), ("ships", "the river"))
    assert request.paths().folder == tmp_path


def test_numbers_of_numpy_are_numbers(segmenter: Segmenter) -> None:
    found = segmenter.segment(half_bright(), "a roof", tile=np.int64(64), threshold=np.float32(0.5))
    assert found.mask.any()


def test_a_writer_outside_with_says_so(tmp_path: Path) -> None:
    writer = PolygonWriter(tmp_path / "a.gpkg", "gpkg", Georeference(Affine.identity()), (4, 4))
    with pytest.raises(InvalidInputError, match="`with` block"):
        writer.write([], RegionLabels("a", 1, "m", "s"))


# --- other processes -------------------------------------------------------------------------------------------------


def test_a_loaded_segmenter_pickles_as_what_it_was_loaded_from() -> None:
    segmenter = Segmenter.load(COMPACT, threads=1)
    data = pickle.dumps(segmenter)
    assert len(data) < 1000  # no weights
    again = pickle.loads(data)
    image = half_bright(40, 40)
    np.testing.assert_array_equal(again.segment(image, "a roof").mask, segmenter.segment(image, "a roof").mask)
    assert isinstance(pickle.loads(pickle.dumps(MirroringSegmenter(segmenter))), MirroringSegmenter)


def test_a_segmenter_of_ones_own_pickles_with_its_parts(segmenter: Segmenter) -> None:
    again = pickle.loads(pickle.dumps(segmenter))
    assert again.segment(half_bright(), "a roof").mask.any()
    assert copy.copy(segmenter).image_size == segmenter.image_size


def test_a_folder_of_images_is_segmented_and_gone_on_with(tmp_path: Path, segmenter: Segmenter) -> None:
    from tests.make_rasters import write_tiff

    for name in ("a", "b"):
        write_tiff(tmp_path / f"{name}.tif", half_bright())
    (tmp_path / "c.tif").write_bytes(b"no image")
    summary = segment_folder(tmp_path, ["the roof"], tmp_path / "out", segmenter=segmenter)
    assert (summary["done"], [one["scene"] for one in summary["failed"]]) == (2, ["c.tif"])
    assert (tmp_path / "out" / "a_mask.tif").is_file()
    backend: Any = segmenter._backend
    asked = sum(backend.batches)
    assert segment_folder(tmp_path, ["the roof"], str(tmp_path / "out"), segmenter=segmenter)["done"] == 2
    assert sum(backend.batches) == asked
    with pytest.raises(DataNotFoundError):
        segment_folder(tmp_path / "gone", ["the roof"], tmp_path / "out", segmenter=segmenter)
