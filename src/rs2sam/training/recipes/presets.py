"""The models that a recipe can build anew, and the keys that only one of the two kinds of model knows."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from rs2sam.errors import InvalidInputError
from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.encode_once.configuration import EncodeOnceConfig
from rs2sam.training.recipes.data_recipe import default_of

RecipePreset = Literal["compact", "compact-tiny", "large", "hiera-compact", "tiny"]

PRESETS: Mapping[str, Callable[..., RS2SamConfig | EncodeOnceConfig]] = {
    "compact": partial(EncodeOnceConfig.preset, "compact"),
    "compact-tiny": partial(EncodeOnceConfig.preset, "tiny"),
    "large": partial(RS2SamConfig.preset, "large"),
    "hiera-compact": partial(RS2SamConfig.preset, "hiera-compact"),
    "tiny": partial(RS2SamConfig.preset, "tiny"),
}
"""Name -> maker of a configuration, which takes changes to single fields. The first two encode an image once."""

ENCODE_ONCE_ONLY = ("init_lite0", "encode_once")
"""Keys of a recipe for models that encode an image once."""
ENCODE_WITH_TEXT_ONLY = (
    "init_sam2",
    "init_beit3",
    "activation_checkpointing",
    "freeze_trunk",
    "lora_rank",
    "loss",
    "auxiliary",
    "optimizer.new_learning_rate",
    "data.contrast",
)
"""Keys of a recipe for models whose trunk reads the sentence."""


def fields_of(config_class: type[Any]) -> dict[str, Any]:
    """Name -> type of the fields of a configuration."""
    return inspect.get_annotations(config_class, eval_str=True)


def require_fitting(recipe: Any, *, encodes_once: bool) -> None:
    """Refuse what says something about the other kind of model than the one that is trained.

    Args:
        recipe: a `Recipe`.
        encodes_once: whether the model encodes an image once.

    Raises:
        InvalidInputError: a key of the other kind is not at its default.
    """
    others = ENCODE_WITH_TEXT_ONLY if encodes_once else ENCODE_ONCE_ONLY
    changed = [key for key in others if _differs(recipe, key)]
    if changed:
        kinds = ("encode an image once", "read the sentence in their trunk")
        trained, meant = kinds if encodes_once else kinds[::-1]
        start = f"`init` = {recipe.init!r}" if recipe.init is not None else f"the preset `{recipe.preset}`"
        raise InvalidInputError(
            f"`{changed[0]}` is for models that {meant}, and {start} is of those that {trained}; remove it, or start "
            "from another model"
        )


def _differs(recipe: Any, key: str) -> bool:
    """Whether a dotted key of a recipe is not at its default."""
    *parents, last = key.split(".")
    for parent in parents:
        recipe = getattr(recipe, parent)
    (entry,) = (one for one in dataclasses.fields(recipe) if one.name == last)
    differs: bool = getattr(recipe, last) != default_of(entry)
    return differs
