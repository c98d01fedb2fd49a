"""Measure what deciding a sentence for the scene gains over deciding it in every tile.

    python tools/measure_scope.py ../shared/data benchmarks/results/scope.json
    python tools/measure_scope.py ../shared/data out/scope.json --model compact --model-scenes 3 --sheet out/scope.png

Scenes are mosaics of 2 x 2 and 4 x 4 held-out NWPU VHR-10 images (validation and test splits), so what is where in the
whole scene is known from the annotation. Sentences are those that the rules of the training sentences find true of the
whole mosaic (`rs2sam.datasets.expressions`), worded as in training and in other words (`tools/make_heldout.py`), plus
ranks and combinations that training does not know ("the second largest", "the two leftmost", "the largest in the upper
left"), whose truth is worked out here. Two measurements:

- perfect tiles: every tile answers what the annotation says of its part of the scene; only the logic is measured;
- a model: tiles are answered by it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rasterio import Affine

sys.path.insert(0, str(Path(__file__).parent))

from make_heldout import Wording

from rs2sam.datasets.augment import crop
from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.expressions import descriptions
from rs2sam.datasets.mosaic import mosaic
from rs2sam.datasets.phrasing import phrase
from rs2sam.datasets.properties import Objects, positions
from rs2sam.datasets.sources import nwpu_vhr10
from rs2sam.datasets.vocabulary import NOUNS
from rs2sam.evaluation.gallery import against_target
from rs2sam.metrics import PixelCounts, SegmentationMetrics
from rs2sam.raster import Georeference, Scene, SceneOptions, Stretch, TileGrid, segment_scene
from rs2sam.raster.scope import Candidate, ScopedSentence, choose, read_sentence
from rs2sam.raster.vectorize import fill, trace
from rs2sam.segmenter import Segmenter
from rs2sam.versions import versions

KINDS = ("count", "position", "size", "relation")
MIN_OBJECTS = 3
CLEAR_SIZE, CLEAR_GAP = 1.3, 0.04
LAYOUTS = ((4, 512), (2, 1024))
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Question:
    """One sentence about a scene, and what it means there.

    Args:
        sentence: the text.
        kind: of expression; `rank` and `combined` are made here.
        category: what is spoken of.
        targets: the meant instances, as places in `scene.of(category)`.
        anchor: category of the other object, if there is one.
    """

    sentence: str
    kind: str
    category: str
    targets: tuple[int, ...]
    anchor: str | None = None


def scenes(
    images: Sequence[AnnotatedImage], count: int, rng: np.random.Generator, layouts: Sequence[tuple[int, int]]
) -> Iterator[AnnotatedImage]:
    """Mosaics of images that share a class whose annotation is exhaustive in all of them.

    Args:
        images: to draw from.
        count: number of mosaics.
        rng: source of the choices.
        layouts: images a side (2 or 4) and pixels of an image's side, taken in turn.
    """
    for number in range(count):
        per_side, side = layouts[number % len(layouts)]
        complete = Counter(c for image in images for c in image.exhaustive_categories)
        present = {instance.category for image in images for instance in image.instances}
        categories = sorted(c for c in present if complete[c] >= per_side**2)
        category = categories[int(rng.integers(len(categories)))]
        fitting = [image for image in images if category in image.exhaustive_categories]
        holding = [image for image in fitting if image.of(category)]
        num_parts = per_side**2
        certain = [holding[i] for i in rng.permutation(len(holding))[: max(2, num_parts // 3)]]
        others = [fitting[i] for i in rng.permutation(len(fitting)) if fitting[i] not in certain]
        parts = [square(image, side) for image in [*certain, *others][:num_parts]]
        parts = [parts[i] for i in rng.permutation(len(parts))]
        while len(parts) > 1:
            parts = [mosaic(parts[i : i + 4]) for i in range(0, len(parts), 4)]
        yield parts[0]


def square(image: AnnotatedImage, side: int) -> AnnotatedImage:
    """The square in the middle of an image, resized."""
    height, width = image.size_hw
    short = min(height, width)
    left, top = (width - short) // 2, (height - short) // 2
    return crop(image, (left, top, left + short, top + short), side)


def questions(scene: AnnotatedImage, rng: np.random.Generator, per_kind: int) -> list[Question]:
    """Sentences of each kind, half of them worded as in training."""
    wording = Wording(rng)
    found = []
    for kind in KINDS:
        options = [d for d in descriptions(scene, kind) if len(scene.of(d.category)) >= MIN_OBJECTS]
        for index in rng.permutation(len(options))[:per_kind]:
            description = options[index]
            sentence = phrase(description, rng) if rng.random() < 0.5 else wording.sentence(description)
            anchor = next((p.anchor for p in description.properties if p.anchor and not p.anchor_is_other), None)
            found.append(Question(sentence, kind, description.category, description.targets, anchor))
    for kind, options in (("rank", list(ranks(scene))), ("combined", list(combined(scene)))):
        found += [options[index] for index in rng.permutation(len(options))[:per_kind] if kind == options[index].kind]
    return found


def countable(scene: AnnotatedImage) -> Iterator[Objects]:
    """The classes of a scene of which all objects are known and there are enough."""
    for category in sorted(scene.exhaustive_categories):
        if len(scene.of(category)) >= MIN_OBJECTS:
            yield Objects(scene, category)


def ranks(scene: AnnotatedImage) -> Iterator[Question]:
    """The second or third by size or from a side, and the two first, where nothing is too close to call."""
    for objects in countable(scene):
        noun = NOUNS[objects.category][0]
        x, y = objects.centers.T
        orders = {
            "largest": -np.log(objects.areas),
            "smallest": np.log(objects.areas),
            "left": x,
            "top": y,
            "right": -x,
        }
        for word, values in orders.items():
            order = np.argsort(values)
            gaps = np.diff(values[order])
            clear = np.log(CLEAR_SIZE) if word.endswith("est") else CLEAR_GAP
            side = {"left": "leftmost", "top": "topmost", "right": "rightmost"}.get(word, word)
            if gaps[1] > clear:
                two = tuple(sorted(int(i) for i in order[:2]))
                yield Question(f"the two {side} {noun.plural}", "rank", objects.category, two)
                if gaps[0] > clear:
                    text = (
                        f"second {word} {noun.singular}" if clear > 0.1 else f"second {noun.singular} from the {word}"
                    )
                    yield Question(f"the {text}", "rank", objects.category, (int(order[1]),))


def combined(scene: AnnotatedImage) -> Iterator[Question]:
    """The largest, smallest or outermost of those at a place."""
    for objects in countable(scene):
        noun = NOUNS[objects.category][0]
        _, y = objects.centers.T
        for place in positions(objects):
            inside = np.flatnonzero(place.true)
            if place.superlative or place.name.endswith("corner") or len(inside) < 2:
                continue
            if not (place.true | place.false).all():
                continue
            for word, values in (
                ("largest", -np.log(objects.areas)),
                ("smallest", np.log(objects.areas)),
                ("topmost", y),
            ):
                order = inside[np.argsort(values[inside])]
                if values[order[1]] - values[order[0]] > (CLEAR_GAP if word == "topmost" else np.log(CLEAR_SIZE)):
                    sentence = f"the {word} {noun.singular} in the {place.name} of the image"
                    yield Question(sentence, "combined", objects.category, (int(order[0]),))


def target_of(scene: AnnotatedImage, question: Question) -> Mask:
    """(H, W) bool of what is meant."""
    instances = scene.of(question.category)
    return scene.union(tuple(instances[i] for i in question.targets))


def perfect(scene: AnnotatedImage, question: Question, scoped: ScopedSentence, grid: TileGrid) -> dict[str, Mask]:
    """Answers with perfect tiles: in every tile for itself, and for the scene among objects and among regions."""
    instances = scene.of(question.category)
    whole = [Candidate(i.box_xyxy, i.area) for i in instances]
    anchors = [] if question.anchor is None else [Candidate(i.box_xyxy, i.area) for i in scene.of(question.anchor)]
    by_tile = np.zeros(scene.size_hw, dtype=bool)
    everything = scene.union(instances)
    others = np.zeros_like(everything) if question.anchor is None else scene.union(scene.of(question.anchor))
    for window in grid.windows():
        part, landmark = everything[window.slices], trace(others[window.slices])
        outlines = trace(part)
        if outlines and (landmark or question.anchor is None):
            answer = kept(outlines, part.shape, scoped, [candidate(o) for o in landmark])
            by_tile[window.slices] |= answer
    chosen = choose(whole, scoped.claims, scene.size_hw, anchors)
    return {
        "tile": by_tile,
        "scene": scene.union(tuple(instances[i] for i in chosen)),
        "scene_regions": kept(trace(everything), scene.size_hw, scoped, [candidate(o) for o in trace(others)]),
    }


def candidate(outline: Any, mean_probability: float = 1.0) -> Candidate:
    """A polygon in pixels as `choose` wants it."""
    return Candidate(outline.bounds, outline.area, mean_probability)


def kept(
    outlines: Sequence[Any],
    size_hw: tuple[int, int],
    scoped: ScopedSentence,
    landmarks: Sequence[Candidate],
    probabilities: Sequence[float] | None = None,
) -> Mask:
    """(H, W) bool of the outlines that a sentence means."""
    means = probabilities or [1.0] * len(outlines)
    candidates = [candidate(outline, mean) for outline, mean in zip(outlines, means, strict=True)]
    chosen = choose(candidates, scoped.claims, size_hw, landmarks)
    height, width = size_hw
    return fill([outlines[i] for i in chosen], 0, height, width)


class ModelTiles:
    """Answers of a model in the tiles of one scene; each text is asked once.

    Args:
        segmenter: the model.
        annotated: the scene.
    """

    def __init__(self, segmenter: Segmenter, annotated: AnnotatedImage) -> None:
        self._segmenter = segmenter
        self._options = SceneOptions(min_presence=segmenter.min_presence, batch_size=5)
        rgb = annotated.pixels()
        self._scene = Scene(
            rgb=rgb,
            valid=np.ones(rgb.shape[:2], dtype=bool),
            georeference=Georeference(Affine.identity()),
            source=annotated.id,
            is_photo=True,
            bands=(1, 2, 3),
            num_bands=3,
            dtype="uint8",
            nodata=None,
            stretch=Stretch("none"),
            limits=((0.0, 255.0),) * 3,
        )
        self._found: dict[str, Any] = {}

    def find(self, text: str) -> Any:
        """The result of the tiles for one text."""
        if text not in self._found:
            (self._found[text],) = segment_scene(self._segmenter, self._scene, [text], self._options)
        return self._found[text]

    def answers(self, scoped: ScopedSentence) -> dict[str, Mask]:
        """Masks of the whole sentence in every tile, and of the scene's choice."""
        local = self.find(scoped.local)
        others = [] if scoped.landmark is None else [candidate(r.geometry) for r in self.find(scoped.landmark).regions]
        outlines = [region.geometry for region in local.regions]
        means = [region.mean_probability for region in local.regions]
        by_scene = kept(outlines, self._scene.size_hw, scoped, others, means)
        return {"tile": self.find(scoped.sentence).mask, "scene": by_scene if scoped.claims else local.mask}


