"""Buildings: houses with pitched roofs, flat roofs with parapets and machinery, sheds of corrugated metal."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.synthetic.canvas import RGB, Label, Material
from rs2sam.datasets.synthetic.geometry import Point, Points, closed_ribbon, place, points, rectangle, segment
from rs2sam.datasets.synthetic.stage import Stage

ROOFS: dict[str, tuple[tuple[RGB, str], ...]] = {
    "tiles": (
        ((168, 104, 82), "red"),
        ((182, 120, 96), "red"),
        ((150, 92, 74), "red"),
        ((186, 138, 112), "orange"),
        ((132, 100, 84), "brown"),
    ),
    "shingle": (
        ((104, 100, 98), "grey"),
        ((126, 120, 114), "grey"),
        ((84, 82, 84), "grey"),
        ((116, 100, 88), "brown"),
        ((98, 84, 74), "brown"),
        ((142, 132, 122), "grey"),
        ((92, 100, 112), "grey"),
    ),
    "metal": (
        ((176, 178, 180), "grey"),
        ((206, 208, 208), "white"),
        ((150, 152, 154), "grey"),
        ((190, 186, 178), "grey"),
        ((162, 150, 138), "grey"),
        ((98, 120, 146), "blue"),
        ((136, 88, 72), "red"),
        ((148, 112, 88), "brown"),
        ((122, 92, 74), "brown"),
        ((108, 128, 110), "green"),
    ),
    "flat": (
        ((190, 186, 178), "grey"),
        ((226, 224, 218), "white"),
        ((216, 212, 204), "white"),
        ((148, 144, 138), "grey"),
        ((112, 110, 108), "grey"),
        ((170, 160, 146), "grey"),
        ((84, 82, 82), "grey"),
    ),
}
"""Colours of each kind of roof, with their names."""


def _stripes(
    period: float, angle: float, depth: float, x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Ribs or rows of tiles: brightness around 1, `period` in pixels, across `angle` in the image."""
    across = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))
    wave: NDArray[np.float32] = 1 + np.float32(depth) * np.sin(across * np.float32(2 * np.pi / period))
    return wave


def striped(stage: Stage, material: Material, period_m: float, angle: float, depth: float) -> Material:
    """Add ribs along `angle` to a material, where the image can show them."""
    period = period_m / stage.gsd_m
    if period < 2.2:
        return material
    pattern = partial(_stripes, period, angle + stage.canvas.turn, depth * min(1.0, (period - 2) / 3))
    return Material(material.rgb, material.fine, material.medium, material.coarse, pattern=pattern)


def _planes(length: float, width: float, hip: float) -> list[tuple[Points, tuple[float, float]]]:
    """Cut a rectangle along x into roof planes with their downhill directions; `hip` 0 is a gable."""
    a, b = length / 2, width / 2
    r = max(a - hip * b, 0.0)
    planes = [
        (points((-a, b), (a, b), (r, 0), (-r, 0)), (0.0, 1.0)),
        (points((-a, -b), (a, -b), (r, 0), (-r, 0)), (0.0, -1.0)),
    ]
    if hip > 0:
        planes.append((points((a, -b), (a, b), (r, 0)), (1.0, 0.0)))
        planes.append((points((-a, -b), (-a, b), (-r, 0)), (-1.0, 0.0)))
    return planes


def _pitched_wings(
    stage: Stage,
    wings: list[tuple[Points, tuple[float, float], float]],
    roof: tuple[Material, float, float],
    label: Label,
) -> None:
    """Draw wings (centre, size, angle) under pitched roofs; `roof` is its material, pitch (0 to 1) and hip."""
    material, pitch, hip = roof
    sun = stage.canvas.sun
    toward = -sun / max(float(np.hypot(*sun)), 1e-9)
    parts: list[tuple[Points, float]] = []
    for center, size, angle in wings:
        c, s = np.cos(angle), np.sin(angle)
        for outline, (dx, dy) in _planes(size[0], size[1], hip):
            facing = float(np.dot(toward, (c * dx - s * dy, s * dx + c * dy)))
            parts.append((place(outline, center, angle), 1 + pitch * facing))
            if stage.gsd_m < 0.2:
                along = angle if dx == 0 else angle + np.pi / 2
                tiles = striped(stage, material.lit(parts[-1][1]), 0.45, along, 0.06)
                stage.paint([parts[-1][0]], tiles, label)
    if stage.gsd_m >= 0.2:
        stage.paint_relief(parts, material, label)
    if stage.gsd_m < 0.5:
        ridges = []
        for center, size, angle in wings:
            r = max(size[0] / 2 - hip * size[1] / 2, 0)
            ends = place(points((-r, 0), (r, 0)), center, angle)
            ridges.append(segment(ends[0], ends[1], 0.3))
        stage.paint(ridges, material.lit(1.18))


