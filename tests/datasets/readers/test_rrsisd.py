from __future__ import annotations

import json
import os
import pickle
import struct

import numpy as np
import pytest
from PIL import Image

from rs2sam.datasets.readers.rrsisd import IMAGE_FOLDER, INSTANCES_FILE, REFS_FILE, read_plain_pickle, read_rrsisd
from rs2sam.errors import DataNotFoundError, InvalidInputError
from tests.datasets.make_formats import square, write_rrsisd


@pytest.fixture
def root(tmp_path):
    return write_rrsisd(tmp_path / "data")


def edit_refs(root, change):
    path = root / REFS_FILE
    refs = pickle.loads(path.read_bytes())
    change(refs)
    path.write_bytes(pickle.dumps(refs))


def test_every_sentence_of_a_ref_is_a_sample_of_its_own(root):
    samples = read_rrsisd(root)
    assert [sample.id for sample in samples] == ["0-0", "0-1", "1-0", "2-0", "3-0", "4-0", "5-0"]
    first, second = samples[:2]
    assert (first.sentence, second.sentence) == ("the red square on the left", "a red square beside the edge")
    assert first.ref_id == second.ref_id == "0"
    assert first.image_id == second.image_id == "1"
    assert first.image == root / "images" / "rrsisd" / "JPEGImages" / "00001.jpg"
    assert [sample.split for sample in samples] == ["train"] * 3 + ["val"] + ["test"] * 3
    assert [sample.category for sample in samples[1:4]] == ["vehicle", "storagetank", "vehicle"]


def test_masks_keep_pixels_that_exactly_one_segment_covers(root):
    samples = {sample.id: sample for sample in read_rrsisd(root)}
    np.testing.assert_array_equal(samples["0-0"].target((64, 64)), square(0, 24))
    np.testing.assert_array_equal(samples["1-0"].target((64, 64)), square(8, 8) ^ square(16, 8))
    np.testing.assert_array_equal(samples["2-0"].target((64, 64)), square(24, 24) ^ square(32, 24))
    np.testing.assert_array_equal(samples["3-0"].target((64, 64)), square(24, 0))


def test_newline_is_dropped_from_the_sentence_and_kept_for_the_published_tokenizer(root):
    sample = read_rrsisd(root)[3]
    assert sample.sentence == "the square in the middle"
    assert sample.published_sentence == "the square in the middle\n"
    assert read_rrsisd(root)[0].published_sentence == "the red square on the left"


@pytest.mark.parametrize(("position", "height"), [(5, 65), (6, 63)])
def test_masks_of_the_two_odd_images_are_brought_to_their_size(root, position, height):
    sample = read_rrsisd(root)[position]
    assert sample.image_size() == sample.pixels().shape[:2] == (height, 64)
    assert sample.annotation().shape == (64, 64)
    target = sample.target((height, 64))
    assert target.shape == (height, 64)
    red = sample.pixels()[..., 0] > 150
    # The squares differ by a row at most, where the nearest step of 64/65 or 64/63 falls into them.
    assert (red ^ target).sum() <= 2 * 16
    # As published: one nearest step from 64 x 64 to the model's size, whatever the image's size.
    picture = Image.fromarray(sample.annotation().astype(np.uint8)).resize((96, 96), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(sample.target((height, 64), (96, 96)), np.asarray(picture) > 0)


def test_test_split_takes_its_parts(root):
    edit_refs(root, lambda refs: refs[-1].update(split="testA"))
    assert [sample.split for sample in read_rrsisd(root)][-2:] == ["test", "test"]


def test_refs_that_come_twice_get_distinct_ids(root):
    edit_refs(root, lambda refs: refs.append(refs[-1]))
    assert [sample.id for sample in read_rrsisd(root)][-2:] == ["5-0", "5-0~2"]


@pytest.mark.parametrize("part", [REFS_FILE, INSTANCES_FILE, IMAGE_FOLDER])
def test_missing_part_is_named(root, part):
    (root / part).rename(root / "elsewhere")
    with pytest.raises(DataNotFoundError) as error:
        read_rrsisd(root)
    assert f"`root='{root}'` has no `{part.as_posix()}`. Point `root` at the folder that holds" in str(error.value)


def test_missing_image_is_named_with_its_split_when_it_is_read(root):
    (root / IMAGE_FOLDER / "00003.jpg").unlink()
    sample = read_rrsisd(root)[3]
    with pytest.raises(DataNotFoundError, match=r"00003\.jpg`.*Met in sample `2-0` of split `val`"):
        sample.pixels()


def test_refs_of_another_release_are_refused(root):
    edit_refs(root, lambda refs: refs[1].update(ann_id=999))
    with pytest.raises(InvalidInputError, match=r"ref 1 is about id 999, which `annotations` of .* does not hold"):
        read_rrsisd(root)


@pytest.mark.parametrize("key", ["ref_id", "ann_id", "image_id", "split", "sentences"])
def test_ref_without_a_key_is_named(root, key):
    edit_refs(root, lambda refs: refs[2].pop(key))
    with pytest.raises(InvalidInputError, match=rf"ref 2: a ref has the keys .*; `{key}` is missing"):
        read_rrsisd(root)


def test_empty_sentence_is_named(root):
    edit_refs(root, lambda refs: refs[0]["sentences"][0].update(raw=" \n"))
    with pytest.raises(InvalidInputError, match="ref 0: a sentence is text that is not empty"):
        read_rrsisd(root)


def test_damaged_segmentation_is_named_when_it_is_read(root):
    path = root / INSTANCES_FILE
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"][0]["counts"] = "S:a0"
    path.write_text(json.dumps(content))
    with pytest.raises(InvalidInputError, match=r"refs\(unc\)\.p`, ref 0: run lengths of size .*sample `0-0` of split"):
        read_rrsisd(root)[0].target((64, 64))


class Harmful:
    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(6))
