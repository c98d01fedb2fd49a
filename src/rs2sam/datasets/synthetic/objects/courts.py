"""Sports grounds: tennis and basketball courts, baseball diamonds, running tracks, football pitches, pools."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rs2sam.datasets.synthetic.canvas import RGB, Material
from rs2sam.datasets.synthetic.geometry import (
    Point,
    Points,
    arc,
    blob,
    capsule,
    closed_ribbon,
    ellipse,
    place,
    points,
    rectangle,
    ribbon,
    segment,
)
from rs2sam.datasets.synthetic.objects.plants import grass
from rs2sam.datasets.synthetic.stage import NOTHING, Stage

HARD_COURTS: tuple[tuple[RGB, str], ...] = (
    ((72, 112, 98), "green"),
    ((66, 104, 78), "green"),
    ((70, 104, 146), "blue"),
    ((88, 122, 162), "blue"),
    ((164, 96, 74), "red"),
    ((150, 88, 72), "red"),
    ((118, 116, 112), "grey"),
    ((112, 134, 108), "green"),
)
"""Colours of hard courts and their names."""

WHITE = Material((226, 228, 224), 0.02, 0.02, 0)
"""Line paint."""


def _line(stage: Stage, width: float) -> float:
    """Widen thin lines to what the image can still show faintly."""
    return max(width, stage.gsd_m * 0.45)


def tennis_court(stage: Stage, center: Point, angle: float, surface: tuple[RGB, str], surround: RGB) -> None:
    """Lay out one tennis court, lines along `angle`; its mask is the playing surface with 1 m around the lines."""
    label = stage.register("tennis_court", colour=surface[1], length_m=23.77)

    def put(outline: Points) -> Points:
        return place(outline, center, angle)

    stage.paint([put(rectangle((0, 0), 34.5, 17.0))], Material(surround, 0.03, 0.03, 0.03), NOTHING)
    stage.paint([put(rectangle((0, 0), 25.8, 13.0))], Material(surround, 0.03, 0.03, 0.03), label)
    stage.paint([put(rectangle((0, 0), 23.77, 10.97))], Material(surface[0], 0.03, 0.03, 0.03))
    w = _line(stage, 0.1)
    lines = closed_ribbon(rectangle((0, 0), 23.77, 10.97), w) + [
        segment((-11.88, s * 4.115), (11.88, s * 4.115), w) for s in (-1, 1)
    ]
    lines += [segment((s * 6.4, -4.115), (s * 6.4, 4.115), w) for s in (-1, 1)]
    lines.append(segment((-6.4, 0), (6.4, 0), w))
    stage.paint([put(o) for o in lines], WHITE)
    net = put(segment((0, -6.4), (0, 6.4), _line(stage, 0.15)))
    stage.canvas.cast([net], 1.0, 0.6)
    stage.paint([net], Material((70, 76, 76), 0, 0, 0))


def basketball_court(stage: Stage, center: Point, angle: float, surface: tuple[RGB, str], key: RGB) -> None:
    """Lay out one basketball court; its mask is the surface with 1 m around the lines."""
    label = stage.register("basketball_court", colour=surface[1], length_m=28.0)

    def put(outline: Points) -> Points:
        return place(outline, center, angle)

    stage.paint([put(rectangle((0, 0), 30, 17))], Material(surface[0], 0.04, 0.04, 0.04), label)
    keys = [put(rectangle((s * 11.1, 0), 5.8, 4.9)) for s in (-1, 1)] + [put(ellipse((0, 0), 1.8, 1.8, count=20))]
    stage.paint(keys, Material(key, 0.04, 0.03, 0.02))
    w = _line(stage, 0.08)
    lines = [*closed_ribbon(rectangle((0, 0), 28, 15), w), segment((0, -7.5), (0, 7.5), w)]
    lines += closed_ribbon(ellipse((0, 0), 1.8, 1.8, count=24), w)
    for s in (-1, 1):
        lines += closed_ribbon(rectangle((s * 11.1, 0), 5.8, 4.9), w)
        lines.append(ribbon(arc((s * 12.4, 0), 6.75, np.pi / 2 * (2 - s), np.pi / 2 * (4 - s), 24), w))
        lines.append(ribbon(arc((s * 8.2, 0), 1.8, 0, 2 * np.pi, 20), w))
    stage.paint([put(o) for o in lines], WHITE)
    hoops = [put(rectangle((s * 13.2, 0), 0.7, 1.8)) for s in (-1, 1)]
    stage.canvas.cast(hoops, 3.2)
    stage.paint(hoops, Material((208, 208, 206), 0, 0, 0))


def baseball_diamond(stage: Stage, center: Point, angle: float, size: float = 1.0, grassy: bool = True) -> None:
    """Lay out a baseball field around its infield; home plate points against `angle`. The mask is the infield."""
    base = 27.4 * size
    dirt_rgb = stage.jitter(((190, 140, 100), (176, 124, 88), (198, 160, 120))[int(stage.rng.integers(3))], 0.06)
    dirt = Material(dirt_rgb, 0.04, 0.05, 0.05)

    def put(outline: Points) -> Points:
        return place(outline, center, angle)

    home = np.array([-base * 0.75, 0.0])
    outfield = np.concatenate([home[None] - (4, 0), arc(home, base * stage.between(3.2, 3.9), -0.8, 0.8, 30)])
    stage.paint_region([put(outfield)], mown(stage, angle, stage.between(6, 12)), "vegetation")
    label = stage.register("baseball_diamond", length_m=base)
    curve = arc(home + np.array([base * 0.62, 0]), base * stage.between(0.98, 1.08), -2.2, 2.2, 36)
    sector = np.concatenate([home[None] - (base * 0.16, 0), curve])
    stage.paint([put(sector), put(ellipse(home, base * 0.26, base * 0.26, count=24))], dirt, label)
    if grassy:
        half = base * 0.62
        inner = home + np.array([base * 0.707, 0.0])
        square = rectangle(inner, half * 1.36, half * 1.36, np.pi / 4)
        stage.paint([put(square)], grass(stage, -0.8, 0.5))
        stage.paint([put(ellipse(inner, base * 0.1, base * 0.1, count=16))], dirt)
    corner = base / np.sqrt(2)
    lines = [
        segment(home, home + s * np.array([0, 1.0]) * base * 2.3 + (base * 2.3, 0), _line(stage, 0.12)) for s in (-1, 1)
    ]
    stage.paint([put(o) for o in lines], WHITE)
    bases = home + points((corner, corner), (corner, -corner), (2 * corner, 0))
    stage.paint([put(rectangle(b, 1.0, 1.0)) for b in bases], WHITE)


def mown(stage: Stage, angle: float, width: float) -> Material:
    """Mix a lawn with mowing stripes."""
    from rs2sam.datasets.synthetic.objects.buildings import striped

    base = grass(stage, -0.6, 0.6)
    return striped(
        stage, Material(base.rgb, base.fine, base.medium, base.coarse), width, angle, stage.between(0.0, 0.07)
    )


def ground_track_field(stage: Stage, center: Point, angle: float, size: float = 1.0) -> None:
    """Lay out a running track around a football pitch; the mask is the oval with all inside."""
    straight, radius, lanes = 84.4 * size, 36.5 * size, 9.76 * size
    colour = (
        ((172, 92, 74), "red")
        if stage.chance(0.72)
        else (((84, 104, 140), "blue"), ((122, 116, 112), "grey"))[int(stage.rng.integers(2))]
    )
    label = stage.register("ground_track_field", colour=colour[1], length_m=straight + 2 * (radius + lanes))

    def put(outline: Points) -> Points:
        return place(outline, center, angle)

    track = Material(stage.jitter(colour[0], 0.06), 0.03, 0.03, 0.03)
    shapes = [put(capsule(straight, radius + lanes, 24))]
    if stage.chance(0.6):
        shapes.append(put(rectangle((straight * 0.15, radius + lanes / 2), straight * 1.35, lanes)))
    stage.paint(shapes, track, label)
    if stage.gsd_m < 1.3:
        for lane in range(9):
            outline = capsule(straight, radius + lane * lanes / 8, 24)
            hit = stage.canvas.coverage([put(o) for o in closed_ribbon(outline, _line(stage, 0.1))])
            if hit is not None:
                faint = hit[1] * np.float32(0.75)
                stage.canvas.blend(hit[0], faint, stage.canvas.texture(hit[0], WHITE))
    stage.paint([put(capsule(straight, radius - 0.6, 24))], mown(stage, angle + np.pi / 2, stage.between(8, 12)))
    if stage.chance(0.6):
        ends = [
            put(np.concatenate([arc((s * straight / 2, 0), radius - 2, -np.pi / 2 * s, np.pi / 2 * s, 20)]))
            for s in (-1, 1)
        ]
        stage.paint(ends, track)
    _pitch(stage, put, straight * 1.12, radius * 1.7)


def _pitch(stage: Stage, put: Callable[[Points], Points], length: float, width: float) -> None:
    """Draw the lines and goals of a football pitch."""
    w = _line(stage, 0.12)
    lines = [*closed_ribbon(rectangle((0, 0), length, width), w), segment((0, -width / 2), (0, width / 2), w)]
    lines += closed_ribbon(ellipse((0, 0), 9.15, 9.15, count=28), w)
    lines += [o for s in (-1, 1) for o in closed_ribbon(rectangle((s * (length / 2 - 8.2), 0), 16.5, width * 0.58), w)]
    stage.paint([put(o) for o in lines], WHITE)


def football_pitch(stage: Stage, center: Point, angle: float) -> None:
    """Lay out a football pitch; it is lawn, and no object of its own."""

    def put(outline: Points) -> Points:
        return place(outline, center, angle)

    stage.paint_region(
        [put(rectangle((0, 0), 112, 74))], mown(stage, angle + np.pi / 2, stage.between(6, 12)), "vegetation"
    )
    _pitch(stage, put, 102, 66)


def swimming_pool(stage: Stage, center: Point, length: float, width: float, angle: float) -> None:
    """Dig a pool: rectangular, oval or free in form, in a pale terrace."""
    if not stage.sees(center, length + 5):
        return
    form = int(stage.rng.integers(4))
    if form <= 1:
        basin = rectangle((0, 0), length, width)
    elif form == 2:
        basin = ellipse((0, 0), length / 2, width / 2)
    else:
        basin = blob(stage.rng, (0, 0), 1.0, 0.35, 24) * (length / 2, width / 2)
    terrace = place(
        rectangle((stage.between(-0.6, 0.6), stage.between(-0.6, 0.6)), length + 4, width + 3.2), center, angle
    )
    stage.paint_region([terrace], Material(stage.jitter((204, 194, 176), 0.07), 0.03, 0.04, 0.02), None)
    rim = place(basin * (1 + 0.8 / length, 1 + 0.8 / width), center, angle)
    stage.paint_region([rim], Material(stage.jitter((222, 216, 204), 0.04), 0.02, 0.02, 0), None)
    label = stage.register("swimming_pool", colour="blue", length_m=length)
    waters: tuple[RGB, ...] = ((92, 186, 206), (70, 160, 200), (112, 196, 204), (62, 132, 168), (84, 150, 150))
    water = Material(stage.jitter(waters[int(stage.rng.integers(len(waters)))], 0.06), 0.02, 0.05, 0.03)
    inside = place(basin, center, angle)
    stage.paint([inside], water, label)
    if stage.gsd_m < 0.5:
        steps = place(basin * (0.25, 0.6) + (length * 0.33, 0), center, angle)
        stage.paint([steps], water.lit(1.12))
        stage.canvas.cast(closed_ribbon(inside, 0.1), 0.9, 0.5)
