from __future__ import annotations

import itertools
import json
import os
import sys
from dataclasses import replace

import numpy as np
import pyogrio
import pytest
import shapely
from rasterio import Affine
from rasterio.crs import CRS
from shapely.geometry import Polygon, box

from rs2sam.errors import InvalidInputError, MissingDependencyError
from rs2sam.processing_config import Calibration
from rs2sam.raster.georeference import Georeference
from rs2sam.vector import copied_formats, polygon_files
from rs2sam.vector.copied_formats import SHAPEFILE_NAMES, SIDECARS
from rs2sam.vector.geoparquet import geoparquet_crs, read_geoparquet
from rs2sam.vector.polygon_files import (
    FIELDS,
    PolygonShape,
    PolygonWriter,
    RegionLabels,
    layer_name,
    layers_of,
    reshape,
)
from rs2sam.vector.regions import PixelRegion
from tests.vector.test_regions import UTM, as_mask, collect

FORMATS = ["gpkg", "geojson", "fgb", "parquet", "shp"]
MASK = as_mask("####..", "#..#.#", "####..", "......", "##....")
PIXELS = Georeference(Affine.identity())
LABELS = RegionLabels("the red roofs", 1, "red", "a.tif")


def files_of(path, *, with_crs=True):
    """Names of all files of polygons, sorted."""
    suffixes = [suffix for suffix in SIDECARS if suffix != ".prj" or with_crs] if path.suffix == ".shp" else []
    return sorted([path.name, *(path.with_suffix(suffix).name for suffix in suffixes)])


def write(path, *, georeference=UTM, mask=MASK, labels=(LABELS,), shape=None):
    regions = collect(mask, georeference=georeference)
    with PolygonWriter(path, path.suffix[1:], georeference, mask.shape, shape) as writer:
        counts = [writer.write(iter(regions), label) for label in labels]
    assert counts == [len(regions)] * len(labels)
    return regions


def read(path, layer=None):
    """Geometries and columns, by sentence and size: FlatGeobuf sorts by place."""
    if path.suffix == ".parquet":
        batches = list(read_geoparquet(path))
        shapes = np.concatenate([batch for batch, _ in batches])
        columns = {name: np.concatenate([values[name] for _, values in batches]) for name in FIELDS}
    else:
        # A GeoPackage has a table of styles beside its layers.
        meta, _, wkb, values = pyogrio.raw.read(path, layer=layer or 0)
        shapes = shapely.from_wkb(wkb)
        full = {short: name for name, short in SHAPEFILE_NAMES.items()}
        columns = {full.get(name, name): column for name, column in zip(meta["fields"], values, strict=True)}
    if not len(shapes):
        return np.zeros(0, dtype=object), columns
    order = np.lexsort((-columns["area_px"], columns["sentence_id"]))
    return shapes[order], {name: column[order] for name, column in columns.items()}


@pytest.mark.parametrize("polygon_format", ["gpkg", "fgb", "parquet", "shp"])
def test_confidence_is_what_the_models_calibration_says_and_empty_without_one(tmp_path, polygon_format):
    said = Calibration((0.5, 1.0), (0.2, 0.6))
    regions = write(tmp_path / f"a.{polygon_format}", labels=[replace(LABELS, calibration=said)])
    largest_first = sorted(regions, key=lambda region: -region.num_pixels)
    expected = [said.share_of(region.mean_probability) for region in largest_first]
    assert read(tmp_path / f"a.{polygon_format}")[1]["confidence"] == pytest.approx(expected, abs=1e-4)
    write(tmp_path / f"b.{polygon_format}")
    assert np.isnan(read(tmp_path / f"b.{polygon_format}")[1]["confidence"].astype(float)).all()


