import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from rs2sam.vector.objects import ObjectCollector, boxes_of, layers, object_regions, objects_of
from rs2sam.vector.vectorize import fill

SIDE = 24


@st.composite
def labelled(draw):
    labels = np.zeros((SIDE, SIDE), dtype=np.int64)
    for number in range(1, draw(st.integers(1, 9)) + 1):
        top, left, rows, cols = (draw(st.integers(0, SIDE - 1)) for _ in range(4))
        labels[top : top + rows + 1, left : left + cols + 1] = number
    mask = labels > 0
    for _ in range(draw(st.integers(0, 4))):  # foreground of no object, and objects that are no foreground
        row, col = draw(st.integers(0, SIDE - 1)), draw(st.integers(0, SIDE - 1))
        mask[row, col] = ~mask[row, col]
    return mask, labels


@settings(deadline=None, max_examples=150)
@given(labelled(), st.integers(1, SIDE))
def test_pieces_are_the_pixels_of_one_object_whatever_the_strips(drawn, rows):
    mask, labels = drawn
    inside = np.where(mask, labels, 0)
    probability = np.linspace(0, 1, mask.size, dtype=np.float32).reshape(mask.shape)
    collector = ObjectCollector(mask.shape, boxes_of(inside, int(labels.max())))
    pieces = []
    for top in range(0, SIDE, rows):
        part = slice(top, top + rows)
        pieces += collector.add(top, mask[part], labels[part], probability[part])
    pieces += collector.finish()
    assert {one.region.first_pixel for one in pieces} == {
        one.region.first_pixel for one in object_regions(mask, labels, probability)
    }
    covered = np.zeros(mask.shape, dtype=np.int64)
    for piece in pieces:
        pixels = fill([piece.region.outline], 0, *mask.shape)
        assert np.unique(inside[pixels]).tolist() == [piece.number]
        assert piece.region.num_pixels == pixels.sum()
        np.testing.assert_allclose(piece.region.mean_probability, probability[pixels].mean(), atol=1e-6)
        covered += pixels
    np.testing.assert_array_equal(covered, mask.astype(np.int64))
    np.testing.assert_array_equal(fill([one.region.outline for one in pieces], 0, *mask.shape, may_touch=True), mask)


@given(st.lists(st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 10)] * 2), max_size=12))
def test_rectangles_of_a_layer_never_meet(drawn):
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in drawn], dtype=np.int64).reshape(-1, 4)
    found = layers(boxes)
    for layer in np.unique(found):
        shapes = shapely.box(*boxes[found == layer].T)
        for index, shape in enumerate(shapes):
            assert not shapely.intersects(shape, shapes[:index]).any()


def test_objects_far_from_each_other_share_a_layer():
    boxes = np.array([[0, 0, 4, 4], [4, 0, 8, 4], [20, 0, 24, 4], [24, 0, 28, 4]])
    assert sorted(layers(boxes).tolist()) == [0, 0, 1, 1]


def test_pieces_of_one_object_are_one_candidate():
    labels = np.zeros((6, 12), dtype=np.int64)
    labels[0:2, 0:2] = labels[4:6, 4:7] = 1
    labels[0:2, 2:4] = 2
    mask = labels > 0
    mask[5, 11] = True  # belongs to nothing: a thing of its own
    pieces = object_regions(mask, labels, mask.astype(np.float32))
    candidates, members = objects_of(pieces)
    assert [(one.bounds, one.area_px) for one in candidates] == [
        ((0, 0, 7, 6), 10),
        ((2, 0, 4, 2), 4),
        ((11, 5, 12, 6), 1),
    ]
    assert [len(indices) for indices in members] == [2, 1, 1]
