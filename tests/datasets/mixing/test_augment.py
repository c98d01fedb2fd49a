from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rs2sam.datasets.base import LabelRegions
from rs2sam.datasets.mixing.augment import Augmentation, augment, crop, fit, jitter, turn
from rs2sam.errors import InvalidInputError
from tests.datasets.scenes import SIDE, rectangle, scene, scenes


def painted(annotated):
    """A scene whose red channel shows the union of its instances."""
    image = np.zeros((*annotated.size_hw, 3), dtype=np.uint8)
    image[annotated.union(annotated.instances), 0] = 255
    return scene(annotated.instances, dict(annotated.regions), annotated.exhaustive_categories, image=image)


@settings(max_examples=60, deadline=None)
@given(scenes(), st.integers(0, 3), st.booleans())
def test_turning_moves_annotation_and_pixels_alike(annotated, quarter_turns, flip):
    turned = turn(painted(annotated), quarter_turns, flip)
    np.testing.assert_array_equal(turned.pixels()[..., 0] == 255, turned.union(turned.instances))
    for name, mask in turned.regions.items():
        assert mask.sum() == annotated.regions[name].sum()


def test_turning_a_wide_image_moves_its_corner():
    mask = np.zeros((2, 3), dtype=bool)
    mask[0, 2] = True
    wide = scene([], {"water": mask})
    wide = type(wide)(np.zeros((2, 3, 3), np.uint8), (2, 3), (), {"water": mask}, frozenset(), "a", "b")
    assert turn(wide, 1, flip=False).size_hw == (3, 2)
    assert turn(wide, 1, flip=False).regions["water"][0, 0]
    assert turn(wide, 1, flip=True).regions["water"][0, 1]


@settings(max_examples=60, deadline=None)
@given(scenes(), st.integers(0, 60), st.integers(0, 60), st.integers(20, 40), st.sampled_from([20, 64, 100]))
def test_cropping_moves_annotation_and_pixels_alike(annotated, x, y, size, side):
    cropped = crop(painted(annotated), (x, y, x + size, y + size), side)
    assert cropped.size_hw == (side, side)
    union = cropped.union(cropped.instances)
    shown = cropped.pixels()[..., 0] > 127
    # Objects of which next to nothing is shown are dropped, and the image is resized smoothly: borders may differ.
    assert (shown != union).mean() < 0.25


def test_a_cut_object_says_how_much_of_it_is_visible():
    annotated = scene([rectangle("ship", 10, 10, 20, 10)])
    (half,) = crop(annotated, (20, 0, 70, 50), 50).instances
    assert half.attributes["visible"] == 0.5
    assert half.box_xyxy == (0, 10, 10, 20)
    (quarter,) = crop(crop(annotated, (20, 0, 70, 50), 50), (5, 0, 50, 45), 45).instances
    assert quarter.attributes["visible"] == 0.25


def test_a_sliver_is_dropped_and_a_vanished_object_ends_exhaustiveness():
    annotated = scene([rectangle("ship", 0, 0, 100, 20), rectangle("airplane", 50, 50, 1, 1)])
    sliver = crop(annotated, (98, 0, 100, 2), 20)
    assert not sliver.instances
    assert sliver.exhaustive_categories == {"ship", "airplane"}
    small = crop(annotated, (0, 0, 100, 100), 10)
    assert {i.category for i in small.instances} == {"ship"}
    assert small.exhaustive_categories == {"ship"}


def test_label_regions_and_resolution_follow_the_crop():
    labels = np.zeros((SIDE, SIDE), dtype=np.uint8)
    labels[:, 50:] = 1
    annotated = scene([], LabelRegions(labels, ("water",)))
    annotated = type(annotated)(annotated.image, (SIDE, SIDE), (), annotated.regions, frozenset(), "a", "b", gsd_m=0.5)
    cropped = crop(annotated, (25, 0, 75, 50), 25)
    assert cropped.gsd_m == 1.0
    assert cropped.regions["water"][:, 13:].all()
    assert not cropped.regions["water"][:, :12].any()


def test_fit_shrinks_the_longer_side_only_when_needed():
    annotated = scene([rectangle("ship", 10, 10, 20, 10)])
    assert fit(annotated, 200).size_hw == (SIDE, SIDE)
    assert fit(annotated, 50).size_hw == (50, 50)
    assert fit(annotated, 50).instances[0].box_xyxy == (5, 5, 15, 10)


def test_jitter_of_strength_zero_changes_nothing():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(jitter(pixels, np.random.default_rng(0), 0.0), pixels)
    changed = jitter(pixels, np.random.default_rng(0), 0.2, blur_share=1.0)
    assert changed.shape == pixels.shape
    assert changed.dtype == np.uint8
    assert (changed != pixels).any()


def test_augmentation_is_the_same_for_the_same_seed():
    annotated = scene([rectangle("ship", 10, 10, 20, 10)])
    first, second = (augment(annotated, np.random.default_rng(3), 48) for _ in range(2))
    np.testing.assert_array_equal(first.pixels(), second.pixels())
    assert [i.box_xyxy for i in first.instances] == [i.box_xyxy for i in second.instances]
    assert first.size_hw == (48, 48)


def test_an_impossible_zoom_is_refused():
    with pytest.raises(InvalidInputError, match=r"`min_zoom` is a share .* received 0"):
        Augmentation(min_zoom=0)
