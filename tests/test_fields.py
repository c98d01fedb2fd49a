"""Values in messages: whatever was given, what is said of it can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rs2sam.datasets.base import Sample
from rs2sam.datasets.readers.coco import read_coco
from rs2sam.datasets.readers.jsonl import read_jsonl
from rs2sam.datasets.readers.run_lengths import decode_runs
from rs2sam.errors import InvalidInputError, RS2SAMError
from rs2sam.fields import a_place, brief, some_of
from rs2sam.processing import Processor
from tests.small_model import COMPACT

READABLE = 1500
"""Letters of a message that a person still reads; what was given in these tests has a hundred times as many."""
LONG = "x" * 200_000


def nested(depth: int) -> Any:
    """A list in a list in a list ..."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [LONG, [1] * 200_000, {"a": LONG}, 10**100_000, nested(100_000), "\ud800" * 100_000],
    ids=["text", "list", "object", "number", "depth", "surrogates"],
)
def test_any_value_is_shown_in_few_letters(value: Any) -> None:
    assert 0 < len(brief(value)) <= 303


def said_of_line(folder: Path, **entry: Any) -> str:
    line = {"image": "a.png", "sentence": "the pond", "segmentation": None, **entry}
    (folder / "a.jsonl").write_text(json.dumps(line), encoding="utf-8")
    with pytest.raises(InvalidInputError) as raised:
        read_jsonl(folder)
    return str(raised.value)


@pytest.mark.parametrize(
    "entry",
    [
        {"image": [LONG]},
        {"image": LONG},
        {"sentence": [LONG]},
        {"split": [1] * 200_000},
        {"id": {"a": LONG}},
        {"mask": [LONG]},
        {"segmentation": LONG},
    ],
    ids=["image", "path", "sentence", "split", "id", "mask", "segmentation"],
)
def test_a_line_of_data_of_any_length_is_refused_in_a_readable_one(tmp_path: Path, entry: dict[str, Any]) -> None:
    said = said_of_line(tmp_path, **entry)
    assert "a.jsonl:1" in said
    assert len(said) < READABLE


@pytest.mark.parametrize("name", ["category_id", "segmentation", "image_id", "sentences"])
def test_a_long_value_in_coco_is_refused_in_a_readable_line(tmp_path: Path, name: str) -> None:
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 1, 0, 1, 1]], "sentences": ["a"]}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 4, "width": 4}],
        "categories": [{"id": 1, "name": "pond"}],
        "annotations": [{**annotation, name: {"a": LONG}}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(RS2SAMError) as raised:
        read_coco(tmp_path)[0].target((4, 4))
    assert len(str(raised.value)) < READABLE


@pytest.mark.parametrize(
    "runs", [{"size": [3, 4], "counts": {"a": LONG}}, {"size": [LONG, 4], "counts": []}], ids=["counts", "size"]
)
def test_long_run_lengths_are_refused_in_a_readable_line(runs: Any) -> None:
    with pytest.raises(InvalidInputError) as raised:
        decode_runs(runs)
    assert len(str(raised.value)) < READABLE


@pytest.mark.parametrize("sentence", ["船 " * 100_000, "\ud800" * 100_000], ids=["tokens", "surrogates"])
def test_a_long_sentence_is_refused_in_a_readable_line(sentence: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        Processor.from_folder(COMPACT).sentences([sentence])
    assert len(str(raised.value)) < READABLE


def test_an_error_of_a_sample_names_the_start_of_its_id(tmp_path: Path) -> None:
    sample = Sample(image=tmp_path / "gone.png", sentence="a", mask=np.ones((4, 4), np.bool_), id=LONG, split=LONG)
    with pytest.raises(RS2SAMError) as raised:
        sample.pixels()
    assert "xxx" in str(raised.value)
    assert len(str(raised.value)) < READABLE


@pytest.mark.parametrize("name", ["x" * 300, "gone/" + "x" * 300, "gone/gone/" + "x/" * 3000, "é" * 200])
def test_a_path_that_is_too_long_is_refused_whether_its_folder_is_there_or_not(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        InvalidInputError, match=r"`out` must be .* look up, received .* \(File name too long\)"
    ) as caught:
        a_place("out", tmp_path / name)
    assert len(str(caught.value)) < READABLE


def test_a_path_through_links_in_a_circle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(InvalidInputError, match="symbolic links"):
        a_place("folder", tmp_path / "a" / "x.txt")


def test_a_path_below_a_closed_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Any, **_: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("rs2sam.fields.os.stat", closed)
        with pytest.raises(InvalidInputError, match="Permission denied"):
            a_place("folder", tmp_path / "x.txt")


def test_a_path_to_nothing_is_a_place_for_something(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for name in ("file", "gone", "gone/x.txt", "link", "file/x.txt", ".", "../x", "x" * 255):
        assert a_place("out", tmp_path / name) == tmp_path / name
    assert a_place("out", "x.txt") == Path("x.txt")


@pytest.mark.parametrize("value", ["", "a\0b", "\ud800", None, 7])
def test_what_is_no_path_is_no_place(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="`out` must be"):
        a_place("out", value)


def test_names_of_others_are_shown_in_few_letters() -> None:
    assert some_of([]) == ""
    assert some_of(["a", 7]) == "a, 7"
    assert some_of(str(number) for number in range(9)) == "0, 1, 2, 3, 4, 5, ..."
    assert len(some_of([LONG] * 1000)) < READABLE
