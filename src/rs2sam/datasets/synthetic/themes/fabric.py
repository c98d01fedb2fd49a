"""Built-up ground: suburbs, old towns, city blocks, villages. Each fills a rectangle of the drawing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.synthetic.canvas import Material
from rs2sam.datasets.synthetic.geometry import Point, blob, points, rectangle
from rs2sam.datasets.synthetic.objects.buildings import block, house, shed
from rs2sam.datasets.synthetic.objects.courts import swimming_pool
from rs2sam.datasets.synthetic.objects.grounds import asphalt, car_park, concrete, road
from rs2sam.datasets.synthetic.objects.plants import Trees, grass, scatter_points, soil
from rs2sam.datasets.synthetic.objects.vehicles import car, traffic
from rs2sam.datasets.synthetic.stage import Stage

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in metres."""

Free = Callable[[Point, float], bool]
"""Tells whether a disc of a radius [m] around a point may be built on."""


def everywhere(_: Point, __: float) -> bool:
    """Allow building anywhere."""
    return True


@dataclass(frozen=True)
class Taste:
    """What the houses of a quarter have in common.

    Args:
        style: kind of roof, a key of `buildings.ROOFS`.
        leafy: how many trees, about 0 to 2.
        pools: share of gardens with a pool.
        plot: width of a plot along its street [m].
        depth: depth of a plot [m].
    """

    style: str
    leafy: float
    pools: float
    plot: float
    depth: float

    @classmethod
    def draw(cls, stage: Stage) -> Taste:
        """Draw a quarter's taste."""
        style = str(stage.rng.choice(["tiles", "shingle", "metal"], p=[0.42, 0.44, 0.14]))
        pools = stage.between(0, 0.55) if stage.chance(0.6) else 0.02
        return cls(style, stage.between(0.3, 2.0), pools, stage.between(15, 24), stage.between(22, 34))


def suburb(stage: Stage, trees: Trees, box: Box, taste: Taste | None = None, free: Free = everywhere) -> None:
    """Fill a rectangle with streets and detached houses in gardens."""
    taste = taste or Taste.draw(stage)
    left, top, right, bottom = box
    width = stage.between(6, 9)
    pitch = 2 * taste.depth + width
    rows = np.arange(top + stage.between(-pitch, 0), bottom + pitch, pitch)
    first = left + stage.between(-taste.plot, 0)
    cross = np.arange(first, right, taste.plot * int(stage.rng.integers(6, 11))) + taste.plot / 2
    material = asphalt(stage)
    for y in rows[(rows > top) & (rows < bottom)]:
        road(stage, points((left, y), ((left + right) / 2, y), (right, y)), width, material, 2 * stage.chance(0.4), 1.5)
    for x in cross[(cross > left) & (cross < right)]:
        road(stage, points((x, top), (x, (top + bottom) / 2), (x, bottom)), width, material, 0, 1.0 * stage.chance(0.5))
    for y in rows:
        for side in (-1, 1):
            if top < y < bottom and stage.chance(0.8):
                _parked(stage, (left, right, float(y)), side * (width / 2 - 1.2), cross)
            for x in np.arange(first, right + taste.plot, taste.plot):
                middle = (float(x), float(y) + side * (width + taste.depth) / 2)
                inside = left < x < right and top < middle[1] < bottom
                if inside and np.abs(cross - x).min(initial=1e9) > width / 2 + 6 and free(middle, taste.depth * 0.6):
                    _plot(stage, trees, (float(x), float(y) + side * width / 2), side, taste)


def _parked(stage: Stage, street: tuple[float, float, float], offset: float, cross: NDArray[np.float64]) -> None:
    """Park cars along a street (left, right, y), clear of the crossings."""
    left, right, y = street
    spacing = stage.between(10, 45)
    x = left + stage.between(0, spacing)
    while x < right:
        if np.abs(cross - x).min(initial=1e9) > 9:
            car(stage, (x, y + offset), (0 if stage.chance(0.6) else np.pi) + stage.rng.normal(0, 0.03))
        x += 6 + stage.rng.exponential(spacing)