@pytest.mark.parametrize("polygon_format", FORMATS)
def test_every_format_holds_the_regions_and_what_is_known_of_them(tmp_path, polygon_format):
    path = tmp_path / f"a.{polygon_format}"
    regions = write(path)
    geometries, columns = read(path)
    assert list(columns) == list(FIELDS)
    assert columns["area_px"].tolist() == [10, 2, 1]
    assert columns["area_m2"] == pytest.approx([2.5, 0.5, 0.25], rel=2e-3)
    assert columns["sentence"].tolist() == ["the red roofs"] * 3
    assert columns["sentence_id"].tolist() == [1] * 3
    assert columns["model"].tolist() == ["red"] * 3
    assert columns["source"].tolist() == ["a.tif"] * 3
    means = {region.num_pixels: round(region.mean_probability, 4) for region in regions}
    assert columns["mean_probability"].tolist() == [means[10], means[2], means[1]]
    assert [len(geometry.interiors) for geometry in geometries] == [1, 0, 0]
    assert sorted(os.listdir(tmp_path)) == files_of(path)


@pytest.mark.parametrize("polygon_format", ["gpkg", "fgb", "parquet", "shp"])
def test_polygons_keep_the_crs_and_lie_exactly_on_pixel_edges(tmp_path, polygon_format):
    path = tmp_path / f"a.{polygon_format}"
    write(path)
    geometries, _ = read(path)
    expected = Polygon(
        box(500000, 4400000 - 1.5, 500002, 4400000).exterior,
        [box(500000.5, 4400000 - 1, 500001.5, 4400000 - 0.5).exterior],
    )
    assert geometries[0].equals(expected)
    crs = (
        geoparquet_crs(path)
        if polygon_format == "parquet"
        else CRS.from_string(pyogrio.read_info(path, layer=0)["crs"])
    )
    assert crs == UTM.crs


def test_geojson_is_in_longitude_and_latitude_with_outer_rings_counter_clockwise(tmp_path):
    write(tmp_path / "a.geojson")
    content = json.loads((tmp_path / "a.geojson").read_text())
    assert "crs" not in content
    shape = shapely.geometry.shape(content["features"][0]["geometry"])
    # The upper left corner is on the central meridian of zone 10.
    assert shape.bounds[0] == pytest.approx(-123, abs=1e-7)
    assert shape.exterior.is_ccw
    assert not shape.interiors[0].is_ccw


@pytest.mark.parametrize("polygon_format", FORMATS)
def test_without_a_crs_polygons_are_in_pixels_and_areas_null(tmp_path, polygon_format):
    path = tmp_path / f"a.{polygon_format}"
    write(path, georeference=PIXELS)
    geometries, columns = read(path)
    assert geometries[0].bounds == (0, 0, 4, 3)
    assert all(area is None or np.isnan(area) for area in columns["area_m2"])
    if polygon_format == "parquet":
        assert geoparquet_crs(path) is None
    assert sorted(os.listdir(tmp_path)) == files_of(path, with_crs=False)


@pytest.mark.parametrize("polygon_format", FORMATS)
def test_no_regions_make_an_empty_file(tmp_path, polygon_format):
    path = tmp_path / f"a.{polygon_format}"
    write(path, mask=np.zeros((3, 3), bool))
    geometries, columns = read(path)
    assert len(geometries) == 0
    # GDAL writes an empty GeoJSON without a schema.
    assert list(columns) == ([] if polygon_format == "geojson" else list(FIELDS))


@pytest.mark.parametrize("polygon_format", FORMATS)
def test_batches_end_up_in_one_table_in_order(tmp_path, polygon_format, monkeypatch):
    monkeypatch.setattr(polygon_files, "_BATCH", 64)
    mask = np.zeros((20, 40), dtype=bool)
    mask[::2, ::2] = True
    path = tmp_path / f"a.{polygon_format}"
    write(path, mask=mask, labels=[LABELS, RegionLabels("b", 2, "red", "a.tif")])
    geometries, columns = read(path)
    assert columns["sentence_id"].tolist() == [1] * 200 + [2] * 200
    assert len({geometry.wkb for geometry in geometries}) == 200


