"""What is trained: the model, its training-time heads and its moving average in one module, whose output is the loss.

Trainer's checkpoints then hold all of it, and a resumed run continues where it was.

Shapes: B batch, S image side, g patches along a side, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from rs2sam.errors import InvalidInputError
from rs2sam.models import RS2SamConfig, RS2SamModel
from rs2sam.models.trunk import Levels
from rs2sam.models.union_encoder import UnionFeatures
from rs2sam.models.weights.classes import AnyModel
from rs2sam.training.objective.auxiliary import (
    MovingAverage,
    SemanticHead,
    UnionHead,
    pseudo_mask_loss,
    semantic_loss,
)
from rs2sam.training.objective.groups import ParameterGroups, freeze, parameter_groups, silent_modules
from rs2sam.training.objective.lora import add_lora, low_rank_factors, plain_model
from rs2sam.training.objective.losses import rs2sam_loss
from rs2sam.training.objective.trained import TrainedModule
from rs2sam.training.recipes.settings import Recipe


class Observed(NamedTuple):
    """What the model makes on the way to the mask, which the heads read."""

    union: UnionFeatures
    levels: Levels
    """The neck's three levels."""


class TrainingModel(TrainedModule):
    """A model with what it needs while it is trained; its output is the loss.

    All of a step is in `forward`, since that is what mixed precision and training on several GPUs wrap.

    Args:
        model: the model that is kept; prepared as the recipe says: frozen parts, low-rank changes, checkpointing.
        recipe: decides which heads and terms exist.
        num_classes: K of the semantic head.
    """

    def __init__(self, model: RS2SamModel, recipe: Recipe, num_classes: int) -> None:
        super().__init__()
        config: RS2SamConfig = model.config
        if recipe.auxiliary.pseudo_mask and config.mask_prompt == "none":
            raise InvalidInputError(
                f"`auxiliary.pseudo_mask` = {recipe.auxiliary.pseudo_mask} needs a pseudo-mask, and the model's "
                "`mask_prompt` is none; set one of the two"
            )
        self.recipe = recipe
        self.rs2sam = model
        if recipe.lora_rank:
            add_lora(model, recipe.lora_rank)
        freeze(self.groups())
        for head in silent_modules(model, recipe.loss):
            head.requires_grad_(False)
        if recipe.activation_checkpointing:
            checkpoint_activations(model)
        self.semantic = SemanticHead((config.decoder_width,) * 3, num_classes) if recipe.auxiliary.semantic else None
        weights = recipe.auxiliary
        needs_union = weights.patch_semantic or weights.sentence_class
        self.union = UnionHead(config.union_width, num_classes) if needs_union else None
        self.average = MovingAverage(model, recipe.optimizer.ema_decay) if recipe.optimizer.ema_decay else None

    @property
    def trained(self) -> RS2SamModel:
        """The model whose weights change."""
        return self.rs2sam

    @property
    def result(self) -> RS2SamModel:
        """The weights to keep, on their device: the moving average where there is one, low-rank changes not merged."""
        return cast("RS2SamModel", super().result)

    def groups(self) -> ParameterGroups:
        """The model's parameters by how they train; the heads are in none."""
        return parameter_groups(self.rs2sam, freeze_trunk=self.recipe.freeze_trunk)

    def rated_parameters(self) -> list[tuple[list[nn.Parameter], float]]:
        """New and pretrained modules with their rates, and heads of training alone with that of the new."""
        settings, groups = self.recipe.optimizer, self.groups()
        placed = {id(parameter) for parameter in (*groups.new, *groups.pretrained, *groups.frozen)}
        heads = [p for p in self.parameters() if p.requires_grad and id(p) not in placed]
        return [
            (groups.new, settings.new_learning_rate),
            (groups.pretrained, settings.learning_rate),
            (heads, settings.new_learning_rate),
        ]

    def named_rates(self) -> dict[str, float]:
        """Of the pretrained and of the new parts."""
        settings = self.recipe.optimizer
        return {"learning_rate": settings.learning_rate, "new_learning_rate": settings.new_learning_rate}

    def plain_result(self, state: Mapping[str, Tensor] | None = None) -> RS2SamModel:
        """The weights to keep as they are saved: a plain model.

        Args:
            state: the state dict of all of this, where parameters are spread over processes; by default its own.

        Returns:
            `result` itself if there is nothing to do, else a copy on the CPU.
        """
        if state is None and not low_rank_factors(self.result):
            return self.result
        prefix = "rs2sam." if self.average is None else "average.model."
        state = self.state_dict() if state is None else state
        kept = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        return plain_model(self.rs2sam.config, kept)

    def forward(self, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """The recipe's loss of one batch.

        Args:
            inputs: a batch of `ReferringDataset.collate`.

        Returns:
            `total`, the weighted sum of all terms, and every term before weighting; scalars.
        """
        # Here and not in Trainer, whose FSDP casts whole modules instead, which those with weights of two kinds refuse.
        mixed = self.recipe.precision == "bf16"
        with torch.autocast(inputs["pixel_values"].device.type, torch.bfloat16, enabled=mixed):
            return self._terms(inputs)

    def _terms(self, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """What `forward` returns."""
        with self._observed() as seen:
            output = self.rs2sam(
                pixel_values=inputs["pixel_values"],
                union_pixel_values=inputs["union_pixel_values"],
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
            )
        parts = rs2sam_loss(output, inputs["target"], self.recipe.loss, ignore=inputs.get("ignore"))
        extra = self.auxiliary_losses(Observed(**seen), output.pseudo_mask, inputs)
        weights = asdict(self.recipe.auxiliary)
        added = sum((weights[name] * value for name, value in extra.items()), parts.total.new_zeros(()))
        return vars(parts) | extra | {"total": parts.total + added}

    def auxiliary_losses(
        self, seen: Observed, pseudo_mask: Tensor | None, inputs: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The objectives beside the loss that have a weight, by the names of `AuxiliaryRecipe`.

        Args:
            seen: what the model made on the way.
            pseudo_mask: (B, 1, g, g), None where the model has no mask prompt.
            inputs: a batch of `ReferringDataset.collate`.
        """
        losses = {}
        if self.recipe.auxiliary.pseudo_mask:
            assert pseudo_mask is not None
            losses["pseudo_mask"] = pseudo_mask_loss(pseudo_mask, inputs["target"], inputs.get("ignore"))
        if self.semantic is not None:
            logits = self.semantic((seen.levels.feat_s0, seen.levels.feat_s1, seen.levels.image_embedding))
            losses["semantic"] = semantic_loss(logits, inputs["labels"], inputs["known"])
        if self.union is not None:
            logits = self.union.semantic(seen.union.patches)
            losses["patch_semantic"] = semantic_loss(logits, inputs["labels"], inputs["known"])
            losses["sentence_class"] = self.union.class_loss(seen.union.cls, inputs["category"])
        return losses

    @contextmanager
    def _observed(self) -> Iterator[dict[str, Any]]:
        """Collects what the model makes on the way to the mask, the fields of `Observed`."""
        seen: dict[str, Any] = {}
        handles = [
            self.rs2sam.union_encoder.register_forward_hook(lambda _, __, union: seen.update(union=union)),
            self.rs2sam.neck.register_forward_hook(lambda _, __, levels: seen.update(levels=levels)),
        ]
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()


def checkpoint_activations(model: RS2SamModel) -> None:
    """Have blocks and layers compute their activations again in the backward pass instead of keeping them."""
    # transformers 5.17 has the old name only; the old name warns where the new one exists.
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def choose_attention(model: AnyModel, precision: str, device: torch.device) -> None:
    """Set the attention of a model that is to be trained: torch's fused kernel, but for bfloat16 on a CPU.

    There the fused kernel's backward pass takes 2.4 times as long as in float32 (685 ms and 283 ms; one core, batch 32
    at 128 px). With plain matrix products a step is 1.5 times as fast as in float32, with the kernel 1.15 to 1.3 times.

    Args:
        model: changed in place; what is saved of it stays the same.
        precision: of the recipe.
        device: of the training.
    """
    if precision == "bf16" and device.type == "cpu":
        model.set_attn_implementation("eager")
