"""Themes of single sites: airports, tank farms, sports grounds."""

from __future__ import annotations

import numpy as np

from rs2sam.datasets.synthetic.canvas import RGB, Label, Material
from rs2sam.datasets.synthetic.geometry import Points, blob, points, rectangle, ribbon, segment, smooth_line
from rs2sam.datasets.synthetic.objects.aircraft import airplane
from rs2sam.datasets.synthetic.objects.buildings import block, shed
from rs2sam.datasets.synthetic.objects.courts import (
    HARD_COURTS,
    baseball_diamond,
    basketball_court,
    football_pitch,
    ground_track_field,
    tennis_court,
)
from rs2sam.datasets.synthetic.objects.grounds import YELLOW, asphalt, car_park, concrete, road
from rs2sam.datasets.synthetic.objects.plants import Trees, grass, scatter_points, soil
from rs2sam.datasets.synthetic.objects.tanks import SHELLS, berm, tank
from rs2sam.datasets.synthetic.objects.vehicles import lorry, traffic
from rs2sam.datasets.synthetic.stage import REGION_CODES, Stage
from rs2sam.datasets.synthetic.themes.fabric import downtown, suburb

VEGETATION = Label(0, REGION_CODES["vegetation"])
LAND = Label(0, REGION_CODES["land"])
WATER = Label(0, REGION_CODES["water"])


def airport(stage: Stage) -> None:
    """An apron with parked aircraft, a taxiway, grass, perhaps a runway and a terminal."""
    stage.canvas.fill(grass(stage, stage.between(-0.5, 1.5)), VEGETATION)
    stage.unlisted.add("road")
    reach = stage.reach_m
    kinds = _fleet(stage)
    top = -reach * stage.between(0.0, 0.35)
    apron = rectangle((0, reach * 0.4 + top / 2), reach * 2.4, reach * 1.2 - top)
    stage.paint_region([apron], concrete(stage, stage.between(0.75, 1.1)), None)
    _slabs(stage, reach, top - reach * 0.2)
    taxi = top - reach * stage.between(0.12, 0.2)
    width = max(0.05 * reach, 14)
    line = points((-reach * 1.2, taxi), (0, taxi), (reach * 1.2, taxi))
    stage.paint_region([ribbon(line, width * 1.8)], asphalt(stage).lit(0.9), None)
    stage.paint([ribbon(line, max(0.5, stage.gsd_m * 0.5))], YELLOW)
    if stage.chance(0.5):
        _runway(stage, taxi - reach * stage.between(0.25, 0.4), stage.between(26, 45))
    _terminal(stage)
    _stands(stage, kinds, top)


def _terminal(stage: Stage) -> None:
    """Close the apron off: a terminal, or hangars, and what lies behind them."""
    reach = stage.reach_m
    edge = reach * 0.8
    back = rectangle((0, edge + reach / 2), reach * 2.6, reach)
    stage.paint_region([back], asphalt(stage), None)
    if stage.chance(0.5):
        block(stage, (0, edge), (reach * stage.between(0.8, 1.5), reach * 0.16), 0, stage.between(8, 14))
    else:
        for x in np.arange(-reach * 0.9, reach * 0.9, reach * 0.4):
            shed(stage, (x, edge), reach * stage.between(0.22, 0.34), reach * stage.between(0.14, 0.2), 0.0)
    car_park(stage, (0, edge + reach * 0.22), 0, (reach * 1.9, reach * 0.2), stage.between(0.2, 0.8))


def _fleet(stage: Stage) -> list[str]:
    """Choose the kinds of aircraft that fit the size of the image."""
    if stage.reach_m < 70:
        return ["propeller", "propeller", "jet", "fighter"]
    if stage.reach_m < 230:
        return ["jet", "turboprop", "airliner", "airliner"] if stage.chance(0.65) else ["fighter", "jet"]
    return ["airliner", "airliner", "widebody", "jet"]


_SPAN = {"propeller": 13.0, "jet": 22.0, "fighter": 17.0, "turboprop": 32.0, "airliner": 46.0, "widebody": 74.0}


def _slabs(stage: Stage, reach: float, top: float) -> None:
    """Age an apron: slabs of differing brightness, joints, oil stains, tyre marks."""
    rng = stage.rng
    step = stage.between(6, 9)
    xs, ys = np.arange(-reach, reach, step), np.arange(top, reach, step)
    for factor in (0.93, 1.06):
        slabs = []
        for _ in range(int(len(xs) * len(ys) * 0.02)):
            span = int(rng.integers(1, 6)) * step
            slabs.append(rectangle((rng.choice(xs) + span / 2, rng.choice(ys) + step / 2), span, step))
        _tint(stage, slabs, factor)
    if stage.gsd_m < 0.9:
        w = max(0.12, stage.gsd_m * 0.35)
        joints = [segment((x, top), (x, reach), w) for x in xs] + [segment((-reach, y), (reach, y), w) for y in ys]
        _tint(stage, joints, 0.88)
    corners = (-reach, top), (reach, reach)
    _tint(stage, [blob(rng, rng.uniform(*corners), stage.between(0.6, 3), 0.4, 12) for _ in range(25)], 0.82)
    ends = rng.uniform(*corners, (int(rng.integers(2, 9)), 2, 2))
    _tint(stage, [ribbon(smooth_line(rng, a, b, 4), 0.9) for a, b in ends], 0.9)


