from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from rs2sam.datasets.base import Sample
from rs2sam.datasets.readers.coco import read_coco
from rs2sam.datasets.readers.jsonl import read_jsonl, write_jsonl
from rs2sam.datasets.readers.refsegrs import read_refsegrs
from rs2sam.datasets.readers.rrsisd import read_rrsisd
from rs2sam.errors import DataNotFoundError, InvalidInputError
from tests.datasets.make_formats import (
    square,
    write_coco,
    write_refsegrs,
    write_rrsisd,
)
from tests.datasets.make_formats import (
    write_jsonl as write_tiny_jsonl,
)


@pytest.fixture
def root(tmp_path):
    return write_tiny_jsonl(tmp_path / "data")


def write_lines(folder: Path, *entries: object, name: str = "data.jsonl") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("\n".join(entry if isinstance(entry, str) else json.dumps(entry) for entry in entries))
    return path


def assert_same(found: Sample, expected: Sample) -> None:
    for name in ("id", "sentence", "published_sentence", "category", "kind", "split", "ref_id", "is_absent"):
        assert getattr(found, name) == getattr(expected, name), name
    if expected.image_id is not None:
        assert found.image_id == expected.image_id
    np.testing.assert_array_equal(found.pixels(), expected.pixels())
    np.testing.assert_array_equal(found.annotation(), expected.annotation())
    np.testing.assert_array_equal(found.category_target(), expected.category_target())


def test_every_line_is_a_sample(root):
    samples = read_jsonl(root)
    assert [sample.id for sample in samples] == [
        "annotations-1",
        "annotations-2",
        "by-rle",
        "annotations-4",
        "annotations-5",
        "annotations-6",
    ]
    assert [sample.split for sample in samples] == ["train"] * 4 + ["val", "test"]
    assert [sample.is_absent for sample in samples] == [False] * 3 + [True] + [False] * 2
    assert samples[2].category == "square"
    assert samples[1].image_id == samples[2].image_id == "images/1.png"
    assert samples[0].image == root / "images" / "0.png"


def test_targets_of_every_kind_give_the_same_mask(root):
    samples = read_jsonl(root / "annotations.jsonl")
    # A square beyond the border is nothing.
    for sample, (x, y) in zip(samples, ((4, 4), (30, 30), (30, 30), (64, 64), (44, 8), (44, 8)), strict=True):
        np.testing.assert_array_equal(sample.target((64, 64)), square(x, y))


def test_paths_are_relative_to_the_file_or_absolute(tmp_path, monkeypatch):
    Image.new("RGB", (4, 4)).save(tmp_path / "here.png")
    folder = tmp_path / "deep"
    path = write_lines(
        folder,
        {"image": "../here.png", "sentence": "a", "mask": None},
        {"image": str(tmp_path / "here.png"), "sentence": "a", "mask": None},
    )
    monkeypatch.chdir("/")
    assert [sample.pixels().shape for sample in read_jsonl(path)] == [(4, 4, 3)] * 2


def test_file_names_say_the_split_where_lines_do_not(tmp_path):
    line = {"image": "a.png", "sentence": "a", "mask": None}
    write_lines(tmp_path, line, {**line, "split": "other"}, name="train.jsonl")
    write_lines(tmp_path, line, name="val.jsonl")
    write_lines(tmp_path, line, name="more.jsonl")
    assert [(sample.id, sample.split) for sample in read_jsonl(tmp_path)] == [
        ("more-1", None),
        ("train-1", "train"),
        ("train-2", "other"),
        ("val-1", "val"),
    ]


