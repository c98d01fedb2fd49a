"""What a recipe says of the loss: weights and forms of its terms; `training.objective.losses` computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from rs2sam.errors import InvalidInputError

BoundaryForm = Literal["published", "soft"]
DiceReduction = Literal["sum", "mean"]

LossScope = Literal["batch", "sample"]

MOST_WEIGHT = 1e6
"""Of a term of the loss: beyond, the others are lost in rounding."""


@dataclass(frozen=True)
class LossSettings:
    """Weights and forms of the loss terms; the defaults are the published loss.

    Args:
        cross_entropy: weight of the cross entropy.
        dice: weight of the Dice loss.
        boundary: weight of the boundary loss.
        presence: weight of the presence head's loss.
        score: weight of the IoU head's loss.
        boundary_form: `published` or `soft`.
        dice_reduction: `sum` over the batch as published, or `mean`, which does not grow with the batch.
        scope: `batch`: terms are normalised over the batch that one process holds, as the published functions do it;
            `sample`: every sample is a batch of its own, and the mean of their losses is taken. The published runs
            had one sample on each of 8 processes, which is the mean of 8 such losses: `sample` gives that for any
            division into processes, batches and accumulated steps, `batch` depends on the division.

    Raises:
        InvalidInputError: if a weight is negative or a form unknown.
    """

    cross_entropy: float = 0.9
    dice: float = 0.1
    boundary: float = 0.2
    presence: float = 0.0
    score: float = 0.0
    boundary_form: BoundaryForm = "published"
    dice_reduction: DiceReduction = "sum"
    scope: LossScope = "batch"

    def __post_init__(self) -> None:
        """Reject what cannot be meant."""
        for name in ("cross_entropy", "dice", "boundary", "presence", "score"):
            if not 0.0 <= getattr(self, name) <= MOST_WEIGHT:
                raise InvalidInputError(
                    f"A loss weight is at least 0, at most {MOST_WEIGHT:,.0f}; got {name}={getattr(self, name)}."
                )
        forms = {"boundary_form": BoundaryForm, "dice_reduction": DiceReduction, "scope": LossScope}
        for name, choices in forms.items():
            if getattr(self, name) not in get_args(choices):
                allowed = ", ".join(get_args(choices))
                raise InvalidInputError(f"`{name}` is one of {allowed}; got {getattr(self, name)!r}.")
