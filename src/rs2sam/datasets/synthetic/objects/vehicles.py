"""Cars, vans, lorries and buses."""

from __future__ import annotations

import numpy as np

from rs2sam.datasets.synthetic.canvas import RGB, Material
from rs2sam.datasets.synthetic.geometry import Point, Points, place, points, rectangle
from rs2sam.datasets.synthetic.stage import Stage

PAINTS: tuple[tuple[RGB, str, float], ...] = (
    ((232, 234, 236), "white", 0.27),
    ((176, 180, 184), "grey", 0.18),
    ((44, 46, 50), "black", 0.19),
    ((104, 108, 112), "grey", 0.14),
    ((168, 34, 36), "red", 0.08),
    ((44, 74, 136), "blue", 0.07),
    ((210, 170, 50), "yellow", 0.03),
    ((60, 96, 72), "green", 0.02),
    ((142, 118, 92), "brown", 0.02),
)
"""Paint, its name, and its share of the traffic."""

_BODY = points(
    (-0.5, -0.38), (-0.47, -0.47), (-0.4, -0.5), (0.38, -0.5), (0.46, -0.44), (0.5, -0.3),
    (0.5, 0.3), (0.46, 0.44), (0.38, 0.5), (-0.4, 0.5), (-0.47, 0.47), (-0.5, 0.38),
)  # fmt: skip
_SCREEN = points((0.12, -0.42), (0.24, -0.36), (0.24, 0.36), (0.12, 0.42))
_REAR = points((-0.38, -0.36), (-0.30, -0.42), (-0.30, 0.42), (-0.38, 0.36))
_SIDES = points((-0.26, -0.46), (0.1, -0.46), (0.06, -0.40), (-0.22, -0.40))


def _paint_of(stage: Stage) -> tuple[RGB, str]:
    """Draw a paint by its share."""
    shares = np.array([p[2] for p in PAINTS])
    rgb, colour, _ = PAINTS[int(stage.rng.choice(len(PAINTS), p=shares / shares.sum()))]
    return stage.jitter(rgb, 0.06), colour


def _scaled(outline: Points, length: float, width: float) -> Points:
    """Stretch a unit outline."""
    return outline * (length, width)


def car(stage: Stage, center: Point, angle: float) -> None:
    """Park or drive one car, heading along `angle`."""
    if not stage.sees(center, 6):
        return
    length, width = stage.between(3.9, 5.0), stage.between(1.75, 2.0)
    rgb, colour = _paint_of(stage)
    label = stage.register("vehicle", colour=colour, kind="car", length_m=length)
    body = place(_scaled(_BODY, length, width), center, angle)
    if stage.gsd_m < 0.8:
        stage.canvas.cast([body], 1.3)
    if stage.gsd_m > 0.6:
        stage.paint([body], Material(rgb, 0.02, 0, 0), label)
        return
    glass = 42 / max(max(rgb), 60)
    windows = [_SCREEN, _REAR]
    if stage.gsd_m < 0.2:
        windows += [_SIDES, _SIDES * (1, -1)]
    parts = [(body, 0.95), (place(_scaled(_BODY, length * 0.94, width * 0.84), center, angle), 1.05)]
    parts += [(place(_scaled(w, length, width), center, angle), glass) for w in windows]
    stage.paint_relief(parts, Material(rgb, 0.02, 0, 0), label)


def lorry(stage: Stage, center: Point, angle: float, length: float = 12.0) -> None:
    """Park or drive one lorry, van or bus, heading along `angle`."""
    if not stage.sees(center, length):
        return
    width = 2.5 if length > 7 else 2.1
    rgb, colour = _paint_of(stage)
    if stage.chance(0.5):
        rgb, colour = stage.jitter((222, 222, 220), 0.05), "white"
    label = stage.register("vehicle", colour=colour, kind="lorry" if length > 7 else "van", length_m=length)
    cab_length = 2.2
    box = place(rectangle((-cab_length / 2 - 0.15, 0), length - cab_length - 0.3, width), center, angle)
    cab = place(rectangle(((length - cab_length) / 2, 0), cab_length, width * 0.95), center, angle)
    joint = place(rectangle((length / 2 - cab_length - 0.2, 0), 0.8, width * 0.5), center, angle)
    stage.canvas.cast([box, cab], 3.2)
    stage.paint([box, joint], Material(rgb, 0.03, 0.02, 0), label)
    tint = _paint_of(stage)[0] if stage.chance(0.6) else rgb
    stage.paint([cab], Material(tint, 0.03, 0, 0), label)
    if stage.gsd_m < 0.5:
        screen = place(rectangle((length / 2 - 0.4, 0), 0.6, width * 0.85), center, angle)
        stage.paint([screen], Material((36, 42, 50), 0.02, 0, 0))


def traffic(stage: Stage, line: Points, offset: float, spacing: float, forward: bool = True) -> None:
    """Let vehicles drive along an open line, `offset` metres to its side, about `spacing` metres apart."""
    step = np.hypot(*np.diff(line, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(step)])
    # Far off, single cars are hardly seen and no longer worth their drawing.
    spacing *= max(1.0, stage.gsd_m / 0.45)
    position = stage.between(0, spacing)
    while position < along[-1]:
        x, y = (float(np.interp(position, along, line[:, i])) for i in (0, 1))
        x2, y2 = (float(np.interp(position + 1, along, line[:, i])) for i in (0, 1))
        angle = float(np.arctan2(y2 - y, x2 - x))
        center = (x - np.sin(angle) * offset, y + np.cos(angle) * offset)
        heading = angle if forward else angle + np.pi
        length = 0.0
        if stage.chance(0.14):
            length = stage.between(6, 16)
            lorry(stage, center, heading, length)
        else:
            car(stage, center, heading)
        position += 9 + length + stage.rng.exponential(spacing)
