"""Requests of any length, and what people tell step by step, read as meant; what says more stays."""

from __future__ import annotations

import time

import pytest

from rs2sam.language.asking import asked
from rs2sam.language.concepts import noun_phrase
from rs2sam.language.scope import read_sentence


@pytest.mark.parametrize(
    "frame",
    [
        "my manager would like {} outlined for the report",
        "the fire chief is on the phone asking for {}, mark quickly",
        "could you, on this overhead picture, run a line round {}?",
        "from the attached jpg i want {}",
        "labelling task, class name {}",
        "not a bounding box, a mask of {}",
        "hide everything except {}",
        "{}, and ignore the rest",
        "{} to be traced please",
        "{} we need on this map",
    ],
)
@pytest.mark.parametrize(("phrase", "claims"), [("the ships", []), ("the largest ship", ["largest"])])
def test_only_the_thing_is_left_of_a_request(frame, phrase, claims):
    scoped = read_sentence(frame.replace("{}", phrase))
    assert (noun_phrase(scoped.local), list(map(str, scoped.claims))) == ("ship", claims)


@pytest.mark.parametrize(
    "sentence",
    [
        "every last ship",
        "ships of any kind",
        "the ship class",
        "objects of type ship",
        "anything that is a ship",
        "whatever ships there are",
        "the ships in their entirety",
        "ships captured by the drone",
    ],
)
def test_all_of_a_kind_is_the_bare_noun(sentence):
    scoped = read_sentence(sentence)
    assert (noun_phrase(scoped.local), scoped.claims) == ("ship", ())


@pytest.mark.parametrize(
    "sentence",
    [
        "everything except the ships",
        "the ships that are cut off",
        "the ships that aren't near the pier",
        "ship, red",
        "the road that leads to the right",
        "the ships with a wide deck",
        "see the white one? that ship",
    ],
)
def test_words_that_tell_things_apart_are_kept(sentence):
    assert asked(sentence) == sentence


@pytest.mark.parametrize(
    ("sentence", "local", "claims"),
    [
        ("no ship is smaller than this one", "the ships", "smallest"),
        ("only one ship is larger than this one", "the ships", "second largest"),
        ("every other ship is to the left of this one", "the ships", "toward right"),
        ("go as far left as you can, it's the ship there", "the ships", "toward left"),
        ("over on the left there's a ship, that's the one", "the ships", "in left"),
        ("right of the bridge, the ship", "the ships", "right of [the bridges]"),
        ("look at the pier, then look left: that ship", "the ships", "left of [the piers]"),
        ("three ships in the picture, the one furthest right", "the ships", "toward right"),
        ("of the three planes nearest the runway, the tiniest", "the planes", "3 nearest [the runways]; smallest"),
        ("the ships that are not in the upper half", "the ships", "in bottom"),
    ],
)
def test_what_is_told_step_by_step_is_read(sentence, local, claims):
    scoped = read_sentence(sentence)
    assert (scoped.local, "; ".join(map(str, scoped.claims))) == (local, claims)


@pytest.mark.parametrize(
    "words", ["mark out", "and i want the", "the true outline of", "please, ", "for the map", "= "]
)
def test_long_requests_take_no_time(words):
    asked("mark the ships")
    text = " ".join([words] * 60)[:600].rsplit(" ", 1)[0]
    text = " ".join(text.split()[:60])
    begin = time.process_time()
    asked(text)
    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    "sentence",
    [
        "I don't want the ships",
        "nobody wants the ships",
        "no need for the ships",
        "I don't want the largest ship",
        "do not mark everything except the ships",
        "filter out the trees",
        "leave the ships alone",
        "I want to hide the ships",
        "white lines on the runway",
        "the ring around the tank",
        "the area containing the tanks",
        "the edge of the field",
        "perimeter of the airport",
        "the satellite dishes, the cars",
        "photo studios, all houses",
        "with a pool, the house",
        "At the harbour, all boats",
        "the pool being filled",
        "cars pulled over",
        "the pool for the school",
        "the high-water mark",
        "the field they mapped",
        "the moss on the tiles",
        "filling stations",
        "water treatment areas",
        "the church wants a roof",
        "where the river meets the sea",
        "I see two ships. Mark the left one.",
    ],
)
def test_what_is_no_request_for_the_thing_stays_whole(sentence: str) -> None:
    """Denials, exceptions, parts, places, states, purposes, names, several sentences."""
    read = read_sentence(sentence)
    assert (read.local, read.claims) == (sentence, ())


@pytest.mark.parametrize(
    ("sentence", "thing"),
    [
        ("hide everything except the ships", "the ships"),
        ("don't forget the ships", "the ships"),
        ("can't you show me the ships", "the ships"),
        ("the ships, please, nothing else", "the ships"),
        ("could you please outline the ships for my report?", "the ships"),
        ("we need the boundaries of the fields", "the fields"),
        ("the client wants the roofs outlined", "the roofs"),
        ("for my homework, mark the roads", "the roads"),
    ],
)
def test_a_request_is_what_it_asks_for(sentence: str, thing: str) -> None:
    assert read_sentence(sentence).local == thing
