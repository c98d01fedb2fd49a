"""Many ways to ask: what the file holds, and what becomes of a noun phrase."""

from __future__ import annotations

import numpy as np
import pytest

from rs2sam.datasets.english.frames import FRAME, FRAME_SHARE, TAIL, TAIL_SHARE, frame_texts, framed
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
