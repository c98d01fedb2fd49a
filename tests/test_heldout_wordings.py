"""The held-out lists against the training grammar: what was measured on unseen wordings was worded unseen."""

from __future__ import annotations

import ast
import json
import re
import runpy
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from rs2sam.datasets.english import nouns, phrasing, vocabulary

ROOT = Path(__file__).parents[1]
LISTS = ROOT / "benchmarks" / "heldout"
_SLOT = re.compile(r"\{[^}]*\}")
_EDGES = ("<start>", "<end>")


def words(text: str) -> list[str]:
    """Lower-case words without punctuation at their ends."""
    return [word for word in (raw.strip(".,;:?!") for raw in text.lower().split()) if word]


def fragments() -> Iterator[list[str]]:
    """Every piece of text in the source of the grammar: more than it can say, since names and keys are among them."""
    for module in (phrasing, vocabulary, nouns):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if is_docstring:
                node.value.value = ""
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from (piece for piece in map(words, _SLOT.split(node.value)) if piece)
    for entries in nouns.NOUNS.values():
        yield from (words(text) for noun in entries for text in (noun.singular, noun.plural))


class Grammar:
    """All sequences of the grammar's fragments: a superset of its sentences."""

    def __init__(self) -> None:
        known = list(fragments())
        self.inside = {pair for one in known for pair in pairwise(one)}
        self.first, self.last = {one[0] for one in known}, {one[-1] for one in known}

    def may_say(self, sentence: str) -> bool:
        """Whether every two neighbouring words stand in a fragment, or end one and begin another."""
        said = words(sentence)
        joined = all(pair in self.inside or (pair[0] in self.last and pair[1] in self.first) for pair in pairwise(said))
        return joined and said[0] in self.first and said[-1] in self.last


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    """Of the source as it is."""
    return Grammar()


def rows(name: str) -> list[dict[str, object]]:
    """The rows of a list."""
    return [json.loads(line) for line in (LISTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def templates(path: str) -> set[str]:
    """The fixed texts of a wording, without those of a single word."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        found = runpy.run_path(str(ROOT / "tools" / path))
    finally:
        sys.path.pop(0)
    named = ("FRAMES", "ALL", "STUFF", "ONLY", "COUNT", "ABSENT", "ABSENT_ONE", "ABSENT_ANY", "CELLS", "CENTRE")
    named += ("CORNER", "CORNERS", "EXTREMES", "PLACES", "SIZES", "COLOUR", "RELATIONS", "OTHERS", "NEW_NOUNS")

    def texts(value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from (text for one in value.values() for text in texts(one))
        elif isinstance(value, tuple):
            yield from (text for one in value for text in texts(one))

    return {text for name in named if name in found for text in texts(found[name]) if len(words(text)) > 1}


def test_the_check_knows_what_the_grammar_says(grammar: Grammar) -> None:
    for sentence in ("the largest airplane", "please segment the ships in the upper left", "all visible storage tanks"):
        assert grammar.may_say(sentence)
    assert not grammar.may_say("the ballpark over yonder")


def test_no_sentence_of_the_second_list_is_producible(grammar: Grammar) -> None:
    producible = [row["sentence"] for row in rows("analysts") if grammar.may_say(str(row["sentence"]))]
    assert producible == []


def test_the_two_lists_share_no_template_and_no_new_noun() -> None:
    assert templates("make_heldout.py") & templates("heldout_wordings.py") == set()


def test_the_second_list_has_all_kinds_on_many_images() -> None:
    found = rows("analysts")
    assert len(found) >= 800
    assert {row["kind"] for row in found} == {row["kind"] for row in rows("sentences")}
    assert len({(row["source"], row["image"]) for row in found}) >= 100
    assert len({row["id"] for row in found}) == len(found)