def test_blank_lines_foreign_keys_numbers_and_byte_order_marks_do_no_harm(tmp_path):
    entry = {"image": "a.png", "sentence": " the ship\n", "segmentation": None, "id": 7, "author": "me", "ref_id": 3}
    path = write_lines(tmp_path, "\ufeff" + json.dumps(entry), "", "  ")
    (sample,) = read_jsonl(path)
    assert (sample.id, sample.ref_id, sample.sentence) == ("7", "3", "the ship")
    assert sample.published_sentence == " the ship\n"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{image: a}", r"data\.jsonl:2: a line is one JSON object"),
        ("[1]", r'data\.jsonl:2: a line needs "image"'),
        ({"sentence": "a", "mask": None}, r'data\.jsonl:2: a line needs "image"'),
        ({"image": 3, "sentence": "a", "mask": None}, r'data\.jsonl:2: a line needs "image"'),
        ({"image": "a.png", "mask": None}, r'data\.jsonl:2, "sentence": a sentence is text'),
        ({"image": "a.png", "sentence": " ", "mask": None}, r'data\.jsonl:2, "sentence": a sentence is text'),
        ({"image": "a.png", "sentence": "a"}, r"data\.jsonl:2: a line needs either .* received neither"),
        (
            {"image": "a.png", "sentence": "a", "mask": "m.png", "segmentation": []},
            r"data\.jsonl:2: a line needs either .* received mask and segmentation",
        ),
        ({"image": "a.png", "sentence": "a", "mask": 5}, r'data\.jsonl:2: "mask" is the path of a file, received 5'),
        ({"image": "a.png", "sentence": "a", "segmentation": "x"}, r'data\.jsonl:2: "segmentation" is polygons or run'),
        ({"image": "a.png", "sentence": "a", "mask": None, "split": []}, r'data\.jsonl:2: "split" is text'),
        ({"image": "a.png", "sentence": "a", "mask": None, "id": "x"}, r"received 'x' again; it is at .*data\.jsonl:1"),
    ],
)
def test_malformed_line_is_named_by_file_and_line(tmp_path, entry, message):
    path = write_lines(tmp_path, {"image": "a.png", "sentence": "a", "mask": None, "id": "x"}, entry)
    with pytest.raises(InvalidInputError, match=message):
        read_jsonl(path)


def test_damaged_target_is_named_by_file_and_line_when_it_is_read(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    path = write_lines(
        tmp_path,
        {"image": "a.png", "sentence": "a", "segmentation": {"size": [4, 4], "counts": [3]}},
        {"image": "a.png", "sentence": "a", "mask": "gone.png"},
        {"image": "gone.png", "sentence": "a", "segmentation": [[0, 0, 3, 0, 3, 3]]},
        {"image": "a.png", "sentence": "a", "segmentation": {"size": [9, 9], "counts": [81]}},
    )
    damaged, no_mask, no_image, other = read_jsonl(path)
    with pytest.raises(InvalidInputError, match=r"data\.jsonl:1: run lengths of size \[4, 4\] must add up to 16"):
        damaged.target((4, 4))
    with pytest.raises(DataNotFoundError, match=r"mask not found: .*gone\.png`"):
        no_mask.target((4, 4))
    with pytest.raises(DataNotFoundError, match=r"no image `.*gone\.png`"):
        no_image.target((4, 4))
    with pytest.raises(InvalidInputError, match=r"received \(4, 4\) and \(9, 9\) in sample `data-4`"):
        other.target((4, 4))


@pytest.mark.parametrize("place", ["empty", "gone.jsonl"])
def test_nothing_to_read_is_said(tmp_path, place):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "data.jsonl").write_text("\n")
    with pytest.raises(DataNotFoundError, match="no referring JSONL found"):
        read_jsonl(tmp_path / place)


def test_text_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / "data.jsonl").write_bytes(b'{"image": "\xff"}')
    with pytest.raises(InvalidInputError, match=r"data\.jsonl` cannot be read as UTF-8"):
        read_jsonl(tmp_path)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(lambda text: text.strip())
names = st.none() | texts


