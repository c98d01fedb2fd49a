"""The model card of a training run: what it started from, what it saw, how good it is, what it cannot do."""

from __future__ import annotations

import dataclasses
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Any

import rs2sam
from rs2sam.models.encode_once.configuration import EncodeOnceConfig
from rs2sam.models.weights.classes import AnyConfig, AnyModel
from rs2sam.models.weights.hub import KNOWN_MODELS
from rs2sam.models.weights.model_card import USE, front_matter, size_rows
from rs2sam.training.recipes.settings import DataRecipe, Recipe
from rs2sam.training.reporting.validation import Validation

_LIBRARIES = (
    "rs2sam",
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "safetensors",
    "sentencepiece",
    "numpy",
    "pillow",
)
_GIT_SECONDS = 10
_COLUMNS = ("mIoU", "oIoU", "Pr@0.5", "Pr@0.6", "Pr@0.7", "Pr@0.8", "Pr@0.9")

_CARD = """\
{front_matter}

# {title}

One sentence and one aerial or satellite image in, the mask of what the sentence names out. Architecture: RS2-SAM 2
(Rong et al., "Customized SAM 2 for Referring Remote Sensing Image Segmentation", AAAI 2026, arXiv 2503.07266). Trained
with `rs2sam train`.

{use}

| | |
|---|---|
| parameters | {num_parameters:,} |
{sizes}
| trained for | {steps} |

## Figures

{figures}

## Data

{data}

## Base model and terms

{base}

The weights carry the terms of what they started from and of the data they were trained on. Fill in `license` above when
you know them, before you pass the weights on.

## Limits

{limits}

## Recipe

What differs from the defaults of `rs2sam train`; files and folders by name only.

```yaml
{recipe}
```

## Made with

{made_with}
"""


def training_card(
    recipe: Recipe,
    model: AnyModel,
    step: int,
    counts: Mapping[str, int] | None = None,
    validations: Sequence[Validation] = (),
) -> str:
    """The text of the README.md of a trained model.

    Args:
        recipe: of the run.
        model: what the card is of.
        step: optimisation steps that the model has seen.
        counts: split -> number of samples of the data set, where known.
        validations: of the run, in the order of their steps.
    """
    config = model.config
    return _CARD.format(
        front_matter=front_matter("unknown"),
        title=f"rs2sam, trained on {_data_name(recipe.data)}",
        use=USE,
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        sizes=size_rows(config),
        steps=f"{step:,} of {recipe.steps:,} steps" if step != recipe.steps else f"{step:,} steps",
        figures=_figures(validations, step),
        data=_data(recipe.data, counts or {}),
        base=_base(recipe),
        limits="\n".join(f"- {limit}" for limit in _limits(recipe, config, validations)),
        recipe=recipe_text(recipe),
        made_with="\n".join(f"- {line}" for line in _made_with()),
    )


def _figures(validations: Sequence[Validation], step: int) -> str:
    """The validation of this model and the best of the run, in percent."""
    if not validations:
        return "None: the run was not validated. Measure the model with `rs2sam evaluate` before you rely on it."
    best = max(validations, key=lambda found: (found["selection"], -found["step"]))
    chosen = {found["step"]: found for found in validations if found["step"] == step or found is best}
    lines = [f"| model | samples | {' | '.join(_COLUMNS)} |", "|---|" + "---|" * (len(_COLUMNS) + 1)]
    for found in chosen.values():
        row = found["rows"]["overall"]["model"]
        words = [f"step {found['step']:,}"]
        words += ["**this one**"] if found["step"] == step else []
        words += ["best by mIoU + oIoU"] if found is best else []
        figures = " | ".join(f"{100 * row[name]:.2f}" for name in _COLUMNS)
        lines.append(f"| {', '.join(words)} | {found['num_samples']:,} | {figures} |")
    validated = {found["protocol"] for found in chosen.values()}
    note = (
        f"Validation samples, protocol `{', '.join(sorted(validated))}`, in percent. The best step was chosen on them."
    )
    if step not in chosen:
        note += f" The model at step {step:,} itself was not validated."
    return "\n".join(lines) + f"\n\n{note}"


def _data_name(data: DataRecipe) -> str:
    """The data set's folder, or the names in the mixture."""
    return ", ".join(data.weights) if data.dataset is None else _name_only(data.dataset)


