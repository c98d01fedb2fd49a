"""Stop and go: a Trainer that stops clearly and continues exactly.

What may happen to a run, and what is left of it:

- killed at any moment, also while a checkpoint is written: the newest complete checkpoint (`checkpoints.py`);
- a full disk: likewise, the half-written checkpoint is removed;
- a loss, gradient or weight that is not finite: no step is taken, nothing is saved;
- an example that cannot be read: the run stops when its turn comes (`examples/failures.py`);
- Ctrl-C or SIGTERM: the step is finished and saved; a second one stops at once.

A checkpoint holds everything that the next step depends on, and the loss terms that are not logged yet, so that a
continued run logs what an uninterrupted one does.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.distributed
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rs2sam.errors import InvalidInputError, TrainingError
from rs2sam.training.keeping.checkpoints import (
    STAGING,
    keep_newest,
    last_complete_checkpoint,
    num_processes_of,
    publish,
    sweep,
)
from rs2sam.training.keeping.record import record_recipe
from rs2sam.training.recipes.settings import Recipe

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SAME_REQUEST_S = 1.0
"""torchrun passes on a signal that the terminal has sent to its processes already."""
# torch and safetensors have errors of their own for a disk that does not take what they write.
_WRITE_ERRORS = (OSError, RuntimeError, SafetensorError)
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EACCES, errno.EPERM, errno.EROFS)


class SafeTrainer(Trainer):
    """Trainer with atomic checkpoints that stops before anything that is not finite is taken in."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.terms = RunningTerms()
        self.recent_ids: list[str] = []
        """Samples since the last optimisation step."""
        self._staging: Path | None = None
        super().__init__(*arguments, **keywords)
        self.add_callback(_StepGuard(self))

    def take_in(self, terms: Mapping[str, Tensor], ids: Sequence[str]) -> None:
        """Check and remember the loss of a batch.

        Args:
            terms: scalars; `loss` is what is minimised.
            ids: of the batch's samples.

        Raises:
            TrainingError: the loss is not finite.
        """
        self.recent_ids.extend(ids)
        if not torch.isfinite(terms["loss"]):
            values = ", ".join(f"{name} {float(value):g}" for name, value in terms.items())
            raise self._not_finite(f"the loss is ({values})")
        self.terms.add(terms)

    def require_finite_gradients(self) -> None:
        """Stop before an optimisation step that would spoil the weights.

        Raises:
            TrainingError: a gradient is not finite.
        """
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        # Where parameters are spread over processes, this one's part of a small one is empty, and has no largest value.
        parts = [part for part in map(_local, gradients) if part.numel()]
        spoilt = bool(parts) and not _finite(torch.nn.utils.get_total_norm(parts, float("inf")))
        if self.any_process(spoilt):
            raise self._not_finite("the loss is, its gradient is not")

    def require_finite_weights(self) -> None:
        """Never save what cannot be continued from.

        Raises:
            TrainingError: a weight is not finite.
        """
        spoilt = [name for name, value in self.model.named_parameters() if not _finite(value)]
        if spoilt:
            raise self._not_finite(f"`{spoilt[0]}` and {len(spoilt) - 1} other weights are not")

    def restore(self, checkpoint: Path) -> None:
        """Take up what a checkpoint holds beside what `train(resume_from_checkpoint=...)` reads.

        Raises:
            InvalidInputError: it was written by another number of processes, so batches would differ.
        """
        before, now = num_processes_of(checkpoint), self.args.world_size
        if before is not None and before != now:
            raise InvalidInputError(
                f"a run is resumed on as many processes as it was started on, which is {before}; it is {now} now. "
                f"Start {before}, or begin another run."
            )
        path = checkpoint / self._terms_file()
        if path.is_file():
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.terms.load({name: values.to(self.args.device) for name, values in state.items()})

    def _terms_file(self) -> str:
        """Where this process keeps the terms that are not logged yet."""
        return f"terms_{self.args.process_index}.pt"

    def _not_finite(self, what: str) -> TrainingError:
        """Where the run is, and what can be done."""
        step = self.state.global_step + 1
        return TrainingError(
            f"step {step} is not finite: {what}. Samples: {', '.join(self.recent_ids) or 'unknown'}. Look at them; if "
            "they are sound, lower `optimizer.learning_rate`, or train in float32."
        )

    def _get_output_dir(self, trial: Any) -> str:
        """Where Trainer writes a checkpoint: aside, until it is complete."""
        return super()._get_output_dir(trial) if self._staging is None else str(self._staging)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint that appears when it is complete, and then delete the oldest.

        Processes must share the file system.

        Raises:
            TrainingError: it cannot be written, or a weight is not finite.
        """
        self.require_finite_weights()
        output_dir = Path(self._get_output_dir(trial))
        final = output_dir / f"checkpoint-{self.state.global_step}"
        self._staging = output_dir / f"{STAGING}-{self.state.global_step}"
        staged = self._staging / final.name
        failure: Exception | None = None
        try:
            try:
                super()._save_checkpoint(model, trial)
                torch.save(self.terms.state(), staged / self._terms_file())
            except _WRITE_ERRORS as error:
                failure = error
            complete = not self.any_process(failure is not None)
            if complete and self.args.should_save:
                try:
                    publish(staged, final, self.args.world_size)
                except OSError as error:
                    failure = error
            if self.any_process(failure is not None) or not complete:
                raise _unwritten(final, failure) from failure
        finally:
            if self.args.should_save:
                shutil.rmtree(self._staging, ignore_errors=True)
            self._staging = None
        if self.args.should_save and self.args.save_total_limit:
            keep_newest(output_dir, self.args.save_total_limit)

    def any_process(self, flag: bool) -> bool:
        """Whether a flag is set in any process; all wait for each other."""
        if self.args.world_size == 1:
            return flag
        flags = torch.tensor(int(flag), device=self.args.device)
        torch.distributed.all_reduce(flags, torch.distributed.ReduceOp.MAX)
        return bool(flags)


class RunningTerms:
    """Loss terms of every forward pass since the last log."""

    def __init__(self) -> None:
        self._values: dict[str, list[Tensor]] = {}

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Remember the terms of one forward pass; scalars."""
        for name, value in terms.items():
            self._values.setdefault(name, []).append(value.detach().float())

    def means(self, trainer: Trainer) -> dict[str, float]:
        """Mean of every term over passes and processes; begins anew."""
        means = {name: torch.stack(values).mean() for name, values in self._values.items()}
        self._values.clear()
        if trainer.args.world_size > 1 and means:
            together = torch.stack(list(means.values()))
            torch.distributed.all_reduce(together)
            means = dict(zip(means, together / trainer.args.world_size, strict=True))
        return {name: float(value) for name, value in means.items()}

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {name: torch.stack(values) for name, values in self._values.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take up what a checkpoint kept."""
        self._values = {name: list(values.unbind()) for name, values in state.items()}


class _StepGuard(TrainerCallback):
    """Looks at gradients before every step and, after it, for a signal to stop."""

    def __init__(self, trainer: SafeTrainer) -> None:
        self.trainer = trainer
        self.process = os.getpid()
        self.asked_at: float | None = None
        self.stopping = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any
    ) -> None:
        """Listen for signals; `clear_stops` puts their former handlers back."""
        state.save_steps = args.save_steps  # Trainer would go on with those of the checkpoint
        try:
            for number in SIGNALS:
                signal.signal(number, self._on_signal)
        except ValueError:
            logger.debug("signals are the main thread's; this one leaves them alone")

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any
    ) -> None:
        """Check the gradients."""
        self.trainer.require_finite_gradients()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any
    ) -> None:
        """Save and stop where a signal asked for it; all processes after the same step."""
        self.trainer.recent_ids.clear()
        if self.trainer.any_process(self.asked_at is not None):
            self.stopping = control.should_save = control.should_training_stop = True

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **keywords: Any
    ) -> None:
        """Leave the loop once everything is saved."""
        if self.stopping:
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Finish the step first; at once if asked twice."""
        if os.getpid() != self.process:
            return  # a loading process, which Ctrl-C reaches as well: it is needed until the end
        now = time.monotonic()
        if self.asked_at is not None:
            if now - self.asked_at > _SAME_REQUEST_S:
                raise KeyboardInterrupt
            return
        self.asked_at = now
        logger.warning("stopping after this step, with a checkpoint; once more to stop at once")


@contextmanager
def clear_stops(output_dir: Path) -> Iterator[None]:
    """Make every known end of a run say what is left of it and how to go on.

    Args:
        output_dir: folder of its checkpoints.

    Raises:
        TrainingError: a run that had to stop.
        KeyboardInterrupt: somebody stopped it; its text says how to go on.
    """
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(_what_is_left(output_dir)) from stop
    except TrainingError as error:
        raise TrainingError(f"{error} {_what_is_left(output_dir)}") from error
    except (OSError, SafetensorError) as error:
        if isinstance(error, OSError) and error.errno not in _DISK_ERRORS:
            raise
        raise TrainingError(
            f"a file of the run cannot be read or written: {_first_line(error)} {_free(output_dir)} "
            f"{_what_is_left(output_dir)}"
        ) from error
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"the device's memory is too small: {_first_line(error)} Lower `batch_size` (and raise "
            "`gradient_accumulation`), set `activation_checkpointing`, or lower `data.side`. "
            f"{_what_is_left(output_dir)}"
        ) from error
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            f"a loading process ended: {_first_line(error)} If memory is short, lower `data.num_workers`. "
            f"{_what_is_left(output_dir)}"
        ) from error
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) != handler:
                signal.signal(number, handler)


