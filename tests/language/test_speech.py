"""How people talk around what they want: orders of all kinds, fillers, abbreviations, stories; and what stays whole."""

from __future__ import annotations

import time

import pytest

from rs2sam.language.scope import read_sentence

SPOKEN = [
    ("ok so, um, the pool waaay over on the left", "the pools", "toward left"),
    ("there are some tanks; I want the biggest", "the tanks", "largest"),
    ("There are several planes here. Please mark the leftmost one.", "the planes", "toward left"),
    ("in the image we can see ships; mark the smallest one", "the ships", "smallest"),
    ("we have three boats in the picture, give me the one on the right", "the boats", "in right"),
    ("the second largest tank (not the largest one)", "the tanks", "second largest"),
    ("the northernmost tank, if that helps", "the tanks", "toward top (compass)"),
    ("not the biggest boat, the second biggest", "the boats", "second largest"),
    ("Dispatch a crew to the southernmost tank.", "the tanks", "toward bottom (compass)"),
    ("Relocate all four of the airplanes.", "all airplanes", "count 4"),
    ("Priority 1: biggest car", "the cars", "largest"),
    ("the really huge car, you know, the biggest one", "the cars", "largest"),
    ("biggest car, white", "the white cars", "largest"),
    ("3rd tank from L", "the tanks", "third toward left"),
    ("tank TR", "the tanks", "in upper right"),
    ("the tank at 9 o'clock", "the tanks", "in left"),
    ("the tank in the btm left corner", "the tanks", "in lower left corner"),
    ("the tank w/ biggest footprint btw", "the tanks", "largest"),
    ("northernmost airplane in the AOI", "the airplanes", "toward top (compass)"),
    ("the pool with the minimum x coordinate", "the pools", "toward left"),
    ("the plane requiring the least space", "the planes", "smallest"),
    ("the plane that is smaller as all others", "the planes", "smallest"),
]
WHOLE = [
    "all tanks except the largest",
    "the tank that isn't the largest",
    "all the tanks minus the biggest",
    "every tank bar the largest",
    "drop the smallest tank",
    "the tanks, not the largest one",
    "not the largest tank",
    "tanks on the left, not the top one",
    "Ignore the largest tank",
    "the tank next to the largest ship",
    "You can see two planes and three tanks.",
]


@pytest.mark.parametrize(("sentence", "local", "claims"), SPOKEN)
def test_speech_around_the_phrase_is_left_out(sentence, local, claims):
    scoped = read_sentence(sentence)
    assert (scoped.local, "; ".join(map(str, scoped.claims))) == (local, claims)


@pytest.mark.parametrize("sentence", WHOLE)
def test_what_is_denied_or_not_understood_stays_whole(sentence):
    assert not read_sentence(sentence).claims


@pytest.mark.parametrize("word", ["the", "you know", "there are tanks,", "not the", "of the", "a b", "so,"])
def test_long_speech_takes_no_time(word):
    read_sentence("the tank")
    text = " ".join([word] * 60)[:600]
    read_sentence(text)
    begin = time.process_time()
    read_sentence(text)
    assert time.process_time() - begin < 0.5
