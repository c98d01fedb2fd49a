"""Measure the reader of sentences on wordings with known meanings, without a model.

    python -m benchmarks.accuracy.wordings out/wordings.json [--data ../shared/data] [--half dev] [--show wrong]

`wordings.tsv` holds templates as different people type them, each with its meaning. The reader is mended on `dev`,
`blind` only says what that is worth: half of the first writer's, drawn at random before anything was measured, and all
of another's, of whom nothing is in `dev`. Every template is asked about layouts of rectangles, with `--data` also about
annotated images of the `val` split, in which its meaning is clear. A phrase that is a bare noun is answered perfectly;
any other words stay with the model. Outcomes:

- right: exactly the meant objects are chosen; for what only names things: nothing but the noun is left to ask;
- model: the model is asked what no claim expresses ("near the {y}", a colour), as it should;
- whole: words that could be read are left to the model;
- wrong: other objects are chosen, and nobody is told.

A meaning is a series of steps (`rs2sam.language` has no part in them): `largest#2` the second largest, `largest*2` the
two largest, `in:top-left`, `half:left`, `of:left` left of the {y}, `y:largest` the {y} that is meant is the largest,
`count2` two are there; `whole`: nothing is to be read. Steps of `LEFT` are the model's.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.files import ROOT, write_json
from rs2sam.datasets.english.nouns import NOUNS
from rs2sam.datasets.readers.sources import read_sources
from rs2sam.language.concepts import noun_phrase
from rs2sam.language.scope import Candidate, choose, read_sentence

LIST = ROOT / "benchmarks" / "accuracy" / "wordings.tsv"
HALVES, OUTCOMES = ("dev", "blind"), ("right", "model", "whole", "wrong")
SIDE = 640
NAMES = ("ship", "boat", "storage tank", "plane", "airplane", "car", "tennis court", "swimming pool", "pool", "truck")
LANDMARKS = ("building", "house", "bridge", "runway", "parking lot", "pier")
GROUNDS = ("water", "road", "grass", "parking lot")
COLOURS = ("white", "red", "blue", "green", "grey")
LEFT = re.compile(
    r"^(?:vague|medium|colour|beside|between|on|around|nobeside|(?:within|beyond|not|edge)\b.*|\w+[<>]\d+)$"
)
"""Steps that no claim expresses: the model is asked for them."""

NOTHING = frozenset({"all", "n=", "count"})
"""Steps that single nothing out."""

Indices = NDArray[np.intp]
Boxes = NDArray[np.float64]


class Wording(NamedTuple):
    """One line of the list."""

    half: str
    kind: str
    meaning: str
    wording: str


@dataclass(frozen=True)
class Layout:
    """Objects of one kind and others that they may be compared with.

    Args:
        noun: singular and plural of the objects.
        landmark: singular and plural of the others.
        objects: the objects.
        landmarks: the others.
        size_hw: height and width of the scene [px].
    """

    noun: tuple[str, str]
    landmark: tuple[str, str]
    objects: tuple[Candidate, ...]
    landmarks: tuple[Candidate, ...]
    size_hw: tuple[int, int] = (SIDE, SIDE)


def wordings() -> list[Wording]:
    """The list."""
    lines = LIST.read_text(encoding="utf-8").splitlines()[1:]
    return [Wording(*line.split("\t")) for line in lines]


class UnclearError(Exception):
    """What is meant is too close to call in this layout."""


def meant(layout: Layout, meaning: str) -> list[int]:
    """The objects that a meaning names.

    Raises:
        UnclearError: see there.
    """
    height, width = layout.size_hw
    landmarks = _Measured(layout.landmarks, width, height)
    objects = _Measured(layout.objects, width, height)
    chosen, anchors = np.arange(len(layout.objects)), np.arange(len(layout.landmarks))
    for step in meaning.split():
        if step.startswith("y:"):
            anchors = landmarks.take(anchors, step[2:])
        elif step.startswith("of:"):
            _clear_if(len(anchors) == 1)
            chosen = objects.beyond(chosen, step[3:], landmarks.boxes[anchors[0]])
        elif step.startswith(("closest", "farthest")):
            _clear_if(len(anchors) == 1)
            values = objects.distances(landmarks.boxes[anchors[0]]) * (-1 if step.startswith("f") else 1)
            chosen = ranked(chosen, values, step, 0.06)
        else:
            chosen = objects.take(chosen, step)
    return sorted(int(index) for index in chosen)


class _Measured:
    """Rectangles, in shares of the scene's sides."""

    def __init__(self, found: Sequence[Candidate], width: int, height: int) -> None:
        boxes = np.array([one.bounds for one in found], dtype=np.float64).reshape(-1, 4)
        self.boxes: Boxes = boxes / (width, height, width, height)
        self.centers = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2
        self.areas = np.array([one.area_px for one in found], dtype=np.float64)
        self.sides = boxes[:, 2:] - boxes[:, :2]

    def take(self, chosen: Indices, step: str) -> Indices:
        """One step that needs no other object."""
        name, _, place = step.partition(":")
        x, y = self.centers.T
        if name in ("all", "whole"):
            return chosen
        if name.startswith("n="):
            return _clear_if(len(chosen) == int(name[2:]), chosen)
        if name.startswith("count"):
            return _clear_if(len(chosen) == int(name[5:]), chosen)
        if name == "same":
            return _clear_if(list(self.take(np.arange(len(x)), place)) == list(chosen), chosen)
        if name in ("in", "half"):
            return self.at(chosen, place, (0.36, 0.55) if name == "in" and "-" not in place else (0.44, 0.56))
        base = re.split(r"[#*]", name)[0]
        if base in ("largest", "smallest"):
            return ranked(chosen, np.log(self.areas) * (-1 if base == "largest" else 1), step, np.log(1.5))
        if base in ("longest", "shortest"):
            sign = -1 if base == "longest" else 1
            orders = [np.log(self.sides.max(axis=1)) * sign, np.log(np.hypot(*self.sides.T)) * sign]
            return _agreed([ranked(chosen, values, step, np.log(1.45)) for values in orders])
        if base == "center":
            return ranked(chosen, np.hypot(x - 0.5, y - 0.5), step, 0.06)
        axis, sign = {"left": (0, 1), "right": (0, -1), "top": (1, 1), "bottom": (1, -1)}[base]
        edge = self.boxes[:, axis] if sign == 1 else -self.boxes[:, axis + 2]
        return _agreed([ranked(chosen, sign * self.centers[:, axis], step, 0.06), ranked(chosen, edge, step, 0.01)])

    def at(self, chosen: Indices, place: str, bounds: tuple[float, float]) -> Indices:
        """Those clearly at a place, where the others are clearly not."""
        inside, outside = bounds
        true, false = np.ones(len(self.boxes), dtype=bool), np.zeros(len(self.boxes), dtype=bool)
        x, y = self.centers.T
        for word in place.split("-"):
            if word == "middle":
                true &= np.maximum(abs(x - 0.5), abs(y - 0.5)) < 0.13
                false |= np.maximum(abs(x - 0.5), abs(y - 0.5)) > 0.27
            else:
                values = {"left": x, "right": 1 - x, "top": y, "bottom": 1 - y}[word]
                limit = 0.27 if "-" in place else inside
                true &= values < limit
                false |= values > outside
        _clear_if(bool((true | false)[chosen].all() and true[chosen].any() and false[chosen].any()))
        return chosen[true[chosen]]

    def beyond(self, chosen: Indices, side: str, box: NDArray[np.float64]) -> Indices:
        """Those clearly on one side of another object, where the others are clearly not."""
        axis, sign = {"left": (0, -1), "right": (0, 1), "above": (1, -1), "below": (1, 1)}[side]
        middle = (box[:2] + box[2:]) / 2
        ahead = sign * (self.centers[:, axis] - middle[axis])
        aside = abs(self.centers[:, 1 - axis] - middle[1 - axis])
        gap = box[axis] - self.boxes[:, axis + 2] if sign < 0 else self.boxes[:, axis] - box[axis + 2]
        true, false = (gap > 0.01) & (aside < 0.7 * ahead), (ahead < -0.02) | (aside > 1.6 * abs(ahead))
        _clear_if(bool((true | false)[chosen].all() and true[chosen].any() and false[chosen].any()))
        return chosen[true[chosen]]

    def distances(self, box: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) gaps to another object."""
        gaps = np.maximum(np.maximum(self.boxes[:, :2] - box[2:], box[:2] - self.boxes[:, 2:]), 0)
        return np.asarray(np.hypot(*gaps.T))


def ranked(chosen: Indices, values: NDArray[np.float64], step: str, gap: float) -> Indices:
    """Of `chosen`, those at the rank of a step, with least values first."""
    first = int(step.partition("#")[2] or 1) - 1
    last = first + int(step.partition("*")[2] or 1)
    order = chosen[np.argsort(values[chosen], kind="stable")]
    _clear_if(len(order) > max(last, 1))
    steps = np.diff(values[order])
    return _clear_if(bool(steps[last - 1] > gap and (first == 0 or steps[first - 1] > gap)), order[first:last])


def _clear_if(clear: bool, value: Indices | None = None) -> Indices:
    if not clear:
        raise UnclearError
    return np.zeros(0, dtype=np.intp) if value is None else value


def _agreed(answers: Sequence[Indices]) -> Indices:
    return _clear_if(all(set(one) == set(answers[0]) for one in answers), answers[0])


@cache
def made(number: int) -> Layout:
    """One of the layouts that are made: rectangles at random places that do not overlap."""
    rng = np.random.default_rng([7, number])
    boxes: list[NDArray[np.float64]] = []
    counts = int(rng.integers(1, 7)), int(rng.choice([1, 1, 3]))
    while len(boxes) < sum(counts):
        center, size = rng.uniform(0.08, 0.92, 2) * SIDE, np.exp(rng.uniform(np.log(16), np.log(110), 2))
        box = np.round(np.clip(np.concatenate([center - size / 2, center + size / 2]), 0, SIDE))
        if all((box[:2] > other[2:] + 3).any() or (box[2:] + 3 < other[:2]).any() for other in boxes):
            boxes.append(box)
    found = [Candidate(tuple(map(float, b)), float((b[2] - b[0]) * (b[3] - b[1]))) for b in boxes]  # type: ignore[arg-type]
    noun, landmark = str(rng.choice(NAMES)), str(rng.choice(LANDMARKS))
    return Layout((noun, f"{noun}s"), (landmark, f"{landmark}s"), tuple(found[: counts[0]]), tuple(found[counts[0] :]))


def annotated(data: Path) -> list[Layout]:
    """Annotated images of the `val` split, once for each class and each class beside it."""
    layouts = []
    for images in read_sources(data).values():
        for image in images:
            present = sorted({i.category for i in image.instances if i.category in NOUNS})
            if image.split != "val" or not present:
                continue
            found = {c: tuple(Candidate(i.box_xyxy, i.area) for i in image.of(c)) for c in present}
            for category in present:
                noun = NOUNS[category][0]
                other = next((c for c in present if c != category), None)
                beside = NOUNS[other][0] if other else None
                names = ("pier", "piers") if beside is None else (beside.singular, beside.plural)
                marks = () if other is None else found[other]
                layouts.append(Layout((noun.singular, noun.plural), names, found[category], marks, image.size_hw))
    return layouts


def sentence_of(wording: str, layout: Layout, rng: np.random.Generator) -> tuple[str, str]:
    """A template in words, and the noun phrase that it speaks of, in the singular."""
    words = {"y": layout.landmark[0], "ys": layout.landmark[1]}
    words |= {"w": str(rng.choice(GROUNDS)), "c": str(rng.choice(COLOURS))}
    words |= {"x": layout.noun[0], "xs": layout.noun[1]}
    words |= {"X": layout.noun[0].capitalize(), "Xs": layout.noun[1].capitalize()}
    words |= {"XS": layout.noun[1].upper()}
    given = re.search(r"<(.*?)>", wording)
    text = re.sub(r"\{(\w+)\}", lambda match: words[match[1]], wording)
    noun = noun_phrase(given[1]) if given else layout.noun[0]
    colour = f"{words['c']} " if "{c}" in wording else ""
    return re.sub(r"[<>]", "", text) if given else text, colour + noun


def outcome(sentence: str, noun: str, layout: Layout, meaning: str) -> str:
    """What becomes of one sentence; see the module."""
    scoped = read_sentence(sentence)
    is_bare = noun_phrase(scoped.local).lower() == noun.lower()
    if meaning == "whole":
        return "wrong" if scoped.claims or is_bare else "model"
    if scoped.landmark is not None and noun_phrase(scoped.landmark).lower() != layout.landmark[0]:
        return "wrong"
    steps = meaning.split()
    read = [step for step in steps if not LEFT.match(step)]
    is_left = any(step != "colour" for step in steps if LEFT.match(step))  # a colour is a part of the noun phrase
    chosen = choose(layout.objects, scoped.claims, layout.size_hw, layout.landmarks)
    is_meant = chosen == meant(layout, " ".join(read))
    if is_bare:
        return "right" if is_meant and not is_left else "wrong"
    if not scoped.claims:
        return (
            "model"
            if NOTHING.issuperset(re.sub(r"\d", "", step) for step in read) and len(read) < len(steps)
            else "whole"
        )
    if not is_meant:
        return "wrong"
    return "right" if is_left else "whole"


def asks(one: Wording, layouts: Sequence[Layout], count: int) -> Iterator[tuple[str, str]]:
    """Sentences of one template about the first layouts in which it is clear, and their outcomes."""
    rng = np.random.default_rng(len(one.wording))
    clear = 0
    read = " ".join(step for step in one.meaning.split() if not LEFT.match(step))
    for layout in layouts:
        try:
            meant(layout, read)
        except UnclearError:
            continue
        sentence, noun = sentence_of(one.wording, layout, rng)
        yield sentence, outcome(sentence, noun, layout, one.meaning)
        clear += 1
        if clear == count:
            return


def measured(layouts: Sequence[Layout], chosen: Sequence[Wording], count: int) -> dict[str, list[tuple[str, str]]]:
    """For each template its sentences and their outcomes."""
    return {one.wording: list(asks(one, layouts, count)) for one in chosen}


def table(chosen: Sequence[Wording], results: dict[str, list[tuple[str, str]]]) -> dict[str, dict[str, float]]:
    """Shares of outcomes by kind; each template counts once."""
    groups: dict[str, list[Counter[str]]] = defaultdict(list)
    for one in chosen:
        counts = Counter(found for _, found in results[one.wording])
        if counts:
            groups[one.kind].append(counts)
            groups["overall"].append(counts)
    return {
        kind: {"n": len(group)}
        | {name: round(float(np.mean([c[name] / c.total() for c in group])), 4) for name in OUTCOMES}
        for kind, group in groups.items()
    }


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="JSON file to write")
    parser.add_argument("--data", type=Path, help="folder of annotated imagery, to ask about it, too")
    parser.add_argument("--half", choices=HALVES, help="only this one")
    parser.add_argument("--show", choices=OUTCOMES, action="append", default=[], help="print sentences of this outcome")
    parser.add_argument("--asks", type=int, default=6, help="layouts for each template")
    arguments = parser.parse_args()
    sources = {"made": [made(number) for number in range(600)]}
    if arguments.data:
        sources["annotated"] = annotated(arguments.data)
    report: dict[str, object] = {}
    for half in HALVES if arguments.half is None else (arguments.half,):
        chosen = [one for one in wordings() if one.half == half]
        for name, layouts in sources.items():
            results = measured(layouts, chosen, arguments.asks)
            report[f"{half}, {name}"] = shares = table(chosen, results)
            print(half, name, *(f"\n  {kind:10} {row}" for kind, row in shares.items()))
            for one in chosen if half == "dev" else ():
                found = {result: sentence for sentence, result in results[one.wording]}
                for result in arguments.show:
                    if result in found:
                        print(f"  {result} {one.kind} [{one.meaning}] {found[result]}")
    write_json(report, arguments.output)


if __name__ == "__main__":
    main()
