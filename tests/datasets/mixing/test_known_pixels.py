"""What annotation says of pixels that nobody marked, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rs2sam.datasets.english.vocabulary import CATEGORIES
from rs2sam.datasets.mixing.known_pixels import (
    EXCLUDES,
    cell_means,
    centre_target,
    class_targets,
    distance_to_outside,
    known_pixels,
)
from tests.datasets.scenes import rectangle, scene

SIDE = 16


def index(category: str) -> int:
    return CATEGORIES.index(category)


def test_classes_exclude_each_other_unless_they_may_share_ground():
    assert EXCLUDES[index("building"), index("water")]
    assert not EXCLUDES[index("ship"), index("water")]
    assert not EXCLUDES[index("water"), index("ship")]
    assert not EXCLUDES.diagonal().any()
    assert (EXCLUDES == EXCLUDES.T).all()


def test_everything_is_known_of_an_exhaustive_class_but_what_is_left_open():
    unknown = np.zeros((SIDE, SIDE), bool)
    unknown[0] = True
    annotated = replace(scene([rectangle("ship", 4, 4, 4, 4, SIDE)], side=SIDE), unknown=unknown)
    assert (known_pixels(annotated, "ship") == ~unknown).all()


def test_other_classes_are_known_where_they_or_what_excludes_them_is_marked():
    objects = [rectangle("ship", 0, 0, 4, 4, SIDE), rectangle("building", 8, 8, 4, 4, SIDE)]
    annotated = scene(objects, exhaustive=(), side=SIDE)
    # A ship may lie on water, so its pixels tell nothing; a building excludes water.
    assert (known_pixels(annotated, "water") == annotated.union((objects[1],))).all()
    assert (known_pixels(annotated, "ship") == annotated.union(tuple(objects))).all()


def test_park_does_not_exclude_what_vegetation_would():
    annotated = scene([], {"park": np.ones((SIDE, SIDE), bool)}, exhaustive=(), side=SIDE)
    assert known_pixels(annotated, "vegetation").all()  # a park is vegetation
    assert not known_pixels(annotated, "tennis_court").any()


def test_class_targets_are_shares_of_cells():
    annotated = scene([rectangle("large_vehicle", 0, 0, 2, 4, SIDE), rectangle("ship", 4, 4, 8, 8, SIDE)], side=SIDE)
    annotated = replace(annotated, exhaustive_categories=frozenset({"ship"}))
    shares, known = class_targets(annotated, 4)
    assert shares.shape == known.shape == (len(CATEGORIES), 4, 4)
    assert shares[index("large_vehicle"), 0, 0] == shares[index("vehicle"), 0, 0] == 0.5
    assert shares[index("ship")].sum() == 4
    assert known[index("ship")].all()
    # Half a cell is too little to be known, and too little to exclude anything; a ship's cells exclude buildings.
    assert not known[index("vehicle"), 0, 0]
    assert (known[index("building")] == (shares[index("ship")] == 1)).all()


def test_cell_with_open_pixels_teaches_no_class():
    unknown = np.zeros((SIDE, SIDE), bool)
    unknown[0, 0] = True
    annotated = replace(scene([rectangle("ship", 4, 4, 8, 8, SIDE)], side=SIDE), unknown=unknown)
    known = class_targets(annotated, 4).known[index("ship")]
    assert not known[0, 0]
    assert known.sum() == 15


def test_distance_is_that_to_the_nearest_pixel_outside():
    mask = np.ones((3, 5), bool)
    expected = [[1, 1, 1, 1, 1], [1, 2, 2, 2, 1], [1, 1, 1, 1, 1]]
    assert distance_to_outside(mask).tolist() == expected
    mask = np.ones((5, 5), bool)
    mask[0, 0] = False
    distance = distance_to_outside(mask)
    assert distance[0, 0] == 0
    assert distance[1, 1] == np.float32(np.sqrt(2))
    assert distance[2, 2] == np.float32(np.sqrt(8))
    everything = np.random.default_rng(0).random((9, 12)) < 0.8
    padded = np.pad(everything, 1)
    outside = np.argwhere(~padded) - 1
    brute = [[np.sqrt(((outside - (y, x)) ** 2).sum(1).min()) for x in range(12)] for y in range(9)]
    np.testing.assert_allclose(distance_to_outside(everything), brute, rtol=1e-6)


def test_centres_are_deepest_in_the_middle_and_smaller_objects_lie_on_top():
    ground = rectangle("ground_track_field", 0, 0, 16, 16, SIDE)
    depth, known = centre_target(scene([rectangle("soccer_field", 4, 4, 4, 4, SIDE), ground], side=SIDE), 4)
    assert known.all()
    # The small one: four of its sixteen pixels are 2 deep, of at most 2, the others 1.
    assert depth[1, 1] == np.float32((4 * 1.0 + 12 * 0.5) / 16)
    assert depth[2, 2] > depth[3, 3]
    assert cell_means(np.eye(4), 2).tolist() == [[0.5, 0], [0, 0.5]]


def test_ground_without_objects_has_no_middle():
    regions = {"water": np.zeros((SIDE, SIDE), bool), "building": np.zeros((SIDE, SIDE), bool)}
    regions["water"][:8], regions["building"][8:] = True, True
    unknown = np.zeros((SIDE, SIDE), bool)
    unknown[0, 0] = True
    annotated = replace(scene([rectangle("ship", 6, 2, 4, 4, SIDE)], regions, side=SIDE), unknown=unknown)
    depth, known = centre_target(annotated, 4)
    # Known: water but for the cell that is open in part and those that show a part of the ship; of buildings nothing.
    assert known.tolist() == [[0, 0, 0, 1], [1, 0, 0, 1], [0] * 4, [0] * 4]
    assert not depth[known > 0].any()
