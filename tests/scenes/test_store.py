from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.errors import InvalidInputError
from rs2sam.raster.mask_files import PROBABILITY_STEPS
from rs2sam.scenes.store import NO_DATA, Decided, check_threshold, foreground, probability, steps_of, values_at


@pytest.mark.parametrize(
    ("value", "step"),
    [(0.0, 0), (1e-7, 1), (0.005, 1), (0.0051, 2), (0.5, 100), (0.501, 101), (1.0, 200), (1.0001, 200)],
)
def test_a_probability_is_rounded_up_to_half_percents(value, step):
    assert steps_of(np.array([[value]], np.float32)).tolist() == [[step]]


def test_every_threshold_of_half_percents_decides_as_on_the_probability_itself():
    """Also beside each edge, where a product in float32 may be rounded across it."""
    edges = (np.arange(PROBABILITY_STEPS + 1) / PROBABILITY_STEPS).astype(np.float32)
    below, above = np.nextafter(edges, np.float32(-1)), np.nextafter(edges, np.float32(2))
    random = np.random.default_rng(0).random(20_000, np.float32)
    values = np.concatenate([edges, below.clip(0), above.clip(0, 1), random])[None]
    steps = steps_of(values)
    for number in range(PROBABILITY_STEPS):
        threshold = number / PROBABILITY_STEPS
        decided = foreground(values_at(threshold)[steps])
        np.testing.assert_array_equal(decided, values > np.float32(threshold))
    assert not foreground(values_at(1.0)[steps]).any()


@given(st.floats(0, 1, width=32), st.integers(0, PROBABILITY_STEPS))
def test_what_is_decided_keeps_its_probability(value, number):
    step = steps_of(np.array([[value]], np.float32))
    kept = values_at(number / PROBABILITY_STEPS)[step]
    if foreground(kept).any():
        assert abs(float(probability(kept)[0, 0]) - int(step[0, 0]) / PROBABILITY_STEPS) < 1e-5


def test_no_data_stays_no_data_in_a_run_and_in_a_file():
    class Strips:
        def __init__(self, values):
            self.values = values

        def strips(self, band):
            yield 0, self.values

    in_run, in_file = np.array([[NO_DATA, 150, 0]], np.uint16), np.array([[255, 150, 0]], np.uint8)
    ((_, first),), ((_, second),) = (list(Decided(Strips(one), 0.5).strips(0)) for one in (in_run, in_file))
    assert first.tolist() == second.tolist() == [[NO_DATA, round(0.75 * 65534), 0]]


@pytest.mark.parametrize("threshold", [0.0, 0.005, 0.3, 0.1 + 0.2, 0.615, 1.0])
def test_half_percents_are_thresholds(threshold):
    check_threshold(threshold)


def test_a_threshold_between_steps_is_refused_with_its_neighbours():
    with pytest.raises(InvalidInputError, match=r"steps of 0\.005.*it is 0\.333\. Choose 0\.33 or 0\.335\."):
        check_threshold(0.333)
