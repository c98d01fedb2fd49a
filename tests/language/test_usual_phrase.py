"""Names that a model was taught in place of others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rs2sam.backends.loaded import AskedModel
from rs2sam.datasets.english.training_nouns import TRAINING_NOUNS
from rs2sam.language.concepts import usual_phrase
from rs2sam.processing import ProcessingConfig


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
    assert usual_phrase(phrase) == usual


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
    assert usual_phrase(phrase) == phrase


def test_every_first_name_stays_and_no_name_leads_to_two_categories() -> None:
    for nouns in TRAINING_NOUNS.values():
        assert usual_phrase(nouns[0].plural) == nouns[0].plural
    homes: dict[str, set[str]] = {}
    for category, nouns in TRAINING_NOUNS.items():
        for noun in nouns:
            homes.setdefault(noun.plural.lower().replace("-", " "), set()).add(category)
    double = [name for name, categories in homes.items() if len(categories) > 1]
    assert double
    assert all(usual_phrase(name) == name for name in double)


class _Processor:
    reads_phrases = False

    def __init__(self, classes: tuple[str, ...] | None) -> None:
        self.config = replace(ProcessingConfig(64, 64, 16, 1), classes=classes)


def test_only_a_model_that_says_what_it_was_taught_is_asked_by_usual_names() -> None:
    taught, other = (AskedModel(_Processor(classes), None) for classes in (("airplane",), None))  # type: ignore[arg-type]
    assert taught.phrase("the jets") == "the airplanes"
    assert other.phrase("the jets") == "the jets"
