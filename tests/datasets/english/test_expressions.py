from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rs2sam.datasets.base import LabelRegions
from rs2sam.datasets.english.colours import colour_name, looks_false_colour, name_of_rgb
from rs2sam.datasets.english.expressions import KINDS, descriptions, draw_expression, expressions_for
from rs2sam.datasets.english.nouns import NOUNS
from rs2sam.datasets.english.phrasing import Description, phrase
from rs2sam.datasets.english.properties import Property
from rs2sam.datasets.english.vocabulary import CATEGORIES, COLOUR_WORDS, COLOURS
from tests.datasets.scenes import SIDE, rectangle, scene, scenes


def described(annotated, kind, name=None):
    return [d for d in descriptions(annotated, kind) if name is None or [p.name for p in d.properties] == [name]]


def centers(annotated, category):
    return np.array([i.center_xy for i in annotated.of(category)]) / SIDE


@settings(max_examples=150, deadline=None)
@given(scenes())
def test_extremes_are_extreme_by_a_margin(annotated):
    axes = {"leftmost": (0, 1), "rightmost": (0, -1), "topmost": (1, 1), "bottommost": (1, -1)}
    for description in described(annotated, "position"):
        if len(description.properties) == 1 and description.properties[0].name in axes:
            axis, sign = axes[description.properties[0].name]
            values = sign * centers(annotated, description.category)[:, axis]
            (target,) = description.targets
            assert np.delete(values, target).min() > values[target] + 0.0499


@settings(max_examples=150, deadline=None)
@given(scenes())
def test_places_hold_for_the_targets_and_for_no_other(annotated):
    on_side = {
        "left": lambda x, y: x < 0.5,
        "right": lambda x, y: x > 0.5,
        "top": lambda x, y: y < 0.5,
        "bottom": lambda x, y: y > 0.5,
        "upper left": lambda x, y: (x < 0.5) & (y < 0.5),
        "lower right": lambda x, y: (x > 0.5) & (y > 0.5),
    }
    for description in [*described(annotated, "position"), *described(annotated, "absent")]:
        if len(description.properties) == 1 and description.properties[0].name in on_side:
            x, y = centers(annotated, description.category).T
            true = np.flatnonzero(on_side[description.properties[0].name](x, y))
            if description.properties[0].kind == "position":
                assert tuple(true) == description.targets


@settings(max_examples=150, deadline=None)
@given(scenes())
def test_sizes_are_larger_or_smaller_than_every_other_by_a_margin(annotated):
    for description in described(annotated, "size"):
        areas = np.array([i.area for i in annotated.of(description.category)])
        (target,) = description.targets
        others = np.delete(areas, target)
        if description.properties[0].name in ("largest", "larger"):
            assert areas[target] > 1.3 * others.max()
        else:
            assert areas[target] * 1.3 < others.min()


@settings(max_examples=150, deadline=None)
@given(scenes())
def test_everything_said_is_about_all_none_or_some_of_a_known_category(annotated):
    pixels = annotated.pixels()
    for expression in expressions_for(annotated, np.random.default_rng(0), pixels):
        count = len(annotated.of(expression.category))
        mask = expression.mask(annotated)
        assert expression.category in annotated.exhaustive_categories
        assert mask.shape == annotated.size_hw
        if expression.kind == "absent":
            assert not mask.any()
        else:
            assert mask.any()
        if expression.kind in ("all", "count"):
            assert expression.is_region or expression.targets == tuple(range(count))
        if expression.kind == "class":
            assert count == 1
        if expression.kind in ("position", "size", "colour", "relation") and count > 1:
            assert 0 < len(expression.targets) < count
        assert expression.sentence == " ".join(expression.sentence.split())
        assert expression.sentence


@settings(max_examples=100, deadline=None)
@given(scenes())
def test_colours_are_those_of_the_targets_alone(annotated):
    for description in described(annotated, "colour"):
        if len(description.properties) == 1:
            shown = [i.attributes["colour"] for i in annotated.of(description.category)]
            colour = description.properties[0].name
            assert {i for i, c in enumerate(shown) if c == colour} == set(description.targets)


