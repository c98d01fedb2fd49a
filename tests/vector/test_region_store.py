from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rs2sam.errors import InvalidInputError
from rs2sam.vector.region_store import RegionStore, mask_of_rows
from tests.vector.test_regions import UTM, as_mask, collect, values

# Three regions of 3, 1 and 8 pixels; their first pixels are 0, 5 and 9.
MASK = as_mask("##...#", "#..#..", "...#..", ".###..", ".###..")


@pytest.fixture
def store(tmp_path):
    with RegionStore(tmp_path / "regions") as store:
        store.add(collect(MASK, georeference=UTM))
        yield store


def test_regions_come_back_as_they_were_largest_first(store):
    expected = sorted(collect(MASK, georeference=UTM), key=lambda region: (-region.num_pixels, region.first_pixel))
    assert values(store.kept()) == values(expected)
    assert [region.num_pixels for region in expected] == [8, 3, 1]


def test_candidates_say_where_and_how_large(store):
    first, second, third = store.candidates()
    assert [one.first_pixel for one in (first, second, third)] == [0, 5, 9]
    assert (first.area_px, first.bounds) == (3, (0, 0, 2, 2))
    assert first.centroid_xy == pytest.approx(((0.5 + 1.5 + 0.5) / 3, (0.5 + 0.5 + 1.5) / 3))
    assert second.area_m2 == pytest.approx(0.25, rel=1e-3)
    assert third.bounds == (1, 1, 4, 5)
    assert 0 < third.mean_probability < 1


def test_only_chosen_regions_are_kept(store):
    store.keep([5, 9])
    store.keep([9, 0])
    assert [region.first_pixel for region in store.kept()] == [9]


@pytest.mark.parametrize(
    ("least", "unit", "left"), [(3, "px", [0, 9]), (3.01, "px", [9]), (0.5, "m2", [0, 9]), (9, "m2", [])]
)
def test_small_regions_are_dropped(store, least, unit, left):
    store.drop_small(least, unit)
    assert [one.first_pixel for one in store.candidates()] == left


def test_regions_of_unknown_area_are_not_too_small(tmp_path):
    with RegionStore(tmp_path / "regions") as store:
        store.add(collect(MASK))
        store.drop_small(1000, "m2")
        assert len(store.candidates()) == 3
        assert store.totals().area_m2 is None


def test_totals_are_those_of_the_kept(store):
    store.keep([0, 9])
    kept = list(store.kept())
    totals = store.totals()
    assert (totals.num_regions, totals.num_pixels) == (2, 11)
    assert totals.area_m2 == pytest.approx(sum(region.area_m2 for region in kept))
    assert totals.mean_probability == pytest.approx(
        sum(region.num_pixels * region.mean_probability for region in kept) / 11
    )


def test_an_empty_store_has_an_empty_mask_and_no_area(tmp_path):
    with RegionStore(tmp_path / "regions") as store:
        store.add([])
        assert (store.totals().num_regions, store.totals().area_m2, store.totals().mean_probability) == (0, 0, None)
        assert not mask_of_rows(store, 0, 3, 4).any()


@pytest.mark.parametrize(("top", "bottom", "found"), [(0, 1, [0, 5]), (1, 2, [0, 9]), (2, 5, [9]), (5, 9, [])])
def test_regions_are_found_by_their_rows(store, top, bottom, found):
    numbers = {region.outline.wkb: region.first_pixel for region in store.kept()}
    assert sorted(numbers[outline.wkb] for outline in store.outlines_in_rows(top, bottom)) == found


def test_dropped_regions_are_not_in_the_mask(store):
    store.keep([0])
    expected = MASK.copy()
    expected[:, 2:] = False
    expected[2:] = False
    np.testing.assert_array_equal(mask_of_rows(store, 0, 5, 6), expected)


@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 10))), st.integers(0, 12), st.integers(0, 12))
def test_mask_comes_back_in_any_rows(mask, top, height):
    with RegionStore(":memory:") as store:
        store.add(collect(mask))
        expected = np.zeros((height, mask.shape[1]), dtype=bool)
        rows = mask[top : top + height]
        expected[: len(rows)] = rows
        np.testing.assert_array_equal(mask_of_rows(store, top, height, mask.shape[1]), expected)


def test_a_region_is_added_once_and_a_failed_batch_not_at_all(store):
    regions = collect(as_mask("......", "#....#"))
    with pytest.raises(InvalidInputError, match="twice"):
        store.add([*regions, collect(MASK)[0]])
    assert len(store.candidates()) == 3


def test_a_store_is_opened_again(tmp_path):
    with RegionStore(tmp_path / "regions") as store:
        store.add(collect(MASK))
        store.keep([0])
    with RegionStore(tmp_path / "regions") as store:
        assert [one.first_pixel for one in store.candidates()] == [0]


def test_another_file_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no database, but longer than the header of one" * 10)
    with pytest.raises(InvalidInputError, match="neither"):
        RegionStore(tmp_path / "notes.txt")