def house(stage: Stage, center: Point, length: float, width: float, angle: float, style: str = "tiles") -> None:
    """Build a house of one or two wings under a pitched roof of `style` (a key of ROOFS)."""
    if not stage.sees(center, length + 20):
        return
    colours = ROOFS[style]
    rgb, colour = colours[int(stage.rng.integers(len(colours)))]
    label = stage.register("building", colour=colour, roof="pitched", length_m=length)
    material = Material(stage.jitter(rgb), 0.04, 0.06, 0.03)
    roof = (material, stage.between(0.12, 0.32), 1.0 if stage.chance(0.55) else 0.0)
    height = stage.between(3.5, 7.5)
    wings = [(np.zeros(2), (length, width), 0.0)]
    if stage.chance(0.5):
        side, end = (1 if stage.chance(0.5) else -1), (1 if stage.chance(0.5) else -1)
        wing = (length * stage.between(0.4, 0.6), width * stage.between(0.6, 0.9))
        offset = np.array([end * (length - wing[1]) / 2, side * (width + wing[0]) / 2 * 0.55])
        wings.append((offset, wing, np.pi / 2))
    placed = [(place(o[None], center, angle)[0], size, angle + turn) for o, size, turn in wings]
    stage.canvas.cast([rectangle(c, *size, a) for c, size, a in placed], height)
    _pitched_wings(stage, placed, roof, label)
    if stage.gsd_m < 0.4 and stage.chance(0.7):
        at = place(points((length * stage.between(-0.3, 0.3), width * 0.15)), center, angle)[0]
        chimney = rectangle(at, 0.9, 0.7, angle)
        stage.canvas.cast([chimney], 1.4)
        stage.paint([chimney], Material((150, 120, 104)), label)


def shed(stage: Stage, center: Point, length: float, width: float, angle: float) -> None:
    """Build a long low hall under a ribbed metal roof: a barn, a warehouse."""
    if not stage.sees(center, length + 20):
        return
    colours = ROOFS["metal"]
    rgb, colour = colours[int(stage.rng.integers(len(colours)))]
    label = stage.register("building", colour=colour, roof="metal", length_m=length)
    stage.canvas.cast([rectangle(center, length, width, angle)], stage.between(4, 9))
    material = Material(stage.jitter(rgb), 0.03, 0.04, 0.05)
    sun = stage.canvas.sun
    toward = -sun / max(float(np.hypot(*sun)), 1e-9)
    for outline, (_, dy) in _planes(length, width, 0.0):
        facing = float(np.dot(toward, (-np.sin(angle) * dy, np.cos(angle) * dy)))
        plane = striped(stage, material.lit(1 + 0.12 * facing), 1.1, angle + np.pi / 2, 0.07)
        stage.paint([place(outline, center, angle)], plane, label)
    if stage.gsd_m < 0.8:
        lights = [
            rectangle(place(points((x, side * width * 0.25)), center, angle)[0], 1.2, width * 0.28, angle + np.pi / 2)
            for x in np.arange(-length / 2 + 4, length / 2 - 3, stage.between(7, 12))
            for side in (-1, 1)
        ]
        if lights and stage.chance(0.5):
            stage.paint(lights, Material(stage.jitter((214, 218, 220), 0.05)))


