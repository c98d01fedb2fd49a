from __future__ import annotations

import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio import Affine
from rasterio.crs import CRS
from shapely.geometry import Polygon, box

from rs2sam.errors import InvalidInputError
from rs2sam.raster.georeference import Georeference
from rs2sam.vector.regions import RegionCollector

UTM = Georeference(Affine(0.5, 0, 500000, 0, -0.5, 4400000), CRS.from_epsg(32610))


def as_mask(*rows: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def probabilities(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def collect(mask, *, cuts=(), probability=None, georeference=None):
    """Regions of a mask cut into strips above these rows, by first pixel."""
    probability = probabilities(mask.shape) if probability is None else probability
    collector = RegionCollector(mask.shape, georeference)
    found, top = [], 0
    for bottom in [*cuts, len(mask)]:
        found += collector.add(top, mask[top:bottom], probability[top:bottom])
        top = bottom
    return sorted(found + collector.finish(), key=lambda region: region.first_pixel)


def values(regions):
    """Everything about regions in a form that is equal only if every bit is."""
    return [
        (region.outline.wkb, region.num_pixels, region.mean_probability, region.area_m2, region.first_pixel)
        for region in regions
    ]


@st.composite
def masks_and_cuts(draw):
    mask = draw(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 10))))
    return mask, sorted(draw(st.lists(st.integers(0, len(mask)), max_size=6)))


@given(masks_and_cuts())
def test_regions_do_not_depend_on_the_strips(case):
    mask, cuts = case
    assert values(collect(mask, cuts=cuts, georeference=UTM)) == values(collect(mask, georeference=UTM))


@pytest.mark.parametrize("density", [0.1, 0.55, 0.62, 0.9])
def test_large_masks_do_not_depend_on_the_strips(density):
    mask = np.random.default_rng(3).random((96, 130)) < density
    whole = values(collect(mask))
    assert values(collect(mask, cuts=range(1, 96))) == whole
    assert values(collect(mask, cuts=[5, 6, 40, 90])) == whole


@given(masks_and_cuts())
def test_regions_are_valid_and_hold_every_pixel_once(case):
    mask, cuts = case
    regions = collect(mask, cuts=cuts)
    assert all(region.outline.is_valid and region.outline.area == region.num_pixels for region in regions)
    assert sum(region.num_pixels for region in regions) == mask.sum()
    assert len({region.first_pixel for region in regions}) == len(regions)
    assert all(mask.ravel()[region.first_pixel] for region in regions)


@given(masks_and_cuts())
def test_mean_probability_is_exact_above_one_half(case):
    mask, cuts = case
    probability = 0.5 + probabilities(mask.shape, 1) / 2
    for region in collect(mask, cuts=cuts, probability=probability):
        row, column = np.nonzero(mask)
        inside = [
            Fraction(float(probability[y, x]))
            for y, x in zip(row.tolist(), column.tolist(), strict=True)
            if region.outline.contains(box(x, y, x + 1, y + 1))
        ]
        assert region.mean_probability == float(sum(inside) / len(inside))


def test_a_hole_across_strips_is_kept():
    ring = as_mask("####", "#..#", "#..#", "####")
    (region,) = collect(ring, cuts=[1, 2, 3])
    assert region.outline.equals(Polygon(box(0, 0, 4, 4).exterior, [box(1, 1, 3, 3).exterior]))
    assert (region.num_pixels, region.first_pixel, region.bounds) == (12, 0, (0, 0, 4, 4))


def test_arms_that_meet_later_are_one_region():
    mask = as_mask("#.#.#", "#.#.#", "#.###", "#...#", "#####")
    (region,) = collect(mask, cuts=[1, 2, 3, 4])
    assert region.num_pixels == mask.sum()
    assert region.first_pixel == 0


def test_pixels_that_touch_at_a_corner_on_a_cut_are_two_regions():
    first, second = collect(as_mask("##..", "..##"), cuts=[1])
    assert (first.bounds, second.bounds) == ((0, 0, 2, 1), (2, 1, 4, 2))
    assert (first.first_pixel, second.first_pixel) == (0, 6)


def test_an_outline_that_touches_itself_has_a_hole_instead():
    # The hole in the middle meets the outside at a corner.
    (region,) = collect(as_mask("###", "#.#", "##."), cuts=[1, 2])
    assert region.outline.is_valid
    assert [ring.bounds for ring in region.outline.interiors] == [(1, 1, 2, 2)]


def test_a_region_is_returned_by_the_strip_that_ends_it():
    collector = RegionCollector((4, 4))
    mask = as_mask("##..", "##.#", "...#", "...#")
    ones = np.ones((1, 4), np.float32)
    assert [len(collector.add(row, mask[row : row + 1], ones)) for row in range(4)] == [0, 0, 1, 0]
    assert collector.num_open == 1
    assert [region.num_pixels for region in collector.finish()] == [3]
    assert collector.num_open == 0


def test_memory_does_not_grow_with_the_height():
    block = np.random.default_rng(0).random((40, 64)) < 0.4
    block[-1] = False
    collector = RegionCollector((40 * 50, 64))
    sizes = []
    for number in range(50):
        collector.add(number * 40, block, probabilities(block.shape))
        sizes.append(len(pickle.dumps(collector)))
    # The number of the next row takes a byte more after a while.
    assert max(sizes) - min(sizes) <= 4


def test_a_collector_goes_on_after_it_was_pickled():
    mask = np.random.default_rng(1).random((20, 20)) < 0.6
    collector = RegionCollector(mask.shape, UTM)
    found = collector.add(0, mask[:9], probabilities(mask.shape)[:9])
    collector = pickle.loads(pickle.dumps(collector))
    found += collector.add(9, mask[9:], probabilities(mask.shape)[9:]) + collector.finish()
    whole = collect(mask, georeference=UTM)
    assert sorted(values(found), key=lambda value: value[-1]) == values(whole)


def test_areas_are_on_the_ellipsoid_and_none_without_a_place():
    (region,) = collect(np.ones((4, 6), bool), cuts=[2], georeference=UTM)
    # At the central meridian UTM draws everything 0.9996 times as long as it is.
    assert region.area_m2 == pytest.approx(24 * 0.25 / 0.9996**2, rel=1e-6)
    assert collect(np.ones((4, 6), bool))[0].area_m2 is None


@pytest.mark.parametrize("shape", [(0, 5), (3, 0)])
def test_a_mask_without_pixels_has_no_regions(shape):
    assert collect(np.zeros(shape, bool)) == []


@pytest.mark.parametrize(
    ("top", "shape", "said"),
    [(1, (2, 5), "start at row 0"), (0, (2, 4), "5 columns"), (0, (9, 5), "end at row 8")],
    ids=["gap", "width", "height"],
)
def test_a_strip_that_does_not_fit_is_refused(top, shape, said):
    with pytest.raises(InvalidInputError, match=said):
        RegionCollector((8, 5)).add(top, np.zeros(shape, bool), np.zeros(shape, np.float32))


def test_a_mask_with_rows_missing_is_not_finished():
    with pytest.raises(InvalidInputError, match="All 8 rows"):
        RegionCollector((8, 5)).finish()
