from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from click.testing import CliRunner
from PIL import Image

from rs2sam.cli import main
from rs2sam.errors import WeightsNotFoundError
from rs2sam.processing import FirstPass
from tests.make_rasters import NORTH_UP, SCENE, RedSegmenter, objects, write_tiff


@pytest.fixture
def segmenter(monkeypatch):
    """The stand-in, in place of every model; `calls` holds what was asked for."""
    red = RedSegmenter(image_size=64)
    red.calls = []

    def load(name, backend, device, threads):
        red.calls.append((name, backend, device, threads))
        return red

    monkeypatch.setattr("rs2sam.cli.segment.load_segmenter", load)
    return red


@pytest.fixture
def image(tmp_path):
    return write_tiff(tmp_path / "scene.tif")


def segment(*arguments, code=0):
    result = CliRunner().invoke(main, ["segment", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_one_command_writes_mask_polygons_preview_and_result(segmenter, image, tmp_path):
    result = segment(image, "the red roofs", "-o", tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == [
        "scene_mask.tif", "scene_polygons.gpkg", "scene_preview.png", "scene_result.json",
    ]  # fmt: skip
    with rasterio.open(tmp_path / "out/scene_mask.tif") as mask:
        np.testing.assert_array_equal(mask.read(1), objects())
        assert (mask.transform, mask.crs.to_epsg()) == (NORTH_UP, 26910)
    assert '"the red roofs": 2 regions, 243 m²' in result.stdout
    assert "scene_mask.tif" in result.stdout
    assert result.stderr == ""
    assert segmenter.calls == [("compact", None, None, None)]


def test_sentences_come_from_the_command_line_and_a_file(segmenter, image, tmp_path):
    (tmp_path / "wanted.txt").write_text("\ufeffred things\n\n  no red things  \r\n", encoding="utf-8")
    segment(image, "roofs", "--sentences", tmp_path / "wanted.txt", "-o", tmp_path / "out")
    report = json.loads((tmp_path / "out/scene_result.json").read_text())
    assert [found["sentence"] for found in report["sentences"]] == ["roofs", "red things", "no red things"]
    with rasterio.open(tmp_path / "out/scene_mask.tif") as mask:
        assert mask.descriptions == ("roofs", "red things", "no red things")


def test_the_summary_says_which_tiles_were_skipped_and_what_that_costs(segmenter, image, tmp_path):
    segmenter.first_pass = FirstPass(tiles=2, threshold=0.5, recall_loss=0.0123)
    tiled = [image, "red", "-o", tmp_path / "out", "--tile", 24, "--overlap", 4, "--overwrite"]
    said = segment(*tiled, "--first-pass").stdout
    # Tiles begin at 0, 20, 40 and 0, 18, 36, 54, 72: the objects are in those at the left and in the middle.
    numbers = [int(number) for number in re.findall(r"(\d+) (?:tiles read|asked about|without|skipped)", said)]
    assert numbers[0] == sum(numbers[1:]) == 15
    assert numbers[3] > 0
    assert "score below 0.5, which cost 1.2% of what is rightly found on held-out scenes" in said
    assert "15 tiles read, 15 asked about, 0 without data\n" in segment(*tiled, "--exhaustive").stdout
    assert "15 asked about" in segment(*tiled).stdout


def test_json_prints_the_result_and_nothing_else(segmenter, image, tmp_path):
    result = segment(image, "red", "-o", tmp_path / "out", "--json")
    report = json.loads(result.stdout)
    assert report == json.loads((tmp_path / "out/scene_result.json").read_text())
    facts = {"backend": "red", "image_size": 64, "reads_phrases": False, "calibration": None}
    assert report["model"] == {"name": "compact", **facts}
    assert {"open", "segment", "model", "first_pass", "regions"} == set(report["seconds"])
    assert {"rs2sam", "numpy", "rasterio", "gdal"} <= set(report["versions"])
    assert report["options"]["tile"] is None
    assert report["outputs"]["polygons"] == "scene_polygons.gpkg"


def test_nothing_found_is_said_in_words_and_is_no_error(segmenter, image, tmp_path):
    result = segment(image, "no", "-o", tmp_path / "out")
    assert '"no": nothing found' in result.stdout
    assert pyogrio.read_info(tmp_path / "out/scene_polygons.gpkg", layer="polygons")["features"] == 0


def test_quiet_says_nothing(segmenter, image, tmp_path):
    result = CliRunner().invoke(main, ["-q", "segment", str(image), "red", "-o", str(tmp_path / "out")])
    assert (result.exit_code, result.output) == (0, "")


def test_options_reach_what_they_name(segmenter, tmp_path):
    values = np.dstack([SCENE[..., 2], SCENE[..., 0], SCENE[..., 1]]).astype(np.uint16) * 10
    values[:, :25] = 7
    path = write_tiff(tmp_path / "bands.tif", values)
    result = segment(
        path, "red", "-o", tmp_path / "out", "--bands", "2,3,1", "--stretch", "fixed:0,2550", "--nodata", 7,
        "--format", "geojson", "--tile", 48, "--overlap", 12, "--batch-size", 2, "--threshold", 0.3,
        "--min-presence", 0.2, "--min-area", "101px", "--model", "somewhere", "--backend", "onnx", "--device", "cpu",
        "--threads", 1, "--json",
    )  # fmt: skip
    report = json.loads(result.stdout)
    assert report["source"]["bands"] == [2, 3, 1]
    assert report["source"]["stretch"] == {"kind": "fixed", "limits": [[0, 2550]] * 3}
    assert report["source"]["nodata"] == 7
    assert report["source"]["valid_pixels"] == 64 * 71
    assert report["options"] == {
        "tile": 48, "overlap": 12, "threshold": 0.3, "min_presence": 0.2, "min_area": "101px", "scope": "scene",
        "choose_in_view": False, "gsd_m": None, "first_pass": None, "simplify_m": 0.0, "orthogonal": False,
    }  # fmt: skip
    assert report["sentences"][0]["polygons"] == 1
    assert segmenter.largest == 48
    assert segmenter.calls == [("somewhere", "onnx", "cpu", 1)]
    with rasterio.open(tmp_path / "out/bands_mask.tif") as mask:
        found = mask.read(1)
    assert (found[:, :25] == 255).all()
    assert (found[10:18, 25:50] == 1).all()


def test_a_photo_is_segmented_upright(segmenter, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(SCENE).save(tmp_path / "photo.jpg", exif=exif, quality=95)
    result = segment(tmp_path / "photo.jpg", "red", "-o", tmp_path / "out")
    assert "no CRS" in result.stdout
    mask = np.asarray(Image.open(tmp_path / "out/photo_mask.png")) > 0
    assert (mask == np.rot90(objects(), -1)).mean() > 0.97


def test_results_are_replaced_only_when_asked(segmenter, image, tmp_path):
    segment(image, "red", "-o", tmp_path / "out")
    refused = segment(image, "red", "-o", tmp_path / "out", code=1)
    assert "--overwrite" in refused.stderr
    assert len(segmenter.calls) == 1
    segment(image, "red", "-o", tmp_path / "out", "--overwrite")


def test_a_damaged_block_is_an_error_after_the_rest_is_written(segmenter, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    path = write_tiff(tmp_path / "cut.tif", noise, blockysize=20)
    path.write_bytes(path.read_bytes()[:100_000])
    result = segment(path, "red", "-o", tmp_path / "out", "--json", code=1)
    assert result.stderr.startswith("error: ")
    assert "blocks of it cannot be read" in result.stderr
    report = json.loads(result.stdout)
    assert report["lost"][-1] == [180, 0, 20, 200]
    lost_rows = sum(height for _, _, height, _ in report["lost"])
    with rasterio.open(tmp_path / "out/cut_mask.tif") as mask:
        assert (mask.read(1) == 255).sum() == lost_rows * 200
    assert 0 < lost_rows < 200


def test_options_of_the_engine_reach_it(segmenter, image, tmp_path):
    result = segment(
        image, "red", "no", "-o", tmp_path / "out", "--gsd", 0.3, "--scope", "tile", "--memory", "1GB", "--resume",
        "--class-map", "--cog", "--simplify", 2, "--orthogonal", "--format", "fgb", "--json",
    )  # fmt: skip
    report = json.loads(result.stdout)
    assert report["options"]["gsd_m"] == 0.3
    assert report["options"]["tile"] == 32
    assert report["options"]["scope"] == "tile"
    assert sorted(os.listdir(tmp_path / "out")) == [
        "scene_classes.tif", "scene_mask.tif", "scene_polygons.fgb", "scene_preview.png", "scene_result.json",
    ]  # fmt: skip
    views = segmenter.num_views
    again = segment(
        image, "red", "no", "-o", tmp_path / "out", "--gsd", 0.3, "--scope", "tile", "--memory", "500MB", "--resume",
        "--class-map", "--cog", "--simplify", 2, "--orthogonal", "--format", "fgb", "--json",
    )  # fmt: skip
    assert json.loads(again.stdout) == report
    assert segmenter.num_views == views


# --- errors: one line on stderr, exit code 1, nothing written --------------------------------------------------------


def broken(folder: Path) -> dict[str, tuple[list[object], str]]:
    """Arguments that must fail, and a piece of what must be said."""
    image = write_tiff(folder / "scene.tif")
    (folder / "empty.tif").touch()
    (folder / "text.png").write_text("not a picture")
    (folder / "blank.txt").write_text("\n  \n")
    (folder / "latin.txt").write_bytes(b"caf\xe9\n")
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    cut = folder / "cut.png"
    Image.fromarray(noise).save(cut)
    cut.write_bytes(cut.read_bytes()[:50000])
    return {
        "missing file": ([folder / "nowhere.tif", "red"], "nowhere.tif"),
        "zero bytes": ([folder / "empty.tif", "red"], "0 bytes"),
        "not an image": ([folder / "text.png", "red"], "cannot be opened as an image"),
        "cut short": ([cut, "red"], "damaged or cut short"),
        "band that is not there": ([image, "red", "--bands", "4,3,2"], "has 3, but `bands` names 4"),
        "bands that are no numbers": ([image, "red", "--bands", "nir,red"], "4,3,2"),
        "two bands": ([image, "red", "--bands", "1,2"], "three bands"),
        "empty sentence": ([image, ""], "sentence 1 of 1"),
        "blank sentence": ([image, "red", "  "], "sentence 2 of 2"),
        "sentences file missing": ([image, "--sentences", folder / "none.txt"], "none.txt"),
        "sentences file blank": ([image, "--sentences", folder / "blank.txt"], "holds no sentence"),
        "sentences file of another encoding": ([image, "--sentences", folder / "latin.txt"], "UTF-8"),
        "sentences file is a folder": ([image, "--sentences", folder], "UTF-8"),
        "stretch": ([image, "red", "--stretch", "sigma:2"], "percentile:2,98"),
        "tile": ([image, "red", "--tile", "4"], "at least 16"),
        "overlap": ([image, "red", "--tile", "32", "--overlap", "30"], "half the tile"),
        "threshold": ([image, "red", "--threshold", "7"], "`threshold`"),
        "least area": ([image, "red", "--min-area", "3 acres"], "40px"),
        "memory": ([image, "red", "--memory", "much"], "2GB"),
        "too little memory": ([image, "red", "--memory", "10MB"], "smaller tiles"),
        "ground resolution": ([image, "red", "--gsd", "0"], "above 0 m per pixel"),
        "simplification": ([image, "red", "--simplify", "-1"], "at least 0"),
    }


CASES = [
    "missing file", "zero bytes", "not an image", "cut short", "band that is not there", "bands that are no numbers",
    "two bands", "empty sentence", "blank sentence", "sentences file missing", "sentences file blank",
    "sentences file of another encoding", "sentences file is a folder", "stretch", "tile", "overlap", "threshold",
    "least area", "memory", "too little memory", "ground resolution", "simplification",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_error_says_the_rule_in_one_line_and_writes_nothing(segmenter, tmp_path, case):
    arguments, says = broken(tmp_path)[case]
    result = segment(*arguments, "-o", tmp_path / "out", code=1)
    assert result.stderr.startswith("error: ")
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("case", ["missing file", "cut short"])
def test_an_output_folder_that_was_there_stays(segmenter, tmp_path, case):
    (tmp_path / "out").mkdir()
    arguments, _ = broken(tmp_path)[case]
    segment(*arguments, "-o", tmp_path / "out", code=1)
    assert os.listdir(tmp_path / "out") == []


def test_an_output_folder_that_cannot_be_written_is_named_before_the_model_is_loaded(segmenter, image, tmp_path):
    (tmp_path / "file").touch()
    result = segment(image, "red", "-o", tmp_path / "file", code=1)
    assert "must be writable" in result.stderr
    assert segmenter.calls == []


def test_unknown_model_is_an_error_of_the_hub(image, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = segment(image, "red", "-o", tmp_path / "out", "--model", str(tmp_path / "no-such-model"), code=1)
    assert result.stderr.startswith("error: ")
    assert "no-such-model" in result.stderr


def test_what_the_model_raises_is_shown(image, tmp_path, monkeypatch):
    def load(*_arguments):
        raise WeightsNotFoundError("`large` is not here. Run `rs2sam models`.")

    monkeypatch.setattr("rs2sam.cli.segment.load_segmenter", load)
    assert (
        segment(image, "red", "-o", tmp_path / "out", code=1).stderr
        == "error: `large` is not here. Run `rs2sam models`.\n"
    )


@pytest.mark.parametrize(
    "arguments", [["scene.tif", "red"], ["-o", "out"], ["a.tif", "b", "-o", "o", "--format", "kml"]]
)
def test_wrong_usage_is_exit_code_2(arguments):
    segment(*arguments, code=2)


@pytest.mark.parametrize(("known", "is_said"), [(0.03, True), (0.97, False), (None, False)])
def test_a_sentence_of_what_was_never_taught_is_said_to_be(segmenter, image, tmp_path, monkeypatch, known, is_said):
    answer = segmenter._segment
    monkeypatch.setattr(segmenter, "_segment", lambda *view: replace(answer(*view), known=known))
    result = segment(image, "qwertz asdf", "-o", tmp_path / "out")
    assert (
        '"qwertz asdf" names nothing that the model was taught, as far as it can tell (3%)' in result.stderr
    ) == is_said
    report = json.loads((tmp_path / "out/scene_result.json").read_text())
    assert [one["known"] for one in report["sentences"]] == [known]
    assert [line for line in report["warnings"] if "`rs2sam models` lists what models find" in line] == (
        report["warnings"] if is_said else []
    )
    assert len(report["warnings"]) == is_said
