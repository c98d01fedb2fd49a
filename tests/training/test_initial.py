"""Where a run starts: every kind of weights, changes to the configuration, and what is said of missing files."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from rs2sam.errors import CheckpointError, DataNotFoundError, InvalidInputError
from rs2sam.models import RS2SamModel
from rs2sam.models.weights.published_tokenizer import load_published_tokenizer
from rs2sam.processing import Processor
from rs2sam.training.initial import check_start, encode_once_start, planned_config, starting_point
from rs2sam.training.recipes.settings import DataRecipe, Recipe
from tests.models.weights.published import published_folder, published_state, tiny_model
from tests.models.weights.test_pretrained import beit3_state, sam2_state
from tests.small_model import COMPACT
from tests.training.toy import toy_init, toy_recipe


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_init(tmp_path_factory.mktemp("toy") / "init")


def test_model_built_anew_has_a_row_for_every_token_and_its_own_sizes():
    recipe = Recipe(preset="tiny", tokenizer=str(COMPACT))
    model, processor = starting_point(recipe)
    assert model.config.vocab_size == len(processor.tokenizer) == 8192
    assert (processor.config.image_size, processor.config.union_image_size) == (256, 64)
    assert planned_config(recipe).vocab_size == 8192


def test_changes_to_the_configuration_are_in_a_new_model():
    recipe = Recipe(preset="tiny", config={"has_presence": True, "trunk_blocks": [1, 1, 5, 1]}, tokenizer=str(COMPACT))
    config = starting_point(recipe)[0].config
    assert (config.has_presence, config.trunk_blocks) == (True, (1, 1, 5, 1))
    assert planned_config(recipe).trunk_blocks == (1, 1, 5, 1)


def test_sam2_and_beit3_fill_their_parts_of_a_new_model(tmp_path):
    own = published_state(tiny_model(vocab_size=8192))
    trained = {name: torch.full_like(tensor, 0.25) for name, tensor in own.items()}
    torch.save({"model": sam2_state(trained)}, tmp_path / "sam2.pt")
    torch.save({"model": beit3_state(trained)}, tmp_path / "beit3.pth")
    recipe = Recipe(
        preset="tiny",
        tokenizer=str(COMPACT),
        init_sam2=str(tmp_path / "sam2.pt"),
        init_beit3=str(tmp_path / "beit3.pth"),
    )
    model, _ = starting_point(recipe)
    assert (model.trunk.blocks[0].attn.qkv.weight == 0.25).all()
    assert (model.union_encoder.layers[0].text.fc1.weight == 0.25).all()
    assert not (model.trunk.blocks[0].fusion.down.weight == 0.25).any()
    assert not (model.text_projection.weight == 0.25).any()


def test_published_folder_is_a_start_in_float32(tmp_path):
    own = tiny_model()
    folder = published_folder(tmp_path / "published", {k: v.bfloat16() for k, v in published_state(own).items()})
    model, processor = starting_point(Recipe(init=str(folder), tokenizer=str(_tokenizer_folder(tmp_path, folder))))
    assert model.dtype == torch.float32
    assert model.config.text_pad_id == 3
    assert len(processor.tokenizer) == 300
    torch.testing.assert_close(model.text_projection.weight, own.text_projection.weight.bfloat16().float())


def test_published_file_is_a_start_with_a_tokenizer(tmp_path):
    own = tiny_model(vocab_size=8192)
    save_file(published_state(own), tmp_path / "weights.safetensors")
    recipe = Recipe(init=str(tmp_path / "weights.safetensors"), tokenizer=str(COMPACT))
    model, _ = starting_point(recipe)
    assert torch.equal(model.text_projection.weight, own.text_projection.weight)
    assert planned_config(recipe).trunk_widths == own.config.trunk_widths
    with pytest.raises(InvalidInputError, match=r"in the file .*safetensors` needs `tokenizer`"):
        check_start(Recipe(init=str(tmp_path / "weights.safetensors")))


def _tokenizer_folder(tmp_path: Path, published: Path) -> Path:
    """The tokenizer of a published folder with the conventions of our own."""
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    load_published_tokenizer(published / "sentencepiece.bpe.model").save(folder / "tokenizer.model")
    shutil.copyfile(COMPACT / "preprocessor_config.json", folder / "preprocessor_config.json")
    return folder


def test_tokenizer_of_the_shipped_model_has_its_name_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = Recipe(preset="tiny", tokenizer="compact")
    check_start(recipe)
    model, processor = starting_point(recipe)
    processor.tokenizer.save(tmp_path / "tokenizer.model")
    assert (tmp_path / "tokenizer.model").read_bytes() == (COMPACT / "tokenizer.model").read_bytes()
    assert planned_config(recipe).vocab_size == model.config.vocab_size == 8192


def test_shipped_model_is_a_start_by_its_name():
    model, processor = encode_once_start(Recipe(init="compact"))
    assert model.dtype == torch.float32
    assert processor.config.image_size == model.config.image_size
    # What was found for the shipped weights is not said of others.
    config = processor.config
    assert (config.min_presence, config.calibration, config.closer_look) == (0.0, None, None)
    assert processor.config.classes
    own = Recipe(init="compact", data=DataRecipe(dataset="own"))
    processor = encode_once_start(own)[1]
    assert (processor.config.min_known, processor.config.classes) == (0.0, None)


def test_change_without_new_parameters_keeps_every_weight_of_init(init):
    model, _ = starting_point(toy_recipe(init, config={"text_update_rate": 0.1}))
    saved = RS2SamModel.from_pretrained(init).state_dict()
    assert model.config.text_update_rate == 0.1
    assert all(torch.equal(tensor, saved[name]) for name, tensor in model.state_dict().items())


def test_parameters_that_init_lacks_start_anew_and_are_counted(init, caplog):
    with caplog.at_level(logging.WARNING, logger="rs2sam"):
        model, _ = starting_point(toy_recipe(init, config={"trunk_blocks": [1, 1, 2, 1]}))
    saved = RS2SamModel.from_pretrained(init)
    assert len(model.trunk.blocks) == len(saved.trunk.blocks) + 1
    assert torch.equal(model.text_projection.weight, saved.text_projection.weight)
    assert "tensors have no weights in `init` and start anew" in caplog.text


def test_incomplete_weights_are_no_starting_point(init, tmp_path):
    shutil.copytree(init, tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="broken"):
        starting_point(toy_recipe(tmp_path / "broken"))


def test_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path):
    own = tiny_model(vocab_size=512)
    save_file(published_state(own), tmp_path / "weights.safetensors")
    with pytest.raises(InvalidInputError, match=r"has 8192 tokens, the model in .* knows 512"):
        starting_point(Recipe(init=str(tmp_path / "weights.safetensors"), tokenizer=str(COMPACT)))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(init="nowhere"), "`init` = `nowhere` is not there"),
        (Recipe(tokenizer=str(COMPACT), init_lite0="no.pth"), "`init_lite0` = `no.pth` is not there"),
        (Recipe(tokenizer="nowhere"), "`tokenizer` = `nowhere` is not there"),
        (Recipe(preset="tiny", tokenizer="compact", init_sam2="no.pt"), "`init_sam2` = `no.pt` is not there"),
        (Recipe(preset="tiny", tokenizer="compact", init_beit3="no.pth"), "`init_beit3` = `no.pth` is not there"),
    ],
)
def test_missing_file_is_named_by_its_key(recipe, message):
    with pytest.raises(DataNotFoundError, match=message):
        check_start(recipe)


def test_new_model_needs_a_tokenizer():
    with pytest.raises(InvalidInputError, match=r"preset `compact` needs `tokenizer`: a folder .* or BEiT-3's"):
        check_start(Recipe())


def test_processor_has_the_sizes_of_the_model(init):
    processor = starting_point(toy_recipe(init))[1]
    assert processor.config == Processor.from_folder(init).config
