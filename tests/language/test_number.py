"""A sentence that names one object, where several were found."""

import pytest

from rs2sam.language.concepts import names_one, number_remark


@pytest.mark.parametrize(
    ("sentence", "noun"),
    [
        ("the plane", "plane"),
        ("Please show me the storage tank.", "storage tank"),
        ("that swimming pool", "swimming pool"),
        ("where is the baseball field?", "baseball field"),
    ],
)
def test_a_definite_singular_names_one(sentence: str, noun: str) -> None:
    assert names_one(sentence) == noun


@pytest.mark.parametrize(
    "sentence",
    [
        "the largest plane",
        "the plane on the left",
        "the planes",
        "all planes",
        "a plane",
        "plane",
        "planes",
        "the water",
        "the road",
        "every plane",
        "the river",
        "",
    ],
)
def test_plurals_areas_and_indefinite_ones_do_not(sentence: str) -> None:
    assert names_one(sentence) is None


def test_several_of_like_size_are_said_with_what_to_ask_instead() -> None:
    remark = number_remark("plane", [1000.0, 250.0, 249.0, 4.0])
    assert remark is not None
    assert "names one, and 2 of like size were found" in remark
    assert '"the largest plane"' in remark
    assert '"the planes"' in remark


@pytest.mark.parametrize("areas", [[], [1000.0], [1000.0, 249.0, 3.0]])
def test_one_object_with_specks_around_it_is_one(areas: list[float]) -> None:
    assert number_remark("plane", areas) is None


def test_a_text_of_any_length_takes_no_time() -> None:
    assert names_one("the ship " + "here " * 20_000 + "x") is None  # minutes without a limit