def footprint(stage: Stage, length: float, width: float) -> Points:
    """Draw a footprint around the origin: a box, an L, a U or a T."""
    a, b = length / 2, width / 2
    u, v = a * stage.between(-0.2, 0.5), b * stage.between(-0.3, 0.4)
    shape = stage.rng.integers(5)
    if shape == 0:
        return points((-a, -b), (a, -b), (a, v), (u, v), (u, b), (-a, b))
    if shape == 1:
        w = abs(u) + a * 0.15
        return points((-a, -b), (a, -b), (a, b), (w, b), (w, v), (-w, v), (-w, b), (-a, b))
    if shape == 2:
        w = a * 0.45
        return points((-a, -b), (a, -b), (a, v), (w, v), (w, b), (-w, b), (-w, v), (-a, v))
    return points((-a, -b), (a, -b), (a, b), (-a, b))


def _facades(stage: Stage, outline: Points, offset: NDArray[np.float64], rgb: RGB, height: float, label: Label) -> None:
    """Draw the walls that a camera off the vertical sees, floor by floor, between ground and displaced roof."""
    sun = stage.canvas.sun
    toward = -sun / max(float(np.hypot(*sun)), 1e-9)
    for a, b in zip(outline, np.concatenate([outline[1:], outline[:1]]), strict=True):
        side = b - a
        outward = np.array([side[1], -side[0]]) / max(float(np.hypot(*side)), 1e-9)
        if float(outward @ offset) >= 0:
            continue
        lit = 0.62 + 0.4 * max(float(outward @ toward), 0.0)
        wall = Material(rgb, 0.05, 0.04, 0).lit(lit)
        stage.paint([np.stack([a, b, b + offset, a + offset])], wall, label)
        floors = int(height / 3.2)
        if float(np.hypot(*offset)) / max(floors, 1) > 1.6 * stage.gsd_m:
            rows = [
                segment(a + offset * t, b + offset * t, 0.4 * 3.2 * 0.3) for t in (np.arange(floors) + 0.5) / floors
            ]
            stage.paint(rows, wall.lit(0.6))


def block(stage: Stage, center: Point, size: tuple[float, float], angle: float, height: float) -> None:
    """Build a flat-roofed building of `height` metres with parapet, machinery and stains."""
    length, width = size
    if not stage.sees(center, length + height * 3):
        return
    colours = ROOFS["flat"]
    rgb, colour = colours[int(stage.rng.integers(len(colours)))]
    label = stage.register("building", colour=colour, roof="flat", length_m=length)
    local = footprint(stage, length, width)
    ground = place(local, center, angle)
    stage.canvas.cast([ground], height)
    lean = stage.lean * height
    if float(np.hypot(*lean)) > 2 * stage.gsd_m:
        _facades(stage, ground, lean, stage.jitter((150, 142, 132), 0.15), height, label)
    else:
        lean = lean * 0
    middle = np.asarray(center, dtype=np.float64) + lean
    outline = ground + lean
    roof = stage.jitter(rgb, 0.05)
    stage.paint([outline], Material(roof, 0.03, 0.04, 0.06), label)
    parapet = Material((min(roof[0] * 1.12, 250), min(roof[1] * 1.12, 250), min(roof[2] * 1.12, 250)), 0.02)
    edge = max(0.5, stage.gsd_m * 0.8)
    inner = place(local * (1 - edge * 2 / np.abs(local).max()), middle, angle)
    if stage.gsd_m < 0.9:
        stage.paint(closed_ribbon(outline, edge), parapet, None)
        stage.canvas.cast(closed_ribbon(inner, 0.15), 0.8, 0.6)
    _machinery(stage, middle, (length, width), angle)


def _machinery(stage: Stage, center: Point, size: tuple[float, float], angle: float) -> None:
    """Put air conditioners, hatches and ducts on a flat roof."""
    if stage.gsd_m > 1.2:
        return
    count = int(stage.rng.integers(0, max(2, min(int(size[0] * size[1] / 120), 14))))
    for _ in range(count):
        at = place(points((stage.between(-0.42, 0.42) * size[0], stage.between(-0.42, 0.1) * size[1])), center, angle)[
            0
        ]
        box = rectangle(at, stage.between(1.2, 3.6), stage.between(1.0, 2.4), angle)
        stage.canvas.cast([box], stage.between(0.8, 2.0), 0.85)
        shade = stage.between(90, 225)
        stage.paint([box], Material((shade, shade, shade * 0.98), 0.04))