def test_pickle_that_wants_to_run_something_is_refused_and_runs_nothing(tmp_path, protocol):
    path = tmp_path / "refs.p"
    path.write_bytes(pickle.dumps([{"ref_id": Harmful(tmp_path / "made")}], protocol=protocol))
    with pytest.raises(InvalidInputError, match=r"builtin containers and scalars only, received `(posix|nt)\.mkdir`"):
        read_plain_pickle(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", [b"eval", b"getattr", b"__import__", b"open"])
def test_builtin_functions_are_refused(tmp_path, name):
    path = tmp_path / "refs.p"
    path.write_bytes(b"cbuiltins\n" + name + b"\n(S'1'\ntR.")
    with pytest.raises(InvalidInputError, match=rf"received `builtins\.{name.decode()}`"):
        read_plain_pickle(path)


def test_classes_are_refused_even_harmless_ones(tmp_path):
    path = tmp_path / "refs.p"
    path.write_bytes(pickle.dumps([np.int64(3)]))
    with pytest.raises(InvalidInputError, match=r"received `numpy.*`"):
        read_plain_pickle(path)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back(tmp_path, protocol):
    value = [{"a": 1, "b": (2.5, None, True), "c": {3, 4}, "d": frozenset("x"), "ü": 2**70}]
    path = tmp_path / "refs.p"
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    assert read_plain_pickle(path) == value


@pytest.mark.parametrize(("raw", "text"), [("straße".encode(), "straße"), ("straße".encode("latin1"), "straße")])
def test_text_of_python_2_is_read(tmp_path, raw, text):
    path = tmp_path / "refs.p"
    # Protocol 2 as Python 2 writes `[{'raw': <bytes>}]`: its `str` is the opcode SHORT_BINSTRING.
    path.write_bytes(b"\x80\x02]}U\x03rawU" + struct.pack("B", len(raw)) + raw + b"sa.")
    assert read_plain_pickle(path) == [{"raw": text}]


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x02]", b"\x80\x02].extra"[:3], b"(lp0\nI1\n"])
def test_damaged_pickle_is_named(tmp_path, content):
    path = tmp_path / "refs.p"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"refs\.p` cannot be read as a pickle: .*Get the file"):
        read_plain_pickle(path)


def test_pickle_of_something_else_is_refused(root):
    (root / REFS_FILE).write_bytes(pickle.dumps({"refs": []}))
    with pytest.raises(InvalidInputError, match="must hold a list of refs, received dict"):
        read_rrsisd(root)


def test_python_2_text_in_another_encoding_may_not_run_anything_either(tmp_path):
    path = tmp_path / "refs.p"
    path.write_bytes(b"\x80\x02]U\x01\xdfacposix\nsystem\n(U\x01xtRa.")
    with pytest.raises(InvalidInputError, match=r"received `posix\.system`"):
        read_plain_pickle(path)
    path.write_bytes(b"\x80\x02]U\x01\xdfa(")
    with pytest.raises(InvalidInputError, match="cannot be read as a pickle"):
        read_plain_pickle(path)
