"""Where the figures of a run go: a log file, the terminal, TensorBoard.

An entry is one line of the log, a mapping ready for JSON. `step` is in every entry. An entry of training has `loss`,
the loss terms before weighting, `learning_rate`, `new_learning_rate`, `grad_norm`, `samples_per_second`, `seconds`
since the start, and `epoch`, passes over the data, where it has an end; one of a validation has `validation`, the
metric row, and `best`.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from PIL import Image
from tqdm import tqdm

from rs2sam.errors import MissingDependencyError, require
from rs2sam.fields import parse_json

logger = logging.getLogger(__name__)

Entry: TypeAlias = Mapping[str, Any]

TIME_FIELDS = frozenset({"seconds", "samples_per_second"})
"""What differs between two runs that compute the same."""

LOG_FILE = "log.jsonl"
_NO_TERMS = TIME_FIELDS | {"step", "epoch", "loss", "learning_rate", "new_learning_rate", "grad_norm", "validation"}
_NUM_LINES = 50
_BAR = "{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left{postfix}]"


def loss_terms(entry: Entry) -> dict[str, float]:
    """The loss terms in an entry of training, by name."""
    return {name: value for name, value in entry.items() if name not in _NO_TERMS and isinstance(value, float)}


class Sink(Protocol):
    """Takes what a run reports."""

    def begin(self, step: int, num_steps: int) -> None:
        """The run starts, or goes on, after `step` of `num_steps`."""

    def stepped(self, step: int) -> None:
        """An optimisation step is done."""

    def logged(self, entry: Entry) -> None:
        """An entry of training."""

    def validated(self, entry: Entry, sheet: Image.Image | None) -> None:
        """An entry of a validation, with its picture sheet."""

    def end(self) -> None:
        """The run is done."""


class LogFile:
    """One JSON object a line, appended as it comes; a resumed run first cuts what lies beyond its checkpoint.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, step: int, num_steps: int) -> None:
        """Cut entries beyond `step`, so that the file becomes that of a run that was never interrupted."""
        kept = [entry for entry in read_log(self.path) if entry["step"] <= step] if step else []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        temporary.write_text("".join(map(_line, kept)), encoding="utf-8")
        os.replace(temporary, self.path)

    def stepped(self, step: int) -> None:
        """Nothing: only entries are written."""

    def logged(self, entry: Entry) -> None:
        """Append an entry."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(entry))

    def validated(self, entry: Entry, sheet: Image.Image | None) -> None:
        """Append an entry; the sheet is a file of its own."""
        self.logged(entry)

    def end(self) -> None:
        """Nothing is open."""


def read_log(path: Path) -> list[dict[str, Any]]:
    """The entries of a log file, none where there is no file.

    A line that was cut short by a kill, or is none of ours, is left out.
    """
    if not path.is_file():
        return []
    entries = []
    for line in path.read_bytes().splitlines():
        try:
            entry = parse_json(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and type(entry.get("step")) is int:
            entries.append(entry)
    return entries


def _line(entry: Entry) -> str:
    """An entry as a line; JSON has no word for what is not finite, so that becomes null."""
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in entry.items()
    }
    return json.dumps(finite, ensure_ascii=False) + "\n"


class Terminal:
    """A bar on stderr with loss, rate and time left; where stderr is no terminal, about fifty lines a run."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._first = self._num_steps = self._next_line = 0
        self._started = 0.0
        self._validation = ""

    def begin(self, step: int, num_steps: int) -> None:
        """Start the bar, or count the lines."""
        self._first, self._num_steps, self._next_line = step, num_steps, step
        self._started = time.monotonic()
        if sys.stderr.isatty():
            self._bar = tqdm(
                total=num_steps, initial=step, desc="train", bar_format=_BAR, dynamic_ncols=True, file=sys.stderr
            )

    def stepped(self, step: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(step - self._bar.n)

    def logged(self, entry: Entry) -> None:
        """Show loss and rate beside the bar, or as a line if one is due."""
        figures = f"loss {entry['loss']:.4f}, {entry['samples_per_second']:.3g} samples/s{self._validation}"
        if self._bar is not None:
            self._bar.set_postfix_str(figures)
        elif entry["step"] >= self._next_line or entry["step"] == self._num_steps:
            self._next_line = entry["step"] + max(1, self._num_steps // _NUM_LINES)
            self._say(f"step {entry['step']}/{self._num_steps}  {figures}  {self._left(entry)} left")

    def validated(self, entry: Entry, sheet: Image.Image | None) -> None:
        """Say the figures in a line, and keep the mean IoU beside the bar."""
        row = entry["validation"]
        self._validation = f", val mIoU {100 * row['mIoU']:.1f}"
        best = "  best so far" if entry["best"] else ""
        self._say(
            f"step {entry['step']}/{self._num_steps}  validation: mIoU {100 * row['mIoU']:.2f}  "
            f"oIoU {100 * row['oIoU']:.2f}  Pr@0.5 {100 * row['Pr@0.5']:.2f}  ({row['n']} samples){best}"
        )

    def end(self) -> None:
        """Leave the full bar."""
        if self._bar is not None:
            self._bar.close()

    def _left(self, entry: Entry) -> timedelta:
        """Time until the end at the pace of this process, validations included."""
        pace = (time.monotonic() - self._started) / max(1, entry["step"] - self._first)
        return timedelta(seconds=round(pace * (self._num_steps - entry["step"])))

    def _say(self, text: str) -> None:
        """A line of its own, above the bar if there is one."""
        tqdm.write(text, file=sys.stderr)


class TensorBoard:
    """Event files of TensorBoard; a resumed run hides what lies beyond its checkpoint.

    Args:
        folder: of the event files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None

    def begin(self, step: int, num_steps: int) -> None:
        """Open a file; without the package say so and go on, since every figure is in the log as well."""
        try:
            require("tensorboard", "train", "the TensorBoard log")
        except MissingDependencyError as error:
            logger.warning("%s. Or set `tensorboard: false`; %s holds the same figures.", error, LOG_FILE)
            return
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(self.folder, purge_step=step + 1)

    def stepped(self, step: int) -> None:
        """Nothing: only entries are written."""

    def logged(self, entry: Entry) -> None:
        """Loss, terms, rates and pace as curves."""
        curves = {f"loss/{name}": value for name, value in loss_terms(entry).items()}
        curves["loss/total"] = entry["loss"]
        for group, names in (
            ("rate", ("learning_rate", "new_learning_rate")),
            ("run", ("grad_norm", "samples_per_second")),
        ):
            curves.update({f"{group}/{name}": entry[name] for name in names if name in entry})
        self._write(curves, entry["step"])

    def validated(self, entry: Entry, sheet: Image.Image | None) -> None:
        """The metric row as curves, the sheet as a picture."""
        if self._writer is not None and sheet is not None:
            self._writer.add_image("validation", np.asarray(sheet), entry["step"], dataformats="HWC")
        row = entry["validation"]
        self._write({f"validation/{name}": row[name] for name in row if isinstance(row[name], float)}, entry["step"])

    def end(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()

    def _write(self, curves: Mapping[str, float], step: int) -> None:
        if self._writer is None:
            return
        for name, value in curves.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()
