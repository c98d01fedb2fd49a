"""What a theme draws with: the canvas, the season's colours, and the register of what has been placed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.base import Instance, Mask
from rs2sam.datasets.synthetic.canvas import RGB, Canvas, Label, Material, Window
from rs2sam.datasets.synthetic.geometry import Point, Points

REGION_CODES: dict[str, int] = {"road": 1, "water": 2, "vegetation": 3, "land": 4}
"""Code of each region in `Canvas.regions`; 0 is anything else (pavement, roofs)."""

NOTHING = Label(0, 0)
"""The label of pavement and the like: no object, no region."""

STANDS_ON_OTHERS = frozenset({"vehicle", "airplane", "ship", "tree"})
"""Categories whose instances leave the labels below them alone: a car on a bridge does not cut a hole into it."""

MIN_PIXELS = 8
"""Instances with fewer visible pixels are not annotated."""


@dataclass(frozen=True)
class Season:
    """Colours of nature at one place and time of the year.

    Args:
        grass: mown or grazed grass.
        dry: what grass turns into where it is dry.
        leaves: crowns of trees.
        soil: bare ground.
        water: deep water.
        shallow: water near a shore, or muddy.
    """

    grass: RGB
    dry: RGB
    leaves: RGB
    soil: RGB
    water: RGB
    shallow: RGB


SEASONS: tuple[Season, ...] = (
    Season((92, 106, 74), (132, 126, 96), (70, 88, 58), (150, 132, 108), (42, 58, 62), (76, 88, 80)),
    Season((98, 116, 78), (136, 132, 100), (80, 102, 64), (156, 138, 114), (52, 70, 78), (88, 102, 98)),
    Season((84, 94, 66), (122, 112, 86), (74, 78, 58), (138, 120, 98), (46, 52, 46), (78, 80, 66)),
    Season((118, 114, 86), (150, 138, 108), (78, 90, 64), (172, 154, 126), (36, 62, 74), (80, 106, 108)),
    Season((140, 130, 106), (176, 162, 134), (84, 92, 68), (196, 178, 150), (26, 46, 54), (84, 118, 114)),
    Season((80, 104, 58), (106, 116, 74), (58, 86, 46), (158, 112, 82), (66, 78, 62), (112, 104, 82)),
)
"""Temperate summer, spring, late autumn, Mediterranean, desert, tropics."""


@dataclass
class _Entry:
    """One placed instance and the smallest window that holds everything painted for it."""

    category: str
    attributes: Mapping[str, Any]
    boxes: list[Window] = field(default_factory=list)


def _lean(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw by how much roofs are displaced, in metres a metre of height: the camera is rarely exactly above."""
    direction, amount = rng.uniform(0, 2 * np.pi), rng.choice([0.0, rng.uniform(0.05, 0.3)])
    lean: NDArray[np.float64] = np.array([np.cos(direction), np.sin(direction)]) * amount
    return lean


class Stage:
    """Canvas, randomness, season and register of one scene.

    Args:
        rng: source of every random number.
        canvas: what is drawn on.
        season: colours of nature.
    """

    def __init__(self, rng: np.random.Generator, canvas: Canvas, season: Season) -> None:
        self.rng, self.canvas, self.season = rng, canvas, season
        self.lean: NDArray[np.float64] = _lean(rng)
        self._entries: list[_Entry] = []
        self.unlisted: set[str] = set()

    @property
    def gsd_m(self) -> float:
        """Ground sampling distance [m/px]."""
        return self.canvas.gsd_m

    @property
    def reach_m(self) -> float:
        """Radius [m] around the origin that holds the image."""
        return self.canvas.reach_m

    def chance(self, probability: float) -> bool:
        """Throw a coin."""
        return bool(self.rng.random() < probability)

    def between(self, low: float, high: float) -> float:
        """Draw a number uniformly."""
        return float(self.rng.uniform(low, high))

    def jitter(self, rgb: RGB, amount: float = 0.07) -> RGB:
        """Vary a colour: brightness by about `amount`, hue by a third of it."""
        light, *tints = self.rng.standard_normal(4).tolist()
        light = 1 + amount * light
        r, g, b = (min(max(c * light * (1 + amount / 3 * t), 4.0), 252.0) for c, t in zip(rgb, tints, strict=True))
        return r, g, b

    def register(self, category: str, **attributes: Any) -> Label:
        """Announce an instance; paint with the returned label to give it its mask."""
        self._entries.append(_Entry(category, attributes))
        top = category in STANDS_ON_OTHERS
        return Label(len(self._entries), None if top else 0, top)

    def paint(self, outlines: Sequence[Points], material: Material, label: Label | None = None) -> None:
        """Paint polygons; with an instance's label, they become part of its mask."""
        window = self.canvas.paint(outlines, material, label)
        if window is not None and label is not None and label.instance:
            self.note(label, window)

    def paint_relief(self, parts: Sequence[tuple[Points, float]], material: Material, label: Label) -> None:
        """Paint an instance's polygons of one material, each under its own light."""
        window = self.canvas.paint_relief(parts, material, label)
        if window is not None:
            self.note(label, window)

    def paint_region(self, outlines: Sequence[Points], material: Material, region: str | None) -> None:
        """Paint polygons as ground of a region, None for ground that belongs to none."""
        self.canvas.paint(outlines, material, Label(0, REGION_CODES[region] if region else 0))

    def note(self, label: Label, window: Window) -> None:
        """Remember where an instance has been painted."""
        self._entries[label.instance - 1].boxes.append(window)

    def sees(self, center: Point, radius: float) -> bool:
        """Tell whether a disc may touch the image."""
        return self.canvas.sees(center, radius)

    def instances(self, colours: bool = True) -> tuple[Instance, ...]:
        """Collect the visible instances, in the order of their registration; without `colours` these are not told."""
        found = []
        for number, entry in enumerate(self._entries, start=1):
            if not entry.boxes:
                continue
            ids = self.canvas.top_ids if entry.category in STANDS_ON_OTHERS else self.canvas.ground_ids
            rows = slice(min(b[0].start for b in entry.boxes), max(b[0].stop for b in entry.boxes))
            columns = slice(min(b[1].start for b in entry.boxes), max(b[1].stop for b in entry.boxes))
            mask = ids[rows, columns] == number
            if np.count_nonzero(mask) >= MIN_PIXELS:
                told = {key: value for key, value in entry.attributes.items() if colours or key != "colour"}
                cropped = Instance.from_mask(entry.category, mask, told)
                x, y = cropped.origin_xy
                origin = (x + columns.start, y + rows.start)
                found.append(Instance(entry.category, cropped.mask, origin, cropped.attributes))
        return tuple(found)

    def regions(self) -> dict[str, Mask]:
        """Collect the regions, each (H, W) bool; one that does not occur is all False."""
        return {name: self.canvas.regions == code for name, code in REGION_CODES.items()}
