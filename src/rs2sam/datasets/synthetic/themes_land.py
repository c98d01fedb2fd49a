"""Themes of the land: residential areas, farmland, rivers with bridges, car parks."""

from __future__ import annotations

import numpy as np

from rs2sam.datasets.synthetic.buildings import block, house, shed
from rs2sam.datasets.synthetic.canvas import Label, Material
from rs2sam.datasets.synthetic.courts import swimming_pool
from rs2sam.datasets.synthetic.geometry import Points, blob, place, points, rectangle, ribbon, shifted, smooth_line
from rs2sam.datasets.synthetic.grounds import asphalt, car_park, concrete, field, road, track, water_material
from rs2sam.datasets.synthetic.plants import Trees, grass, scatter_points, soil, wood
from rs2sam.datasets.synthetic.stage import REGION_CODES, Stage
from rs2sam.datasets.synthetic.vehicles import car, traffic

VEGETATION = Label(0, REGION_CODES["vegetation"])
LAND = Label(0, REGION_CODES["land"])


def residential(stage: Stage) -> None:
    """Streets in a grid, plots with a house, a garden, trees, often a drive and sometimes a pool."""
    stage.canvas.fill(grass(stage, stage.between(-0.8, 1.2)), VEGETATION)
    reach, rng = stage.reach_m, stage.rng
    listed = reach < 110
    trees = Trees(stage, listed)
    depth, plot = stage.between(24, 36), stage.between(17, 26)
    street_width = stage.between(6, 9)
    pitch = 2 * depth + street_width
    style = str(rng.choice(["tiles", "shingle", "shingle", "metal"]))
    leafy, pools = stage.between(0.3, 1.6), stage.between(0, 0.5)
    start_y, start_x = stage.between(-pitch, 0) - reach, stage.between(-plot, 0) - reach
    rows = np.arange(start_y, reach + pitch, pitch)
    cross = np.arange(start_x, reach + 1, plot * int(rng.integers(6, 11)))
    material = asphalt(stage)
    for y in rows:
        road(
            stage,
            points((-reach * 1.1, y), (0, y), (reach * 1.1, y)),
            street_width,
            material,
            2 if stage.chance(0.5) else 0,
            stage.between(0, 2),
        )
    for x in cross:
        road(stage, points((x, -reach * 1.1), (x, 0), (x, reach * 1.1)), street_width, material, 0, 0)
    for y in rows:
        line = points((-reach, y), (reach, y))
        for side in (-1, 1):
            if stage.chance(0.8):
                _parked(stage, line, side * (street_width / 2 - 1.2), stage.between(14, 50), cross)
    for y in rows:
        for side in (-1, 1):
            for x in np.arange(start_x + plot / 2, reach + plot, plot):
                if np.abs(cross - x).min(initial=1e9) > street_width / 2 + plot / 2 - 3:
                    _plot(stage, trees, (x, y + side * street_width / 2), (plot, depth), side, (style, leafy, pools))


def _parked(stage: Stage, line: Points, offset: float, spacing: float, cross: np.ndarray) -> None:
    """Park cars along a street, clear of the crossings."""
    x = line[0, 0] + stage.between(0, spacing)
    while x < line[-1, 0]:
        if np.abs(cross - x).min(initial=1e9) > 9:
            car(stage, (x, line[0, 1] + offset), (0 if stage.chance(0.6) else np.pi) + stage.rng.normal(0, 0.03))
        x += 6 + stage.rng.exponential(spacing)


def _plot(
    stage: Stage,
    trees: Trees,
    front: tuple[float, float],
    size: tuple[float, float],
    side: int,
    taste: tuple[str, float, float],
) -> None:
    """Build one plot: `front` is the middle of its street side, `side` the direction in which it extends."""
    plot, depth = size
    style, leafy, pools = taste
    x, y = front
    if not stage.sees((x, y + side * depth / 2), depth):
        return
    ground = grass(stage, stage.between(-1.5, 1.5)) if stage.chance(0.8) else soil(stage)
    yard = rectangle((x, y + side * depth / 2), plot * 0.98, depth * 0.98)
    stage.paint_region(
        [yard], ground, "vegetation" if ground.other and stage.chance(1) and ground.balance != 0 else "land"
    )
    length, width = stage.between(0.5, 0.72) * plot, stage.between(7.5, 11)
    setback = stage.between(0.25, 0.42) * depth
    drive_x = x + (plot / 2 - 2.2) * (1 if stage.chance(0.5) else -1)
    if stage.chance(0.75):
        drive = rectangle((drive_x, y + side * setback / 2), 3.2, setback + 1)
        stage.paint_region([drive], concrete(stage, stage.between(0.8, 1.1)), None)
        if stage.chance(0.45):
            car(stage, (drive_x, y + side * (setback / 2 - 0.5)), np.pi / 2 * side + stage.rng.normal(0, 0.03))
    back = y + side * (setback + width + 8)
    if stage.chance(pools) and depth - setback - width > 11:
        swimming_pool(
            stage,
            (x + stage.between(-0.2, 0.2) * plot, back),
            stage.between(6, 11),
            stage.between(3.5, 5.5),
            stage.between(-0.2, 0.2),
        )
    house(stage, (x, y + side * (setback + width / 2)), length, width, stage.rng.normal(0, 0.03), style)
    if stage.chance(0.3):
        shed(stage, (x + (plot / 2 - 2.5) * (1 if stage.chance(0.5) else -1), y + side * (depth - 3)), 3.6, 2.8, 0)
    for _ in range(int(stage.rng.poisson(2.2 * leafy))):
        at = (
            x + stage.between(-0.48, 0.48) * plot,
            y + side * depth * (stage.between(0.72, 1.0) if stage.chance(0.75) else stage.between(0.05, 0.2)),
        )
        trees.plant(at, stage.between(1.2, 4.2) * (0.8 + 0.25 * leafy))


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


