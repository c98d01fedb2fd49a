r"""How often is a polygon right that is said to be sure? And what map of mean probabilities makes the number true?

    python -m benchmarks.accuracy.calibration ../shared/data compact benchmarks/results/calibration.json \
        [--into src/rs2sam/weights/compact]

A polygon is right where its IoU with an annotated object that is meant is at least 0.5; where a class is known as an
area alone, where at least half of the polygon is of it. Pixels of which nothing is known count neither way.

The map is made on images of the splits `val` and `test` that are in none of the lists of `heldout/`: "the Xs" for every
class that an image shows and for some that it does not. It is measured on those lists. `--into` writes it into a model
folder's `preprocessor_config.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.accuracy.heldout import LISTS
from benchmarks.files import write_json
from rs2sam.benchmarking.machine import describe_machine
from rs2sam.datasets.base import AnnotatedImage, Instance
from rs2sam.datasets.english.nouns import NOUNS
from rs2sam.datasets.readers.sources import read_sources
from rs2sam.evaluation.analysis import reliability
from rs2sam.processing_config import CONFIG_FILE, Calibration, ProcessingConfig
from rs2sam.segmenter import Segmenter
from rs2sam.vector.vectorize import fill, pixel_regions
from rs2sam.views.segmentation import Segmentation

RIGHT_IOU = 0.5
MOST_ABSENT = 3
"""Classes asked about an image that does not show them."""
LEAST_IN_BIN, MOST_BINS = 40, 12
Image = tuple[str, str]


class Judged(NamedTuple):
    """One polygon: what was said of it, and whether it is right."""

    mean_probability: float
    num_pixels: int
    presence: float
    is_right: bool


class Meant(NamedTuple):
    """What a sentence means in an image: objects, or an area."""

    instances: tuple[Instance, ...]
    area: NDArray[np.bool_] | None


def meant_class(image: AnnotatedImage, category: str) -> Meant:
    """Everything of a class."""
    is_area = category in image.regions
    return Meant(image.of(category), image.category_mask(category) if is_area else None)


def meant_by_row(image: AnnotatedImage, row: dict[str, Any]) -> Meant:
    """What a sentence of a list means."""
    if row["targets"] is None:
        return Meant((), None)
    if row["is_region"]:
        return Meant((), image.category_mask(row["category"]))
    instances = image.of(row["category"])
    return Meant(tuple(instances[index] for index in row["targets"]), None)


def judged(answer: Segmentation, meant: Meant, unknown: NDArray[np.bool_] | None) -> Iterator[Judged]:
    """Every polygon of an answer but those that lie mostly where nothing is known."""
    height, width = answer.mask.shape
    numbers = np.zeros((height, width), np.int32)
    for number, instance in enumerate(meant.instances, start=1):
        x0, y0, x1, y1 = instance.box_xyxy
        numbers[y0:y1, x0:x1][instance.mask] = number
    sizes = np.bincount(numbers.ravel(), minlength=len(meant.instances) + 1)
    for region in pixel_regions(answer.mask, answer.probability):
        left, top, right, bottom = (int(side) for side in region.outline.bounds)
        inside = fill([region.outline], top, bottom - top, width)[:, left:right]
        place = slice(top, bottom), slice(left, right)
        known = inside if unknown is None else inside & ~unknown[place]
        num_known = np.count_nonzero(known)
        if 2 * num_known < np.count_nonzero(inside):
            continue
        shared = np.bincount(numbers[place][known], minlength=len(sizes))
        ious = shared[1:] / (num_known + sizes[1:] - shared[1:])
        is_right = bool((ious >= RIGHT_IOU).any())
        if meant.area is not None and 2 * np.count_nonzero(meant.area[place] & known) >= num_known:
            is_right = True
        presence = 1.0 if answer.presence is None else answer.presence
        yield Judged(region.mean_probability, region.num_pixels, presence, is_right)


def asked_about(
    segmenter: Segmenter, image: AnnotatedImage, questions: Sequence[tuple[str, Meant]]
) -> Iterator[Judged]:
    """The polygons of several sentences about one image."""
    answers = segmenter.encode(image.pixels()).segment_many([sentence for sentence, _ in questions])
    for answer, (_, meant) in zip(answers, questions, strict=True):
        yield from judged(answer, meant, image.unknown)


def class_questions(image: AnnotatedImage, rng: np.random.Generator) -> list[tuple[str, Meant]]:
    """Ask for "the Xs" of every class that the image shows, and of some that are not there."""
    shown = {i.category for i in image.instances} | {name for name, mask in image.regions.items() if mask.any()}
    known = sorted(image.exhaustive_categories & set(NOUNS))
    absent = [name for name in known if name not in shown and not image.category_mask(name).any()]
    some = rng.permutation(absent)[:MOST_ABSENT].tolist()
    wanted = [name for name in known if name not in absent] + some
    return [(f"the {NOUNS[name][0].plural}", meant_class(image, name)) for name in wanted]


def map_of(polygons: Sequence[Judged]) -> Calibration:
    """Share of right polygons by mean probability, never falling: bins of equal counts, joined where they fall."""
    ordered = sorted(polygons, key=lambda one: one.mean_probability)
    num_bins = max(2, min(MOST_BINS, len(ordered) // LEAST_IN_BIN))
    points: list[tuple[float, float, int]] = []  # sums of probabilities, of right ones, count
    for part in np.array_split(np.arange(len(ordered)), num_bins):
        chosen = [ordered[index] for index in part]
        points.append((sum(o.mean_probability for o in chosen), float(sum(o.is_right for o in chosen)), len(chosen)))
        while len(points) > 1 and points[-2][1] / points[-2][2] >= points[-1][1] / points[-1][2]:
            last, former = points.pop(), points.pop()
            points.append((last[0] + former[0], last[1] + former[1], last[2] + former[2]))
    return Calibration(
        tuple(round(p / n, 4) for p, _, n in points), tuple(round(right / n, 4) for _, right, n in points)
    )


def figures(polygons: Sequence[Judged], say: Callable[[float], float]) -> dict[str, Any]:
    """Reliability of what is said of polygons, and how well it sorts them."""
    said = np.array([say(one.mean_probability) for one in polygons])
    right = np.array([one.is_right for one in polygons])
    above = np.sign(said[right][:, None] - said[~right])
    sorted_well = float((above + 1).mean() / 2) if above.size else None
    return {**reliability(said, right.astype(np.float64)), "area_under_curve": sorted_well}


def table(name: str, found: dict[str, Any]) -> str:
    """Markdown: what was said, how many, and the share of them that is right."""
    lines = [f"\n{name}: {found['n']} polygons, expected error {found['expected_error']:.3f}\n", "| said | n | right |"]
    lines.append("|---|---|---|")
    lines += [f"| {one['predicted']:.2f} | {one['n']} | {one['observed']:.2f} |" for one in found["bins"] if one["n"]]
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, ask, make the map, measure it, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of annotated imagery")
    parser.add_argument("model", help="name or folder")
    parser.add_argument("output", type=Path, help="JSON file to write")
    parser.add_argument("--into", type=Path, help="model folder that takes the map")
    parser.add_argument("--most-images", type=int, default=40, help="of each source, for the map")
    parser.add_argument("--every", type=int, default=1, help="only every n-th image, for a quick look")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    lists = {
        path.stem: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in sorted(LISTS.glob("*.jsonl"))
    }
    listed = {(row["source"], row["image"]) for rows in lists.values() for row in rows}
    images = {(a.source, a.id): a for found in read_sources(arguments.data).values() for a in found}
    segmenter = Segmenter.load(arguments.model, threads=arguments.threads)
    own = _images_for_the_map(images, listed, arguments.most_images)[:: arguments.every]
    rng = np.random.default_rng(0)
    polygons = [one for image in tqdm(own) for one in asked_about(segmenter, image, class_questions(image, rng))]
    found = map_of(polygons)
    content: dict[str, Any] = {
        "model": Path(arguments.model).name,
        "machine": describe_machine(),
        "images": len(own),
        "calibration": {"mean_probability": found.mean_probability, "share_right": found.share_right},
        "made on": {"before": figures(polygons, float), "after": figures(polygons, found.share_of)},
    }
    for name, rows in lists.items():
        seen = list(_of_list(segmenter, rows, images, arguments.every))
        content[name] = {"before": figures(seen, float), "after": figures(seen, found.share_of)}
        print(table(f"{name}, mean probability", content[name]["before"]))
        print(table(f"{name}, confidence", content[name]["after"]))
    content["polygons"] = [[round(p, 4), n, round(there, 4), int(right)] for p, n, there, right in polygons]
    write_json(content, arguments.output)
    if arguments.into is not None:
        config = ProcessingConfig.from_json(arguments.into / CONFIG_FILE)
        replace(config, calibration=found).to_json(arguments.into / CONFIG_FILE)


def _images_for_the_map(images: dict[Image, AnnotatedImage], listed: set[Image], most: int) -> list[AnnotatedImage]:
    """Images that no training and no list has, at most so many of a source."""
    chosen: dict[str, list[AnnotatedImage]] = {}
    for key, image in images.items():
        if image.split in ("val", "test") and key not in listed:
            chosen.setdefault(image.source, []).append(image)
    return [image for found in chosen.values() for image in found[:most]]


def _of_list(
    segmenter: Segmenter, rows: Sequence[dict[str, Any]], images: dict[Image, AnnotatedImage], every: int
) -> Iterator[Judged]:
    """The polygons of a list's sentences, image by image."""
    of_image: dict[Image, list[dict[str, Any]]] = {}
    for row in rows:
        of_image.setdefault((row["source"], row["image"]), []).append(row)
    for key in tqdm(list(of_image)[::every]):
        image = images[key]
        questions = [(row["sentence"], meant_by_row(image, row)) for row in of_image[key]]
        yield from asked_about(segmenter, image, questions)


if __name__ == "__main__":
    main()
