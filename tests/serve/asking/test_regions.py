from __future__ import annotations

import numpy as np
import pytest
import shapely

from rs2sam.raster.read import scene_of
from rs2sam.raster.source import ReadOptions
from rs2sam.serve.asking.found import MOST_SHARE
from rs2sam.serve.asking.regions import LEAST_BELIEF, piece_at, region_at, regions_in
from rs2sam.vector.vectorize import pixel_regions
from tests.make_rasters import GREEN, RED, objects, paint

SMALL = (75, 50)
"""(x, y) in the small rectangle of `objects`."""
GROUND = (60, 30)


def scene(rgb=None, valid=None):
    rgb = paint(objects()) if rgb is None else rgb
    if valid is not None:
        rgb = np.ma.masked_array(rgb, np.repeat(~valid[..., None], 3, axis=2))
    return scene_of(rgb, ReadOptions(), None)


def believed(at_objects, at_ground):
    return np.where(objects(), np.float32(at_objects), np.float32(at_ground))


def plain():
    """Ground alone, with the noise of a camera."""
    noise = np.random.default_rng(0).integers(-4, 5, (64, 96, 3))
    return (np.uint8(GREEN) + noise).astype(np.uint8)


@pytest.mark.parametrize("seed", range(6))
def test_a_piece_is_the_region_that_holds_the_pixel(seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((23, 31)) < 0.6
    regions = pixel_regions(mask, np.zeros(mask.shape, np.float32), None)
    for row, col in rng.integers(0, (23, 31), (20, 2)):
        middle = shapely.Point(col + 0.5, row + 0.5)
        expected = next((one.num_pixels for one in regions if one.outline.contains(middle)), 0)
        piece = piece_at(mask, (col, row))
        assert (piece.sum(), piece[row, col]) == (expected, mask[row, col])
        assert not (piece & ~mask).any()


def test_what_is_half_believed_is_one_bounded_region():
    found = region_at(SMALL, believed(0.4, 0.1), scene(), 0.5)
    assert (found.source, found.why, [one.num_pixels for one in found.regions]) == ("probability", None, [100])


def test_half_believed_ground_is_not_added_with_the_thing_on_it():
    # Down to half of 0.6 the region would be the whole image.
    found = region_at(SMALL, believed(0.6, 0.35), scene(), 0.5)
    assert (found.source, [one.num_pixels for one in found.regions]) == ("probability", [100])


@pytest.mark.parametrize("belief", [0.0, 0.06, LEAST_BELIEF - 0.01, LEAST_BELIEF + 0.1])
def test_a_click_on_plain_ground_adds_nothing_and_says_why(belief):
    found = region_at(GROUND, np.full((64, 96), belief, np.float32), scene(plain()), 0.5)
    assert (list(found.regions), found.source) == ([], "nothing")
    assert found.why == (
        "What lies here covers 100% of the image, and a click adds up to 25%. Draw a box around the part that is meant."
    )


@pytest.mark.parametrize("belief", [None, 0.06, 0.2])
def test_a_thing_that_the_model_does_not_see_is_found_by_its_colour(belief):
    probability = None if belief is None else np.full((64, 96), belief, np.float32)
    found = region_at((25, 25), probability, scene(), 0.5)
    assert found.source == "colour"
    assert found.regions[0].num_pixels == pytest.approx(576, abs=140)  # the blur takes a pixel along the edges


def test_no_click_adds_more_than_its_share():
    rng = np.random.default_rng(1)
    rgb = np.repeat(np.repeat(rng.integers(0, 256, (8, 12, 3)), 8, axis=0), 8, axis=1).astype(np.uint8)
    seen = scene(rgb)
    probability = rng.random((64, 96), dtype=np.float32)
    for x, y in rng.integers(0, (96, 64), (40, 2)):
        found = region_at((x, y), probability, seen, 0.5)
        assert sum(one.num_pixels for one in found.regions) <= MOST_SHARE * 64 * 96
        assert bool(found.regions) == (found.why is None)


def test_a_speck_stands_out_nowhere():
    # A pixel of noise amid noise: nothing around has its colour.
    rgb = np.random.default_rng(2).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    rgb[30:33, 60:63] = RED
    rgb[31, 61] = GREEN
    rgb[29:34, 59:64][[0, -1]] = rgb[29:34, 59:64][:, [0, -1]] = (0, 0, 255)
    assert region_at((61, 31), None, scene(rgb), 0.5).why == "Nothing stands out here."


def test_outside_and_without_data_nothing_can_lie():
    valid = np.ones((64, 96), bool)
    valid[:, 50:] = False
    seen = scene(valid=valid)
    assert region_at((96, 10), None, seen, 0.5).why == "The click lies outside the image."
    assert region_at((-0.5, 10), None, seen, 0.5).why == "The click lies outside the image."
    assert region_at(GROUND, None, seen, 0.5).why == "The image has no data here."
    assert regions_in((200, 10, 220, 30), None, seen).why == "The box lies outside the image."
    assert regions_in((60, 10, 80, 30), None, seen).why == "Nothing stands out in the box."


def test_a_box_adds_what_fills_it_from_whichever_corner_it_was_drawn():
    by_belief = regions_in((85, 60, 65, 40), believed(0.4, 0.1), scene())
    assert (by_belief.source, [one.num_pixels for one in by_belief.regions]) == ("probability", [100])
    by_colour = regions_in((65, 40, 85, 60), believed(0.2, 0.06), scene())
    assert by_colour.source == "colour"
    (region,) = by_colour.regions
    assert region.num_pixels == pytest.approx(100, abs=40)
    assert region.outline.within(shapely.box(65, 40, 85, 60))


def test_a_box_on_plain_ground_stays_in_the_box():
    found = regions_in((10, 10, 30, 20), np.full((64, 96), 0.06, np.float32), scene(plain()))
    assert (found.source, found.regions[0].bounds) == ("colour", (10, 10, 30, 20))
