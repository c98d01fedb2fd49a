from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rs2sam.datasets.making import source_samples, synthetic_samples
from rs2sam.errors import DataNotFoundError, InvalidInputError
from tests.datasets.readers.test_sources import write_coco


def synthetic(number, **options):
    return list(synthetic_samples(number, **{"side": 96, "per_image": 3, **options}))


@pytest.fixture(scope="module")
def samples():
    return synthetic(8)


def test_every_scene_is_asked_different_things(samples):
    by_image = Counter(sample.image_id for sample in samples)
    assert len(by_image) == 8
    assert max(by_image.values()) == 3
    assert len({(sample.image_id, sample.sentence.lower()) for sample in samples}) == len(samples)
    assert len({sample.id for sample in samples}) == len(samples)


def test_a_scene_is_in_one_split(samples):
    splits = {sample.image_id: {s.split for s in samples if s.image_id == sample.image_id} for sample in samples}
    assert all(len(found) == 1 for found in splits.values())
    assert Counter(next(iter(found)) for found in splits.values()) == {"train": 6, "val": 1, "test": 1}


@pytest.mark.parametrize(("number", "expected"), [(1, [1, 0, 0]), (2, [2, 0, 0]), (3, [1, 1, 1]), (20, [16, 2, 2])])
def test_a_tenth_is_held_out_for_each_purpose(number, expected):
    images = {sample.image_id: sample.split for sample in synthetic(number, side=64, per_image=1)}
    counts = Counter(images.values())
    assert [counts[split] for split in ("train", "val", "test")] == expected


def test_targets_have_pixels_unless_nothing_is_meant(samples):
    for sample in samples:
        assert sample.is_absent == (sample.kind == "absent")
        assert sample.is_absent or sample.target((96, 96)).any()
        if not sample.is_absent:
            assert not (sample.target((96, 96)) & ~sample.category_target()).any(), "the target is of its category"


def test_the_seed_decides_everything_and_the_number_only_the_end(samples):
    again, longer, other = synthetic(8), synthetic(12), synthetic(8, seed=1)
    for first, second in zip(samples, again, strict=True):
        assert (first.sentence, first.split) == (second.sentence, second.split)
        assert np.array_equal(first.pixels(), second.pixels())
    assert [s.sentence for s in longer[: len(samples)]] == [s.sentence for s in samples]
    assert [s.sentence for s in other] != [s.sentence for s in samples]


def test_numbers_out_of_range_are_refused():
    for options in ({"num_images": 0}, {"num_images": 1, "per_image": 0}, {"num_images": 1, "per_image": 2**64}):
        with pytest.raises(InvalidInputError, match="at least 1 image and 1 to 1,000 sentences"):
            list(synthetic_samples(**options))


def test_imagery_gets_sentences_of_its_split(tmp_path):
    root = imagery(tmp_path)
    samples = source_samples("openaerialmap_buildings", root, per_kind=2)
    assert {sample.split for sample in samples} <= {"train", "val", "test"}
    assert len({sample.id for sample in samples}) == len(samples)
    (split,) = {sample.split for sample in samples}
    assert len(source_samples("openaerialmap_buildings", root, split, per_kind=2)) == len(samples)


def test_imagery_without_a_word_to_say_is_an_error(tmp_path):
    with pytest.raises(InvalidInputError, match="has the splits train, val, test, received 'none'"):
        source_samples("openaerialmap_buildings", imagery(tmp_path), "none")
    (split,) = {one.split for one in source_samples("openaerialmap_buildings", tmp_path)}
    other = "val" if split == "test" else "test"
    with pytest.raises(InvalidInputError, match=f"nothing can be said of the images of .* in split `{other}`"):
        source_samples("openaerialmap_buildings", tmp_path, other)
    with pytest.raises(DataNotFoundError):
        source_samples("roads", tmp_path)


def imagery(root):
    """One tile with two buildings."""
    buildings = [("building", [4, 4, 24, 4, 24, 24, 4, 24]), ("building", [40, 40, 52, 40, 52, 52, 40, 52])]
    write_coco(root, "OAM-1238424-1046544-21.jpg", buildings)
    return root
