from __future__ import annotations

import json

import numpy as np
import pytest

from rs2sam.datasets.readers.coco import read_coco, read_instances
from rs2sam.errors import DataNotFoundError, InvalidInputError
from tests.datasets.make_formats import square, write_coco


@pytest.fixture
def root(tmp_path):
    return write_coco(tmp_path / "data")


@pytest.fixture
def root_with_refs(tmp_path):
    return write_coco(tmp_path / "data", with_refs=True)


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_sentences_stand_in_the_annotations(root):
    samples = read_coco(root)
    assert [(sample.id, sample.ref_id, sample.sentence) for sample in samples] == [
        ("1-0", "1", "the upper tank"),
        ("1-1", "1", "the tank on the left"),
        ("2-0", "2", "the lower tank"),
        ("3-0", "3", "the ship"),
    ]
    assert [sample.split for sample in samples] == ["train"] * 3 + ["test"]
    assert [sample.category for sample in samples] == ["storage tank"] * 3 + ["ship"]
    assert [sample.image_id for sample in samples] == ["1", "1", "1", "2"]
    for sample, (x, y) in zip(samples, ((4, 4), (4, 4), (40, 40), (20, 20)), strict=True):
        np.testing.assert_array_equal(sample.target((64, 64)), square(x, y))
    np.testing.assert_array_equal(samples[0].category_target(), square(4, 4) | square(40, 40))
    np.testing.assert_array_equal(samples[3].category_target(), square(20, 20))


def test_sentences_stand_in_refs_beside_the_instances(root_with_refs):
    samples = read_coco(root_with_refs)
    assert [(sample.id, sample.sentence, sample.split) for sample in samples] == [
        ("7-0", "the upper tank", "train"),
        ("7-1", "the tank on the left", "train"),
        ("8-0", "all tanks", "train"),
        ("9-0", "the harbour", "test"),
    ]
    np.testing.assert_array_equal(samples[1].target((64, 64)), square(4, 4))
    np.testing.assert_array_equal(samples[2].target((64, 64)), square(4, 4) | square(40, 40))
    assert samples[2].category == "storage tank"
    assert samples[3].is_absent
    assert samples[3].image.name == "b.jpg"


def test_both_places_may_be_used(tmp_path):
    both = write_coco(tmp_path / "both")
    refs = write_coco(tmp_path / "refs", with_refs=True) / "refs.json"
    (both / "refs.json").write_text(refs.read_text())
    assert len(read_coco(both)) == 8


def test_split_files_name_the_split(tmp_path):
    root = tmp_path / "data"
    write_coco(root)
    (root / "annotations").mkdir()
    (root / "instances.json").rename(root / "annotations" / "instances_val.json")
    edit(root / "annotations" / "instances_val.json", lambda c: [image.pop("split") for image in c["images"]])
    samples = read_coco(root)
    assert {sample.split for sample in samples} == {"val"}
    assert samples[0].id == "val-1-0"
    assert samples[0].pixels().shape == (64, 64, 3)


def test_folders_of_splits_are_read(tmp_path):
    root = tmp_path / "data"
    for split in ("train", "valid"):
        write_coco(root / split)
        (root / split / "instances.json").rename(root / split / "_annotations.coco.json")
        for image in ("a.jpg", "b.jpg"):
            (root / split / "images" / image).rename(root / split / image)
        edit(root / split / "_annotations.coco.json", lambda c: [image.pop("split") for image in c["images"]])
    samples = read_coco(root)
    assert {sample.split for sample in samples} == {"train", "valid"}
    assert len({sample.id for sample in samples}) == len(samples) == 8
    assert samples[0].image == root / "train" / "a.jpg"


def test_size_comes_from_the_image_where_the_entry_does_not_say_it(root):
    edit(root / "instances.json", lambda c: [image.pop("height") for image in c["images"]])
    np.testing.assert_array_equal(read_coco(root)[0].target((64, 64)), square(4, 4))


