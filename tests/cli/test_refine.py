from __future__ import annotations

import json
import os

import pytest
from click.testing import CliRunner

from rs2sam.cli import main
from tests.make_rasters import write_tiff
from tests.scenes.refining.test_decide_again import SENTENCES, run
from tests.scenes.test_run import noise


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Results of a run that kept probabilities."""
    folder = tmp_path_factory.mktemp("kept")
    run(write_tiff(folder / "a.tif", noise(140, 170)), folder / "out", SENTENCES)
    return folder / "out"


def refine(*arguments, code=0):
    result = CliRunner().invoke(main, ["refine", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_results_are_made_again_and_said_in_words(tmp_path, kept):
    said = refine(kept, "-o", tmp_path, "--threshold", 0.6, "--min-area", "20m2", "--class-map").stdout
    report = json.loads((tmp_path / "a_result.json").read_text())
    assert (report["options"]["threshold"], report["options"]["min_area"]) == (0.6, "20m2")
    for one in report["sentences"]:
        assert f'"{one["sentence"]}": ' in said
    assert "tiles" not in said
    written = said.partition(": a_")[2]
    assert sorted(os.listdir(tmp_path)) == sorted(f"a_{written}".strip().split(", "))


def test_some_sentences_and_json(tmp_path, kept):
    report = json.loads(refine(kept / "a_result.json", "all ships", "-o", tmp_path, "--json").stdout)
    assert [one["sentence"] for one in report["sentences"]] == ["all ships"]
    assert report == json.loads((tmp_path / "a_result.json").read_text())


def test_a_shapefile_is_named_with_all_its_files(tmp_path, kept):
    pytest.importorskip("pyogrio")
    said = refine(kept, "all ships", "-o", tmp_path, "--format", "shp").stdout
    for suffix in ("shp", "shx", "dbf", "prj", "cpg"):
        assert f"a_polygons.{suffix}" in said
        assert (tmp_path / f"a_polygons.{suffix}").is_file()
    refine(kept, "all ships", "-o", tmp_path, "--overwrite")
    assert not list(tmp_path.glob("a_polygons.[sdpc]*"))


def test_wrong_input_is_one_line_and_leaves_nothing(tmp_path, kept):
    for arguments in (
        [kept, "--threshold", 0.333],
        [kept, "--threshold", 7],
        [kept, "the river"],
        [tmp_path],
        [kept / "a_mask.tif"],
        [kept, "--min-area", "much"],
    ):
        result = refine(*arguments, "-o", tmp_path / "again", code=1)
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
    refine(kept, code=2)
    assert os.listdir(tmp_path) == []


def test_its_options_are_those_of_segment():
    context = main.make_context("rs2sam", ["refine", "a", "-o", "b"])
    commands = [main.get_command(context, name) for name in ("refine", "segment")]
    refined, segmented = ({option.name: option for option in command.params} for command in commands)
    for name in set(refined) - {"result", "sentence"}:
        assert (refined[name].opts, refined[name].default) == (segmented[name].opts, segmented[name].default)
        assert refined[name].help == segmented[name].help
