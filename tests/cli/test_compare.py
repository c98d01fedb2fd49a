from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from rs2sam.cli import main
from rs2sam.evaluation.run_folder import RunFolder
from tests.evaluation.stand_in import result


def write_report(folder, model, results):
    """What an evaluation leaves, as far as a comparison reads it."""
    identity = {"model": model, "data": "set", "split": "val", "protocol": "published", "num_samples": len(results)}
    RunFolder(folder).start(identity, results, "published", overwrite=False)


@pytest.fixture
def reports(tmp_path):
    """Two finished evaluations of four samples; the second is better."""
    for name, gain in (("before", 0), ("after", 10)):
        write_report(tmp_path / name, name, [result(f"s{k}", (20 * k + gain, 100)) for k in range(4)])
    return tmp_path / "before", tmp_path / "after"


def compare(*arguments, code=0):
    run = CliRunner().invoke(main, ["compare", *map(str, arguments)], catch_exceptions=False)
    assert run.exit_code == code, run.output
    return run


def test_differences_are_printed_and_written(reports, tmp_path):
    printed = compare(*reports, "-o", tmp_path / "out").stdout
    assert "| mIoU | 30.00 | 40.00 | +10.00 | [+10.00, +10.00] * |" in printed
    assert "A = before (model before on set, val), B = after (model after on set, val): 4 samples" in printed
    assert (tmp_path / "out/compare.md").read_text(encoding="utf-8") == printed
    found = json.loads((tmp_path / "out/compare.json").read_text(encoding="utf-8"))
    assert found["metrics"][0]["difference"] == pytest.approx(0.1)
    assert len(found["improved"]) == 4


def test_json_and_options(reports):
    found = json.loads(compare(*reports, "--json", "--seed", 5, "--draws", 50, "--most", 1).stdout)
    assert (found["bootstrap"]["seed"], found["bootstrap"]["draws"]) == (5, 50)
    assert len(found["improved"]) == 1


def test_a_comparison_is_not_replaced_unasked(reports, tmp_path):
    compare(*reports, "-o", tmp_path / "out")
    assert "holds a comparison already" in compare(*reports, "-o", tmp_path / "out", code=1).stderr
    compare(*reports, "-o", tmp_path / "out", "--overwrite")
    (tmp_path / "file").write_text("")
    assert "is a file" in compare(*reports, "-o", tmp_path / "file", code=1).stderr


def test_quiet_writes_and_says_nothing(reports, tmp_path):
    run = CliRunner().invoke(main, ["-q", "compare", *map(str, reports), "-o", str(tmp_path / "out")])
    assert (run.exit_code, run.output) == (0, "")
    assert (tmp_path / "out/compare.json").exists()


def test_other_samples_are_refused_and_compared_in_common_on_demand(reports, tmp_path):
    write_report(tmp_path / "other", "m", [result("s1", (30, 100))])
    refused = compare(reports[0], tmp_path / "other", code=1).stderr
    assert refused.startswith("error: ")
    assert "of before (model before on set, val) and other (model m on set, val) 3 samples are in before" in refused
    assert "Left out: 3 samples are in before only." in compare(reports[0], tmp_path / "other", "--common").stdout


def test_folders_that_hold_no_report_are_refused(tmp_path):
    assert "run.json is not there" in compare(tmp_path, tmp_path / "nowhere", code=1).stderr


def test_reports_of_one_name_are_told_apart_by_the_folders_above(tmp_path):
    for run in ("first", "second"):
        write_report(tmp_path / run / "eval", "m", [result("s1", (30, 100))])
    assert compare(tmp_path / "first/eval", tmp_path / "second/eval").stdout.startswith(
        "# second/eval against first/eval\n"
    )
    assert compare(tmp_path / "first/eval", tmp_path / "first/eval").stdout.startswith("# eval against eval\n")