def _plot(stage: Stage, trees: Trees, front: tuple[float, float], side: int, taste: Taste) -> None:
    """Build one plot: `front` is the middle of its street side, `side` the direction in which it extends."""
    x, y = front
    plot, depth = taste.plot, taste.depth
    if not stage.sees((x, y + side * depth / 2), depth):
        return
    lawn = stage.chance(0.8)
    yard = rectangle((x, y + side * depth / 2), plot * 0.98, depth * 0.98)
    ground = grass(stage, stage.between(-1.8, 1.5)) if lawn else soil(stage)
    stage.paint_region([yard], ground, "vegetation" if lawn else "land")
    length, width = stage.between(0.55, 0.78) * plot, stage.between(8, 12)
    setback = stage.between(0.18, 0.34) * depth
    end = 1 if stage.chance(0.5) else -1
    if stage.chance(0.75):
        drive = rectangle((x + end * (plot / 2 - 2.2), y + side * setback / 2), 3.2, setback + 1)
        stage.paint_region([drive], concrete(stage, stage.between(0.8, 1.1)), None)
        if stage.chance(0.5):
            car(
                stage,
                (x + end * (plot / 2 - 2.2), y + side * setback / 2),
                np.pi / 2 * side + stage.rng.normal(0, 0.03),
            )
    back = setback + width
    if stage.gsd_m < 0.45 and stage.chance(0.6):
        patio = rectangle((x + stage.between(-2, 2), y + side * (back + 1.5)), stage.between(4, 9), stage.between(3, 5))
        stage.paint_region([patio], concrete(stage, stage.between(0.85, 1.15)), None)
    if depth - back > 9 and stage.chance(taste.pools):
        at = (x + stage.between(-0.2, 0.2) * plot, y + side * (back + 6))
        swimming_pool(stage, at, stage.between(6, 11), stage.between(3.5, 5.5), stage.between(-0.2, 0.2))
    house(stage, (x, y + side * (setback + width / 2)), length, width, stage.rng.normal(0, 0.02), taste.style)
    if stage.chance(0.35):
        hut = (x - end * (plot / 2 - 2.6), y + side * (depth - 3))
        shed(stage, hut, stage.between(2.6, 6), stage.between(2.4, 4), 0)
    _garden(stage, trees, front, side, taste)


def _garden(stage: Stage, trees: Trees, front: tuple[float, float], side: int, taste: Taste) -> None:
    """Plant a garden: trees mostly at the back, hedges along the borders, bushes."""
    (x, y), plot, depth = front, taste.plot, taste.depth
    for _ in range(int(stage.rng.poisson(1.9 * taste.leafy))):
        deep = stage.between(0.7, 1.0) if stage.chance(0.72) else stage.between(0.03, 0.2)
        at = (x + stage.between(-0.48, 0.48) * plot, y + side * depth * deep)
        trees.plant(at, stage.between(1.4, 4.2) * (0.8 + 0.2 * taste.leafy))
    if stage.gsd_m < 0.4:
        for _ in range(int(stage.rng.poisson(2.5 * taste.leafy))):
            at = (x + stage.between(-0.48, 0.48) * plot, y + side * depth * stage.between(0.02, 1.0))
            if abs(at[1] - y) < depth * 0.16 or abs(at[1] - y) > depth * 0.75:
                trees.plant(at, stage.between(0.5, 1.1))


def old_town(stage: Stage, trees: Trees, box: Box, free: Free = everywhere) -> None:
    """Fill a rectangle with rows of houses wall to wall along narrow streets, yards behind them."""
    left, top, right, bottom = box
    style = "tiles" if stage.chance(0.75) else "shingle"
    street, depth, yard = stage.between(5, 8), stage.between(9, 13), stage.between(6, 18)
    pitch = street + 2 * depth + yard
    stage.paint_region(
        [rectangle(((left + right) / 2, (top + bottom) / 2), right - left, bottom - top)], asphalt(stage), "road"
    )
    for y in np.arange(top + stage.between(-pitch, 0), bottom, pitch):
        court = rectangle(((left + right) / 2, y + street / 2 + depth + yard / 2), right - left, yard + depth)
        if stage.chance(0.6):
            stage.paint_region([court], grass(stage, 0.4), "vegetation")
        else:
            stage.paint_region([court], soil(stage), "land")
        gap = left + stage.between(20, 90)
        x = left
        while x < right:
            width = stage.between(7, 14)
            for middle in (y + street / 2 + depth / 2, y + street / 2 + 1.5 * depth + yard):
                at = (x + width / 2, middle + stage.rng.normal(0, 0.5))
                if top < middle < bottom and free(at, depth * 0.7):
                    house(stage, at, width * 1.02, depth * stage.between(0.85, 1.1), 0.0, style)
            for _ in range(int(stage.rng.poisson(0.5))):
                trees.plant(
                    (x + width / 2, y + street / 2 + depth + yard / 2 + stage.rng.normal(0, 2)), stage.between(1.2, 3.5)
                )
            x += width
            if x > gap:
                # A side street: nothing is built for its width.
                x, gap = x + street, x + stage.between(40, 110)
        if top < y < bottom:
            _parked(stage, (left, right, float(y)), street / 2 - 1.2, np.zeros(0))


