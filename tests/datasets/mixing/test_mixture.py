from __future__ import annotations

import numpy as np
import pytest

from rs2sam.datasets.english.expressions import KINDS
from rs2sam.datasets.english.vocabulary import CATEGORIES
from rs2sam.datasets.mixing.mixture import ReferringMixture, evaluation_samples, of_split, semantic
from rs2sam.errors import InvalidInputError
from tests.datasets.scenes import SIDE, rectangle, scene


def images(split="train"):
    found = []
    for k in range(4):
        instances = [rectangle("airplane", 10 + 15 * k, 10, 12, 12), rectangle("ship", 60, 60, 20, 8 + k)]
        annotated = scene(instances, exhaustive={"airplane", "ship", "bridge"})
        found.append(type(annotated)(**{**vars(annotated), "id": str(k), "split": split}))
    return found


def mixture(**options):
    return ReferringMixture({"a": images(), "b": images()}, {"a": 1.0, "b": 2.0}, side=48, **options)


def test_a_sample_depends_on_seed_epoch_and_index_only():
    first, second = mixture(rng_seed=5), mixture(rng_seed=5)
    first.sample(0)
    for index in (3, 1, 2):
        a, b = first.sample(index, epoch=1), second.sample(index, epoch=1)
        assert a.sentence == b.sentence
        np.testing.assert_array_equal(a.rgb, b.rgb)
        np.testing.assert_array_equal(a.mask, b.mask)
    assert any(first.sample(i).sentence != first.sample(i, epoch=1).sentence for i in range(5))


def test_samples_have_the_asked_size_and_say_what_they_are():
    for index in range(60):
        rgb, sentence, mask, kind, category = mixture().sample(index)
        assert rgb.shape == (48, 48, 3)
        assert mask.shape == (48, 48)
        assert rgb.dtype == np.uint8
        assert mask.dtype == bool
        assert sentence
        assert kind in KINDS
        assert category in CATEGORIES
        assert mask.any() == (kind != "absent")


def test_kinds_without_weight_are_not_drawn():
    drawn = {mixture(kind_weights={"class": 1.0, "absent": 1.0}).sample(i).kind for i in range(40)}
    assert drawn == {"class", "absent"}


def test_a_function_may_be_a_source():
    made = ReferringMixture({"made": lambda rng: images()[int(rng.integers(4))]}, {"made": 1.0}, side=32)
    assert made.sample(0).rgb.shape == (32, 32, 3)
    assert made.preload() == 0


def test_contrast_asks_twice_about_one_image_and_of_different_classes():
    pairs = [(mixture().draw_contrast(2 * n), mixture().draw_contrast(2 * n + 1)) for n in range(10)]
    for (image, first), (again, second) in pairs:
        np.testing.assert_array_equal(image.pixels(), again.pixels())
        assert first.mask(image).shape == second.mask(again).shape
    assert sum(first.category != second.category for (_, first), (_, second) in pairs) >= 8


def test_without_augmentation_the_whole_image_is_shown():
    plain = mixture(augmentation=None, kind_weights={"class": 1.0})
    assert (plain.sample(0).rgb == 90).all()


def test_unknown_weights_and_unsayable_images_are_refused():
    with pytest.raises(InvalidInputError, match="names of `sources`"):
        ReferringMixture({"a": images()}, {"c": 1.0}, side=32)
    with pytest.raises(InvalidInputError, match="Nothing could be said"):
        mixture(kind_weights={"stuff": 1.0}).sample(0)


def test_semantic_labels_are_known_only_where_annotation_is_exhaustive():
    sample = semantic(images()[0])
    known = {c for c, k in zip(CATEGORIES, sample.known, strict=True) if k}
    assert known == {"airplane", "ship", "bridge"}
    assert sample.labels.shape == (len(CATEGORIES), SIDE, SIDE)
    assert sample.labels[CATEGORIES.index("airplane")].sum() == 144


def test_evaluation_list_is_fixed_of_its_split_and_balanced():
    sources = {"a": images("test"), "b": images("train")}
    samples = evaluation_samples(sources, "test", seed=1, per_kind=5)
    again = evaluation_samples(sources, "test", seed=1, per_kind=5)
    assert [(s.id, s.sentence) for s in samples] == [(s.id, s.sentence) for s in again]
    assert {s.split for s in samples} == {"test"}
    kinds = [s.kind for s in samples]
    assert {kind: kinds.count(kind) for kind in ("class", "position", "absent")} == {
        "class": 5,
        "position": 5,
        "absent": 5,
    }
    assert all((s.mask is None) == (s.kind == "absent") for s in samples)
    assert set(of_split(sources, "train")) == {"b"}
