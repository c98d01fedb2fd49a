r"""Measure a model on the fixed held-out sentences, and say how it fails.

    python -m benchmarks.accuracy.heldout ../shared/data compact benchmarks/results/heldout.json \
        [--list analysts] [--sheet out/heldout.jpg] [--reliability docs/images/reliability.svg]

The lists are `heldout/NAME.jsonl`: images of no training split, wordings not of the training grammar. The sentence
reader was developed against `sentences`; `analysts` is worded otherwise and nothing was tuned on it. A failure
is an IoU below 0.5, sorted by its first fitting cause: nothing found, found though absent, elsewhere, another
object of the class, too much, too little, boundary.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from benchmarks.files import ROOT, write_json
from rs2sam.benchmarking.machine import describe_machine
from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.readers.sources import read_sources
from rs2sam.evaluation.analysis import reliability
from rs2sam.evaluation.charts import Line, chart, unit_axis
from rs2sam.evaluation.gallery import against_target
from rs2sam.metrics import PixelCounts, SegmentationMetrics
from rs2sam.segmenter import Segmenter
from rs2sam.views.options import Scope

LISTS = ROOT / "benchmarks" / "heldout"
FAILURE_IOU = 0.5
ON_CLASS_SHARE = 0.5
SIZE_BINS = ((0.0, 0.002), (0.002, 0.01), (0.01, 0.05), (0.05, 1.01))
"""Of the target, as a share of the image."""
NATIVE: Any = "native"
SIDE, TEXT_HEIGHT, COLUMNS = 230, 44, 4


class Outcome(NamedTuple):
    """One sentence's result: counts of the model and of the two reference lines, and what went wrong."""

    row: dict[str, Any]
    counts: PixelCounts
    everything: PixelCounts
    class_only: PixelCounts
    target_share: float
    presence: float | None
    score: float | None
    cause: str

    @property
    def iou(self) -> float:
        """Native IoU."""
        return self.counts.iou("native")


def target_of(row: dict[str, Any], image: AnnotatedImage) -> NDArray[np.bool_]:
    """(H, W) bool, what the sentence means."""
    if row["targets"] is None:
        return np.zeros(image.size_hw, dtype=bool)
    if row["is_region"]:
        return image.category_mask(row["category"])
    instances = image.of(row["category"])
    return image.union(tuple(instances[index] for index in row["targets"]))


def cause_of(mask: NDArray[np.bool_], target: NDArray[np.bool_], of_class: NDArray[np.bool_]) -> str:
    """Why a mask is wrong, or "found" and "rightly nothing"."""
    counts = PixelCounts.of(mask, target)
    if not target.any():
        return "found though absent" if mask.any() else "rightly nothing"
    if counts.iou("native") >= FAILURE_IOU:
        return "found"
    found = np.count_nonzero(mask)
    if not found:
        return "nothing found"
    others = np.count_nonzero(mask & of_class & ~target)
    if counts.intersection + others < ON_CLASS_SHARE * found and counts.intersection < 0.3 * np.count_nonzero(target):
        return "elsewhere"
    if others > counts.intersection:
        return "another object of the class"
    covered, precise = counts.intersection / np.count_nonzero(target), counts.intersection / found
    if covered >= 0.6 > precise:
        return "too much"
    return "too little" if precise >= 0.6 > covered else "boundary"


