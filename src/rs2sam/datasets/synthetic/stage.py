"""What a theme draws with: the canvas, the season's colours, and the register of what has been placed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
    Season((88, 106, 66), (128, 124, 88), (54, 74, 46), (148, 128, 102), (42, 60, 66), (78, 92, 84)),
    Season((96, 118, 74), (134, 132, 96), (62, 86, 52), (156, 134, 110), (54, 74, 84), (92, 108, 104)),
    Season((78, 92, 58), (122, 112, 82), (58, 66, 44), (138, 118, 94), (48, 54, 48), (80, 82, 66)),
    Season((118, 112, 82), (152, 138, 104), (66, 78, 54), (174, 154, 124), (38, 70, 84), (84, 116, 118)),
    Season((140, 128, 102), (176, 160, 130), (74, 84, 60), (196, 176, 146), (30, 56, 66), (88, 128, 124)),
    Season((74, 104, 52), (104, 118, 70), (44, 74, 36), (158, 108, 76), (70, 84, 66), (118, 110, 84)),
)
"""Temperate summer, spring, late autumn, Mediterranean, desert, tropics."""


@dataclass
class _Entry:
    """One placed instance and the smallest window that holds everything painted for it."""

    category: str
    attributes: Mapping[str, Any]
    boxes: list[Window] = field(default_factory=list)


class Stage:
    """Canvas, randomness, season and register of one scene.

    Args:
        rng: source of every random number.
        canvas: what is drawn on.
        season: colours of nature.
    """

    def __init__(self, rng: np.random.Generator, canvas: Canvas, season: Season) -> None:
        self.rng, self.canvas, self.season = rng, canvas, season
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

    def paint_region(self, outlines: Sequence[Points], material: Material, region: str | None) -> None:
        """Paint polygons as ground of a region, None for ground that belongs to none."""
        self.canvas.paint(outlines, material, Label(0, REGION_CODES[region] if region else 0))

    def note(self, label: Label, window: Window) -> None:
        """Remember where an instance has been painted."""
        self._entries[label.instance - 1].boxes.append(window)

    def sees(self, center: Point, radius: float) -> bool:
        """Tell whether a disc may touch the image."""
        return self.canvas.sees(center, radius)

    def instances(self) -> tuple[Instance, ...]:
        """Collect the visible instances, in the order of their registration."""
        found = []
        for number, entry in enumerate(self._entries, start=1):
            if not entry.boxes:
                continue
            ids = self.canvas.top_ids if entry.category in STANDS_ON_OTHERS else self.canvas.ground_ids
            rows = slice(min(b[0].start for b in entry.boxes), max(b[0].stop for b in entry.boxes))
            columns = slice(min(b[1].start for b in entry.boxes), max(b[1].stop for b in entry.boxes))
            mask = ids[rows, columns] == number
            if np.count_nonzero(mask) >= MIN_PIXELS:
                cropped = Instance.from_mask(entry.category, mask, dict(entry.attributes))
                x, y = cropped.origin_xy
                origin = (x + columns.start, y + rows.start)
                found.append(Instance(entry.category, cropped.mask, origin, cropped.attributes))
        return tuple(found)

    def regions(self) -> dict[str, Mask]:
        """Collect the regions, each (H, W) bool; one that does not occur is all False."""
        return {name: self.canvas.regions == code for name, code in REGION_CODES.items()}
