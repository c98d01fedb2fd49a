"""Measure what deciding a sentence for the scene gains over deciding it in every tile.

    python -m benchmarks.accuracy.scope ../shared/data benchmarks/results/scope.json
    python -m benchmarks.accuracy.scope ../shared/data out/scope.json --model compact --sheet out/scope.png
    python -m benchmarks.accuracy.scope ../shared/data out/scope.json --model compact --cpu-minutes 12

Scenes are mosaics of held-out NWPU VHR-10 images (validation and test splits) with sentences that are true of the whole
mosaic (`benchmarks/accuracy/scope_questions.py`). Two measurements:

- perfect tiles: every tile answers what the annotation says of its part of the scene; only the logic is measured: with
  masks, and with objects told apart by a model that finds all of a class (`scope_oracle.py`), merged over tiles;
- a model: tiles are answered by it, in mosaics of 2 x 2 images (3 x 3 tiles). The sentences of a mosaic speak of one
  class. It stops after `--model-scenes` mosaics or when `--cpu-minutes` are spent, and says how many it did. The gain
  is given with its 95 % interval (bootstrap over mosaics).
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.accuracy.scope_oracle import Oracle, numbered, places, touching
from benchmarks.accuracy.scope_questions import Mask, Question, questions, scenes, target_of
from benchmarks.files import write_json
from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.readers.sources import nwpu_vhr10
from rs2sam.evaluation.gallery import against_target
from rs2sam.language.scope import Candidate, ScopedSentence, choose, read_sentence
from rs2sam.metrics import PixelCounts, SegmentationMetrics
from rs2sam.raster import TileGrid
from rs2sam.raster.read import scene_of
from rs2sam.segmenter import Segmentation, Segmenter
from rs2sam.vector.vectorize import fill, trace
from rs2sam.versions import versions
from rs2sam.views import SceneOptions, segment_scene
from rs2sam.views.asking import decided

LAYOUTS = ((4, 512), (2, 1024))  # images a side, pixels of an image's side
MODEL_LAYOUT = (2, 640)
WELL_FOUND = 0.5  # IoU of the class from which on a choice among what was found has a chance
NUM_DRAWN = 16


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


class ToldApart:
    """Answers among objects that tiles told apart, as of a concept model; each phrase is asked once in a scene.

    Args:
        scene: the annotated scene.
        grid: its tiles.
    """

    def __init__(self, scene: AnnotatedImage, grid: TileGrid) -> None:
        self._annotated = scene
        self._shown = replace(scene_of(places(scene.size_hw)), source=scene.id)
        self._options = SceneOptions(tile=grid.tile, overlap=grid.overlap, keep_probability=True)
        self._found: dict[str, Segmentation] = {}
        self._touching: dict[str, bool] = {}

    def answer(self, question: Question, scoped: ScopedSentence) -> Mask:
        """What a sentence means."""
        categories = (question.category, question.anchor or question.category)
        views = [self._find(part, category) for part, category in zip(scoped.parts, categories, strict=False)]
        return decided(scoped, views, self._shown.georeference).mask

    def do_touch(self, category: str) -> bool:
        """Whether any objects of a class share an edge."""
        if category not in self._touching:
            labels = numbered(self._annotated.of(category), self._annotated.size_hw)
            self._touching[category] = touching(labels) > 0
        return self._touching[category]

    def _find(self, phrase: str, category: str) -> Segmentation:
        """Everything of a class, found in tiles and merged."""
        if phrase not in self._found:
            oracle = Oracle({phrase: self._annotated.of(category)}, self._annotated.size_hw)
            (one,) = segment_scene(oracle, self._shown, [phrase], self._options)
            assert one.probability is not None
            self._found[phrase] = Segmentation(phrase, one.mask, one.probability, instances=one.instances)
        return self._found[phrase]


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
        self._scene = replace(scene_of(annotated.pixels()), source=annotated.id)
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
        told = ToldApart(scene, grid)
        for question in questions(scene, rng, arguments.per_kind):
            scoped = read_sentence(question.sentence)
            if not scoped.claims:
                unread[question.kind] += 1
                continue
            target = target_of(scene, question)
            found = perfect(scene, question, scoped, grid) | {"told_apart": told.answer(question, scoped)}
            answers = {name: iou(mask, target) for name, mask in found.items()}
            touch = told.do_touch(question.category)
            rows.append({"sentence": question.sentence, "kind": question.kind, "touch": touch, **answers})
    return {
        "scenes": arguments.scenes,
        "tile": arguments.tile,
        "not_read": dict(unread),
        "miou": table(rows, ("tile", "scene", "scene_regions", "told_apart")),
        "miou_where_objects_touch": table([row for row in rows if row["touch"]], ("scene_regions", "told_apart")),
        "wrong": [row["sentence"] for row in rows if row["scene"] < 0.999],
        "wrong_told_apart": [(row["sentence"], row["told_apart"]) for row in rows if row["told_apart"] < 0.999],
    }


def measure_model(
    images: Sequence[AnnotatedImage], arguments: argparse.Namespace, save: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Tiles answered by a model; what is known so far is saved after every mosaic."""
    rng = np.random.default_rng(arguments.seed + 2)
    segmenter = Segmenter.load(arguments.model, threads=arguments.threads)
    rows: list[dict[str, Any]] = []
    counts, drawn, start = [], [], time.process_time()
    report: dict[str, Any] = {}
    for number, scene in enumerate(scenes(images, arguments.model_scenes, rng, [MODEL_LAYOUT])):
        tiles = ModelTiles(segmenter, scene)
        for question in of_one_class(questions(scene, rng, arguments.per_kind), rng, arguments.model_sentences):
            row, answers = ask_model(tiles, scene, question)
            rows.append({"mosaic": number, **row})
            counts.append(PixelCounts.of(answers["scene"], target_of(scene, question)))
            if len(drawn) < NUM_DRAWN:
                drawn.append((scene, question, answers))
            print(f"{time.process_time() - start:6.0f} s  {rows[-1]}", flush=True)
        spent_s = time.process_time() - start
        report = {
            "model": arguments.model,
            "scenes": number + 1,
            "side_px": MODEL_LAYOUT[0] * MODEL_LAYOUT[1],
            "cpu_s": round(spent_s),
            "miou": table(rows, ("tile", "scene", "class")),
            "gain": gain(rows, np.random.default_rng(arguments.seed)),
            "class_well_found": table([row for row in rows if row["class"] >= WELL_FOUND], ("tile", "scene", "class")),
            "oiou_scene": round(SegmentationMetrics.of(counts, "native").oiou, 4),
            "samples": rows,
        }
        save(report)
        if arguments.cpu_minutes and spent_s > 60 * arguments.cpu_minutes:
            break
    if arguments.sheet:
        draw_sheet(arguments.sheet, drawn)
    return report