@settings(max_examples=100, deadline=None)
@given(scenes())
def test_nearest_is_nearer_than_every_other(annotated):
    for description in described(annotated, "relation", "nearest"):
        prop = description.properties[0]
        (target,) = description.targets
        boxes = np.array([i.box_xyxy for i in annotated.of(description.category)])
        anchor = annotated.category_mask(prop.anchor)
        y, x = np.nonzero(anchor)

        def distance(box, x=x, y=y):
            dx = np.maximum(np.maximum(box[0] - x, x - box[2]), 0)
            dy = np.maximum(np.maximum(box[1] - y, y - box[3]), 0)
            return np.hypot(dx, dy).min()

        distances = np.array([distance(box) for box in boxes])
        assert distances.argmin() == target
        assert np.delete(distances, target).min() > distances[target]


def test_two_objects_are_told_apart_by_side_and_by_each_other():
    annotated = scene([rectangle("airplane", 5, 45, 10, 10), rectangle("airplane", 80, 45, 10, 10)])
    assert [d.targets for d in described(annotated, "position", "left")] == [(0,)]
    relations = {(d.properties[0].name, d.targets) for d in described(annotated, "relation")}
    assert relations == {("left", (0,)), ("right", (1,))}
    assert all(d.properties[0].anchor_is_other for d in described(annotated, "relation"))


def test_objects_too_close_to_call_get_no_sentence_of_that_kind():
    annotated = scene([rectangle("airplane", 46, 45, 10, 10), rectangle("airplane", 48, 45, 10, 11)])
    assert not described(annotated, "size")
    assert not [d for d in described(annotated, "position") if len(d.properties) == 1]


def test_a_pair_of_properties_singles_out_what_neither_does_alone():
    annotated = scene(
        [
            rectangle("vehicle", 5, 10, 10, 10, colour="white"),
            rectangle("vehicle", 5, 80, 10, 10, colour="red"),
            rectangle("vehicle", 80, 10, 10, 10, colour="white"),
            rectangle("vehicle", 80, 80, 10, 10, colour="red"),
        ]
    )
    pairs = {
        (*(p.name for p in d.properties), *d.targets) for d in described(annotated, "colour") if len(d.properties) == 2
    }
    assert ("white", "left", 0) in pairs
    assert ("red", "right", 3) in pairs
    groups = {(d.properties[0].name, d.targets) for d in described(annotated, "position") if d.is_plural}
    assert ("left", (0, 1)) in groups


def test_nothing_is_said_of_a_category_that_is_not_exhaustive():
    annotated = scene([rectangle("vehicle", 5, 10, 10, 10)], exhaustive=())
    assert not expressions_for(annotated, np.random.default_rng(0))


def test_absence_is_not_claimed_beside_what_might_be_meant():
    trees = scene([rectangle("tree", 5, 10, 10, 10)], exhaustive={"tree", "vegetation", "bridge"})
    assert {d.category for d in described(trees, "absent") if not d.properties} == {"bridge"}


def test_an_empty_region_is_absent_and_a_full_one_is_stuff():
    labels = np.zeros((SIDE, SIDE), dtype=np.uint8)
    labels[:50] = 1
    annotated = scene([], LabelRegions(labels, ("water", "vegetation")))
    (stuff,) = expressions_for(annotated, np.random.default_rng(0), kinds=("stuff",))
    assert stuff.category == "water"
    assert stuff.mask(annotated).sum() == 50 * SIDE
    assert {d.category for d in described(annotated, "absent")} == {"vegetation"}


def test_an_object_cut_off_by_the_border_is_not_the_smallest():
    cut = scene([rectangle("ship", 0, 0, 5, 5, visible=0.4), rectangle("ship", 50, 50, 8, 8)])
    assert not described(cut, "size", "smallest")
    whole = scene([rectangle("ship", 0, 0, 5, 5), rectangle("ship", 50, 50, 8, 8)])
    assert [d.targets for d in described(whole, "size", "smallest")] == [(0,)]


