from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio import Affine
from rasterio.features import rasterize
from shapely import affinity
from shapely.geometry import Point, Polygon, box

from rs2sam.vector.orthogonal import LEAST_IOU, main_direction, square_up
from rs2sam.vector.vectorize import trace

L_SHAPE = Polygon([(30, 30), (130, 30), (130, 70), (80, 70), (80, 150), (30, 150)])


def traced(polygon: Polygon, side: int = 200) -> Polygon:
    """The outline of a polygon after it was drawn in pixels."""
    mask = rasterize([(polygon, 1)], out_shape=(side, side), transform=Affine.identity(), dtype=np.uint8)
    return trace(mask.astype(bool))[0]


def squared(polygon: Polygon, tolerance: float = 1.5) -> Polygon:
    return square_up(np.array([polygon], dtype=object), tolerance)[0]


def iou(a: Polygon, b: Polygon) -> float:
    return a.intersection(b).area / a.union(b).area


def corner_angles(polygon: Polygon) -> list[float]:
    """Degrees between neighbouring edges of the outer ring."""
    xy = np.array(polygon.exterior.coords)
    directions = np.arctan2(*np.diff(np.vstack([xy, xy[1]]), axis=0).T[::-1])
    return (np.degrees(np.diff(directions)) % 360).tolist()


@pytest.mark.parametrize("turn", [0, 7, 20, 33, 45, 61, 88])
def test_a_turned_l_shape_gets_its_six_right_angles_back(turn):
    drawn = affinity.rotate(L_SHAPE, turn)
    outline = traced(drawn)
    assert len(outline.exterior.coords) > 7 or turn == 0
    result = squared(outline)
    assert len(result.exterior.coords) == 7
    assert sorted(min(angle, 360 - angle) for angle in corner_angles(result)) == pytest.approx([90] * 6, abs=1e-6)
    assert iou(result, drawn) > 0.97
    assert result.area == pytest.approx(outline.area)


def test_the_direction_is_that_of_the_long_walls():
    ragged = Polygon([(0, 0), (40, 0), (41, 2), (43, 2), (44, 0), (90, 0), (90, 30), (0, 30)])
    angle, agreement = main_direction(affinity.rotate(ragged, 25))
    assert math.degrees(angle) == pytest.approx(25, abs=1)
    assert agreement > 0.9
    assert main_direction(Point(0, 0).buffer(10))[1] == pytest.approx(0, abs=0.05)


def test_a_direction_beyond_a_right_angle_is_the_same_direction():
    assert math.degrees(main_direction(affinity.rotate(box(0, 0, 40, 10), 70))[0]) == pytest.approx(-20)


def test_small_steps_of_a_wall_are_dropped():
    stepped = Polygon([(0, 0), (50, 0), (50, 2), (100, 2), (100, 60), (0, 60)])
    result = squared(stepped, tolerance=1.5)
    # The wall in two parts of equal length is put at about their mean place.
    assert iou(result, box(0, 1, 100, 60)) > 0.98
    assert len(result.exterior.coords) == 5


def test_a_step_that_is_a_wall_is_kept():
    stepped = Polygon([(0, 0), (50, 0), (50, 10), (100, 10), (100, 60), (0, 60)])
    result = squared(stepped)
    assert len(result.exterior.coords) == 7
    assert iou(result, stepped) > 1 - 1e-9


def test_a_courtyard_is_squared_up_in_the_same_direction():
    yard = affinity.rotate(Polygon(box(20, 20, 140, 120).exterior, [box(60, 50, 100, 90).exterior]), 30)
    result = squared(traced(yard))
    (hole,) = result.interiors
    assert len(hole.coords) == 5
    assert main_direction(Polygon(hole))[0] == pytest.approx(main_direction(result)[0], abs=1e-9)
    assert iou(result, yard) > 0.95


def test_what_has_no_right_angles_keeps_its_simplified_outline():
    pond = traced(Point(100, 100).buffer(60))
    assert squared(pond).equals(pond.simplify(1.5))


def test_what_does_not_fit_keeps_its_simplified_outline():
    triangle = traced(Polygon([(20, 20), (180, 20), (20, 60)]))
    assert iou(squared(triangle), triangle) >= LEAST_IOU
    strict = square_up(np.array([triangle], dtype=object), 1.5, least_iou=0.999)[0]
    assert strict.equals(triangle.simplify(1.5))


@given(arrays(np.bool_, st.tuples(st.integers(2, 14), st.integers(2, 14))))
def test_any_region_stays_valid_with_its_holes_and_most_of_its_area(mask):
    outlines = np.array(trace(mask), dtype=object)
    if not len(outlines):
        return
    simplified = shapely.simplify(outlines, 1.0)
    for outline, plain, result in zip(outlines, simplified, square_up(outlines, 1.0), strict=True):
        assert result.is_valid
        assert len(result.interiors) == len(outline.interiors)
        if not result.equals(plain):
            assert iou(result, outline) >= LEAST_IOU - 1e-9
            assert result.area == pytest.approx(outline.area)
