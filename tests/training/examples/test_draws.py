"""Training examples of a recipe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rs2sam.datasets.base import AnnotatedImage, Instance, Sample
from rs2sam.datasets.english.vocabulary import CATEGORIES
from rs2sam.datasets.mixing.mosaic import FAR_MOSAICS
from rs2sam.datasets.mixing.variation import Variation
from rs2sam.datasets.readers.greenery import UNLABELLED
from rs2sam.datasets.readers.reading import open_dataset
from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.training.examples import draws
from rs2sam.training.examples.dataset import TrainingDraw
from rs2sam.training.examples.draws import NUM_CLASSES, DatasetDraw, examples_of, referring_draw
from rs2sam.training.recipes.settings import DataRecipe, Recipe, ValidationRecipe
from tests.datasets.make_formats import write_coco, write_jsonl, write_refsegrs, write_rrsisd

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


def test_data_set_without_validation_images_trains_and_the_others_validate(monkeypatch):
    sources = {"planes": [annotated("a", "train"), annotated("b", "val")], "hangars": [annotated("c", "train")]}
    monkeypatch.setattr(draws, "read_sources", lambda root: sources)
    data = DataRecipe(root="somewhere", weights={"planes": 1.0, "hangars": 1.0}, side=SIDE)
    assert {sample.pixels()[0, 0, 0] for sample in draws.validation_samples(Recipe(data=data))} == {20}
    data = replace(data, weights={"planes": 1.0, "hangers": 1.0})
    with pytest.raises(InvalidInputError, match=r"names \['hangers'\], of which .* split 'val'; it holds \['planes'\]"):
        draws.validation_samples(Recipe(data=data))


def test_order_of_data_sets_is_the_same_in_every_process(monkeypatch):
    """Names come as a set, whose order differs from process to process; what is drawn goes by it."""
    names = [f"set {letter}" for letter in "hgfedcba"]
    monkeypatch.setattr(draws, "read_sources", lambda root: {name: [annotated("a", "train")] for name in names})
    data = DataRecipe(root="somewhere", weights=dict.fromkeys(names, 1.0), side=SIDE)
    assert list(draws.rule_made_sources(data, seed=0)) == sorted(names)


def test_validation_without_any_image_is_refused(monkeypatch):
    monkeypatch.setattr(draws, "read_sources", lambda root: {"hangars": [annotated("c", "train")]})
    recipe = Recipe(data=DataRecipe(root="somewhere", weights={"hangars": 1.0}, side=SIDE))
    with pytest.raises(InvalidInputError, match=r"names \['hangars'\], of which .* split 'val'; it holds \[\]"):
        draws.validation_samples(recipe)


def sample(number: int, ref_id: str | None = None) -> Sample:
    """A sample of one pixel's colour; `id` is its number."""
    rgb = np.full((8, 8, 3), number, np.uint8)
    return Sample(rgb, f"sentence {number}", rgb[..., 0] > 0, str(number), ref_id=ref_id)


def drawn_ids(samples: list[Sample], passes: int, seed: int = 0, **recipe: object) -> list[list[int]]:
    draw = DatasetDraw(samples, DataRecipe(dataset="somewhere", side=SIDE, **recipe), seed)
    return [[int(draw(epoch * len(draw) + i).id) for i in range(len(draw))] for epoch in range(passes)]


