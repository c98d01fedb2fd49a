from __future__ import annotations

import pytest

from rs2sam.errors import InvalidInputError
from rs2sam.raster.tiling import TileGrid
from rs2sam.scenes.budget import budget, parse_memory


def plan(height=20_000, width=20_000, *, tile=512, sentences=1, batch=4, cache=50_000_000, memory=2_000_000_000):
    return budget(TileGrid((height, width), tile, tile // 4), sentences, batch, cache, memory)


def test_memory_does_not_depend_on_the_height():
    assert plan(height=2_000_000).total == plan(height=5_000).total


def test_memory_is_the_sum_that_the_documentation_gives():
    found = plan(width=10_000, tile=500, batch=4)
    pixels = 500 * 500
    assert found.tiles == pixels * 13 * 9 + pixels * 24 + pixels * 3 * 4
    assert found.sums == pixels * 16
    assert found.strips == 10_000 * (130 * 48 + 256 * 8)
    assert found.cache == 50_000_000


def test_the_cache_takes_no_more_than_is_left():
    found = plan(cache=10**12, memory=600_000_000)
    assert found.total == 600_000_000
    assert found.cache > 16_000_000


def test_too_little_memory_says_how_much_is_needed():
    with pytest.raises(InvalidInputError, match=r"needs [\d,]+ MB .* allows 100 MB"):
        plan(memory=100_000_000)
    with pytest.raises(InvalidInputError, match="smaller tiles"):
        plan(tile=8000)


@pytest.mark.parametrize(
    ("text", "expected"), [("2GB", 2 * 10**9), ("500 mb", 5 * 10**8), ("1GiB", 2**30), ("1e9", 10**9), ("64B", 64)]
)
def test_memory_is_parsed(text, expected):
    assert parse_memory(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "nan", "infGB"])
def test_memory_says_how_it_is_written(text):
    with pytest.raises(InvalidInputError, match="2GB"):
        parse_memory(text)
