"""What a sentence claims decides how its image may be varied."""

from __future__ import annotations

import pytest

from rs2sam.datasets.english.claims import names_colour, names_shade, relies_on_surroundings


@pytest.mark.parametrize(
    "sentence", ["ship", "the red ship", "all storage tanks", "The airplane.", "a ground track field", "the forest"]
)
def test_a_name_and_its_colour_need_nothing_else_in_the_picture(sentence: str) -> None:
    assert not relies_on_surroundings(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "the ship on the left", "the leftmost ship", "the ship in the middle", "the largest ship", "a small car",
        "two ships", "the 3 ships", "the only ship", "a car near the house", "the building with a parking lot",
        "the northern pier", "the northeast pier", "the tank at NE", "the second tank", "a row of cars",
        "the other ship", "the bridge over the river", "the longest bridge", "the isolated house", "das Gebäude", "船",
        "the mid-sized car",
    ],
)  # fmt: skip
def test_place_size_number_rank_and_company_do(sentence: str) -> None:
    assert relies_on_surroundings(sentence)


@pytest.mark.parametrize(
    ("sentence", "colour", "shade"),
    [
        ("the red ship", True, False),
        ("the bluish roof", True, False),
        ("the greener field", True, False),
        ("the white ship", True, True),
        ("the darkest tank", True, True),
        ("the light-colored car", True, True),
        ("the greenhouse", False, False),
        ("the orchard", False, False),
        ("das weiße Schiff", True, True),
    ],
)
def test_colours_and_shades_are_told_apart(sentence: str, colour: bool, shade: bool) -> None:
    assert (names_colour(sentence), names_shade(sentence)) == (colour, shade)
