"""Directions in sentences turn with the picture, or the sentence is not offered."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.datasets.english.wording import FLIP_LEFT_RIGHT, FLIP_UP_DOWN, Turn, reword

QUARTER, HALF, TRANSPOSED = Turn(1), Turn(2), Turn(1, mirror=True)
TURNS = [Turn(k, mirror) for k in range(4) for mirror in (False, True)]
CHANGES = [turn for turn in TURNS if not turn.is_identity]
DATA = Path(os.environ.get("RS2SAM_DATA", Path(__file__).parents[4] / "shared" / "data"))

# Parts of sentences by what may be said around them. Every one has words for all eight ways to lay the picture.
PLACES = [
    "on the left", "on the right", "at the top", "at the bottom", "in the upper left", "in the lower-right corner",
    "in the Top Left", "at the bottom right of the image", "in the left top corner", "on the left side",
    "in the top half", "in the upper part", "near the left-hand edge", "furthest to the left", "in the center right",
    "in the north", "in the South-East", "near the northwestern border", "in the NE corner",
    "at the southernmost end", "to the left of a pool", "above the house",
    "below and to the right of another building", "along the north-south road", "in the middle",
    "right next to the pool", "at a right angle to the road", "from left to right", "facing up",
    "toward the top of the image", "in the northeast-southwest direction", "in an upper corner", "on an eastern pier",
    "",
]  # fmt: skip
NOUNS = [
    "the ship",
    "The large plane",
    "the leftmost tank",
    "the topmost car",
    "the rightmost, smaller house",
    "the upright tower",
]
SENTENCES = st.builds(
    lambda noun, places, end: " ".join([noun, *filter(None, places)]) + end,
    st.sampled_from(NOUNS),
    st.lists(st.sampled_from(PLACES), max_size=3),
    st.sampled_from(["", ".", " ."]),
)
LOOKALIKES = (
    "the a ship ships, copyright bright upright leftover topsoil stopped downtown near rooftop Easter westernised"
    " southampton eastwood updated with; - (grey) T-shaped 27 nest forest next to"
)
PLAIN_SENTENCES = st.lists(st.sampled_from(LOOKALIKES.split()), min_size=1, max_size=9).map(" ".join)


@pytest.mark.parametrize(
    ("sentence", "turn", "expected"),
    [
        ("the ship on the left", FLIP_LEFT_RIGHT, "the ship on the right"),
        ("the ship on the left", FLIP_UP_DOWN, "the ship on the left"),
        ("the ship on the left", QUARTER, "the ship at the bottom"),
        ("The ship in the Upper Left corner.", FLIP_LEFT_RIGHT, "The ship in the Upper Right corner."),
        ("The ship in the Upper Left corner.", QUARTER, "The ship in the Lower Left corner."),
        ("the upper-left tank", HALF, "the lower-right tank"),
        ("the leftmost, smaller tank", QUARTER, "the bottommost, smaller tank"),
        ("the left-most tank", FLIP_LEFT_RIGHT, "the right-most tank"),
        ("Below the pool, a car", QUARTER, "To the right of the pool, a car"),
        ("TO THE LEFT OF THE POOL", QUARTER, "BELOW THE POOL"),
        ("above and to the left of another car", QUARTER, "to the left of and below another car"),
        ("the north-eastern part", FLIP_LEFT_RIGHT, "the north-western part"),
        ("the Northeast corner", FLIP_UP_DOWN, "the Southeast corner"),
        ("the northernmost of the ships", QUARTER, "the westernmost of the ships"),
        ("the ship in the NE", HALF, "the ship in the SW"),
        ("a north-south runway", QUARTER, "an east-west runway"),
        ("a north-south runway", FLIP_UP_DOWN, "a north-south runway"),
        ("a road from left to right", FLIP_LEFT_RIGHT, "a road from right to left"),
        ("a road from left to right", FLIP_UP_DOWN, "a road from left to right"),
        ("in an upper corner", FLIP_UP_DOWN, "in a lower corner"),
        ("cars driving clockwise", FLIP_UP_DOWN, "cars driving counterclockwise"),
        ("cars driving clockwise", QUARTER, "cars driving clockwise"),
        ("the car furthest right", QUARTER, "the car furthest up"),
        ("the upper half", QUARTER, "the left-hand half"),
        ("the second ship from the left", FLIP_LEFT_RIGHT, "the second ship from the right"),
        ("a car turning left", FLIP_LEFT_RIGHT, "a car turning right"),
        ("the harbor at the left of the image", FLIP_LEFT_RIGHT, "the harbor at the right of the image"),
    ],
)  # fmt: skip
def test_directions_turn_with_the_picture(sentence: str, turn: Turn, expected: str) -> None:
    assert reword(sentence, turn) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "a car right next to the road",
        "two roads that cross at right angles",
        "the right-of-way of the railway",
        "the upright tower",
        "a truck left behind on a bright field",
        "a village made up of houses",
        "cars lined up",
        "a tank on top of the roof",
        "seen from above, a stadium",
        "the building under construction",
        "the bridge over the river",
        "the diagonal road across the field",
        "the second largest ship",
        "cars in the downtown area",
    ],
)
def test_words_that_are_no_directions_stay_whatever_the_turn(sentence: str) -> None:
    assert [reword(sentence, turn) for turn in TURNS] == [sentence] * 8


@pytest.mark.parametrize(
    ("sentence", "refused", "offered"),
    [
        ("the road that runs horizontally", [QUARTER, TRANSPOSED], [FLIP_LEFT_RIGHT, FLIP_UP_DOWN, HALF]),
        ("vertical parking lots", [QUARTER], [FLIP_UP_DOWN, HALF]),
        ("the upper middle house", [QUARTER], [FLIP_LEFT_RIGHT, FLIP_UP_DOWN]),
        ("the car on the left of the truck", [QUARTER], [FLIP_LEFT_RIGHT, FLIP_UP_DOWN]),
        ("the lowest tank", [FLIP_UP_DOWN, QUARTER], [FLIP_LEFT_RIGHT]),
        ("the house behind the pool", [FLIP_UP_DOWN, HALF], [FLIP_LEFT_RIGHT]),
        ("the pool on the top floor", [FLIP_UP_DOWN, QUARTER], [FLIP_LEFT_RIGHT]),
        ("a car turning left", [FLIP_UP_DOWN, HALF, QUARTER], [FLIP_LEFT_RIGHT]),
        ("two tanks above the green grass", [FLIP_UP_DOWN, HALF, QUARTER], [FLIP_LEFT_RIGHT]),
        ("the clouds above another mountain", [FLIP_UP_DOWN, HALF, QUARTER], [FLIP_LEFT_RIGHT]),
        ("a roof with squares on its top", [FLIP_UP_DOWN, HALF, QUARTER], [FLIP_LEFT_RIGHT]),
        ("the second ship", CHANGES, []),
        ("the ships that were left", CHANGES, []),
        ("what is left of the forest", CHANGES, []),
        ("the North Sea coast", CHANGES, []),
        ("the nw corner", CHANGES, []),
        ("north-northeast of the pool", CHANGES, []),
        ("the ship at 3 o'clock", CHANGES, []),
        ("das Schiff oben", CHANGES, []),
        ("左上角的船", CHANGES, []),
        ("the lEft ship", [FLIP_LEFT_RIGHT, QUARTER], [FLIP_UP_DOWN]),
        ("the fields in the upper and lower left", [QUARTER, TRANSPOSED], [FLIP_LEFT_RIGHT, FLIP_UP_DOWN, HALF]),
        ("driving anticlockwise", [FLIP_LEFT_RIGHT], [QUARTER, HALF]),
    ],
)
def test_what_cannot_be_said_safely_is_not_offered(sentence: str, refused: list[Turn], offered: list[Turn]) -> None:
    assert all(reword(sentence, turn) is None for turn in refused)
    assert all(reword(sentence, turn) is not None for turn in offered)


@given(SENTENCES)
def test_turning_twice_by_a_flip_gives_the_original(sentence: str) -> None:
    for flip in (FLIP_LEFT_RIGHT, FLIP_UP_DOWN, HALF, TRANSPOSED):
        flipped = reword(sentence, flip)
        assert flipped is None or reword(flipped, flip) == sentence


@given(SENTENCES)
def test_four_quarter_turns_give_the_original(sentence: str) -> None:
    turned: str | None = sentence
    for _ in range(4):
        turned = None if turned is None else reword(turned, QUARTER)
    assert turned in (None, sentence)


@given(SENTENCES)
def test_two_flips_equal_a_half_turn(sentence: str) -> None:
    flipped = reword(sentence, FLIP_LEFT_RIGHT)
    twice = None if flipped is None else reword(flipped, FLIP_UP_DOWN)
    assert None in (flipped, twice) or twice == reword(sentence, HALF)


@given(SENTENCES, st.sampled_from(TURNS))
def test_all_but_the_words_stays(sentence: str, turn: Turn) -> None:
    turned = reword(sentence, turn)
    if turned is not None:
        assert [c for c in turned if not c.isalpha() and c not in " -"] == [
            c for c in sentence if not c.isalpha() and c not in " -"
        ]
        assert turned[0].isupper() == sentence[0].isupper()


@given(PLAIN_SENTENCES, st.sampled_from(TURNS))
def test_a_sentence_without_directions_is_unchanged(sentence: str, turn: Turn) -> None:
    assert reword(sentence, turn) == sentence


@given(st.text(max_size=60), st.sampled_from(TURNS))
def test_any_text_is_answered(sentence: str, turn: Turn) -> None:
    turned = reword(sentence, turn)
    assert turned is None or reword(turned, turn.inverse) == sentence


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("corner", ["upper left", "upper right", "lower left", "lower right"])
def test_the_named_corner_is_where_the_pixel_went(turn: Turn, corner: str) -> None:
    def place(name: str) -> tuple[int, int]:
        return (0 if "upper" in name else -1, 0 if "left" in name else -1)

    picture = np.zeros((3, 5), dtype=bool)
    picture[place(corner)] = True
    turned = reword(f"the {corner} corner", turn)
    assert turned is not None
    assert turn.apply(picture)[place(turned)]


@pytest.mark.parametrize("turn", TURNS)
def test_a_turn_and_its_inverse_restore_an_image(turn: Turn) -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(turn.inverse.apply(turn.apply(image)), image)


@pytest.mark.skipif(not (DATA / "expressions").is_dir(), reason=f"no sentences under {DATA}; set RS2SAM_DATA")
def test_most_published_sentences_can_be_turned() -> None:
    sentences = (DATA / "expressions" / "aerial_d_sample.txt").read_text(encoding="utf-8").split("\n")
    for turn, share in ((FLIP_LEFT_RIGHT, 0.98), (FLIP_UP_DOWN, 0.9), (QUARTER, 0.8)):
        offered = [reword(sentence, turn) is not None for sentence in sentences]
        assert np.mean(offered) > share


def test_the_table_of_the_docs_is_what_happens() -> None:
    page = (Path(__file__).parents[3] / "docs" / "variation.md").read_text(encoding="utf-8")
    rows = [row.strip("| \n").split(" | ") for row in page.split("## What happens to words")[1].splitlines()]
    rows = [row for row in rows if len(row) == 3][1:]
    assert len(rows) == 10
    for sentence, mirrored, turned in rows:
        for turn, expected in ((FLIP_LEFT_RIGHT, mirrored), (QUARTER, turned)):
            assert reword(sentence, turn) == {"unchanged": sentence, "not offered": None}.get(expected, expected)
