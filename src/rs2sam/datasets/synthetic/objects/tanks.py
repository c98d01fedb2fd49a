"""Storage tanks: cylinders with conical, floating or domed roofs."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.synthetic.canvas import RGB, Material
from rs2sam.datasets.synthetic.geometry import Point, arc, closed_ribbon, ellipse, points, ribbon, segment
from rs2sam.datasets.synthetic.stage import Stage

SHELLS: tuple[tuple[RGB, str, float], ...] = (
    ((226, 226, 220), "white", 0.6),
    ((186, 186, 182), "grey", 0.2),
    ((148, 146, 140), "grey", 0.08),
    ((152, 112, 84), "brown", 0.06),
    ((120, 146, 126), "green", 0.06),
)
"""Paint of tanks, its name and share."""


def tank(stage: Stage, center: Point, radius: float, roof: str, shell: tuple[RGB, str]) -> None:
    """Build one tank of a radius in metres; `roof` is `cone`, `floating` or `dome`."""
    if not stage.sees(center, radius * 4):
        return
    rgb, colour = shell
    at = np.asarray(center, dtype=np.float64)
    label = stage.register("storage_tank", colour=colour, kind=roof, diameter_m=2 * radius)
    height = min(stage.between(0.5, 1.0) * radius + 5, 20)
    disc = ellipse(at, radius, radius, count=40)
    stage.canvas.cast([disc], height)
    stage.paint([disc], Material(rgb, 0.02, 0.02, 0.02), label)
    if roof == "floating":
        _floating_roof(stage, at, radius, rgb, height)
    else:
        _sloping_roof(stage, at, radius, rgb, 0.16 if roof == "cone" else 0.26)
    rim = max(0.35, 0.7 * stage.gsd_m)
    bright = Material((min(rgb[0] * 1.1, 252), min(rgb[1] * 1.1, 252), min(rgb[2] * 1.1, 252)), 0.02, 0, 0)
    stage.paint(closed_ribbon(ellipse(at, radius - rim / 2, radius - rim / 2, count=40), rim), bright)
    if stage.gsd_m < 0.5:
        start = stage.between(0, 6.28)
        stair = ribbon(arc(at, radius + 0.5, start, start + 0.9), 0.9)
        stage.paint([stair], Material((120, 118, 114), 0.02, 0, 0))


def _cone(
    middle: tuple[float, float],
    toward: tuple[float, float],
    relief: float,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Brightness of a cone around `middle` [px], lit from `toward` (a unit vector in the image)."""
    dx, dy = x + np.float32(0.5 - middle[0]), y + np.float32(0.5 - middle[1])
    distance = np.maximum(np.sqrt(dx * dx + dy * dy), np.float32(0.5))
    light: NDArray[np.float32] = (
        1 + np.float32(relief) * (dx * np.float32(toward[0]) + dy * np.float32(toward[1])) / distance
    )
    return light


def _sloping_roof(stage: Stage, at: Point, radius: float, rgb: RGB, relief: float) -> None:
    """Shade a conical roof by the sun; a dome looks nearly the same."""
    x, y = stage.canvas.pixels(np.asarray(at, dtype=np.float64)[None])[0].tolist()
    pattern = partial(_cone, (x, y), stage.canvas.toward_sun, relief)
    roof = ellipse(at, radius * 0.97, radius * 0.97, count=40)
    stage.paint([roof], Material(rgb, 0.02, 0.03, 0.02, pattern=pattern).lit(0.97))
    hub = ellipse(at, radius * 0.06 + 0.3, radius * 0.06 + 0.3, count=12)
    stage.paint([hub], Material(rgb, 0.02, 0, 0).lit(0.8))


def _floating_roof(stage: Stage, at: Point, radius: float, rgb: RGB, height: float) -> None:
    """Sink the roof into the shell: a crescent of shadow on a darker deck."""
    deck = ellipse(at, radius * 0.96, radius * 0.96, count=40)
    stage.paint([deck], Material(rgb, 0.03, 0.05, 0.05).lit(stage.between(0.72, 0.95)))
    depth = stage.between(0.1, 0.75) * height
    hit = stage.canvas.coverage([deck])
    light = stage.canvas.coverage([deck + stage.canvas.sun * depth])
    if hit is not None:
        window, covered = hit
        dark = covered.copy()
        if light is not None:
            (rows, columns), (lit_rows, lit_columns) = window, light[0]
            top, left = max(rows.start, lit_rows.start), max(columns.start, lit_columns.start)
            bottom, right = max(min(rows.stop, lit_rows.stop), top), max(min(columns.stop, lit_columns.stop), left)
            common = light[1][
                top - lit_rows.start : bottom - lit_rows.start, left - lit_columns.start : right - lit_columns.start
            ]
            dark[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start] *= 1 - common
        stage.canvas.shade_covered(window, dark)
    if stage.gsd_m < 0.8 and stage.chance(0.6):
        towards = -stage.canvas.sun / max(float(np.hypot(*stage.canvas.sun)), 1e-9)
        stage.paint([segment(at, np.asarray(at) + radius * 0.9 * towards, 0.7)], Material((120, 120, 118), 0, 0, 0))


def berm(stage: Stage, center: Point, side: float) -> None:
    """Draw the wall around a tank's basin."""
    x, y = float(center[0]), float(center[1])
    a = side / 2
    outline = points((x - a, y - a), (x + a, y - a), (x + a, y + a), (x - a, y + a))
    wall = closed_ribbon(outline, 1.6)
    stage.canvas.cast(wall, 1.2, 0.7)
    stage.paint(wall, Material(stage.jitter((164, 158, 146), 0.06), 0.03, 0.05, 0.03))
