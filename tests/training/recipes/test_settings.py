"""Recipes: read strictly, overridden from the command line, with messages that say what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import ClusterConfig

from rs2sam.errors import DataNotFoundError, InvalidInputError, MissingDependencyError
from rs2sam.models import RS2SamConfig, RS2SamModel
from rs2sam.training.recipes.loss_settings import LossSettings
from rs2sam.training.recipes.settings import (
    AuxiliaryRecipe,
    DataRecipe,
    Recipe,
    ValidationRecipe,
    load_recipe,
    resolved,
)
from tests.conftest import REPOSITORY

SHIPPED = sorted((REPOSITORY / "recipes").glob("*.yaml"))


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("steps: 7\ndata:\n  weights: {synthetic: 2}\noptimizer:\n  learning_rate: 1e-4\n")
    return path


def test_there_are_recipes():
    assert {path.stem for path in SHIPPED} >= {"compact", "debug"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_loads(path):
    recipe = load_recipe(path)
    assert recipe.steps or recipe.epochs


def test_values_come_from_the_file_and_the_rest_from_the_code(recipe_file):
    recipe = load_recipe(recipe_file)
    assert recipe.steps == 7
    assert recipe.data.weights == {"synthetic": 2.0}
    assert recipe.optimizer.learning_rate == 1e-4
    assert recipe.batch_size == Recipe().batch_size


def test_an_empty_file_is_the_default_recipe(tmp_path):
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load_recipe(tmp_path / "empty.yaml") == Recipe()


def test_set_changes_single_values_on_top_of_the_file(recipe_file):
    recipe = load_recipe(
        recipe_file,
        ["steps=9", "data.root=/a=b", "encode_once.absent=0", "data.weights.roads=0.5", "optimizer.schedule=constant"],
    )
    assert recipe.steps == 9
    assert recipe.data.root == "/a=b"
    assert recipe.encode_once.absent == 0.0
    assert recipe.data.weights == {"synthetic": 2.0, "roads": 0.5}
    assert recipe.optimizer.schedule == "constant"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("step=3", "unknown key `step` in the recipe; did you mean `steps`"),
        ("optimizer.learning_rat=1", "did you mean `optimizer.learning_rate`"),
        ("loss.bundary=1", "did you mean `loss.boundary`"),
        ("zzz=3", "the keys are preset, config, init,"),
        ("steps", "takes key=value, received `steps`"),
        ("steps=many", "`steps` must be int, received 'many'"),
        ("steps=true", "`steps` must be int, received True"),
        ("steps=-1", "`steps` must be at least 0, received -1"),
        ("steps=1000000000000", "`steps` must be at most 1,000,000,000"),
        ("data.side=1048576", "`data.side` must be at most 4,096"),
        ("data.num_workers=100000", "`data.num_workers` must be at most 256"),
        ("data.num_synthetic=1000000000000", "`data.num_synthetic` must be at most"),
        ("optimizer.learning_rate=.inf", "`optimizer.learning_rate` must be a finite number"),
        ("optimizer.weight_decay=.nan", "`optimizer.weight_decay` must be a finite number"),
        ("optimizer.learning_rate=-1", "`optimizer.learning_rate` must be above 0, at most 10"),
        ("optimizer.learning_rate=1e30", "`optimizer.learning_rate` must be above 0, at most 10"),
        ("optimizer.new_learning_rate=10.5", "`optimizer.new_learning_rate` must be above 0, at most 10"),
        ("loss.dice=1e30", "A loss weight is at least 0, at most 1,000,000"),
        ("validate.batch_size=1000000", "`validate.batch_size` must be at most 65,536"),
        ("seed=100000000000", "`seed` must be at most"),
        ("init=3", "`init` must be str or nothing, received 3"),
        ("steps.inner=3", "needs a mapping at `steps`, which is 7"),
        ("data=3", "`data` must be a mapping of keys to values, received 3"),
        ("data.side=100", "`data.side` must be a multiple of 32"),
        ("data.weights={}", "`data.weights` must be shares of at least 0, one of them above 0"),
        ("data.weights={a: -1, b: 2}", "`data.weights` must be shares"),
        ("data.weights={a: many}", "`data.weights.a` must be float, received 'many'"),
        ("data.kind_weights={colours: 1}", "must be weights of kinds among class, "),
        ("data.num_workers=-1", "`data.num_workers` must be at least 0"),
        ("optimizer.learning_rate=0", "`optimizer.learning_rate` must be above 0"),
        ("optimizer.learning_rate=fast", "`optimizer.learning_rate` must be float"),
        ("optimizer.ema_decay=1", r"`optimizer.ema_decay` must be in \[0, 1\)"),
        ("optimizer.schedule=linear", "`optimizer.schedule` must be one of cosine, constant, step, received 'linear'"),
        ("optimizer.warmup_steps=-1", "`optimizer.warmup_steps` must be at least 0"),
        ("auxiliary.semantic=-1", "`auxiliary.semantic` must be at least 0"),
        ("auxiliary.semantic=1", "`auxiliary` is for models that read the sentence in their trunk, and the preset"),
        ("lora_rank=2", "`lora_rank` is for models that read the sentence in their trunk"),
        ("encode_once.sentences=0", "`encode_once.sentences` must be at least 1"),
        ("encode_once.zoom=[2, 1]", "`encode_once.zoom` must be two factors above 0 in order"),
        ("encode_once={absent: 0.6, untaught: 0.4}", "must be below 1 together with `encode_once.untaught`"),
        ("encode_once.rates.trunk=-1", "`encode_once.rates.trunk` must be at least 0"),
        ("encode_once.terms={mask: 0, classes: 0}", "`encode_once.terms.mask` must be above 0 where"),
        ("optimizer.floor=1", r"`optimizer.floor` must be in \[0, 1\)"),
        ("optimizer={floor: 0.1, schedule: constant}", "`optimizer.floor` must be 0 unless `optimizer.schedule`"),
        ("optimizer.betas=[0.9]", "`optimizer.betas` must be a list of 2"),
        ("loss.boundary_form=hard", "`boundary_form` is one of published, soft"),
        ("preset=huge", "`preset` must be one of compact, compact-tiny, large, hiera-compact, tiny, received 'huge'"),
        ("steps=[1", "is no valid YAML"),
        ("steps=2001-99-99", "is no valid YAML"),
        ("steps=0b_", "is no valid YAML"),
        ("steps=!!int x", "is no valid YAML"),
        ("steps=!!bool x", "is no valid YAML"),
        ("steps=!!timestamp x", "is no valid YAML"),
        (f"steps={'[' * 3000}", "is no valid YAML"),
        ("epochs=2", "`epochs` counts passes over `data.dataset`, which is not set"),
        ("validate.every_epochs=2", "`validate.every_epochs` counts passes over `data.dataset`"),
        ("validate={every_steps: 2, every_epochs: 2}", "say the same thing twice"),
        ("validate.max_samples=0", "`validate.max_samples` must be at least 1, received 0"),
        ("validate.protocol=theirs", "`validate.protocol` must be one of published, native, received 'theirs'"),
        ("data.dataset=DIR", "brings its own sentences, but `data.weights` is about rule-made ones"),
        ("data={dataset: DIR, kind_weights: {all: 1}}", "but `data.kind_weights` is about rule-made ones"),
        ("data={dataset: DIR, root: DIR}", "but `data.root` is about rule-made ones"),
        ("data.variation.flip=0.5", "`data.variation` is about the samples of `data.dataset`, which is not set"),
        ("data.published_sentences=true", "`data.published_sentences` is about the samples of `data.dataset`"),
        ("data.variation.flop=0.5", "did you mean `data.variation.flip`"),
        ("data.variation.flip=2", "must be a share"),
        ("gradient_accumulation=0", "`gradient_accumulation` must be at least 1"),
        ("precision=fp16", "`precision` must be one of float32, bf16, received 'fp16'"),
        ("lora_rank=-1", "`lora_rank` must be at least 0"),
        ("optimizer.decay=none", "`optimizer.decay` must be one of matrices, all"),
        (
            "optimizer.step_at_epoch=3",
            "`optimizer.step_at_epoch` must be at least 1 where `optimizer.schedule` is step",
        ),
        ("optimizer.schedule=step", "`optimizer.step_at_epoch` must be at least 1 where"),
        ("optimizer={schedule: step, step_at_epoch: 3}", "`optimizer.schedule=step` counts passes over"),
        ("optimizer.step_factor=0", "`optimizer.step_factor` must be above 0"),
        ("config.fuson=none", "did you mean `config.fusion`"),
        ("config.image_size=large", "`config.image_size` must be int, received 'large'"),
        ("config.image_size=100", "`image_size` must be a multiple of 32"),
        ("init_sam2=3", "`init_sam2` must be str or nothing"),
    ],
)
def test_wrong_value_says_the_rule_and_the_remedy(recipe_file, override, message):
    with pytest.raises(InvalidInputError, match=message):
        load_recipe(recipe_file, [override])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["preset=large", "encode_once.sentences=3"], "`encode_once` is for models that encode an image once, and the"),
        (["preset=large", "config.text_layers=1"], "unknown key `config.text_layers`"),
        (["preset=compact", "config.trunk_widths=[1]"], "unknown key `config.trunk_widths`"),
    ],
)
def test_key_of_the_other_kind_of_model_is_refused(recipe_file, overrides, message):
    with pytest.raises(InvalidInputError, match=message):
        load_recipe(recipe_file, overrides)


def test_two_starting_points_are_one_too_many(recipe_file):
    with pytest.raises(InvalidInputError, match="`init` = 'compact' brings every weight, and `init_sam2` would"):
        load_recipe(recipe_file, ["init=compact", "init_sam2=sam2.pt"])


def test_classes_of_a_data_set_are_not_known(tmp_path):
    (tmp_path / "recipe.yaml").write_text("preset: tiny\ndata: {dataset: DIR}\nauxiliary: {semantic: 1}\n")
    with pytest.raises(InvalidInputError, match=r"`auxiliary\.semantic` needs every class of an image"):
        load_recipe(tmp_path / "recipe.yaml")


def test_steps_are_counted_from_epochs_samples_and_processes():
    recipe = Recipe(
        preset="tiny",
        epochs=40,
        batch_size=1,
        gradient_accumulation=2,
        data=DataRecipe(dataset="DIR"),
        validate=ValidationRecipe(every_epochs=1),
    )
    # 40 x 101 samples, 2 x 4 a step: 505 steps, and a validation every 101 / 8 of them.
    found = resolved(recipe, 101, num_processes=4)
    assert (found.steps, found.validate.every_steps, found.validate.every_epochs) == (505, 13, 0)
    assert resolved(found, 101, num_processes=4) == found
    assert resolved(replace(recipe, steps=7), 101).steps == 7
    assert resolved(replace(recipe, epochs=1), 1, num_processes=8).validate.every_steps == 1
    assert resolved(Recipe(preset="tiny"), 0).steps == 1000


PUBLISHED = {
    # epochs, rate, rate of new modules, step at epoch, share of images with black squares: DESIGN, section 3
    "rrsisd-paper": (40, 1e-5, 5e-5, 30, 0.0),
    "rrsisd-code": (40, 5e-5, 1e-4, 0, 0.2),
    "refsegrs-paper": (60, 5e-5, 1e-4, 50, 0.0),
    "refsegrs-code": (60, 5e-5, 1e-4, 50, 0.0),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_recipe_is_the_published_one(name):
    recipe = load_recipe(REPOSITORY / "recipes" / f"{name}.yaml")
    optimizer = recipe.optimizer
    rates = (optimizer.learning_rate, optimizer.new_learning_rate)
    assert (recipe.epochs, *rates, optimizer.step_at_epoch, recipe.data.variation.black_squares) == PUBLISHED[name]
    assert optimizer.schedule == ("step" if optimizer.step_at_epoch else "constant")
    assert (optimizer.step_factor, optimizer.weight_decay, optimizer.decay) == (0.1, 0.01, "all")
    assert (optimizer.warmup_steps, optimizer.max_grad_norm, optimizer.ema_decay) == (0, 0.0, 0.0)
    assert (recipe.preset, recipe.config, recipe.data.side) == ("large", {}, 1024)
    assert (recipe.precision, recipe.batch_size, recipe.freeze_trunk, recipe.lora_rank) == ("bf16", 1, True, 0)
    assert recipe.loss == LossSettings(0.9, 0.1, 0.2, boundary_form="published", dice_reduction="sum", scope="sample")
    assert recipe.auxiliary == AuxiliaryRecipe()
    assert (recipe.validate.every_epochs, recipe.validate.protocol) == (1, "published")
    # Of a reference of RRSIS-D one of its sentences an epoch; of RefSegRS every line; white space of either as it is.
    assert recipe.data.one_sentence_per_ref == name.startswith("rrsisd")
    assert recipe.data.published_sentences


@pytest.mark.parametrize("name", ["ddp", "fsdp"])
def test_accelerate_configurations_are_valid_and_name_our_layers(name):
    config = ClusterConfig.from_yaml_file(str(REPOSITORY / "recipes" / "accelerate" / f"{name}.yaml"))
    assert (config.distributed_type, config.num_processes) == ({"ddp": "MULTI_GPU", "fsdp": "FSDP"}[name], 8)
    wrapped = set((config.fsdp_config or {}).get("fsdp_transformer_layer_cls_to_wrap", "").split(",")) - {""}
    model = RS2SamModel(RS2SamConfig.preset("tiny"))
    assert wrapped <= {type(module).__name__ for module in model.modules()}


def test_a_list_is_no_recipe(tmp_path):
    (tmp_path / "list.yaml").write_text("- steps\n")
    with pytest.raises(InvalidInputError, match="`recipe` must be a mapping of keys to values"):
        load_recipe(tmp_path / "list.yaml")


def test_a_binary_file_is_no_recipe(tmp_path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InvalidInputError, match="no valid YAML"):
        load_recipe(tmp_path / "binary.yaml")


def test_missing_recipe_says_where_there_are_some(tmp_path):
    with pytest.raises(DataNotFoundError, match="are in `recipes/`"):
        load_recipe(tmp_path / "none.yaml")


def test_missing_yaml_library_says_how_to_install_it(recipe_file, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'rs2sam\[train\]'"):
        load_recipe(recipe_file)
