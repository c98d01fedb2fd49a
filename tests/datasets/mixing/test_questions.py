"""Several sentences about one image: their kinds, their targets and what is known of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from rs2sam.datasets.base import WIDER
from rs2sam.datasets.english.expressions import KIND_WEIGHTS
from rs2sam.datasets.english.frames import TAIL, frame_texts
from rs2sam.datasets.english.nouns import NOUNS
from rs2sam.datasets.english.training_nouns import TRAINING_NOUNS
from rs2sam.datasets.english.untaught import UNTAUGHT, gibberish, plural, untaught_sentence
from rs2sam.datasets.english.vocabulary import CATEGORIES
from rs2sam.datasets.mixing.questions import QuestionMix, draw_questions
from rs2sam.datasets.mixing.shared_scenes import SharedScenes
from rs2sam.errors import InvalidInputError
from tests.datasets.scenes import SIDE, rectangle, scene

MIX = QuestionMix(6, absent=0.3, untaught=0.2, kind_weights=KIND_WEIGHTS)
HARBOUR = scene(
    [rectangle("ship", 5, 5, 20, 10, colour="white"), rectangle("ship", 60, 60, 30, 12, colour="red")],
    exhaustive={"ship", "bridge", "airplane"},
)


def test_every_name_of_training_has_a_category_and_none_has_two_unless_one_is_part_of_the_other():
    assert TRAINING_NOUNS.keys() == NOUNS.keys() == set(CATEGORIES)
    categories: dict[str, list[str]] = {}
    for category, nouns in TRAINING_NOUNS.items():
        for noun in nouns:
            categories.setdefault(noun.singular, []).append(category)
    shared = {name: found for name, found in categories.items() if len(found) > 1}
    assert [name for name, found in shared.items() if len({WIDER.get(one, one) for one in found}) > 1] == []
    assert all(len(set(found)) == len(found) for found in shared.values())


def test_nothing_untaught_is_a_name_of_what_is_taught():
    taught = {name for nouns in TRAINING_NOUNS.values() for noun in nouns for name in (noun.singular, noun.plural)}
    assert not taught & {name for one in UNTAUGHT for name in (one, plural(one))}


def test_plurals_of_untaught_names():
    names = ("church", "city wall", "grain elevator", "jetty", "key", "stairs", "box")
    plurals = ["churches", "city walls", "grain elevators", "jetties", "keys", "stairs", "boxes"]
    assert [plural(name) for name in names] == plurals


def test_sentences_without_meaning_are_never_blank():
    rng = np.random.default_rng(0)
    assert all(gibberish(rng).strip() and untaught_sentence(rng).strip() for _ in range(500))


def test_image_is_asked_as_often_as_wanted_with_the_shares_of_the_mix():
    kinds: Counter[str] = Counter()
    for seed in range(40):
        questions = draw_questions(HARBOUR, np.random.default_rng(seed), MIX)
        assert len(questions) == 6
        kinds.update(question.kind for question in questions)
        for one in questions:
            is_ship = one.kind not in ("absent", "untaught")
            assert (one.is_present, one.is_taught) == (is_ship, one.kind != "untaught")
            assert one.target.any() == is_ship
            assert one.known.all()
    assert kinds["absent"] == 2 * 40
    assert 40 <= kinds["untaught"] <= 60  # 1.2 an image
    assert kinds.keys() >= {"all", "position", "colour"}
    assert not kinds["weak"]


def test_class_of_which_not_everything_is_marked_is_asked_for_on_known_pixels():
    annotated = scene([rectangle("ship", 5, 5, 20, 10), rectangle("building", 50, 50, 20, 20)], exhaustive={"airplane"})
    mix = QuestionMix(4, absent=0.0, untaught=0.0, kind_weights={"all": 1.0})
    for one in draw_questions(annotated, np.random.default_rng(1), mix):
        assert one.kind == "weak"
        assert one.known.sum() == 200 + 400  # the ship excludes a building, and the building a ship
        assert one.target.sum() in (200, 400)


def test_region_that_is_not_marked_everywhere_is_asked_for_on_known_pixels():
    regions = {"water": np.zeros((SIDE, SIDE), bool), "building": np.zeros((SIDE, SIDE), bool)}
    regions["water"][:30], regions["building"][50:] = True, True
    mix = QuestionMix(4, absent=0.0, untaught=0.0, kind_weights={"all": 1.0, "stuff": 1.0})
    questions = draw_questions(scene([], regions, exhaustive=()), np.random.default_rng(0), mix)
    weak = [one for one in questions if one.kind == "weak"]
    assert weak
    assert all((one.known == regions["water"] | regions["building"]).all() for one in weak)


def test_class_that_nobody_marked_is_asked_for_where_it_is_known_not_to_be():
    water = np.zeros((SIDE, SIDE), bool)
    water[:30] = True
    mix = QuestionMix(4, absent=0.0, untaught=0.0, kind_weights={"stuff": 1.0})
    annotated = scene([], {"water": water}, exhaustive={"water", "building"})
    questions = [one for seed in range(30) for one in draw_questions(annotated, np.random.default_rng(seed), mix)]
    unmarked = [one for one in questions if one.kind == "open"]
    assert 10 <= len(unmarked) <= 40  # a fifth of 120, but for classes that may lie on water
    for one in unmarked:
        assert (one.is_present, one.is_taught) == (None, True)
        assert not one.target.any()
        assert (one.known == water).all()


def test_image_of_which_nothing_can_be_said_is_asked_what_nobody_taught():
    questions = draw_questions(scene([], exhaustive=()), np.random.default_rng(0), MIX)
    assert [one.kind for one in questions] == ["untaught"] * 6


def test_wider_class_of_what_is_there_is_not_said_to_be_absent():
    annotated = scene([], {"park": np.eye(SIDE, dtype=bool)}, exhaustive={"park", "vegetation"})
    mix = QuestionMix(5, absent=0.9, untaught=0.0, kind_weights={"stuff": 1.0})
    assert not [one for one in draw_questions(annotated, np.random.default_rng(0), mix) if one.kind == "absent"]


def test_scene_is_a_function_of_the_generator_and_has_the_side_asked_for():
    noise = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    sources = {
        "a": [replace(HARBOUR, image=noise)],
        "b": [scene([rectangle("airplane", 40, 40, 30, 30)], image=noise)],
        "c": [],
    }
    scenes = SharedScenes(sources, {"a": 1.0, "b": 1.0, "c": 1.0}, 64, (0.5, 2.0))
    scenes.preload()
    drawn = [scenes.draw(np.random.default_rng((0, number))) for number in range(12)]
    again = scenes.draw(np.random.default_rng((0, 5)))
    assert (again.pixels() == drawn[5].pixels()).all()
    assert len({one.pixels().tobytes() for one in drawn}) == 12
    assert {one.size_hw for one in drawn} == {(64, 64)}
    assert len({instance.category for one in drawn for instance in one.instances}) == 2


def test_sources_without_images_or_shares_are_refused():
    with pytest.raises(InvalidInputError, match="positive weights to sources with images"):
        SharedScenes({"a": []}, {"a": 1.0}, SIDE, (0.5, 2.0))


def test_frames_word_a_share_of_what_names_a_thing():
    def said(framed: float) -> list[tuple[str, str]]:
        mix = replace(MIX, framed=framed)
        asked = [draw_questions(HARBOUR, np.random.default_rng(seed), mix) for seed in range(60)]
        return [(one.kind, one.sentence.lower()) for questions in asked for one in questions]

    tails = [text for text in frame_texts(TAIL) if len(text.split()) > 2]

    def with_tail(framed: float) -> Counter[str]:
        return Counter(kind for kind, text in said(framed) if any(tail in text for tail in tails))

    plain = [draw_questions(HARBOUR, np.random.default_rng(seed), MIX) for seed in range(60)]
    assert said(0.0) == [(one.kind, one.sentence.lower()) for questions in plain for one in questions]
    assert not with_tail(0.0)
    assert with_tail(1.0).keys() >= {"all", "absent", "untaught"}
    assert not with_tail(1.0).keys() & {"position", "size", "relation", "colour"}
    assert 0 < with_tail(0.3).total() < with_tail(1.0).total()