def test_a_geopackage_has_a_layer_per_name_even_if_it_is_empty(tmp_path):
    path = tmp_path / "a.gpkg"
    regions = collect(MASK, georeference=UTM)
    with PolygonWriter(path, "gpkg", UTM, MASK.shape) as writer:
        writer.write(regions, RegionLabels("a", 1, "red", "a.tif", layer="1_a"))
        writer.write([], RegionLabels("b", 2, "red", "a.tif", layer="2_b"))
        writer.write(regions[:1], RegionLabels("a", 1, "red", "a.tif", layer="1_a"))
    assert pyogrio.list_layers(path).tolist() == [["1_a", "Polygon"], ["2_b", "Polygon"], ["layer_styles", None]]
    assert [len(read(path, layer)[0]) for layer in ("1_a", "2_b")] == [4, 0]


def test_layers_are_one_table_where_the_format_has_none(tmp_path):
    labels = [RegionLabels("a", 1, "red", "a.tif", layer="1_a"), RegionLabels("b", 2, "red", "a.tif", layer="2_b")]
    write(tmp_path / "a.fgb", labels=labels)
    assert read(tmp_path / "a.fgb")[1]["sentence"].tolist() == ["a"] * 3 + ["b"] * 3


@pytest.mark.parametrize(
    ("sentences", "polygon_format", "layers"),
    [
        (["All ships!"], "gpkg", ["polygons"]),
        (["All ships!", "the river"], "gpkg", ["1_all_ships", "2_the_river"]),
        (["a", "a"], "gpkg", ["1_a", "2_a"]),
        (["All ships!", "the river"], "geojson", ["polygons", "polygons"]),
    ],
)
def test_several_sentences_have_a_layer_each_where_there_are_layers(sentences, polygon_format, layers):
    assert layers_of(sentences, polygon_format) == layers


@pytest.mark.parametrize(
    ("sentence", "name"), [("All ships!", "2_all_ships"), ("船", "2_船"), ("?", "2"), ("x" * 60, "2_" + "x" * 38)]
)
def test_layer_names_are_short_words(sentence, name):
    assert layer_name(sentence, 2) == name


@pytest.mark.parametrize("polygon_format", FORMATS)
def test_an_error_leaves_the_earlier_file_and_nothing_else(tmp_path, polygon_format):
    path = tmp_path / f"a.{polygon_format}"
    path.write_text("earlier")

    def interrupted():
        yield from collect(MASK, georeference=UTM)
        raise KeyboardInterrupt

    def run():
        with PolygonWriter(path, polygon_format, UTM, MASK.shape) as writer:
            writer.write(collect(MASK, georeference=UTM), LABELS)
            writer.write(interrupted(), LABELS)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert os.listdir(tmp_path) == [path.name]
    assert path.read_text() == "earlier"
    write(path)
    assert len(read(path)[0]) == 3


@pytest.mark.parametrize("polygon_format", FORMATS)
def test_the_same_regions_make_the_same_bytes(tmp_path, polygon_format):
    first, second = tmp_path / f"a.{polygon_format}", tmp_path / f"b.{polygon_format}"
    write(first)
    write(second)
    for one, other in zip(files_of(first), files_of(second), strict=True):
        assert (tmp_path / one).read_bytes() == (tmp_path / other).read_bytes()


@pytest.mark.parametrize("polygon_format", FORMATS)
def test_names_may_hold_any_mark(tmp_path, polygon_format):
    folder = tmp_path / "a!b;c#d e%41"
    folder.mkdir()
    path = folder / f"x!y?z.{polygon_format}"
    write(path)
    assert sorted(os.listdir(folder)) == files_of(path)
    for name in files_of(path):
        (folder / name).rename(tmp_path / f"plain{(folder / name).suffix}")
    assert len(read(tmp_path / f"plain.{polygon_format}")[0]) == 3


def test_geoparquet_without_pyarrow_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"rs2sam\[parquet\]"):
        PolygonWriter(tmp_path / "a.parquet", "parquet", UTM, MASK.shape)
    write(tmp_path / "a.fgb")


