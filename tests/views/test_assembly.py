from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rs2sam.raster.tiling import Blend, TileGrid, Window
from rs2sam.views.assembly import AnsweredTile, Assembler, Carry
from tests.make_rasters import RedView


@st.composite
def grids(draw):
    tile = draw(st.integers(2, 12))
    return TileGrid(draw(st.tuples(st.integers(1, 40), st.integers(1, 40))), tile, draw(st.integers(0, tile // 2)))


class Maps:
    """A sink that keeps everything, and refuses to be given a pixel twice."""

    def __init__(self, num_sentences, size_hw):
        self.sums = np.full((num_sentences, *size_hw), np.nan, dtype=np.float32)
        self.valid = np.zeros(size_hw, dtype=bool)

    def start_row(self, row):
        pass

    def put(self, window, sums, valid):
        part = (slice(None), *window.slices)
        assert np.isnan(self.sums[part]).all()
        self.sums[part] = sums
        self.valid[window.slices] = valid


def answers(grid, num_sentences, *, seed=0, asked=0.8):
    """Tiles of noise, some of which were not asked about."""
    random = np.random.default_rng(seed)
    tiles = []
    for number in range(len(grid)):
        window = grid.window(number)
        size = (window.height, window.width)
        views = [RedView(random.random(size, dtype=np.float32), None, None) for _ in range(num_sentences)]
        tiles.append(AnsweredTile(number, np.ones(size, dtype=bool), views if random.random() < asked else None))
    return tiles


def blended(grid, tiles, sentence):
    """The whole map at once."""
    blend = Blend(grid)
    for window, tile in zip(grid.windows(), tiles, strict=True):
        if tile.views is not None:
            blend.add(window, tile.views[sentence].probability)
    return blend.result()


@given(grids(), st.integers(1, 3), st.integers(0, 1000))
def test_pixels_are_those_of_a_whole_map_bit_for_bit(grid, num_sentences, seed):
    tiles, maps = answers(grid, num_sentences, seed=seed), Maps(num_sentences, grid.size_hw)
    assembler = Assembler(grid, num_sentences, maps, Carry(None))
    for tile in tiles:
        assembler.add(tile)
        assembler.forget_finished_rows()
    for sentence in range(num_sentences):
        np.testing.assert_array_equal(np.clip(maps.sums[sentence], 0, 1), blended(grid, tiles, sentence))


@settings(max_examples=30, deadline=None)
@given(grids(), st.data())
def test_an_assembler_that_goes_on_from_a_state_ends_the_same(tmp_path_factory, grid, data):
    folder = tmp_path_factory.mktemp("carry")
    tiles, maps = answers(grid, 2), Maps(2, grid.size_hw)
    stops = sorted(data.draw(st.sets(st.integers(0, len(grid) - 1), max_size=3)))
    assembler = Assembler(grid, 2, maps, Carry(folder))
    for tile in tiles:
        assembler.add(tile)
        if tile.number in stops:
            plain, sums = assembler.state()
            sums = sums.copy()
            assembler.forget_finished_rows()
            before = maps.sums.copy()
            # What happens after the state was saved is lost, and done again.
            for later in tiles[tile.number + 1 : tile.number + 4]:
                assembler.add(later)
            maps.sums = before
            assembler.close()
            assembler = Assembler(grid, 2, maps, Carry(folder))
            assembler.restore(plain, sums)
    for sentence in range(2):
        np.testing.assert_array_equal(np.clip(maps.sums[sentence], 0, 1), blended(grid, tiles, sentence))


@given(grids())
def test_a_smooth_field_has_no_seam(grid):
    """Tiles that show the same ramp give that ramp back, wherever they meet."""
    rows, cols = np.mgrid[: grid.size_hw[0], : grid.size_hw[1]]
    field = ((rows + 2 * cols) / (3 * sum(grid.size_hw))).astype(np.float32)
    maps = Maps(1, grid.size_hw)
    assembler = Assembler(grid, 1, maps, Carry(None))
    for number, window in enumerate(grid.windows()):
        part = field[window.slices]
        assembler.add(AnsweredTile(number, np.ones(part.shape, dtype=bool), [RedView(part, None, None)]))
    np.testing.assert_allclose(maps.sums[0], field, atol=1e-6)


def test_tiles_out_of_order_are_a_bug():
    grid = TileGrid((10, 20), 10, 0)
    first, second = answers(grid, 1)
    assembler = Assembler(grid, 1, Maps(1, grid.size_hw), Carry(None))
    with pytest.raises(ValueError, match="tile 0 is next, not 1"):
        assembler.add(second)
    assembler.add(first)


def test_what_was_lost_is_counted_once_though_tiles_overlap():
    grid = TileGrid((10, 16), 10, 4)
    lost = Window(2, 6, 4, 4)
    assembler = Assembler(grid, 1, Maps(1, grid.size_hw), Carry(None))
    for number in range(2):
        valid = np.ones((10, 10), dtype=bool)
        valid[2:6, 6 - 6 * number : 10 - 6 * number] = False
        assembler.add(AnsweredTile(number, valid, None, lost=(lost,)))
    assert assembler.lost == {lost}
    assert assembler.num_valid == 160 - 16
    assert assembler.num_run == 0


def test_presence_and_score_of_many_views():
    grid = TileGrid((10, 20), 10, 0)
    assembler = Assembler(grid, 1, Maps(1, grid.size_hw), Carry(None), threshold=0.5, min_presence=0.3)
    strong, weak = np.full((10, 10), 0.9, np.float32), np.full((10, 10), 0.8, np.float32)
    weak[:5] = 0.1
    valid = np.ones((10, 10), dtype=bool)
    assembler.add(AnsweredTile(0, valid, [RedView(strong, 0.8, 0.6)], seconds=1.0))
    assembler.add(AnsweredTile(1, valid, [RedView(weak, 0.2, 0.1)], seconds=0.5))
    (tally,) = assembler.tallies
    assert (tally.num_views, tally.seconds, tally.presence, tally.score) == (2, 1.5, 0.8, 0.6)
    # Without a least presence both count, by their foreground: (0.6 * 100 + 0.1 * 50) / 150.
    assembler = Assembler(grid, 1, Maps(1, grid.size_hw), Carry(None))
    assembler.add(AnsweredTile(0, valid, [RedView(strong, 0.8, 0.6)]))
    assembler.add(AnsweredTile(1, valid, [RedView(weak, 0.2, 0.1)]))
    assert assembler.tallies[0].score == pytest.approx(65 / 150)