def begin(trainer: SafeTrainer, recipe: Recipe, output_dir: Path) -> None:
    """Sweep what a killed process left in a run's folder and write its recipe, before all processes go on."""
    if trainer.is_world_process_zero():
        sweep(output_dir)
        record_recipe(recipe, output_dir)
    trainer.accelerator.wait_for_everyone()


def _unwritten(final: Path, error: Exception | None) -> TrainingError:
    """A checkpoint that did not reach the disk; `error` is None where another process met it."""
    reason = "another process could not write its part." if error is None else _first_line(error)
    return TrainingError(
        f"cannot write the checkpoint `{final}`: {reason} {_free(final.parent)} Make room, or raise the quota: a "
        "checkpoint is deleted only after the next one is complete."
    )


def _free(folder: Path) -> str:
    """How much room there is."""
    return f"{shutil.disk_usage(folder).free / 1e6:.0f} MB are free there."


def _what_is_left(output_dir: Path) -> str:
    """How a run that stopped can go on."""
    last = last_complete_checkpoint(output_dir)
    if last is None:
        return "There is no checkpoint yet: `--resume` begins anew."
    return f"`{last}` is complete: `--resume` continues from it."


def _finite(value: Tensor) -> bool:
    """Whether all of a tensor is finite; of its part where it is spread over processes."""
    return bool(torch.isfinite(_local(value)).all())


def _local(value: Tensor) -> Tensor:
    """This process's part of a tensor that is spread over processes; the tensor itself where it is not."""
    part: Tensor = value.to_local() if hasattr(value, "to_local") else value
    return part


def _first_line(error: Exception) -> str:
    """The first line of a message, as a sentence."""
    text = (str(error).splitlines() or [""])[0].strip() or type(error).__name__
    return text if text.endswith(".") else f"{text}."
