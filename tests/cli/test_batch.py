from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from rs2sam.cli import main
from rs2sam.errors import WeightsNotFoundError
from rs2sam.vector.geopackage import read_geopackage
from tests.batch.scenes import write_scenes
from tests.make_rasters import RedSegmenter, write_tiff


@pytest.fixture
def segmenter(monkeypatch):
    """The stand-in, in place of every model; `calls` counts how often it was loaded."""
    red = RedSegmenter(image_size=64)
    red.calls = []

    def load(*arguments):
        red.calls.append(arguments)
        return red

    monkeypatch.setattr("rs2sam.cli.scene.load_segmenter", load)
    return red


@pytest.fixture
def scenes(tmp_path):
    (tmp_path / "in/sub").mkdir(parents=True)
    write_tiff(tmp_path / "in/a.tif")
    write_tiff(tmp_path / "in/sub/b.tif")
    return tmp_path / "in"


def batch(*arguments, code=0):
    result = CliRunner().invoke(main, ["batch", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_one_command_does_a_folder_and_says_what_was_found(segmenter, scenes, tmp_path):
    result = batch(scenes, "the red roofs", "-o", tmp_path / "out")
    assert "a.tif: 2 regions" in result.stdout
    assert "2 of 2 scenes done (2 run now), 0 failed" in result.stdout
    assert '"the red roofs": 4 regions in 2 scenes' in result.stdout
    assert (tmp_path / "out/sub/b_mask.tif").is_file()
    assert (tmp_path / "out/polygons.gpkg").is_file()
    assert len(segmenter.calls) == 1


def test_a_second_run_has_nothing_to_do_and_loads_no_model(segmenter, scenes, tmp_path):
    batch(scenes, "the red roofs", "-o", tmp_path / "out")
    result = batch(scenes, "the red roofs", "-o", tmp_path / "out", "--json")
    assert json.loads(result.stdout)["run_now"] == 0
    assert len(segmenter.calls) == 1


def test_a_model_that_is_not_there_leaves_nothing_behind(segmenter, scenes, tmp_path, monkeypatch):
    def missing(*_arguments):
        raise WeightsNotFoundError("`compcat` is not here. Run `rs2sam models`.")

    with monkeypatch.context() as patched:
        patched.setattr("rs2sam.cli.scene.load_segmenter", missing)
        result = batch(scenes, "the red roofs", "-o", tmp_path / "out", "--model", "compcat", code=1)
    assert "compcat" in result.stderr
    assert not (tmp_path / "out").exists()
    batch(scenes, "the red roofs", "-o", tmp_path / "out")


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "fgb", "parquet"])
def test_polygons_of_any_format_are_merged(segmenter, scenes, tmp_path, suffix):
    if suffix in ("fgb", "parquet"):
        pytest.importorskip({"fgb": "pyogrio", "parquet": "pyarrow"}[suffix])
    write_tiff(scenes / "nowhere.tif", crs=None)
    result = batch(scenes, "the red roofs", "no cars", "-o", tmp_path / "out", "--format", suffix, "--json")
    merged = json.loads(result.stdout)["merged"]
    assert (merged["polygons"], merged["scenes"], merged["without_crs"]) == (4, 2, ["nowhere.tif"])
    assert merged["crs"] == ("EPSG:4326" if suffix == "geojson" else "EPSG:26910")
    batches = list(read_geopackage(tmp_path / "out/polygons.gpkg"))
    assert sorted(key for _, columns in batches for key in columns["scene"]) == ["a.tif"] * 2 + ["sub/b.tif"] * 2
    assert {area for _, columns in batches for area in columns["area_px"]} == {576, 100}


def test_the_same_sentence_twice_is_asked_once(segmenter, scenes, tmp_path):
    (tmp_path / "wanted.txt").write_text("the red roofs\n")
    result = batch(scenes, "the red roofs", "-o", tmp_path / "out", "--sentences", tmp_path / "wanted.txt", "--json")
    (found,) = json.loads(result.stdout)["sentences"]
    assert (found["polygons"], found["scenes"]) == (4, 2)


