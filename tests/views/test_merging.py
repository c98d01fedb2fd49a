import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rs2sam.raster.tiling import TileGrid
from rs2sam.views.merging import merge, paint


def cut(labels, grid):
    """What tiles say that tell every object apart, each with numbers of its own."""
    tiles = {}
    for number, window in enumerate(grid.windows()):
        part = labels[window.slices]
        present = np.unique(part[part > 0])
        own = np.zeros(int(labels.max()) + 1, dtype=np.uint16)
        own[present] = np.arange(1, len(present) + 1)
        tiles[number] = own[part], np.full(len(present), 0.5, dtype=np.float32)
    return tiles


def put_together(tiles, grid):
    objects = merge(
        grid,
        lambda number: tiles[number][0] if tiles[number][0].any() else None,
        lambda number: tiles[number][1],
    )
    parts = [
        (grid.window(number), numbers[tiles[number][0]], grid.weights(grid.window(number)))
        for number, numbers in enumerate(objects.numbers)
        if numbers is not None
    ]
    height, width = grid.size_hw
    whole = paint(parts, height, width)
    strips = [paint(parts, min(7, height - top), width, top) for top in range(0, height, 7)]
    np.testing.assert_array_equal(np.concatenate(strips), whole)
    return objects, whole


@st.composite
def label_maps(draw):
    """Rectangles, some on top of others, so that many touch and some fall into pieces."""
    height, width = draw(st.integers(8, 60)), draw(st.integers(8, 60))
    labels = np.zeros((height, width), dtype=np.int64)
    for number in range(1, draw(st.integers(0, 8)) + 1):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        rows, cols = draw(st.integers(1, 40)), draw(st.integers(1, 40))
        labels[top : top + rows, left : left + cols] = number
    return labels


@settings(deadline=None, max_examples=150)
@given(label_maps(), st.integers(8, 30), st.integers(2, 4))
def test_tiles_that_agree_give_the_objects_of_the_scene(labels, tile, parts):
    grid = TileGrid(labels.shape, tile, tile // parts)
    objects, whole = put_together(cut(labels, grid), grid)
    np.testing.assert_array_equal(whole > 0, labels > 0)
    for number in np.unique(whole[whole > 0]):
        assert len(np.unique(labels[whole == number])) == 1  # never two objects in one
        rows, cols = np.nonzero(whole == number)
        box = [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
        assert objects.boxes[number - 1].tolist() == box


def test_an_object_over_many_tiles_is_one_and_its_neighbour_another():
    labels = np.zeros((20, 100), dtype=np.int64)
    labels[4:10, 3:97] = 1
    labels[10:16, 3:97] = 2  # touches it all along
    grid = TileGrid(labels.shape, 20, 5)
    objects, whole = put_together(cut(labels, grid), grid)
    np.testing.assert_array_equal(whole, labels)
    assert objects.boxes.tolist() == [[3, 4, 97, 10], [3, 10, 97, 16]]
    assert objects.scores.tolist() == [0.5, 0.5]


def test_tiles_that_disagree_by_more_than_half_keep_two_objects():
    grid = TileGrid((8, 12), 8, 4)
    first, second = np.zeros((8, 8), dtype=np.uint16), np.zeros((8, 8), dtype=np.uint16)
    first[2:6, 4:8] = 1  # 16 pixels of the shared columns 4 to 7
    second[4:8, 0:4] = 1  # of which these have 8, of 24 together
    half = np.array([0.9], dtype=np.float32), np.array([0.4], dtype=np.float32)
    objects, _ = put_together({0: (first, half[0]), 1: (second, half[1])}, grid)
    np.testing.assert_allclose(objects.scores, [0.9, 0.4])
    second[3:7, 0:4] = 1  # now 12 of the first one's 16, of 20 together
    second[7] = 0
    objects, _ = put_together({0: (first, half[0]), 1: (second, half[1])}, grid)
    np.testing.assert_allclose(objects.scores, [0.9])  # the surest speaks for the object


def test_where_tiles_disagree_the_one_farther_from_its_border_decides():
    grid = TileGrid((8, 12), 8, 4)
    whole = np.full((8, 8), 1, dtype=np.uint16)
    half = whole.copy()
    half[:, 1:] = 0  # seen at the border of the second tile only
    scores = np.array([1.0], dtype=np.float32)
    _, painted = put_together({0: (whole, scores), 1: (half, scores)}, grid)
    assert painted[0].tolist() == [1] * 8 + [0] * 4
