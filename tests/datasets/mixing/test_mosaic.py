from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rs2sam.datasets.mixing.mosaic import mosaic
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
