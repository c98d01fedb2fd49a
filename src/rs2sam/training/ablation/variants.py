"""The paper's ablations as runs of one recipe: which switches, which seeds, which other values.

A variant is a name for changes to a recipe. The paper's rows are those of its ablation tables on RefSegRS (arXiv
2503.07266); docs/ablate.md says how each was read, and from what.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import nn

from rs2sam.errors import InvalidInputError, words_of
from rs2sam.evaluation.run_folder import safe_name
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.training.initial import planned_config
from rs2sam.training.keeping.record import plain_values
from rs2sam.training.objective.groups import parameter_groups
from rs2sam.training.recipes.settings import AuxiliaryRecipe, Recipe
from rs2sam.training.recipes.strict import build, require_known

AS_IS = "as-is"
"""The variant that leaves the recipe's own switches."""
EVALUATION_SEED = 1_000_000
"""Of rendered scenes that runs are evaluated on: far from the seeds that anybody trains with."""
PUBLISHED_BOUNDARY_WEIGHT = 0.2
"""Weight of the boundary loss in rows that have one, where the recipe itself has none."""

_FULL: dict[str, Any] = {
    "config.fusion": "bidirectional",
    "config.trunk_fusion": True,
    "config.decoder_fusion": True,
    "config.mask_prompt": "cls-attention",
}
_NO_FUSION = {"config.trunk_fusion": False, "config.decoder_fusion": False}
_NO_PROMPT = {"config.mask_prompt": "none"}
_PUBLISHED_TRAINING: dict[str, Any] = {
    "loss.boundary_form": "published",
    **dict.fromkeys(("loss.presence", "loss.score"), 0.0),
    **{f"auxiliary.{entry.name}": 0.0 for entry in fields(AuxiliaryRecipe)},
}


@dataclass(frozen=True)
class Variant:
    """One row of an ablation table.

    Args:
        name: of the row on the command line and of its folders.
        label: of the row in the table.
        changes: dotted keys of a recipe -> value.
        boundary: whether the row is trained with the boundary loss.
        published: mIoU and oIoU on RefSegRS test [%], oIoU None where it is not known; None where the paper has no
            such row.
    """

    name: str
    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    boundary: bool = True
    published: tuple[float, float | None] | None = None


VARIANTS: tuple[Variant, ...] = (
    Variant("baseline", "SAM 2 + union encoder", {**_NO_FUSION, **_NO_PROMPT}, False, (36.64, 55.51)),
    Variant("boundary", "+ boundary loss", {**_NO_FUSION, **_NO_PROMPT}, True, (38.63, 57.36)),
    Variant("prompt", "+ boundary loss + mask prompt", _NO_FUSION, True, (60.20, 70.89)),
    Variant("bhfm", "+ boundary loss + BHFM", _NO_PROMPT, True, (68.71, 78.36)),
    Variant("full", "all", {}, True, (73.90, 80.87)),
    Variant("linear", "fusion layer: linear", {"config.fusion": "linear"}, True, (68.19, None)),
    Variant(
        "one-directional", "fusion layer: one-directional", {"config.fusion": "one-directional"}, True, (70.10, None)
    ),
    Variant("no-decoder-fusion", "without decoder fusion", {"config.decoder_fusion": False}, True, (67.61, None)),
    Variant("no-in-encoder", "without in-encoder layers", {"config.trunk_fusion": False}, True, (61.08, None)),
    Variant("plain-prompt", "mask prompt without CLS attention", {"config.mask_prompt": "plain"}, True, (71.59, None)),
    Variant("no-fusion-layer", "MLP adapters only", {"config.fusion": "none"}),
    Variant("no-boundary", "all but the boundary loss", {}, False),
    Variant("published-boundary", "all, boundary loss as published", {"loss.boundary_form": "published"}),
    Variant("published-recipe", "all, trained as published: no presence, no auxiliary objective", _PUBLISHED_TRAINING),
    Variant("soft-boundary", "all, boundary loss that reaches the mask", {"loss.boundary_form": "soft"}),
)

GRIDS: dict[str, tuple[str, ...]] = {
    "paper": tuple(variant.name for variant in VARIANTS if variant.published),
    "components": ("baseline", "boundary", "prompt", "bhfm", "full"),
    "fusion": ("full", "one-directional", "linear", "no-fusion-layer", "no-decoder-fusion", "no-in-encoder"),
    "mask-prompt": ("full", "plain-prompt", "bhfm"),
    "boundary-loss": ("no-boundary", "published-boundary", "soft-boundary"),
    "all": tuple(variant.name for variant in VARIANTS),
}


@dataclass(frozen=True)
class Run:
    """One training run of a grid.

    Args:
        name: of its folder, safe for any system.
        row: label of the row that it counts in; runs of one row differ in their seed alone.
        variant: name of the variant.
        seed: of the run.
        recipe: what is trained.
        published: see `Variant`.
    """

    name: str
    row: str
    variant: str
    seed: int
    recipe: Recipe
    published: tuple[float, float | None] | None


@dataclass(frozen=True)
class ParameterCounts:
    """How many parameters a model has: in all, in the paper's new modules, frozen."""

    total: int
    new: int
    frozen: int


