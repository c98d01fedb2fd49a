from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.features import shapes
from shapely.geometry import Polygon, box, shape

from rs2sam.raster.georeference import Georeference
from rs2sam.vector.vectorize import fill, mask_polygons, mask_regions, trace


def as_mask(*rows: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


RING = as_mask("####", "#..#", "####", "....")
CORNERS = as_mask("##..", "##..", "..##", "..##")


def test_hole_is_kept():
    (polygon,) = mask_polygons(RING)
    assert polygon.equals(Polygon(box(0, 0, 4, 3).exterior, [box(1, 1, 3, 2).exterior]))


def test_pixels_that_touch_at_a_corner_are_two_regions():
    assert [polygon.bounds for polygon in mask_polygons(CORNERS)] == [(0, 0, 2, 2), (2, 2, 4, 4)]


def test_regions_are_ordered_by_size():
    mask = as_mask("#..#", "...#", ".#.#", ".#..")
    assert [region.num_pixels for region in mask_regions(mask, np.ones((4, 4), np.float32))] == [3, 2, 1]


def test_mean_probability_and_pixels_are_those_inside():
    probability = np.arange(16, dtype=np.float32).reshape(4, 4) / 16
    first, second = mask_regions(CORNERS, probability)
    assert first.num_pixels == second.num_pixels == 4
    assert first.mean_probability == pytest.approx((0 + 1 + 4 + 5) / 4 / 16)
    assert second.mean_probability == pytest.approx((10 + 11 + 14 + 15) / 4 / 16)
    assert first.area_m2 is None


def test_empty_mask_has_no_polygons():
    empty = np.zeros((4, 4), dtype=bool)
    assert mask_polygons(empty) == []
    assert mask_regions(empty, np.zeros((4, 4), np.float32)) == []
    assert not fill([], 0, 4, 4).any()


@pytest.mark.parametrize(
    ("transform", "corners"),
    [
        (Affine(2, 0, 100, 0, -3, 50), {(100, 50), (104, 50), (104, 44), (100, 44)}),
        (Affine(2, 0, 100, 0, 3, 50), {(100, 50), (104, 50), (104, 56), (100, 56)}),
        # A quarter turn: columns go north, rows go east.
        (Affine(0, 3, 100, 2, 0, 50), {(100, 50), (100, 54), (106, 54), (106, 50)}),
    ],
    ids=["north up", "south up", "rotated"],
)
def test_transform_is_applied_exactly(transform, corners):
    polygon = mask_polygons(CORNERS, Georeference(transform, CRS.from_epsg(32632)))[0]
    assert set(polygon.exterior.coords) == corners


@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_polygons_are_valid_and_cover_the_mask_exactly(mask):
    outlines = trace(mask)
    assert all(outline.is_valid for outline in outlines)
    assert sum(outline.area for outline in outlines) == mask.sum()
    np.testing.assert_array_equal(fill(outlines, 0, *mask.shape), mask)


def test_polygons_are_those_of_gdal():
    """An independent tracer: corners, holes and all."""
    random = np.random.default_rng(0)
    for density in (0.2, 0.5, 0.6, 0.8):
        mask = random.random((40, 50)) < density
        theirs = [shape(outline) for outline, _ in shapes(mask.astype(np.uint8), mask=mask, connectivity=4)]
        assert {polygon.normalize().wkb for polygon in trace(mask)} == {polygon.normalize().wkb for polygon in theirs}


@pytest.mark.parametrize(("top", "height"), [(0, 4), (1, 2), (3, 1), (1, 0), (2, 9)])
def test_some_rows_of_a_mask_are_filled(top, height):
    expected = np.zeros((height, 4), dtype=bool)
    rows = RING[top : top + height]
    expected[: len(rows)] = rows
    np.testing.assert_array_equal(fill(trace(RING), top, height, 4), expected)
