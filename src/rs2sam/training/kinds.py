"""The two kinds of model that can be trained, and what differs between their runs; all else is one code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from rs2sam.models import EncodeOnceModel, RS2SamModel
from rs2sam.models.weights.classes import AnyModel
from rs2sam.processing import Processor
from rs2sam.training.examples.dataset import Examples, ReferringDataset
from rs2sam.training.examples.draws import examples_of
from rs2sam.training.examples.shared import SharedDataset, shared_examples
from rs2sam.training.initial import encode_once_start, encodes_once, starting_point
from rs2sam.training.objective.encode_once import EncodeOnceTraining
from rs2sam.training.objective.groups import reads_text
from rs2sam.training.objective.trained import TrainedModule
from rs2sam.training.objective.training_model import TrainingModel
from rs2sam.training.recipes.settings import Recipe


class CollatedDataset(Protocol):
    """Examples by index, and how a batch is made of them."""

    def __len__(self) -> int:
        """Number of examples."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One example."""

    def collate(self, examples: Sequence[Any]) -> dict[str, Any]:
        """Stack examples."""


@dataclass(frozen=True)
class RunKind:
    """What a run of one kind of model is made of.

    Args:
        examples: opens or makes the data of a recipe.
        start: model and processor that a run starts from.
        training: model, recipe and number of classes -> what is trained.
        dataset: draw, processor and length -> batches.
        leaves_out: whether a step may leave parameters without a gradient that are not frozen.
    """

    examples: Callable[[Recipe], Examples]
    start: Callable[[Recipe], tuple[AnyModel, Processor]]
    training: Callable[[AnyModel, Recipe, int], TrainedModule]
    dataset: Callable[[Callable[[int], Any], Processor, int], CollatedDataset]
    leaves_out: Callable[[AnyModel, Recipe], bool]


ENCODE_ONCE = RunKind(
    examples=shared_examples,
    start=encode_once_start,
    training=lambda model, recipe, classes: EncodeOnceTraining(cast("EncodeOnceModel", model), recipe, classes),
    dataset=SharedDataset,
    leaves_out=lambda model, recipe: True,
)
"""Of models that encode an image once."""
ENCODE_WITH_TEXT = RunKind(
    examples=examples_of,
    start=starting_point,
    training=lambda model, recipe, classes: TrainingModel(cast("RS2SamModel", model), recipe, classes),
    dataset=ReferringDataset,
    leaves_out=lambda model, recipe: not reads_text(cast("RS2SamModel", model), recipe.loss),
)
"""Of models whose trunk reads the sentence."""


def kind_of(recipe: Recipe) -> RunKind:
    """Of which kind the model of a recipe is.

    Raises:
        WeightsNotFoundError: `init` is not there.
        CheckpointError: `init` is a concept model, which is not trained.
        InvalidInputError: the recipe says something about the other kind of model.
    """
    return ENCODE_ONCE if encodes_once(recipe) else ENCODE_WITH_TEXT