def table(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Mean IoU of each way to answer, for each kind and for all."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["kind"]].append(row)
        groups["all"].append(row)
    return {
        kind: {
            "n": len(group),
            **{name: round(float(np.mean([row[name] for row in group])), 4) for name in names},
        }
        for kind, group in groups.items()
    }


def iou(mask: Mask, target: Mask) -> float:
    """Intersection over union; 1 where both are empty."""
    return PixelCounts.of(mask, target).iou("native")


def draw_sheet(path: Path, drawn: Sequence[tuple[AnnotatedImage, Question, dict[str, Mask]]], side: int = 512) -> None:
    """For each sentence: the answer of tiles left, of the scene right; green right, orange too much, blue missed."""
    font = ImageFont.load_default(15)
    sheet = Image.new("RGB", (2 * side, len(drawn) * (side + 24)), "white")
    for row, (scene, question, answers) in enumerate(drawn):
        target = target_of(scene, question)
        for column, name in enumerate(("tile", "scene")):
            picture = against_target(scene.pixels(), answers[name], target).resize((side, side))
            sheet.paste(picture, (column * side, row * (side + 24)))
        ious = {name: iou(mask, target) for name, mask in answers.items()}
        said = f"{question.sentence}: IoU tile {ious['tile']:.2f}, scene {ious['scene']:.2f}"
        ImageDraw.Draw(sheet).text((4, row * (side + 24) + side + 3), said, fill="black", font=font)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def measure_perfect(images: Sequence[AnnotatedImage], arguments: argparse.Namespace) -> dict[str, Any]:
    """Only the logic: tiles answer without an error."""
    rng = np.random.default_rng(arguments.seed)
    rows, unread = [], Counter()
    for scene in scenes(images, arguments.scenes, rng, LAYOUTS):
        grid = TileGrid(scene.size_hw, arguments.tile, arguments.tile // 4)
        for question in questions(scene, rng, arguments.per_kind):
            scoped = read_sentence(question.sentence)
            if not scoped.claims:
                unread[question.kind] += 1
                continue
            target = target_of(scene, question)
            answers = {name: iou(mask, target) for name, mask in perfect(scene, question, scoped, grid).items()}
            rows.append({"sentence": question.sentence, "kind": question.kind, **answers})
    return {
        "scenes": arguments.scenes,
        "tile": arguments.tile,
        "not_read": dict(unread),
        "miou": table(rows, ("tile", "scene", "scene_regions")),
        "wrong": [row["sentence"] for row in rows if row["scene"] < 0.999],
    }


def measure_model(images: Sequence[AnnotatedImage], arguments: argparse.Namespace) -> dict[str, Any]:
    """Tiles answered by a model."""
    rng = np.random.default_rng(arguments.seed + 2)
    segmenter = Segmenter.load(arguments.model, threads=arguments.threads)
    rows, drawn, start = [], [], time.perf_counter()
    for scene in scenes(images, arguments.model_scenes, rng, LAYOUTS[:1]):
        tiles = ModelTiles(segmenter, scene)
        asked = questions(scene, rng, arguments.per_kind)
        for index in rng.permutation(len(asked))[: arguments.model_sentences]:
            question, scoped = asked[index], read_sentence(asked[index].sentence)
            target, answers = target_of(scene, question), tiles.answers(scoped)
            every = scene.union(scene.of(question.category))
            local = tiles.find(scoped.local).mask
            rows.append(
                {
                    "sentence": question.sentence,
                    "kind": question.kind,
                    "local": scoped.local,
                    "claims": [str(claim) for claim in scoped.claims],
                    **{name: round(iou(mask, target), 4) for name, mask in answers.items()},
                    "class": round(iou(local, every), 4),
                }
            )
            drawn.append((scene, question, answers))
            print(f"{time.perf_counter() - start:6.0f} s  {rows[-1]}", flush=True)
    if arguments.sheet:
        draw_sheet(arguments.sheet, drawn)
    counts = SegmentationMetrics.of([PixelCounts.of(a["scene"], target_of(s, q)) for s, q, a in drawn], "native")
    return {
        "model": arguments.model,
        "scenes": arguments.model_scenes,
        "miou": table(rows, ("tile", "scene", "class")),
        "oiou_scene": round(counts.oiou, 4),
        "samples": rows,
    }


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of annotated imagery")
    parser.add_argument("output", type=Path, help="JSON file to write")
    parser.add_argument("--scenes", type=int, default=60, help="scenes with perfect tiles")
    parser.add_argument("--per-kind", type=int, default=4, help="sentences of each kind and scene")
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", help="also measure this model")
    parser.add_argument("--model-scenes", type=int, default=3)
    parser.add_argument("--model-sentences", type=int, default=6, help="sentences of each scene")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sheet", type=Path, help="picture of the model's answers")
    arguments = parser.parse_args()
    images = [image for image in nwpu_vhr10(arguments.data / "nwpu_vhr10") if image.split in ("val", "test")]
    made = {"seed": arguments.seed, "images": len(images), "versions": versions()}
    report = {**made, "perfect_tiles": measure_perfect(images, arguments)}
    if arguments.model:
        report["model"] = measure_model(images, arguments)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    partial = arguments.output.with_suffix(".partial")
    partial.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(arguments.output)
    print(json.dumps({key: report[key]["miou"] for key in ("perfect_tiles", "model") if key in report}, indent=1))


if __name__ == "__main__":
    main()