def test_flatgeobuf_alone_needs_gdal_and_says_so_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyogrio", None)
    with pytest.raises(MissingDependencyError, match=r"rs2sam\[vector\]"):
        PolygonWriter(tmp_path / "a.fgb", "fgb", UTM, MASK.shape)
    write(tmp_path / "a.gpkg")
    write(tmp_path / "a.geojson")


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="gpkg, geojson, fgb, parquet, shp"):
        PolygonWriter(tmp_path / "a.tab", "tab", UTM, MASK.shape)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="nowhere"):
        write(tmp_path / "nowhere" / "a.gpkg")


def test_an_error_of_gdal_is_one_of_ours(tmp_path, monkeypatch):
    def fail(*_args, **_options):
        raise pyogrio.errors.DataSourceError("no space left")

    monkeypatch.setattr("pyogrio.raw.write_arrow", fail)
    with pytest.raises(InvalidInputError, match="no space left"):
        write(tmp_path / "a.fgb")
    assert os.listdir(tmp_path) == []


# --- shape -----------------------------------------------------------------------------------------------------------


def staircase(side=40):
    """A right triangle in pixels: its long side is a staircase."""
    (region,) = collect(np.tri(side, dtype=bool))
    return np.array([region.outline], dtype=object)


def test_simplification_is_in_metres():
    outlines = staircase()
    # A step is sqrt(2) / 2 = 0.71 pixels high: 0.35 m.
    kept = reshape(outlines, PolygonShape(simplify_m=0.3), (0.5, 0.5))
    gone = reshape(outlines, PolygonShape(simplify_m=0.4), (0.5, 0.5))
    assert shapely.get_num_coordinates(kept)[0] > 70
    assert shapely.get_num_coordinates(gone)[0] <= 6
    assert shapely.hausdorff_distance(gone, outlines)[0] * 0.5 <= 0.4


def test_pixels_that_are_not_square_are_measured_along_each_side():
    outlines = np.array([Polygon([(0, 0), (20, 0), (20, 10), (10, 10), (10, 9), (0, 9)])], dtype=object)
    # The step is one row high: 3 m here, 0.3 m there.
    assert shapely.get_num_coordinates(reshape(outlines, PolygonShape(1.0), (0.3, 3.0)))[0] == 7
    assert shapely.get_num_coordinates(reshape(outlines, PolygonShape(1.0), (3.0, 0.3)))[0] < 7


def test_holes_stay_inside_a_simplified_polygon():
    mask = np.random.default_rng(0).random((60, 60)) < 0.75
    outlines = np.array([region.outline for region in collect(mask)], dtype=object)
    for tolerance in (0.8, 1.5, 4.0):
        result = reshape(outlines, PolygonShape(simplify_m=tolerance))
        assert shapely.is_valid(result).all()
        assert shapely.get_num_interior_rings(result).tolist() == shapely.get_num_interior_rings(outlines).tolist()


def test_a_region_too_small_for_the_tolerance_stays_as_it_is():
    pixel = np.array([box(3, 3, 4, 4)], dtype=object)
    for shape in (PolygonShape(simplify_m=5.0), PolygonShape(simplify_m=5.0, orthogonal=True)):
        assert reshape(pixel, shape)[0].equals(pixel[0])


def test_buildings_are_squared_up_in_the_file_and_attributes_are_those_of_the_region(tmp_path):
    mask = np.tri(60, dtype=bool) & ~np.tri(60, k=-25, dtype=bool)
    mask &= np.add.outer(np.arange(60), np.arange(60)) < 80
    mask &= np.add.outer(np.arange(60), np.arange(60)) > 40
    (region,) = write(tmp_path / "a.gpkg", mask=mask, shape=PolygonShape(orthogonal=True))
    (geometry,), columns = read(tmp_path / "a.gpkg")
    corners = np.array(geometry.exterior.coords)
    edges = np.diff(corners, axis=0)
    assert len(edges) == 4
    assert all(abs(a @ b) < 1e-6 * np.linalg.norm(a) * np.linalg.norm(b) for a, b in itertools.pairwise(edges))
    assert geometry.area == pytest.approx(region.num_pixels * 0.25)
    assert columns["area_px"].tolist() == [region.num_pixels]


