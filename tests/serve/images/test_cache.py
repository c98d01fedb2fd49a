"""Images in memory make room for each other, also for what a model adds to them later."""

from __future__ import annotations

from dataclasses import dataclass

from rs2sam.serve.images.cache import ImageCache


@dataclass
class Held:
    """An image that takes so many bytes."""

    num_bytes: int


def test_those_that_were_used_longest_ago_make_room():
    cache = ImageCache(100)
    first, second, third = Held(40), Held(40), Held(40)
    assert cache.keep("a", first) == []
    assert cache.keep("b", second) == []
    assert cache.get("a") is first
    assert cache.keep("c", third) == [("b", second)]
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (first, None, third)
    assert cache.num_bytes == 80


def test_what_grew_since_it_was_taken_in_makes_others_leave():
    cache = ImageCache(100)
    first, second = Held(40), Held(40)
    cache.keep("a", first)
    cache.keep("b", second)
    assert cache.make_room() == []
    second.num_bytes = 70
    assert cache.make_room() == [("a", first)]
    assert cache.num_bytes == 70


def test_one_image_stays_however_large_it_is():
    cache = ImageCache(100)
    cache.keep("a", Held(1000))
    assert cache.make_room() == []
    assert cache.num_bytes == 1000
