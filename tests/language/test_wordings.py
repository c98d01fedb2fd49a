"""The list of wordings with known meanings, and sentences of other people's kinds, read as meant."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.accuracy.wordings import HALVES, Layout, UnclearError, made, meant, measured, outcome, table, wordings
from rs2sam.language.concepts import noun_phrase
from rs2sam.language.frames import unframed
from rs2sam.language.scope import Candidate, read_sentence

# sentence, what a tile is asked, what the scene decides
READINGS = [
    ("show me where the largest ship is located", "the ships", "largest"),
    ("I would like to have the largest ship highlighted", "the ships", "largest"),
    ("Could you outline for me the ship that is closest to the bridge, please?", "the ships", "nearest [the bridges]"),
    ("need outline of largest tank", "the tanks", "largest"),
    ("the leftmost tank in the picture, please segment it", "the tanks", "toward left"),
    ("leftmost tank, nothing else", "the tanks", "toward left"),
    ("ships (the largest one)", "the ships", "largest"),
    ("tanks: the smallest one", "the tanks", "smallest"),
    ("ship - largest", "the ships", "largest"),
    ("upper left: largest vessel", "the vessels", "in upper left; largest"),
    ("in the right half the uppermost plane", "the planes", "in right; toward top"),
    ("from the left, the second ship", "the ships", "second toward left"),
    ("the second plane if you count from the left", "the planes", "second toward left"),
    ("the tank that is second in size", "the tanks", "second largest"),
    ("the ship that takes up the most space", "the ships", "largest"),
    ("the ship whose area is the smallest", "the ships", "smallest"),
    ("a plane bigger than all the other planes", "the planes", "largest"),
    ("the bigger ship of the two", "the ships", "largest"),
    ("the longer of the two bridges", "the bridges", "longest"),
    ("of all planes the biggest", "the planes", "largest"),
    ("which of the tanks lies furthest left?", "the tanks", "toward left"),
    ("of the ships, the nearest to the bridge", "the ships", "nearest [the bridges]"),
    ("the bottom two tanks", "the tanks", "2 toward bottom"),
    ("car all the way to the right", "the cars", "toward right"),
    ("most right car", "the cars", "toward right"),
    ("the upmost tank", "the tanks", "toward top"),
    ("the utmost left tank", "the tanks", "toward left"),
    ("top right-hand corner ship", "the ships", "in upper right corner"),
    ("left half boats", "the boats", "in left"),
    ("pool upper left corner", "the pools", "in upper left corner"),
    ("ship next to the left edge of the image", "the ships", "in left"),
    ("the car which has the house on its right", "the cars", "left of [the houses]"),
    ("car left from the house", "the cars", "left of [the houses]"),
    ("the ship on the bridge's left side", "the ships", "left of [the bridges]"),
    ("teh ship on the rigth", "the ships", "in right"),
]

# Said in words of place, size or rank, but nothing that the scene could decide alone.
WHOLE = [
    "all tanks apart from the biggest one",
    "tanks other than the largest",
    "the mid-size tank",
    "the house with a pool on its left",
    "the tank bigger than the building",
    "the tank larger than all other houses",
    "the road that bends to the right",
    "the ship turned to the left",
    "the plane on the far left of the apron",
    "the shortest building",
    "the largest one, i mean the ship",
    "the largest number of tanks",
    "the tank near the top, the white one",
]


@pytest.mark.parametrize(("sentence", "local", "claims"), READINGS)
def test_strangers_wordings_are_read(sentence, local, claims):
    scoped = read_sentence(sentence)
    assert (scoped.local, "; ".join(map(str, scoped.claims))) == (local, claims)


@pytest.mark.parametrize("sentence", WHOLE)
def test_what_is_read_only_in_part_stays_whole(sentence):
    scoped = read_sentence(sentence)
    assert (scoped.local, scoped.claims) == (sentence, ())


@pytest.mark.parametrize(
    ("sentence", "thing"),
    [
        ("Please mark the boats for me.", "the boats"),
        ("are there any planes?", "any planes"),
        ("draw a polygon around the tanks", "the tanks"),
        ("boat mask", "boat"),
        ("Is it possible to show me where the pools are? Thank you!", "the pools"),
        ("circle irrigation", "circle irrigation"),
        ("circle the largest field", "the largest field"),
        ("ships in the upper right picture", "ships in the upper right picture"),
        ("ships near here", "ships near here"),
    ],
)
def test_frames_are_taken_off_and_nothing_else(sentence, thing):
    assert unframed(sentence) == thing


@pytest.mark.parametrize(
    ("sentence", "phrase"),
    [
        ("the only airplane", "airplane"),
        ("areas covered by water", "water"),
        ("everything that is a tank", "tank"),
        ("each of the courts", "court"),
    ],
)
def test_a_model_of_phrases_is_asked_the_bare_noun(sentence, phrase):
    assert noun_phrase(sentence) == phrase


def layout(*boxes: tuple[int, int, int, int], landmarks: tuple[tuple[int, int, int, int], ...] = ()) -> Layout:
    """Rectangles as objects."""

    def candidates(found):
        return tuple(Candidate(box, (box[2] - box[0]) * (box[3] - box[1])) for box in found)

    return Layout(("ship", "ships"), ("bridge", "bridges"), candidates(boxes), candidates(landmarks))


THREE = layout((20, 20, 60, 60), (300, 300, 320, 320), (500, 560, 600, 630), landmarks=((200, 20, 240, 60),))


@pytest.mark.parametrize(
    ("meaning", "indices"),
    [
        ("all", [0, 1, 2]),
        ("largest", [2]),
        ("largest#2", [0]),
        ("smallest*2", [0, 1]),
        ("top#2", [1]),
        ("in:bottom-right", None),
        ("in:middle", [1]),
        ("of:left", [0]),
        ("closest", [0]),
        ("half:left largest", None),
        ("n=2 all", None),
    ],
)
def test_meanings_are_worked_out_without_the_reader(meaning, indices):
    if indices is None:
        with pytest.raises(UnclearError):
            meant(THREE, meaning)
    else:
        assert meant(THREE, meaning) == indices


@pytest.mark.parametrize(
    ("sentence", "meaning", "found"),
    [
        ("the largest ship", "largest", "right"),
        ("the largest ship", "smallest", "wrong"),
        ("all but the largest ship", "not:largest", "model"),
        ("the ships", "largest", "wrong"),
        ("the hugely largest vessel", "largest", "whole"),
        ("the largest ship near the bridge", "beside largest", "right"),
        ("the oldest ship", "whole", "model"),
        ("the largest ship", "whole", "wrong"),
    ],
)
def test_a_sentence_is_right_left_or_wrong(sentence, meaning, found):
    assert outcome(sentence, "ship", THREE, meaning) == found


def test_the_halves_share_no_wording():
    halves = {half: {one.wording.lower() for one in wordings() if one.half == half} for half in HALVES}
    assert Counter(one.half for one in wordings()) == {"dev": 1589, "blind": 1315}
    assert not halves["dev"] & halves["blind"]


@pytest.mark.parametrize(("half", "right", "wrong"), [("dev", 0.8, 0.004), ("blind", 0.63, 0.02)])
def test_most_wordings_are_read_and_few_wrongly(half, right, wrong):
    chosen = [one for one in wordings() if one.half == half]
    overall = table(chosen, measured([made(number) for number in range(200)], chosen, 1))["overall"]
    assert overall["right"] >= right
    assert overall["wrong"] <= wrong


def test_wordings_of_the_first_two_blind_writers_are_read():
    chosen = [one for one in wordings() if one.half == "blind"][:630]
    overall = table(chosen, measured([made(number) for number in range(200)], chosen, 1))["overall"]
    assert overall["right"] >= 0.7
    assert overall["wrong"] <= 0.02
