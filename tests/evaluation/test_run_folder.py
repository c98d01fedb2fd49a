from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.evaluation.run_folder import RunFolder, read_object, read_results, safe_name
from tests.evaluation.stand_in import result

IDENTITY = {"model": "compact", "split": "test", "protocol": "native", "num_samples": 2}
START = {"resume": False, "overwrite": False}


def begin(folder, identity=IDENTITY, *, resume=False, overwrite=False):
    """Open and start, as an evaluation does; returns what is there already."""
    there = folder.open(identity, resume=resume, overwrite=overwrite)
    folder.start(identity, there, "native", overwrite=overwrite)
    return there


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_results_come_back_from_every_part(tmp_path):
    first, second = RunFolder(tmp_path / "out"), RunFolder(tmp_path / "out", process=1)
    assert begin(first) == []
    first.append([result("a", (1, 2))], "native")
    second.append([result("b", (1, 4)), result("c", (0, 4))], "native")
    results = [result("a", (1, 2)), result("b", (1, 4)), result("c", (0, 4))]
    assert begin(RunFolder(tmp_path / "out"), resume=True) == results
    # A part of a process that will not come again would stay for good.
    assert names_in(tmp_path / "out") == ["run.json", "samples.jsonl"]
    assert read_results(tmp_path / "out/samples.jsonl") == results


def test_a_line_cut_short_by_a_kill_is_dropped_and_written_anew(tmp_path):
    folder = RunFolder(tmp_path)
    begin(folder)
    folder.append([result("a", (1, 2)), result("b", (1, 4))], "native")
    file = tmp_path / "samples.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    assert begin(folder, resume=True) == [result("a", (1, 2))]
    folder.append([result("b", (1, 4))], "native")
    assert read_results(file) == [result("a", (1, 2)), result("b", (1, 4))]


def test_what_is_there_is_neither_continued_nor_replaced_unasked(tmp_path):
    begin(RunFolder(tmp_path))
    with pytest.raises(
        InvalidInputError, match=r"holds an evaluation already \(run.json, samples.jsonl\).*--resume.*--overwrite"
    ):
        RunFolder(tmp_path).open(IDENTITY, **START)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "rrsisd"}, "model: compact there, rrsisd now"),
        ({"split": None}, "split: test there, nothing now"),
        ({"protocol": "published"}, "protocol: native there, published now"),
    ],
)
def test_another_evaluation_does_not_continue_this_one(tmp_path, change, message):
    begin(RunFolder(tmp_path))
    with pytest.raises(InvalidInputError, match=message):
        RunFolder(tmp_path).open({**IDENTITY, **change}, resume=True, overwrite=False)


def test_overwriting_removes_what_an_evaluation_writes_and_nothing_else(tmp_path):
    folder = RunFolder(tmp_path)
    begin(folder)
    folder.append([result("a", (1, 2))], "native")
    folder.save_mask("a", np.ones((2, 2), bool))
    (tmp_path / "report.html").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    assert folder.open({**IDENTITY, "split": "val"}, resume=False, overwrite=True) == []
    assert "report.html" in names_in(tmp_path), "to look is not to replace"
    folder.start({**IDENTITY, "split": "val"}, [], "native", overwrite=True)
    assert names_in(tmp_path) == ["notes.txt", "run.json", "samples.jsonl"]
    assert read_results(tmp_path / "samples.jsonl") == []
    assert read_object(tmp_path / "run.json", "")["split"] == "val"


def test_masks_of_somebody_else_are_never_in_the_way_of_ours(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/1.png").write_text("a target that took an hour to draw")
    for how in (START, {"resume": True, "overwrite": False}, {"resume": False, "overwrite": True}):
        with pytest.raises(InvalidInputError, match=r"a folder `masks` of its own.*Choose another folder"):
            RunFolder(tmp_path).open(IDENTITY, **how)
    assert names_in(tmp_path) == ["masks"]


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InvalidInputError, match="is a file"):
        RunFolder(tmp_path / "out").open(IDENTITY, **START)


def test_a_full_disk_is_said_in_words(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    begin(folder)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.open", full)
    with pytest.raises(
        InvalidInputError, match=r"samples.jsonl cannot be written \(No space left on device\).*--resume"
    ):
        folder.append([result("a", (1, 2))], "native")


def test_damaged_lines_are_named(tmp_path):
    file = tmp_path / "samples.jsonl"
    file.write_text(json.dumps(result("a", (1, 2)).as_record("native")) + "\n{}\n")
    with pytest.raises(InvalidInputError, match=r"samples.jsonl:2 is no result"):
        read_results(file)
    file.write_text("[1]\n")
    with pytest.raises(InvalidInputError, match=r"samples.jsonl:1"):
        read_results(file)
    with pytest.raises(DataNotFoundError, match="rs2sam evaluate"):
        read_results(tmp_path / "nowhere" / "samples.jsonl")


def test_damaged_objects_are_named(tmp_path):
    file = tmp_path / "run.json"
    with pytest.raises(DataNotFoundError, match=r"run\.json is not there"):
        read_object(file, "origin")
    for content, message in (("{", "is no JSON"), ("[]", "received list")):
        file.write_text(content)
        with pytest.raises(InvalidInputError, match=message):
            read_object(file, "origin")


def test_masks_are_saved_as_black_and_white_pictures(tmp_path):
    folder = RunFolder(tmp_path)
    mask = np.array([[True, False, False]])
    folder.save_mask("scene/1", mask)
    path = folder.mask_path("scene/1")
    assert path.parent == tmp_path / "masks"
    with Image.open(path) as saved:
        assert (saved.mode, np.asarray(saved).tolist()) == ("L", [[255, 0, 0]])
    assert len(list(path.parent.iterdir())) == 1


@pytest.mark.parametrize(
    ("sample_id", "name"),
    [
        ("scene-1.a", "scene-1.a"),
        ("../../etc/passwd", "etc_passwd-"),
        ("...", "sample-"),
        ("A", "A-"),
        ("船", "sample-"),
    ],
)
def test_names_of_files_from_ids(sample_id, name):
    assert safe_name(sample_id).startswith(name)
    assert (safe_name(sample_id) == sample_id) == (name == sample_id)


@given(st.lists(st.text(min_size=1, max_size=120), min_size=2, max_size=6, unique=True))
def test_names_are_plain_and_differ_on_any_system(ids):
    names = [safe_name(one) for one in ids]
    assert len({name.lower() for name in names}) == len(ids)
    for name in names:
        assert not set(name) & set('/\\:*?"<>| \0')
        assert not name.startswith(".")
        assert len(name) < 100
