"""Validation during a run: figures, picture sheet and the best model so far.

Every process of a run answers its share of the samples and all receive all results, so the figures do not depend on
the number of processes and nobody waits long. Nothing random is drawn: a run with validation trains as one without.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed
from PIL import Image
from tqdm import tqdm

from rs2sam.backends import AnyBackend
from rs2sam.backends.torch import TorchBackend
from rs2sam.backends.torch_once import TorchOnceBackend
from rs2sam.datasets.base import Sample
from rs2sam.errors import InvalidInputError, words_of
from rs2sam.evaluation import EvaluationReport, SampleResult
from rs2sam.evaluation.running import asked_sentence, evaluate_batches, split_batches, where_there_is_data
from rs2sam.fields import checked, parse_json
from rs2sam.metrics import Protocol
from rs2sam.models.encode_once.model import EncodeOnceModel
from rs2sam.models.weights.classes import AnyModel
from rs2sam.processing import Processor
from rs2sam.segmenter import Segmenter
from rs2sam.training.keeping.record import RECIPE_FILE
from rs2sam.training.keeping.saving import save_model
from rs2sam.training.reporting.sheet import Shown, draw_sheet

T = TypeVar("T")

FOLDER = "validation"
BEST = "best"
SHEET_SAMPLES = 8

Validation = dict[str, Any]
"""What a file of `FOLDER` holds; see `Validator.run`."""

# What a resumed run goes by.
_TYPES: Mapping[str, Any] = {"step": int, "best": bool, "selection": float}


@dataclass(frozen=True)
class ValidationSettings:
    """How a model is validated.

    Args:
        protocol: at which size, and what an empty union counts; see `rs2sam.metrics`.
        batch_size: samples that the model reads at once.
        bf16: whether the model computes in bfloat16 where autocast has it so, as in the training.
        quiet: no bar, even on a terminal.
    """

    protocol: Protocol = "native"
    batch_size: int = 8
    bf16: bool = False
    quiet: bool = False


class Validator:
    """Validates the model of a run and keeps the best.

    Args:
        samples: always the same; at least one.
        processor: makes the model's inputs.
        output_dir: of the run; `validation/` in it receives figures and sheets, `best/` the best model.
        settings: how.
        card: a model and all validations so far -> the text of its model card.

    Raises:
        InvalidInputError: a sentence is blank or longer than the model reads; better now than at the first validation.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        processor: Processor,
        output_dir: Path,
        settings: ValidationSettings,
        card: Callable[[AnyModel, Sequence[Validation]], str],
    ) -> None:
        self.samples = samples
        self.processor = processor
        self.output_dir = output_dir
        self.settings = settings
        self.card = card
        self._done: list[Validation] = []
        processor.sentences([sample.sentence for sample in samples])

    def begin(self, step: int) -> None:
        """Forget what was validated after `step`, the checkpoint that the run goes on from; the main process only."""
        for file in sorted((self.output_dir / FOLDER).glob("step-*.*")):
            number = file.stem.removeprefix("step-")
            if number.isdecimal() and int(number) > step:
                file.unlink()
        self._done = read_validations(self.output_dir)

    def run(
        self, model: AnyModel | None, step: int, device: torch.device, *, main: bool
    ) -> tuple[Validation, Image.Image] | None:
        """Validate a model; every process of the run calls this at the same step.

        Args:
            model: the one that would be kept; it is left as it was, in evaluation or training mode. None: this process
                has none, since parameters are spread over processes, and answers nothing; the main one always has.
            step: optimisation steps done.
            device: where the model is.
            main: whether this process writes.

        Returns:
            In the main process what is written to `validation/step-000100.json` (`step`, `num_samples`, `best`,
            `selection` = mIoU + oIoU, `seconds`, and the report), and the sheet; None in the others.
        """
        started = time.monotonic()
        with ExitStack() as stack:
            segmenter = None if model is None else stack.enter_context(self._answering(model, device))
            report = self._report(segmenter)
            if not main:
                return None
            assert segmenter is not None
            sheet = self._sheet(segmenter, report, step)
        metrics = report.metrics()
        assert metrics is not None
        selection = metrics.miou + metrics.oiou
        found: Validation = {
            "step": step,
            "num_samples": len(self.samples),
            "best": all(selection > other["selection"] for other in self._done),
            "selection": selection,
            "seconds": round(time.monotonic() - started, 3),
            **report.as_dict(),
        }
        self._done.append(found)
        if found["best"]:
            assert model is not None
            # Before its figures: whoever is killed in between finds no figures of a model that is not there.
            save_model(model, self.processor, self.card(model, self._done), self.output_dir / BEST)
        self._write(found, sheet)
        return found, sheet

    @contextmanager
    def _answering(self, model: AnyModel, device: torch.device) -> Iterator[Segmenter]:
        """The live model as a segmenter, in the precision of the training; its modes are put back."""
        modes = [(module, module.training) for module in model.modules()]
        try:
            with torch.autocast(device.type, torch.bfloat16, enabled=self.settings.bf16):
                yield Segmenter(self.processor, _backend(model, device))
        finally:
            for module, mode in modes:
                module.training = mode

    def _report(self, segmenter: Segmenter | None) -> EvaluationReport:
        """The report on all samples, in every process."""
        settings, able = self.settings, _everywhere(segmenter is not None)
        answering = [rank for rank, answers in enumerate(able) if answers]
        results: list[SampleResult] = []
        if segmenter is not None:
            results = self._results(segmenter, self.samples[answering.index(_rank()) :: len(answering)])
        shares = _everywhere(results)
        count = len(answering)
        ordered = (shares[answering[place % count]][place // count] for place in range(len(self.samples)))
        return EvaluationReport(tuple(ordered), settings.protocol)

    def _results(self, segmenter: Segmenter, share: Sequence[Sample]) -> list[SampleResult]:
        """What this process answers, with a bar that goes when it is done."""
        results: list[SampleResult] = []
        batches = split_batches(share, self.settings.batch_size)
        quiet = self.settings.quiet or _rank() > 0
        with tqdm(total=len(share), desc="validate", leave=False, disable=quiet or None) as progress:
            for outcomes in evaluate_batches(segmenter, batches, self.settings.protocol):
                results.extend(result for result, _ in outcomes)
                progress.update(len(outcomes))
        return results

    def _sheet(self, segmenter: Segmenter, report: EvaluationReport, step: int) -> Image.Image:
        """Some samples, always the same, at their images' own size; their IoU is that of the report."""
        shown = []
        for index in spread(len(self.samples), SHEET_SAMPLES):
            sample = self.samples[index]
            image = sample.loaded_image()
            rgb = image.rgb
            asked = asked_sentence(sample, report.protocol)
            (answer,) = segmenter.segment_views([(rgb, asked)], min_presence=segmenter.min_presence)
            answer = where_there_is_data((image, sample), answer)
            target = sample.target((rgb.shape[0], rgb.shape[1]))
            iou = report.results[index].counts.iou(report.protocol)
            shown.append(Shown(rgb, target, answer.mask, sample.sentence, iou))
        return draw_sheet(shown, f"step {step}: {report.metrics()}")

    def _write(self, found: Validation, sheet: Image.Image) -> None:
        """Figures and sheet, each whole or not there; the figures last."""
        folder = self.output_dir / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        name = f"step-{found['step']:06d}"
        temporary = folder / f".{name}.tmp"
        sheet.save(temporary, format="JPEG", quality=88)
        os.replace(temporary, folder / f"{name}.jpg")
        temporary.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(temporary, folder / f"{name}.json")


def read_validations(output_dir: Path) -> list[Validation]:
    """The validations of a run, in the order of their steps.

    Raises:
        InvalidInputError: a file is damaged, or holds something else.
    """
    files = (output_dir / FOLDER).glob("step-*.json")
    return sorted(map(_read, files), key=lambda found: int(found["step"]))


def _read(file: Path) -> Validation:
    """The figures of one validation."""
    try:
        found: Validation = dict(checked("validation", parse_json(file.read_text(encoding="utf-8")), Mapping))
        for name, hint in _TYPES.items():
            checked(name, found[name], hint)
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = f"it has no {words_of(error)}" if isinstance(error, KeyError) else words_of(error)
        raise InvalidInputError(
            f"Figures of a run's validations must be whole for it to go on, but `{file}` is not ({said}). Remove that "
            "file to go on without its figures."
        ) from error
    return found


def require_best_again(output_dir: Path, step: int, every_steps: int, last_step: int) -> None:
    """Refuse to go on where `best/` would stay the model of a step whose figures are forgotten.

    `best/` may be newer than the checkpoint that a run goes on from. The run comes to that model once more and writes
    it anew, unless it is now validated at other steps.

    Args:
        output_dir: of the run.
        step: of the checkpoint that it goes on from; 0 where there is none.
        every_steps: steps between validations from now on; 0: only the last step is validated.
        last_step: of the run.

    Raises:
        InvalidInputError: `best/` is of a later step that is not validated again.
    """
    best = max((found["step"] for found in read_validations(output_dir) if found["best"]), default=0)
    validated = best == last_step or (every_steps > 0 and best % every_steps == 0)
    if best > step and not validated:
        raise InvalidInputError(
            f"`{output_dir / BEST}` is the model of step {best}, later than step {step} from which the run goes on, so "
            f"step {best} must be validated again; received `validate.every_steps` = {every_steps}. Give one that "
            f"divides {best}, such as the one that the run had so far (`{RECIPE_FILE}` has it)."
        )


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` indices of `count` things, evenly spread, the first and the last among them."""
    return [int(place) for place in np.linspace(0, count - 1, min(count, wanted)).round()]


def _backend(model: AnyModel, device: torch.device) -> AnyBackend:
    """What answers with a live model."""
    return TorchOnceBackend(model, device) if isinstance(model, EncodeOnceModel) else TorchBackend(model, device)


def _rank() -> int:
    """The number of this process, from 0."""
    return torch.distributed.get_rank() if _is_distributed() else 0


def _everywhere(value: T) -> list[T]:
    """What each process has, in their order."""
    if not _is_distributed():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def _is_distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
