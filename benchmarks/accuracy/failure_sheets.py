"""Draw what the model gets right and wrong on held-out images whose terms allow them to be shown.

    python -m benchmarks.accuracy.failure_sheets ../shared/data compact benchmarks/results/heldout.json docs/images

Reads which sentences failed and why from a result of `benchmarks.accuracy.heldout`, asks the model about the chosen
ones again and writes `failures.jpg` and `successes.jpg`: image, truth and answer side by side, with sentence, IoU and
cause. An image is shown once. Chosen by rule: of failures, the most frequent causes in turn, the middle one in IoU; of
successes, the kinds of sentences in turn, the best.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.accuracy.heldout import FAILURE_IOU, LISTS, cause_of, target_of
from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.readers.sources import READERS
from rs2sam.drawing import FAINT, INK, PAPER, font_for, mask_at, overlay, shorten
from rs2sam.evaluation.gallery import TARGET_COLOUR, against_target
from rs2sam.metrics import PixelCounts
from rs2sam.segmenter import Segmenter

FREE_SOURCES = {
    "openaerialmap_buildings": "OpenAerialMap contributors, CC BY 4.0 (outlines: OpenStreetMap contributors, ODbL)",
    "dubai_landcover": "Humans in the Loop and MBRSC, CC0",
}
"""Source -> whom to name."""
LONGEST_SIDE = 1024
"""Larger images are read tile by tile and would be illegible here."""
SIDE, GAP, TEXT_HEIGHT, COLUMNS, FONT_SIZE = 210, 8, 42, 2, 15
HEADINGS = ("image", "meant", "answer")
LEGEND = "Answer: green right, orange too much, blue missed."
Sample = dict[str, Any]


def chosen(samples: Sequence[Sample], images: dict[str, AnnotatedImage], count: int, failures: bool) -> list[Sample]:
    """Up to `count` samples, no image twice.

    Args:
        samples: rows of the list with `iou` and `cause`.
        images: those that may be shown, by id.
        count: how many.
        failures: whether failures are wanted, else successes.
    """
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample["image"] in images and (sample["iou"] < FAILURE_IOU) == failures:
            groups[sample["cause" if failures else "kind"]].append(sample)
    for members in groups.values():
        members.sort(key=lambda sample: sample["iou"], reverse=True)
        if failures:  # from the middle outwards
            middle = (len(members) - 1) / 2
            members.sort(key=lambda sample, all_=tuple(members): abs(all_.index(sample) - middle))
    order = sorted(groups, key=lambda name: len(groups[name]), reverse=True)
    found: list[Sample] = []
    while len(found) < count and any(groups.values()):
        for name in order:
            shown = {sample["image"] for sample in found}
            groups[name] = [sample for sample in groups[name] if sample["image"] not in shown]
            if groups[name] and len(found) < count:
                found.append(groups[name].pop(0))
    return found


def block(sample: Sample, rgb: NDArray[np.uint8], target: NDArray[np.bool_], mask: NDArray[np.bool_]) -> Image.Image:
    """One sample: three pictures side by side, two lines of text below."""
    width = 3 * SIDE + 2 * GAP
    canvas = Image.new("RGB", (width, SIDE + TEXT_HEIGHT), PAPER)
    scale = SIDE / max(mask.shape)
    size = round(mask.shape[1] * scale), round(mask.shape[0] * scale)
    small = Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS)
    pictures = (
        small,
        overlay(np.asarray(small).astype(np.float32), [(mask_at(target, size), TARGET_COLOUR)]),
        against_target(rgb, mask, target).resize(size, Image.Resampling.LANCZOS),
    )
    for number, picture in enumerate(pictures):
        canvas.paste(picture, (number * (SIDE + GAP), SIDE - size[1]))
    draw, sentence = ImageDraw.Draw(canvas), f"“{sample['sentence']}”"
    font = font_for(sentence, FONT_SIZE)
    draw.text((0, SIDE + 2), shorten(sentence, font, width), INK, font)
    draw.text((0, SIDE + 2 + FONT_SIZE + 4), f"IoU {sample['iou']:.2f}: {sample['cause']}", FAINT, font)
    return canvas


def sheet(blocks: Sequence[Image.Image], sources: Sequence[str]) -> Image.Image:
    """All blocks below their headings, and whose images they are."""
    width, height = blocks[0].width + 2 * GAP, blocks[0].height + GAP
    rows, line = -(-len(blocks) // COLUMNS), FONT_SIZE + 2 * GAP
    canvas = Image.new("RGB", (COLUMNS * width, line + rows * height + line), PAPER)
    draw = ImageDraw.Draw(canvas)
    for number, one in enumerate(blocks):
        canvas.paste(one, (number % COLUMNS * width + GAP, line + number // COLUMNS * height))
    for column in range(COLUMNS):
        for place, text in enumerate(HEADINGS):
            at, font = column * width + GAP + place * (SIDE + GAP), font_for(text, FONT_SIZE - 2)
            draw.text((at, GAP // 2), shorten(text, font, SIDE), FAINT, font)
    credit = f"{LEGEND} Images: " + "; ".join(FREE_SOURCES[name] for name in sources)
    font = font_for(credit, FONT_SIZE - 2)
    draw.text((GAP, line + rows * height), shorten(credit, font, canvas.width - 2 * GAP), FAINT, font)
    return canvas


def main() -> None:
    """Parse the command line, ask the model, write both sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of annotated imagery")
    parser.add_argument("model", help="name or folder")
    parser.add_argument("result", type=Path, help="JSON file of benchmarks/accuracy/heldout.py, of the same model")
    parser.add_argument("output", type=Path, help="folder to write into")
    parser.add_argument("--count", type=int, default=8, help="samples a sheet")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    result = json.loads(arguments.result.read_text(encoding="utf-8"))
    lines = (LISTS / f"{result.get('list', 'sentences')}.jsonl").read_text(encoding="utf-8").splitlines()
    measured = {sample["id"]: sample for sample in result["samples"]}
    samples = [row | measured[row["id"]] for row in map(json.loads, lines) if row["id"] in measured]
    found = [image for name in FREE_SOURCES for image in READERS[name](arguments.data / name)]
    images = {image.id: image for image in found if max(image.size_hw) <= LONGEST_SIDE}
    segmenter = Segmenter.load(arguments.model, threads=arguments.threads)
    for name, failures in (("failures", True), ("successes", False)):
        blocks, picked = [], chosen(samples, images, arguments.count, failures)
        for sample in picked:
            image = images[sample["image"]]
            rgb, target = image.pixels(), target_of(sample, image)
            mask = segmenter.segment(rgb, sample["sentence"]).mask
            cause = cause_of(mask, target, image.category_mask(sample["category"]))
            again = {"iou": PixelCounts.of(mask, target).iou("native"), "cause": cause}
            blocks.append(block(sample | again, rgb, target, mask))
        sources = [one for one in FREE_SOURCES if any(sample["source"] == one for sample in picked)]
        sheet(blocks, sources).save(arguments.output / f"{name}.jpg", quality=82, optimize=True)


if __name__ == "__main__":
    main()
