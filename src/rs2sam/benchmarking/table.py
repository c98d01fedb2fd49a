"""A benchmark's report as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

REFERENCE = "torch plain float32"
"""The candidate that the others' answers are read against."""

_COLUMNS = (
    "",
    "load s",
    "batch 1 ms",
    "CPU ms",
    "images/s",
    "at batch",
    "MiB",
    "of matrix rate",
    "by CPU time",
    "least IoU",
    "max dp",
)


def as_text(report: dict[str, Any]) -> str:
    """Tables of candidates and of stages, with what they were read on."""
    machine, flops = report["machine"], report["flops_per_image"]
    operations = "" if flops is None else f", {flops['total'] / 1e9:.1f} GFLOP an image"
    lines = [
        f"{report['model']}{operations}; {machine['cpu']}, {machine['cores']} cores",
        "matrix rate: "
        + ", ".join(f"{name} {rate['wall'] / 1e9:.0f} GFLOP/s" for name, rate in report["matrix_flops_per_s"].items()),
        "",
        *_aligned([_COLUMNS, *map(_row, report["candidates"])]),
        "",
        *_aligned(_stage_rows(report)),
    ]
    if all(candidate["name"] != REFERENCE for candidate in report["candidates"]):
        lines.append(
            f"No agreement: it is read against `{REFERENCE}`, which was not measured "
            "(leave --only out; without torch: pip install 'rs2sam[torch]')."
        )
    return "\n".join(lines)


def _row(candidate: dict[str, Any]) -> tuple[str, ...]:
    best, agreement, share = candidate["best_batch"], candidate["agreement"], candidate["share_of_matrix_rate"]
    return (
        candidate["name"],
        f"{candidate['load']['wall_s']:.2f}",
        _ms(candidate["latency"]["wall_s"]),
        _ms(candidate["latency"]["cpu_s"]),
        f"{best['images_per_s']:.2f}",
        str(best["batch"]),
        f"{candidate['peak_memory_mib']['batch_1']:.0f}",
        "-" if share is None else f"{100 * share:.0f} %",
        "-" if share is None else f"{100 * candidate['share_by_cpu_time']:.0f} %",
        "-" if agreement is None else f"{agreement['least_mask_iou']:.4f}",
        "-" if agreement is None else f"{agreement['max_probability_difference']:.1e}",
    )


def _stage_rows(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """Milliseconds of each stage at batch 1, for the candidates whose stages can be told apart."""
    around = report["around"]
    measured = [name for candidate in report["candidates"] for name in candidate["stages"]]
    names = list(dict.fromkeys(measured)) or ["union", "trunk", "decoder"]
    rows: list[tuple[str, ...]] = [("ms", "preprocess", *names, "postprocess")]
    ends = _ms(around["preprocess"]["wall_s"]), _ms(around["postprocess"]["wall_s"])
    for candidate in report["candidates"]:
        stages = candidate["stages"]
        inner = [_ms(stages[name]["wall_s"]) if name in stages else "-" for name in names]
        rows.append((candidate["name"], ends[0], *inner, ends[1]))
    return rows


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines, the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) if not number else cell.rjust(width) for number, (cell, width) in pairs).rstrip()
        for pairs in (list(enumerate(zip(row, widths, strict=True))) for row in rows)
    ]
