from __future__ import annotations

import numpy as np
import pytest

from rs2sam.datasets.synthetic import SEASONS, Camera, draw_on, render, set_stage
from rs2sam.datasets.synthetic.background import ABSENT_INLAND
from rs2sam.datasets.synthetic.camera import false_colour
from rs2sam.errors import InvalidInputError


def background() -> np.ndarray:
    return np.random.default_rng(9).integers(60, 160, (192, 224, 3), dtype=np.uint8)


def test_objects_on_a_background_are_repeatable_and_leave_it_unchanged() -> None:
    real = background()
    first, second = (draw_on(np.random.default_rng(4), real, 0.6) for _ in range(2))

    assert np.array_equal(real, background())
    assert np.array_equal(first.pixels(), second.pixels())
    assert first.size_hw == (192, 224)


def test_only_what_the_background_cannot_show_is_exhaustive() -> None:
    images = [draw_on(np.random.default_rng(s), background(), 0.6) for s in range(12)]
    drawn = {i.category for image in images for i in image.instances}

    assert {"airplane", "storage_tank"} <= drawn
    assert all(image.exhaustive_categories == ABSENT_INLAND for image in images)
    assert all(not image.regions for image in images)
    assert draw_on(np.random.default_rng(0), background(), 0.6, frozenset({"ship"})).exhaustive_categories == {"ship"}


def test_background_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"got \(8, 8\) of float64"):
        draw_on(np.random.default_rng(0), np.zeros((8, 8)), 0.6)


def test_plants_are_red_in_infrared() -> None:
    green = np.full((4, 4, 3), (90.0, 110.0, 70.0), dtype=np.float32)
    plants = np.zeros((4, 4), dtype=bool)
    plants[:2] = True
    shown = false_colour(green, plants)

    assert np.all(shown[:2, :, 0] > 2 * shown[:2, :, 1])
    assert np.all(np.abs(shown[2:, :, 0] - shown[2:, :, 1]) < 20)


def test_infrared_scenes_tell_no_colours() -> None:
    def scene(infrared: bool):
        rng = np.random.default_rng(1)
        return render(set_stage(rng, (128, 128), 0.4, SEASONS[0]), "residential", Camera(infrared=infrared))

    assert any("colour" in i.attributes for i in scene(False).instances)
    assert not any("colour" in i.attributes for i in scene(True).instances)
