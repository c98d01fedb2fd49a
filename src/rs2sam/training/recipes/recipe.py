"""A recipe: everything a training run is defined by, as a validated value read from YAML.

A key that does not exist is an error that names the nearest one. Values given on the command line (`--set key=value`)
are read as YAML too, so that `--set data.root=DIR` and a file say things in the same way.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from rs2sam.datasets.english.expressions import KIND_WEIGHTS
from rs2sam.datasets.mixing.variation import Variation
from rs2sam.errors import DataNotFoundError, InvalidInputError, MissingDependencyError
from rs2sam.fields import checked, require, require_within
from rs2sam.models.configuration import PresetName, RS2SamConfig
from rs2sam.training.recipes.loss_settings import LossSettings
from rs2sam.training.recipes.strict import build, require_known

DEFAULT_STEPS = 1000
"""Steps of a recipe that says neither `steps` nor `epochs`."""
_MOST = 1_000_000_000
"""Of what counts steps and passes: more than any run has, less than what breaks a counter."""
_RULE_MADE_ONLY = ("root", "weights", "kind_weights", "contrast", "mosaic")
_DATASET_ONLY = ("train_split", "variation", "one_sentence_per_ref", "published_sentences")


@dataclass(frozen=True)
class DataRecipe:
    """What is trained on: a referring data set (`dataset`), or sentences made by rules for annotated images.

    Args:
        dataset: folder of a referring data set with its own sentences; any format of `readers.reading.open_dataset`.
        train_split: the split of `dataset` that is trained on; null: all of it, for data without splits.
        val_split: the split that is validated on; of rule-made data too.
        variation: how samples of `dataset` are varied, as far as their sentences stay true; not at all by default.
        one_sentence_per_ref: of a reference with several sentences, draw one an epoch instead of all.
        published_sentences: hand sentences on as the published code does, with the white space around them: the newline
            at the end of RefSegRS's becomes an unknown token. Validation does it where its protocol is `published`.
        root: folder that holds the annotated data sets' folders.
        weights: data set name -> share of the drawn samples; `synthetic` is rendered, `pasted` puts objects of the
            aerial photographs on other grounds, all others are read from `root`.
        kind_weights: kind of expression -> how often it is drawn; by default those of `english.expressions`.
        contrast: ask two sentences about every image, of different classes if it can be.
        mosaic: share of samples put together from four images, so that one picture shows several classes.
        num_synthetic: how many synthetic scenes are rendered before the run and then varied like real images.
        side: side of the training images [px]; at most the model's own.
        num_workers: data loading processes; 0 loads in the training process.
    """

    dataset: str | None = None
    train_split: str | None = "train"
    val_split: str = "val"
    variation: Variation = field(default_factory=Variation)
    one_sentence_per_ref: bool = False
    published_sentences: bool = False
    root: str | None = None
    weights: Mapping[str, float] = field(default_factory=lambda: {"synthetic": 1.0})
    kind_weights: Mapping[str, float] = field(default_factory=lambda: dict(KIND_WEIGHTS))
    contrast: bool = False
    mosaic: float = 0.0
    num_synthetic: int = 200
    side: int = 256
    num_workers: int = 1

    def __post_init__(self) -> None:
        """Reject what cannot be drawn from."""
        for name in ("weights", "kind_weights"):
            shares = dict(getattr(self, name))
            drawable = sum(shares.values()) > 0 and min(shares.values()) >= 0
            require(f"data.{name}", shares, drawable, "shares of at least 0, one of them above 0")
        unknown = sorted(set(self.kind_weights) - set(KIND_WEIGHTS))
        require("data.kind_weights", unknown, not unknown, f"weights of kinds among {', '.join(KIND_WEIGHTS)}")
        require("data.side", self.side, self.side >= 32 and self.side % 32 == 0, "a multiple of 32, at least 32")
        require_within("data.side", self.side, 32, 4096)
        require_within("data.num_synthetic", self.num_synthetic, 1, 10_000_000)
        require("data.mosaic", self.mosaic, 0 <= self.mosaic <= 1, "in [0, 1]")
        require_within("data.num_workers", self.num_workers, 0, 256)
        self._check_kind()

    def _check_kind(self) -> None:
        """Reject what says something about the other kind of data."""
        plain = {entry.name: _default(entry) for entry in dataclasses.fields(self)}
        changed = [name for name, value in plain.items() if getattr(self, name) != value]
        rule_made = [name for name in changed if name in _RULE_MADE_ONLY]
        referring = [name for name in changed if name in _DATASET_ONLY]
        if self.dataset is not None and rule_made:
            raise InvalidInputError(
                f"`data.dataset` = {self.dataset!r} brings its own sentences, but `data.{rule_made[0]}` is about "
                "rule-made ones; give one of the two (recipes/own-data.yaml has the first)"
            )
        if self.dataset is None and referring:
            raise InvalidInputError(
                f"`data.{referring[0]}` is about the samples of `data.dataset`, which is not set; remove it, or set "
                "`data.dataset`"
            )


@dataclass(frozen=True)
class AuxiliaryRecipe:
    """Weights of training-time objectives beside the loss; a weight of 0 leaves one out.

    Args:
        pseudo_mask: direct supervision of the pseudo-mask.
        semantic: per-class masks predicted from the neck, by a head that is dropped afterwards.
        patch_semantic: per-class masks predicted from the union encoder's patches, likewise.
        sentence_class: the class that the sentence names, predicted from the union encoder's summary token, likewise.
        distillation: imitation of a teacher's features by trunk and union encoder, through heads that are dropped.
    """

    pseudo_mask: float = 0.0
    semantic: float = 0.0
    patch_semantic: float = 0.0
    sentence_class: float = 0.0
    distillation: float = 0.0

    def __post_init__(self) -> None:
        """Reject negative weights."""
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            require_within(f"auxiliary.{entry.name}", value, 0, 1_000_000)


@dataclass(frozen=True)
class OptimizerRecipe:
    """AdamW and its schedule: linear warm-up, then cosine decay to 0, a constant rate or one step down.

    Args:
        learning_rate: rate of the pretrained parts.
        new_learning_rate: rate of the modules that the method adds to SAM 2 and BEiT-3.
        weight_decay: decoupled weight decay.
        decay: what decays: `matrices`, that is neither biases, norms nor embedding tables (`nn.Embedding`), or `all`,
            as the published code has it.
        warmup_steps: steps until the full rate.
        schedule: `cosine`, `constant`, or `step`: constant, then times `step_factor` after `step_at_epoch` epochs.
        step_at_epoch: see `schedule`; below the recipe's `epochs`.
        step_factor: see `schedule`.
        max_grad_norm: gradients are clipped to this norm; 0 leaves them as they are.
        ema_decay: decay of the exponential moving average whose weights are saved; 0 saves the last weights.
    """

    learning_rate: float = 3e-4
    new_learning_rate: float = 3e-4
    weight_decay: float = 0.01
    warmup_steps: int = 100
    schedule: Literal["cosine", "constant", "step"] = "cosine"
    max_grad_norm: float = 1.0
    ema_decay: float = 0.0
    decay: Literal["matrices", "all"] = "matrices"
    step_at_epoch: int = 0
    step_factor: float = 0.1

    def __post_init__(self) -> None:
        """Reject rates and decays that cannot train."""
        for name in ("learning_rate", "new_learning_rate"):
            require(f"optimizer.{name}", getattr(self, name), 0 < getattr(self, name) < math.inf, "above 0 and finite")
        for name in ("weight_decay", "warmup_steps", "max_grad_norm", "step_at_epoch"):
            require_within(f"optimizer.{name}", getattr(self, name), 0, _MOST)
        require("optimizer.ema_decay", self.ema_decay, 0 <= self.ema_decay < 1, "in [0, 1)")
        _require_choice("optimizer.schedule", self.schedule, ("cosine", "constant", "step"))
        _require_choice("optimizer.decay", self.decay, ("matrices", "all"))
        require("optimizer.step_factor", self.step_factor, 0 < self.step_factor <= 1, "above 0, at most 1")
        steps_down = self.schedule == "step"
        rule = "at least 1 where `optimizer.schedule` is step, else left out"
        require("optimizer.step_at_epoch", self.step_at_epoch, (self.step_at_epoch > 0) == steps_down, rule)


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
        preset: sizes of a model built anew; see `RS2SamConfig.preset`. A tokenizer with more tokens than the preset's
            table has rows makes the table larger.
        config: changes to single fields of `RS2SamConfig`, of the preset or of `init`.
        init: the model to start from instead of `preset`: a folder, a name that `rs2sam models` lists, a hub id, or the
            file of a published checkpoint.
        init_sam2: SAM 2's weights, for the parts of a model built anew that are SAM 2's.
        init_beit3: BEiT-3's weights, for the union encoder of a model built anew.
        tokenizer: folder with `tokenizer.model` and `preprocessor_config.json`, `compact` for those of the model that
            ships, or BEiT-3's `beit3.spm`; by default those of `init`. A model built anew needs it.
        token_embeddings: `.npy` table (vocabulary, union width) that a model built anew starts its tokens from.
        teacher: file with EfficientNet-lite0 weights, needed where `auxiliary.distillation` is above 0.
        steps: optimisation steps; 0: as many as `epochs` are, or 1000. With both, the run and its schedule are
            shortened to `steps`.
        epochs: passes over `data.dataset`; 0: `steps` counts.
        batch_size: samples a forward pass and process.
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
        optimizer: see `OptimizerRecipe`.
        validate: see `ValidationRecipe`.
        tensorboard: whether the figures go to TensorBoard as well as to `log.jsonl`.
    """

    preset: PresetName = "compact"
    config: Mapping[str, Any] = field(default_factory=dict)
    init: str | None = None
    init_sam2: str | None = None
    init_beit3: str | None = None
    tokenizer: str | None = None
    token_embeddings: str | None = None
    teacher: str | None = None
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
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)
    validate: ValidationRecipe = field(default_factory=ValidationRecipe)
    tensorboard: bool = True

    def __post_init__(self) -> None:
        """Reject impossible values and combinations."""
        for name in ("batch_size", "gradient_accumulation", "save_every"):
            require_within(name, getattr(self, name), 1, _MOST if name == "save_every" else 65_536)
        for name in ("steps", "epochs", "lora_rank", "seed"):
            require_within(name, getattr(self, name), 0, 2**32 - 1 if name == "seed" else _MOST)
        _require_choice("preset", self.preset, typing.get_args(PresetName))
        _require_choice("precision", self.precision, ("float32", "bf16"))
        self._check_start()
        self._check_data()

    def _check_start(self) -> None:
        """One starting point, and changes to fields that there are."""
        parts = [name for name in ("init_sam2", "init_beit3") if getattr(self, name) is not None]
        if self.init is not None and parts:
            raise InvalidInputError(
                f"`init` = {self.init!r} brings every weight, and `{'` and `'.join(parts)}` would replace some; give "
                "one starting point"
            )
        hints = inspect.get_annotations(RS2SamConfig, eval_str=True)
        for key, value in self.config.items():
            require_known(key, hints, "config.")
            checked(f"config.{key}", value, hints[key])
        if self.init is None:
            RS2SamConfig.preset(self.preset, **self.config)

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
        if self.auxiliary.distillation and self.teacher is None:
            raise InvalidInputError(
                f"`auxiliary.distillation` = {self.auxiliary.distillation} needs `teacher`, a file with "
                "EfficientNet-lite0 weights; set it, or `auxiliary.distillation` to 0"
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
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"`{path}` or a `--set` value is no valid YAML: {error}. Correct it.") from error
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


def _default(entry: dataclasses.Field[Any]) -> Any:
    """What a field of a dataclass holds where nothing is said."""
    return entry.default if entry.default_factory is dataclasses.MISSING else entry.default_factory()


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises unless a value is one of the choices."""
    require(name, value, value in choices, f"one of {', '.join(choices)}")
