from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.raster.thumbnail import ThumbnailGrid
from rs2sam.raster.tiling import TileGrid, Window


def test_a_small_scene_is_its_own_picture():
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    grid = ThumbnailGrid((20, 30), side=30)
    sums = grid.sums(Window(0, 0, 20, 30), rgb, np.ones((20, 30), dtype=bool))
    np.testing.assert_array_equal(sums[:3].transpose(1, 2, 0), rgb)
    assert (sums[3] == 1).all()


@pytest.mark.parametrize(("side", "factor"), [(1600, 1), (1601, 2), (3200, 2), (5000, 4), (40000, 26)])
def test_cells_are_one_pixel_or_an_even_number_a_side(side, factor):
    grid = ThumbnailGrid((side, 10))
    assert grid.factor == factor
    assert max(grid.size_hw) <= 1600


@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), st.integers(2, 20), st.integers(4, 30))
def test_pieces_add_up_to_the_whole(size_hw, tile, side):
    random = np.random.default_rng(sum(size_hw))
    rgb = random.integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    valid = random.random(size_hw) < 0.8
    rgb[~valid] = 0
    thumbnail, tiles = ThumbnailGrid(size_hw, side), TileGrid(size_hw, tile, tile // 4)
    found = np.zeros((4, *thumbnail.size_hw), dtype=int)
    covered = np.zeros(thumbnail.size_hw, dtype=int)
    for number in range(len(tiles)):
        owned = tiles.owned(number)
        part = thumbnail.cells(owned).slices
        found[(slice(None), *part)] += thumbnail.sums(owned, rgb[owned.slices], valid[owned.slices])
        covered[part] += thumbnail.covered(owned, valid[owned.slices])
    whole = Window(0, 0, *size_hw)
    np.testing.assert_array_equal(found, thumbnail.sums(whole, rgb, valid))
    np.testing.assert_array_equal(covered, thumbnail.covered(whole, valid))
    assert covered.sum() == valid.sum()
    # Each cell is the mean of pixels of its own.
    step, factor = thumbnail.step, thumbnail.factor
    for y, x in np.ndindex(*thumbnail.size_hw):
        cell = rgb[y * factor : (y + 1) * factor : step, x * factor : (x + 1) * factor : step]
        assert found[:3, y, x].tolist() == cell.reshape(-1, 3).astype(int).sum(axis=0).tolist()