def _tint(stage: Stage, outlines: list[Points], factor: float) -> None:
    """Multiply the brightness under polygons."""
    hit = stage.canvas.coverage(outlines) if outlines else None
    if hit is not None:
        stage.canvas.rgb[hit[0]] *= (1 - np.float32(1 - factor) * hit[1])[..., None]


def _runway(stage: Stage, y: float, width: float) -> None:
    """Lay a runway with threshold bars, centre line and touchdown marks."""
    reach = stage.reach_m
    line = points((-reach * 1.2, y), (0, y), (reach * 1.2, y))
    stage.paint_region([ribbon(line, width * 1.25)], asphalt(stage).lit(1.05), None)
    stage.paint_region([ribbon(line, width)], asphalt(stage).lit(0.85), None)
    white = Material((212, 212, 208), 0.03, 0.05, 0)
    marks = [segment((x, y), (x + 30, y), 0.9) for x in np.arange(-reach * 1.2, reach * 1.2, 50)]
    start = stage.between(-0.8, 0.2) * reach
    marks += [
        segment((start, y + k * width / 14), (start + 30, y + k * width / 14), width / 28)
        for k in (-6, -5, -4, -3, -2, 2, 3, 4, 5, 6)
    ]
    marks += [segment((-reach * 1.2, y + s * width * 0.47), (reach * 1.2, y + s * width * 0.47), 0.9) for s in (-1, 1)]
    stage.paint(marks, white)


def _stands(stage: Stage, kinds: list[str], top: float) -> None:
    """Park aircraft in one to three rows, noses to one side, some stands empty, some aircraft askew."""
    reach = stage.reach_m
    y = top + reach * 0.1
    turn = stage.between(-0.5, 0.5) if stage.chance(0.4) else 0.0
    while y < reach * 0.6:
        kind = str(stage.rng.choice(kinds))
        span = _SPAN[kind] * stage.between(1.12, 1.5)
        heading = (-np.pi / 2 if stage.chance(0.5) else np.pi / 2) + turn
        occupied = stage.between(0.35, 0.95)
        for x in np.arange(-reach + stage.between(0, span), reach, span):
            at = (x, y + span * 0.5)
            lead = [segment((x, y - span * 0.1), (x, y + span * 0.9), max(0.35, 0.4 * stage.gsd_m))]
            stage.paint(lead, YELLOW)
            if stage.chance(occupied):
                askew = stage.rng.normal(0, 0.03) if stage.chance(0.85) else stage.rng.normal(0, 0.6)
                airplane(stage, at, heading + float(askew), kind, None if len(kinds) > 1 else 0.5)
                if stage.chance(0.3) and span > 15:
                    beside = (x + span * 0.5, y + span * stage.between(0.0, 1.0))
                    lorry(stage, beside, heading + stage.rng.normal(0, 0.15), stage.between(4.5, 8))
        y += span * stage.between(1.2, 1.8)


def industrial(stage: Stage) -> None:
    """A tank farm in basins beside large sheds, yards and a road."""
    reach = stage.reach_m
    base = soil(stage) if stage.chance(0.6) else concrete(stage, 0.9)
    stage.canvas.fill(base, LAND)
    stage.unlisted.add("land")
    split = stage.between(0.1, 0.6) * reach
    avenue = points((-1.2 * reach, split + 9), (0, split + 9), (1.2 * reach, split + 9))
    road(stage, avenue, 9, asphalt(stage), 2)
    traffic(stage, avenue, 2, 60)
    traffic(stage, avenue, -2, 60, forward=False)
    _tank_farm(stage, split)
    x = -reach
    while x < reach:
        length, width = stage.between(30, 80), stage.between(20, 45)
        middle = (x + length / 2, split + 26 + width / 2)
        if stage.chance(0.5):
            shed(stage, middle, length, width, 0)
        elif stage.chance(0.5):
            block(stage, middle, (length, width), 0, stage.between(6, 12))
        else:
            car_park(stage, middle, 0, (length, width), stage.between(0.2, 0.9), stage.chance(0.3))
        x += length + stage.between(6, 18)
    trees = Trees(stage, reach < 110)
    if reach - split > 110:
        box = (-reach, split + 78, reach, reach)
        if stage.chance(0.5):
            suburb(stage, trees, box)
        else:
            downtown(stage, trees, box, tall=8)
    for x in np.arange(-reach, reach, 13):
        if stage.chance(0.45):
            trees.plant((x, split + 18), stage.between(1.8, 3.6))