def downtown(stage: Stage, trees: Trees, box: Box, free: Free = everywhere, tall: float | None = None) -> None:
    """Fill a rectangle with city blocks: flat roofs, some towers, car parks, small squares."""
    left, top, right, bottom = box
    tall = stage.between(6, 40) if tall is None else tall
    street, size = stage.between(10, 18), (stage.between(45, 90), stage.between(40, 75))
    ground = rectangle(((left + right) / 2, (top + bottom) / 2), right - left, bottom - top)
    stage.paint_region([ground], asphalt(stage), "road")
    origin = (left + stage.between(-size[0], 0), top + stage.between(-size[1], 0))
    xs, ys = np.arange(origin[0], right, size[0] + street), np.arange(origin[1], bottom, size[1] + street)
    for y in ys:
        for x in xs:
            middle = (float(x + size[0] / 2), float(y + size[1] / 2))
            if left < middle[0] < right and top < middle[1] < bottom and free(middle, max(size) * 0.6):
                _city_block(stage, trees, middle, size, tall)
    for y in ys:
        at = float(y - street / 2)
        if top < at < bottom and free(((left + right) / 2, at), 0):
            for offset in (-2.4, 2.4):
                traffic(stage, points((left, at), (right, at)), offset, stage.between(14, 70), offset > 0)
            if stage.gsd_m < 0.7:
                stage.paint([rectangle(((left + right) / 2, at), right - left, 0.25)], Material((196, 190, 150)))


def _city_block(
    stage: Stage, trees: Trees, middle: tuple[float, float], size: tuple[float, float], tall: float
) -> None:
    """Build one block: pavement, then buildings, a car park, or a square."""
    if not stage.sees(middle, max(size) + tall * 2):
        return
    stage.paint_region([rectangle(middle, *size)], concrete(stage, stage.between(0.8, 1.05)), None)
    kind = stage.rng.random()
    if kind < 0.12:
        stage.paint_region([rectangle(middle, size[0] - 6, size[1] - 6)], grass(stage, -0.3), "vegetation")
        trees.scatter(scatter_points(stage, rectangle(middle, size[0] - 8, size[1] - 8), 9), (2, 4.5), 0.6)
        return
    if kind < 0.3:
        car_park(stage, middle, 0.0, (size[0] - 5, size[1] - 5), stage.between(0.2, 0.9))
        return
    columns, rows = int(stage.rng.integers(1, 4)), int(stage.rng.integers(1, 3))
    cell = (size[0] / columns, size[1] / rows)
    for i in range(columns):
        for j in range(rows):
            at = (middle[0] + (i + 0.5) * cell[0] - size[0] / 2, middle[1] + (j + 0.5) * cell[1] - size[1] / 2)
            height = stage.between(4, 10) if stage.chance(0.4) else tall * stage.between(0.4, 1.5)
            gap = stage.between(3, 8)
            if stage.chance(0.92):
                block(stage, at, (cell[0] - gap, cell[1] - gap), 0.0, height)
    for x in np.arange(middle[0] - size[0] / 2, middle[0] + size[0] / 2, stage.between(8, 20)):
        if stage.chance(0.5):
            trees.plant((float(x), middle[1] + size[1] / 2 - 1.2), stage.between(1.4, 3))


def village(stage: Stage, trees: Trees, box: Box) -> None:
    """Fill a rectangle with small metal-roofed houses on bare soil, close together and hardly aligned."""
    left, top, right, bottom = box
    spacing = stage.between(9, 17)
    ground = rectangle(((left + right) / 2, (top + bottom) / 2), right - left, bottom - top)
    stage.paint_region([ground], soil(stage, 1.4), "land")
    for at in scatter_points(stage, ground, spacing * 1.6):
        patch = blob(stage.rng, at, stage.between(2, 7), 0.4)
        stage.paint_region([patch], grass(stage, stage.between(-1, 1), 1.5), "vegetation")
    turn = stage.between(0, np.pi)
    for at in scatter_points(stage, ground, spacing):
        angle = turn + stage.rng.normal(0, 0.12) + (np.pi / 2 if stage.chance(0.4) else 0)
        length = stage.between(0.5, 0.85) * spacing
        if stage.chance(0.8):
            if stage.chance(0.6):
                shed(stage, at, length, length * stage.between(0.55, 0.95), angle)
            else:
                house(stage, at, length, length * stage.between(0.6, 0.9), angle, "metal")
        elif stage.chance(0.7):
            trees.plant(at, stage.between(1.2, 4))
        if stage.chance(0.3):
            trees.plant(at + stage.rng.normal(0, spacing / 2, 2), stage.between(0.5, 2.2))
