from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rs2sam.serve.asking.answers import as_bytes, as_probability

probabilities = arrays.arrays(np.float32, (3, 4), elements=st.floats(0, 1, width=32))


@given(probabilities, st.integers(1, 255))
def test_a_slider_at_k_finds_what_the_threshold_k_of_256_does(probability, k):
    np.testing.assert_array_equal(as_bytes(probability) >= k, probability > k / 256)


@given(probabilities)
def test_a_probability_comes_back_within_half_a_step(probability):
    assert np.abs(as_probability(as_bytes(probability)) - probability).max() <= 1 / 256


def test_at_one_half_the_mask_decides():
    probability = np.array([[0.5, 0.5, 0.0, 1.0]], np.float32)
    mask = np.array([[True, False, False, True]])
    assert as_bytes(probability, mask).tolist() == [[128, 127, 0, 255]]


@pytest.mark.parametrize(
    ("probability", "value"), [(0.0, 0), (1 / 256, 0), (0.004, 1), (0.5, 127), (0.501, 128), (1.0, 255)]
)
def test_values_by_hand(probability, value):
    assert as_bytes(np.float32([[probability]])).item() == value
