"""What a person watches while a model trains: log, bar, TensorBoard, validation, curves.

One callback of `transformers.Trainer` collects the figures and hands them to sinks (`sinks.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rs2sam.datasets.base import Sample
from rs2sam.models.weights.classes import AnyModel
from rs2sam.processing import Processor
from rs2sam.training.keeping.saving import restore_folder, save_model
from rs2sam.training.recipes.settings import Recipe
from rs2sam.training.reporting.card import training_card
from rs2sam.training.reporting.curves import CURVES_FILE, draw_curves
from rs2sam.training.reporting.sinks import LOG_FILE, LogFile, Sink, TensorBoard, Terminal, read_log
from rs2sam.training.reporting.validation import (
    BEST,
    Validation,
    ValidationSettings,
    Validator,
    read_validations,
    spread,
)

MODEL = "model"


def watch_callbacks(
    recipe: Recipe,
    output_dir: Path,
    processor: Processor,
    validation_samples: Sequence[Sample],
    *,
    result: Callable[[], AnyModel | None] | None = None,
    counts: Mapping[str, int] | None = None,
    quiet: bool = False,
) -> list[TrainerCallback]:
    """Everything that shows how a run goes, for `Trainer`.

    Args:
        recipe: of the run, its epochs counted in steps.
        output_dir: receives `log.jsonl`, `training.png`, `tensorboard/`, `validation/` and `best/`.
        processor: of the model that is kept.
        validation_samples: none: the run is not validated.
        result: makes the model that would be kept; called in every process. None from it: see `Validator.run`. By
            default the `result` of the model in training.
        counts: split -> number of samples, for the model card.
        quiet: nothing on the terminal.

    Raises:
        InvalidInputError: a sentence of the validation is longer than the model reads.
    """
    sinks: list[Sink] = [LogFile(output_dir / LOG_FILE)]
    if not quiet:
        sinks.append(Terminal())
    if recipe.tensorboard:
        sinks.append(TensorBoard(output_dir / "tensorboard"))
    validator = None
    if validation_samples:
        wanted = recipe.validate.max_samples or len(validation_samples)
        samples = [validation_samples[place] for place in spread(len(validation_samples), wanted)]
        settings = ValidationSettings(
            recipe.validate.protocol, recipe.validate.batch_size, recipe.precision == "bf16", quiet
        )

        def card(model: AnyModel, validations: Sequence[Validation]) -> str:
            return training_card(recipe, model, validations[-1]["step"], counts, validations)

        validator = Validator(samples, processor, output_dir, settings, card)
    return [Watch(recipe, output_dir, sinks, validator, result)]


def save_result(
    recipe: Recipe,
    model: AnyModel,
    processor: Processor,
    output_dir: Path,
    counts: Mapping[str, int] | None = None,
) -> None:
    """Write `OUTPUT/model`, what a finished run is for, with its card.

    Args:
        recipe: of the run, its epochs counted in steps.
        model: what is kept.
        processor: of the model.
        output_dir: of the run, with its validations.
        counts: split -> number of samples.
    """
    card = training_card(recipe, model, recipe.steps, counts, read_validations(output_dir))
    save_model(model, processor, card, output_dir / MODEL)


class Watch(TrainerCallback):
    """Collects what a run reports, validates when it is due, and draws the curves.

    Args:
        recipe: of the run.
        output_dir: of the run.
        sinks: where the figures go; of the main process only.
        validator: None: the run is not validated. Else it is as often as the recipe says, and at the last step.
        result: see `watch_callbacks`.
    """

    def __init__(
        self,
        recipe: Recipe,
        output_dir: Path,
        sinks: Sequence[Sink],
        validator: Validator | None = None,
        result: Callable[[], AnyModel | None] | None = None,
    ) -> None:
        self.recipe = recipe
        self.output_dir = output_dir
        self.validator = validator
        self.result = result
        self._all_sinks = sinks
        self._sinks: Sequence[Sink] = ()
        self._pace = Pace()
        self._rates: dict[str, float] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any
    ) -> None:
        """Open the sinks, and forget what lies beyond the checkpoint that the run goes on from."""
        step = state.global_step
        if state.is_world_process_zero:
            self._sinks = self._all_sinks
            restore_folder(self.output_dir / BEST)
            if self.validator is not None:
                self.validator.begin(step)
        for sink in self._sinks:
            sink.begin(step, state.max_steps)
        entries = read_log(self.output_dir / LOG_FILE) if self._sinks else []
        seconds = max((entry["seconds"] for entry in entries if "seconds" in entry), default=0.0)
        self._pace.begin(step, samples_per_step(args), seconds)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any
    ) -> None:
        """Remember the rates that this step is made with; when it is logged, they are those of the next."""
        self._rates = learning_rates(keywords["optimizer"], keywords["model"].named_rates())

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any
    ) -> None:
        """Move the bar; see to an entry of the log for the first step, the last and where the model is validated."""
        for sink in self._sinks:
            sink.stepped(state.global_step)
        if state.global_step in (1, state.max_steps) or self._is_due(state):
            control.should_log = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **keywords: Any,
    ) -> None:
        """Pass on an entry, then validate if it is due; Trainer writes the checkpoint of this step afterwards."""
        if logs is None or "loss" not in logs:
            return  # Trainer's summary at the end
        step = state.global_step
        logs = {name: value for name, value in logs.items() if name != "learning_rate"}  # the first group's
        entry = {"step": step, **logs, **self._rates, **self._pace.logged(step)}
        for sink in self._sinks:
            sink.logged(entry)
        if self._is_due(state):
            model = keywords["model"].result if self.result is None else self.result()
            self._validate(state, args.device, model)
        self._pace.go_on()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any) -> None:
        """Writing a checkpoint is no training."""
        self._pace.go_on()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any
    ) -> None:
        """Close the sinks and draw the curves."""
        for sink in self._sinks:
            sink.end()
        self._draw()

    def _is_due(self, state: TrainerState) -> bool:
        """Whether this step is validated."""
        if self.validator is None:
            return False
        every = self.recipe.validate.every_steps
        return state.global_step == state.max_steps or (every > 0 and state.global_step % every == 0)

    def _validate(self, state: TrainerState, device: torch.device, model: AnyModel | None) -> None:
        """Validate in every process, report in the main one."""
        assert self.validator is not None
        done = self.validator.run(model, state.global_step, device, main=state.is_world_process_zero)
        if done is None:
            return
        found, sheet = done
        self._report(found, sheet)
        self._draw()

    def _report(self, found: Validation, sheet: Image.Image) -> None:
        """Pass a validation on to the sinks."""
        entry = {
            "step": found["step"],
            "validation": found["rows"]["overall"]["model"],
            "best": found["best"],
        }
        for sink in self._sinks:
            sink.validated(entry, sheet)

    def _draw(self) -> None:
        """Draw the curves anew."""
        entries = read_log(self.output_dir / LOG_FILE) if self._sinks else []
        if entries:
            draw_curves(entries, self.output_dir / CURVES_FILE)


class Pace:
    """Samples a second and seconds in all, without what is no training."""

    def __init__(self) -> None:
        self._step = self._per_step = 0
        self._since = self._started = 0.0

    def begin(self, step: int, per_step: int, seconds: float) -> None:
        """The run starts after `step`; `seconds` of it are behind it."""
        now = time.monotonic()
        self._step, self._per_step = step, per_step
        self._since, self._started = now, now - seconds

    def logged(self, step: int) -> dict[str, float]:
        """The fields of an entry at `step`."""
        now = time.monotonic()
        samples = (step - self._step) * self._per_step
        self._step = step
        rate = samples / max(now - self._since, 1e-9)
        return {"samples_per_second": round(rate, 3), "seconds": round(now - self._started, 3)}

    def go_on(self) -> None:
        """The next window begins now."""
        self._since = time.monotonic()


def samples_per_step(args: TrainingArguments) -> int:
    """Samples of one optimisation step, over all processes."""
    return args.train_batch_size * args.gradient_accumulation_steps * args.world_size


def learning_rates(optimizer: torch.optim.Optimizer, wanted: Mapping[str, float]) -> dict[str, float]:
    """The current rates of groups by the names of their full ones; those that no group has are left out."""
    rates: dict[str, float] = {}
    for name, full in wanted.items():
        for group in optimizer.param_groups:
            if group.get("initial_lr", group["lr"]) == full:
                rates[name] = float(group["lr"])
                break
    return rates