def measured(
    segmenter: Segmenter,
    rows: Sequence[dict[str, Any]],
    images: dict[tuple[str, str], AnnotatedImage],
    batch_size: int,
    scope: Scope,
) -> list[Outcome]:
    """Run the model over all sentences; each image is read and encoded once, outcomes are in the order of `rows`."""
    of_image: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(rows):
        of_image.setdefault((row["source"], row["image"]), []).append(number)
    outcomes: dict[int, Outcome] = {}
    for key, numbers in tqdm(of_image.items()):
        image = images[key]
        encoded = segmenter.encode(image.pixels())
        answers = encoded.segment_many([rows[number]["sentence"] for number in numbers], batch_size, scope=scope)
        for number, answer in zip(numbers, answers, strict=True):
            target, of_class = target_of(rows[number], image), image.category_mask(rows[number]["category"])
            outcomes[number] = Outcome(
                rows[number],
                PixelCounts.of(answer.mask, target),
                PixelCounts.of(np.ones_like(target), target),
                PixelCounts.of(of_class, target),
                float(target.mean()),
                answer.presence,
                answer.score,
                cause_of(answer.mask, target, of_class),
            )
    return [outcomes[number] for number in range(len(rows))]


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Metric rows and causes of failure, overall, by kind, class and size of the target."""

    def row(chosen: Sequence[Outcome]) -> dict[str, Any]:
        lines = {name: [getattr(o, name) for o in chosen] for name in ("counts", "everything", "class_only")}
        figures = {name: SegmentationMetrics.of(counts, NATIVE) for name, counts in lines.items()}
        return {
            "model": figures["counts"].as_dict(),
            "everything_mIoU": figures["everything"].miou,
            "class_only_mIoU": figures["class_only"].miou,
            "causes": dict(Counter(o.cause for o in chosen).most_common()),
        }

    rows = {"overall": row(outcomes)}
    for key in ("kind", "category", "source"):
        for name in dict.fromkeys(o.row[key] for o in outcomes):
            rows[f"{key}: {name}"] = row([o for o in outcomes if o.row[key] == name])
    for low, high in SIZE_BINS:
        chosen = [o for o in outcomes if o.target_share > 0 and low <= o.target_share < high]
        if chosen:
            rows[f"size: {100 * low:g} to {min(100 * high, 100):g} % of the image"] = row(chosen)
    return rows


def presence_figures(outcomes: Sequence[Outcome]) -> dict[str, float] | None:
    """Area under the curve and Brier score of the presence; None without that head."""
    if any(o.presence is None for o in outcomes):
        return None
    scores = np.array([o.presence for o in outcomes], dtype=np.float64)
    there = np.array([o.target_share > 0 for o in outcomes])
    above = scores[there][:, None] - scores[~there]
    return {
        "auc": float((above > 0).mean() + 0.5 * (above == 0).mean()),
        "brier": float(((scores - there) ** 2).mean()),
    }


def calibration(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Reliability of the presence and of the predicted IoU, the latter where something is meant and was answered."""
    present = [(o.presence, float(o.target_share > 0)) for o in outcomes if o.presence is not None]
    answered = [o for o in outcomes if o.target_share > 0 and o.cause != "nothing found"]
    scored = [(o.score, o.iou) for o in answered if o.score is not None]
    return {
        name: reliability(*np.array(pairs, dtype=np.float64).T) if pairs else None
        for name, pairs in (("presence", present), ("predicted IoU", scored))
    }


def reliability_chart(found: dict[str, Any]) -> str:
    """SVG: what was predicted against what came true, a line each; on the diagonal the prediction is right."""
    lines = [Line(((0, 0), (1, 1)), dashed=True)]
    for name, figures in found.items():
        if figures is not None:
            points = tuple((one["predicted"], one["observed"]) for one in figures["bins"] if one["n"])
            lines.append(Line(points, name, dots=True))
    return chart(unit_axis("predicted"), unit_axis("came true"), lines, "Reliability on held-out sentences")


def table(rows: dict[str, Any]) -> str:
    """Markdown, in percent."""
    lines = [
        "| | n | mIoU | oIoU | Pr@0.5 | everything | class only | failures, most frequent first |",
        "|---" * 8 + "|",
    ]
    for name, row in rows.items():
        model = row["model"]
        shares = [model["mIoU"], model["oIoU"], model["Pr@0.5"], row["everything_mIoU"], row["class_only_mIoU"]]
        causes = [f"{c} {n}" for c, n in row["causes"].items() if c not in ("found", "rightly nothing")]
        cells = " | ".join(f"{100 * share:.1f}" for share in shares)
        lines.append(f"| {name} | {model['n']} | {cells} | {', '.join(causes[:3])} |")
    return "\n".join(lines)


