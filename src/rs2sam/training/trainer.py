"""The training loop: `transformers.Trainer` with our loss, two learning rates and a moving average."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import Sampler, SequentialSampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.models.weights.classes import AnyModel
from rs2sam.processing import Processor
from rs2sam.training.examples.dataset import Examples
from rs2sam.training.examples.failures import raise_failure
from rs2sam.training.initial import check_start, require_present
from rs2sam.training.keeping.checkpoints import checkpoint_step, last_complete_checkpoint
from rs2sam.training.keeping.locking import only_run_in
from rs2sam.training.keeping.record import has_begun, require_same_recipe
from rs2sam.training.keeping.safety import SafeTrainer, begin, clear_stops
from rs2sam.training.keeping.saving import save_company
from rs2sam.training.kinds import CollatedDataset, kind_of
from rs2sam.training.objective.optimization import make_optimizer, make_schedule
from rs2sam.training.objective.trained import TrainedModule
from rs2sam.training.objective.training_model import choose_attention
from rs2sam.training.recipes.settings import Recipe, resolved
from rs2sam.training.reporting.validation import require_best_again
from rs2sam.training.reporting.watch import save_result, watch_callbacks

logger = logging.getLogger(__name__)

__all__ = ["RS2SamTrainer", "check_run", "run_recipe", "train", "training_arguments"]


class RS2SamTrainer(SafeTrainer):
    """Trainer with the recipe's loss, parameter groups and schedule.

    Args:
        recipe: the run, its epochs counted in steps.
        model: what is trained.
        dataset: where examples come from.
        arguments: of transformers' Trainer.
    """

    optimizer: torch.optim.Optimizer | None
    lr_scheduler: Any

    def __init__(
        self,
        recipe: Recipe,
        model: TrainedModule,
        dataset: CollatedDataset,
        arguments: TrainingArguments,
    ) -> None:
        self.recipe = recipe
        callbacks: list[TrainerCallback] = [_AverageCallback()] if model.average is not None else []
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=dataset,
            data_collator=dataset.collate,
            callbacks=callbacks,
        )
        for shows_twice in (PrinterCallback, ProgressCallback):  # `watch` has its own
            self.remove_callback(shows_twice)

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> Tensor | tuple[Tensor, Any]:
        """The recipe's loss of one batch."""
        raise_failure(inputs)
        terms: dict[str, Tensor] = model(inputs)
        total = terms.pop("total")
        self.take_in({"loss": total, **terms}, inputs["ids"])
        return (total, terms) if return_outputs else total

    def log(self, logs: dict[str, float], *arguments: Any, **keywords: Any) -> None:
        """Adds the mean of every loss term since the last log."""
        if "loss" in logs:
            logs = logs | self.terms.means(self)
        super().log(logs, *arguments, **keywords)

    def _get_train_sampler(self, *_: Any) -> Sampler[int]:
        """In order: draws are random by their number already, and the two sentences of a pair stay in one batch."""
        return SequentialSampler(cast("CollatedDataset", self.train_dataset))

    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        """AdamW as the recipe says."""
        if self.optimizer is None:
            self.optimizer = make_optimizer(cast("TrainedModule", self.model), self.recipe)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The rates' course as the recipe says."""
        if self.lr_scheduler is None:
            self.lr_scheduler = make_schedule(optimizer or self.create_optimizer(), self.recipe, num_training_steps)
        return self.lr_scheduler

    def plain_result(self) -> AnyModel | None:
        """The weights to keep as a plain model; every process has to call it.

        Returns:
            None where parameters are spread over processes and this is not the first of them.
        """
        training = cast("TrainedModule", self.model)
        if not self.is_fsdp_enabled:
            return training.plain_result()
        state = self.accelerator.get_state_dict(self.model_wrapped)
        return training.plain_result(state) if self.is_world_process_zero() else None


class _AverageCallback(TrainerCallback):
    """Updates the moving average after every optimisation step."""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any
    ) -> None:
        """Takes in the current parameters."""
        training = keywords["model"]
        training.average.update(training.trained)


class _EpochCallback(TrainerCallback):
    """Counts epochs as passes over the data: for Trainer, which sees one long list of indices, a run has one.

    Args:
        samples_a_step: over all processes.
        epoch_size: samples in one pass; 0: the data has no end, and so no epochs.
    """

    def __init__(self, samples_a_step: int, epoch_size: int) -> None:
        self.samples_a_step = samples_a_step
        self.epoch_size = epoch_size

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any
    ) -> None:
        """Corrects what logs and checkpoints show."""
        seen = state.global_step * self.samples_a_step
        state.epoch = round(seen / self.epoch_size, 4) if self.epoch_size else None


def run_recipe(recipe: Recipe, output_dir: Path, resume: bool = False, *, quiet: bool = False) -> AnyModel:
    """Opens the data of a recipe, trains, and saves.

    Args:
        recipe: the run.
        output_dir: as for `train`.
        resume: as for `train`.
        quiet: as for `train`.

    Raises:
        DataNotFoundError: as for `train`, or the data is not there.
        InvalidInputError: as for `train`, or the data has no such split or source.
        TrainingError: as for `train`.
    """
    check_run(recipe, output_dir, resume)  # before images are read, which takes minutes
    return train(recipe, kind_of(recipe).examples(recipe), output_dir, resume, quiet=quiet)


