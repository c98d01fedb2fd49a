"""The training loop: `transformers.Trainer` with our loss, two learning rates and a moving average.

What is trained is a `TrainingModel`: the model, its training-time heads and its moving average in one module, so that
Trainer's checkpoints hold all of it and a resumed run continues where it was.

Shapes: B batch, L text tokens, S image side, K classes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments, get_scheduler

from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.models import RS2SamConfig, RS2SamModel
from rs2sam.models.trunk import Levels
from rs2sam.processing import Processor
from rs2sam.training.auxiliary import DistillationHead, MovingAverage, SemanticHead, semantic_loss
from rs2sam.training.groups import parameter_groups
from rs2sam.training.losses import rs2sam_loss
from rs2sam.training.recipe import AuxiliaryRecipe, Recipe
from rs2sam.training.teacher import EfficientNetLite0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class TrainingDraw:
    """One training example before it becomes the model's input.

    Args:
        rgb: (S, S, 3) uint8.
        sentence: the referring expression.
        mask: (S, S) bool target, all False where nothing is meant.
        labels: (K, S, S) bool, every class's pixels.
        known: (K,) bool, True = `labels` of this class are complete.
    """

    rgb: NDArray[np.uint8]
    sentence: str
    mask: NDArray[np.bool_]
    labels: NDArray[np.bool_]
    known: NDArray[np.bool_]


class ReferringDataset(Dataset[dict[str, Any]]):
    """Examples drawn by index, with the image as the model takes it.

    Args:
        draw: index -> example; deterministic, so that neither worker count nor resuming changes anything.
        processor: makes the inputs; its `image_size` is the side that is trained at.
        length: number of examples.
    """

    def __init__(self, draw: Callable[[int], TrainingDraw], processor: Processor, length: int) -> None:
        self.draw = draw
        self.processor = processor
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        drawn = self.draw(index)
        images = self.processor.images(drawn.rgb)
        return {"pixel_values": images.pixel_values, "union_pixel_values": images.union_pixel_values, "drawn": drawn}

    def collate(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Stacks examples; sentences are padded to the longest of the batch."""
        drawn: list[TrainingDraw] = [example["drawn"] for example in examples]
        text = self.processor.sentences([one.sentence for one in drawn])
        arrays = {
            "pixel_values": np.stack([example["pixel_values"] for example in examples]),
            "union_pixel_values": np.stack([example["union_pixel_values"] for example in examples]),
            "input_ids": text.input_ids,
            "attention_mask": text.attention_mask,
            "target": np.stack([one.mask for one in drawn]),
            "labels": np.stack([one.labels for one in drawn]),
            "known": np.stack([one.known for one in drawn]),
            "rgb": np.stack([one.rgb.transpose(2, 0, 1) for one in drawn]),
        }
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}


class TrainingModel(nn.Module):
    """A model with what it needs while it is trained.

    Args:
        model: the model that is kept.
        recipe: decides which heads exist.
        num_classes: K of the semantic head.
    """

    def __init__(self, model: RS2SamModel, recipe: Recipe, num_classes: int) -> None:
        super().__init__()
        config: RS2SamConfig = model.config
        self.rs2sam = model
        self.semantic = SemanticHead((config.decoder_width,) * 3, num_classes) if recipe.auxiliary.semantic else None
        widths = (config.trunk_widths[2], config.trunk_widths[3])
        self.distillation = DistillationHead(widths) if recipe.auxiliary.distillation else None
        self.average = MovingAverage(model, recipe.optimizer.ema_decay) if recipe.optimizer.ema_decay else None

    @property
    def result(self) -> RS2SamModel:
        """The weights to keep: the moving average where there is one."""
        return self.average.model if self.average is not None else self.rs2sam

    def auxiliary_losses(
        self, maps: list[Tensor], levels: Levels, pseudo_mask: Tensor, inputs: Mapping[str, Tensor], teacher: nn.Module
    ) -> dict[str, Tensor]:
        """The objectives beside the loss, by the names of `AuxiliaryRecipe`.

        Args:
            maps: the trunk's four maps, (B, h, w, d) each.
            levels: the neck's three levels.
            pseudo_mask: (B, 1, g, g).
            inputs: a batch of `ReferringDataset.collate`.
            teacher: the teacher of features; called only where distillation is on.
        """
        shares = F.interpolate(inputs["target"][:, None].float(), pseudo_mask.shape[-2:], mode="area")
        losses = {"pseudo_mask": F.binary_cross_entropy(pseudo_mask.float().clamp(1e-6, 1 - 1e-6), shares)}
        if self.semantic is not None:
            logits = self.semantic((levels.feat_s0, levels.feat_s1, levels.image_embedding))
            losses["semantic"] = semantic_loss(logits, inputs["labels"], inputs["known"])
        if self.distillation is not None:
            student = (maps[2].permute(0, 3, 1, 2), maps[3].permute(0, 3, 1, 2))
            losses["distillation"] = self.distillation.loss(student, teacher(inputs["rgb"].float()))
        return losses


