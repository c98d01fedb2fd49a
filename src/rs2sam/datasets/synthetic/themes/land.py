"""Themes of the open land: farmland, rivers with bridges, nature, motorways."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.synthetic.canvas import Label, Material
from rs2sam.datasets.synthetic.geometry import (
    Point,
    Points,
    blob,
    place,
    points,
    ribbon,
    shifted,
    smooth_line,
)
from rs2sam.datasets.synthetic.objects.buildings import house, shed
from rs2sam.datasets.synthetic.objects.grounds import asphalt, concrete, field, road, track, water_material
from rs2sam.datasets.synthetic.objects.plants import Trees, grass, scatter_points, soil, wood
from rs2sam.datasets.synthetic.objects.vehicles import traffic
from rs2sam.datasets.synthetic.stage import REGION_CODES, Stage
from rs2sam.datasets.synthetic.themes.fabric import downtown, old_town, suburb

VEGETATION = Label(0, REGION_CODES["vegetation"])
LAND = Label(0, REGION_CODES["land"])


def farmland(stage: Stage) -> None:
    """Fields of several crops between tracks and hedges, with a farm or two."""
    stage.canvas.fill(grass(stage, 0.2), VEGETATION)
    stage.unlisted.update({"vegetation", "land"})
    reach, rng = stage.reach_m, stage.rng
    trees = Trees(stage, reach < 200)
    width, height = stage.between(60, 150) * max(1, stage.gsd_m), stage.between(60, 180) * max(1, stage.gsd_m)
    xs = np.arange(-reach - stage.between(0, width), reach + width, width)
    ys = np.arange(-reach - stage.between(0, height), reach + height, height)
    grid = np.stack(np.meshgrid(xs, ys), axis=-1) + rng.normal(0, 0.09, (len(ys), len(xs), 2)) * (width, height)
    for i in range(len(ys) - 1):
        for j in range(len(xs) - 1):
            corners = np.array([grid[i, j], grid[i, j + 1], grid[i + 1, j + 1], grid[i + 1, j]])
            middle = corners.mean(axis=0)
            if stage.sees(middle, np.hypot(width, height)):
                _parcel(stage, trees, middle + (corners - middle) * 0.965)
    if stage.chance(0.7):
        i = int(rng.integers(1, max(len(ys) - 1, 2)))
        line = shifted(grid[i], 0)
        (
            road(stage, line, stage.between(4.5, 7), asphalt(stage), 2)
            if stage.chance(0.5)
            else track(stage, line, stage.between(3, 4.5))
        )
        traffic(stage, line, 1.6, 150)
    j = int(rng.integers(0, len(xs)))
    track(stage, grid[:, j], stage.between(2.5, 4))
    if stage.chance(0.75):
        _farm(stage, trees, (stage.between(-0.5, 0.5) * reach, stage.between(-0.5, 0.5) * reach))


def _parcel(stage: Stage, trees: Trees, outline: Points) -> None:
    """Fill one parcel: a field, a meadow, or a wood; sometimes a hedge along one side."""
    kind = stage.rng.random()
    edge = outline[1] - outline[0]
    angle = float(np.arctan2(edge[1], edge[0])) + (np.pi / 2 if stage.chance(0.5) else 0)
    if kind < 0.8:
        field(stage, outline, angle)
    elif kind < 0.9:
        wood(stage, [outline], trees if stage.reach_m < 200 else None)
    else:
        stage.paint_region([outline], grass(stage, stage.between(-1, 1)), "vegetation")
        trees.scatter(scatter_points(stage, outline, 18), (2, 5), 0.3)
    if stage.chance(0.3) and stage.reach_m < 400:
        a, b = outline[2], outline[3]
        for t in np.arange(0, 1, 5 / max(np.hypot(*(b - a)), 6)):
            if stage.chance(0.85):
                trees.plant(a + t * (b - a) + stage.rng.normal(0, 0.8, 2), stage.between(1.6, 3.8))


def _farm(stage: Stage, trees: Trees, center: tuple[float, float]) -> None:
    """Build a farmyard with barns, a house and trees."""
    yard = blob(stage.rng, center, stage.between(30, 45), 0.15)
    stage.paint_region([yard], soil(stage), "land")
    angle = stage.between(0, np.pi)
    for offset in ((-16, -12), (14, -14), (-10, 16)):
        if stage.chance(0.8):
            at = place(points(offset), center, angle)[0]
            shed(
                stage, at, stage.between(18, 34), stage.between(9, 16), angle + (np.pi / 2 if stage.chance(0.3) else 0)
            )
    house(stage, place(points((16, 14)), center, angle)[0], stage.between(11, 16), stage.between(8, 11), angle, "tiles")
    trees.scatter(yard[::3], (2.5, 5), 0.6)


def river(stage: Stage) -> None:
    """A winding river with one or two bridges, woods or houses on the banks."""
    stage.canvas.fill(grass(stage, stage.between(-1, 0.6)), VEGETATION)
    reach, rng = stage.reach_m, stage.rng
    trees = Trees(stage, reach < 90)
    width = stage.between(0.16, 0.42) * reach
    line = smooth_line(rng, (-reach * 1.15, 0), (reach * 1.15, 0), reach * 0.12)
    widths = width * (1 + 0.1 * np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, 7), rng.normal(0, 1, 7)))
    for side in (-1, 1):
        _bank(stage, trees, line, widths, side)
    stage.paint_region([ribbon(line, widths * 1.06 + 3)], soil(stage), "land")
    stage.paint_region([ribbon(line, widths)], water_material(stage, 0.7), "water")
    shore = [shifted(line, s * (widths / 2 + stage.between(3, 8))) for s in (-1, 1)]
    for bank in shore:
        for at in bank:
            for _ in range(int(rng.poisson(1.6))):
                trees.plant(at + rng.normal(0, 3.5, 2), stage.between(1.5, 4.5))
    count = 1 if stage.chance(0.6) else 2
    for x in [stage.between(-0.3, 0.3) * reach] if count == 1 else [-0.35 * reach, 0.35 * reach]:
        _bridge(stage, line, widths, x + stage.rng.normal(0, 0.06 * reach))


def _bank(stage: Stage, trees: Trees, line: Points, widths: NDArray[np.float64], side: int) -> None:
    """Cover one bank with a wood, fields, or some kind of town."""
    reach = stage.reach_m
    kind = str(stage.rng.choice(["wood", "suburb", "downtown", "old_town", "fields"], p=[0.25, 0.25, 0.15, 0.1, 0.25]))
    near = shifted(line, side * (widths / 2 + 12))
    if kind == "wood":
        outline = np.concatenate([near, points((reach * 1.2, side * reach * 1.3), (-reach * 1.2, side * reach * 1.3))])
        wood(stage, [outline], None)
    elif kind == "fields":
        _riverside_fields(stage, near, side)
    else:
        # Built on all of this half of the image; what would stand in the river or too near is left out.
        low, high = sorted((side * reach * 1.05, 0.0))
        box = (-reach * 1.05, low - 40 * (side > 0), reach * 1.05, high + 40 * (side < 0))

        def dry(center: Point, radius: float) -> bool:
            gap = np.hypot(*(line - np.asarray(center)).T) - widths / 2
            return bool(gap.min() > radius + 10)

        if kind == "suburb":
            suburb(stage, trees, box, None, dry)
        elif kind == "downtown":
            downtown(stage, trees, box, dry)
        else:
            old_town(stage, trees, box, dry)
        promenade = shifted(line, side * (widths / 2 + 7))
        stage.paint_region([ribbon(promenade, 22)], grass(stage, -0.3), "vegetation")
        road(stage, shifted(line, side * (widths / 2 + 13)), 6, asphalt(stage), 2)


def _riverside_fields(stage: Stage, near: Points, side: int) -> None:
    """Lay two fields beside a river."""
    reach = stage.reach_m
    corners = points((-reach * 1.2, side * reach * 1.3), (reach * 1.2, side * reach * 1.3))
    half = int(len(near) * stage.between(0.3, 0.7))
    for part, corner in ((near[:half], corners[0]), (near[half:], corners[1])):
        outer = points((float(part[-1, 0]), float(corner[1])), (float(part[0, 0]), float(corner[1])))
        field(stage, np.concatenate([part, outer]), stage.between(0, np.pi))


def _bridge(stage: Stage, line: Points, widths: NDArray[np.float64], x: float) -> None:
    """Build a bridge with its road across the river at `x`."""
    k = int(np.argmin(np.abs(line[:, 0] - x)))
    k = min(max(k, 1), len(line) - 2)
    tangent = line[k + 1] - line[k - 1]
    across = float(np.arctan2(tangent[1], tangent[0])) + np.pi / 2 + stage.rng.normal(0, 0.12)
    direction = np.array([np.cos(across), np.sin(across)])
    lanes = int(stage.rng.choice([2, 2, 4]))
    width = lanes * 3.6
    reach = stage.reach_m
    whole = line[k] + np.linspace(-1.6 * reach, 1.6 * reach, 9)[:, None] * direction
    material = asphalt(stage)
    half = widths[k] / 2 + 7
    deck = line[k] + np.linspace(-half, half, 7)[:, None] * direction
    stage.canvas.cast([ribbon(deck, width + 3)], stage.between(5, 11))
    road(stage, whole, width, material, lanes)
    label = stage.register("bridge", length_m=2 * half)
    stage.paint([ribbon(deck, width + 3)], concrete(stage, stage.between(0.85, 1.15)), label)
    stage.paint([ribbon(deck, width)], material, Label(label.instance, REGION_CODES["road"]))
    road_lines = shifted(deck, 0)
    stage.paint([ribbon(road_lines, max(0.2, stage.gsd_m * 0.4))], Material((200, 190, 150), 0.03, 0, 0))
    for lane in range(lanes):
        offset = (lane + 0.5) * 3.6 - width / 2
        traffic(stage, whole, offset, stage.between(25, 90), forward=offset > 0)


def nature(stage: Stage) -> None:
    """Open land without people: a lake or a coast, woods, scrub, bare ground."""
    rng, reach = stage.rng, stage.reach_m
    bare = stage.chance(0.4)
    stage.canvas.fill(
        soil(stage, 1.5) if bare else grass(stage, stage.between(-0.5, 1.8)), LAND if bare else VEGETATION
    )
    trees = Trees(stage, reach < 90)
    for _ in range(int(rng.integers(1, 5))):
        at = rng.uniform(-reach, reach, 2)
        outline = blob(rng, at, stage.between(0.15, 0.5) * reach, 0.5)
        kind = rng.random()
        if kind < 0.35:
            wood(stage, [outline], trees if reach < 200 else None)
        elif kind < 0.7:
            stage.paint_region([outline], grass(stage, stage.between(-1.5, 1)), "vegetation")
        else:
            stage.paint_region([outline], soil(stage, 1.5), "land")
    if stage.chance(0.5):
        start, stop = ((x, stage.between(-0.6, 0.6) * reach) for x in (-reach, reach))
        track(stage, smooth_line(rng, start, stop, reach * 0.15), stage.between(2.5, 5))
    if stage.chance(0.65):
        _lake(stage)
    everything = points((-reach, -reach), (reach, -reach), (reach, reach), (-reach, reach))
    for at in scatter_points(stage, everything, max(stage.between(7, 22), reach / 16)):
        x, y = stage.canvas.pixels(at[None])[0].astype(int)
        seen = 0 <= x < stage.canvas.size_hw[1] and 0 <= y < stage.canvas.size_hw[0]
        if seen and stage.canvas.regions[y, x] != REGION_CODES["water"] and stage.chance(0.4):
            trees.plant(at, stage.between(0.8, 4.5))


def _lake(stage: Stage) -> None:
    """Fill a lake, or the sea on one side of a winding shore, with a beach around."""
    rng, reach = stage.rng, stage.reach_m
    if stage.chance(0.5):
        at = rng.uniform(-0.5, 0.5, 2) * reach
        radius, shape = stage.between(0.2, 0.7) * reach, blob(rng, (0, 0), 1.0, 0.45, 60)
        shores = [at + shape * (radius + margin) for margin in (stage.between(1.5, 10), 0.0)]
    else:
        line = smooth_line(rng, (-1.3 * reach, 0), (1.3 * reach, 0), 0.12 * reach, 7)
        line = line + np.array([0, stage.between(-0.2, 0.5) * reach])
        sea = points((1.3 * reach, 3 * reach), (-1.3 * reach, 3 * reach))
        shores = [np.concatenate([line - np.array([0, m]), sea]) for m in (stage.between(3, 25), 0.0)]
    stage.paint_region(shores[:1], soil(stage).lit(1.1), "land")
    stage.paint_region(shores[1:], water_material(stage), "water")


def motorway(stage: Stage) -> None:
    """A divided motorway with traffic and slip roads, through woods, fields or suburbs."""
    stage.canvas.fill(grass(stage, stage.between(-1, 1)), VEGETATION)
    reach = stage.reach_m
    trees = Trees(stage, reach < 90)
    line = smooth_line(stage.rng, (-reach * 1.2, 0), (reach * 1.2, 0), reach * 0.05, 4)
    lanes = int(stage.rng.integers(2, 5))
    carriageway = lanes * 3.7 + 4
    gap = stage.between(3, 14)
    half = carriageway + gap / 2
    for side in (-1, 1):
        kind = int(stage.rng.integers(4))
        low, high = sorted((side * (half + 26), side * reach * 1.1))
        if kind == 0:
            outer = points((reach * 1.2, side * reach * 1.3), (-reach * 1.2, side * reach * 1.3))
            wood(stage, [np.concatenate([shifted(line, side * (half + 10)), outer])], None)
        elif kind == 1:
            _riverside_fields(stage, shifted(line, side * (half + 9)), side)
        elif kind == 2 and high - low > 40:
            suburb(stage, trees, (-reach * 1.1, low, reach * 1.1, high))
        elif high - low > 40:
            downtown(stage, trees, (-reach * 1.1, low, reach * 1.1, high), tall=10)
    stage.paint_region([ribbon(line, 2 * half + 12)], grass(stage, 0.3), "vegetation")
    material = asphalt(stage) if stage.chance(0.6) else concrete(stage, 0.92)
    for side in (-1, 1):
        own = shifted(line, side * (gap / 2 + carriageway / 2))
        road(stage, own, carriageway, material, lanes)
        for lane in range(lanes):
            offset = side * (gap / 2 + 2 + (lane + 0.5) * 3.7)
            traffic(stage, line, offset, stage.between(20, 110), forward=side > 0)
    for at in line[::2]:
        if gap > 8 and stage.chance(0.5):
            trees.plant(at, stage.between(1, 2.5))
    if stage.chance(0.4):
        slip = smooth_line(stage.rng, (-reach, half + 12), (reach * 0.6, half - 2), 2, 4)
        road(stage, slip, 6, material, 0)
