from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from rs2sam.serve.asking.pngs import png_of


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_a_map_comes_back_as_it_was(pixels):
    with Image.open(io.BytesIO(png_of(pixels))) as picture:
        assert (picture.format, picture.mode) == ("PNG", "L")
        np.testing.assert_array_equal(np.array(picture), pixels)


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_come_back_as_they_were(channels):
    pixels = np.random.default_rng(1).integers(0, 256, (7, 5, channels), dtype=np.uint8)
    with Image.open(io.BytesIO(png_of(pixels))) as picture:
        np.testing.assert_array_equal(np.array(picture), pixels)


def test_a_part_of_a_larger_map_is_written_too():
    pixels = np.arange(100, dtype=np.uint8).reshape(10, 10)[::2, 1:8]
    with Image.open(io.BytesIO(png_of(pixels))) as picture:
        np.testing.assert_array_equal(np.array(picture), pixels)