def test_vehicles_are_on_the_road_that_they_cover():
    road = np.zeros((SIDE, SIDE), dtype=bool)
    road[40:60] = True
    annotated = scene([rectangle("vehicle", 10, 45, 8, 8), rectangle("vehicle", 10, 5, 8, 8)], {"road": road})
    assert [d.targets for d in described(annotated, "relation", "on")] == [(0,)]


@given(st.integers(0, 10_000))
@settings(max_examples=200, deadline=None)
def test_the_same_seed_words_the_same_sentence(seed):
    description = Description("class", "airplane", (0,))
    assert phrase(description, np.random.default_rng(seed)) == phrase(description, np.random.default_rng(seed))


def test_wordings_vary_and_agree():
    rng = np.random.default_rng(0)
    truth = np.array([True])
    prop = Property("position", "upper left", truth, ~truth)
    sentences = {phrase(Description("position", "airplane", (0,), (prop,)), rng) for _ in range(300)}
    assert len(sentences) > 150
    assert not any(" a a" in s or "a aircraft" in s.lower() for s in sentences)
    plural = [phrase(Description("position", "airplane", (0, 1), (prop,), is_plural=True), rng) for _ in range(300)]
    assert not any("that is" in s for s in plural)


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_has_names_that_no_other_has(category):
    own = {n.singular for n in NOUNS[category]}
    others = {n.singular for c in CATEGORIES if c != category for n in NOUNS[c]}
    assert own
    assert not own & others


def test_a_lorry_is_not_called_a_car():
    annotated = scene([rectangle("vehicle", 5, 10, 8, 8, kind="lorry"), rectangle("vehicle", 50, 10, 8, 8, kind="car")])
    rng = np.random.default_rng(0)
    said = [e.sentence.lower() for _ in range(40) for e in expressions_for(annotated, rng)]
    assert not any("car" in s.split() or "cars" in s.split() or "automobile" in s for s in said)


def test_every_colour_has_words():
    assert set(COLOUR_WORDS) == set(COLOURS)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((250, 250, 248), "white"),
        ((20, 22, 25), "black"),
        ((128, 126, 127), "grey"),
        ((200, 40, 40), "red"),
        ((40, 80, 190), "blue"),
        ((60, 140, 60), "green"),
        ((110, 75, 50), "brown"),
        ((75, 75, 75), None),
        ((180, 60, 160), None),
    ],
)
def test_colours_are_named_where_the_name_is_clear(rgb, name):
    assert name_of_rgb(rgb) == name


def test_a_mixed_object_has_no_colour():
    pixels = np.zeros((10, 10, 3), dtype=np.uint8)
    pixels[:, ::2] = (250, 250, 250)
    pixels[::3] = (200, 30, 30)
    assert colour_name(pixels, np.ones((10, 10), dtype=bool)) is None


def test_infrared_shown_as_red_is_false_colour():
    pixels = np.full((64, 64, 3), (120, 120, 118), dtype=np.uint8)
    assert not looks_false_colour(pixels)
    pixels[:32] = (220, 60, 80)
    assert looks_false_colour(pixels)


def test_draw_gives_every_kind_that_an_image_offers():
    road = np.zeros((SIDE, SIDE), dtype=bool)
    road[40:60] = True
    annotated = scene(
        [
            rectangle("vehicle", 5, 10, 8, 8, colour="white"),
            rectangle("vehicle", 80, 45, 16, 12, colour="red"),
            rectangle("bridge", 40, 80, 30, 10),
        ],
        {"road": road},
        exhaustive={"vehicle", "bridge", "road", "airplane"},
    )
    rng = np.random.default_rng(0)
    drawn = {draw_expression(annotated, rng).kind for _ in range(300)}
    assert drawn == set(KINDS)


def test_draw_gives_none_where_nothing_can_be_said():
    assert draw_expression(scene([]), np.random.default_rng(0)) is None
