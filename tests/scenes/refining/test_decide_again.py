from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.control import GroundControlPoint

import rs2sam
from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.scenes.outputs import OutputOptions
from rs2sam.scenes.refining.decide_again import refine
from rs2sam.scenes.run import SceneRequest, run_scene
from rs2sam.views import MinArea, SceneOptions
from tests.make_rasters import GEOGRAPHIC, NORTH_UP, ROTATED, ground_control_points, write_tiff
from tests.raster.test_place import RPCS
from tests.scenes.test_run import FieldSegmenter, mask_of, noise

KEEP = OutputOptions(keep_probabilities=True)
SENTENCES = ("the largest roof", "all ships", "the roof at the upper left")
STEM = "a"


def run(path, folder, sentences=SENTENCES, outputs=KEEP, **options):
    request = SceneRequest(str(path), tuple(sentences), folder, options=SceneOptions(**options), outputs=outputs)
    return run_scene(request, FieldSegmenter())


def assert_equal_results(first: Path, second: Path) -> None:
    """Byte for byte, but for the preview and what is said of the run."""
    names = {name for name in os.listdir(first) if not name.endswith((".png", ".json")) and "probability" not in name}
    assert names == {name for name in os.listdir(second) if not name.endswith((".png", ".json"))}
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A scene in many tiles with parts that have no data, and the results of a run that kept probabilities."""
    folder = tmp_path_factory.mktemp("scene")
    valid = np.ones((140, 170), dtype=bool)
    valid[60:80, 30:100] = False
    path = write_tiff(folder / "a.tif", noise(140, 170), mask=valid)
    run(path, folder / "first")
    return path, folder / "first"


# --- equal to a run --------------------------------------------------------------------------------------------------


def test_a_refinement_keeps_the_models_calibration(tmp_path, scene):
    report = refine(scene[1], tmp_path / "again", sentences=["all ships"])
    said = FieldSegmenter.calibration
    assert report["model"]["calibration"] == {"mean_probability": [0.5, 1.0], "share_right": [0.2, 0.6]}
    columns = pyogrio.raw.read(tmp_path / "again/a_polygons.gpkg", layer=0)
    names, values = columns[0]["fields"].tolist(), columns[3]
    means, sure = values[names.index("mean_probability")], values[names.index("confidence")]
    assert len(means)
    assert sure == pytest.approx([said.share_of(mean) for mean in means], abs=1e-4)


@pytest.mark.parametrize(
    ("threshold", "least", "outputs"),
    [
        (0.6, "20m2", OutputOptions(simplify_m=0.5)),
        (0.335, "3px", OutputOptions(orthogonal=True, class_map=True, cog=True)),
        (0.9, "0", OutputOptions(polygon_format="geojson")),
        (0.0, "0", OutputOptions(polygon_format="parquet")),
        (1.0, "0", OutputOptions(polygon_format="shp")),
    ],
)
def test_a_refinement_equals_a_run_with_these_options(tmp_path, scene, threshold, least, outputs):
    path, first = scene
    options = {"threshold": threshold, "min_area": MinArea.parse(least)}
    expected = run(path, tmp_path / "run", outputs=replace(outputs, keep_probabilities=True), **options)
    report = refine(first, tmp_path / "again", threshold=threshold, min_area=least, outputs=outputs)
    assert_equal_results(tmp_path / "run", tmp_path / "again")
    found = [{**one, "seconds": 0} for one in report["sentences"]]
    # The score weighs tiles by their foreground at the run's own threshold.
    assert [{**one, "score": None} for one in found] == [
        {**one, "score": None, "seconds": 0} for one in expected["sentences"]
    ]
    assert {name: report[name] for name in ("source", "tiles", "lost", "options", "warnings")} == {
        name: expected[name] for name in ("source", "tiles", "lost", "options", "warnings")
    }


@pytest.mark.parametrize("threshold", [0.5, 0.605, 0.25])
def test_masks_are_those_of_a_run_that_keeps_nothing(tmp_path, scene, threshold):
    path, first = scene
    run(path, tmp_path / "run", outputs=OutputOptions(), threshold=threshold)
    refine(first, tmp_path / "again", threshold=threshold)
    assert (tmp_path / "run/a_mask.tif").read_bytes() == (tmp_path / "again/a_mask.tif").read_bytes()
    masks = mask_of(tmp_path / "again")
    assert set(np.unique(masks)) == {0, 1, 255}


def test_a_real_scene_in_tiles_is_refined_as_it_is_run(tmp_path, data_dir):
    path = data_dir / "geotiff/naip/long_beach_2020_34.tif"
    sentences = ("the largest roof", "the northernmost roof", "ships", "all roofs near the ships")
    options = {"tile": 96, "threshold": 0.7, "min_area": MinArea.parse("30m2")}
    report = run(path, tmp_path / "first", sentences, tile=96)
    assert report["tiles"]["read"] == 16
    assert all(one["found"] for one in report["sentences"][:3])
    run(path, tmp_path / "run", sentences, replace(KEEP, simplify_m=1.0), **options)
    refine(
        tmp_path / "first", tmp_path / "again", threshold=0.7, min_area="30m2", outputs=OutputOptions(simplify_m=1.0)
    )
    assert_equal_results(tmp_path / "run", tmp_path / "again")


def _gcps():
    return {"transform": None, "gcps": ground_control_points(NORTH_UP, 140, 170), "crs": "EPSG:26910"}


@pytest.mark.parametrize(
    "profile",
    [
        {"transform": ROTATED},
        {"transform": GEOGRAPHIC, "crs": "EPSG:4326"},
        {"transform": NORTH_UP, "crs": 'LOCAL_CS["a building site",UNIT["metre",1]]'},
        {"crs": None},
        {"transform": None, "crs": None, "rpcs": RPCS},
        {"crs": "+proj=laea +lat_0=10.5 +lon_0=20 +ellps=GRS80 +units=m"},
        _gcps(),
    ],
    ids=["rotated", "geographic", "site", "without a CRS", "rpcs", "custom", "gcps"],
)
def test_wherever_a_scene_lies_its_refinement_lies_there(tmp_path, profile):
    assert all(isinstance(point, GroundControlPoint) for point in profile.get("gcps", ()))
    path = write_tiff(tmp_path / "a.tif", noise(140, 170), **profile)
    run(path, tmp_path / "first", ["all ships"])
    expected = run(path, tmp_path / "run", ["all ships"], threshold=0.6)
    report = refine(tmp_path / "first/a_result.json", tmp_path / "again", threshold=0.6)
    assert_equal_results(tmp_path / "run", tmp_path / "again")
    assert report["sentences"][0]["area_m2"] == expected["sentences"][0]["area_m2"]


def test_a_photo_has_its_mask_pictures_again(tmp_path):
    from PIL import Image

    Image.fromarray(noise(60, 90)).save(tmp_path / "a.png")
    run(tmp_path / "a.png", tmp_path / "first", ["ships"])
    run(tmp_path / "a.png", tmp_path / "run", ["ships"], threshold=0.7)
    refine(tmp_path / "first", tmp_path / "again", threshold=0.7)
    first, second = (np.asarray(Image.open(tmp_path / name / "a_mask.png")) for name in ("run", "again"))
    assert 0 < (first == 255).mean() < 1
    np.testing.assert_array_equal(first, second)


# --- which sentences, and where --------------------------------------------------------------------------------------


def test_sentences_that_are_decided_afterwards_need_no_run_of_their_own(tmp_path, scene):
    path, first = scene
    wanted = ("the smallest roof", "the largest roof", "the roofs")
    run(path, tmp_path / "run", wanted)
    report = refine(first, tmp_path / "again", wanted)
    assert_equal_results(tmp_path / "run", tmp_path / "again")
    assert [one["asked"] for one in report["sentences"]] == ["the roofs"] * 3


def test_a_sentence_without_probabilities_is_refused_and_nothing_written(tmp_path, scene):
    with pytest.raises(InvalidInputError, match=r"kept \('the roofs', 'all ships'\).*needs those of 'the river'"):
        refine(scene[1], tmp_path / "again", ["the river"])
    assert os.listdir(tmp_path) == []


def test_in_its_own_folder_the_probabilities_stay_and_it_can_be_refined_again(tmp_path, scene):
    shutil.copytree(scene[1], tmp_path / "out")
    probabilities = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*probability*")}
    assert len(probabilities) == 2
    with pytest.raises(InvalidInputError, match="--overwrite"):
        refine(tmp_path / "out", tmp_path / "out", threshold=0.7)
    over = OutputOptions(overwrite=True)
    refine(tmp_path / "out", tmp_path / "out", ["all ships"], threshold=0.9, outputs=over)
    report = refine(tmp_path / "out", tmp_path / "out", SENTENCES, threshold=0.7, outputs=over)
    assert report["outputs"]["probabilities"] == sorted(probabilities)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*probability*")} == probabilities
    refine(scene[1], tmp_path / "other", threshold=0.7)
    for name in ("a_mask.tif", "a_polygons.gpkg"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_a_refinement_elsewhere_says_what_it_was_made_from(tmp_path, scene):
    report = refine(scene[1], tmp_path / "again")
    assert report["refined_from"] == str(scene[1] / "a_result.json")
    assert report["outputs"]["probabilities"] == []
    with pytest.raises(InvalidInputError, match=r"first/a_result\.json"):
        refine(tmp_path / "again", tmp_path / "more")


def test_a_later_run_of_the_same_command_is_not_taken_for_done_after_a_refinement(tmp_path):
    path = write_tiff(tmp_path / "a.tif", noise(140, 170))
    resumed = replace(KEEP, resume=True, overwrite=True)
    run(path, tmp_path / "out", outputs=resumed)
    mask = (tmp_path / "out/a_mask.tif").read_bytes()
    refine(tmp_path / "out", tmp_path / "out", threshold=0.9, outputs=OutputOptions(overwrite=True))
    run(path, tmp_path / "out", outputs=resumed)
    assert (tmp_path / "out/a_mask.tif").read_bytes() == mask


# --- the rasters -----------------------------------------------------------------------------------------------------


def test_the_raster_is_a_cloud_optimised_uint8_geotiff_whose_scale_gives_the_probability(tmp_path, scene):
    path, first = scene
    report = json.loads((first / "a_result.json").read_text())
    names = ["a_probability_1.tif", "a_probability_2.tif"]
    assert report["outputs"]["probabilities"] == names
    assert [(one["sentence"], one["probability"]) for one in report["asked"]] == [
        ("the roofs", names[0]),
        ("all ships", names[1]),
    ]
    plain = run_scene(
        SceneRequest(str(path), ("all ships",), tmp_path, options=SceneOptions(threshold=0.4)), FieldSegmenter()
    )
    with rasterio.open(first / names[1]) as dataset, rasterio.open(path) as source:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (dataset.dtypes, dataset.nodata, dataset.crs) == (("uint8",), 255, source.crs)
        assert (dataset.transform, dataset.shape) == (source.transform, source.shape)
        assert (dataset.descriptions, dataset.scales, dataset.offsets) == (("all ships",), (0.005,), (0.0,))
        values, valid = dataset.read(1), source.read_masks(1) > 0
    assert ((values == 255) == ~valid).all()
    assert ((values * 0.005 > 0.4) & valid).sum() == plain["sentences"][0]["pixels"]


def test_without_the_option_there_is_no_raster(tmp_path, scene):
    report = run(scene[0], tmp_path / "out", outputs=OutputOptions())
    assert report["outputs"]["probabilities"] == []
    assert not list((tmp_path / "out").glob("*probability*"))
    with pytest.raises(InvalidInputError, match=r"has none\. Run `rs2sam segment --keep-probabilities`"):
        refine(tmp_path / "out", tmp_path / "again")


def test_a_run_without_the_option_removes_the_rasters_of_one_with_it(tmp_path, scene):
    shutil.copytree(scene[1], tmp_path / "out")
    run(scene[0], tmp_path / "out", outputs=OutputOptions(overwrite=True))
    assert not list((tmp_path / "out").glob("*probability*"))


def test_a_threshold_between_the_steps_is_refused_before_anything_is_read(tmp_path, scene):
    request = SceneRequest("nowhere.tif", ("a",), tmp_path, options=SceneOptions(threshold=0.333), outputs=KEEP)
    with pytest.raises(InvalidInputError, match=r"steps of 0\.005"):
        request.check()
    with pytest.raises(InvalidInputError, match=r"steps of 0\.005"):
        refine(scene[1], tmp_path / "again", threshold=0.333)


# --- wrong input -----------------------------------------------------------------------------------------------------


def _changed(place, value):
    def change(folder):
        path = folder / "a_result.json"
        report = json.loads(path.read_text())
        entry = report
        for name in place[:-1]:
            entry = entry[name]
        entry[place[-1]] = value
        path.write_text(json.dumps(report))

    return change


def _text(text):
    return lambda folder: (folder / "a_result.json").write_text(text)


def _raster(**profile):
    def change(folder):
        with rasterio.open(folder / "a_probability_2.tif") as dataset:
            kept = {**dataset.profile, "driver": "GTiff", **profile}
        with rasterio.open(folder / "a_probability_2.tif", "w", **kept) as dataset:
            dataset.write(np.full((dataset.count, *dataset.shape), 230, dtype=dataset.dtypes[0]))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_text("no JSON"), "JSON"),
        (_text("[" * 100_000), "JSON"),
        (_text("[]"), "JSON object"),
        (_text("{}"), "no whole result"),
        (_changed(["source", "height"], "tall"), "source.height"),
        (_changed(["source", "height"], 10**9), "has 170 x 140"),
        (_changed(["source", "transform"], [1, 2]), "where its scene lies"),
        (_changed(["source", "transform"], [0, 0, 5, 0, 0, 5]), "where its scene lies"),
        (_changed(["source", "crs_wkt"], "PROJCS["), "where its scene lies"),
        (_changed(["model", "name"], "\ud800"), "JSON"),
        (_changed(["asked", 0, "probability"], "../first/a_probability_1.tif"), "lie beside their result"),
        (_changed(["asked", 0, "probability"], ["a"]), "probability"),
        (_changed(["asked", 0, "views"], None), "views"),
        (_changed(["options", "scope"], "world"), "scope"),
        (_changed(["asked"], {}), "asked"),
        (_changed(["sentences"], [{}]), "sentence"),
        (lambda folder: (folder / "a_probability_2.tif").unlink(), "is not there"),
        (lambda folder: (folder / "a_probability_2.tif").write_bytes(b"II*\0 no TIFF"), "a_probability_2.tif"),
        (_raster(), "holds 230"),
        (_raster(dtype="uint16"), "1 band of uint16"),
        (_raster(count=3), "3 bands"),
        (_raster(nodata=None), "nodata None"),
        (_raster(height=5), "170 x 5"),
    ],
)
def test_a_result_that_is_not_whole_is_one_clear_error(tmp_path, scene, change, message):
    shutil.copytree(scene[1], tmp_path / "first")
    change(tmp_path / "first")
    with pytest.raises((InvalidInputError, DataNotFoundError), match=message) as caught:
        refine(tmp_path / "first/a_result.json", tmp_path / "again")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "again").exists()


def test_the_result_is_found_in_its_folder_where_it_is_the_only_one(tmp_path, scene):
    with pytest.raises(DataNotFoundError, match="holds none"):
        refine(tmp_path, tmp_path / "again")
    with pytest.raises(DataNotFoundError, match="not there"):
        refine(tmp_path / "b_result.json", tmp_path / "again")
    for name in ("a", "b"):
        (tmp_path / f"{name}_result.json").write_text("{}")
    with pytest.raises(InvalidInputError, match="holds 2"):
        refine(tmp_path, tmp_path / "again")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"threshold": 2}, "threshold"),
        ({"threshold": "high"}, "threshold"),
        ({"min_area": "many"}, "least area"),
        ({"min_area": 3}, "min_area"),
        ({"sentences": "the roof"}, "sentences"),
        ({"sentences": []}, "At least one sentence"),
        ({"result": 3}, "result"),
        ({"output": None}, "output"),
    ],
)
def test_types_are_checked_at_the_door(tmp_path, scene, how, message):
    arguments = {"result": scene[1], "output": tmp_path / "again", **how}
    with pytest.raises(InvalidInputError, match=message):
        rs2sam.refine(**arguments)