def _tank_farm(stage: Stage, bottom: float) -> None:
    """Set tanks in a grid whose rows share a size."""
    reach = stage.reach_m
    weights = np.array([s[2] for s in SHELLS])
    y = bottom - 6
    limits = (4.0, 11.0) if reach < 120 else (7.0, 24.0) if reach < 300 else (14.0, 40.0)
    while y > -reach:
        radius = stage.between(*limits)
        cell = 2 * radius * stage.between(1.25, 1.9)
        walled, shell = stage.chance(0.5), SHELLS[int(stage.rng.choice(len(SHELLS), p=weights / weights.sum()))]
        roof = str(stage.rng.choice(["cone", "floating", "dome"], p=[0.45, 0.4, 0.15]))
        lawn = stage.chance(0.3)
        for x in np.arange(-reach + stage.between(0, cell), reach + cell, cell):
            at = (x, y - cell / 2)
            if not stage.sees(at, cell):
                continue
            if lawn:
                stage.paint_region([rectangle(at, cell, cell)], grass(stage, 0.5), "vegetation")
            if walled:
                berm(stage, at, cell * 0.97)
            if stage.chance(0.88):
                own = shell if stage.chance(0.85) else SHELLS[int(stage.rng.integers(len(SHELLS)))]
                tank(
                    stage, at, radius * (1 if stage.chance(0.85) else 0.75), roof, (stage.jitter(own[0], 0.03), own[1])
                )
        pipes = [segment((-reach, y + k), (reach, y + k), max(0.4, 0.5 * stage.gsd_m)) for k in (1.5, 2.4, 3.3)]
        stage.canvas.cast(pipes, 1.0, 0.6)
        stage.paint(pipes, Material((178, 176, 170), 0.03, 0, 0))
        y -= cell + stage.between(6, 14)


def sports(stage: Stage) -> None:
    """A sports ground: a track or diamonds, rows of courts, trees, a car park."""
    stage.canvas.fill(grass(stage, stage.between(-1, 1)), VEGETATION)
    reach = stage.reach_m
    trees = Trees(stage, reach < 130)
    if reach > 85:
        x = stage.between(-0.25, 0.25) * reach
        if stage.chance(0.55):
            ground_track_field(
                stage,
                (x, -reach * 0.15),
                0.0 if stage.chance(0.7) else stage.between(-0.1, 0.1),
                stage.between(0.8, 1.05) if reach > 100 else 0.6,
            )
        elif stage.chance(0.7):
            count = 1 if reach < 150 else 2
            for k in range(count):
                at = (x + (k - (count - 1) / 2) * 150, -reach * 0.12)
                baseball_diamond(stage, at, stage.between(0, 2 * np.pi), stage.between(0.7, 1.05), stage.chance(0.7))
        else:
            football_pitch(stage, (x, -reach * 0.15), 0.0)
    _court_rows(stage, reach * 0.42 if reach > 85 else -reach * 0.1)
    if stage.chance(0.6):
        car_park(
            stage, (stage.between(-0.3, 0.3) * reach, -reach * 0.72), 0, (min(reach, 90), 22), stage.between(0.2, 0.9)
        )
    belt = rectangle((0, reach * 0.62), 2.4 * reach, reach * 0.06)
    trees.scatter(scatter_points(stage, belt, 7), (2, 5), 0.7)
    for low, high in ((reach * 0.68, reach), (-reach, -reach * 0.82)):
        kind, middle = stage.rng.random(), (low + high) / 2
        if kind < 0.5:
            suburb(stage, trees, (-reach, low, reach, high))
        elif kind < 0.75:
            trees.scatter(scatter_points(stage, rectangle((0, middle), 2 * reach, high - low), 7), (2, 5), 0.85)
        else:
            block(stage, (stage.between(-0.3, 0.3) * reach, middle), (reach * 0.6, (high - low) * 0.6), 0, 8)
    path = smooth_line(stage.rng, (-reach * 1.1, reach * 0.22), (reach * 1.1, reach * 0.22), 4)
    stage.paint_region([ribbon(path, 3)], concrete(stage), None)
    for at in path[::3]:
        if stage.chance(0.5):
            trees.plant(at + np.array([0, stage.between(5, 8)]), stage.between(2, 4.5))


def _court_rows(stage: Stage, y: float) -> None:
    """Lay courts side by side: a block of tennis, a block of basketball."""
    reach = stage.reach_m
    x = -reach * stage.between(0.6, 0.9)
    while x < reach * 0.8:
        tennis = stage.chance(0.6)
        surface = HARD_COURTS[int(stage.rng.integers(len(HARD_COURTS)))]
        other: RGB = stage.jitter(HARD_COURTS[int(stage.rng.integers(len(HARD_COURTS)))][0], 0.05)
        surface = (stage.jitter(surface[0], 0.05), surface[1])
        for _ in range(int(stage.rng.integers(1, 5))):
            if tennis:
                tennis_court(stage, (x + 8.5, y), np.pi / 2, surface, other if stage.chance(0.01) else surface[0])
            else:
                basketball_court(stage, (x + 9, y), np.pi / 2, surface, other)
            x += 17.0 if tennis else 19.0
        x += stage.between(6, 40)
