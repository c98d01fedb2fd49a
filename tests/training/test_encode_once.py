"""Training a model that encodes an image once, at toy size: examples, loss, a run end to end, and a run continued."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.english.vocabulary import CATEGORIES
from rs2sam.errors import CheckpointError, DataNotFoundError, InvalidInputError
from rs2sam.segmenter import Segmenter
from rs2sam.training.examples import draws
from rs2sam.training.examples.dataset import Examples
from rs2sam.training.examples.draws import NUM_CLASSES
from rs2sam.training.examples.shared import SharedDataset, shared_draw, with_one_question
from rs2sam.training.initial import check_start, encode_once_start, encodes_once
from rs2sam.training.kinds import ENCODE_ONCE, ENCODE_WITH_TEXT, kind_of
from rs2sam.training.objective.encode_once import EncodeOnceTraining
from rs2sam.training.objective.optimization import make_optimizer
from rs2sam.training.recipes.encode_once_recipe import EncodeOnceRecipe, PartRates, TermWeights
from rs2sam.training.recipes.settings import DataRecipe, OptimizerRecipe, Recipe
from rs2sam.training.reporting import watch
from rs2sam.training.trainer import train
from tests.datasets.scenes import rectangle, scene
from tests.small_model import COMPACT
from tests.training.toy import toy_draw

SIDE = 64
RECIPE = Recipe(
    preset="compact-tiny",
    tokenizer=str(COMPACT),
    config={"max_text_positions": 130, "has_decoder": False, "has_score": False},
    steps=4,
    batch_size=2,
    save_every=2,
    data=DataRecipe(root="somewhere", weights={"harbours": 1.0}, side=SIDE, num_workers=0),
    encode_once=EncodeOnceRecipe(sentences=3),
    optimizer=OptimizerRecipe(3e-3, warmup_steps=1, ema_decay=0.5, floor=0.1),
    tensorboard=False,
)


def harbour(split: str) -> AnnotatedImage:
    """Two white ships on dark ground."""
    ships = [rectangle("ship", 5, 5, 30, 16), rectangle("ship", 55, 60, 36, 14)]
    annotated = scene(ships, exhaustive={"ship", "airplane", "bridge"})
    rgb = np.full((*annotated.size_hw, 3), 40, np.uint8)
    rgb[annotated.union(tuple(ships))] = 230
    return replace(annotated, image=rgb, split=split, source="harbours")


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """One image a split; no curves, which take seconds of matplotlib in every run."""
    monkeypatch.setattr(draws, "read_sources", lambda _: {"harbours": [harbour("train"), harbour("val")]})
    monkeypatch.setattr(watch, "draw_curves", lambda *_: True)


def dataset(recipe: Recipe = RECIPE, draw=None) -> SharedDataset:
    _, processor = encode_once_start(recipe)
    sized = replace(processor.config, image_size=SIDE)
    return SharedDataset(draw or shared_draw(recipe), type(processor)(sized, processor.tokenizer), 100)


def training(recipe: Recipe = RECIPE) -> EncodeOnceTraining:
    torch.manual_seed(0)
    return EncodeOnceTraining(encode_once_start(recipe)[0], recipe, NUM_CLASSES)


def test_draw_is_a_function_of_seed_and_number():
    first, again, other = shared_draw(RECIPE), shared_draw(RECIPE), shared_draw(replace(RECIPE, seed=1))
    first(0)
    a, b, c = first(7), again(7), other(7)
    assert (a.rgb == b.rgb).all()
    assert [question.sentence for question in a.questions] == [question.sentence for question in b.questions]
    assert (a.rgb != c.rgb).any()
    assert (a.rgb != first(8).rgb).any()


def test_batch_has_the_shapes_that_the_model_and_the_losses_read():
    examples = dataset()
    inputs = examples.collate([examples[0], examples[1]])
    assert inputs.pop("ids") == ["harbours/scene"] * 2
    shapes = {name: tuple(value.shape) for name, value in inputs.items()}
    length = shapes.pop("input_ids")[1]
    cells = SIDE // 4
    assert shapes == {
        "attention_mask": (6, length),
        "pixel_values": (2, 3, SIDE, SIDE),
        "target": (6, cells, cells),
        "target_known": (6, cells, cells),
        "is_present": (6,),
        "presence_known": (6,),
        "is_taught": (6,),
        "class_shares": (2, len(CATEGORIES), cells, cells),
        "class_known": (2, len(CATEGORIES), cells, cells),
        "centre_depth": (2, cells, cells),
        "centre_known": (2, cells, cells),
    }
    rgb = examples.draw(1).rgb
    expected = (rgb.transpose(2, 0, 1).astype(np.float32) - 127) / 128
    np.testing.assert_allclose(inputs["pixel_values"][1].numpy(), expected, atol=1e-5)


def test_sentence_of_a_referring_data_set_is_the_one_question_of_its_image():
    drawn = replace(toy_draw(0), ignore=np.eye(toy_draw(0).mask.shape[0], dtype=bool))
    shared = with_one_question(drawn)
    (question,) = shared.questions
    assert (question.sentence, question.is_present) == (drawn.sentence, True)
    assert (question.known == ~drawn.ignore).all()
    examples = dataset(draw=lambda index: drawn)
    inputs = examples.collate([examples[0], examples[1]])
    assert "is_taught" not in inputs
    assert set(training()(inputs)) == {"mask", "presence", "total"}


def test_presence_of_what_nobody_knows_of_teaches_nothing():
    drawn = shared_draw(RECIPE)(0)
    first, second = (replace(one, is_present=True) for one in drawn.questions[:2])
    pairs = [[replace(first, is_present=None), second], [first, second]]
    examples = dataset(draw=lambda index: replace(drawn, questions=pairs[index]))
    inputs = [examples.collate([examples[index]]) for index in (0, 1)]
    assert [one["presence_known"].tolist() for one in inputs] == [[0, 1], [1, 1]]
    unknown, known = (training()(one)["presence"].item() for one in inputs)
    assert 0 < unknown < known


def test_total_is_the_weighted_sum_of_the_terms_that_have_a_weight():
    examples = dataset()
    inputs = examples.collate([examples[0], examples[1]])
    terms = {name: value.item() for name, value in training()(inputs).items()}
    weights = {"mask": 2.0, "classes": 1.0, "centres": 0.2, "presence": 0.3, "known": 0.2}
    assert terms.pop("total") == pytest.approx(sum(weights[name] * value for name, value in terms.items()), rel=1e-5)
    assert terms.keys() == weights.keys()
    few = replace(RECIPE, encode_once=EncodeOnceRecipe(terms=TermWeights(classes=0, centres=0, presence=0)))
    module = training(few)
    assert set(module(inputs)) == {"mask", "known", "total"}
    assert module.class_maps is None
    assert not module.company()
    config = module.encode_once.config
    assert (config.has_presence, config.has_known, config.has_score) == (False, True, False)


def test_the_image_half_is_trained_alone_where_no_term_is_about_a_sentence(monkeypatch):
    examples = dataset()
    inputs = examples.collate([examples[0], examples[1]])
    weights = TermWeights(mask=0, presence=0, known=0, named=0, alike=0)
    module = training(replace(RECIPE, encode_once=EncodeOnceRecipe(terms=weights)))
    monkeypatch.setattr(module.encode_once, "answer", lambda *_: pytest.fail("a sentence was answered"))
    terms = module(inputs)
    assert set(terms) == {"classes", "centres", "total"}
    terms["total"].backward()
    moved = {name.split(".")[0] for name, one in module.encode_once.named_parameters() if one.grad is not None}
    assert moved == {"trunk", "pyramid"}


def test_names_without_an_image_teach_what_is_taught_and_that_names_of_a_category_are_alike():
    recipe = replace(RECIPE, encode_once=replace(RECIPE.encode_once, names=20))
    examples = dataset(recipe)
    inputs = examples.collate([examples[0], examples[1]])
    is_taught = inputs["name_is_taught"]
    assert inputs["name_ids"].shape == inputs["name_mask"].shape
    assert inputs["name_ids"].shape[0] == is_taught.shape[0] == 40
    assert inputs["main_ids"].shape[0] == int(is_taught.sum())
    assert 0 < is_taught.sum() < 40
    module = training(recipe)
    terms = module(inputs)
    assert {"named", "alike"} < terms.keys()
    assert terms["alike"] > 0
    same = inputs | {"main_ids": inputs["name_ids"][is_taught > 0], "main_mask": inputs["name_mask"][is_taught > 0]}
    assert module(same)["alike"] == 0
    terms["alike"].backward()
    model = module.encode_once
    assert model.token_embedding.weight.grad.abs().sum() > 0
    assert model.trunk.stem.weight.grad is None
    only = replace(recipe, encode_once=replace(recipe.encode_once, terms=TermWeights(named=0, alike=0)))
    assert not {"named", "alike"} & training(only)(inputs).keys()
    with pytest.raises(InvalidInputError, match=r"`encode_once.names` must be at least 0, received -1"):
        EncodeOnceRecipe(names=-1)


def test_parts_train_at_their_rates_and_every_parameter_once():
    rates = PartRates(trunk=0.5, pyramid=2.0, text=0.25)
    recipe = replace(RECIPE, encode_once=replace(RECIPE.encode_once, rates=rates))
    module = training(recipe)
    optimizer = make_optimizer(module, recipe)
    placed = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    trained = {id(parameter) for parameter in module.parameters() if parameter.requires_grad}
    assert len(placed) == len(set(placed))
    assert set(placed) == trained
    rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert module.class_maps is not None
    for parameter, factor in (
        (module.encode_once.trunk.stem.weight, 0.5),
        (module.encode_once.pyramid.extra.norm.weight, 2.0),
        (module.class_maps.centres.weight, 2.0),
        (module.encode_once.token_embedding.weight, 0.25),
        (module.encode_once.mask_linear.weight, 1.0),
    ):
        assert rate[id(parameter)] == pytest.approx(3e-3 * factor)


def test_parts_of_rate_0_are_at_rest():
    rates = PartRates(trunk=0, pyramid=0)
    recipe = replace(RECIPE, encode_once=replace(RECIPE.encode_once, rates=rates))
    module = training(recipe)
    optimizer = make_optimizer(module, recipe)
    examples = dataset(recipe)
    before = {name: value.clone() for name, value in module.encode_once.state_dict().items()}
    module(examples.collate([examples[0], examples[1]]))["total"].backward()
    optimizer.step()
    changed = {
        name.split(".")[0]
        for name, value in module.encode_once.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert not changed & {"trunk", "pyramid"}
    assert {"token_embedding", "layers", "cell_projection", "mask_linear"} <= changed


def test_run_lowers_its_loss_and_its_folder_segments(tmp_path):
    draw = shared_draw(RECIPE)
    recipe = replace(RECIPE, steps=9, save_every=9)
    train(recipe, Examples(lambda index: draw(index % 2), NUM_CLASSES), tmp_path)
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert entries[-1]["step"] == 9
    assert "new_learning_rate" not in entries[-1]
    assert entries[-1]["mask"] < entries[0]["mask"]
    segmenter = Segmenter.load(tmp_path / "model", backend="torch")
    answer = segmenter.segment(harbour("val").pixels(), "the ship")
    assert answer.mask.shape == (100, 100)
    maps = load_file(tmp_path / "class_maps.safetensors")
    assert maps["classes.weight"].shape == (NUM_CLASSES, 32, 1, 1)
    assert maps["centres.weight"].shape == (1, 32, 1, 1)

    later = {"init": str(tmp_path / "model"), "tokenizer": None, "config": {}}
    heads = replace(RECIPE.encode_once, class_maps=str(tmp_path / "class_maps.safetensors"))
    following = replace(RECIPE, **later, encode_once=heads)
    assert encodes_once(following)
    module = training(following)
    assert module.class_maps is not None
    assert torch.equal(module.class_maps.classes.weight.detach(), maps["classes.weight"])
    wrong = replace(following, encode_once=replace(heads, class_maps=str(tmp_path / "model" / "model.safetensors")))
    with pytest.raises(CheckpointError, match="holds no class maps of this model"):
        training(wrong)
    with pytest.raises(InvalidInputError, match=r"`lora_rank` is for models .* and `init` = .* is of those"):
        kind_of(replace(following, lora_rank=2))


def test_resumed_run_ends_with_the_weights_of_one_that_was_not_interrupted(tmp_path):
    examples = Examples(shared_draw(RECIPE), NUM_CLASSES)
    train(RECIPE, examples, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole" / "checkpoint-2", tmp_path / "broken" / "checkpoint-2")
    train(RECIPE, examples, tmp_path / "broken", resume=True)
    for file in ("model/model.safetensors", "class_maps.safetensors", "checkpoint-4/model.safetensors"):
        assert (tmp_path / "broken" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_kind_follows_from_the_preset():
    assert kind_of(RECIPE) is ENCODE_ONCE
    assert kind_of(Recipe(preset="tiny", tokenizer=str(COMPACT))) is ENCODE_WITH_TEXT


def test_what_is_missing_is_named_before_anything_is_read():
    with pytest.raises(DataNotFoundError, match=r"`init_lite0` = `no\.pth` is not there"):
        check_start(replace(RECIPE, init_lite0="no.pth"))
    with pytest.raises(DataNotFoundError, match=r"`encode_once\.class_maps` = `no` is not there"):
        check_start(replace(RECIPE, encode_once=EncodeOnceRecipe(class_maps="no")))


def test_run_in_bfloat16_has_finite_terms():
    examples = dataset()
    module = training(replace(RECIPE, precision="bf16"))
    total = module(examples.collate([examples[0], examples[1]]))["total"]
    total.backward()
    assert torch.isfinite(total)
    assert total.dtype == torch.float32
