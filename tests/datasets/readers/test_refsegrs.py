from __future__ import annotations

import numpy as np
import pytest

from rs2sam.datasets.readers.refsegrs import read_refsegrs
from rs2sam.errors import DataNotFoundError, InvalidImageError, InvalidInputError
from tests.datasets.make_formats import square, write_refsegrs


@pytest.fixture
def root(tmp_path):
    return write_refsegrs(tmp_path / "data")


def test_every_line_is_a_sample(root):
    samples = read_refsegrs(root)
    assert [sample.id for sample in samples] == ["train-1", "train-2", "train-3", "val-1", "test-1", "test-2"]
    assert [sample.split for sample in samples] == ["train"] * 3 + ["val"] + ["test"] * 2
    assert [sample.image_id for sample in samples] == ["1", "1", "2", "3", "4", "5"]
    assert samples[1].sentence == "light-duty vehicle on the left"
    assert samples[1].image == root / "images" / "1.tif"
    assert samples[1].pixels().shape == (64, 64, 3)


def test_sentences_have_no_white_space_around_them_and_keep_it_for_the_published_tokenizer(root):
    samples = read_refsegrs(root)
    assert [sample.sentence for sample in samples[2:4]] == ["building in the middle", "road marking"]
    assert [sample.published_sentence for sample in samples[2:4]] == ["building in the middle \n", "road marking"]


def test_lines_of_windows_are_read_as_the_published_code_reads_them(root):
    (root / "output_phrase_train.txt").write_bytes(b"\xef\xbb\xbf1 vehicle\r\n\r\n2 building\r\n")
    samples = [sample for sample in read_refsegrs(root) if sample.split == "train"]
    assert [(sample.id, sample.image_id, sample.published_sentence) for sample in samples] == [
        ("train-1", "1", "vehicle\n"),
        ("train-3", "2", "building\n"),
    ]


def test_foreground_is_brighter_than_50_in_files_of_every_kind(root):
    by_image = {sample.image_id: sample.target((64, 64)) for sample in read_refsegrs(root)}
    # 1: grey with a square of 50; 2: 16 bits; 3: palette; 4: RGB; 5: one bit, empty.
    for name, (x, y) in {"1": (4, 4), "2": (20, 20), "3": (40, 8), "4": (8, 40)}.items():
        np.testing.assert_array_equal(by_image[name], square(x, y))
    assert not by_image["5"].any()


def test_splits_without_a_file_are_left_out(root):
    (root / "output_phrase_train.txt").unlink()
    assert {sample.split for sample in read_refsegrs(root)} == {"val", "test"}


@pytest.mark.parametrize("line", ["7", "7 ", " vehicle"])
def test_line_without_a_phrase_is_named(root, line):
    (root / "output_phrase_val.txt").write_text(f"3 road marking\n{line}\n")
    with pytest.raises(InvalidInputError, match=r"output_phrase_val\.txt`, line 2: a line is `<image name> <phrase>`"):
        read_refsegrs(root)


def test_text_that_is_not_utf_8_is_named(root):
    (root / "output_phrase_val.txt").write_bytes(b"3 stra\xdfe\n")
    with pytest.raises(InvalidInputError, match=r"output_phrase_val\.txt` must be UTF-8"):
        read_refsegrs(root)


@pytest.mark.parametrize("part", ["images", "masks"])
def test_missing_folder_is_named(root, part):
    (root / part).rename(root / "elsewhere")
    with pytest.raises(DataNotFoundError, match=rf"has no `{part}/`. Point `root` at the folder that holds"):
        read_refsegrs(root)


def test_missing_and_damaged_files_are_named_with_their_split(root):
    (root / "images" / "3.tif").unlink()
    (root / "masks" / "3.tif").write_bytes(b"no picture")
    sample = next(sample for sample in read_refsegrs(root) if sample.split == "val")
    with pytest.raises(DataNotFoundError, match=r"images.3\.tif`.*sample `val-1` of split `val`"):
        sample.pixels()
    with pytest.raises(InvalidImageError, match=r"masks.3\.tif. .*sample `val-1` of split `val`"):
        sample.target((64, 64))


@pytest.mark.parametrize("name", ["1\0", "x" * 300, "x/" * 3000])
def test_a_name_that_no_image_has_is_named_with_its_line(root, name):
    (root / "output_phrase_train.txt").write_text(f"1 vehicle\n{name} building\n")
    with pytest.raises(InvalidInputError, match="line 2: an image is the path of a file"):
        read_refsegrs(root)