def _data(data: DataRecipe, counts: Mapping[str, int]) -> str:
    """Name and counts per split, or the shares of the mixture."""
    if data.dataset is not None:
        used = f"`{_data_name(data)}`: trained on split `{data.train_split}`, validated on `{data.val_split}`."
        rows = [f"| {split} | {count:,} |" for split, count in counts.items()]
        return "\n".join([used, *(["", "| split | samples |", "|---|---|", *rows] if rows else [])])
    total = sum(data.weights.values())
    shares = "\n".join(f"| {name} | {100 * share / total:.1f} % |" for name, share in data.weights.items())
    return (
        f"Drawn anew for every step, with sentences made by rule:\n\n| data | share of samples |\n|---|---|\n{shares}"
    )


def _base(recipe: Recipe) -> str:
    """What the weights started from, and its terms as far as known."""
    parts = []
    if recipe.init is not None:
        parts.append(f"- Started from `{_name_only(recipe.init)}`: {_terms(recipe.init)}.")
    for key, text in (
        ("init_sam2", "SAM 2 (Apache-2.0): trunk, neck, mask decoder"),
        ("init_beit3", "BEiT-3 (MIT): union encoder"),
        ("init_lite0", "EfficientNet-lite0 (Apache-2.0, trained on ImageNet): trunk"),
    ):
        path = getattr(recipe, key)
        if path is not None:
            parts.append(f"- {text}, from `{_name_only(path)}`.")
    return "\n".join(parts) or f"Built anew from the preset `{recipe.preset}`: random weights, no base model."


def _terms(init: str) -> str:
    """Terms of a starting point: those of a known model, or what its card says."""
    if init in KNOWN_MODELS:
        return KNOWN_MODELS[init].terms
    card = Path(init) / "README.md"
    if card.is_file():
        for line in card.read_text(encoding="utf-8", errors="replace").splitlines()[:40]:
            key, _, value = line.partition(":")
            if key == "license" and value.strip() not in ("", "unknown"):
                return f"its card states the licence {value.strip()}"
    return "terms not stated in its card; find them out"


def _limits(recipe: Recipe, config: AnyConfig, validations: Sequence[Validation]) -> list[str]:
    """What nobody should expect of the model."""
    limits = [
        "It knows the places, sensors, ground resolutions, classes and wording of its training data; elsewhere it can "
        "fail without a sign.",
        f"It sees every view at {config.image_size} px: objects of a few pixels at that size are lost.",
    ]
    if validations:
        limits.append("The figures are of validation data, on which the step was chosen; a test split says more.")
    once = isinstance(config, EncodeOnceConfig)
    presence = recipe.encode_once.terms.presence if once else recipe.loss.presence
    if not config.has_presence or presence == 0:
        limits.append("It was not taught to say that nothing is there: expect a mask for whatever it is asked.")
    if recipe.data.dataset is None:
        limits.append("The sentences it was trained on are made by rule: it may know few ways of saying a thing.")
        if recipe.data.weights.get("synthetic", 0) > 0:
            limits.append("Part of its training images are rendered.")
    return limits


def recipe_text(recipe: Recipe) -> str:
    """A recipe as YAML: what differs from the defaults, paths by their last part."""
    import yaml

    return yaml.safe_dump(_changed(recipe), sort_keys=False, allow_unicode=True).strip()


def _changed(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from its defaults."""
    plain = type(value)()
    changed: dict[str, Any] = {}
    for entry in dataclasses.fields(value):
        own = getattr(value, entry.name)
        if own == getattr(plain, entry.name):
            continue
        changed[entry.name] = _changed(own) if dataclasses.is_dataclass(own) else _plain(own)
    return changed


def _plain(value: Any) -> Any:
    """A value of a recipe for YAML."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return _name_only(value) if isinstance(value, str) else value


def _name_only(path: str) -> str:
    """The last part of a path; a card travels further than the folders of one machine."""
    return PurePath(path).name or path


def _made_with() -> list[str]:
    """Library versions, and the commits of rs2sam's source and of the working folder."""
    found = [f"Python {platform.python_version()}"]
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    lines = [", ".join(found)]
    source, here = git_commit(Path(rs2sam.__file__).parent), git_commit(Path.cwd())
    if source is not None:
        lines.append(f"source of rs2sam: commit {source}")
    if here is not None and here != source:
        lines.append(f"run in a repository at commit {here}")
    return lines


def git_commit(folder: Path) -> str | None:
    """The commit that a folder's files are of; None where git does not keep them, or is not there.

    A package installed inside somebody's repository is not kept by it: the folder must hold a tracked file.
    """

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=_GIT_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None or not git("ls-files"):
        return None
    return commit + (" with local changes" if git("status", "--porcelain", "--untracked-files=no", ".") else "")
