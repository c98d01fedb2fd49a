"""The training loop: `transformers.Trainer` with our loss, two learning rates and a moving average."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments, get_scheduler

from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.models import RS2SamModel
from rs2sam.processing import Processor
from rs2sam.training.examples import ReferringDataset, TrainingDraw
from rs2sam.training.groups import parameter_groups
from rs2sam.training.initial import require_tokenizer, starting_point
from rs2sam.training.objective import TrainingModel
from rs2sam.training.recipe import Recipe
from rs2sam.training.teacher import EfficientNetLite0

__all__ = ["RS2SamTrainer", "check_run", "train"]


class RS2SamTrainer(Trainer):
    """Trainer with the recipe's loss, parameter groups and schedule.

    Args:
        recipe: the run.
        model: what is trained.
        dataset: where examples come from.
        teacher: EfficientNet-lite0, where `auxiliary.distillation` is above 0.
        output_dir: folder of checkpoints and logs.
    """

    optimizer: torch.optim.Optimizer | None
    lr_scheduler: Any

    def __init__(
        self,
        recipe: Recipe,
        model: TrainingModel,
        dataset: ReferringDataset,
        teacher: EfficientNetLite0 | None,
        output_dir: Path,
    ) -> None:
        self.recipe = recipe
        self._seen: dict[str, list[Tensor]] = {}
        super().__init__(
            model=model,
            args=_arguments(recipe, output_dir),
            train_dataset=dataset,
            data_collator=dataset.collate,
            callbacks=[_AverageCallback()] if model.average is not None else [],
        )
        self.teacher = None if teacher is None else teacher.to(self.args.device)

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> Tensor | tuple[Tensor, Any]:
        """The recipe's loss of one batch."""
        features = None if self.teacher is None else self.teacher(inputs["rgb"].float())
        terms: dict[str, Tensor] = model(inputs, features)
        total = terms.pop("total")
        for name, value in terms.items():
            self._seen.setdefault(name, []).append(value.detach())
        return (total, terms) if return_outputs else total

    def log(self, logs: dict[str, float], *arguments: Any, **keywords: Any) -> None:
        """Adds the mean of every loss term since the last log."""
        if "loss" in logs:
            logs = logs | {name: float(torch.stack(values).mean()) for name, values in self._seen.items()}
            self._seen.clear()
        super().log(logs, *arguments, **keywords)

    def _get_train_sampler(self, *_: Any) -> Sampler[int]:
        """In order: draws are random by their number already, and the two sentences of a pair stay in one batch."""
        return SequentialSampler(cast("ReferringDataset", self.train_dataset))

    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        """AdamW over new, pretrained and training-time parameters; vectors and embedding tables do not decay."""
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


class _AverageCallback(TrainerCallback):
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
        resume: continue from the last checkpoint in `output_dir`; with the same recipe the result is that of a run
            that was never interrupted.

    Raises:
        DataNotFoundError: a file that the recipe names is missing, or `resume` finds no checkpoint.
        InvalidInputError: `output_dir` holds another run, or parts of the recipe do not fit each other.
    """
    check_run(recipe, output_dir, resume)
    torch.manual_seed(recipe.seed)
    model, processor = starting_point(recipe)
    if recipe.data.side > model.config.image_size:
        raise InvalidInputError(
            f"`data.side` must be at most the model's own {model.config.image_size} px, received {recipe.data.side}"
        )
    training = TrainingModel(model, recipe, num_classes)
    sized = Processor(replace(processor.config, image_size=recipe.data.side), processor.tokenizer)
    dataset = ReferringDataset(draw, sized, recipe.steps * recipe.batch_size)
    teacher = EfficientNetLite0(Path(str(recipe.teacher))) if recipe.auxiliary.distillation else None
    trainer = RS2SamTrainer(recipe, training, dataset, teacher, output_dir)
    trainer.train(resume_from_checkpoint=resume or None)
    result = training.result.eval()
    if trainer.is_world_process_zero():
        result.save_pretrained(output_dir / "model")
        processor.save(output_dir / "model")
    return result


def check_run(recipe: Recipe, output_dir: Path, resume: bool) -> None:
    """Finds out at once what would stop a run only after its images were read.

    Raises:
        DataNotFoundError: a file that the recipe names is missing, or `resume` finds no checkpoint.
        InvalidInputError: a new run would mix with the checkpoints of another, or a new model has no tokenizer.
    """
    named = {"init": recipe.init, "tokenizer": recipe.tokenizer}
    if recipe.auxiliary.distillation:
        named["teacher"] = recipe.teacher
    if recipe.init is None:
        named["token_embeddings"] = recipe.token_embeddings
    for name, path in named.items():
        if path is not None and not Path(path).exists():
            raise DataNotFoundError(
                f"`{name}` = `{path}` is not there; correct it in the recipe or with `--set {name}=`"
            )
    require_tokenizer(recipe)
    begun = any(output_dir.glob("checkpoint-*"))
    if resume and not begun:
        raise DataNotFoundError(f"no checkpoint in `{output_dir}` to resume from; start without resuming")
    if begun and not resume:
        # Trainer keeps the checkpoints with the highest numbers: it would delete the new run's.
        raise InvalidInputError(f"`{output_dir}` holds the checkpoints of a run; resume it, or give another folder")


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
        dataloader_pin_memory=torch.cuda.is_available(),
        save_steps=recipe.save_every,
        save_total_limit=2,
        logging_steps=10,
        seed=recipe.seed,
        remove_unused_columns=False,
        label_names=["target"],
        report_to=[],
        bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
    )
