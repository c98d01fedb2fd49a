"""The recipe that a run was started with, kept beside its checkpoints, so that it goes on as it began."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rs2sam.errors import InvalidInputError
from rs2sam.training.keeping.checkpoints import write_text
from rs2sam.training.recipes.settings import Recipe, load_recipe

logger = logging.getLogger(__name__)

RECIPE_FILE = "recipe.yaml"
MAY_CHANGE = (
    "save_every",
    "activation_checkpointing",
    "data.num_workers",
    "validate.every_steps",
    "validate.every_epochs",
    "validate.batch_size",
    "tensorboard",
)
"""What may differ when a run is resumed, since no weight depends on it."""


def record_recipe(recipe: Recipe, output_dir: Path) -> None:
    """Write `recipe.yaml` into a run's folder."""
    import yaml

    output_dir.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(plain_values(recipe), sort_keys=False, allow_unicode=True)
    write_text(output_dir / RECIPE_FILE, f"# What this run was started with.\n{text}")


def has_begun(output_dir: Path) -> bool:
    """Whether a run was started in a folder, with or without a checkpoint so far."""
    return (output_dir / RECIPE_FILE).is_file()


def require_same_recipe(recipe: Recipe, output_dir: Path) -> None:
    """Refuse to resume a run with another recipe than it was started with.

    A run from before recipes were kept passes with a warning.

    Raises:
        InvalidInputError: values differ; the message names them.
    """
    path = output_dir / RECIPE_FILE
    if not path.is_file():
        logger.warning("`%s` is not there, so nobody can tell whether the run began with this recipe", path)
        return
    different = recipe_differences(recipe, output_dir)
    if different:
        raise InvalidInputError(
            f"a run is resumed with the recipe that it was started with, but {'; '.join(different)}. Resume with "
            f"`{path}` as the recipe, or start another run in another folder. (Where a file has only moved, correct "
            f"its path in `{path}`.)"
        )


def recipe_differences(recipe: Recipe, output_dir: Path) -> list[str]:
    """What differs from the recipe that a run was started with and may not, one text for each key."""
    before, now = _flat(plain_values(load_recipe(output_dir / RECIPE_FILE))), _flat(plain_values(recipe))
    # Before the data is opened, a recipe that counts in epochs does not know its steps.
    free = MAY_CHANGE if recipe.steps else (*MAY_CHANGE, "steps")
    return [
        f"`{key}` was {before.get(key)!r} and is {now.get(key)!r}"
        for key in {**before, **now}
        if key not in free and before.get(key) != now.get(key)
    ]


def plain_values(value: Any) -> Any:
    """Dataclasses, mappings and tuples as YAML knows them: dictionaries and lists."""
    if dataclasses.is_dataclass(value):
        return {entry.name: plain_values(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain_values(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(entry) for entry in value]
    return value


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
