"""Names that a model was taught in place of others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rs2sam.backends.loaded import AskedModel
from rs2sam.datasets.english.training_nouns import TRAINING_NOUNS
from rs2sam.language.concepts import usual_phrase
from rs2sam.processing import ProcessingConfig

CLASSES = ("airplane", "ship", "vehicle", "building", "swimming pool", "water", "large vehicle")


@pytest.mark.parametrize(
    ("phrase", "usual"),
    [
        ("jets", "airplanes"),
        ("the jet", "the airplane"),
        ("every Aircraft", "every airplane"),
        ("all aircraft", "all airplanes"),
        ("all of the big rooftops", "all of the big buildings"),
        ("dark grey roofs", "dark grey buildings"),
        ("the jets near the terminal", "the airplanes near the terminal"),
        ("bodies of water", "water"),
        ("the small vehicles", "the vehicles"),  # a name of its own, and no look
        ("the swimming-pools", "the swimming pools"),
    ],
)
def test_a_taught_name_becomes_the_first_of_its_category(phrase: str, usual: str) -> None:
    assert usual_phrase(phrase, CLASSES) == usual


@pytest.mark.parametrize(
    "phrase",
    [
        "",
        "the",
        "the solar panels",
        "the roof windows",
        "the solar panel roofs",  # what stands before the name is no look
        "qwertz asdf",
        "the white",
        "Show me all the jets",  # no phrase: the reader takes frames off
        "the jets' shadows",
        "the pool tables",
    ],
)
def test_what_is_no_taught_name_stays(phrase: str) -> None:
    assert usual_phrase(phrase, CLASSES) == phrase


def test_the_name_is_the_one_that_the_model_has_for_its_class() -> None:
    assert usual_phrase("the automobiles", ("car", "ship")) == "the cars"
    assert usual_phrase("the automobiles", ("vehicle",)) == "the vehicles"
    assert usual_phrase("the lorries", CLASSES) == "the large vehicles"


def test_of_two_classes_in_one_category_none_is_the_usual_one() -> None:
    assert usual_phrase("the homes", ("house", "building")) == "the homes"
    assert usual_phrase("the homes", ("building",)) == "the buildings"


def test_a_name_that_is_the_first_of_another_category_is_not_this_one_s() -> None:
    assert usual_phrase("the greenery", ("vegetation", "tree")) == "the vegetation"
    assert usual_phrase("the trees", ("vegetation", "tree")) == "the trees"


def test_a_class_keeps_its_name_and_no_name_leads_to_two_categories() -> None:
    classes = tuple(nouns[0].singular for nouns in TRAINING_NOUNS.values())
    for nouns in TRAINING_NOUNS.values():
        assert usual_phrase(nouns[0].plural, classes) == nouns[0].plural
    homes: dict[str, set[str]] = {}
    for category, nouns in TRAINING_NOUNS.items():
        for noun in nouns:
            homes.setdefault(noun.plural.lower().replace("-", " "), set()).add(category)
    double = [name for name, categories in homes.items() if len(categories) > 1]
    assert double
    assert all(usual_phrase(name, classes) == name for name in double)


class _Processor:
    reads_phrases = False

    def __init__(self, classes: tuple[str, ...] | None) -> None:
        self.config = replace(ProcessingConfig(64, 64, 16, 1), classes=classes)


def test_only_a_model_that_says_what_it_was_taught_is_asked_by_usual_names() -> None:
    taught, other = (AskedModel(_Processor(classes), None) for classes in (("airplane",), None))  # type: ignore[arg-type]
    assert taught.phrase("the jets") == "the airplanes"
    assert other.phrase("the jets") == "the jets"


@pytest.mark.parametrize("phrase", ["jetliner" + " " * 5000 + "x", "white " * 4000 + "jetliner", " " * 5000])
def test_a_phrase_that_is_too_long_to_be_a_name_stays(phrase: str) -> None:
    assert usual_phrase(phrase, ("airplane",)) == phrase
