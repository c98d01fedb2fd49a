from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner
from PIL import Image

from rs2sam.cli import main
from rs2sam.cli.data import FORMATS, SOURCES, data
from rs2sam.datasets.readers.reading import FORMATS as READABLE
from rs2sam.datasets.readers.reading import open_dataset
from rs2sam.datasets.readers.sources import READERS
from tests.datasets.make_formats import write_coco, write_jsonl, write_refsegrs, write_rrsisd

WRITERS = [write_rrsisd, write_refsegrs, write_jsonl, write_coco]


def run(*arguments):
    return CliRunner().invoke(main, ["data", *map(str, arguments)])


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    """A small rendered set."""
    out = tmp_path_factory.mktemp("data") / "synthetic"
    result = run("synth", 4, out, "--side", 96, "--per-image", 2)
    assert result.exit_code == 0, result.output
    assert "train 4, val 2, test 2" in result.stderr
    return out


def test_choices_are_those_of_the_library():
    assert set(FORMATS) == set(READABLE)
    assert set(SOURCES) == set(READERS)


@pytest.mark.parametrize("name", ["check", "convert", "show", "synth"])
def test_every_command_has_help_without_an_option_unexplained(name):
    result = run(name, "--help")
    assert result.exit_code == 0
    command = data.commands[name]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert all(option.help for option in options)


def test_a_rendered_set_passes_its_own_check(synthetic, tmp_path):
    result = run("check", synthetic, "--json", tmp_path / "report.json")

    assert result.exit_code == 0
    assert "8 samples of 4 images" in result.stdout
    assert "no errors" in result.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["format"], report["num_samples"], report["num_errors"]) == ("jsonl", 8, 0)
    assert report["image_sizes"] == {"96x96": 4}
    assert report["tokenizer"]["model"] == "compact"
    assert report["tokens"]["least"] >= 3


def test_the_same_seed_renders_the_same_files(synthetic, tmp_path):
    assert run("synth", 4, tmp_path / "again", "--side", 96, "--per-image", 2).exit_code == 0
    for path in sorted(synthetic.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(synthetic)).read_bytes()


def test_errors_of_the_data_are_exit_code_1_and_warnings_are_not(tmp_path):
    leaking = run("check", write_jsonl(tmp_path / "leaking"))
    assert leaking.exit_code == 1
    assert "leakage: one image (equal files) is in several splits (1)" in leaking.stdout
    assert leaking.stderr.endswith("has 1 error. Correct what is wrong, or take the samples out.\n")
    odd = run("check", write_rrsisd(tmp_path / "odd"))
    assert odd.exit_code == 0
    assert "2 warnings:" in odd.stdout


def test_a_check_goes_on_after_what_cannot_be_read(synthetic, tmp_path):
    assert run("convert", synthetic, tmp_path / "bad").exit_code == 0
    images = sorted((tmp_path / "bad" / "images").iterdir())
    images[0].write_bytes(images[0].read_bytes()[:500])
    images[1].unlink()
    result = run("check", tmp_path / "bad", "--json", "-", "--workers", 2)

    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert [finding["rule"] for finding in report["findings"]] == ["unreadable-image", "missing-image"]
    assert report["num_samples"] == 8


def test_a_check_that_is_quiet_still_fails(tmp_path):
    result = CliRunner().invoke(main, ["-q", "data", "check", str(write_jsonl(tmp_path / "set"))])
    assert (result.exit_code, result.stdout) == (1, "")


def test_a_report_is_not_replaced_unasked(synthetic, tmp_path):
    (tmp_path / "report.json").write_text("mine")
    refused = run("check", synthetic, "--json", tmp_path / "report.json")
    assert refused.exit_code == 1
    assert "Add --overwrite" in refused.stderr
    assert refused.stdout == "", "refused before the work"
    assert run("check", synthetic, "--json", tmp_path / "report.json", "--overwrite").exit_code == 0
    assert (tmp_path / "report.json").read_text() != "mine"


def test_what_is_no_data_set_is_told_with_the_known_formats(tmp_path):
    result = run("check", tmp_path)
    assert result.exit_code == 1
    assert all(name in result.stderr for name in FORMATS)
    assert run("check", tmp_path / "nowhere").exit_code == 1


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("images", ["copy", "link", "reference"])
def test_every_format_is_converted_without_loss(tmp_path, write, images):
    source = write(tmp_path / "source")
    result = run("convert", source, tmp_path / "out", "--images", images)

    assert result.exit_code == 0, result.output
    before, after = open_dataset(source).samples(), open_dataset(tmp_path / "out").samples()
    assert open_dataset(tmp_path / "out").format == "jsonl"
    for one, other in zip(before, after, strict=True):
        for name in ("id", "sentence", "split", "category", "kind", "ref_id", "image_id"):
            assert getattr(one, name) == getattr(other, name)
        pixels = one.pixels()
        assert (pixels == other.pixels()).all()
        assert (one.target(pixels.shape[:2]) == other.target(pixels.shape[:2])).all()
        assert one.is_absent == other.is_absent
    has_copies = (tmp_path / "out" / "images").is_dir()
    assert has_copies == (images != "reference")


