"""Many ways to ask: what the file holds, and what becomes of a noun phrase."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rs2sam.datasets.english.frames import FRAME, FRAME_SHARE, TAIL, TAIL_SHARE, frame_texts, framed, in_other_words
from rs2sam.datasets.english.nouns import Noun
from rs2sam.datasets.english.vocabulary import CARRIERS

COUNT = 4000


def lowered(phrase: str, **options: bool) -> list[str]:
    rng = np.random.default_rng(0)
    return [framed(phrase, rng, **options).lower().rstrip(".?! ") for _ in range(COUNT)]


def test_frames_take_one_noun_phrase_and_tails_none():
    frames, tails = frame_texts(FRAME), frame_texts(TAIL)
    assert len(frames) > 200 < 5 * len(tails)
    assert len(set(frames)) == len(frames)
    assert len(set(tails)) == len(tails)
    assert all(text.count("{}") == 1 and text.replace("{be}", "").count("{") == 1 for text in frames)
    assert not any("{" in text for text in tails)
    assert {text for text, _ in CARRIERS} & set(frames) == set()


def test_noun_phrase_stays_but_for_articles_and_slips():
    said = lowered("the ships")
    assert np.mean(["ships" in one for one in said]) > 0.95
    assert 0.05 < np.mean(["the ships" not in one for one in said]) < 0.25
    assert all(one.strip() for one in said)


@pytest.mark.parametrize("with_tail", [True, False])
def test_tails_stand_behind_what_nothing_singles_out(with_tail: bool):
    tails = [f"ships {text}" for text in frame_texts(TAIL)]
    share = np.mean([any(tail in one for tail in tails) for one in lowered("ships", with_tail=with_tail)])
    # A slip in the tail hides a few; two tails are also the ends of frames.
    expected = TAIL_SHARE if with_tail else 0.0
    assert share == pytest.approx(expected, abs=0.03)


def test_a_frame_is_drawn_as_often_as_said_and_its_verb_agrees():
    bare = np.mean([one in ("ships", "the ships") for one in lowered("the ships", with_tail=False)])
    assert bare == pytest.approx(1 - FRAME_SHARE, abs=0.04)
    for phrase, verb in (("the ships", "are"), ("a ship", "is"), ("all water", "are")):
        where = [one.split() for one in lowered(phrase, with_tail=False) if one.startswith("show where ")]
        assert where
        assert sum(words[-1] == verb for words in where) >= 0.8 * len(where)


def test_letters_are_of_every_case():
    rng = np.random.default_rng(1)
    said = [framed("the grey roofs", rng) for _ in range(1000)]
    assert {one.isupper() for one in said} == {True, False}
    assert any(one.istitle() for one in said)
    assert any(one.endswith(".") for one in said)


SHIP = Noun("ship", "ships", 1.0)
AIRPLANE = Noun("airplane", "airplanes", 1.0)


def said_of(kind: str, name: str, noun: Noun = SHIP, **options: object) -> set[str]:
    rng = np.random.default_rng(2)
    return {in_other_words(kind, name, noun, rng, **options) for _ in range(400)}


def test_other_words_name_what_is_meant_and_leave_no_hole():
    said = said_of("size", "largest")
    assert len(said) > 50
    assert all(re.search(r"\bships?\b", one, re.IGNORECASE) and "{" not in one for one in said)


@pytest.mark.parametrize(("kind", "name"), [("relation", "nearest"), ("relation", "left"), ("relation", "on")])
def test_other_words_of_a_relation_name_what_it_refers_to(kind, name):
    assert all("pier" in one for one in said_of(kind, name, anchor="pier"))


def test_other_words_of_a_colour_have_its_word():
    assert all("crimson" in one for one in said_of("colour", "", colour="crimson"))


def test_several_at_a_place_are_not_said_to_be_one():
    assert all("ships" in one for one in said_of("position", "upper left", is_plural=True))
    assert all(re.search(r"\bship\b", one) for one in said_of("position", "upper left"))


def test_other_words_have_the_article_of_the_noun():
    assert not any(re.search(r"\ba airplane", one) for one in said_of("all", "", AIRPLANE))


def test_what_nobody_said_in_other_words_is_none():
    assert said_of("position", "lower center") == {None}
    assert said_of("count", "99") == {None}
