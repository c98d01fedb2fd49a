"""Training examples of a recipe."""

from __future__ import annotations

import numpy as np
import pytest

from rs2sam.datasets.base import AnnotatedImage, Instance
from rs2sam.datasets.vocabulary import CATEGORIES
from rs2sam.errors import InvalidInputError
from rs2sam.training import draws
from rs2sam.training.draws import NUM_CLASSES, referring_draw
from rs2sam.training.recipe import DataRecipe

SIDE = 64


def annotated(identifier: str, split: str) -> AnnotatedImage:
    """One plane on a grey ground; the image's red value tells its split."""
    rgb = np.full((SIDE, SIDE, 3), 200 if split == "train" else 20, np.uint8)
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[20:40, 10:40] = True
    rgb[mask] = 120
    instances = (Instance.from_mask("airplane", mask),)
    return AnnotatedImage(
        rgb, (SIDE, SIDE), instances, {}, frozenset({"airplane", "ship"}), identifier, "planes", split=split
    )


@pytest.fixture
def planes(monkeypatch):
    sources = {"planes": [annotated("a", "train"), annotated("b", "val")], "fields": [annotated("c", "val")]}
    monkeypatch.setattr(draws, "read_sources", lambda root: sources)


def test_synthetic_examples_have_the_recipes_side_and_every_class():
    draw = referring_draw(DataRecipe(num_synthetic=2, side=SIDE), seed=3)
    for index in range(3):
        drawn = draw(index)
        assert drawn.rgb.shape == (SIDE, SIDE, 3)
        assert drawn.rgb.dtype == np.uint8
        assert drawn.mask.shape == (SIDE, SIDE)
        assert drawn.labels.shape == (NUM_CLASSES, SIDE, SIDE)
        assert drawn.known.shape == (NUM_CLASSES,)
        assert drawn.sentence.strip()


def test_example_depends_on_seed_and_index_alone():
    recipe = DataRecipe(num_synthetic=2, side=SIDE)
    first, again, other = (referring_draw(recipe, seed) for seed in (3, 3, 4))
    first(0)
    a, b = first(7), again(7)
    assert a.sentence == b.sentence
    assert np.array_equal(a.rgb, b.rgb)
    assert np.array_equal(a.labels, b.labels)
    assert not np.array_equal(a.rgb, first(8).rgb)
    assert not np.array_equal(a.rgb, other(7).rgb)


def test_only_the_training_split_is_drawn(planes):
    draw = referring_draw(DataRecipe(root="somewhere", weights={"planes": 1.0}, side=SIDE), seed=0)
    assert all(draw(index).rgb.mean() > 100 for index in range(10))


def test_known_classes_are_those_annotated_in_full(planes):
    drawn = referring_draw(DataRecipe(root="somewhere", weights={"planes": 1.0}, side=SIDE), seed=0)(0)
    assert {CATEGORIES[index] for index in np.flatnonzero(drawn.known)} == {"airplane", "ship"}
    assert drawn.labels[CATEGORIES.index("airplane")].any()
    assert not drawn.labels[CATEGORIES.index("ship")].any()


def test_source_without_weight_is_neither_read_nor_needed():
    recipe = DataRecipe(weights={"synthetic": 1.0, "planes": 0.0}, num_synthetic=1, side=SIDE)
    assert referring_draw(recipe, seed=0)(0).rgb.shape == (SIDE, SIDE, 3)


def test_real_sources_need_a_root():
    with pytest.raises(InvalidInputError, match=r"`data.root` must name the folder of \['planes'\]"):
        referring_draw(DataRecipe(weights={"planes": 1.0}), seed=0)


def test_unknown_source_is_named_beside_what_there_is(planes):
    recipe = DataRecipe(root="somewhere", weights={"plains": 1.0})
    with pytest.raises(InvalidInputError, match=r"names \['plains'\].*it holds \['planes'\]"):
        referring_draw(recipe, seed=0)


def test_source_without_training_images_is_refused(planes):
    with pytest.raises(InvalidInputError, match=r"names \['fields'\]"):
        referring_draw(DataRecipe(root="somewhere", weights={"fields": 1.0}), seed=0)