@given(st.integers(1, 9), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_every_pass_draws_every_sample_once(count, seed):
    for ids in drawn_ids([sample(n) for n in range(count)], passes=3, seed=seed):
        assert sorted(ids) == list(range(count))


def test_order_changes_with_pass_and_seed_and_nothing_else():
    samples = [sample(n) for n in range(30)]
    first = drawn_ids(samples, passes=2)
    assert first == drawn_ids(samples, passes=2)
    assert first[0] != first[1]
    assert first != drawn_ids(samples, passes=2, seed=1)
    draw = DatasetDraw(samples, DataRecipe(dataset="somewhere", side=SIDE), seed=0)
    backwards = [int(draw(index).id) for index in reversed(range(60))]
    assert backwards[::-1] == first[0] + first[1]


def test_sentences_of_a_reference_take_turns_where_that_is_asked_for():
    samples = [sample(0, "a"), sample(1, "a"), sample(2, "b"), sample(3), sample(4)]
    passes = drawn_ids(samples, passes=40, one_sentence_per_ref=True)
    assert all(len(ids) == 4 and {2, 3, 4} < set(ids) for ids in passes)
    assert {0, 1} == {number for ids in passes for number in ids} - {2, 3, 4}
    assert all(len(ids) == 5 for ids in drawn_ids(samples, passes=2))


def test_sample_without_variation_is_as_on_disk(tmp_path):
    samples = open_dataset(write_rrsisd(tmp_path)).samples("train")
    draw = DatasetDraw(samples, DataRecipe(dataset=str(tmp_path), side=32), seed=0)
    drawn = draw(0)
    found = next(one for one in samples if one.id == drawn.id)
    assert np.array_equal(drawn.rgb, found.pixels())
    assert drawn.sentence == found.sentence
    assert drawn.mask.shape == (32, 32)
    assert np.array_equal(drawn.mask, found.target(found.pixels().shape[:2], resize_to=(32, 32)))
    assert drawn.labels is None


def test_training_reads_the_same_text_as_the_published_evaluation_where_that_is_asked_for(tmp_path):
    data = open_dataset(write_refsegrs(tmp_path))
    plain = DataRecipe(dataset=str(tmp_path), side=32)
    sentences = {
        published: {one.id: one.sentence for one in drawn_of(data.samples("train"), plain, published)}
        for published in (False, True)
    }
    assert sentences[False] == {one.id: one.sentence for one in data.samples("train")}
    assert sentences[True] == {one.id: one.published_sentence for one in data.samples("train")}
    assert sentences[True]["train-3"] == "building in the middle \n"


def test_white_space_of_a_published_sentence_stays_where_it_is_reworded():
    mirrored = replace(sample(1), sentence="the ship on the left", raw_sentence=" the ship on the left\n")
    recipe = DataRecipe(dataset="somewhere", side=32, variation=Variation(flip=1.0))
    found = {one.sentence for epoch in range(8) for one in drawn_of([mirrored], recipe, True, epoch)}
    assert " the ship on the right\n" in found
    assert found <= {" the ship on the right\n", " the ship on the left\n"}  # a flip may be top to bottom


def drawn_of(samples: list[Sample], recipe: DataRecipe, published: bool, epoch: int = 0) -> list[TrainingDraw]:
    draw = DatasetDraw(samples, replace(recipe, published_sentences=published), seed=0)
    return [draw(epoch * len(draw) + index) for index in range(len(draw))]


def test_variation_of_the_recipe_is_applied(tmp_path):
    samples = open_dataset(write_jsonl(tmp_path)).samples("train")
    recipe = DataRecipe(dataset=str(tmp_path), side=SIDE, variation=Variation(black_squares=1.0))
    drawn = DatasetDraw(samples, recipe, seed=0)(0)
    assert (drawn.rgb == 0).all(axis=-1).mean() > 0.2


@pytest.mark.parametrize("write", [write_rrsisd, write_refsegrs, write_jsonl, write_coco])
def test_every_format_can_be_trained_on_and_validated(write, tmp_path):
    val_split = "test" if write is write_coco else "val"
    data = DataRecipe(dataset=str(write(tmp_path)), val_split=val_split, side=SIDE)
    recipe = Recipe(preset="tiny", epochs=1, data=data, validate=ValidationRecipe(every_epochs=1))
    examples = examples_of(recipe)
    assert examples.epoch_size == examples.counts["train"] == len(open_dataset(tmp_path).samples("train"))
    assert [one.id for one in examples.validation] == [one.id for one in open_dataset(tmp_path).samples(val_split)]
    drawn = examples.draw(examples.epoch_size)
    assert drawn.mask.shape == (SIDE, SIDE)
    assert drawn.sentence.strip() == drawn.sentence != ""


def test_missing_split_is_named_beside_those_there_are(tmp_path):
    data = DataRecipe(dataset=str(write_jsonl(tmp_path)), train_split="training")
    with pytest.raises(DataNotFoundError, match=r"no split `training` in .*it has: train, val, test"):
        examples_of(Recipe(preset="tiny", data=data))


def test_without_a_split_all_samples_train(tmp_path):
    data = DataRecipe(dataset=str(write_jsonl(tmp_path)), train_split=None)
    examples = examples_of(Recipe(preset="tiny", data=data))
    assert examples.epoch_size == examples.counts["all"] == 6


def test_validation_of_rendered_scenes_are_other_scenes():
    data = DataRecipe(num_synthetic=1, side=SIDE)
    recipe = Recipe(preset="tiny", data=data, validate=ValidationRecipe(every_steps=1))
    examples = examples_of(recipe)
    assert len(examples.validation) > 10
    assert {one.split for one in examples.validation} == {"val"}
    assert [one.sentence for one in examples_of(recipe).validation] == [one.sentence for one in examples.validation]


def test_validation_of_real_sources_is_on_their_validation_split(monkeypatch):
    sources = {"planes": [annotated("a", "train"), annotated("b", "val")]}
    monkeypatch.setattr(draws, "read_sources", lambda root: sources)
    data = DataRecipe(root="somewhere", weights={"planes": 1.0}, side=SIDE)
    examples = examples_of(Recipe(preset="tiny", data=data, validate=ValidationRecipe(every_steps=1)))
    assert examples.validation
    assert all(one.pixels().mean() < 100 for one in examples.validation)


def test_greenery_by_colour_is_trained_on_and_never_measured_on(monkeypatch, tmp_path):
    sources = {"planes": [annotated("a", "train"), annotated("b", "val")]}
    monkeypatch.setattr(draws, "read_sources", lambda root: sources)
    (tmp_path / UNLABELLED).mkdir()
    Image.new("RGB", (SIDE, SIDE), (90, 120, 80)).save(tmp_path / UNLABELLED / "lawn.jpg")
    weights = {"planes": 1.0, "naip_greenery": 1.0}
    data = DataRecipe(root=str(tmp_path), weights=weights, side=SIDE)
    (lawn,) = draws.rule_made_sources(data, 0)["naip_greenery"]
    assert lawn.regions["vegetation"].all()
    validation = draws.validation_samples(Recipe(preset="tiny", data=data))
    assert {one.category for one in validation} <= {"airplane", "ship"}
    with pytest.raises(DataNotFoundError, match=r"`naip_greenery` needs photographs"):
        draws.rule_made_sources(DataRecipe(root=str(tmp_path / "no"), weights=weights, side=SIDE), 0)


def test_mosaics_of_drones_images_are_made_of_their_training_images_and_never_measured_on(monkeypatch):
    near = [
        replace(annotated(name, split), source="cats_drone_vehicles")
        for name, split in zip("ab", ("train", "val"), strict=True)
    ]
    sources = {"cats_drone_vehicles": near, "planes": [annotated("c", "val")]}
    monkeypatch.setattr(draws, "read_sources", lambda root: sources)
    monkeypatch.setitem(FAR_MOSAICS, "cats_mosaic", replace(FAR_MOSAICS["cats_mosaic"], sides=(64,), count=3))
    data = DataRecipe(root="somewhere", weights={"cats_mosaic": 1.0}, side=SIDE)
    made = draws.rule_made_sources(data, 0)["cats_mosaic"]
    assert len(made) == 3
    assert {one.source for one in made} == {"cats_mosaic"}
    assert all(one.pixels().mean() > 100 for one in made)  # of the training split
    assert {len(one.instances) for one in made} == {16, 25, 36}
    again, other = (draws.rule_made_sources(data, seed)["cats_mosaic"] for seed in (0, 1))
    assert all((a.pixels() == b.pixels()).all() for a, b in zip(made, again, strict=True))
    assert any((a.pixels() != b.pixels()).any() for a, b in zip(made, other, strict=True))
    both = Recipe(preset="tiny", data=replace(data, weights={"cats_mosaic": 1.0, "planes": 1.0}))
    assert all(one.id.endswith("-planes-c") for one in draws.validation_samples(both))
    with pytest.raises(InvalidInputError, match=r"`drone_mosaic` is made of training images of `dronedeploy_chips`"):
        draws.rule_made_sources(replace(data, weights={"drone_mosaic": 1.0}), 0)


@pytest.mark.parametrize("name", ["naip_marked", "pools_marked"])
def test_marked_images_need_a_folder_of_marks(name, monkeypatch, tmp_path):
    pools = [replace(annotated("a", "train"), source="swimming_pools")]
    monkeypatch.setattr(draws, "read_sources", lambda root: {"swimming_pools": pools})
    data = DataRecipe(root=str(tmp_path), weights={name: 1.0}, side=SIDE)
    with pytest.raises(
        InvalidInputError, match=rf"`data\.marked` must name the folder of marks that `{name}` is made of"
    ):
        draws.rule_made_sources(data, 0)
    with pytest.raises(DataNotFoundError, match=r"no marks in .*: `marks\.json` is missing"):
        draws.rule_made_sources(replace(data, marked=str(tmp_path / "no")), 0)


def test_marked_photographs_come_nine_in_a_mosaic_three_times(tmp_path):
    for folder in (UNLABELLED, f"marks/{UNLABELLED}"):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(11):
        Image.new("RGB", (32, 32), (20 * number,) * 3).save(tmp_path / UNLABELLED / f"{number}.jpg")
        Image.fromarray(np.repeat(np.uint8([[1] * 16 + [255] * 16]), 32, 0)).save(
            tmp_path / "marks" / UNLABELLED / f"{number}.png"
        )
    told = '{"classes": ["building"], "exhaustive": ["building"]}'
    (tmp_path / "marks" / UNLABELLED / "marks.json").write_text(told)
    data = DataRecipe(root=str(tmp_path), marked=str(tmp_path / "marks"), weights={"naip_marked": 1.0}, side=SIDE)
    made = draws.rule_made_sources(data, 0)["naip_marked"]
    assert [one.size_hw for one in made] == [(96, 96)] * 3
    for one in made:
        assert one.category_mask("building").mean() == one.unknown.mean() == 0.5
        assert (one.split, one.gsd_m, one.exhaustive_categories) == ("train", 0.6, {"building"})