class RS2SamTrainer(Trainer):  # type: ignore[misc]
    """Trainer with the recipe's loss, parameter groups and schedule.

    Args:
        recipe: the run.
        model: what is trained.
        dataset: where examples come from.
        teacher: EfficientNet-lite0, where `auxiliary.distillation` is above 0.
        output_dir: folder of checkpoints and logs.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: TrainingModel,
        dataset: ReferringDataset,
        teacher: EfficientNetLite0 | None,
        output_dir: Path,
    ) -> None:
        self.recipe = recipe
        self.teacher = teacher
        self._seen: dict[str, list[float]] = {}
        self._features: dict[str, Any] = {}
        super().__init__(
            model=model,
            args=_arguments(recipe, output_dir),
            train_dataset=dataset,
            data_collator=dataset.collate,
            callbacks=[_AverageCallback()] if model.average is not None else [],
        )
        # The heads read what the trunk and the neck make on the way to the mask.
        model.rs2sam.trunk.register_forward_hook(lambda _, __, maps: self._features.__setitem__("maps", maps))
        model.rs2sam.neck.register_forward_hook(lambda _, __, levels: self._features.__setitem__("levels", levels))

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> Tensor | tuple[Tensor, Any]:
        """The recipe's loss of one batch."""
        training = self.accelerator.unwrap_model(model)
        output = training.rs2sam(
            pixel_values=inputs["pixel_values"],
            union_pixel_values=inputs["union_pixel_values"],
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
        )
        parts = rs2sam_loss(output, inputs["target"], self.recipe.loss)
        extra = training.auxiliary_losses(
            self._features["maps"], self._features["levels"], output.pseudo_mask, inputs, self.teacher
        )
        weights = self.recipe.auxiliary
        total = parts.total + sum(getattr(weights, name) * value for name, value in extra.items())
        for name, value in (parts.values() | {name: float(value.detach()) for name, value in extra.items()}).items():
            self._seen.setdefault(name, []).append(value)
        return (total, output) if return_outputs else total

    def log(self, logs: dict[str, float], *arguments: Any, **keywords: Any) -> None:
        """Adds the mean of every loss term since the last log."""
        if "loss" in logs:
            logs = logs | {name: float(np.mean(values)) for name, values in self._seen.items()}
            self._seen.clear()
        super().log(logs, *arguments, **keywords)

    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        """AdamW over new and pretrained parameters; vectors and embeddings do not decay."""
        if self.optimizer is None:
            recipe, training = self.recipe.optimizer, self.model
            groups = parameter_groups(training.rs2sam, freeze_trunk=False)
            kept = {id(parameter) for parameter in (*groups.new, *groups.pretrained)}
            heads = [p for p in training.parameters() if p.requires_grad and id(p) not in kept]
            embeddings = {id(m.weight) for m in training.rs2sam.modules() if isinstance(m, nn.Embedding)}
            members = []
            for parameters, rate in (
                (groups.new, recipe.new_learning_rate),
                (groups.pretrained, recipe.learning_rate),
                (heads, recipe.new_learning_rate),
            ):
                for decays in (True, False):
                    chosen = [p for p in parameters if (p.dim() > 1 and id(p) not in embeddings) == decays]
                    if chosen:
                        decay = recipe.weight_decay if decays else 0.0
                        members.append({"params": chosen, "lr": rate, "weight_decay": decay})
            self.optimizer = torch.optim.AdamW(members)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Linear warm-up, then cosine or constant."""
        if self.lr_scheduler is None:
            recipe = self.recipe.optimizer
            name = "cosine" if recipe.schedule == "cosine" else "constant_with_warmup"
            warmup = min(recipe.warmup_steps, num_training_steps)
            self.lr_scheduler = get_scheduler(name, optimizer or self.optimizer, warmup, num_training_steps)
        return self.lr_scheduler


class _AverageCallback(TrainerCallback):  # type: ignore[misc]
    """Updates the moving average after every optimisation step."""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any
    ) -> None:
        """Takes in the current parameters."""
        training = keywords["model"]
        training.average.update(training.rs2sam)


def train(
    recipe: Recipe,
    draw: Callable[[int], TrainingDraw],
    num_classes: int,
    output_dir: Path,
    resume: bool = False,
) -> RS2SamModel:
    """Trains and saves a model.

    Args:
        recipe: the run.
        draw: index -> example at `recipe.data.side`.
        num_classes: K of the examples' labels.
        output_dir: receives checkpoints, and in `model/` the result with its processor.
        resume: continue from the last checkpoint in `output_dir`.

    Raises:
        DataNotFoundError: a file that the recipe names is missing, or `resume` finds no checkpoint.
    """
    torch.manual_seed(recipe.seed)
    model, processor = starting_point(recipe)
    training = TrainingModel(model, recipe, num_classes)
    sized = Processor(replace(processor.config, image_size=recipe.data.side), processor.tokenizer)
    dataset = ReferringDataset(draw, sized, recipe.steps * recipe.batch_size)
    teacher = EfficientNetLite0(Path(str(recipe.teacher))) if recipe.auxiliary.distillation else None
    trainer = RS2SamTrainer(recipe, training, dataset, teacher, output_dir)
    if resume and not any(output_dir.glob("checkpoint-*")):
        raise DataNotFoundError(f"no checkpoint in `{output_dir}` to resume from; start without resuming")
    trainer.train(resume_from_checkpoint=resume or None)
    result = training.result.eval()
    result.save_pretrained(output_dir / "model")
    processor.save(output_dir / "model")
    return result


def starting_point(recipe: Recipe) -> tuple[RS2SamModel, Processor]:
    """The model and processor that a run starts from.

    Raises:
        DataNotFoundError: `init` or `tokenizer` is no model folder.
        InvalidInputError: the token embeddings have another shape than the model's table.
    """
    if recipe.init is not None:
        if not Path(recipe.init).is_dir():
            raise DataNotFoundError(f"`init` = `{recipe.init}` is no folder; give the folder of a saved model")
        model = RS2SamModel.from_pretrained(recipe.init, dtype=torch.float32)
        return model, Processor.from_folder(recipe.tokenizer or recipe.init)
    model = RS2SamModel(RS2SamConfig.preset(recipe.preset))
    if recipe.tokenizer is None:
        raise InvalidInputError(
            f"a model built from the preset `{recipe.preset}` needs `tokenizer`, a folder with `tokenizer.json` and "
            "`preprocessor_config.json`; set it, or `init` to a saved model"
        )
    if recipe.token_embeddings is not None:
        _load_token_embeddings(model, Path(recipe.token_embeddings))
    return model, Processor.from_folder(recipe.tokenizer)


def _load_token_embeddings(model: RS2SamModel, path: Path) -> None:
    """Copies a `.npy` table into the token embeddings."""
    if not path.is_file():
        raise DataNotFoundError(f"no token embeddings `{path}`; `tools/init_token_embeddings.py` makes them")
    table = torch.from_numpy(np.load(path))
    weight = model.union_encoder.token_embedding.weight
    if table.shape != weight.shape:
        raise InvalidInputError(
            f"`{path}` must have shape {tuple(weight.shape)}, received {tuple(table.shape)}; make it for this model"
        )
    with torch.no_grad():
        weight.copy_(table)


def _arguments(recipe: Recipe, output_dir: Path) -> TrainingArguments:
    """What Trainer needs to know."""
    return TrainingArguments(
        output_dir=str(output_dir),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.optimizer.learning_rate,
        max_grad_norm=recipe.optimizer.max_grad_norm,
        dataloader_num_workers=recipe.data.num_workers,
        dataloader_persistent_workers=recipe.data.num_workers > 0,
        save_steps=recipe.save_every,
        save_total_limit=2,
        logging_steps=10,
        seed=recipe.seed,
        remove_unused_columns=False,
        label_names=["target"],
        report_to=[],
        bf16=torch.cuda.is_available(),
    )


__all__ = [
    "AuxiliaryRecipe",
    "ReferringDataset",
    "RS2SamTrainer",
    "TrainingDraw",
    "TrainingModel",
    "starting_point",
    "train",
]
