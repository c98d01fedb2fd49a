"""Aircraft seen from above, drawn from outlines: airliners, business jets, propeller aircraft, fighters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from rs2sam.datasets.synthetic.canvas import RGB, Material
from rs2sam.datasets.synthetic.geometry import Point, Points, ellipse, place, points, rectangle
from rs2sam.datasets.synthetic.stage import Stage

_Put: TypeAlias = Callable[[Points], Points]
"""Function that places an outline given in parts of the aircraft's length."""


@dataclass(frozen=True)
class Airframe:
    """Proportions of one kind of aircraft, in parts of its length; the nose points along x at 0.5.

    Args:
        length: limits of the length [m].
        body: half width of the fuselage.
        wing: root leading edge, root trailing edge, tip leading edge, tip trailing edge (x), half span (y).
        tail: the same for the tailplane.
        engines: positions along the half span (y) of engines on one wing.
        engine_x: offset of an engine's centre before the leading edge; negative for engines at the tail.
        fins: number of vertical tails.
    """

    length: tuple[float, float]
    body: float
    wing: tuple[float, float, float, float, float]
    tail: tuple[float, float, float, float, float]
    engines: tuple[float, ...] = ()
    engine_x: float = 0.02
    fins: int = 1


AIRFRAMES: dict[str, Airframe] = {
    "airliner": Airframe(
        (32, 48), 0.052, (0.13, -0.09, -0.10, -0.145, 0.45), (-0.38, -0.46, -0.455, -0.49, 0.165), (0.15,)
    ),
    "widebody": Airframe(
        (55, 74), 0.046, (0.15, -0.07, -0.13, -0.17, 0.47), (-0.37, -0.45, -0.455, -0.49, 0.16), (0.15, 0.29)
    ),
    "jet": Airframe(
        (14, 24), 0.05, (0.05, -0.12, -0.13, -0.175, 0.42), (-0.40, -0.47, -0.47, -0.505, 0.17), (0.08,), -0.28
    ),
    "propeller": Airframe((7, 12), 0.062, (0.20, 0.02, 0.17, 0.03, 0.64), (-0.38, -0.48, -0.40, -0.48, 0.2)),
    "turboprop": Airframe(
        (20, 30), 0.052, (0.10, -0.03, 0.07, 0.0, 0.52), (-0.38, -0.47, -0.41, -0.47, 0.19), (0.17,), 0.05
    ),
    "fighter": Airframe(
        (14, 21), 0.055, (0.12, -0.32, -0.22, -0.31, 0.31), (-0.34, -0.46, -0.46, -0.5, 0.18), (), 0, 2
    ),
}
"""The kinds of aircraft that can be parked."""

LIVERIES: tuple[tuple[RGB, str, float], ...] = (
    ((234, 236, 238), "white", 0.66),
    ((198, 202, 206), "grey", 0.16),
    ((120, 126, 130), "grey", 0.06),
    ((72, 96, 150), "blue", 0.05),
    ((186, 60, 52), "red", 0.03),
    ((214, 178, 70), "yellow", 0.04),
)
"""Colour, name and share of what fuselages are painted in."""

TAILS: tuple[RGB, ...] = ((40, 62, 120), (172, 40, 44), (226, 228, 230), (30, 98, 90), (210, 130, 40), (60, 60, 66))
"""Colours of vertical tails."""


def _surface(x: tuple[float, float, float, float, float]) -> Points:
    """Make both halves of a wing or tailplane."""
    root_front, root_back, tip_front, tip_back, span = x
    half = [(root_front, 0.0), (tip_front, span), (tip_back, span), (root_back, 0.06)]
    return np.array(half + [(a, -b) for a, b in half[::-1]], dtype=np.float64)


def _fuselage(half_width: float) -> Points:
    """Make the outline of a fuselage with a round nose and a pointed tail."""
    u = np.array([0.5, 0.492, 0.47, 0.43, 0.38, 0.0, -0.22, -0.34, -0.44, -0.5])
    w = half_width * np.array([0.0, 0.35, 0.65, 0.9, 1.0, 1.0, 0.96, 0.72, 0.38, 0.12])
    return np.concatenate([np.stack([u, w], axis=1), np.stack([u, -w], axis=1)[::-1]])


