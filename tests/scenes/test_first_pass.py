from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.errors import InvalidInputError
from rs2sam.processing import FirstPass, ProcessingConfig
from rs2sam.raster.tiling import TileGrid, Window
from rs2sam.scenes.budget import budget
from rs2sam.scenes.first_pass import OverviewGrid, Screening, score
from rs2sam.views.streaming import MOST_BATCHES_WAITING, Tile, answer_tiles
from tests.make_rasters import RedSegmenter, RedView


@st.composite
def overview_grids(draw):
    tile = draw(st.integers(2, 24))
    size_hw = draw(st.tuples(st.integers(1, 90), st.integers(1, 90)))
    return OverviewGrid(TileGrid(size_hw, tile, draw(st.integers(0, tile // 2))), draw(st.integers(2, 5)))


@dataclass
class Canvas:
    """An array that is read in windows, and counts what is read."""

    rgb: np.ndarray
    valid: np.ndarray
    info = None
    num_pixels: int = 0

    def read_what_can_be(self, window):
        self.num_pixels += window.height * window.width
        return self.rgb[window.slices], self.valid[window.slices], ()


def canvas(height=100, width=160, boxes=()):
    rgb = np.zeros((height, width, 3), dtype=np.uint8)
    rgb[..., 1] = 100
    for row, col, size in boxes:
        rgb[row : row + size, col : col + size] = (200, 0, 0)
    return Canvas(rgb, np.ones((height, width), dtype=bool))


def screening(size_hw=(100, 160), sentences=("red",), threshold=0.5, side=72):
    # 40 px tiles that overlap by 10 at least: offsets 0, 30, 60 and 0, 30, 60, 90, 120; a view of 2 x 2 is 70 px.
    return Screening(OverviewGrid(TileGrid(size_hw, 40, 10), 2), side, sentences, threshold)


@given(overview_grids())
def test_every_tile_lies_in_its_view_and_views_lie_in_the_scene(views):
    height, width = views.grid.size_hw
    seen = []
    for number in range(views.number_of(len(views.grid) - 1) + 1):
        window = views.window(number)
        assert min(window.row, window.col) >= 0
        assert window.row + window.height <= height
        assert window.col + window.width <= width
        assert (window.height, window.width) == (min(height, views.side), min(width, views.side))
        for tile in views.tiles_of(number):
            part = views.grid.window(tile)
            assert views.number_of(tile) == number
            assert window.row <= part.row
            assert window.col <= part.col
            assert part.row + part.height <= window.row + window.height
            assert part.col + part.width <= window.col + window.width
            seen.append(tile)
    assert sorted(seen) == list(range(len(views.grid)))


def test_views_of_three_by_five_tiles():
    views = screening().views
    assert (views.side, views.num_cols) == (70, 3)
    assert [views.tiles_of(number) for number in (0, 2, 5)] == [[0, 1, 5, 6], [4, 9], [14]]
    # At the border a view is moved back, so that it shows as much ground as the others.
    assert [views.window(number) for number in (0, 2, 5)] == [
        Window(0, 0, 70, 70),
        Window(0, 90, 70, 70),
        Window(30, 90, 70, 70),
    ]


def test_a_score_is_the_highest_probability_in_the_tiles_part_of_the_view():
    views = screening().views
    probability = np.zeros((7, 7), dtype=np.float32)  # a cell is 10 px
    probability[0, 4] = 0.6  # rows 0-9, columns 40-49: in tile 1 (30-69), not in tile 0 (0-39)
    probability[6, 6] = 0.8  # rows and columns 60-69: in tile 6 alone
    view = RedView(probability, presence=0.1, score=None)
    found = {tile: score(view, views, 0, tile) for tile in views.tiles_of(0)}
    assert found == pytest.approx({0: 0.0, 1: 0.6, 5: 0.0, 6: 0.8})


def test_tiles_in_which_nothing_is_seen_are_not_wanted():
    red = canvas(boxes=[(5, 5, 10)])  # in tile 0 alone
    run = screening()
    segmenter = RedSegmenter(image_size=72)
    tiles = list(run.mark(segmenter, run.read_tiles(red)))
    assert [tile.number for tile in tiles if tile.is_asked] == [0]
    assert segmenter.num_views == 6
    assert all(tile.wanted is not None for tile in tiles)


def test_each_sentence_is_decided_for_itself():
    red = canvas(boxes=[(5, 5, 10), (85, 150, 10)])
    run = screening(sentences=("red", "no red"))
    tiles = list(run.mark(RedSegmenter(image_size=72), run.read_tiles(red)))
    assert [tile.wanted for tile in tiles if tile.is_asked] == [(True, False)] * 2
    answered = list(answer_tiles(RedSegmenter(), tiles, run.sentences, 4))
    first = answered[0].views
    assert first is not None
    assert first[0].probability.shape == (40, 40)
    assert first[1] is None
    assert [tile.number for tile in answered if tile.views is not None] == [0, 14]


@pytest.mark.parametrize("start", [1, 4, 7, 12])
def test_decisions_do_not_depend_on_where_a_run_goes_on(start):
    red = canvas(boxes=[(25, 50, 12), (70, 100, 3)])
    run = screening()
    whole = [tile.wanted for tile in run.mark(RedSegmenter(), run.read_tiles(red))]
    rest = [tile.wanted for tile in run.mark(RedSegmenter(), run.read_tiles(red, start=start))]
    assert rest == whole[start:]
    assert any(any(wanted) for wanted in whole)
    assert not all(all(wanted) for wanted in whole)


def test_a_view_without_data_is_not_shown_to_the_model():
    red = canvas(boxes=[(5, 5, 10)])
    red.valid[:, :] = False
    red.valid[90:, 150:] = True
    run, segmenter = screening(), RedSegmenter()
    tiles = list(run.mark(segmenter, run.read_tiles(red)))
    assert segmenter.num_views == 1
    assert not any(tile.is_asked for tile in tiles)


def test_a_scene_lower_than_a_view_keeps_its_scale():
    red = canvas(height=35, width=160)
    view = screening(size_hw=(35, 160), side=70).read(red, 0)
    assert view.shape == (70, 70, 3)
    assert (view[:35, :, 1] == 100).all()
    assert (view[35:] == 0).all()


def test_views_add_less_reading_than_the_tiles_themselves():
    red = canvas(height=400, width=400)
    run = screening(size_hw=(400, 400))
    list(run.read_tiles(red))
    tiles = len(run.views.grid) * 40 * 40
    assert tiles < red.num_pixels < 2 * tiles


def test_coarse_views_are_part_of_the_memory_that_is_planned():
    run = screening()
    plain, with_views = (budget(run.views.grid, 1, 4, 0, 10**9, one) for one in (None, run))
    assert with_views.total - plain.total == 13 * 3 * 72**2 + 24 * 70**2


def test_what_waits_is_bounded_where_many_tiles_are_not_asked_about():
    shown = np.zeros((8, 8, 3), dtype=np.uint8)
    taken = []

    def tiles():
        for number in range(100):
            taken.append(number)
            yield Tile(number, shown, np.ones((8, 8), dtype=bool), wanted=(number == 1,))

    answered = answer_tiles(RedSegmenter(), tiles(), ("red",), 2)
    most = 0
    for count, tile in enumerate(answered):
        most = max(most, len(taken) - count)
        assert (tile.views is not None) == (tile.number == 1)
    assert most <= 2 * MOST_BATCHES_WAITING


def test_a_first_pass_is_kept_in_a_models_configuration(tmp_path):
    path = tmp_path / "preprocessor_config.json"
    config = ProcessingConfig(64, 32, 20, first_pass=FirstPass(2, 0.9, 0.008, 0.3, is_default=True))
    config.to_json(path)
    assert ProcessingConfig.from_json(path) == config
    values = json.loads(path.read_text())
    values["first_pass"]["colour"] = "red"
    path.write_text(json.dumps(values))
    with pytest.raises(InvalidInputError, match=r"`first_pass` must be an object with .*'threshold'.* 'colour'"):
        ProcessingConfig.from_json(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tiles": 1, "threshold": 0.5}, "at least 2 tiles"),
        ({"tiles": 2, "threshold": 1.5}, "`threshold`"),
        ({"tiles": 2, "threshold": None}, "`threshold`"),
        ({"tiles": 2, "threshold": 0.5, "recall_loss": -0.1}, "`recall_loss`"),
        ({"tiles": 2, "threshold": 0.5, "is_default": 1}, "`is_default`"),
    ],
)
def test_an_impossible_first_pass_is_refused(values, message):
    with pytest.raises(InvalidInputError, match=message):
        FirstPass(**values)
