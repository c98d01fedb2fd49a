"""Marks of a model, read from a folder made here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rs2sam.datasets.readers.greenery import UNLABELLED
from rs2sam.datasets.readers.marked import MARKS_FILE, POOLS, UNKNOWN, Marks, marked_photographs, marked_pools
from rs2sam.errors import DataNotFoundError, InvalidImageError, InvalidInputError
from tests.datasets.scenes import SIDE, rectangle, scene


def write_marks(folder: Path, labels: dict[str, np.ndarray], classes: list[str], exhaustive: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, values in labels.items():
        Image.fromarray(values).save(folder / f"{stem}.png")
    told = {"classes": classes, "exhaustive": exhaustive, "made_with": {}}
    (folder / MARKS_FILE).write_text(json.dumps(told))
    return folder


def columns(*values: int, side: int = 32) -> np.ndarray:
    """(side, side) uint8, as many columns as values."""
    return np.repeat(np.repeat(np.array([values], np.uint8), side // len(values), 1), side, 0)


def test_values_are_classes_none_and_unknown(tmp_path: Path) -> None:
    marks = Marks.read(
        write_marks(tmp_path, {"a": columns(0, 1, 3, UNKNOWN)}, ["road", "land", "building", "water"], ["water"])
    )
    regions, unknown = marks.of("a", (32, 32))
    assert list(regions) == ["road", "building", "water"]  # land is neither there nor said to be absent
    assert [regions[name].sum() for name in regions] == [256, 256, 0]
    assert regions["road"][:, 8:16].all()
    assert unknown[:, 24:].all()
    assert unknown.sum() == 256


def test_photographs_get_their_marks(tmp_path: Path) -> None:
    (tmp_path / UNLABELLED).mkdir()
    for stem in ("a", "b"):
        Image.new("RGB", (32, 32), (90, 90, 90)).save(tmp_path / UNLABELLED / f"{stem}.jpg")
    marks = tmp_path / "marks"
    write_marks(marks / UNLABELLED, {"a": columns(1, 0), "b": columns(0, UNKNOWN)}, ["building"], ["building"])
    first, second = marked_photographs(marks, tmp_path)
    assert (first.id, first.split, first.source, first.gsd_m) == ("a", "train", "naip_marked", 0.6)
    assert first.category_mask("building").mean() == 0.5
    assert first.exhaustive_categories == {"building"}
    assert not second.category_mask("building").any()
    assert second.unknown is not None
    assert second.unknown.mean() == 0.5
    (marks / UNLABELLED / "b.png").unlink()
    with pytest.raises(DataNotFoundError, match=r"no marks `.*b\.png`"):
        marked_photographs(marks, tmp_path)


def test_pools_keep_what_somebody_marked(tmp_path: Path) -> None:
    pool = scene([rectangle("swimming_pool", 10, 10, 20, 20)], exhaustive={"swimming_pool"})
    training = replace(pool, split="train", id="one")
    labels = {"one": np.pad(columns(2, side=30), ((0, SIDE - 30), (SIDE - 30, 0)))}
    write_marks(tmp_path / POOLS, labels, ["water", "building"], ["building", "water"])
    (image,) = marked_pools(tmp_path, [training, replace(pool, split="test", id="two")])
    assert image.instances == training.instances
    assert image.category_mask("building").sum() == 900
    assert not image.regions["water"].any()
    assert (image.source, image.split) == ("pools_marked", "train")
    assert image.exhaustive_categories == {"swimming_pool", "building", "water"}


def test_what_is_wrong_is_told_with_the_tool_that_makes_marks(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"`marks\.json` is missing. Make them with .*mark_by_model\.py"):
        Marks.read(tmp_path)
    marks = Marks.read(write_marks(tmp_path, {"a": columns(0, 2)}, ["road"], []))
    with pytest.raises(InvalidInputError, match=r"values up to 1 or 255; received \(32, 32\) and \[2\]"):
        marks.of("a", (32, 32))
    with pytest.raises(InvalidInputError, match=r"image's size \(32, 64\)"):
        marks.of("a", (32, 64))
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InvalidImageError, match=r"a\.png` cannot be read"):
        marks.of("a", (32, 32))
    for classes, exhaustive in ((["roof"], []), ([], []), (["road"], ["building"])):
        with pytest.raises(InvalidInputError, match="must name classes among airplane"):
            Marks.read(write_marks(tmp_path, {}, classes, exhaustive))
    (tmp_path / MARKS_FILE).write_text("[]")
    with pytest.raises(InvalidInputError, match="must be an object"):
        Marks.read(tmp_path)