def plan(recipe: Recipe, grid: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    """The runs of a grid, all rows of the first seed before the second's.

    Args:
        recipe: what the variants change.
        grid: names of grids (`GRIDS`) or variants, commas between them, and axes `key=value,value`, which multiply the
            rows; the names alone left out, the recipe as it is is one row. Empty: `paper`.
        seeds: one run of every row for each.

    Raises:
        InvalidInputError: a name, key or value that does not exist, a value that is given twice, or seeds that are not
            distinct and at least 0.
    """
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise InvalidInputError(f"`--seeds` takes distinct whole numbers from 0, received {list(seeds)}.")
    names = [name.strip() for entry in grid if "=" not in entry for name in entry.split(",")]
    axes = [_axis(entry) for entry in grid if "=" in entry]
    variants = _variants(names or ([AS_IS] if axes else ["paper"]))
    runs = []
    for seed in seeds:
        for variant in variants:
            for values in itertools.product(*axes):
                runs.append(_run(recipe, variant, seed, values))
    names = [run.name for run in runs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"`--grid` gives `{twice[0]}` more than once; name every value of a key once.")
    return runs


def count_parameters(recipe: Recipe) -> ParameterCounts:
    """The parameters of a run's model, counted without making them; low-rank ones are not counted.

    Raises:
        DataNotFoundError: what the model starts from is not there.
    """
    with torch.device("meta"):
        model = RS2SamModel(planned_config(recipe))
    groups = parameter_groups(model, recipe.freeze_trunk)
    return ParameterCounts(_count(model.parameters()), _count(groups.new), _count(groups.frozen))


def count_rows(runs: Iterable[Run]) -> dict[str, ParameterCounts]:
    """Row -> parameters of its model, which all its seeds share."""
    counts: dict[str, ParameterCounts] = {}
    for run in runs:
        if run.row not in counts:
            counts[run.row] = count_parameters(run.recipe)
    return counts


def _count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _variants(names: Iterable[str]) -> list[Variant]:
    """The variants of names and grids, each once, in the order in which they are named."""
    known = {variant.name: variant for variant in VARIANTS} | {AS_IS: Variant(AS_IS, "the recipe as it is")}
    chosen: dict[str, Variant] = {}
    for name in names:
        if name not in GRIDS and name not in known:
            raise InvalidInputError(
                f"`--grid` takes a grid ({', '.join(GRIDS)}), variants ({', '.join(known)}) or key=value,value; "
                f"received {name!r}."
            )
        chosen.update((member, known[member]) for member in GRIDS.get(name, (name,)))
    return list(chosen.values())


def _axis(text: str) -> list[tuple[str, Any]]:
    """`key=1,2` as its key with each of the values, read as YAML."""
    import yaml

    key, _, values = text.partition("=")
    try:
        read = yaml.safe_load(f"[{values}]")
    except Exception as error:  # dates, numbers and tags that are none raise whatever their readers do
        raise InvalidInputError(f"`--grid {text}`: the values are no valid YAML: {words_of(error)}.") from error
    if not read or key.strip() in ("seed", "config", ""):
        raise InvalidInputError(
            f"`--grid key=value,value` needs a recipe's key and at least one value, received {text!r}. "
            "(Seeds are `--seeds`.)"
        )
    return [(key.strip(), value) for value in read]


def _run(recipe: Recipe, variant: Variant, seed: int, values: Sequence[tuple[str, Any]]) -> Run:
    """One run: the variant's changes first, then the values of the axes."""
    changes: dict[str, Any] = {}
    if variant.name != AS_IS:
        weight = recipe.loss.boundary or PUBLISHED_BOUNDARY_WEIGHT
        changes = {**_FULL, "loss.boundary": weight if variant.boundary else 0.0, **variant.changes}
    changes |= {**dict(values), "seed": seed}
    if changes.get("config.mask_prompt") == "none":
        changes.setdefault("auxiliary.pseudo_mask", 0.0)  # there is none to supervise
    # The grid's values in the name, so that rows of one variant have folders of their own.
    added = [f"{key}={value}" for key, value in values]
    name = safe_name("-".join([variant.name, *added, f"seed{seed}"]).lower())
    row = ", ".join([variant.label, *added])
    published = variant.published if not values else None
    return Run(name, row, variant.name, seed, changed_recipe(recipe, changes), published)


def changed_recipe(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """A recipe with other values, checked as if they had been read.

    Args:
        recipe: stays as it is.
        changes: dotted key -> value.

    Raises:
        InvalidInputError: a key or value that a recipe does not have.
    """
    values: dict[str, Any] = plain_values(recipe)
    for key, value in changes.items():
        *parents, last = key.split(".")
        place = values
        for depth, parent in enumerate(parents):
            require_known(parent, place, "".join(f"{name}." for name in parents[:depth]))
            place = place[parent]
            if not isinstance(place, dict):
                raise InvalidInputError(f"`{key}` is no key of a recipe: `{parent}` holds no further keys.")
        place[last] = value
    return build(Recipe, values)
