"""What boxes and turned rectangles tell of masks."""

from __future__ import annotations

import numpy as np
import pytest

from rs2sam.datasets.readers.outlines import core_of_box, core_of_rectangle


@pytest.mark.parametrize("category", ["airplane", "storage_tank", "vehicle", "harbor", "tree", "ship", "unheard_of"])
def test_no_pixel_of_a_box_is_both_certain_and_open(category: str) -> None:
    core, is_open = core_of_box(category, 20, 24)
    assert core.shape == is_open.shape == (20, 24)
    assert not (core & is_open).any()


def test_a_tank_fills_the_ellipse_of_its_box_and_leaves_only_a_rim_open() -> None:
    core, is_open = core_of_box("storage_tank", 40, 40)
    assert core.sum() == pytest.approx(np.pi * (0.97 * 20) ** 2, rel=0.01)
    assert not core[0, 0]
    assert not is_open[0, 0]
    assert is_open.any()


def test_a_long_vehicle_stands_parallel_to_the_sides_and_fills_its_box() -> None:
    core, is_open = core_of_box("vehicle", 10, 22)
    assert core.all()
    assert not is_open.any()
    core, is_open = core_of_box("vehicle", 18, 22)
    assert not core.all()
    assert (core | is_open).all()


def test_nothing_of_a_harbour_s_box_is_certain() -> None:
    core, is_open = core_of_box("harbor", 9, 9)
    assert not core.any()
    assert is_open.all()


def test_a_turned_rectangle_is_filled_by_a_car_and_not_by_a_ship() -> None:
    corners = np.array([[5.0, 0.0], [10.0, 5.0], [5.0, 10.0], [0.0, 5.0]])  # a square on its corner, area 50
    car, open_of_car = core_of_rectangle("vehicle", corners, (10, 10))
    ship, open_of_ship = core_of_rectangle("ship", corners, (10, 10))
    assert car.sum() == pytest.approx(50, abs=10)
    assert not open_of_car.any()
    assert 0 < ship.sum() < car.sum()
    np.testing.assert_array_equal(ship | open_of_ship, car)
