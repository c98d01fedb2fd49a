"""Themes of the water's edge: marinas and cargo ports."""

from __future__ import annotations

import numpy as np

from rs2sam.datasets.synthetic.canvas import Label, Material
from rs2sam.datasets.synthetic.geometry import points, rectangle, segment
from rs2sam.datasets.synthetic.objects.buildings import block, shed
from rs2sam.datasets.synthetic.objects.grounds import asphalt, car_park, concrete, road, water_material
from rs2sam.datasets.synthetic.objects.plants import Trees
from rs2sam.datasets.synthetic.objects.ships import BOXES, boat, freighter
from rs2sam.datasets.synthetic.objects.tanks import SHELLS, tank
from rs2sam.datasets.synthetic.stage import REGION_CODES, Stage
from rs2sam.datasets.synthetic.themes.fabric import downtown, suburb

WATER = Label(0, REGION_CODES["water"])


def harbour(stage: Stage) -> None:
    """Water with a quay or jetties, ships alongside, and ships under way."""
    reach = stage.reach_m
    stage.canvas.fill(water_material(stage), WATER)
    small = stage.gsd_m < 0.55
    shore = stage.between(0.0, 0.5) * reach
    land = stage.chance(0.85)
    if land and small:
        _sail(stage, _marina(stage, shore), small)
    elif land:
        _sail(stage, _port(stage, shore), small)
    else:
        _sail(stage, reach, small)


def _sail(stage: Stage, shore: float, small: bool) -> None:
    """Let ships sail on the open water above `shore`, clear of each other."""
    reach = stage.reach_m
    taken: list[tuple[float, float, float]] = []
    for _ in range(int(stage.rng.integers(3, 12))):
        length = stage.between(7, 24) if small else stage.between(30, min(190, reach))
        low, high = -0.75 * reach, shore - length * 0.55 - 4
        if high < low:
            continue
        at = (stage.between(-0.75, 0.75) * reach, stage.between(low, high))
        if any(np.hypot(at[0] - x, at[1] - y) < (length + other) * 0.75 for x, y, other in taken):
            continue
        taken.append((*at, length))
        heading = stage.between(0, 2 * np.pi)
        if small or stage.chance(0.2):
            boat(stage, at, heading, min(length, 30), moving=stage.chance(0.6))
        else:
            freighter(stage, at, heading, length, moving=stage.chance(0.5))


def _quay(stage: Stage, shore: float) -> None:
    """Fill the land below `shore` with a quay wall in front."""
    reach = stage.reach_m
    ground = rectangle((0, shore + reach), 2.6 * reach, 2 * reach)
    stage.canvas.cast([ground], 2.5)
    stage.paint_region([ground], concrete(stage, stage.between(0.75, 1.05)), None)
    edge = segment((-1.3 * reach, shore + 0.8), (1.3 * reach, shore + 0.8), 1.6)
    stage.paint([edge], Material((196, 192, 182), 0.03, 0.05, 0))


def _marina(stage: Stage, shore: float) -> float:
    """Build jetties with boats on both sides; each jetty with its boats is a harbour. Return where the berths end."""
    reach = stage.reach_m
    _quay(stage, shore)
    boat_length = stage.between(8, 14)
    gap = boat_length * 2 + stage.between(14, 24)
    length = stage.between(0.4, 0.9) * reach
    for x in np.arange(-reach + stage.between(0, gap), reach, gap):
        label = stage.register("harbor", length_m=length)
        basin = rectangle((x, shore - length / 2), 2 * boat_length + 4.5, length)
        hit = stage.canvas.coverage([basin])
        if hit is not None:
            stage.canvas.mark(hit[0], hit[1] >= 0.5, label)
            stage.note(label, hit[0])
        deck = rectangle((x, shore - length / 2), 2.4, length)
        stage.canvas.cast([deck], 0.9)
        stage.paint([deck], Material(stage.jitter((176, 164, 146), 0.06), 0.04, 0.04, 0), label)
        for y in np.arange(shore - length + 3, shore - 3, stage.between(4.2, 5.2)):
            for side in (-1, 1):
                finger = rectangle((x + side * boat_length * 0.4, y - 2.2), boat_length * 0.7, 0.6)
                stage.paint([finger], Material((180, 172, 158), 0.03, 0, 0))
                if stage.chance(0.75):
                    own = boat_length * stage.between(0.72, 0.98)
                    boat(stage, (x + side * (1.6 + own / 2), y), 0 if side > 0 else np.pi, own)
    trees = Trees(stage)
    for x in np.arange(-reach, reach, 12):
        if stage.chance(0.5):
            trees.plant((x, shore + 6), stage.between(1.5, 3))
    car_park(stage, (0, shore + 24), 0, (reach * 1.6, 20), stage.between(0.3, 0.9))
    for x in np.arange(-reach, reach, 45):
        if stage.chance(0.6):
            block(stage, (x, shore + 55), (stage.between(20, 36), stage.between(14, 22)), 0, stage.between(5, 12))
    _hinterland(stage, trees, shore + 72)
    return shore - length - 4


