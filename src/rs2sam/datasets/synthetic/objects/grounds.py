"""What lies flat: roads, car parks, water, fields, pavement."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.synthetic.canvas import RGB, Material
from rs2sam.datasets.synthetic.geometry import (
    Point,
    Points,
    closed_ribbon,
    dashes,
    place,
    points,
    ribbon,
    segment,
    shifted,
)
from rs2sam.datasets.synthetic.objects.buildings import striped
from rs2sam.datasets.synthetic.objects.plants import grass, soil
from rs2sam.datasets.synthetic.objects.vehicles import car, lorry
from rs2sam.datasets.synthetic.stage import Stage

ASPHALTS: tuple[RGB, ...] = ((104, 104, 104), (124, 122, 118), (88, 88, 90), (140, 136, 130), (112, 106, 100))
"""Old and new asphalt."""

PAINT = Material((206, 206, 198), 0.04, 0.06, 0)
"""Road markings."""

YELLOW = Material((196, 164, 84), 0.04, 0.06, 0)
"""Yellow road markings."""


def asphalt(stage: Stage) -> Material:
    """Mix an asphalt with patches."""
    rgb = stage.jitter(ASPHALTS[int(stage.rng.integers(len(ASPHALTS)))], 0.05)
    other = (rgb[0] * 0.88, rgb[1] * 0.88, rgb[2] * 0.89)
    return Material(rgb, 0.03, 0.035, 0.03, other, crisp=0.9, balance=-0.5)


def concrete(stage: Stage, light: float = 1.0) -> Material:
    """Mix a pavement of concrete."""
    rgb = stage.jitter((176 * light, 172 * light, 164 * light), 0.05)
    other = (rgb[0] * 0.86, rgb[1] * 0.86, rgb[2] * 0.86)
    return Material(rgb, 0.025, 0.03, 0.045, other, balance=-0.4)


def road(stage: Stage, line: Points, width: float, material: Material, lanes: int = 2, kerb: float = 0.0) -> None:
    """Lay a road along an open line, with `lanes` marked (0 for none) and pavements of `kerb` metres beside it."""
    if kerb > 0:
        stage.paint_region([ribbon(line, width + 2 * kerb)], concrete(stage), None)
    stage.paint_region([ribbon(line, width)], material, "road")
    if stage.gsd_m > 0.9 or lanes == 0:
        return
    w = max(0.15, stage.gsd_m * 0.4)
    lane = width / max(lanes, 1)
    for number in range(1, lanes):
        offset = number * lane - width / 2
        if lanes % 2 == 0 and number == lanes // 2:
            stage.paint([ribbon(shifted(line, offset), w)], YELLOW if stage.chance(0.5) else PAINT)
        else:
            stage.paint(dashes(shifted(line, offset), w, 3.0, 6.0), PAINT)
    if lanes > 2:
        stage.paint([ribbon(shifted(line, s * (width / 2 - 0.4)), w) for s in (-1, 1)], PAINT)


def track(stage: Stage, line: Points, width: float) -> None:
    """Lay an unpaved track; it is bare land, not a road."""
    stage.paint_region([ribbon(line, width * (1 + 0.15 * stage.rng.standard_normal(len(line))))], soil(stage), "land")
    if stage.gsd_m < 0.6:
        stage.paint([ribbon(line, width * 0.22)], grass(stage, 0.6))


def _waves(
    period: float, angle: float, depth: float, x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Wave trains that bend a little: brightness around 1."""
    across = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    phase = across * np.float32(2 * np.pi / period) + np.float32(1.9) * np.sin(along * np.float32(0.7 / period))
    wave: NDArray[np.float32] = 1 + np.float32(depth) * np.sin(phase)
    return wave