def test_an_outline_that_crosses_itself_where_it_is_placed_is_replaced_by_the_exact_one(tmp_path, monkeypatch):
    """Far from the origin of a CRS, corners that lie close are rounded onto each other."""
    exact = shapely.box(0, 0, 10, 10)
    gap = 1e-9
    squared = shapely.Polygon([(0, 0), (10, 0), (10, 5), (2, 5 + gap), (10, 5 + 2 * gap), (10, 10), (0, 10)])
    region = PixelRegion(exact, 100, 0.9, None, 0)
    place = Georeference(Affine(1, 0, 5e8, 0, -1, 5e8), None)
    assert squared.is_valid
    assert not shapely.is_valid(place.place([squared]))[0]
    monkeypatch.setattr("rs2sam.vector.polygon_files.reshape", lambda *_: np.array([squared], dtype=object))
    path = tmp_path / "a.geojson"
    with PolygonWriter(path, "geojson", place, (10, 10), PolygonShape(orthogonal=True)) as writer:
        writer.write([region], RegionLabels("a roof", 1, "m", "s"))
    (feature,) = json.loads(path.read_text())["features"]
    written = shapely.geometry.shape(feature["geometry"])
    assert written.is_valid
    assert written.equals(place.place([exact])[0])


# --- Shapefile --------------------------------------------------------------------------------------------------------


def test_a_shapefile_has_short_names_utf8_and_esris_coordinate_system(tmp_path):
    path = tmp_path / "a.shp"
    write(path, labels=[RegionLabels("die Dächer 飞", 1, "red", "a.tif")])
    meta, _, _, values = pyogrio.raw.read(path)
    assert max(map(len, meta["fields"])) <= 10
    assert values[0].tolist() == ["die Dächer 飞"] * 3
    assert path.with_suffix(".cpg").read_text() == "UTF-8"
    assert path.with_suffix(".prj").read_text().startswith('PROJCS["WGS_1984_UTM_Zone_')


def test_without_a_crs_the_coordinate_system_of_an_earlier_shapefile_goes(tmp_path):
    write(tmp_path / "a.shp")
    write(tmp_path / "a.shp", georeference=PIXELS)
    assert sorted(os.listdir(tmp_path)) == files_of(tmp_path / "a.shp", with_crs=False)


def test_texts_too_long_for_a_shapefile_are_cut_between_letters_and_said_so_once(tmp_path, caplog):
    label = RegionLabels("ä" * 200, 1, "red", "a.tif")  # 400 bytes
    write(tmp_path / "a.shp", labels=[label, label])
    assert read(tmp_path / "a.shp")[1]["sentence"].tolist() == ["ä" * 127] * 6
    assert caplog.text.count("up to 254 bytes") == 1


def test_areas_of_any_size_fit_a_shapefile(tmp_path):
    large = PixelRegion(box(0, 0, 10**6, 10**6), 10**12, 0.75, 123456789012.125, 0)
    with PolygonWriter(tmp_path / "a.shp", "shp", UTM, MASK.shape) as writer:
        writer.write([large], LABELS)
    _, columns = read(tmp_path / "a.shp")
    assert (columns["area_px"].tolist(), columns["area_m2"].tolist()) == ([10**12], [123456789012.125])


def test_more_than_a_shapefile_holds_is_refused_and_nothing_left(tmp_path, monkeypatch):
    monkeypatch.setattr(copied_formats, "_LARGEST_FILE", 3 * 400)
    write(tmp_path / "few.shp")
    with pytest.raises(InvalidInputError, match=r"A Shapefile holds up to 2 GB.*gpkg"):
        write(tmp_path / "many.shp", labels=[LABELS] * 10)
    assert sorted(os.listdir(tmp_path)) == files_of(tmp_path / "few.shp")
