import numpy as np
import pytest

from rs2sam.datasets.base import AnnotatedImage, Instance
from rs2sam.datasets.mixing.pasting import Pasted
from rs2sam.errors import InvalidInputError

RED, GREY = (200, 10, 10), (90, 90, 90)


def image(side, colour, instances=(), exhaustive=(), regions=None, name="image"):
    pixels = np.full((side, side, 3), colour, dtype=np.uint8)
    return AnnotatedImage(pixels, (side, side), tuple(instances), regions or {}, frozenset(exhaustive), name, "test")


def donor(category="airplane", top=20, left=30, height=24, width=40):
    mask = np.zeros((100, 100), dtype=bool)
    mask[top : top + height, left : left + width] = True
    return image(100, RED, [Instance.from_mask(category, mask)], {category})


def test_pasted_objects_are_where_the_masks_say():
    make = Pasted([donor()], [image(160, GREY, exhaustive={"airplane"})])
    for seed in range(8):
        made = make(np.random.default_rng(seed))
        mask = made.category_mask("airplane")
        red = made.pixels()[..., 0] > 150
        assert mask.any()
        assert (red & ~mask).sum() <= 0.1 * mask.sum()  # the edge is blended over a pixel
        assert (mask & red).sum() >= 0.8 * mask.sum()


def test_a_class_is_pasted_only_where_its_annotation_is_exhaustive():
    make = Pasted([donor(), donor("vehicle")], [image(160, GREY, exhaustive={"vehicle", "water"})])
    for seed in range(8):
        assert {one.category for one in make(np.random.default_rng(seed)).instances} == {"vehicle"}


def test_objects_cover_neither_each_other_nor_what_stood_there():
    standing = Instance("building", np.ones((60, 60), dtype=bool), (50, 50))
    background = image(160, GREY, [standing], {"airplane", "building"})
    make = Pasted([donor()], [background])
    for seed in range(8):
        made = make(np.random.default_rng(seed))
        assert sum(one.area for one in made.instances) == made.union(made.instances).sum()
        np.testing.assert_array_equal(made.pixels()[55:105, 55:105], background.pixels()[55:105, 55:105])


def test_what_lies_under_an_object_leaves_its_region():
    background = image(160, GREY, exhaustive={"airplane", "land"}, regions={"land": np.ones((160, 160), dtype=bool)})
    made = Pasted([donor()], [background])(np.random.default_rng(0))
    np.testing.assert_array_equal(made.regions["land"], ~made.category_mask("airplane"))


def test_the_same_numbers_make_the_same_picture():
    make = Pasted([donor(), donor("ship")], [image(160, GREY, exhaustive={"airplane", "ship"})])
    first, second = (make(np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.pixels(), second.pixels())
    assert [one.box_xyxy for one in first.instances] == [one.box_xyxy for one in second.instances]


def test_the_background_itself_stays_as_it_is():
    background = image(160, GREY, exhaustive={"airplane"})
    Pasted([donor()], [background])(np.random.default_rng(0))
    assert (background.pixels() == GREY).all()


@pytest.mark.parametrize(
    ("donors", "backgrounds"),
    [
        ([donor("bridge")], [image(160, GREY, exhaustive={"bridge"})]),  # a bridge is one by what it crosses
        ([donor(top=0)], [image(160, GREY, exhaustive={"airplane"})]),  # cut by the border
        ([donor(height=8)], [image(160, GREY, exhaustive={"airplane"})]),  # tiny
        ([donor()], [image(160, GREY, exhaustive={"ship"})]),
        ([donor()], []),
    ],
)
def test_nothing_to_paste_is_an_error(donors, backgrounds):
    with pytest.raises(InvalidInputError, match="Pasting takes images with objects of airplane"):
        Pasted(donors, backgrounds)
