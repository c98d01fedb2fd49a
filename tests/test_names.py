"""The list of names that say whether a model knows what it was taught, and how it is measured."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

from benchmarks.accuracy.names import HALVES, UNTAUGHT, measured, names
from rs2sam.datasets.english.vocabulary import CATEGORIES


def test_halves_of_the_list_are_of_one_size_and_share_no_name():
    found = list(names())
    assert Counter(name.half for name in found) == dict.fromkeys(HALVES, 304)
    assert {name.category for name in found} <= {*CATEGORIES, UNTAUGHT}
    assert len({name.name.lower() for name in found}) == len(found)


def test_shares_are_of_the_names_at_or_above_the_models_limit():
    """A model that knows what has an even number of letters, by its limit of 0.4."""
    encoded = SimpleNamespace(segment=lambda name: SimpleNamespace(known=0.4 if len(name) % 2 == 0 else 0.39))
    found = measured(SimpleNamespace(min_known=0.4, encode=lambda rgb: encoded), "dev")
    chosen = [name for name in names() if name.half == "dev"]
    taught = [len(name.name) % 2 == 0 for name in chosen if name.category != UNTAUGHT]
    untaught = [len(name.name) % 2 == 0 for name in chosen if name.category == UNTAUGHT]
    assert (found["taught"], found["untaught"]) == (len(taught), len(untaught)) == (189, 115)
    assert found["taught_known"] == round(sum(taught) / 189, 3)
    assert found["untaught_known"] == round(sum(untaught) / 115, 3)
    assert len(found["wrong"]) == taught.count(False) + untaught.count(True)
