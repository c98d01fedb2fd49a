"""Doing the runs of an ablation: each trained by a process of its own and evaluated, what is done kept.

Files of a run, in the folder of its name:

    recipe.yaml   what is trained
    train/        checkpoints, `model/` and, where the recipe validates, `best/`
    trained       empty; training is done
    train.log     what training said
    evaluation/   the report of `rs2sam evaluate`
"""

from __future__ import annotations

import logging
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from rs2sam.datasets.base import Sample
from rs2sam.errors import InvalidInputError, RS2SAMError, TrainingError, words_of
from rs2sam.evaluation.campaign import Campaign, RunIdentity, RunOptions, hash_folder, hash_samples
from rs2sam.evaluation.processes import SingleProcess
from rs2sam.evaluation.run_folder import REPORT_FILES, RUN_FILE, read_object
from rs2sam.metrics import Protocol
from rs2sam.segmenter import Segmenter
from rs2sam.training.ablation.table import Outcome
from rs2sam.training.ablation.variants import Run
from rs2sam.training.keeping.checkpoints import last_complete_checkpoint
from rs2sam.training.keeping.record import RECIPE_FILE, recipe_differences, record_recipe

logger = logging.getLogger(__name__)

TRAIN, TRAINED, EVALUATION, LOG = "train", "trained", "evaluation", "train.log"
REPORT = "report.json"

_INTERRUPTED = 130
"""Exit code of a training that was stopped on purpose, by Ctrl-C or a batch system; it has left a checkpoint."""

_ERROR = "error: "
_PROCESS = re.compile(r"^\[rank\d+\]:")
_EXCEPTION = re.compile(r"[\w.]*(Error|Exception): ")

Train = Callable[[Path, Path, bool, Path], None]
"""Recipe file, output folder, whether to resume, log file -> a model in the output folder, or an error."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How every run is evaluated.

    Args:
        samples: the same for all runs.
        data: name of the data, for the reports.
        form: format of the data set, or how the samples were made.
        split: of the data.
        protocol: see `rs2sam.evaluation`.
        batch_size: samples that the model reads at once.
        device: of the model; None: a GPU if there is one.
        quiet: show no progress.
    """

    samples: Sequence[Sample]
    data: str
    form: str
    split: str
    protocol: Protocol = "published"
    batch_size: int = 4
    device: str | None = None
    quiet: bool = False


def check_folders(runs: Sequence[Run], output_dir: Path) -> None:
    """Finds out before the first run whether folders hold runs of other recipes.

    Raises:
        InvalidInputError: one does.
    """
    for run in runs:
        folder = output_dir / run.name
        different = recipe_differences(run.recipe, folder) if (folder / RECIPE_FILE).is_file() else []
        if different:
            raise InvalidInputError(
                f"`{folder}` holds a run of another recipe: {'; '.join(different)}. Take another output folder, or "
                "--overwrite."
            )


def do_run(run: Run, output_dir: Path, train: Train, settings: EvaluationSettings) -> Outcome:
    """Train and evaluate what of a run is not done; what stops it becomes part of the outcome.

    Args:
        run: the run.
        output_dir: holds its folder.
        train: trains; not called where the model is there.
        settings: of the evaluation.
    """
    folder = output_dir / run.name
    try:
        model = _trained(run, folder, train)
        return Outcome(run, _evaluated(model, run, folder / EVALUATION, settings))
    except (RS2SAMError, RuntimeError, OSError) as error:  # torch reports a full memory as RuntimeError
        logger.debug("traceback of a failed run", exc_info=True)
        return Outcome(run, error=" ".join(str(error).split()))


def train_by_command(launcher: Sequence[str]) -> Train:
    """Training by `rs2sam train` in a process of its own: a crash or a full memory ends that run alone.

    Args:
        launcher: what starts Python modules, e.g. `["python"]` or `["torchrun", "--nproc-per-node", "8"]`.
    """

    def train(recipe: Path, output: Path, resume: bool, log: Path) -> None:
        """Start the process, wait for it, and pass on a wish to stop."""
        command = [*launcher, "-m", "rs2sam", "train", str(recipe), "-o", str(output)]
        command += ["--resume"] if resume else []
        with log.open("a", encoding="utf-8") as file:
            try:
                process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
            except OSError as error:
                raise InvalidInputError(
                    f"`{launcher[0]}` cannot be started ({words_of(error)}); correct --launcher."
                ) from error
            try:
                with _interrupted_by_sigterm():
                    code = process.wait()
            except KeyboardInterrupt:
                # It finishes its step and writes a checkpoint. A Ctrl-C that has reached it too is the same request.
                process.terminate()
                process.wait()
                raise
        if code == _INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            raise TrainingError(f"{_last_words(log)} (exit code {code}; all of it is in {log})")

    return train


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM, which schedulers send, do as Ctrl-C does, so that no training goes on by itself."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def discard(runs: Sequence[Run], output_dir: Path) -> None:
    """Delete the folders of these runs, and no other."""
    for run in runs:
        if (output_dir / run.name / RECIPE_FILE).is_file():
            shutil.rmtree(output_dir / run.name)


def _trained(run: Run, folder: Path, train: Train) -> Path:
    """The run's model folder: the best by validation where there is one, else the last."""
    output = folder / TRAIN
    if not (folder / TRAINED).is_file():
        record_recipe(run.recipe, folder)
        resume = last_complete_checkpoint(output) is not None
        if not resume and output.exists():
            shutil.rmtree(output)  # stopped before its first checkpoint
        train(folder / RECIPE_FILE, output, resume, folder / LOG)
        if not (output / "model" / "config.json").is_file():
            raise TrainingError(f"training ended without a model; what it said is in {folder / LOG}")
        (folder / TRAINED).touch()
    best = output / "best"
    return best if (best / "config.json").is_file() else output / "model"


def _evaluated(model: Path, run: Run, folder: Path, settings: EvaluationSettings) -> dict[str, Any]:
    """The figures of a run: read where the same was evaluated before, else made."""
    identity = RunIdentity(
        model=run.name,
        weights_sha256=hash_folder(model),
        data=settings.data,
        dataset=settings.form,
        split=settings.split,
        limit=None,
        protocol=settings.protocol,
        num_samples=len(settings.samples),
        samples_sha256=hash_samples(settings.samples),
    )
    same = (folder / RUN_FILE).is_file() and read_object(folder / RUN_FILE, "a run's file") == identity.as_dict()
    if same and all((folder / name).is_file() for name in REPORT_FILES):
        report = read_object(folder / REPORT, "a run's report")
    else:
        options = RunOptions(settings.batch_size, resume=same, overwrite=not same, quiet=settings.quiet)
        written = Campaign(
            lambda device: Segmenter.load(model, backend="torch", device=settings.device or device),
            settings.samples,
            lambda: identity,
            folder,
            options,
            SingleProcess(),
        ).run()
        assert written is not None
        report = written
    figures: dict[str, Any] = report["figures"]["model"]
    return figures


def _last_words(log: Path) -> str:
    """Why training stopped: its last error, else its last exception, else the last line of all.

    Where torchrun starts it, a report of torchrun's own follows, and every process names itself before its lines.
    """
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [_PROCESS.sub("", line).strip() for line in text.splitlines()]
    errors = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
    exceptions = [line for line in lines if _EXCEPTION.match(line) and "torch.distributed.elastic" not in line]
    found = errors or exceptions or [line for line in lines if line]
    return found[-1] if found else "training said nothing"
