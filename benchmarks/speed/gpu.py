"""All figures that need a GPU, in pieces that fit into short sessions; what is done is not done again.

    python -m benchmarks.speed.gpu --out DIR                     # as many pieces as 9 minutes hold; call it again
    python -m benchmarks.speed.gpu --out DIR --list              # the pieces, and which are done
    python -m benchmarks.speed.gpu --out DIR --only loading      # one piece, done or not
    python -m benchmarks.speed.gpu --out DIR --toy               # every piece at toy size on the CPU

Writes DIR/summary.json and nothing else there: every piece's result, the errors of those that failed, and `asked`,
what was asked beside what was read. It is written anew after every piece, and a later call goes on from it; copied to
another machine of the same kind, it goes on there. Drawn weights (1.8 GB), compiled code and logs go to SCRATCH, by
default DIR-scratch beside DIR.

Every piece is a process of its own. One that fails or runs out of time is tried again when no other is left, and what
it had found until then is in the summary. `--images` names a folder of pictures on which `compact` is compared in half
precision with float32; without, the drawn scene answers nothing. Of the package's libraries, rasterio and shapely
are not needed; an uninstalled copy runs with PYTHONPATH=src.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.files import write_json
from benchmarks.speed.gpu_asked import as_text, asked
from benchmarks.speed.gpu_pieces import (
    BATCH,
    TOY_BATCH,
    Found,
    Piece,
    Place,
    agreement,
    attention,
    compiled,
    device_facts,
    loading,
    pictures,
    training,
    uncompiled,
)
from benchmarks.speed.train_step import CASES, LOOPS, compared

GRAPHS, TUNED = "reduce-overhead", "max-autotune"
"""Modes of torch.compile: CUDA graphs; the same with every kernel tuned, which may take longer than a session."""
LEAST_S = 20.0
"""What a piece at toy size is given at least."""


def pieces(toy: bool) -> dict[str, Piece]:
    """All pieces by name, the most wanted first."""
    batch = TOY_BATCH if toy else BATCH
    found = {
        "plain-float32": Piece(lambda place, keep: uncompiled(place, "plain", "float32", keep), 120),
        "fused-bf16": Piece(lambda place, keep: uncompiled(place, "fused", "bf16", keep), 90),
        "agreement": Piece(agreement, 60),
        "loading": Piece(lambda place, _: loading(place), 30),
        "graphs-bf16-1": _compiled("bf16", GRAPHS, 1),
        f"graphs-bf16-{batch}": _compiled("bf16", GRAPHS, batch),
        "attention": Piece(attention, 60),
        "fused-fp16": Piece(lambda place, keep: uncompiled(place, "fused", "fp16", keep), 90),
        "pictures": Piece(lambda place, _: pictures(place), 60),
    }
    trained = training_pieces(toy)
    found |= {name: piece for name, piece in trained.items() if not name.endswith("compiled")}
    found |= {
        "graphs-fp16-1": _compiled("fp16", GRAPHS, 1),
        f"graphs-fp16-{batch}": _compiled("fp16", GRAPHS, batch),
        "agreement-compiled": Piece(lambda place, keep: agreement(place, keep, GRAPHS), 240),
        "tuned-bf16-1": _compiled("bf16", TUNED, 1),
        f"tuned-bf16-{batch}": _compiled("bf16", TUNED, batch),
    }
    return found | trained


def _compiled(precision: str, mode: str, batch: int) -> Piece:
    """A compiled model; tuning takes most of a session's longest command."""
    needs_s = 180 if mode == GRAPHS else 420
    return Piece(lambda place, keep: compiled(place, precision, mode, batch, keep), needs_s)


def training_pieces(toy: bool) -> dict[str, Piece]:
    """Every loop of every case, but plain ones that would be another's: they checkpoint nothing."""
    device = "toy" if toy else "cuda"
    found = {}
    for number, case in enumerate(CASES[device]):
        for loop in LOOPS[device]:
            if _measured_in(device, number, loop) == number:
                needs_s = 240 if loop == "compiled" else 90
                found[f"train-{number}-{loop}"] = Piece(
                    lambda place, _, case=case, loop=loop: training(place, case, loop),  # type: ignore[misc]
                    needs_s,
                )
    return found


def _measured_in(device: str, number: int, loop: str) -> int:
    """The case in which a loop of a case is measured."""
    cases = [dict(case) for case in CASES[device].values()]
    if loop != "plain" or not cases[number].pop("activation_checkpointing", False):
        return number
    return cases.index(cases[number])


def run_piece(name: str, place: Place, out: Path, timeout_s: float) -> tuple[Found | None, str | None]:
    """Run a piece in a process of its own.

    Returns:
        What it found, and why that is not all, or None where it is.
    """
    result, log = place.scratch / f"{name}.json", place.scratch / f"{name}.log"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.speed.gpu", "--out", str(out), "--scratch", str(place.scratch)]
    command += ["--piece", name, *(["--toy"] if place.toy else [])]
    command += [] if place.images is None else ["--images", str(place.images)]
    with log.open("wb") as stream:
        # A group of its own, so that the compiler's processes end with it; no session, which would outlive this one.
        process = subprocess.Popen(command, stdout=stream, stderr=stream, preexec_fn=os.setpgrp)
        try:
            code, why = process.wait(timeout_s), ""
        except BaseException as stopped:
            os.killpg(process.pid, signal.SIGKILL)
            code, why = process.wait(), f"not done after {timeout_s:.0f} s\n"
            if not isinstance(stopped, subprocess.TimeoutExpired):
                raise
    found = json.loads(result.read_text(encoding="utf-8")) if result.is_file() else None
    said = log.read_text(encoding="utf-8", errors="replace")[-4000:]
    return found, f"{why}exit code {code}\n{said}" if code else None


