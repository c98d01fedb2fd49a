import numpy as np
import pytest

from rs2sam.vector.instances import Instances, painted


def found(*masks, scores):
    """Objects whose probability is 0.98 inside and 0.02 outside."""
    logits = np.where(np.array(masks), 2.5, -1.5).astype(np.float32).reshape(-1, 6, 8)
    return logits, np.array(scores, dtype=np.float32)


def block(rows, cols, shape=(6, 8)):
    mask = np.zeros(shape, dtype=bool)
    mask[rows, cols] = True
    return mask


LEFT, RIGHT = block(slice(1, 5), slice(0, 4)), block(slice(1, 5), slice(4, 8))


def test_objects_that_touch_stay_apart_numbered_by_their_scores():
    probability, instances = painted(*found(LEFT, RIGHT, scores=[0.4, 0.9]), (6, 8))
    np.testing.assert_array_equal(instances.labels, np.where(LEFT, 2, 0) + np.where(RIGHT, 1, 0))
    np.testing.assert_allclose(instances.scores, [0.9, 0.4])
    np.testing.assert_array_equal(probability > 0.5, LEFT | RIGHT)


def test_an_object_found_twice_is_kept_once_under_its_higher_score():
    again = LEFT.copy()
    again[0, :4] = True  # 16 of its 20 pixels are the other's
    _, instances = painted(*found(again, LEFT, scores=[0.5, 0.8]), (6, 8))
    np.testing.assert_allclose(instances.scores, [0.8])
    np.testing.assert_array_equal(instances.labels > 0, LEFT)


def test_pixels_claimed_twice_go_to_the_higher_score():
    wide = block(slice(1, 5), slice(2, 8))
    _, instances = painted(*found(LEFT, wide, scores=[0.9, 0.6]), (6, 8))
    np.testing.assert_array_equal(instances.labels == 1, LEFT)
    np.testing.assert_array_equal(instances.labels == 2, RIGHT)


def test_masks_are_enlarged_to_the_size_asked_for():
    probability, instances = painted(*found(LEFT, scores=[0.9]), (12, 16))
    assert (probability.shape, instances.labels.shape) == ((12, 16), (12, 16))
    np.testing.assert_array_equal((probability > 0.5)[3:9, 1:7], True)


@pytest.mark.parametrize("given", [found(scores=[]), found(np.zeros((6, 8), bool), scores=[0.9])])
def test_nothing_found_is_an_empty_map(given):
    probability, instances = painted(*given, (6, 8))
    assert not instances.labels.any()
    assert not (probability > 0.5).any()
    assert len(instances.scores) == 0


def test_another_part_of_a_picture_has_the_same_objects():
    instances = Instances(np.array([[1, 2], [0, 2]], dtype=np.uint16), np.array([0.5, 0.7], dtype=np.float32))
    assert instances.changed(lambda labels: labels[:1]).labels.tolist() == [[1, 2]]