def _hinterland(stage: Stage, trees: Trees, top: float) -> None:
    """Build a town behind the quay, from `top` on."""
    reach = stage.reach_m
    if reach - top < 30:
        return
    road(stage, points((-reach, top), (0, top), (reach, top)), 9, asphalt(stage), 2, 2)
    box = (-reach, top + 8, reach, reach)
    if stage.chance(0.5):
        downtown(stage, trees, box, tall=stage.between(6, 25))
    else:
        suburb(stage, trees, box)


def _port(stage: Stage, shore: float) -> float:
    """Build a cargo quay: ships alongside, sheds, stacks of containers, cranes. Return where the berths end."""
    reach = stage.reach_m
    _quay(stage, shore)
    x = -reach + stage.between(0, 80)
    while x < reach:
        length = stage.between(70, 200)
        if stage.chance(0.6):
            freighter(stage, (x + length / 2, shore - length * 0.1 - 4), 0.0 if stage.chance(0.5) else np.pi, length)
        x += length + stage.between(15, 60)
    label = stage.register("harbor", length_m=2 * reach)
    hit = stage.canvas.coverage([rectangle((0, shore - 15), 2.6 * reach, 50)])
    if hit is not None:
        stage.note(label, hit[0])
        stage.canvas.ground_ids[hit[0]][hit[1] >= 0.5] = label.instance
    for x in np.arange(-reach, reach, stage.between(50, 110)):
        if stage.chance(0.5):
            _crane(stage, (x, shore + 12))
    for x in np.arange(-reach, reach, 90):
        if stage.chance(0.7):
            shed(stage, (x, shore + 75), stage.between(50, 80), stage.between(25, 40), 0)
        else:
            _stacks(stage, (x, shore + 60))
        if stage.chance(0.5):
            shed(stage, (x, shore + 140), stage.between(50, 80), stage.between(25, 40), 0)
        elif stage.chance(0.4):
            rgb, colour, _ = SHELLS[int(stage.rng.integers(len(SHELLS)))]
            for dx in (-26, 0, 26):
                tank(stage, (x + dx, shore + 140), 10.5, "cone", (rgb, colour))
    _hinterland(stage, Trees(stage, False), shore + 175)
    return shore - 42


def _crane(stage: Stage, center: tuple[float, float]) -> None:
    """Draw a gantry crane with its boom over the water."""
    x, y = center
    paint = Material(
        stage.jitter(((190, 92, 50), (70, 104, 150), (214, 190, 70))[int(stage.rng.integers(3))], 0.06), 0.02, 0, 0
    )
    parts = [segment((x - 1.2, y + 18), (x - 1.2, y - 42), 1.4), segment((x + 1.2, y + 18), (x + 1.2, y - 42), 1.4)]
    parts += [segment((x - 9, y + dy), (x + 9, y + dy), 2.0) for dy in (-8, 10)]
    stage.canvas.shade([p + stage.canvas.sun * 30 for p in parts], 0.8)
    stage.paint(parts, paint)


def _stacks(stage: Stage, center: tuple[float, float]) -> None:
    """Pile containers in rows."""
    for dx in np.arange(-36, 36, 13):
        for dy in np.arange(-20, 20, 2.7):
            if stage.chance(0.7):
                box = rectangle((center[0] + dx, center[1] + dy), 12.2, 2.5)
                stage.paint([box], Material(stage.jitter(BOXES[int(stage.rng.integers(len(BOXES)))], 0.1), 0.03, 0, 0))
