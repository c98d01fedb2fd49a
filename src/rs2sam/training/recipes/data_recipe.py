"""What a recipe says of the data: a referring data set, or annotated images with rule-made sentences."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rs2sam.datasets.english.expressions import KIND_WEIGHTS
from rs2sam.datasets.mixing.variation import Variation
from rs2sam.errors import InvalidInputError
from rs2sam.fields import require, require_within

_RULE_MADE_ONLY = ("root", "weights", "kind_weights", "contrast", "marked")
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
        weights: data set name -> share of the drawn samples; `synthetic` is rendered, all others are read from `root`,
            or made of what is there (`examples.made`).
        marked: folder of what a model marked, which `tools/compact/mark_by_model.py` writes, for the sources
            `naip_marked` and `pools_marked`.
        kind_weights: kind of expression -> how often it is drawn; by default those of `english.expressions`.
        contrast: ask two sentences about every image, of different classes if it can be.
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
    marked: str | None = None
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
        require_within("data.num_workers", self.num_workers, 0, 256)
        self._check_kind()

    def _check_kind(self) -> None:
        """Reject what says something about the other kind of data."""
        plain = {entry.name: default_of(entry) for entry in dataclasses.fields(self)}
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


def default_of(entry: dataclasses.Field[Any]) -> Any:
    """What a field of a dataclass holds where nothing is said."""
    return entry.default if entry.default_factory is dataclasses.MISSING else entry.default_factory()