def of_one_class(asked: Sequence[Question], rng: np.random.Generator, count: int) -> list[Question]:
    """Sentences of one class, of as many kinds as there are: what tiles find of it is needed once."""
    if not asked:
        return []
    order = [asked[index] for index in rng.permutation(len(asked))]
    same = [question for question in order if question.category == order[0].category]
    seen: Counter[str] = Counter()
    places = []
    for question in same:
        places.append(seen[question.kind])
        seen[question.kind] += 1
    return [same[index] for index in np.argsort(places, kind="stable")[:count]]


def ask_model(tiles: ModelTiles, scene: AnnotatedImage, question: Question) -> tuple[dict[str, Any], dict[str, Mask]]:
    """One sentence: how well each way answers it, and the answers."""
    scoped = read_sentence(question.sentence)
    target, answers = target_of(scene, question), tiles.answers(scoped)
    every = scene.union(scene.of(question.category))
    row = {
        "sentence": question.sentence,
        "kind": question.kind,
        "local": scoped.local,
        "claims": [str(claim) for claim in scoped.claims],
        **{name: round(iou(mask, target), 4) for name, mask in answers.items()},
        "class": round(iou(tiles.find(scoped.local).mask, every), 4),
    }
    return row, answers


def gain(rows: Sequence[dict[str, Any]], rng: np.random.Generator, draws: int = 2000) -> dict[str, Any]:
    """Mean difference of IoU, scene less tile, with the 95 % interval of a bootstrap over mosaics."""
    by_mosaic: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        by_mosaic[row["mosaic"]].append(row["scene"] - row["tile"])
    groups = list(by_mosaic.values())
    means = []
    for _ in range(draws):
        picked = [value for index in rng.integers(len(groups), size=len(groups)) for value in groups[index]]
        means.append(float(np.mean(picked)))
    low, high = np.percentile(means, [2.5, 97.5])
    return {
        "mean": round(float(np.mean([value for group in groups for value in group])), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of annotated imagery")
    parser.add_argument("output", type=Path, help="JSON file to write")
    parser.add_argument("--scenes", type=int, default=20, help="scenes with perfect tiles")
    parser.add_argument("--per-kind", type=int, default=4, help="sentences of each kind and scene")
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", help="also measure this model")
    parser.add_argument("--model-scenes", type=int, default=40)
    parser.add_argument("--model-sentences", type=int, default=3, help="sentences of each scene")
    parser.add_argument("--cpu-minutes", type=float, help="stop the model's part when these are spent")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sheet", type=Path, help="picture of the model's first answers")
    arguments = parser.parse_args()
    images = [image for image in nwpu_vhr10(arguments.data / "nwpu_vhr10") if image.split in ("val", "test")]
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    shown = ("scenes", "per_kind", "seed", "model", "model_scenes", "model_sentences", "cpu_minutes", "threads")
    report: dict[str, Any] = {
        "seed": arguments.seed,
        "images": len(images),
        "options": {name: getattr(arguments, name) for name in shown},
        "versions": versions(),
    }

    def save(part: dict[str, Any], name: str) -> None:
        report[name] = part
        write_json(report, arguments.output)

    if arguments.scenes:
        save(measure_perfect(images, arguments), "perfect_tiles")
    if arguments.model:
        measure_model(images, arguments, lambda part: save(part, "model"))
    print(json.dumps({key: report[key]["miou"] for key in ("perfect_tiles", "model") if key in report}, indent=1))


if __name__ == "__main__":
    main()