def sheet(
    segmenter: Segmenter,
    outcomes: Sequence[Outcome],
    images: dict[tuple[str, str], AnnotatedImage],
    scope: Scope,
    per_cause: int,
) -> Image.Image:
    """Examples of every cause: green found, red too much, blue missed."""
    chosen = []
    for cause in sorted({o.cause for o in outcomes} - {"rightly nothing"}):
        of_cause = [o for o in outcomes if o.cause == cause]
        places = np.linspace(0, len(of_cause) - 1, min(per_cause, len(of_cause))).astype(int)
        chosen += [of_cause[place] for place in places]
    height = SIDE + TEXT_HEIGHT
    canvas = Image.new("RGB", (COLUMNS * SIDE, -(-len(chosen) // COLUMNS) * height), "white")
    for number, outcome in enumerate(chosen):
        image = images[outcome.row["source"], outcome.row["image"]]
        rgb, target = image.pixels(), target_of(outcome.row, image)
        answer = segmenter.segment(rgb, outcome.row["sentence"], scope=scope)
        x, y = number % COLUMNS * SIDE, number // COLUMNS * height
        canvas.paste(against_target(rgb, answer.mask, target).resize((SIDE - 4, SIDE - 4)), (x, y))
        text = f"{outcome.cause} ({outcome.iou:.2f}): {outcome.row['sentence']}"
        ImageDraw.Draw(canvas).multiline_text(
            (x + 2, y + SIDE - 2),
            "\n".join(textwrap.wrap(text, 36)[:3]),
            "black",
            ImageFont.load_default(11),
            spacing=1,
        )
    return canvas


def main() -> None:
    """Parse the command line, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of annotated imagery")
    parser.add_argument("model", help="name or folder")
    parser.add_argument("output", type=Path, help="JSON file to write")
    parser.add_argument("--list", default="sentences", choices=sorted(one.stem for one in LISTS.glob("*.jsonl")))
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--every", type=int, default=1, help="only every n-th sentence, for a quick look")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--scope", choices=("scene", "tile"), default="scene", help="as for `rs2sam segment`")
    parser.add_argument("--sheet", type=Path, help="picture with examples of every cause")
    parser.add_argument("--reliability", type=Path, help="SVG of predicted against true presence and IoU")
    arguments = parser.parse_args()
    lines = (LISTS / f"{arguments.list}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines][:: arguments.every]
    images = {(a.source, a.id): a for found in read_sources(arguments.data).values() for a in found}
    segmenter = Segmenter.load(arguments.model, threads=arguments.threads)
    outcomes = measured(segmenter, rows, images, arguments.batch_size, arguments.scope)
    figures = summary(outcomes)
    presence = presence_figures(outcomes)
    reliable = calibration(outcomes)
    print(table(figures))
    print(f"\npresence: {presence}")
    samples = [
        {
            "id": o.row["id"],
            "iou": round(o.iou, 4),
            "cause": o.cause,
            "presence": None if o.presence is None else round(o.presence, 4),
        }
        for o in outcomes
    ]
    content = {
        "model": Path(arguments.model).name,
        "list": arguments.list,
        "protocol": NATIVE,
        "scope": arguments.scope,
        "machine": describe_machine(),
        "presence": presence,
        "reliability": reliable,
        "rows": figures,
        "samples": samples,
    }
    write_json(content, arguments.output)
    if arguments.reliability is not None:
        arguments.reliability.write_text(reliability_chart(reliable), encoding="utf-8")
    if arguments.sheet is not None:
        sheet(segmenter, outcomes, images, arguments.scope, 4).save(arguments.sheet, quality=88)


if __name__ == "__main__":
    main()
