from __future__ import annotations

from dataclasses import FrozenInstanceError
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.errors import InvalidInputError
from rs2sam.raster.tiling import Blend, TileGrid, Window


@st.composite
def grids(draw):
    tile = draw(st.integers(2, 24))
    overlap = draw(st.integers(0, tile // 2))
    size_hw = draw(st.tuples(st.integers(1, 90), st.integers(1, 90)))
    return TileGrid(size_hw, tile, overlap)


@given(grids())
def test_tiles_cover_every_pixel_and_stay_inside(grid):
    covered = np.zeros(grid.size_hw, dtype=int)
    for window in grid.windows():
        assert min(window.row, window.col) >= 0
        assert window.row + window.height <= grid.size_hw[0]
        assert window.col + window.width <= grid.size_hw[1]
        covered[window.slices] += 1
    assert covered.min() >= 1
    assert len(list(grid.windows())) == len(grid)


@given(grids())
def test_neighbours_overlap_equally_and_enough(grid):
    for side, offsets in zip(grid.size_hw, grid.offsets_hw, strict=True):
        overlaps = [a + grid.tile - b for a, b in pairwise(offsets)]
        if overlaps:
            assert min(overlaps) >= grid.overlap
            assert max(overlaps) - min(overlaps) <= 1
            assert offsets[-1] + grid.tile == side


@given(grids())
def test_no_grid_with_fewer_tiles_would_do(grid):
    for side, offsets in zip(grid.size_hw, grid.offsets_hw, strict=True):
        num_fewer = len(offsets) - 1
        if num_fewer:
            assert num_fewer * grid.tile - (num_fewer - 1) * grid.overlap < side


@pytest.mark.parametrize("size_hw", [(2**31 - 1, 1), (1, 2**31 - 1), (10**6, 10**6)])
def test_more_tiles_than_can_be_asked_are_refused_at_once(size_hw):
    with pytest.raises(InvalidInputError, match="up to 1,000,000 tiles"):
        TileGrid(size_hw, 512, 128)


def test_a_million_tiles_are_allowed_and_one_more_is_refused_with_its_count():
    assert len(TileGrid((1000, 1000), 1, 0)) == 1_000_000
    with pytest.raises(InvalidInputError, match=r"but 1,000 x 1,001 px make 1,001,000 of 1 px\."):
        TileGrid((1000, 1001), 1, 0)


@given(grids())
def test_a_number_gives_the_tile_and_what_it_owns_is_every_pixel_once(grid):
    owned = np.zeros(grid.size_hw, dtype=int)
    for number, window in enumerate(grid.windows()):
        assert grid.window(number) == window
        own = grid.owned(number)
        assert (own.row, own.col) == (window.row, window.col)
        assert own.height <= window.height
        assert own.width <= window.width
        owned[own.slices] += 1
    np.testing.assert_array_equal(owned, 1)


def test_weights_of_a_long_axis_do_not_hold_it_whole():
    grid = TileGrid((300_000_000, 1), 512, 128)
    weights = [grid.weights(grid.window(number)) for number in (400_000, 400_001, 400_002)]
    tops = [grid.window(number).row for number in (400_000, 400_001, 400_002)]
    total = np.zeros(1280)
    for top, weight in zip(tops, weights, strict=True):
        total[top - tops[0] : top - tops[0] + 512] += weight[:, 0]
    np.testing.assert_allclose(total[tops[1] - tops[0] : tops[2] - tops[0]][128:], 1, atol=1e-6)


@given(grids())
def test_weights_are_positive_and_sum_to_one_at_every_pixel(grid):
    total = np.zeros(grid.size_hw)
    for window in grid.windows():
        weights = grid.weights(window)
        assert weights.dtype == np.float32
        assert weights.shape == (window.height, window.width)
        assert weights.min() > 0
        total[window.slices] += weights
    np.testing.assert_allclose(total, 1, atol=1e-5)


@given(grids(), st.randoms())
def test_blending_returns_the_field_it_was_cut_from_in_any_order(grid, random):
    field = np.random.default_rng(0).random(grid.size_hw, dtype=np.float32)
    windows = list(grid.windows())
    random.shuffle(windows)
    blend = Blend(grid)
    for window in windows:
        blend.add(window, field[window.slices])
    np.testing.assert_allclose(blend.result(), field, atol=1e-5)


def test_tiles_and_weights_of_a_line_are_what_a_hand_computes():
    grid = TileGrid((1, 6), tile=4, overlap=2)
    assert list(grid.windows()) == [Window(0, 0, 1, 4), Window(0, 2, 1, 4)]
    # sin^2 at (i + 1/2) / 4 of pi: 0.146, 0.854, 0.854, 0.146; pixels 2 and 3 are shared.
    np.testing.assert_allclose(grid.weights(Window(0, 0, 1, 4)), [[1, 1, 0.853553, 0.146447]], atol=1e-6)
    np.testing.assert_allclose(grid.weights(Window(0, 2, 1, 4)), [[0.146447, 0.853553, 1, 1]], atol=1e-6)


def test_windows_and_grids_are_values_that_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Window(0, 0, 1, 1).row = 1
    with pytest.raises(FrozenInstanceError):
        TileGrid((4, 4), 4, 0).overlap = 1
    assert len({Window(0, 0, 1, 1), Window(0, 0, 1, 1), Window(0, 1, 1, 1)}) == 2


def test_blend_has_no_seam_where_tiles_disagree():
    grid = TileGrid((40, 100), tile=40, overlap=20)
    blend = Blend(grid)
    for index, window in enumerate(grid.windows()):
        blend.add(window, np.full((40, 40), index % 2, dtype=np.float32))
    steps = np.abs(np.diff(blend.result(), axis=1))
    # A hard cut would step by 1; a raised cosine over 20 pixels by at most a tenth.
    assert steps.max() < 0.12


def test_a_raster_smaller_than_the_tile_is_one_tile_of_its_own_size():
    grid = TileGrid((30, 50), tile=64, overlap=16)
    assert list(grid.windows()) == [Window(0, 0, 30, 50)]


def test_a_blend_is_a_probability_even_where_its_tiles_are_not():
    grid = TileGrid((1, 2), 1, 0)
    blend = Blend(grid)
    for window, value in zip(grid.windows(), (1.000001, -0.000001), strict=True):
        blend.add(window, np.full((1, 1), value, dtype=np.float32))
    assert blend.result().tolist() == [[1.0, 0.0]]


def test_a_tile_that_is_never_added_counts_as_zero():
    assert Blend(TileGrid((4, 4), 4, 0)).result().max() == 0


@pytest.mark.parametrize(
    ("size_hw", "tile", "overlap", "says"),
    [
        ((0, 5), 4, 0, "must have pixels"),
        ((5, 5), 0, 0, "`tile`"),
        ((5, 0), 4, 0, r"height and width are \(5, 0\)"),
        ((5, 5), 4, 3, "half the tile"),
        ((5, 5), 5, 3, r"it is 3 for a tile of 5\. Choose at most 2\."),
        ((5, 5), 4, -1, "-1"),
    ],
)
def test_grid_refuses_impossible_sizes(size_hw, tile, overlap, says):
    with pytest.raises(InvalidInputError, match=says):
        TileGrid(size_hw, tile, overlap)