def test_one_split_is_converted(synthetic, tmp_path):
    assert run("convert", synthetic, tmp_path / "val", "--split", "val").exit_code == 0
    assert open_dataset(tmp_path / "val").splits == ("val",)
    unknown = run("convert", synthetic, tmp_path / "none", "--split", "dev")
    assert unknown.exit_code == 1
    assert "train, val, test" in unknown.stderr
    assert not (tmp_path / "none").exists()


def test_a_folder_is_replaced_only_if_the_command_has_written_it(synthetic, tmp_path):
    out = tmp_path / "out"
    assert run("convert", synthetic, out, "--split", "val").exit_code == 0
    assert "Add --overwrite" in run("convert", synthetic, out).stderr
    assert run("convert", synthetic, out, "--overwrite").exit_code == 0
    assert len(open_dataset(out)) == 8
    (out / "notes.txt").write_text("dear")
    assert "something else" in run("synth", 1, out, "--overwrite").stderr
    assert (out / "notes.txt").exists()


def test_a_result_may_not_lie_in_its_source(synthetic):
    for out in (synthetic, synthetic / "inside", synthetic.parent):
        result = run("convert", synthetic, out, "--overwrite")
        assert result.exit_code == 1
        assert "beside DIR" in result.stderr


def test_a_conversion_that_fails_leaves_nothing(synthetic, tmp_path):
    run("convert", synthetic, tmp_path / "bad")
    next(iter(sorted((tmp_path / "bad" / "images").iterdir()))).unlink()
    result = run("convert", tmp_path / "bad", tmp_path / "out")

    assert result.exit_code == 1
    assert "no image" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_a_format_and_a_source_exclude_each_other(synthetic, tmp_path):
    result = run("convert", synthetic, tmp_path / "out", "--format", "jsonl", "--source", "roads")
    assert result.exit_code == 1
    assert "not both" in result.stderr


@pytest.mark.parametrize("source", ["nwpu_vhr10", "openaerialmap_buildings", "dubai_landcover"])
def test_real_imagery_becomes_a_faultless_data_set(data_dir, tmp_path, source):
    if not (data_dir / source).is_dir():
        pytest.skip(f"{source} is not here")
    options = ["--source", source, "--split", "val", "--per-kind", "2", "--images", "reference"]
    result = run("convert", data_dir / source, tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    checked = run("check", tmp_path / "out")
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("write", WRITERS)
def test_a_sheet_shows_every_format(tmp_path, write):
    sheet = tmp_path / "sheets" / "sheet.png"
    result = run("show", write(tmp_path / "set"), sheet, "--count", 4, "--columns", 2, "--side", 100)

    assert result.exit_code == 0, result.output
    with Image.open(sheet) as picture:
        assert picture.width == 2 * 114 + 14
        assert picture.height > 2 * 114


def test_a_sheet_is_repeatable_and_not_replaced_unasked(synthetic, tmp_path):
    for name in ("a.png", "b.png"):
        assert run("show", synthetic, tmp_path / name, "--count", 3, "--seed", 5).exit_code == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert "Add --overwrite" in run("show", synthetic, tmp_path / "a.png").stderr
    assert run("show", synthetic, tmp_path / "a.png", "--overwrite").exit_code == 0


def test_a_sheet_shows_that_a_sample_cannot_be_read(synthetic, tmp_path):
    run("convert", synthetic, tmp_path / "bad")
    for path in (tmp_path / "bad" / "images").iterdir():
        path.unlink()
    result = run("show", tmp_path / "bad", tmp_path / "sheet.png", "--count", 2)
    assert result.exit_code == 0
    assert result.stderr.count("warning: no image") == 2


def test_a_sheet_is_a_picture(synthetic, tmp_path):
    result = run("show", synthetic, tmp_path / "sheet.txt")
    assert result.exit_code == 1
    assert ".png" in result.stderr


def test_wrong_numbers_are_wrong_usage(tmp_path):
    assert run("synth", 0, tmp_path / "out").exit_code == 2
    assert run("synth", 1, tmp_path / "out", "--side", 10).exit_code == 2