def water_material(stage: Stage, rough: float = 1.0, murky: float | None = None) -> Material:
    """Mix water with waves; `murky` from 0 to 1 goes from deep to shallow colours."""
    share = stage.between(0, 0.9) if murky is None else murky
    deep, shallow = np.array(stage.season.water), np.array(stage.season.shallow)
    r, g, b = (float(c) for c in deep + share * (shallow - deep))
    rgb = stage.jitter((r, g, b), 0.08)
    other = (rgb[0] * 1.1 + 4, rgb[1] * 1.08 + 4, rgb[2] * 1.06 + 4)
    period = max(stage.between(4, 14) / stage.gsd_m, 4.0)
    waves = partial(_waves, period, stage.between(0, np.pi), stage.between(0.0, 0.045) * rough)
    return Material(rgb, 0.025 * rough, 0.025 * rough, 0.02, other, crisp=0.35, pattern=waves)


def car_park(
    stage: Stage, center: Point, angle: float, size: tuple[float, float], full: float, lorries: bool = False
) -> None:
    """Lay a car park of rows of bays; `full` is the share of bays taken."""
    length, width = size
    stage.paint_region(
        [
            place(
                points(
                    (-length / 2, -width / 2),
                    (length / 2, -width / 2),
                    (length / 2, width / 2),
                    (-length / 2, width / 2),
                ),
                center,
                angle,
            )
        ],
        asphalt(stage),
        None,
    )
    bay, depth = (3.6, 14.0) if lorries else (stage.between(2.5, 2.8), 5.2)
    aisle = 14.0 if lorries else 6.5
    y, rows = -width / 2 + 1, []
    while y + depth < width / 2:
        rows.append((y, -1))
        if y + depth + aisle + depth < width / 2:
            rows.append((y + depth + aisle, 1))
        y += 2 * depth + aisle
    xs = np.arange(-length / 2 + 2, length / 2 - 2 - bay, bay)
    if stage.gsd_m < 0.7:
        w = max(0.12, 0.4 * stage.gsd_m)
        strokes = [segment((x, y), (x, y + depth), w) for y, _ in rows for x in np.append(xs, xs[-1:] + bay)]
        if strokes:
            stage.paint([place(o, center, angle) for o in strokes], PAINT)
    for y, heading in rows:
        busy = np.clip(full + stage.rng.normal(0, 0.2), 0, 1)
        for x in xs:
            if stage.chance(float(busy)):
                at = place(
                    points((x + bay / 2 + stage.rng.normal(0, 0.1), y + depth / 2 + stage.rng.normal(0, 0.2))),
                    center,
                    angle,
                )[0]
                turn = angle + heading * np.pi / 2 + (np.pi if stage.chance(0.4) else 0) + stage.rng.normal(0, 0.02)
                lorry(stage, at, turn, 13.0) if lorries else car(stage, at, turn)


CROPS: tuple[tuple[str, RGB, RGB, str], ...] = (
    ("green", (92, 118, 62), (110, 128, 76), "green"),
    ("dark green", (66, 94, 50), (80, 104, 60), "green"),
    ("ripe", (188, 166, 112), (172, 150, 104), "yellow"),
    ("stubble", (174, 158, 126), (158, 144, 116), "brown"),
    ("ploughed", (122, 98, 78), (108, 88, 72), "brown"),
    ("bare", (160, 136, 108), (146, 124, 100), "brown"),
    ("rape", (186, 178, 70), (166, 168, 74), "yellow"),
)
"""What fields bear: name, two colours, and the colour's name."""


def field(stage: Stage, outline: Points, angle: float) -> None:
    """Lay out a field with furrows along `angle`, tramlines and wet patches."""
    _, rgb, other, colour = CROPS[int(stage.rng.integers(len(CROPS)))]
    label = stage.register("field", colour=colour)
    base = Material(stage.jitter(rgb, 0.06), 0.04, 0.035, 0.03, stage.jitter(other, 0.05))
    period = stage.between(1.5, 4.0) if stage.chance(0.6) else stage.between(4, 12)
    furrows = striped(stage, base, max(period, 2.6 * stage.gsd_m), angle, stage.between(0.02, 0.08))
    material = Material(
        base.rgb, base.fine, base.medium, base.coarse, base.other, stage.rng.normal(0, 0.6), pattern=furrows.pattern
    )
    stage.paint([outline], material, label)
    rim = closed_ribbon(outline, stage.between(0.8, 2.5))
    stage.paint_region(rim, grass(stage, 0.3), "vegetation")
