"""What the trainer needs of a model in training, whichever kind it is: loss, rates, and the weights to keep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from rs2sam.models.weights.classes import AnyModel
from rs2sam.training.objective.auxiliary import MovingAverage


class TrainedModule(nn.Module, ABC):
    """A model with what it needs while it is trained; its output is the loss.

    Trainer's checkpoints hold all of it. `forward(inputs)` gives `total`, the weighted sum of all terms, and
    every term before weighting.
    """

    average: MovingAverage | None

    @property
    @abstractmethod
    def trained(self) -> AnyModel:
        """The model whose weights change."""

    @property
    def result(self) -> AnyModel:
        """The weights to keep, on their device: the moving average where there is one."""
        return cast("AnyModel", self.average.model) if self.average is not None else self.trained

    @abstractmethod
    def rated_parameters(self) -> list[tuple[list[nn.Parameter], float]]:
        """Parameters that train, every one once, with their full rate."""

    @abstractmethod
    def named_rates(self) -> dict[str, float]:
        """Full rates that a log shows, by name."""

    @abstractmethod
    def plain_result(self, state: Mapping[str, Tensor] | None = None) -> AnyModel:
        """The weights to keep as they are saved.

        Args:
            state: the state dict of all of this, where parameters are spread over processes; by default its own.
        """

    def company(self) -> dict[str, Tensor]:
        """Weights of heads of training alone that a later run may go on from, by name; they are in no model folder."""
        return {}