def test_missing_image_is_named_when_it_is_read(root):
    (root / "images" / "b.jpg").unlink()
    with pytest.raises(DataNotFoundError, match=r"images.b\.jpg`.*sample `3-0` of split `test`"):
        read_coco(root)[3].pixels()


def test_instances_without_sentences_say_what_to_add(root):
    def silence(content):
        for annotation in content["annotations"]:
            for key in ("sentence", "sentences", "caption"):
                annotation.pop(key, None)

    edit(root / "instances.json", silence)
    with pytest.raises(DataNotFoundError, match=r"no sentences found: .*instances\.json.* Add `sentence`"):
        read_coco(root)


def test_folder_without_instances_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"has no `instances\.json`"):
        read_coco(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("images"), "must be a COCO file"),
        (lambda c: c["images"][0].pop("file_name"), "entry 0 has no `file_name`"),
        (lambda c: c["annotations"][1].pop("image_id"), "entry 1 has no `image_id`"),
        (lambda c: c["annotations"][0].update(image_id=9), "annotation 1 is about id 9, which `images` of"),
        (lambda c: c["annotations"][1].pop("segmentation"), "annotation 2 has sentences and no `segmentation`"),
        (lambda c: c["annotations"][1].update(id=[2]), "`annotations`: entry 1 has no `id`"),
        (lambda c: c["annotations"][1].update(id=1), "`annotations`: an id is one entry's only, received 1 more than"),
        (lambda c: c["images"][1].update(id=1), "`images`: an id is one entry's only, received 1 more than once"),
        (lambda c: c.update(categories={"1": "ship"}), "`categories` must be a list"),
        (lambda c: c["annotations"][1].update(sentence=3), "annotation 2: a sentence is text"),
        (lambda c: c["annotations"][0].update(sentences=["a", ""]), "annotation 1: a sentence is text"),
    ],
)
def test_malformed_instances_say_what_is_wrong(root, change, message):
    edit(root / "instances.json", change)
    with pytest.raises(InvalidInputError, match=message):
        read_coco(root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda refs: refs[0].pop("ann_id"), "ref 7: a ref needs `ann_id`"),
        (lambda refs: refs[1].update(ann_ids=2), "ref 8: a ref needs `ann_id`, or `ann_ids` as a list"),
        (lambda refs: refs[1].pop("sentences"), "ref 8: a ref needs .*; received the keys ref_id, ann_ids, split"),
        (lambda refs: refs[1].update(ann_ids=[1, 3]), "ref 8: the annotations of one ref are of one image"),
        (lambda refs: refs[1].update(ann_ids=[1, 30]), "ref 8 is about id 30"),
        (lambda refs: refs[0].update(ann_id=[1, 2]), r"ref 7 is about id \[1, 2\], which `annotations`"),
        (lambda refs: refs[2].pop("image_id"), "ref 9 is about id None, which `images`"),
    ],
)
def test_malformed_refs_say_what_is_wrong(root_with_refs, change, message):
    edit(root_with_refs / "refs.json", change)
    with pytest.raises(InvalidInputError, match=message):
        read_coco(root_with_refs)


def test_published_files_may_hold_an_id_twice_and_mean_the_last(root):
    edit(root / "instances.json", lambda c: c["annotations"].append({**c["annotations"][0], "category_id": 7}))
    assert read_instances(root / "instances.json", last_of_equal_ids=True).annotations[1]["category_id"] == 7


def test_refs_that_are_no_list_are_refused(root_with_refs):
    (root_with_refs / "refs.json").write_text('{"refs": []}')
    with pytest.raises(InvalidInputError, match=r"refs\.json` must be a list of refs"):
        read_coco(root_with_refs)


def test_damaged_json_is_named(root):
    (root / "instances.json").write_text("{")
    with pytest.raises(InvalidInputError, match=r"instances\.json` cannot be read as JSON"):
        read_coco(root)
