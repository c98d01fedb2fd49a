from __future__ import annotations

import numpy as np
import pytest

from rs2sam.datasets.synthetic import geometry as g


def area(polygon: g.Points) -> float:
    x, y = polygon.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def test_rectangle_has_its_size_and_direction() -> None:
    turned = g.rectangle((5, 7), 4, 2, np.pi / 2)

    assert area(turned) == pytest.approx(8)
    assert turned.mean(axis=0) == pytest.approx([5, 7])
    assert np.ptp(turned, axis=0) == pytest.approx([2, 4])


def test_place_turns_from_x_towards_y() -> None:
    assert g.place(g.points((1, 0)), (0, 0), np.pi / 2)[0] == pytest.approx([0, 1])


def test_ribbon_of_a_straight_line_is_a_rectangle() -> None:
    ribbon = g.ribbon(g.points((0, 0), (5, 0), (10, 0)), 3)

    assert area(ribbon) == pytest.approx(30)


def test_capsule_is_a_rectangle_and_two_half_discs() -> None:
    assert area(g.capsule(10, 2, 64)) == pytest.approx(40 + np.pi * 4, rel=0.01)


def test_sweep_covers_the_shape_and_its_shadow() -> None:
    square = g.rectangle((0, 0), 2, 2)
    swept = g.sweep(square, (4, 0))
    probes = g.points((0, 0), (2, 0), (4, 0), (5.5, 0), (0, 1.5))

    assert np.any([g.inside(p, probes) for p in swept], axis=0).tolist() == [True, True, True, False, False]


def test_dashes_keep_their_length_and_gap() -> None:
    strokes = g.dashes(g.points((0, 0), (20, 0)), 0.2, 3, 2)

    assert [float(s[:, 0].min()) for s in strokes] == pytest.approx([0, 5, 10, 15])
    assert all(np.ptp(s[:, 0]) == pytest.approx(3) for s in strokes)


def test_smooth_line_joins_its_ends_along_the_chord() -> None:
    line = g.smooth_line(np.random.default_rng(0), (0, 0), (100, 0), 0.0)

    assert line[0] == pytest.approx([0, 0])
    assert line[-1] == pytest.approx([100, 0])
    assert np.all(np.diff(line[:, 0]) > 0)


def test_blob_stays_around_its_center() -> None:
    outline = g.blob(np.random.default_rng(1), (3, 4), 10, 0.2)
    radius = np.hypot(*(outline - (3, 4)).T)

    assert radius.min() > 3
    assert radius.max() < 20
