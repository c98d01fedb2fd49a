"""The held-out lists against the training grammar: what was measured on unseen wordings was worded unseen."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.heldout import analysts, frames
from rs2sam.datasets.english import nouns, phrasing, vocabulary
from rs2sam.datasets.english.frames import FRAME, TAIL, all_other_words, frame_texts

LISTS = Path(analysts.__file__).parent
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


def templates(wording: ModuleType) -> set[str]:
    """The fixed texts of a wording, without those of a single word."""
    found = vars(wording)
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


def unframed(sentence: str) -> Iterator[str]:
    """What `frames.framed` may have made a sentence of, as far as frames and tails go."""
    said = " ".join(words(sentence))
    inside = [said]
    for frame, verb in product(frame_texts(FRAME), ("is", "are")):
        before, after = (" ".join(words(part)) for part in frame.replace("{be}", verb).split("{}"))
        pattern = " ".join(part for part in (re.escape(before), "(.+)", re.escape(after)) if part)
        found = re.fullmatch(pattern, said)
        inside += [found[1]] if found else []
    for phrase in inside:
        yield phrase
        yield from (phrase.removesuffix(f" {tail}") for tail in frame_texts(TAIL) if phrase.endswith(f" {tail}"))


def test_frames_are_taken_off() -> None:
    assert "the ships" in unframed("Could you outline the ships of this town for me?")
    assert "a bridge" in unframed("tell me where a bridge is")
    assert "all ships" in unframed("show where all ships are")


def test_no_sentence_of_the_second_list_is_producible_with_a_frame(grammar: Grammar) -> None:
    # The grammar has these before nouns alone, so what ends with one is no noun phrase that could be framed.
    before = {words(text)[-1] for texts, _ in vocabulary.SIZES.values() for text in texts}
    before -= {words(text)[-1] for _, texts in vocabulary.SIZES.values() for text in texts}
    assert {"biggest", "tiniest"} <= before

    def is_producible(phrase: str) -> bool:
        return grammar.may_say(phrase) and words(phrase)[-1] not in before

    sentences = [str(row["sentence"]) for row in rows("analysts")]
    assert [one for one in sentences if any(map(is_producible, unframed(one)))] == []


def test_nothing_that_training_says_is_a_template_of_a_list() -> None:
    said = {_SLOT.sub("{}", text) for text in (*frame_texts(FRAME), *all_other_words())}
    listed = {_SLOT.sub("{}", text) for text in templates(frames) | templates(analysts)}
    assert said & listed == set()


def test_the_two_lists_share_no_template_and_no_new_noun() -> None:
    assert templates(frames) & templates(analysts) == set()


def test_the_second_list_has_all_kinds_on_many_images() -> None:
    found = rows("analysts")
    assert len(found) >= 800
    assert {row["kind"] for row in found} == {row["kind"] for row in rows("sentences")}
    assert len({(row["source"], row["image"]) for row in found}) >= 100
    assert len({row["id"] for row in found}) == len(found)
