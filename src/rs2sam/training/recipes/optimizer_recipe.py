"""What a recipe says of the optimizer and of the course of its rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rs2sam.fields import require, require_within

_MOST_RATE = 10.0  # AdamW's steps are as long as its rate: beyond, every weight is thrown off at once
_MOST = 1_000_000_000


@dataclass(frozen=True)
class OptimizerRecipe:
    """AdamW and its schedule: linear warm-up, then cosine decay, a constant rate or one step down.

    Args:
        learning_rate: rate of the pretrained parts; of a model that encodes an image once, the rate that
            `encode_once.rates` are factors of.
        new_learning_rate: rate of the modules that the method adds to SAM 2 and BEiT-3.
        weight_decay: decoupled weight decay.
        decay: what decays: `matrices`, that is neither biases, norms nor embedding tables (`nn.Embedding`), or `all`,
            as the published code has it.
        warmup_steps: steps until the full rate.
        schedule: `cosine`, `constant`, or `step`: constant, then times `step_factor` after `step_at_epoch` epochs.
        floor: share of the full rates that `cosine` ends at.
        betas: decays of AdamW's means of gradients and of their squares.
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
    floor: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    step_at_epoch: int = 0
    step_factor: float = 0.1

    def __post_init__(self) -> None:
        """Reject rates and decays that cannot train."""
        for name in ("learning_rate", "new_learning_rate"):
            rate = getattr(self, name)
            require(f"optimizer.{name}", rate, 0 < rate <= _MOST_RATE, f"above 0, at most {_MOST_RATE:g}")
        for name in ("weight_decay", "warmup_steps", "max_grad_norm", "step_at_epoch"):
            require_within(f"optimizer.{name}", getattr(self, name), 0, _MOST)
        require("optimizer.ema_decay", self.ema_decay, 0 <= self.ema_decay < 1, "in [0, 1)")
        schedules, decays = ("cosine", "constant", "step"), ("matrices", "all")
        require("optimizer.schedule", self.schedule, self.schedule in schedules, f"one of {', '.join(schedules)}")
        require("optimizer.decay", self.decay, self.decay in decays, f"one of {', '.join(decays)}")
        require("optimizer.floor", self.floor, 0 <= self.floor < 1, "in [0, 1)")
        only_cosine = self.floor == 0 or self.schedule == "cosine"
        require("optimizer.floor", self.floor, only_cosine, "0 unless `optimizer.schedule` is cosine")
        require("optimizer.betas", self.betas, all(0 <= beta < 1 for beta in self.betas), "two numbers in [0, 1)")
        require("optimizer.step_factor", self.step_factor, 0 < self.step_factor <= 1, "above 0, at most 1")
        steps_down = self.schedule == "step"
        rule = "at least 1 where `optimizer.schedule` is step, else left out"
        require("optimizer.step_at_epoch", self.step_at_epoch, (self.step_at_epoch > 0) == steps_down, rule)