def _engines(frame: Airframe) -> list[Points]:
    """Make the engine pods of both wings."""
    front, _, tip, _, span = frame.wing
    pods = []
    for y in frame.engines:
        x = frame.engine_x if frame.engine_x < 0 else front + (tip - front) * y / span + frame.engine_x
        for side in (-1, 1):
            pods.append(ellipse((x, side * y), 0.05, 0.021, count=12))
    return pods


def airplane(stage: Stage, center: Point, angle: float, kind: str = "airliner", scale: float | None = None) -> None:
    """Park one aircraft with its nose along `angle`; `scale` in [0, 1] picks its length, None at random."""
    frame = AIRFRAMES[kind]
    share = stage.between(0, 1) if scale is None else scale
    length = frame.length[0] + share * (frame.length[1] - frame.length[0])
    if not stage.sees(center, length):
        return
    weights = np.array([x[2] for x in LIVERIES])
    rgb, colour, _ = LIVERIES[int(stage.rng.choice(len(LIVERIES), p=weights / weights.sum()))]
    if kind == "fighter":
        rgb, colour = (134, 140, 144), "grey"
    rgb = stage.jitter(rgb, 0.04)
    label = stage.register("airplane", colour=colour, kind=kind, length_m=length)

    def put(outline: Points) -> Points:
        return place(outline, center, angle, length)

    wing, tail, body = put(_surface(frame.wing)), put(_surface(frame.tail)), put(_fuselage(frame.body))
    pods = [put(p) for p in _engines(frame)]
    height = length * 0.10
    stage.canvas.cast([body], height)
    stage.canvas.shade([o + stage.canvas.sun * height for o in (wing, tail, *pods)])
    dim = Material(rgb, 0.015, 0.01, 0).lit(0.93)
    stage.paint(pods, dim.lit(0.88), label)
    stage.paint([wing, tail], dim, label)
    stage.paint([body], Material(rgb, 0.015, 0.01, 0).lit(0.86), label)
    _highlights(stage, put, frame, rgb)
    if kind == "propeller":
        stage.paint([put(rectangle((0.5, 0), 0.012, 0.2))], Material((70, 70, 72), 0, 0, 0), label)
    _fins(stage, put, frame, length, rgb)


def _highlights(stage: Stage, put: _Put, frame: Airframe, rgb: RGB) -> None:
    """Round the fuselage by a bright line on top, and add cockpit and flaps where they can be seen."""
    top = _fuselage(frame.body * 0.55) * (0.97, 1)
    stage.paint(
        [put(top)], Material((min(rgb[0] * 1.05, 252), min(rgb[1] * 1.05, 252), min(rgb[2] * 1.05, 252)), 0.01, 0, 0)
    )
    if stage.gsd_m < 0.6:
        stage.paint([put(rectangle((0.462, 0), 0.012, frame.body * 1.1))], Material((50, 56, 64), 0, 0, 0))
    if stage.gsd_m < 0.4:
        _, root_back, _, tip_back, span = frame.wing
        flaps = [
            points(
                (root_back + 0.015, 0.07 * side),
                (root_back + 0.02, 0.07 * side),
                (tip_back + 0.012, span * 0.95 * side),
            )
            for side in (-1, 1)
        ]
        stage.paint([put(f) for f in flaps], Material((150, 154, 158), 0, 0, 0))


def _fins(stage: Stage, put: _Put, frame: Airframe, length: float, rgb: RGB) -> None:
    """Draw the vertical tails: a thin line from above, with a tall shadow."""
    paint = TAILS[int(stage.rng.integers(len(TAILS)))] if frame.fins == 1 else rgb
    for side in (0.0,) if frame.fins == 1 else (-0.06, 0.06):
        fin = put(
            points(
                (-0.33, side), (-0.45, side + 0.008), (-0.5, side + 0.006), (-0.5, side - 0.006), (-0.45, side - 0.008)
            )
        )
        stage.paint([fin], Material(paint, 0, 0, 0))
        tip = put(points((-0.33, side), (-0.47, side), (-0.5, side)))
        lift = stage.canvas.sun * length * 0.10
        rise = stage.canvas.sun * length * 0.13
        stage.canvas.shade([np.stack([tip[0] + lift, tip[1] + lift + rise, tip[2] + lift + rise])], 0.9)