def run_here(name: str, place: Place) -> None:
    """Run a piece in this process and write what it finds into the scratch folder."""
    from rs2sam.benchmarking.machine import describe_machine

    facts = {"machine": describe_machine() | device_facts(place)}

    def keep(found: Found) -> None:
        write_json(facts | found, place.scratch / f"{name}.json")

    keep(pieces(place.toy)[name].run(place, keep))


def compared_cases(done: dict[str, Found], toy: bool) -> dict[str, Found]:
    """What the loops of each case say about each other."""
    device = "toy" if toy else "cuda"
    found: dict[str, Found] = {}
    for number, case in enumerate(CASES[device]):
        names = {loop: f"train-{_measured_in(device, number, loop)}-{loop}" for loop in LOOPS[device]}
        loops = {loop: done.get(name, {"error": "not done"}) for loop, name in names.items()}
        measured = {loop: one for loop, one in loops.items() if "error" not in one}
        if measured:
            memory = {
                loop: one.get("peak_gpu_memory_mib", one.get("peak_memory_mib")) for loop, one in measured.items()
            }
            found[f"train-{number}"] = {"case": case, "peak_memory_mib": memory}
            try:
                found[f"train-{number}"] |= compared(device, loops)
            except ValueError as error:  # other losses
                found[f"train-{number}"]["error"] = str(error)
    return found


class Summary:
    """The file of results.

    Args:
        file: where; what an earlier call wrote is read.
        toy: which pieces there are.
    """

    def __init__(self, file: Path, toy: bool) -> None:
        self.file, self.toy = file, toy
        before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if before.get("toy", toy) != toy:
            raise SystemExit(f"{file} holds {'full' if toy else 'toy'} sizes: choose another --out.")
        self.done: dict[str, Found] = before.get("pieces", {})
        self.failed: dict[str, Found] = before.get("failed", {})

    def open_pieces(self) -> list[str]:
        """What is not done, what failed before at the end."""
        names = [name for name in pieces(self.toy) if name not in self.done]
        return sorted(names, key=lambda name: name in self.failed)

    def take(self, name: str, seconds: float, found: Found | None, error: str | None) -> None:
        """Take in how a piece ended, and write the file."""
        self.failed.pop(name, None)
        if error is None and found is not None:
            self.done[name] = {"seconds": round(seconds, 1), **found}
        else:
            self.failed[name] = {"seconds": round(seconds, 1), "error": error, "found": found}
        self.write()

    def asked(self) -> list[dict[str, Any]]:
        """What was asked beside what was read; a piece that ran out of time counts with what it found."""
        partly = {name: one["found"] for name, one in self.failed.items() if one["found"]}
        return asked(partly | self.done | compared_cases(self.done, self.toy))

    def write(self) -> None:
        """Write the file."""
        values = {"toy": self.toy, "asked": self.asked(), "pieces": self.done, "failed": self.failed}
        write_json(values | {"training": compared_cases(self.done, self.toy)}, self.file)


def main() -> None:
    """Run what is not done until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, help="folder for what is large [default: beside DIR]")
    parser.add_argument("--minutes", type=float, default=9.0, help="no piece is started or left running beyond this")
    parser.add_argument("--images", type=Path, help="folder of pictures for the comparison of precisions")
    parser.add_argument("--only", help="one piece, done or not")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--piece", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    out = arguments.out.resolve()
    scratch = (arguments.scratch or out.with_name(f"{out.name}-scratch")).resolve()
    place = Place(scratch, arguments.toy, arguments.images)
    known = pieces(place.toy)
    if arguments.only and arguments.only not in known:
        parser.error(f"--only must be one of {', '.join(known)}, not {arguments.only}")
    for folder in (out, scratch):
        folder.mkdir(parents=True, exist_ok=True)
    # Compiled code outlives a process, so that a piece that ran out of time gets further the next time.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(scratch / "compiled"))
    if arguments.piece:
        run_here(arguments.piece, place)
        return
    summary = Summary(out / "summary.json", place.toy)
    if arguments.list:
        states = {name: "failed" if name in summary.failed else "open" for name in summary.open_pieces()}
        print("\n".join(f"{states.get(name, 'done'):6}  {name}" for name in known))
        return
    _ = place.model  # drawn before the first piece's clock runs
    for name in [arguments.only] if arguments.only else summary.open_pieces():
        start = time.monotonic()
        needs_s = LEAST_S if place.toy else known[name].needs_s
        if end - start < needs_s:
            print(f"{name}: needs {needs_s:.0f} s, {max(end - start, 0):.0f} s are left; call again")
            continue
        found, error = run_piece(name, place, out, end - start)
        seconds = time.monotonic() - start
        summary.take(name, seconds, found, error)
        print(f"{name}: {'done' if error is None else 'failed'} in {seconds:.0f} s", flush=True)
    summary.write()
    print(as_text(summary.asked()))


if __name__ == "__main__":
    main()
