"""`report.md`, and the tables that both reports share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rs2sam.evaluation.published import COLUMNS, published_size
from rs2sam.evaluation.results import MASK_PROBABILITY, UNKNOWN

Summary = Mapping[str, Any]
Cell = str

PROTOCOLS = {
    "published": "counted at the model's input size, the target resized nearest; IoU is 0 where the union is empty",
    "native": "counted at the image's own size; an empty answer to an empty target counts 1",
}
LINE_NAMES = {
    "everything": "the whole image marked",
    "class_only": "all of the class marked, rest of the sentence ignored",
}

GROUP_NOTE = (
    "Size is the target's share of the image. mIoU of the reference lines: “whole image”: "
    f"{LINE_NAMES['everything']}; “class only”: {LINE_NAMES['class_only']}."
)


@dataclass(frozen=True)
class Table:
    """A heading line and rows of text; the first column is text, the others are numbers."""

    header: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def as_markdown(self) -> str:
        """Pipes and dashes."""
        rule = ["---", *["---:"] * (len(self.header) - 1)]
        lines = [self.header, rule, *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def percent(share: float | None, digits: int = 2) -> Cell:
    """A share in percent, a dash where it is unknown."""
    return "-" if share is None else f"{100 * share:.{digits}f}"


def main_table(summary: Summary) -> Table:
    """The measured row beside reference lines and published rows."""
    run, figures = summary["run"], summary["figures"]
    rows = [(f"**{run['model']}** (measured)", *_shares(figures["model"]))]
    for line, words in LINE_NAMES.items():
        if figures[line] is not None:
            few = "" if figures[line]["n"] == figures["model"]["n"] else f" (n = {figures[line]['n']})"
            rows.append((f"reference: {words}{few}", *_shares(figures[line])))
    for row in summary["published"]:
        cells = [f"{row[column]:.2f}" if column in row else "-" for column in COLUMNS]
        rows.append((f"published: {row['method']}", *cells))
    return Table(("", *COLUMNS), tuple(rows))


def published_note(summary: Summary) -> str | None:
    """What a reader must know before comparing with published rows."""
    if not summary["published"]:
        return None
    if summary["run"]["protocol"] != "published":
        return "Published rows are under the protocol `published`; this evaluation is not, so compare with care."
    whole = published_size(summary["run"]["dataset"], summary["run"]["split"])
    if summary["run"]["num_samples"] != whole:
        return f"Published rows are of {whole} samples; this evaluation is of {summary['run']['num_samples']}."
    return None


def group_tables(summary: Summary) -> list[tuple[str, Table]]:
    """Heading and table of each grouping that the dataset allows."""
    return [
        (heading, group_table(summary[key], heading))
        for key, heading in _GROUPINGS
        if [row["name"] for row in summary[key]] != [UNKNOWN]
    ]


_GROUPINGS = (("by_kind", "kind of sentence"), ("by_category", "category"), ("by_size", "size of target"))


def group_table(rows: Sequence[Mapping[str, Any]], heading: str) -> Table:
    """A row a group."""
    header = (heading, "n", "mIoU", "oIoU", "Pr@0.5", "Pr@0.7", "Pr@0.9", "whole image", "class only")
    return Table(
        header,
        tuple(
            (
                row["name"],
                str(row["n"]),
                *(percent(row[name]) for name in ("mIoU", "oIoU", "Pr@0.5", "Pr@0.7", "Pr@0.9")),
                percent(row["everything"]),
                percent(row["class_only"]),
            )
            for row in rows
        ),
    )


def sweep_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The metric row at each threshold."""
    return Table(
        ("probability above", "mIoU", "oIoU", "Pr@0.5", "Pr@0.7", "Pr@0.9"),
        tuple(
            (
                f"{row['threshold']:.1f}{' (as measured)' if row['threshold'] == MASK_PROBABILITY else ''}",
                *(percent(row[name]) for name in ("mIoU", "oIoU", "Pr@0.5", "Pr@0.7", "Pr@0.9")),
            )
            for row in rows
        ),
    )


def calibration_lines(summary: Summary) -> list[str]:
    """What presence and predicted IoU are worth, in words; empty for weights without the heads."""
    lines = []
    presence, score = summary["calibration"]["presence"], summary["calibration"]["score"]
    if presence is not None:
        auc = presence["area_under_curve"]
        order = "all samples are alike, so no order can be judged" if auc is None else f"area under the curve {auc:.3f}"
        lines.append(
            f"Presence: Brier score {presence['mean_square']:.4f}, expected calibration error "
            f"{presence['expected_error']:.4f}, {order}; {percent(presence['share_present'], 1)} % of {presence['n']} "
            "samples have a target."
        )
    if score is not None:
        lines.append(
            f"Predicted IoU: root mean square error {score['mean_square'] ** 0.5:.4f}, expected calibration error "
            f"{score['expected_error']:.4f} (n = {score['n']})."
        )
    return lines


def title(summary: Summary) -> str:
    """Heading of both reports."""
    run = summary["run"]
    split = "all samples" if run["split"] is None else run["split"]
    return f"{run['model']} on {run['data']} ({run['dataset']}), {split}"


def subtitle(summary: Summary) -> str:
    """What the figures mean."""
    run = summary["run"]
    # A limit above what there is chooses nothing.
    part = " (evenly chosen)" if run["limit"] == run["num_samples"] else ""
    return (
        f"{run['num_samples']} samples{part}, protocol `{run['protocol']}`: {PROTOCOLS[run['protocol']]}. In percent."
    )


def time_line(summary: Summary) -> str:
    """Seconds a sample."""
    seconds, settings = summary["seconds_per_sample"], summary["settings"]
    return (
        f"Seconds per sample, without reading files: mean {seconds['mean']:.3f}, median {seconds['median']:.3f}, "
        f"90 % below {seconds['percentile_90']:.3f} ({settings['backend']}, batches of {settings['batch_size']}, "
        f"{settings['processes']} process{'es' if settings['processes'] > 1 else ''})."
    )


def as_markdown(summary: Summary) -> str:
    """The content of `report.md`."""
    note = published_note(summary)
    parts = [f"# {title(summary)}", subtitle(summary), main_table(summary).as_markdown(), *([note] if note else [])]
    for heading, table in group_tables(summary):
        parts += [f"## By {heading}", table.as_markdown()]
    parts += [GROUP_NOTE]
    if summary["threshold_sweep"]:
        parts += ["## Threshold", sweep_table(summary["threshold_sweep"]).as_markdown()]
    if calibration_lines(summary):
        parts += ["## Calibration", *calibration_lines(summary)]
    parts += ["## Time", time_line(summary)]
    parts += ["Pictures and plots: `report.html`. Every sample: `samples.jsonl`. Everything here: `report.json`."]
    return "\n\n".join(parts) + "\n"


def _shares(row: Mapping[str, Any]) -> list[Cell]:
    """The published columns of a metric row."""
    return [percent(row[column]) for column in COLUMNS]
