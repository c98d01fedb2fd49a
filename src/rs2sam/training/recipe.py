"""A recipe: everything a training run is defined by, as a validated value read from YAML.

A key that does not exist is an error that names the nearest one. Values given on the command line (`--set key=value`)
are read as YAML too, so that `--set data.root=DIR` and a file say things in the same way.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from rs2sam.datasets.expressions import KIND_WEIGHTS
from rs2sam.errors import DataNotFoundError, InvalidInputError, MissingDependencyError
from rs2sam.models.configuration import PresetName
from rs2sam.training.losses import LossSettings

T = TypeVar("T")


@dataclass(frozen=True)
class DataRecipe:
    """What is trained on.

    Args:
        root: folder that holds the data sets' folders.
        weights: data set name -> share of the drawn samples; `synthetic` is rendered, the others are read from `root`.
        kind_weights: kind of expression -> how often it is drawn; by default those of `datasets.expressions`.
        contrast: ask two sentences about every image, of different classes if it can be.
        mosaic: share of samples put together from four images, so that one picture shows several classes.
        num_synthetic: how many synthetic scenes are rendered before the run and then varied like real images.
        side: side of the training images [px]; at most the model's own.
        num_workers: data loading processes; 0 loads in the training process.
    """

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
            _require(f"data.{name}", shares, drawable, "shares of at least 0, one of them above 0")
        unknown = sorted(set(self.kind_weights) - set(KIND_WEIGHTS))
        _require("data.kind_weights", unknown, not unknown, f"weights of kinds among {', '.join(KIND_WEIGHTS)}")
        _require("data.side", self.side, self.side >= 32 and self.side % 32 == 0, "a multiple of 32, at least 32")
        _require("data.num_synthetic", self.num_synthetic, self.num_synthetic >= 1, "at least 1")
        _require("data.mosaic", self.mosaic, 0 <= self.mosaic <= 1, "in [0, 1]")
        _require("data.num_workers", self.num_workers, self.num_workers >= 0, "at least 0")


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
            _require(f"auxiliary.{entry.name}", value, value >= 0, "at least 0")


@dataclass(frozen=True)
class OptimizerRecipe:
    """AdamW and its schedule: linear warm-up, then cosine decay to 0 or a constant rate.

    Args:
        learning_rate: rate of the pretrained parts.
        new_learning_rate: rate of the modules that the method adds to SAM 2 and BEiT-3.
        weight_decay: decoupled weight decay; biases, norms and embedding tables (`nn.Embedding`) have none.
        warmup_steps: steps until the full rate.
        schedule: `cosine` or `constant`.
        max_grad_norm: gradients are clipped to this norm; 0 leaves them as they are.
        ema_decay: decay of the exponential moving average whose weights are saved; 0 saves the last weights.
    """

    learning_rate: float = 3e-4
    new_learning_rate: float = 3e-4
    weight_decay: float = 0.01
    warmup_steps: int = 100
    schedule: Literal["cosine", "constant"] = "cosine"
    max_grad_norm: float = 1.0
    ema_decay: float = 0.0

    def __post_init__(self) -> None:
        """Reject rates and decays that cannot train."""
        _require("optimizer.learning_rate", self.learning_rate, self.learning_rate > 0, "above 0")
        _require("optimizer.new_learning_rate", self.new_learning_rate, self.new_learning_rate > 0, "above 0")
        for name in ("weight_decay", "warmup_steps", "max_grad_norm"):
            _require(f"optimizer.{name}", getattr(self, name), getattr(self, name) >= 0, "at least 0")
        _require("optimizer.ema_decay", self.ema_decay, 0 <= self.ema_decay < 1, "in [0, 1)")
        _require("optimizer.schedule", self.schedule, self.schedule in ("cosine", "constant"), "cosine or constant")


@dataclass(frozen=True)
class Recipe:
    """A whole training run.

    Args:
        preset: sizes of a model built anew; see `RS2SamConfig.preset`. A tokenizer with more tokens than the preset's
            table has rows makes the table larger.
        init: folder of a saved model to start from, instead of `preset`.
        tokenizer: folder with `tokenizer.json` and `preprocessor_config.json`; by default those of `init`. A model
            built anew needs it.
        token_embeddings: `.npy` table (vocabulary, union width) that a model built anew starts its tokens from.
        teacher: file with EfficientNet-lite0 weights, needed where `auxiliary.distillation` is above 0.
        steps: optimisation steps.
        batch_size: samples a step and process.
        seed: of weights, order and augmentation.
        save_every: steps between resumable checkpoints.
        data: see `DataRecipe`.
        loss: see `LossSettings`.
        auxiliary: see `AuxiliaryRecipe`.
        optimizer: see `OptimizerRecipe`.
    """

    preset: PresetName = "compact"
    init: str | None = None
    tokenizer: str | None = None
    token_embeddings: str | None = None
    teacher: str | None = None
    steps: int = 1000
    batch_size: int = 8
    seed: int = 0
    save_every: int = 200
    data: DataRecipe = field(default_factory=DataRecipe)
    loss: LossSettings = field(default_factory=LossSettings)
    auxiliary: AuxiliaryRecipe = field(default_factory=AuxiliaryRecipe)
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)

    def __post_init__(self) -> None:
        """Reject impossible values and combinations."""
        for name in ("steps", "batch_size", "save_every"):
            _require(name, getattr(self, name), getattr(self, name) >= 1, "at least 1")
        presets = typing.get_args(PresetName)
        _require("preset", self.preset, self.preset in presets, f"one of {', '.join(presets)}")
        if self.auxiliary.distillation and self.teacher is None:
            raise InvalidInputError(
                f"`auxiliary.distillation` = {self.auxiliary.distillation} needs `teacher`, a file with "
                "EfficientNet-lite0 weights; set it, or `auxiliary.distillation` to 0"
            )


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


def build(kind: type[T], values: Any, prefix: str = "") -> T:
    """Builds a recipe dataclass from nested mappings, strictly.

    Raises:
        InvalidInputError: an unknown key (the nearest known one is suggested) or a value of another type.
    """
    if not isinstance(values, Mapping):
        _require(prefix.rstrip(".") or "recipe", values, False, "a mapping of keys to values")
    hints = typing.get_type_hints(kind)
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1)
            hint = f"did you mean `{prefix}{near[0]}`?" if near else f"the keys are {', '.join(hints)}"
            raise InvalidInputError(f"unknown key `{prefix}{key}` in the recipe; {hint}")
        nested = dataclasses.is_dataclass(hints[key])
        arguments[key] = (
            build(hints[key], value, f"{prefix}{key}.") if nested else _checked(prefix + key, value, hints[key])
        )
    return kind(**arguments)


def _checked(name: str, value: Any, hint: Any) -> Any:
    """Returns the value if it has the field's type; whole numbers and YAML's texts like `1e-4` pass as floats."""
    if typing.get_origin(hint) is Mapping and isinstance(value, Mapping):
        kind = typing.get_args(hint)[1]
        return {str(key): _checked(f"{name}.{key}", entry, kind) for key, entry in value.items()}
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass  # falls through to the message below
    if typing.get_origin(hint) is Literal:
        allowed: tuple[type, ...] = (str,)
    elif typing.get_origin(hint) is Mapping or typing.get_origin(hint) is dict:
        allowed = (Mapping,)
    else:
        allowed = typing.get_args(hint) or (hint,)
    # For Python a bool is a number; for a recipe it is not.
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        expected = " or ".join("nothing" if option is type(None) else option.__name__ for option in allowed)
        raise InvalidInputError(f"`{name}` must be {expected}, received {value!r}")
    return value


def _set_dotted(values: Any, key: str, value: Any) -> None:
    """Sets `a.b.c` in nested dictionaries."""
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {}) if isinstance(values, dict) else values
    if not isinstance(values, dict):
        raise InvalidInputError(f"`--set {key}=...` needs a mapping at `{'.'.join(parents)}`, which is {values!r}")
    values[last] = value


def _require(name: str, value: Any, valid: bool, rule: str) -> None:
    """Raises with the rule unless a value is valid."""
    if not valid:
        raise InvalidInputError(f"`{name}` must be {rule}, received {value!r}")
