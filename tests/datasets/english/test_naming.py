"""Names without an image."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.datasets.english.naming import draw_namings
from rs2sam.datasets.english.training_nouns import TRAINING_NOUNS
from rs2sam.datasets.english.wordnet import untaught_nouns

FIRST_NAMES = {name for nouns in TRAINING_NOUNS.values() for name in (nouns[0].singular, nouns[0].plural)}


def words_after(phrase: str) -> str:
    """A phrase without its determiner."""
    for determiner in ("all the ", "the ", "all "):
        if phrase.startswith(determiner):
            return phrase[len(determiner) :]
    return phrase


@given(st.integers(0, 2**32), st.integers(0, 20))
def test_names_depend_on_the_generator_alone(seed, count):
    first, again = (draw_namings(np.random.default_rng(seed), count, 0.5) for _ in range(2))
    assert first == again
    assert len(first) == count
    assert all(name.phrase.strip() for name in first)


def test_a_taught_name_has_the_first_name_of_its_category_beside_it():
    categories = {
        name: category for category, nouns in TRAINING_NOUNS.items() for n in nouns for name in (n.singular, n.plural)
    }
    firsts = {name: c for c, nouns in TRAINING_NOUNS.items() for name in (nouns[0].singular, nouns[0].plural)}
    drawn = draw_namings(np.random.default_rng(0), 2000)
    taught = [name for name in drawn if name.main]
    assert 0.46 < len(taught) / len(drawn) < 0.54
    shared = {
        name
        for name in categories
        if sum(name in (n.singular, n.plural) for ns in TRAINING_NOUNS.values() for n in ns) > 1
    }
    for name in taught:
        said, main = words_after(name.phrase), words_after(name.main)
        assert main in FIRST_NAMES
        assert said in shared or categories[said] == firsts[main]
        assert name.phrase.startswith("all") <= name.main.startswith("all the ")
        assert name.main.startswith(("the ", "all the "))


def test_every_category_is_named_about_as_often_as_another():
    drawn = [name.main for name in draw_namings(np.random.default_rng(1), 20_000) if name.main]
    firsts = {name: c for c, nouns in TRAINING_NOUNS.items() for name in (nouns[0].singular, nouns[0].plural)}
    counts = dict.fromkeys(TRAINING_NOUNS, 0)
    for main in drawn:
        counts[firsts[words_after(main)]] += 1
    assert min(counts.values()) > 0.7 * len(drawn) / len(counts)


def test_names_of_nothing_taught_are_mostly_nouns_that_a_dictionary_has():
    untaught = [name.phrase for name in draw_namings(np.random.default_rng(2), 4000) if not name.main]
    nouns = set(untaught_nouns().names)
    assert 0.2 < np.mean([words_after(phrase) in nouns for phrase in untaught]) < 0.4  # singular; the others are plural
    assert len(set(untaught)) > 0.7 * len(untaught)


def test_frames_change_what_is_said_and_not_what_it_is_compared_with():
    names = [name for name in draw_namings(np.random.default_rng(3), 400, 1.0) if name.main]
    assert {words_after(name.main) for name in names} <= FIRST_NAMES
    assert np.mean([len(name.phrase.split()) > 4 for name in names]) > 0.3
