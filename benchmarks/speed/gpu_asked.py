"""What was asked of a GPU, beside what the pieces of benchmarks/speed/gpu.py read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SHARE, TIMES_PLAIN, MASK_IOU, LATENCY_S, TIMES_TRAINING = 0.45, 8.0, 0.995, 0.015, 3.0
TIMES_READING, MIB_BEYOND_FILE = 1.2, 1024

Pieces = Mapping[str, Any]


def asked(pieces: Pieces) -> list[dict[str, Any]]:
    """The questions in order, answered as far as their pieces are done.

    Args:
        pieces: results by name of the piece; `train-N` say what loops of a case say about each other.

    Returns:
        Rows of `question`, `asked` (None: just the figure), `read` (None: not done), `reached` (None: nothing asked, or
        not done) and `of`, the piece or what else the figure depends on.
    """
    return [*_speed(pieces), *_masks(pieces), *_training(pieces), *_loading(pieces)]


def as_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows for people."""
    marks = {True: "reached", False: "NOT REACHED", None: ""}
    shown = []
    for row in rows:
        read = "not done" if row["read"] is None else f"{row['read']:.4g}"
        goal = "" if row["asked"] is None else f" (asked {row['asked']:g})"
        shown.append(f"{row['question']}: {read}{goal} {marks[row['reached']]} [{row['of']}]")
    return "\n".join(shown)


def _row(question: str, goal: float | None, read: float | None, of: str, *, at_most: bool = False) -> dict[str, Any]:
    reached = None
    if goal is not None and read is not None:
        reached = read <= goal if at_most else read >= goal
    return {"question": question, "asked": goal, "read": read, "reached": reached, "of": of}


def _best(readings: Iterable[tuple[float, str]], *, least: bool = False) -> tuple[float | None, str]:
    """The best reading and its piece; None where there is none."""
    return (min if least else max)(readings, default=(None, "no piece done"))


def _compiled(pieces: Pieces, precision: str, batch: int | None = None) -> dict[str, Any]:
    """Pieces of compiled models in a precision."""
    return {
        name: one
        for name, one in pieces.items()
        if "on_device" in one and one["precision"] == precision and batch in (None, one["batch"])
    }


def _uncompiled(pieces: Pieces, name: str) -> dict[str, Any] | None:
    """The one candidate of an uncompiled piece."""
    return pieces[name]["candidates"][0] if name in pieces else None


def _speed(pieces: Pieces) -> list[dict[str, Any]]:
    """Throughput beside the machine's limit and beside the baseline; latency."""
    rows = []
    plain = _uncompiled(pieces, "plain-float32")
    plain_speed = None if plain is None else plain["best_batch"]["images_per_s"]
    for precision in ("bf16", "fp16"):
        compiled = _compiled(pieces, precision)
        shares = [(one["on_device"]["share_of_matrix_rate"], name) for name, one in compiled.items()]
        speeds = [(one["on_device"]["images_per_s"], name) for name, one in compiled.items()]
        whole = [
            (one["from_pictures"]["images_per_s"], name) for name, one in compiled.items() if "from_pictures" in one
        ]
        fused = _uncompiled(pieces, f"fused-{precision}")
        if fused is not None:
            name = f"fused-{precision}"
            shares.append((fused["share_of_matrix_rate"], name))
            whole.append((fused["best_batch"]["images_per_s"], name))
        rows.append(_row(f"{precision}: share of the matrix rate, images on the device", SHARE, *_best(shares)))
        rows.append(_row(f"{precision}: images/s, images on the device", None, *_best(speeds)))
        best, of = _best(whole)
        rows.append(_row(f"{precision}: images/s, host to host", None, best, of))
        times = None if best is None or plain_speed is None else best / plain_speed
        rows.append(_row(f"{precision}: times the eager float32 baseline's images/s", TIMES_PLAIN, times, of))
        single = _compiled(pieces, precision, batch=1)
        for way in ("from_pictures", "from_arrays", "on_device"):
            waits = [(one[way]["wall_s"], name) for name, one in single.items() if way in one]
            goal = LATENCY_S if way == "from_pictures" else None
            question = f"{precision}: seconds of a single image, {way.replace('_', ' ')}"
            rows.append(_row(question, goal, *_best(waits, least=True), at_most=True))
    return rows


def _masks(pieces: Pieces) -> list[dict[str, Any]]:
    """Masks in half precision beside float32; drawn pictures answer nothing."""
    rows = []
    for name in ("agreement", "agreement-compiled"):
        one = pieces.get(name, {})
        for precision in ("fp16", "bf16"):
            read = one.get(precision, {})
            of = f"{name}, {read.get('masks', 0)} masks of {one.get('pictures', 0)} pictures"
            goal = MASK_IOU if one.get("real", True) else None
            of += "" if one.get("real", True) else ", drawn: give --images"
            how = f"{precision}, compiled" if name.endswith("compiled") else precision
            rows.append(_row(f"{how}: least IoU of a mask with float32's", goal, read.get("least_iou"), of))
            rows.append(_row(f"{how}: mean IoU of masks with float32's", None, read.get("mean_iou"), of))
    return rows


def _training(pieces: Pieces) -> list[dict[str, Any]]:
    """Speed of training beside the plain loop at equal loss; memory with and without checkpointing."""
    rows = []
    for name in sorted(name for name in pieces if name.startswith("train-") and "case" in pieces[name]):
        case = pieces[name]["case"]
        times = pieces[name].get("times_as_fast_as_plain", {})
        of = pieces[name].get("error", f"{name}, equal loss")
        for loop in ("trainer", "compiled", "eager"):
            goal = TIMES_TRAINING if loop == "trainer" else None
            rows.append(_row(f"{case}: {loop} times as fast as plain", goal, times.get(loop), of))
        for loop, memory in pieces[name].get("peak_memory_mib", {}).items():
            rows.append(_row(f"{case}: {loop}, peak MiB", None, memory, name))
    return rows


def _loading(pieces: Pieces) -> list[dict[str, Any]]:
    """The second run, when the file is in the page cache for both."""
    one = pieces.get("loading", {})
    times = one["second_load_s"] / one["second_read_s"] if one else None
    beyond = one["second_host_peak_mib"] - one["file_mib"] if one else None
    more = one.get("second_host_peak_mib_more")
    return [
        _row("load to the device, times reading the file", TIMES_READING, times, "loading", at_most=True),
        _row(
            "peak host memory beyond the file, MiB", MIB_BEYOND_FILE, beyond, "loading, libraries in it", at_most=True
        ),
        _row("host memory that loading adds at its peak, MiB", None, more, "loading"),
    ]
