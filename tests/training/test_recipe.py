"""Recipes: read strictly, overridden from the command line, with messages that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from rs2sam.errors import DataNotFoundError, InvalidInputError, MissingDependencyError
from rs2sam.training.recipe import Recipe, load_recipe
from tests.conftest import REPOSITORY

SHIPPED = sorted((REPOSITORY / "recipes").glob("*.yaml"))


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("steps: 7\ndata:\n  weights: {synthetic: 2}\noptimizer:\n  learning_rate: 1e-4\n")
    return path


def overrides_of(path: Path) -> tuple[str, ...]:
    return ("teacher=teacher.pth",) if "distillation" in path.read_text() else ()


def test_there_are_recipes():
    assert {path.stem for path in SHIPPED} >= {"compact", "debug"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_loads(path):
    recipe = load_recipe(path, overrides_of(path))
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
        ["steps=9", "data.root=/a=b", "auxiliary.semantic=1", "data.weights.roads=0.5", "optimizer.schedule=constant"],
    )
    assert recipe.steps == 9
    assert recipe.data.root == "/a=b"
    assert recipe.auxiliary.semantic == 1.0
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
        ("auxiliary.distillation=1", "needs `teacher`"),
        ("loss.boundary_form=hard", "`boundary_form` is one of published, soft"),
        ("preset=huge", "`preset` must be one of large, compact, tiny, received 'huge'"),
        ("steps=[1", "is no valid YAML"),
    ],
)
def test_wrong_value_says_the_rule_and_the_remedy(recipe_file, override, message):
    with pytest.raises(InvalidInputError, match=message):
        load_recipe(recipe_file, [override])


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
