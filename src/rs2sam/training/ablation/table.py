"""The table of an ablation: rows as the paper has them, mean and spread over seeds, published figures beside them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rs2sam.training.ablation.variants import ParameterCounts, Run

METRICS: tuple[str, ...] = ("mIoU", "oIoU", "Pr@0.5", "Pr@0.7", "Pr@0.9")
PUBLISHED_ON = "RefSegRS test"
REFERENCE = "full"
"""The variant that others are compared with; without it the first row is."""

_T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Two-sided 95 % points of Student's t for 1 to 9 degrees of freedom."""
_NORMAL_95 = 1.96


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Args:
        run: the run.
        figures: metric -> share in [0, 1], with `n` and `protocol`; None where there are none.
        error: why there are none, one line; None where there are, or where the run's turn has not come.
    """

    run: Run
    figures: Mapping[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True)
class Spread:
    """A figure over the seeds.

    Args:
        mean: of all of them.
        deviation: standard deviation of the sample (n - 1); None for one seed.
    """

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise at least one value."""
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)

    def percent(self) -> str:
        """`73.90 ± 0.41`, or the mean alone."""
        mean = f"{100 * self.mean:.2f}"
        return mean if self.deviation is None else f"{mean} ± {100 * self.deviation:.2f}"


@dataclass(frozen=True)
class Difference:
    """A row's figure less the reference's, runs of one seed against each other.

    Args:
        mean: over the seeds that both rows have.
        half_width: of the 95 % interval around it, by Student's t over seeds; None for one seed.
    """

    mean: float
    half_width: float | None

    @classmethod
    def of(cls, differences: Sequence[float]) -> Difference:
        """Summarise at least one difference."""
        spread, count = Spread.of(differences), len(differences)
        if spread.deviation is None:
            return cls(spread.mean, None)
        quantile = _T_95[count - 2] if count - 2 < len(_T_95) else _NORMAL_95
        return cls(spread.mean, quantile * spread.deviation / math.sqrt(count))

    def percent(self) -> str:
        """`-1.20 [-3.40, +1.00]`, or the mean alone."""
        mean = f"{100 * self.mean:+.2f}"
        if self.half_width is None:
            return mean
        low, high = 100 * (self.mean - self.half_width), 100 * (self.mean + self.half_width)
        return f"{mean} [{low:+.2f}, {high:+.2f}]"


def summarize(
    outcomes: Sequence[Outcome], counts: Mapping[str, ParameterCounts], setting: Mapping[str, Any]
) -> dict[str, Any]:
    """All that is known, ready for JSON.

    Args:
        outcomes: of all runs of the grid.
        counts: row -> its model's parameters.
        setting: what all runs share: recipe, data, split, protocol, seeds.

    Returns:
        `setting`; `reference`, the row that others are compared with; `rows`, one for each row of the table, figures as
        shares in [0, 1]; `runs`, one for each run.
    """
    rows: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        rows.setdefault(outcome.run.row, []).append(outcome)
    variants = {label: members[0].run.variant for label, members in rows.items()}
    reference = next((label for label, variant in variants.items() if variant == REFERENCE), next(iter(rows), ""))
    return {
        "setting": dict(setting),
        "published_on": PUBLISHED_ON,
        "reference": reference,
        "rows": [_row(label, members, counts[label], rows[reference]) for label, members in rows.items()],
        "runs": [
            {
                "name": outcome.run.name,
                "row": outcome.run.row,
                "variant": outcome.run.variant,
                "seed": outcome.run.seed,
                "figures": None if outcome.figures is None else dict(outcome.figures),
                "error": outcome.error,
            }
            for outcome in outcomes
        ],
    }


def as_markdown(summary: Mapping[str, Any]) -> str:
    """A summary as a table; percent, with the standard deviation over seeds where there is one."""
    compared = f"mIoU against `{summary['reference']}`"
    heading = ["", "runs", *METRICS, compared, "mIoU published", "oIoU published", "parameters [M]", "new [M]"]
    lines = [_setting_line(summary["setting"]), "", _line(heading), _line(["---"] * len(heading))]
    for row in summary["rows"]:
        figures = row["figures"]
        cells = [Spread(**figures[name]).percent() if name in figures else "-" for name in METRICS]
        cells.append(Difference(**row["differences"]["mIoU"]).percent() if row["differences"] else "-")
        published = row["published"] or {}
        cells += [f"{published[name]:.2f}" if published.get(name) is not None else "-" for name in ("mIoU", "oIoU")]
        cells += [f"{row['parameters'][name] / 1e6:.2f}" for name in ("total", "new")]
        lines.append(_line([row["label"], f"{row['finished']}/{row['planned']}", *cells]))
    lines += ["", f"Published figures: {summary['published_on']}, arXiv 2503.07266; `-`: not known."]
    if any(row["finished"] > 1 for row in summary["rows"]):
        lines.append(
            "Figures: mean ± standard deviation over seeds; differences: mean over pairs of one seed, with the 95 % "
            "interval by Student's t."
        )
    failed = [run for run in summary["runs"] if run["error"]]
    if failed:
        lines += ["", "Failed:", ""] + [f"- {run['name']}: {run['error']}" for run in failed]
    return "\n".join(lines) + "\n"


def plan_as_markdown(runs: Sequence[Run], counts: Mapping[str, ParameterCounts]) -> str:
    """The runs that a grid has, with parameter counts."""
    lines = [_line(["run", "row", "seed", "parameters", "new", "frozen"]), _line(["---"] * 6)]
    for run in runs:
        count = counts[run.row]
        numbers = [f"{number:,}" for number in (count.total, count.new, count.frozen)]
        lines.append(_line([run.name, run.row, str(run.seed), *numbers]))
    return "\n".join(lines) + "\n"


def _row(
    label: str, members: Sequence[Outcome], count: ParameterCounts, reference: Sequence[Outcome]
) -> dict[str, Any]:
    """One row: its runs' figures over seeds, and how far they are from the reference's of the same seeds."""
    found = [outcome.figures for outcome in members if outcome.figures is not None]
    published = members[0].run.published
    return {
        "label": label,
        "variant": members[0].run.variant,
        "planned": len(members),
        "finished": len(found),
        "figures": {name: vars(Spread.of([row[name] for row in found])) for name in METRICS} if found else {},
        "differences": {} if members is reference else _differences(members, reference),
        "published": None if published is None else dict(zip(("mIoU", "oIoU"), published, strict=True)),
        "parameters": vars(count),
    }


def _differences(members: Sequence[Outcome], reference: Sequence[Outcome]) -> dict[str, Any]:
    """Metric -> difference, over the seeds of which both rows have figures."""
    theirs = {outcome.run.seed: outcome.figures for outcome in reference if outcome.figures is not None}
    pairs = [(one.figures, theirs[one.run.seed]) for one in members if one.figures and one.run.seed in theirs]
    return {name: vars(Difference.of([a[name] - b[name] for a, b in pairs])) for name in METRICS} if pairs else {}


def _setting_line(setting: Mapping[str, Any]) -> str:
    """What all rows share, in words."""
    samples = "-" if setting["num_samples"] is None else setting["num_samples"]
    return (
        f"{setting['recipe']} on {setting['data']}, split {setting['split']}, {samples} samples, protocol "
        f"{setting['protocol']}, seeds {', '.join(map(str, setting['seeds']))}"
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
