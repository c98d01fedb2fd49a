"""Measure a model on the held-out images: a table per kind of sentence, and a sheet of what it does well and badly.

    python -m benchmarks.accuracy.rule_made ../shared/data compact out/compact-test.json
    python -m benchmarks.accuracy.rule_made ../shared/data FOLDER out/val.json --split val --sheet out/val.png

Sentences are made by rules from the annotations of DATA; splits are by ground, so no held-out place was trained on.
Prints the table in Markdown and writes it with every sample's result as JSON.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.files import write_json
from rs2sam.datasets.base import Sample
from rs2sam.datasets.mixing.mixture import evaluation_samples, of_split
from rs2sam.datasets.readers.sources import read_sources
from rs2sam.evaluation import EvaluationReport, SampleResult, evaluate
from rs2sam.evaluation.gallery import against_target
from rs2sam.segmenter import Segmenter
from rs2sam.versions import versions

SUCCESS_IOU, FAILURE_IOU = 0.6, 0.3
TEXT_HEIGHT, FONT = 48, ImageFont.load_default(13)


def as_json(report: EvaluationReport, arguments: argparse.Namespace, num_images: dict[str, int]) -> dict[str, Any]:
    """The report with how it was made and the result of every sample."""
    samples = [
        {
            "id": result.id,
            "kind": result.kind,
            "category": result.category,
            "sentence": result.sentence,
            "iou": round(result.counts.iou(report.protocol), 4),
            "presence": None if result.presence is None else round(result.presence, 4),
            "score": None if result.score is None else round(result.score, 4),
        }
        for result in report.results
    ]
    made = {
        "model": Path(arguments.model).name,
        "split": arguments.split,
        "seed": arguments.seed,
        "per_kind": arguments.per_kind,
    }
    return {**made, "held_out_images": num_images, "versions": versions(), **report.as_dict(), "samples": samples}


def chosen(results: Sequence[SampleResult], report: EvaluationReport, *, good: bool, count: int) -> list[int]:
    """Indices of evenly spread successes or failures, ordered by kind of sentence."""
    ious = [result.counts.iou(report.protocol) for result in results]
    fits = [
        index
        for index, iou in enumerate(ious)
        # An empty answer to an absent object is right, but nothing to look at.
        if (iou >= SUCCESS_IOU and not results[index].is_empty if good else iou < FAILURE_IOU)
    ]
    fits.sort(key=lambda index: (report.kinds.index(results[index].kind), index))
    places = np.linspace(0, len(fits) - 1, min(count, len(fits))).astype(int)
    return [fits[place] for place in places]


def tile(rgb: NDArray[np.uint8], mask: NDArray[np.bool_], target: NDArray[np.bool_], side: int) -> Image.Image:
    """The image left, the answer against the target over it right."""
    canvas = Image.new("RGB", (2 * side, side + TEXT_HEIGHT), "white")
    canvas.paste(Image.fromarray(rgb).resize((side, side)), (0, 0))
    canvas.paste(against_target(rgb, mask, target).resize((side, side)), (side, 0))
    return canvas


def draw_sheet(
    segmenter: Segmenter, samples: Sequence[Sample], report: EvaluationReport, count: int, columns: int, side: int
) -> Image.Image:
    """Successes above, failures below: green found, orange too much, blue missed."""
    indices = [*chosen(report.results, report, good=True, count=count)]
    num_good_rows = -(-len(indices) // columns)
    bad = chosen(report.results, report, good=False, count=count)
    rows = num_good_rows + -(-len(bad) // columns)
    sheet = Image.new("RGB", (columns * 2 * side, max(rows, 1) * (side + TEXT_HEIGHT)), "white")
    places = [*range(len(indices)), *(num_good_rows * columns + number for number in range(len(bad)))]
    for place, index in zip(places, [*indices, *bad], strict=True):
        sample, result = samples[index], report.results[index]
        rgb = sample.pixels()
        (answer,) = segmenter.segment_views([(rgb, sample.sentence)], min_presence=segmenter.min_presence)
        drawn = tile(rgb, answer.mask, sample.target((rgb.shape[0], rgb.shape[1])), side)
        said = f"{result.kind} | {sample.sentence} | IoU {result.counts.iou(report.protocol):.2f}"
        said += "" if result.presence is None else f", presence {result.presence:.2f}"
        text = "\n".join(textwrap.wrap(said, 2 * side // 7)[:3])
        ImageDraw.Draw(drawn).multiline_text((3, side + 1), text, fill="black", font=FONT, spacing=1)
        sheet.paste(drawn, (place % columns * 2 * side, place // columns * (side + TEXT_HEIGHT)))
    return sheet


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of annotated imagery")
    parser.add_argument("model", help="name or folder")
    parser.add_argument("output", type=Path, help="JSON file to write")
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--protocol", choices=("native", "published"), default="native")
    parser.add_argument("--per-kind", type=int, default=60, help="sentences of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--threads", type=int, help="CPU threads [default: all cores]")
    parser.add_argument("--sheet", type=Path, help="picture of successes (above) and failures (below)")
    parser.add_argument("--count", type=int, default=16, help="of successes, and of failures, on the sheet")
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--side", type=int, default=220)
    arguments = parser.parse_args()
    sources = read_sources(arguments.data)
    samples = evaluation_samples(sources, arguments.split, arguments.seed, arguments.per_kind)
    num_images = {name: len(images) for name, images in of_split(sources, arguments.split).items()}
    segmenter = Segmenter.load(arguments.model, threads=arguments.threads)
    report = evaluate(segmenter, samples, arguments.protocol, arguments.batch_size)
    write_json(as_json(report, arguments, num_images), arguments.output)
    print(report.table())
    auc = report.presence_auc()
    if auc is not None:
        print(f"\npresence, area under the curve: {auc:.3f}")
    if arguments.sheet is not None:
        sheet = draw_sheet(segmenter, samples, report, arguments.count, arguments.columns, arguments.side)
        sheet.save(arguments.sheet)


if __name__ == "__main__":
    main()