def test_a_sentence_may_be_the_name_of_a_folder(segmenter, scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "roofs").mkdir()
    assert "2 to run" in batch(scenes, "roofs", "-o", tmp_path / "out", "--dry-run").stdout


def test_failed_scenes_are_listed_and_make_exit_code_1(segmenter, scenes, tmp_path):
    (scenes / "broken.tif").write_bytes(b"II*\x00")
    result = batch(scenes, "the red roofs", "-o", tmp_path / "out", code=1)
    assert "failed: broken.tif: " in result.stderr
    assert "Traceback" not in result.stderr
    assert "2 of 3 scenes done" in result.stdout


def test_a_dry_run_lists_and_writes_nothing(segmenter, scenes, tmp_path):
    result = batch(scenes, "the red roofs", "-o", tmp_path / "out", "--dry-run")
    assert "pending  sub/b.tif" in result.stdout
    assert "2 to run, 0 done" in result.stdout
    assert not (tmp_path / "out").exists()
    assert segmenter.calls == []


def test_every_tile_is_asked_about_where_that_is_wanted(segmenter, scenes, tmp_path):
    batch(scenes, "the red roofs", "-o", tmp_path / "out", "--exhaustive")
    settings = json.loads((tmp_path / "out/manifest.jsonl").read_text().splitlines()[0])["settings"]
    assert settings["options.exhaustive"] is True
    assert json.loads((tmp_path / "out/a_result.json").read_text())["options"]["first_pass"] is None


def test_an_output_folder_that_is_a_file_is_told_from_one_that_is_locked(segmenter, scenes, tmp_path):
    (tmp_path / "out").touch()
    result = batch(scenes, "the red roofs", "-o", tmp_path / "out", code=1)
    assert "(it is a file)" in result.stderr


def test_a_shard_does_its_part_and_says_how_to_merge(segmenter, tmp_path):
    write_scenes(tmp_path / "in")
    result = batch(tmp_path / "in", "red", "-o", tmp_path / "out", "--shard", "1/2", "--dry-run")
    other = batch(tmp_path / "in", "red", "-o", tmp_path / "out", "--shard", "2/2", "--dry-run")
    listed = [line.split()[1] for line in (result.stdout + other.stdout).splitlines() if line.startswith("pending")]
    assert sorted(listed) == ["a.tif", "c.tif", "sub/b.tif", "sub/d.tif"]


def broken(scenes):
    return {
        "unquoted glob": ([scenes / "a.tif", scenes / "sub/b.tif", "red"], "in quotes"),
        "no input": ([scenes / "none", "red"], "is not there"),
        "shard": ([scenes, "red", "--shard", "3/2"], "i/n"),
        "attempts": ([scenes, "red", "--attempts", "0"], "--attempts"),
        "actors": ([scenes, "red", "--engine", "ray", "--actors", "0"], "at least one actor"),
        "actors of a dry run": ([scenes, "red", "--engine", "ray", "--actors", "0", "--dry-run"], "at least one actor"),
        "endless store": ([scenes, "red", "--engine", "ray", "--object-store", "inf"], "--object-store"),
        "endless share": ([scenes, "red", "--engine", "ray", "--cpus-per-actor", "inf"], "--cpus-per-actor"),
        "no finisher": ([scenes, "red", "--engine", "ray", "--finishers", "0"], "one finisher"),
        "option of Ray": ([scenes, "red", "--gpus-per-actor", "1"], "Add --engine ray"),
        "option of segment": ([scenes, "red", "--tile", "3"], "at least 16 pixels"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "unquoted glob",
        "no input",
        "shard",
        "attempts",
        "actors",
        "actors of a dry run",
        "endless store",
        "endless share",
        "no finisher",
        "option of Ray",
        "option of segment",
    ],
)
def test_an_error_says_the_rule_in_one_line_before_anything_is_written(segmenter, scenes, tmp_path, case):
    arguments, says = broken(scenes)[case]
    if "ray" in arguments:
        pytest.importorskip("ray")
    result = batch(*arguments, "-o", tmp_path / "out", code=1)
    assert result.stderr.startswith("error: ")
    assert says in result.stderr
    assert not (tmp_path / "out").exists()
    assert segmenter.calls == []
