from __future__ import annotations

import numpy as np
import pytest

from rs2sam.errors import InvalidInputError
from rs2sam.pictures import Picture, as_pictures, as_taken, one_per_run, one_per_sentence, sentences_per_picture
from tests.small_model import small_processor


def test_sentences_are_shared_out_evenly_and_in_order():
    assert sentences_per_picture(2, 6) == 3
    assert one_per_sentence(np.array([[1], [2]]), 4).tolist() == [[1], [1], [2], [2]]


def test_as_many_pictures_as_sentences_are_not_copied():
    images = np.zeros((3, 2))
    assert one_per_sentence(images, 3) is images


@pytest.mark.parametrize(("pictures", "sentences"), [(2, 3), (3, 2), (0, 1)])
def test_what_cannot_be_shared_out_evenly_is_refused(pictures, sentences):
    with pytest.raises(InvalidInputError, match=f"received {pictures} pictures and {sentences} sentences"):
        sentences_per_picture(pictures, sentences)


def test_a_graph_takes_pictures_as_they_are_or_one_for_each_sentence():
    images = (np.array([1, 2]), np.array([3, 4]))
    assert [array.tolist() for array in as_taken(images, 4, is_shared=True)] == [[1, 2], [3, 4]]
    assert [array.tolist() for array in as_taken(images, 4, is_shared=False)] == [[1, 1, 2, 2], [3, 3, 4, 4]]
    with pytest.raises(InvalidInputError, match="2 pictures and 3 sentences"):
        as_taken(images, 3, is_shared=True)


@pytest.mark.parametrize(
    ("batch", "shared"),
    [
        ("A", "A"),
        ("AAA", "A"),
        ("AABB", "AB"),
        ("AAAABB", "AAB"),
        ("AAB", "AAB"),
        ("ABAB", "ABAB"),
        ("AAABBA", "AAABBA"),
    ],
)
def test_the_fewest_pictures_are_given_that_go_evenly(batch, shared):
    pictures = {name: Picture(np.zeros((1, 1, 3), np.uint8)) for name in "AB"}
    assert one_per_run([pictures[name] for name in batch]) == [pictures[name] for name in shared]


def test_one_picture_stands_for_an_array_in_a_row():
    first, second = np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1, 3), np.uint8)
    made = [picture for picture, _ in as_pictures([(first, "a"), (first, "b"), (second, "c"), (first, "d")])]
    assert made[0] is made[1]
    assert [picture.rgb is first for picture in made] == [True, True, False, True]
    assert made[3] is not made[0]


def test_inputs_and_mirror_image_are_made_once():
    picture, processor = Picture(np.arange(12, dtype=np.uint8).reshape(2, 2, 3)), small_processor()
    assert picture.inputs(processor) is picture.inputs(processor)
    assert picture.mirrored is picture.mirrored
    assert picture.mirrored.rgb[:, :, 0].tolist() == [[3, 0], [9, 6]]


def test_the_last_few_parts_of_a_picture_are_kept():
    picture = Picture(np.arange(300, dtype=np.uint8).reshape(10, 10, 3))
    first = picture.part(slice(2, 5), slice(3, 7))
    np.testing.assert_array_equal(first.rgb, picture.rgb[2:5, 3:7])
    others = [picture.part(slice(0, 3), slice(start, start + 4)) for start in range(3)]
    assert picture.part(slice(2, 5), slice(3, 7)) is first
    assert picture.part(slice(0, 3), slice(0, 4)) is others[0]
    for start in range(2, 6):
        picture.part(slice(5, 8), slice(start, start + 4))
    assert picture.part(slice(2, 5), slice(3, 7)) is not first