@settings(max_examples=40, deadline=None)
@given(data=st.data(), count=st.integers(1, 4))
def test_written_samples_come_back_the_same(tmp_path_factory, data, count):
    folder = tmp_path_factory.mktemp("round")
    samples = []
    for number in range(count):
        shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))
        mask = data.draw(st.none() | hnp.arrays(bool, shape))
        rgb = data.draw(hnp.arrays(np.uint8, (*shape, 3)))
        sentence = data.draw(texts)
        stripped = sentence.strip()
        samples.append(
            Sample(
                image=data.draw(st.sampled_from([rgb, lambda rgb=rgb: rgb])),
                sentence=stripped,
                raw_sentence=None if stripped == sentence else sentence,
                mask=mask,
                id=f"{number}-{data.draw(texts)}",
                category=data.draw(names),
                kind=data.draw(names),
                split=data.draw(names),
                category_mask=data.draw(st.none() | hnp.arrays(bool, shape)),
                ref_id=data.draw(names),
            )
        )
    found = read_jsonl(write_jsonl(samples, folder / "out"))
    for one, expected in zip(found, samples, strict=True):
        assert_same(one, expected)


@pytest.mark.parametrize("mode", ["copy", "link", "reference"])
@pytest.mark.parametrize(
    ("write", "read"), [(write_rrsisd, read_rrsisd), (write_refsegrs, read_refsegrs), (write_coco, read_coco)]
)
def test_other_formats_become_jsonl_without_loss(tmp_path, write, read, mode):
    samples = read(write(tmp_path / "source"))
    path = write_jsonl(samples, tmp_path / "out", image_mode=mode)
    for found, expected in zip(read_jsonl(path), samples, strict=True):
        assert_same(found, expected)
    images = sorted((tmp_path / "out").glob("images/*"))
    assert len(images) == (0 if mode == "reference" else len({sample.image for sample in samples}))
    assert all(image.is_symlink() == (mode == "link") for image in images)
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_each_image_is_written_once(tmp_path):
    rgb = np.zeros((4, 4, 3), dtype=np.uint8)
    by_id = [Sample(lambda: rgb, "a", None, str(n), image_id="scene/7") for n in range(2)]
    by_array = [Sample(rgb, "a", None, str(n + 2)) for n in range(2)]
    write_jsonl(by_id + by_array, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == ["2.png", "scene_7.png"]


def test_images_of_one_name_stay_apart(tmp_path):
    samples = []
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / folder / "7.png")
        samples.append(Sample(tmp_path / folder / "7.png", "a", None, folder))
    found = read_jsonl(write_jsonl(samples, tmp_path / "out"))
    assert [sample.image.name for sample in found] == ["7.png", "7-2.png"]
    assert [sample.pixels()[0, 0, 0] for sample in found] == [0, 1]


def test_existing_output_is_kept_unless_it_may_be_overwritten(root, tmp_path):
    samples = read_jsonl(root)
    out = write_jsonl(samples[:1], tmp_path / "out")
    with pytest.raises(InvalidInputError, match=r"annotations\.jsonl` is already there"):
        write_jsonl(samples, tmp_path / "out")
    assert len(read_jsonl(out)) == 1
    write_jsonl(samples, tmp_path / "out", overwrite=True)
    assert len(read_jsonl(out)) == len(samples)
    # The images of the first run are taken as they are.
    assert len(list((tmp_path / "out" / "images").iterdir())) == 3


@pytest.mark.parametrize("mode", ["copy", "link", "reference"])
def test_writing_into_the_source_changes_no_image(tmp_path, mode):
    root = write_refsegrs(tmp_path / "data")
    before = {path: path.read_bytes() for path in root.rglob("*.tif")}
    path = write_jsonl(read_refsegrs(root), root, image_mode=mode)
    assert {path: path.read_bytes() for path in root.rglob("*.tif")} == before
    assert not any(path.is_symlink() for path in before)
    assert len(read_jsonl(path)) == 6