def train(
    recipe: Recipe, examples: Examples, output_dir: Path, resume: bool = False, *, quiet: bool = False
) -> AnyModel:
    """Trains and saves a model; every process of a run calls this.

    Args:
        recipe: the run.
        examples: what is drawn from, at `recipe.data.side`.
        output_dir: receives checkpoints, what there is to watch, and in `model/` the result with its processor.
        resume: continue from the last complete checkpoint in `output_dir`; the result is that of a run that was never
            interrupted.
        quiet: nothing on the terminal.

    Returns:
        The weights that were saved, in evaluation mode. With parameters spread over processes, those of this process in
        all but the first.

    Raises:
        DataNotFoundError: a file that the recipe names is missing, or `resume` finds no run.
        InvalidInputError: `output_dir` holds another run, another process trains in it, a resumed run would not come to
            the step of its best model again, or parts of the recipe do not fit each other.
        TrainingError: the run had to stop; the message says why and what is left of it.
    """
    arguments = training_arguments(recipe, output_dir)
    recipe = resolved(recipe, examples.epoch_size, arguments.world_size)
    arguments.max_steps = recipe.steps
    with arguments.main_process_first(desc="check"):
        check_run(recipe, output_dir, resume)
        checkpoint = last_complete_checkpoint(output_dir) if resume else None
        if resume:
            step = 0 if checkpoint is None else checkpoint_step(checkpoint)
            require_best_again(output_dir, step, recipe.validate.every_steps, recipe.steps)
    with clear_stops(output_dir), ExitStack() as held:
        trainer, processor = _prepared(recipe, examples, arguments)
        for callback in watch_callbacks(
            recipe,
            output_dir,
            processor,
            examples.validation,
            result=trainer.plain_result,
            counts=examples.counts,
            quiet=quiet,
        ):
            trainer.add_callback(callback)
        if trainer.is_world_process_zero():
            held.enter_context(only_run_in(output_dir))
        begin(trainer, recipe, output_dir)
        if checkpoint is not None:
            trainer.restore(checkpoint)
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        result = trainer.plain_result()
        if trainer.is_world_process_zero():
            assert result is not None
            save_result(recipe, result.eval(), processor, output_dir, examples.counts)
            save_company(cast("TrainedModule", trainer.model).company(), output_dir)
        trainer.accelerator.wait_for_everyone()
    return (cast("TrainedModule", trainer.model).result if result is None else result).eval()


def _prepared(recipe: Recipe, examples: Examples, arguments: TrainingArguments) -> tuple[RS2SamTrainer, Processor]:
    """A trainer that has not begun, and the processor of the model that is kept."""
    torch.manual_seed(recipe.seed)
    with arguments.main_process_first(desc="starting point"):  # published weights are converted once, into a cache
        kind = kind_of(recipe)
        model, processor = kind.start(recipe)
    if recipe.data.side > model.config.image_size:
        raise InvalidInputError(
            f"`data.side` must be at most the model's own {model.config.image_size} px, received {recipe.data.side}"
        )
    choose_attention(model, recipe.precision, arguments.device)
    # Else all that gets no gradient is known beforehand and frozen, and nobody has to look for it at every step.
    arguments.ddp_find_unused_parameters = kind.leaves_out(model, recipe)
    training = kind.training(model, recipe, examples.num_classes)
    sized = Processor(replace(processor.config, image_size=recipe.data.side), processor.tokenizer)
    samples_a_step = recipe.batch_size * recipe.gradient_accumulation * arguments.world_size
    length = recipe.steps * samples_a_step
    dataset = kind.dataset(examples.draw, sized, length)
    trainer = RS2SamTrainer(recipe, training, dataset, arguments)
    trainer.add_callback(_EpochCallback(samples_a_step, examples.epoch_size))
    return trainer, processor


def check_run(recipe: Recipe, output_dir: Path, resume: bool) -> None:
    """Finds out at once what would stop a run only after its images were read.

    Raises:
        DataNotFoundError: a file that the recipe names is missing, or `resume` finds no run.
        InvalidInputError: a new run would mix with another, a run would be resumed with another recipe, a new model has
            no tokenizer, or `output_dir` is a file.
    """
    if output_dir.exists() and not output_dir.is_dir():
        raise InvalidInputError(f"the output must be a folder, but `{output_dir}` is a file; choose another name")
    check_start(recipe)
    require_present({"data.dataset": recipe.data.dataset})
    begun = has_begun(output_dir) or any(output_dir.glob("checkpoint-*"))
    if resume and not begun:
        raise DataNotFoundError(f"no checkpoint in `{output_dir}` to resume from; start without resuming")
    if begun and not resume:
        # Trainer keeps the checkpoints with the highest numbers: it would delete the new run's.
        raise InvalidInputError(f"`{output_dir}` holds the checkpoints of a run; resume it, or give another folder")
    if resume:
        require_same_recipe(recipe, output_dir)


def computes_bf16_slowly() -> bool:
    """Whether torch emulates bfloat16 on this processor; of x86 those do it that have AVX2 at most."""
    return torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2")


def training_arguments(recipe: Recipe, output_dir: Path) -> TrainingArguments:
    """What Trainer needs to know."""
    if recipe.precision == "bf16" and torch.cuda.is_available() and not torch.cuda.is_bf16_supported():
        raise InvalidInputError("`precision` = bf16 needs a GPU that has bf16, which this one has not; set float32")
    if recipe.precision == "bf16" and not torch.cuda.is_available() and computes_bf16_slowly():
        logger.warning(
            "`precision` = bf16 on a processor without AVX-512: products in bfloat16 are some 50 times slower here "
            "than in float32; set `precision: float32`"
        )
    return TrainingArguments(
        output_dir=str(output_dir),
        max_steps=recipe.steps or -1,
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
        disable_tqdm=True,
        use_cpu=not torch.accelerator.is_available(),
    )
