"""The optimizer and its schedule, from a recipe."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import get_scheduler

from rs2sam.training.objective.trained import TrainedModule
from rs2sam.training.recipes.settings import Recipe


def make_optimizer(training: TrainedModule, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over parameters, each at its rate; what is frozen is left out.

    Args:
        training: what is trained.
        recipe: the run.
    """
    settings = recipe.optimizer
    embeddings = {id(m.weight) for m in training.trained.modules() if isinstance(m, nn.Embedding)}
    members = []
    for parameters, rate in training.rated_parameters():
        for decays in (True, False):
            chosen = [
                p
                for p in parameters
                if (settings.decay == "all" or (p.dim() > 1 and id(p) not in embeddings)) == decays
            ]
            if chosen:
                decay = settings.weight_decay if decays else 0.0
                members.append({"params": chosen, "lr": rate, "weight_decay": decay})
    return torch.optim.AdamW(members, betas=settings.betas)


def make_schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, num_steps: int) -> Any:
    """Linear warm-up of every group's rate, then what the recipe says.

    Args:
        optimizer: whose rates change.
        recipe: the run.
        num_steps: of the whole run.

    Returns:
        A scheduler to step once an optimisation step.
    """
    settings = recipe.optimizer
    warmup = min(settings.warmup_steps, num_steps)
    if settings.schedule != "step":
        if settings.floor:
            lowest = {"min_lr_rate": settings.floor}
            return get_scheduler("cosine_with_min_lr", optimizer, warmup, num_steps, lowest)
        name = "cosine" if settings.schedule == "cosine" else "constant_with_warmup"
        return get_scheduler(name, optimizer, warmup, num_steps)
    down_at = round(num_steps * settings.step_at_epoch / recipe.epochs)

    def factor(step: int) -> float:
        ramp = step / warmup if step < warmup else 1.0
        return ramp * (settings.step_factor if step >= down_at else 1.0)

    return LambdaLR(optimizer, factor)
