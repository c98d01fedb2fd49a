"""Which parts of the model train, and which train faster (DESIGN sections 2 and 3).

Groups are made of module objects, never of substrings of names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from torch import nn

from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.trunk import RS2SamBlock
from rs2sam.training.objective.lora import low_rank_factors
from rs2sam.training.recipes.loss_settings import LossSettings


@dataclass(frozen=True)
class ParameterGroups:
    """The parameters of a model, every one in exactly one group."""

    new: list[nn.Parameter]
    """Of modules that the paper adds, and of low-rank changes; they train at the higher rate."""
    pretrained: list[nn.Parameter]
    """Of modules that SAM 2 or BEiT-3 bring and that train along."""
    frozen: list[nn.Parameter]
    """Trunk, adapters excepted, and neck; weights of the union encoder that have low-rank changes."""


def new_modules(model: RS2SamModel) -> list[nn.Module]:
    """Modules that the paper adds and trains at the higher rate: adapters, decoder fusion, mask prompt generator."""
    parts = (model.decoder_fusion, model.mask_prompt)
    return [*_adapters(model), *(part for part in parts if part is not None)]


def frozen_modules(model: RS2SamModel) -> list[nn.Module]:
    """Modules frozen when fine-tuning as published: trunk and neck. The adapters inside the trunk are not."""
    return [model.trunk, model.neck]


def parameter_groups(model: RS2SamModel, freeze_trunk: bool = True) -> ParameterGroups:
    """Put every parameter of `model` into one group.

    Args:
        model: any size; with low-rank changes (`lora.add_lora`) the union encoder's own weights are frozen.
        freeze_trunk: as published; False trains trunk and neck with the pretrained rest, as from scratch.

    Returns:
        The groups, in the model's own order. Nothing is frozen yet: see `freeze`.
    """
    factors = low_rank_factors(model)
    new = _ids([*new_modules(model), *factors])
    still = [*(frozen_modules(model) if freeze_trunk else ()), *([model.union_encoder] if factors else ())]
    frozen = _ids(still) - new
    parameters = list(model.parameters())
    return ParameterGroups(
        new=[parameter for parameter in parameters if id(parameter) in new],
        pretrained=[parameter for parameter in parameters if id(parameter) not in new | frozen],
        frozen=[parameter for parameter in parameters if id(parameter) in frozen],
    )


def freeze(groups: ParameterGroups) -> None:
    """Stop gradients of the frozen group and let them reach the others."""
    for parameter in groups.frozen:
        parameter.requires_grad_(False)
    for parameter in (*groups.new, *groups.pretrained):
        parameter.requires_grad_(True)


def silent_modules(model: RS2SamModel, loss: LossSettings) -> list[nn.Module]:
    """Heads that no term of a loss reads: they get no gradient, and processes that train together need not wait for it.

    Args:
        model: any size.
        loss: terms of weight 0 are not computed.
    """
    reads_weight = _reads_weight(loss)
    heads = [
        (model.sentence_weight, reads_weight),
        (model.mask_decoder.pred_obj_score_head, loss.presence > 0),
        (model.mask_decoder.iou_prediction_head, loss.score > 0),
    ]
    return [head for head, is_read in heads if not is_read]


def reads_text(model: RS2SamModel, loss: LossSettings) -> bool:
    """Whether anything reads the projected text, so that all parameters that are not frozen get a gradient.

    Without fusion the sentence reaches the mask by the summary token alone. What then gets no gradient lies inside the
    union encoder, whose last layer need not make text tokens.

    Args:
        model: any size.
        loss: terms of weight 0 are not computed.
    """
    config = model.config
    in_trunk = config.trunk_fusion and config.fusion in ("bidirectional", "one-directional")
    return bool(in_trunk or config.decoder_fusion or _reads_weight(loss))


def _reads_weight(loss: LossSettings) -> bool:
    """Whether the loss reads the sentence weight, which is made of the text."""
    return loss.boundary > 0 and loss.boundary_form == "published"


def _adapters(model: RS2SamModel) -> list[nn.Module]:
    """The two adapters of every block, as far as the model's switches leave them."""
    blocks = cast("Iterable[RS2SamBlock]", model.trunk.blocks)
    return [adapter for block in blocks for adapter in (block.fusion, block.mlp_adapter) if adapter is not None]


def _ids(modules: Iterable[nn.Module]) -> set[int]:
    """Identities of the parameters of `modules`."""
    return {id(parameter) for module in modules for parameter in module.parameters()}
