"""What is trained of a model that encodes an image once: the model, its heads of training alone and its average.

I images, B sentences, S image side, C decoder width, h w = S/4 cells, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from rs2sam.errors import CheckpointError, words_of
from rs2sam.models.encode_once.efficientnet import Conv1x1
from rs2sam.models.encode_once.model import EncodeOnceModel, ImageEncoding
from rs2sam.training.objective.auxiliary import MovingAverage
from rs2sam.training.objective.encode_once_losses import centre_loss, class_loss, mask_loss
from rs2sam.training.objective.trained import TrainedModule
from rs2sam.training.recipes.settings import Recipe

_LEAST_SQUARE = 1e-6
_RARE = -3.0
"""Logit that the class maps start at: most classes are nowhere in most images."""


class ClassLogits(NamedTuple):
    """What `ClassMaps` reads from the pixel embedding."""

    classes: Tensor
    """(I, K, h, w)."""
    centres: Tensor
    """(I, 1, h, w), how deep inside its object a cell lies."""


class ClassMaps(nn.Module):
    """A map a class, and one of the middles of objects, linear in the pixel embedding; of training alone.

    With classes linear in the embedding, one vector a sentence is enough for a mask. The middles part objects that
    touch.

    Args:
        width: C of the pixel embedding.
        num_classes: K.
    """

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.classes = Conv1x1(width, num_classes)
        self.centres = Conv1x1(width, 1)
        for layer, bias in ((self.classes, _RARE), (self.centres, 0.0)):
            assert layer.bias is not None
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.constant_(layer.bias, bias)

    def forward(self, fine: Tensor) -> ClassLogits:
        """(I, C, h, w) to logits."""
        return ClassLogits(self.classes(fine).float(), self.centres(fine).float())


class EncodeOnceTraining(TrainedModule):
    """A model that encodes an image once, with what it needs while it is trained; its output is the loss.

    Args:
        model: the model that is kept. Its configuration will say of heads that are trained here that they are.
        recipe: decides which terms exist.
        num_classes: K of the class maps; 0: there are none.
    """

    def __init__(self, model: EncodeOnceModel, recipe: Recipe, num_classes: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.encode_once = model
        terms, config = recipe.encode_once.terms, model.config
        is_started = recipe.init is not None
        config.has_presence = terms.presence > 0 or (is_started and config.has_presence)
        config.has_known = terms.known > 0 or (is_started and config.has_known)
        config.has_score = False  # nothing here teaches the IoU head, and masks change under one that was taught
        with_maps = num_classes and (terms.classes or terms.centres)
        self.class_maps = ClassMaps(config.decoder_width, num_classes) if with_maps else None
        if recipe.encode_once.class_maps is not None and self.class_maps is not None:
            _load(self.class_maps, Path(recipe.encode_once.class_maps))
        for parameters, rate in self._rated_parts():
            for parameter in parameters:
                parameter.requires_grad_(rate > 0)
        self.average = MovingAverage(model, recipe.optimizer.ema_decay) if recipe.optimizer.ema_decay else None

    @property
    def trained(self) -> EncodeOnceModel:
        """The model whose weights change."""
        return self.encode_once

    def rated_parameters(self) -> list[tuple[list[nn.Parameter], float]]:
        """Trunk, pyramid with the class maps, text, and all else, each with its rate; parts at rest are left out."""
        return [(parameters, rate) for parameters, rate in self._rated_parts() if rate > 0]

    def _rated_parts(self) -> list[tuple[list[nn.Parameter], float]]:
        """The parts with their rates, 0 for those at rest."""
        model, rates, full = self.encode_once, self.recipe.encode_once.rates, self.recipe.optimizer.learning_rate
        maps = [] if self.class_maps is None else [self.class_maps]
        groups: list[tuple[list[nn.Parameter], float]] = [
            (_parameters([model.trunk]), full * rates.trunk),
            (_parameters([model.pyramid, *maps]), full * rates.pyramid),
            (_parameters([model.token_embedding, model.text_positions, model.text_layers]), full * rates.text),
        ]
        placed = {id(parameter) for parameters, _ in groups for parameter in parameters}
        rest = [parameter for parameter in model.parameters() if id(parameter) not in placed]
        return [*groups, (rest, full)]

    def named_rates(self) -> dict[str, float]:
        """The rate that those of the parts are factors of."""
        return {"learning_rate": self.recipe.optimizer.learning_rate}

    def plain_result(self, state: Mapping[str, Tensor] | None = None) -> EncodeOnceModel:
        """The weights to keep; see `TrainedModule.plain_result`."""
        if state is None:
            result = self.result
            assert isinstance(result, EncodeOnceModel)
            return result
        prefix = "encode_once." if self.average is None else "average.model."
        model = EncodeOnceModel(self.encode_once.config)
        model.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        return model

    def company(self) -> dict[str, Tensor]:
        """Weights of the class maps."""
        maps = {} if self.class_maps is None else self.class_maps.state_dict()
        return {name: value.detach().cpu().contiguous() for name, value in maps.items()}

    def forward(self, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """The recipe's loss of one batch.

        Args:
            inputs: a batch of `SharedDataset.collate`.

        Returns:
            `total`, the weighted sum of all terms, and every term before weighting; scalars.
        """
        pixel_values: Tensor = inputs["pixel_values"]
        mixed = self.recipe.precision == "bf16"
        with torch.autocast(pixel_values.device.type, torch.bfloat16, enabled=mixed):
            terms = self._terms(self.encode_once.encode(pixel_values), inputs)
        weights = self.recipe.encode_once.terms
        return terms | {"total": sum(getattr(weights, name) * value for name, value in terms.items())}

    def _terms(self, encoding: ImageEncoding, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """The terms that have a weight, by the names of `TermWeights`."""
        weights = self.recipe.encode_once.terms
        terms: dict[str, Tensor] = {}
        if weights.mask or weights.presence or weights.known:
            terms |= self._sentence_terms(encoding, inputs)
        if self.class_maps is not None and "class_shares" in inputs:
            maps = self.class_maps(encoding.fine)
            terms["classes"] = class_loss(maps.classes, inputs["class_shares"], inputs["class_known"])
            terms["centres"] = centre_loss(maps.centres, inputs["centre_depth"], inputs["centre_known"])
        if "name_ids" in inputs and (weights.named or weights.alike):
            terms |= self._name_terms(inputs)
        return {name: value for name, value in terms.items() if getattr(weights, name)}

    def _sentence_terms(self, encoding: ImageEncoding, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """Of sentences about the images: their masks, whether anything is meant, whether they name something taught."""
        output = self.encode_once.answer(encoding, inputs["input_ids"], inputs["attention_mask"])
        assert output.low_res_logits is not None
        logits = 2.0 * output.low_res_logits.float() - 1.0  # the mask is where they are above 0
        is_present = inputs["is_present"]
        terms = {"mask": mask_loss(logits, inputs["target"], inputs["target_known"], is_present)}
        for name, found, wanted, counts in (
            ("presence", output.presence_logits, is_present, inputs["presence_known"]),
            ("known", output.known_logits, inputs.get("is_taught"), None),
        ):
            if found is not None and wanted is not None:
                terms[name] = F.binary_cross_entropy_with_logits(found.float(), wanted, weight=counts)
        return terms

    def _name_terms(self, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """Of names without an image: whether each is taught, and how far from the first name of its category it lies.

        The latter is the squared distance of the pooled texts over the square of the first name's, which stands still.
        """
        model, is_taught = self.encode_once, inputs["name_is_taught"]
        pooled = model.read(inputs["name_ids"], inputs["name_mask"]).pooled.float()  # (N, D)
        found = model.known(pooled)[:, 0].float()
        with torch.no_grad():
            main = model.read(inputs["main_ids"], inputs["main_mask"]).pooled.float()  # (M, D)
        apart = (pooled[is_taught > 0] - main).square().sum(1) / main.square().sum(1).clamp_min(_LEAST_SQUARE)
        return {"named": F.binary_cross_entropy_with_logits(found, is_taught), "alike": apart.mean()}


def _parameters(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    """The parameters of modules."""
    return [parameter for module in modules for parameter in module.parameters()]


def _load(maps: ClassMaps, path: Path) -> None:
    """Take the weights of an earlier run's class maps."""
    try:
        maps.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(
            f"`encode_once.class_maps` = `{path}` holds no class maps of this model: {words_of(error)}. Give the file "
            "`class_maps.safetensors` of the run that wrote `init`, or remove the key: they then start anew."
        ) from error
