"""The curves of a run in one picture, drawn from its log: loss, loss terms, validation, learning rates."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rs2sam.errors import MissingDependencyError, require
from rs2sam.training.reporting.sinks import Entry, loss_terms

if TYPE_CHECKING:
    from matplotlib.axes import Axes

logger = logging.getLogger(__name__)

CURVES_FILE = "training.png"

_FAINT = "#9aa2a9"
_LINES = ("#1f6fb4", "#d1495b", "#2a9d6f", "#e09f3e", "#7b5ea7", "#4c9f9f", "#a0522d", "#5c6670", "#c76b98", "#8a9a2b")
_WIDE = 5  # top over bottom of an axis from which a tick at 1, 2, 5 and 10 is enough
_SMOOTHED_FROM = 40  # fewer points are read better as they are


def draw_curves(entries: Sequence[Entry], path: Path) -> bool:
    """Draw a run and write the picture.

    Args:
        entries: of the log, in the order of their steps.
        path: PNG file; it appears whole or not at all.

    Returns:
        Whether there is a picture: without matplotlib a note says so, and the log holds the same figures.
    """
    try:
        require("matplotlib", "train", f"`{path.name}`")
    except MissingDependencyError as error:
        logger.warning("%s", error)
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    training = [entry for entry in entries if "loss" in entry]
    validations = [entry for entry in entries if "validation" in entry]
    figure = Figure(figsize=(12.5, 8), dpi=110, layout="constrained")
    panels: list[tuple[str, Callable[[Axes], None]]] = [
        ("loss", lambda axes: _draw_loss(axes, training)),
        ("loss terms, before weighting", lambda axes: _draw_terms(axes, training)),
        ("validation [%]", lambda axes: _draw_validation(axes, validations)),
        ("learning rate", lambda axes: _draw_rates(axes, training)),
    ]
    last = max((entry["step"] for entry in entries), default=1)
    for axes, (title, draw) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        axes.set_title(title, loc="left", fontsize=11)
        draw(axes)
        _dress(axes, last)
    temporary = path.with_name(f".{path.name}.tmp")
    FigureCanvasAgg(figure)
    figure.savefig(temporary, format="png")
    os.replace(temporary, path)
    return True


def _dress(axes: Axes, last: int) -> None:
    """Common steps, a light grid, a legend where there are lines."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(0, last * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("step", color=_FAINT)
    axes.grid(color="#e6e8ea", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=9, framealpha=0.8, edgecolor="none")
    else:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", va="center", color=_FAINT)
        axes.set_yticks([])


def _draw_loss(axes: Axes, entries: Sequence[Entry]) -> None:
    """The weighted sum, and the gradient's norm on an axis of its own."""
    if not entries:
        return
    _line(axes, entries, "loss", "weighted sum of all terms", _LINES[0])
    if any(entry.get("grad_norm") is not None for entry in entries):
        other = axes.twinx()
        _line(other, entries, "grad_norm", "", _FAINT)
        _log_scale(other)
        other.set_ylabel("gradient norm, log", color=_FAINT)
        other.tick_params(colors=_FAINT, which="both")
        other.spines[["top"]].set_visible(False)
        axes.plot([], [], color=_FAINT, linewidth=1.5, label="gradient norm before clipping")
        axes.set_zorder(other.get_zorder() + 1)  # the loss in front
        axes.patch.set_visible(False)


def _draw_terms(axes: Axes, entries: Sequence[Entry]) -> None:
    """Every term that is not 0 throughout."""
    names = dict.fromkeys(name for entry in entries for name in loss_terms(entry))
    shown = [name for name in names if np.nanmax(np.abs(_values(entries, name)), initial=0) > 0]
    for number, name in enumerate(shown):
        _line(axes, entries, name, name.replace("_", " "), _LINES[number % len(_LINES)])
    if shown:
        _log_scale(axes)


def _draw_validation(axes: Axes, entries: Sequence[Entry]) -> None:
    """Both IoU in percent; a star at the step whose model is kept as the best."""
    if not entries:
        return
    rows = [entry["validation"] for entry in entries]
    for name, colour in (("mIoU", _LINES[0]), ("oIoU", _LINES[1])):
        axes.plot(_steps(entries), [100 * row[name] for row in rows], "o-", color=colour, markersize=3.5, label=name)
    best = [entry for entry in entries if entry["best"]]
    if best:
        row, step = best[-1]["validation"], best[-1]["step"]
        for name in ("mIoU", "oIoU"):
            axes.plot(step, 100 * row[name], "*", color=_LINES[3], markersize=13, zorder=3)
        label = f"best: step {step}, mIoU {100 * row['mIoU']:.1f}, oIoU {100 * row['oIoU']:.1f}"
        axes.plot([], [], "*", color=_LINES[3], markersize=10, label=label)
    axes.set_ylim(0, 1.1 * max(1.0, *(100 * max(row["mIoU"], row["oIoU"]) for row in rows)))


def _draw_rates(axes: Axes, entries: Sequence[Entry]) -> None:
    """Both groups' rates; one line over the other where they are equal."""
    for name, label, style, colour in (
        ("learning_rate", "pretrained parts", "-", _LINES[0]),
        ("new_learning_rate", "new parts", "--", _LINES[1]),
    ):
        known = [entry for entry in entries if name in entry]
        if known:
            axes.plot(_steps(known), _values(known, name), style, color=colour, label=label)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
    axes.set_ylim(bottom=0)


def _log_scale(axes: Axes) -> None:
    """Powers of ten with their double and fivefold, and more where the range is small, as plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    subs = (1, 2, 5) if high / low > _WIDE else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _line(axes: Axes, entries: Sequence[Entry], name: str, label: str, colour: str) -> None:
    """A curve; a long one is a running mean over a faint trace of every value."""
    steps, values = _steps(entries), _values(entries, name)
    if len(values) < _SMOOTHED_FROM:
        axes.plot(steps, values, color=colour, linewidth=1.5, label=label)
        return
    axes.plot(steps, values, color=colour, linewidth=0.6, alpha=0.25)
    reach = len(values) // 20
    inner = slice(reach // 2, len(values) - reach // 2)  # nearer to the ends it is hardly a mean
    axes.plot(steps[inner], running_mean(values, reach)[inner], color=colour, linewidth=1.7, label=label)


def running_mean(values: np.ndarray, reach: int) -> np.ndarray:
    """The mean of every value with up to `reach` before and after it, as many on either side; NaN is left out.

    Args:
        values: (N,) float64.
        reach: at least 0.

    Returns:
        (N,) float64.
    """
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    places = np.arange(len(values))
    # Fewer on both sides near an end: a window cut on one side only would bend the curve there.
    sides = np.minimum(reach, np.minimum(places, len(values) - 1 - places))
    first, beyond = places - sides, places + sides + 1
    number = counts[beyond] - counts[first]
    means: np.ndarray = np.where(number > 0, (sums[beyond] - sums[first]) / np.maximum(number, 1), np.nan)
    return means


def _steps(entries: Sequence[Entry]) -> np.ndarray:
    return np.array([entry["step"] for entry in entries])


def _values(entries: Sequence[Entry], name: str) -> np.ndarray:
    """(N,) float64, NaN where an entry has no such value."""
    return np.array([np.nan if entry.get(name) is None else entry[name] for entry in entries], dtype=np.float64)
