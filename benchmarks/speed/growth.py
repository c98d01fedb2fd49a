"""Time and memory against image side, batch and sentences about one image, with a plot.

    python -m benchmarks.speed.growth                      # compact on ONNX Runtime
    python -m benchmarks.speed.growth --model DIR --seconds 5

Every point is a process of its own. Writes benchmarks/results/growth.json and growth.png. Images above twice the
model's side are read in tiles (4, 9, 16 ... of them), so the first plot is also that against tiles. Processor time is
drawn beside the clock's: it hardly changes with other work on the machine. Sentences about one image are one batch,
which shares what no sentence changes; dotted is the same work as a call for each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.files import RESULTS, write_json
from rs2sam.benchmarking.machine import describe_machine
from rs2sam.benchmarking.timing import forget_peak, measure, peak_memory_mib
from rs2sam.segmenter import Segmenter

SHARED = "sentences about one image"
POINTS = {
    "image side [px]": (256, 512, 1024, 1536, 2048),
    "batch": (1, 2, 4, 8),
    SHARED: (1, 2, 4, 8),
}
SENTENCES = (
    "all buildings",
    "the water",
    "all storage tanks",
    "the largest ship",
    "the road",
    "all vehicles",
    "the trees",
    "the tennis court",
)


def pixels(side: int) -> Any:
    """(side, side, 3) uint8 of the drawn scene, mirrored beyond its edges."""
    from rs2sam.datasets.synthetic.showcase import showcase

    drawn = showcase().pixels()
    grown = [(0, max(0, side - length)) for length in drawn.shape[:2]]
    return np.pad(drawn, (*grown, (0, 0)), mode="symmetric")[:side, :side]


def work(axis: str, value: int, segmenter: Segmenter) -> Callable[[], object]:
    """The call that a point times."""
    if axis == "image side [px]":
        image = pixels(value)
        return lambda: segmenter.segment(image, SENTENCES[0])
    image = pixels(segmenter.image_size)
    if axis == "batch":
        # Arrays of their own, so that nothing is shared.
        pairs = [(image.copy(), SENTENCES[0]) for _ in range(value)]
    else:
        pairs = [(image, sentence) for sentence in SENTENCES[:value]]
    # All at once: a batch of the size that the axis says.
    return lambda: segmenter.segment_many(pairs, batch_size=value)


def one_by_one(value: int, segmenter: Segmenter) -> Callable[[], object]:
    """Sentences about one image, each in a call of its own."""
    image = pixels(segmenter.image_size)
    return lambda: [segmenter.segment(image, sentence) for sentence in SENTENCES[:value]]


def point(axis: str, value: int, model: str, seconds: float) -> dict[str, Any]:
    """Seconds and peak memory of one point, in this process."""
    segmenter = Segmenter.load(model)
    call = work(axis, value, segmenter)
    forget_peak()
    found = {"value": value, **asdict(measure(call, seconds)), "peak_mib": peak_memory_mib()}
    if axis == SHARED:
        found["one_by_one"] = asdict(measure(one_by_one(value, segmenter), seconds))
    return found


def draw(report: dict[str, Any], file: Path) -> None:
    """Time above, memory below, one column an axis."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, len(POINTS), figsize=(12, 6), layout="constrained", sharex="col")
    for column, (axis, points) in enumerate(report["points"].items()):
        values = [one["value"] for one in points]
        # The fastest of the readings: others may have met a slower clock of the machine.
        panels[0, column].plot(values, [one["least_s"] for one in points], "o-", label="in one call")
        if axis == SHARED:
            alone = [one["one_by_one"]["least_s"] for one in points]
            panels[0, column].plot(values, alone, "^:", label="in as many calls")
            panels[0, column].legend()
        panels[1, column].plot(values, [one["peak_mib"] for one in points], "o-", color="tab:green")
        panels[1, column].set_xlabel(axis)
        for row in (0, 1):
            panels[row, column].margins(y=0.1)
            panels[row, column].set_ylim(bottom=0)
            panels[row, column].grid(alpha=0.3)
    panels[0, 0].set_ylabel("seconds")
    panels[1, 0].set_ylabel("peak memory [MiB]")
    figure.suptitle(f"{report['model']} on {report['machine']['cpu']}, {report['machine']['cores']} cores")
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def main() -> None:
    """Measure each point in a process of its own, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="compact")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=RESULTS / "growth.json")
    parser.add_argument("--one", nargs=2, metavar=("AXIS", "VALUE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(point(arguments.one[0], int(arguments.one[1]), arguments.model, arguments.seconds)))
        return
    options = ["--model", arguments.model, "--seconds", str(arguments.seconds)]
    found: dict[str, list[Any]] = {}
    for axis, values in POINTS.items():
        commands = [[sys.executable, "-m", "benchmarks.speed.growth", *options, "--one", axis, str(v)] for v in values]
        found[axis] = [json.loads(subprocess.check_output(command)) for command in commands]
    report = {"machine": describe_machine(), "model": arguments.model, "points": found}
    print(json.dumps(found, indent=1))
    write_json(report, arguments.out)
    draw(report, arguments.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
