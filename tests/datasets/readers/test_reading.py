from __future__ import annotations

import pickle

import numpy as np
import pytest

from rs2sam.datasets.readers.reading import FORMATS, ReferringData, open_dataset
from rs2sam.errors import DataNotFoundError, InvalidInputError
from tests.datasets.make_formats import write_coco, write_jsonl, write_refsegrs, write_rrsisd

WRITERS = {"rrsisd": write_rrsisd, "refsegrs": write_refsegrs, "jsonl": write_jsonl, "coco": write_coco}
COUNTS = {"rrsisd": 7, "refsegrs": 6, "jsonl": 6, "coco": 4}


@pytest.fixture(params=WRITERS)
def data(request, tmp_path) -> ReferringData:
    return open_dataset(WRITERS[request.param](tmp_path / request.param))


def test_every_format_has_a_tiny_copy():
    assert set(FORMATS) == set(WRITERS)


def test_format_is_recognised(data):
    assert data.format == data.root.name
    assert len(data) == COUNTS[data.format] == len(data.samples())


def test_splits_partition_the_samples(data):
    assert set(data.splits) <= {"train", "val", "test"}
    parts = [sample.id for split in data.splits for sample in data.samples(split)]
    assert sorted(parts) == sorted(sample.id for sample in data.samples())
    assert len(set(parts)) == len(parts)


def test_every_sample_can_be_read_and_sent_to_another_process(data):
    for sample in pickle.loads(pickle.dumps(data.samples())):
        size_hw = sample.image_size()
        pixels = sample.pixels()
        assert pixels.shape == (*size_hw, 3)
        assert pixels.dtype == np.uint8
        target = sample.target(size_hw)
        assert target.shape == size_hw
        assert target.dtype == np.bool_
        assert sample.sentence == sample.sentence.strip()


def test_unknown_split_says_which_there_are(data):
    with pytest.raises(DataNotFoundError, match=rf"no split `dev` in .* \({data.format}\); it has: .*train"):
        data.samples("dev")


def test_split_of_data_without_splits_says_to_leave_it_out(tmp_path):
    (tmp_path / "data.jsonl").write_text('{"image": "a.png", "sentence": "a", "mask": null}')
    data = open_dataset(tmp_path)
    assert data.splits == ()
    assert len(data.samples()) == 1
    with pytest.raises(DataNotFoundError, match="its samples have no split, leave it out"):
        data.samples("train")


def test_file_of_json_lines_and_text_paths_are_opened(tmp_path):
    root = write_jsonl(tmp_path / "data")
    assert len(open_dataset(str(root / "annotations.jsonl"))) == 6


def test_format_may_be_named(tmp_path):
    root = write_coco(tmp_path / "data")
    assert open_dataset(root, "coco").format == "coco"
    with pytest.raises(DataNotFoundError, match=r"RRSIS-D not found: .*refs\(unc\)\.p"):
        open_dataset(root, "rrsisd")


def test_folder_of_two_formats_asks_which(tmp_path):
    root = tmp_path / "data"
    write_coco(root)
    (root / "notes.jsonl").write_text("{}")
    with pytest.raises(InvalidInputError, match=r"looks like several formats: jsonl, coco\. Say which"):
        open_dataset(root)
    assert open_dataset(root, "coco").format == "coco"


def test_unknown_format_and_unknown_folder_say_what_each_format_looks_like(tmp_path):
    for format in (None, "voc"):
        with pytest.raises(DataNotFoundError) as error:
            open_dataset(tmp_path, format)
        for name, known in FORMATS.items():
            assert f"  {name}: {known.looks_like}" in str(error.value)


def test_folder_beside_the_data_is_pointed_out(tmp_path):
    root = write_rrsisd(tmp_path / "data")
    with pytest.raises(DataNotFoundError, match=rf"Did you mean `{root}` \(rrsisd\)\?"):
        open_dataset(root / "images")
    with pytest.raises(DataNotFoundError, match=rf"Did you mean `{root}` \(rrsisd\)\?"):
        open_dataset(tmp_path)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"gone` does not exist"):
        open_dataset(tmp_path / "gone")