def _bank(stage: Stage, trees: Trees, line: Points, widths: np.ndarray, side: int) -> None:
    """Cover one bank with a wood, fields, or houses along a street."""
    reach = stage.reach_m
    kind = int(stage.rng.integers(3))
    near = shifted(line, side * (widths / 2 + 12))
    if kind == 0:
        outline = np.concatenate([near, points((reach * 1.2, side * reach * 1.3), (-reach * 1.2, side * reach * 1.3))])
        wood(stage, [outline], None)
    elif kind == 1:
        street = shifted(line, side * (widths / 2 + 45))
        road(stage, street, stage.between(6, 9), asphalt(stage), 2, 1.5)
        traffic(stage, street, side * 1.7, 60)
        style = str(stage.rng.choice(["tiles", "shingle"]))
        rows = [(22, 0), (-20, 0), (-48, 0)]
        for offset, _ in rows:
            row = shifted(street, -side * offset)
            for k in range(0, len(row) - 1, max(1, int(len(row) * 24 / (2.3 * reach)))):
                tangent = row[k + 1] - row[k]
                house(
                    stage,
                    row[k],
                    stage.between(10, 15),
                    stage.between(8, 10),
                    float(np.arctan2(tangent[1], tangent[0])),
                    style,
                )
                trees.plant(row[k] + stage.rng.normal(0, 9, 2), stage.between(1.5, 4))
    else:
        far = points((reach * 1.2, side * reach * 1.3), (-reach * 1.2, side * reach * 1.3))
        half = len(near) // 2
        for part, corner in ((near[:half], far[1]), (near[half:], far[0])):
            outline = np.concatenate([part, points((part[-1, 0], corner[1]), (corner[0], corner[1]))])
            field(stage, outline, stage.between(0, np.pi))


def _bridge(stage: Stage, line: Points, widths: np.ndarray, x: float) -> None:
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


def parking(stage: Stage) -> None:
    """A shopping centre: large car parks, flat roofs, an avenue with traffic, rows of trees."""
    stage.canvas.fill(grass(stage, 0.4), VEGETATION)
    reach = stage.reach_m
    trees = Trees(stage, reach < 110)
    side = min(reach * 1.5, 140.0)
    yard = rectangle((0, side * 0.12), side * 1.35, side * 1.02)
    stage.paint_region([yard], asphalt(stage), None)
    avenue_y = -side * 0.62
    avenue = points((-reach * 1.1, avenue_y), (0, avenue_y), (reach * 1.1, avenue_y))
    road(stage, avenue, 15, asphalt(stage), 4, 2.5)
    for lane in (-5.6, -1.9, 1.9, 5.6):
        traffic(stage, avenue, lane, stage.between(15, 60), forward=lane > 0)
    full = stage.between(0.15, 0.95)
    car_park(stage, (-side * 0.05, -side * 0.12), 0.0, (side * 1.15, side * 0.44), full)
    block(stage, (stage.between(-0.1, 0.1) * side, side * 0.38), (side * 0.95, side * 0.36), 0.0, stage.between(6, 11))
    if stage.chance(0.5):
        car_park(stage, (side * 0.95, side * 0.1), np.pi / 2, (side * 0.8, side * 0.4), full)
    block(stage, (stage.between(-0.6, 0.6) * side, avenue_y - stage.between(28, 40)), (40, 22), 0.0, 7)
    for x in np.arange(-reach, reach, stage.between(9, 16)):
        if stage.chance(0.7):
            trees.plant((x, avenue_y + 11.5), stage.between(1.8, 3.2))
        if stage.chance(0.6):
            trees.plant((x, avenue_y - 12), stage.between(1.8, 3.6))
