"""The training loop: `transformers.Trainer` with our loss, two learning rates and a moving average."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rs2sam.datasets.base import Sample
from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.models import RS2SamModel
from rs2sam.processing import Processor
from rs2sam.training.draws import examples_of
from rs2sam.training.examples import ReferringDataset, TrainingDraw
from rs2sam.training.initial import check_start, require_present, starting_point
from rs2sam.training.objective import TrainingModel
from rs2sam.training.optimization import make_optimizer, make_schedule
from rs2sam.training.recipe import Recipe, resolved
from rs2sam.training.teacher import EfficientNetLite0

__all__ = ["RS2SamTrainer", "check_run", "run_recipe", "train", "training_arguments"]


class RS2SamTrainer(Trainer):
    """Trainer with the recipe's loss, parameter groups and schedule.

    Args:
        recipe: the run.
        model: what is trained.
        dataset: where examples come from.
        teacher: EfficientNet-lite0, where `auxiliary.distillation` is above 0.
        arguments: of transformers' Trainer.
    """

    optimizer: torch.optim.Optimizer | None
    lr_scheduler: Any

    def __init__(
        self,
        recipe: Recipe,
        model: TrainingModel,
        dataset: ReferringDataset,
        teacher: EfficientNetLite0 | None,
        arguments: TrainingArguments,
    ) -> None:
        self.recipe = recipe
        self._seen: dict[str, list[Tensor]] = {}
        callbacks: list[TrainerCallback] = [_EpochCallback(recipe.epochs)] if recipe.epochs else []
        callbacks += [_AverageCallback()] if model.average is not None else []
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=dataset,
            data_collator=dataset.collate,
            callbacks=callbacks,
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
        """AdamW as the recipe says."""
        if self.optimizer is None:
            self.optimizer = make_optimizer(cast("TrainingModel", self.model), self.recipe)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The rates' course as the recipe says."""
        if self.lr_scheduler is None:
            self.lr_scheduler = make_schedule(optimizer or self.optimizer, self.recipe, num_training_steps)
        return self.lr_scheduler

    def plain_result(self) -> RS2SamModel:
        """The weights to keep as a plain model; every process has to call it, the first one has the result."""
        training = cast("TrainingModel", self.model)
        if not self.is_fsdp_enabled:
            return training.plain_result()
        state = self.accelerator.get_state_dict(self.model_wrapped)
        return training.plain_result(state) if self.is_world_process_zero() else training.result


class _AverageCallback(TrainerCallback):
    """Updates the moving average after every optimisation step."""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any
    ) -> None:
        """Takes in the current parameters."""
        training = keywords["model"]
        training.average.update(training.rs2sam)


class _EpochCallback(TrainerCallback):
    """Counts epochs as passes over the data: for Trainer, which sees one long list of indices, a run has one."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any
    ) -> None:
        """Corrects what logs and checkpoints show."""
        state.epoch = self.epochs * state.global_step / state.max_steps


def run_recipe(recipe: Recipe, output_dir: Path, resume: bool = False, num_processes: int = 1) -> RS2SamModel:
    """Opens the data of a recipe, trains, and saves.

    Args:
        recipe: the run.
        output_dir: as for `train`.
        resume: as for `train`.
        num_processes: that train together; this one is one of them.

    Raises:
        DataNotFoundError: as for `train`, or the data is not there.
        InvalidInputError: as for `train`, or the data has no such split or source.
    """
    check_run(recipe, output_dir, resume)  # before images are read, which takes minutes
    examples = examples_of(recipe)
    recipe = resolved(recipe, examples.epoch_size, num_processes)
    return train(recipe, examples.draw, examples.num_classes, output_dir, resume, examples.validation)


def train(
    recipe: Recipe,
    draw: Callable[[int], TrainingDraw],
    num_classes: int,
    output_dir: Path,
    resume: bool = False,
    validation: Sequence[Sample] = (),
) -> RS2SamModel:
    """Trains and saves a model.

    Args:
        recipe: the run, `steps` in it or 1000.
        draw: index -> example at `recipe.data.side`.
        num_classes: K of the examples' labels.
        output_dir: receives checkpoints, and in `model/` the result with its processor.
        resume: continue from the last checkpoint in `output_dir`; with the same recipe the result is that of a run
            that was never interrupted.
        validation: what is measured during the run, where the recipe asks for it.

    Returns:
        The weights that were saved; with parameters spread over processes, in the first process only.

    Raises:
        DataNotFoundError: a file that the recipe names is missing, or `resume` finds no checkpoint.
        InvalidInputError: `output_dir` holds another run, or parts of the recipe do not fit each other.
    """
    check_run(recipe, output_dir, resume)
    recipe = resolved(recipe, epoch_size=0)
    arguments = training_arguments(recipe, output_dir)
    torch.manual_seed(recipe.seed)
    with arguments.main_process_first(desc="starting point"):  # published weights are converted once, into a cache
        model, processor = starting_point(recipe)
    if recipe.data.side > model.config.image_size:
        raise InvalidInputError(
            f"`data.side` must be at most the model's own {model.config.image_size} px, received {recipe.data.side}"
        )
    training = TrainingModel(model, recipe, num_classes)
    sized = Processor(replace(processor.config, image_size=recipe.data.side), processor.tokenizer)
    samples_a_step = recipe.batch_size * recipe.gradient_accumulation * arguments.world_size
    dataset = ReferringDataset(draw, sized, recipe.steps * samples_a_step)
    teacher = EfficientNetLite0(Path(str(recipe.teacher))) if recipe.auxiliary.distillation else None
    trainer = RS2SamTrainer(recipe, training, dataset, teacher, arguments)
    trainer.train(resume_from_checkpoint=resume or None)
    result = trainer.plain_result().eval()
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
    check_start(recipe)
    require_present({"data.dataset": recipe.data.dataset})
    if recipe.auxiliary.distillation:
        require_present({"teacher": recipe.teacher})
    begun = any(output_dir.glob("checkpoint-*"))
    if resume and not begun:
        raise DataNotFoundError(f"no checkpoint in `{output_dir}` to resume from; start without resuming")
    if begun and not resume:
        # Trainer keeps the checkpoints with the highest numbers: it would delete the new run's.
        raise InvalidInputError(f"`{output_dir}` holds the checkpoints of a run; resume it, or give another folder")


def training_arguments(recipe: Recipe, output_dir: Path) -> TrainingArguments:
    """What Trainer needs to know."""
    if recipe.precision == "bf16" and torch.cuda.is_available() and not torch.cuda.is_bf16_supported():
        raise InvalidInputError("`precision` = bf16 needs a GPU that has bf16, which this one has not; set float32")
    return TrainingArguments(
        output_dir=str(output_dir),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation,
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
        bf16=recipe.precision == "bf16",
        use_cpu=not torch.accelerator.is_available(),
        # Heads that no loss reads get no gradient, which processes must know of each other.
        ddp_find_unused_parameters=True,
        ddp_broadcast_buffers=False,
    )