def test_interrupted_writing_leaves_no_file(root, tmp_path):
    samples = read_jsonl(root)
    (root / "masks" / "deep.png").unlink()
    with pytest.raises(DataNotFoundError, match=r"mask not found"):
        write_jsonl(samples, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.jsonl*"))


@pytest.mark.parametrize("mode", ["copy", "link", "reference"])
def test_missing_image_stops_the_writing(root, tmp_path, mode):
    samples = read_jsonl(root)
    (root / "images" / "2.png").unlink()
    with pytest.raises(DataNotFoundError, match=r"2\.png`.*sample `annotations-5` of split `val`"):
        write_jsonl(samples, tmp_path / "out", image_mode=mode)


def test_wrong_arguments_are_refused(root, tmp_path):
    samples = read_jsonl(root)
    with pytest.raises(InvalidInputError, match="at least one sample"):
        write_jsonl([], tmp_path / "out")
    with pytest.raises(InvalidInputError, match="`annotations-1` comes twice"):
        write_jsonl([samples[0], samples[0]], tmp_path / "out")
    with pytest.raises(InvalidInputError, match="one of copy, link, reference; received 'move'"):
        write_jsonl(samples, tmp_path / "out", image_mode="move")
    with pytest.raises(InvalidInputError, match=r"values of `Sample`, received str.*open_dataset"):
        write_jsonl(str(root), tmp_path / "out")
    assert not list((tmp_path / "out").glob("annotations*"))


def test_a_place_may_be_given_as_text(root, tmp_path):
    target = write_jsonl(read_jsonl(str(root)), str(tmp_path / "out"))
    assert target == tmp_path / "out" / "annotations.jsonl"
    assert len(read_jsonl(str(target))) == 6


def test_lines_of_the_documentation_are_read(tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    lines = text.split("```json\n")[1].split("```")[0]
    (tmp_path / "data.jsonl").write_text(lines)
    for name in ("images/7.png", "images/8.png", "masks/7.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (6, 4) if name.endswith("8.png") else (512, 300), 1).save(tmp_path / name)
    samples = read_jsonl(tmp_path)
    areas = [int(sample.target(sample.image_size()).sum()) for sample in samples]
    assert areas[0] == 512 * 300
    assert areas[1] == pytest.approx(511 * 80, rel=0.02)
    assert areas[2:] == [4, 0]
    assert [sample.is_absent for sample in samples] == [False, False, False, True]


def test_what_a_line_leaves_unknown_is_read_and_written_again(tmp_path):
    levels = np.array([[0, 1, 255], [0, 255, 1]], np.uint8)
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(levels).save(folder / "m.png")
    Image.fromarray(np.full((2, 3, 3), 80, np.uint8)).save(folder / "a.png")
    write_lines(folder, {"image": "a.png", "sentence": "the roof", "mask": "m.png", "ignore": 255})
    (one,) = read_jsonl(folder)
    np.testing.assert_array_equal(one.ignored((2, 3)), levels == 255)
    np.testing.assert_array_equal(one.target((2, 3)), levels == 1)
    (again,) = read_jsonl(write_jsonl([one], tmp_path / "out"))
    np.testing.assert_array_equal(again.ignored((2, 3)), levels == 255)
    np.testing.assert_array_equal(again.target((2, 3)), levels == 1)


@pytest.mark.parametrize("level", ["255", True, [255]])
def test_an_ignore_that_is_no_number_is_refused(tmp_path, level):
    write_lines(tmp_path / "in", {"image": "a.png", "sentence": "the roof", "mask": "m.png", "ignore": level})
    with pytest.raises(InvalidInputError, match='"ignore" is a level of the mask'):
        read_jsonl(tmp_path / "in")


def test_a_device_is_no_file_of_lines(tmp_path):
    (tmp_path / "a.jsonl").symlink_to("/dev/zero")
    with pytest.raises(InvalidInputError, match="JSON lines must be a regular file"):
        read_jsonl(tmp_path)
