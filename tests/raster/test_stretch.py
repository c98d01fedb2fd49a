from __future__ import annotations

import numpy as np
import pytest

from rs2sam.errors import InvalidInputError
from rs2sam.raster.stretch import Stretch, to_uint8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", Stretch("none")),
        ("percentile", Stretch("percentile", 2, 98)),
        ("percentile:1,99.5", Stretch("percentile", 1, 99.5)),
        (" fixed:-100,3000 ", Stretch("fixed", -100, 3000)),
    ],
)
def test_stretch_is_parsed(text, expected):
    assert Stretch.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sigma", "'sigma'"),
        ("none:1,2", "'none:1,2'"),
        ("fixed", "`fixed:lo,hi`"),
        ("fixed:1", "'fixed:1'"),
        ("percentile:a,b", "percentile:2,98"),
        ("fixed:5,5", "5 and 5"),
        ("fixed:nan,5", "nan"),
        ("percentile:-1,98", r"\[0, 100\]"),
    ],
)
def test_stretch_says_how_it_is_written_when_it_is_wrong(text, says):
    with pytest.raises(InvalidInputError, match=says):
        Stretch.parse(text)


def test_fixed_stretch_maps_limits_to_0_and_255_and_clips():
    bands = np.array([[[0, 100, 150, 200, 65535]]], dtype=np.uint16)
    limits = Stretch("fixed", 100, 200).limits(bands.reshape(1, -1))
    assert to_uint8(bands, limits)[..., 0].tolist() == [[0, 0, 128, 255, 255]]


def test_percentile_stretch_is_found_per_band():
    sample = np.stack([np.arange(101), np.arange(101) * 10])
    assert Stretch("percentile", 2, 98).limits(sample) == ((2, 98), (20, 980))


def test_eight_bit_pixels_pass_unchanged_without_a_stretch():
    bands = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert Stretch.default_for(np.dtype("uint8")) == Stretch("none")
    np.testing.assert_array_equal(to_uint8(bands, Stretch("none").limits(bands.reshape(1, -1)))[..., 0], bands[0])


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64"])
def test_other_pixel_types_are_stretched_by_percentiles(dtype):
    assert Stretch.default_for(np.dtype(dtype)) == Stretch("percentile", 2, 98)


def test_one_bit_pixels_use_the_whole_range():
    assert Stretch.default_for(np.dtype("uint8"), num_bits=1) == Stretch("fixed", 0, 1)


def test_no_stretch_refuses_values_beyond_eight_bits():
    with pytest.raises(InvalidInputError, match="reach from 0 to 3000"):
        Stretch("none").limits(np.array([[0, 3000]]))


def test_not_a_number_and_infinity_have_a_value():
    bands = np.array([[[np.nan, -np.inf, np.inf, 0.5]]], dtype=np.float32)
    assert to_uint8(bands, ((0.0, 1.0),))[..., 0].tolist() == [[0, 0, 255, 128]]


def test_a_constant_band_becomes_black():
    assert to_uint8(np.full((1, 1, 2), 7, dtype=np.int16), ((7.0, 7.0),))[..., 0].tolist() == [[0, 0]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32])
def test_every_pixel_type_is_stretched_by_the_same_rule(dtype):
    """The rule in one line of exact arithmetic; small types take it from a table."""
    range_of = np.iinfo(dtype if np.dtype(dtype).kind in "iu" else np.int16)
    least, most = max(range_of.min, -32768), min(range_of.max, 65535)
    values = np.linspace(least, most, 999).astype(dtype).reshape(1, 27, 37)
    low, high = least / 3, most / 2
    expected = np.floor(np.clip((values[0].astype(np.float64) - low) * 255 / (high - low), 0, 255) + 0.5)
    np.testing.assert_array_equal(to_uint8(values, ((low, high),))[..., 0], expected)


def test_bands_keep_their_own_limits_and_come_last():
    bands = np.array([[[10, 20]], [[10, 20]], [[10, 20]]], dtype=np.uint16)
    shown = to_uint8(bands, ((10.0, 20.0), (0.0, 20.0), (20.0, 30.0)))
    assert shown.tolist() == [[[0, 128, 0], [255, 255, 0]]]
