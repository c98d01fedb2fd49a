from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rs2sam.datasets.base import LabelRegions
from rs2sam.datasets.mixing.mosaic import FarMosaics, far_mosaics, mosaic, turned_mosaics
from rs2sam.errors import InvalidInputError
from tests.datasets.scenes import SIDE, rectangle, scene


def part(category: str, exhaustive=("airplane", "ship"), **regions):
    annotated = scene([rectangle(category, 5, 7, 10, 4)], exhaustive=set(exhaustive))
    return replace(annotated, regions=regions)


def test_parts_stand_in_reading_order_with_their_masks():
    parts = [part("airplane"), part("ship"), part("ship"), part("airplane")]
    whole = mosaic(parts)
    assert whole.size_hw == (2 * SIDE, 2 * SIDE)
    for number, (y, x) in enumerate([(0, 0), (0, SIDE), (SIDE, 0), (SIDE, SIDE)]):
        here = (slice(y, y + SIDE), slice(x, x + SIDE))
        np.testing.assert_array_equal(whole.pixels()[here], parts[number].pixels())
        for category in ("airplane", "ship"):
            np.testing.assert_array_equal(whole.category_mask(category)[here], parts[number].category_mask(category))


def test_a_category_is_exhaustive_only_where_it_is_in_every_part():
    parts = [part("airplane"), part("ship"), part("ship", exhaustive=("ship",)), part("ship")]
    assert mosaic(parts).exhaustive_categories == {"ship"}


def test_a_region_that_one_part_lacks_is_empty_there():
    water = np.ones((SIDE, SIDE), dtype=bool)
    whole = mosaic([part("ship", water=water), part("ship"), part("ship"), part("ship")])
    assert whole.regions["water"][:SIDE, :SIDE].all()
    assert whole.regions["water"].sum() == SIDE * SIDE


def test_parts_of_other_numbers_or_sizes_are_refused():
    with pytest.raises(InvalidInputError, match="received 3 of sizes"):
        mosaic([part("ship")] * 3)
    odd = replace(part("ship"), size_hw=(SIDE, SIDE + 1))
    with pytest.raises(InvalidInputError, match="one size"):
        mosaic([part("ship")] * 3 + [odd])


def test_nine_parts_make_a_mosaic_too():
    parts = [part("ship" if number == 5 else "airplane") for number in range(9)]
    whole = mosaic(parts)
    assert whole.size_hw == (3 * SIDE, 3 * SIDE)
    assert whole.category_mask("ship").any(axis=1).nonzero()[0].min() == SIDE + 7
    assert whole.category_mask("ship").any(axis=0).nonzero()[0].min() == 2 * SIDE + 5


def test_label_maps_stay_label_maps():
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[:10] = 1
    first = replace(part("ship"), regions=LabelRegions(labels, ("water",)))
    other = replace(part("ship"), regions=LabelRegions(labels, ("road",)))
    whole = mosaic([first, other, first, first])
    assert isinstance(whole.regions, LabelRegions)
    assert [whole.regions[name].sum() for name in ("water", "road")] == [3 * 10 * SIDE, 10 * SIDE]
    assert whole.regions["road"][:10, SIDE:].all()


def test_far_mosaics_show_all_of_many_images_from_farther_away():
    road = np.zeros((SIDE, SIDE), bool)
    road[:, :50] = True
    unknown = np.zeros((SIDE, SIDE), bool)
    unknown[60:80] = True
    near = scene([rectangle("vehicle", 20, 20, 40, 20)], {"road": road}, exhaustive={"vehicle", "bridge"})
    near = replace(near, split="train", gsd_m=0.05, unknown=unknown)
    form = FarMosaics("near", sides=(100, 80), count=3, cells=(2, 4))
    made = far_mosaics([near, near], "far", form, np.random.default_rng(0))
    assert [one.size_hw[0] for one in made] == [100, 100, 100, 80, 80, 80]
    assert [len(one.instances) for one in made] == [4, 16, 4, 4, 16, 4]
    for one, cells in zip(made, (2, 4, 2, 2, 4, 2), strict=True):
        assert one.category_mask("vehicle").mean() == pytest.approx(0.08, abs=0.02)
        assert one.regions["road"].mean() == pytest.approx(0.5, abs=0.05)
        assert one.unknown.mean() == pytest.approx(0.2, abs=0.05)
        assert one.exhaustive_categories == {"vehicle", "bridge"}
        assert one.gsd_m == pytest.approx(0.05 * SIDE * cells / one.size_hw[0])
        assert (one.source, one.split) == ("far", "train")
    assert len({one.id for one in made}) == 6
    with pytest.raises(InvalidInputError, match="training images of `near`, of which there are none"):
        far_mosaics([], "far", form, np.random.default_rng(0))


def test_what_vanishes_in_one_cell_is_exhaustive_in_none():
    speck = replace(scene([rectangle("vehicle", 0, 0, 2, 2)], exhaustive={"vehicle", "ship"}), split="train")
    (made,) = far_mosaics([speck], "far", FarMosaics("near", (16,), 1, (2,)), np.random.default_rng(0))
    assert made.exhaustive_categories == {"ship"}


def test_turned_mosaics_hold_every_image_once_a_round():
    tiles = []
    for number in range(10):
        pixels = np.full((SIDE, SIDE, 3), 10 * number, np.uint8)
        pixels[:50, :50] += 5  # one corner
        tiles.append(replace(part("ship"), image=pixels, id=str(number)))
    made = turned_mosaics(tiles, cells=3, rounds=2, rng=np.random.default_rng(0))
    assert [one.size_hw for one in made] == [(3 * SIDE, 3 * SIDE)] * 2
    corners = set()
    for one in made:
        cells = one.pixels()[..., 0].reshape(3, SIDE, 3, SIDE).transpose(0, 2, 1, 3).reshape(9, SIDE, SIDE)
        assert len({int(cell.min()) for cell in cells}) == 9
        corners |= {(int(cell[0, 0] > cell.min()), int(cell[0, -1] > cell.min())) for cell in cells}
    assert len(corners) == 3
    assert [len(one.instances) for one in made] == [9, 9]
