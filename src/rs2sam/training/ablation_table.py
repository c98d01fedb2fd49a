"""The table of an ablation: rows as the paper has them, mean and spread over seeds, published figures beside them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rs2sam.training.ablation import ParameterCounts, Run

METRICS: tuple[str, ...] = ("mIoU", "oIoU", "Pr@0.5", "Pr@0.7", "Pr@0.9")
PUBLISHED_ON = "RefSegRS test"


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


def summarize(
    outcomes: Sequence[Outcome], counts: Mapping[str, ParameterCounts], setting: Mapping[str, Any]
) -> dict[str, Any]:
    """All that is known, ready for JSON.

    Args:
        outcomes: of all runs of the grid.
        counts: row -> its model's parameters.
        setting: what all runs share: recipe, data, split, protocol, seeds.

    Returns:
        `setting`; `rows`, one for each row of the table, figures as shares in [0, 1]; `runs`, one for each run.
    """
    rows: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        rows.setdefault(outcome.run.row, []).append(outcome)
    return {
        "setting": dict(setting),
        "published_on": PUBLISHED_ON,
        "rows": [_row(label, members, counts[label]) for label, members in rows.items()],
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
    heading = ["", "runs", *METRICS, "mIoU published", "oIoU published", "parameters [M]", "new [M]"]
    lines = [_setting_line(summary["setting"]), "", _line(heading), _line(["---"] * len(heading))]
    for row in summary["rows"]:
        figures = row["figures"]
        cells = [Spread(**figures[name]).percent() if name in figures else "-" for name in METRICS]
        published = row["published"] or {}
        cells += [f"{published[name]:.2f}" if published.get(name) is not None else "-" for name in ("mIoU", "oIoU")]
        cells += [f"{row['parameters'][name] / 1e6:.2f}" for name in ("total", "new")]
        lines.append(_line([row["label"], f"{row['finished']}/{row['planned']}", *cells]))
    lines += ["", f"Published figures: {summary['published_on']}, arXiv 2503.07266; `-`: not known."]
    if any(row["finished"] > 1 for row in summary["rows"]):
        lines.append("Figures: mean ± standard deviation over seeds.")
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


def _row(label: str, members: Sequence[Outcome], count: ParameterCounts) -> dict[str, Any]:
    """One row: its runs' figures over seeds."""
    found = [outcome.figures for outcome in members if outcome.figures is not None]
    published = members[0].run.published
    return {
        "label": label,
        "variant": members[0].run.variant,
        "planned": len(members),
        "finished": len(found),
        "figures": {name: vars(Spread.of([row[name] for row in found])) for name in METRICS} if found else {},
        "published": None if published is None else dict(zip(("mIoU", "oIoU"), published, strict=True)),
        "parameters": vars(count),
    }


def _setting_line(setting: Mapping[str, Any]) -> str:
    """What all rows share, in words."""
    samples = "-" if setting["num_samples"] is None else setting["num_samples"]
    return (
        f"{setting['recipe']} on {setting['data']}, split {setting['split']}, {samples} samples, protocol "
        f"{setting['protocol']}, seeds {', '.join(map(str, setting['seeds']))}"
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
