"""Ships and boats: cargo ships, tankers, barges, yachts, with wakes."""

from __future__ import annotations

import numpy as np

from rs2sam.datasets.synthetic.canvas import RGB, Label, Material
from rs2sam.datasets.synthetic.geometry import Point, Points, ellipse, place, points, rectangle
from rs2sam.datasets.synthetic.stage import Stage

HULLS: tuple[tuple[RGB, str], ...] = (
    ((150, 62, 52), "red"),
    ((62, 66, 72), "black"),
    ((128, 132, 134), "grey"),
    ((52, 82, 124), "blue"),
    ((84, 108, 92), "green"),
    ((168, 118, 76), "brown"),
    ((206, 206, 202), "white"),
)
"""Decks of large ships and their colours' names."""

BOXES: tuple[RGB, ...] = (
    (158, 62, 50), (52, 92, 146), (196, 196, 190), (70, 120, 92), (204, 138, 52), (110, 112, 116), (126, 52, 60),
)  # fmt: skip
"""Paints of containers."""


def _hull(fullness: float) -> Points:
    """Make a unit hull along x, bow at 0.5; `fullness` from 0 (yacht) to 1 (barge)."""
    shoulder = 0.12 + 0.28 * fullness
    u = np.array([0.5, 0.48, (0.5 + shoulder) / 2 + 0.04, shoulder, 0.0, -0.40, -0.48, -0.5])
    w = np.array([0.03 + 0.3 * (fullness > 0.95), 0.1 + 0.3 * (fullness > 0.95), 0.34, 0.48, 0.5, 0.47, 0.42, 0.36])
    return np.concatenate([np.stack([u, w], axis=1), np.stack([u, -w], axis=1)[::-1]])


def _foam(stage: Stage, outline: Points, stern: Point, reach: float, strength: float) -> None:
    """Lay foam that breaks up and fades with the distance from the stern."""
    canvas = stage.canvas
    hit = canvas.coverage([outline])
    if hit is None:
        return
    window, covered = hit
    x, y = canvas.pixels(np.asarray(stern, dtype=np.float64)[None])[0].tolist()
    rows, columns = np.mgrid[window].astype(np.float32)
    distance = np.hypot(columns - x, rows - y) * np.float32(stage.gsd_m / reach)
    broken = np.clip(0.75 + 0.4 * canvas.noise.medium[window] + 0.2 * canvas.noise.fine[window], 0, 1)
    share = covered * broken * np.clip(1 - distance, 0, 1) * np.float32(strength)
    canvas.blend(window, share, canvas.texture(window, Material((204, 212, 212), 0.05, 0.08, 0)))


def _wake(stage: Stage, center: Point, angle: float, length: float, width: float) -> None:
    """Draw the foam behind and beside a moving ship."""
    back = length * stage.between(1.2, 2.6)
    stern = place(points((-length * 0.45, 0)), center, angle)[0]
    edge = width * stage.between(0.7, 1.1)
    trail = points((-length * 0.4, -width * 0.3), (-length * 0.4, width * 0.3), (-back, edge), (-back, -edge))
    _foam(stage, place(trail, center, angle), stern, back - length * 0.4, stage.between(0.35, 0.75))
    for side in (-1, 1):
        arm = points(
            (length * 0.45, side * width * 0.15), (-back * 0.6, side * width * 1.9), (-back * 0.6, side * width * 1.5)
        )
        _foam(stage, place(arm, center, angle), place(points((length * 0.4, 0)), center, angle)[0], back, 0.4)


def freighter(stage: Stage, center: Point, angle: float, length: float, moving: bool = False) -> None:
    """Lay or sail a large ship: container ship, bulk carrier, tanker or barge."""
    if not stage.sees(center, length * 2):
        return
    width = length * stage.between(0.14, 0.18)
    rgb, colour = HULLS[int(stage.rng.integers(len(HULLS)))]
    rgb = stage.jitter(rgb, 0.06)
    kind = str(stage.rng.choice(["container", "bulk", "tanker", "barge"], p=[0.32, 0.28, 0.28, 0.12]))
    label = stage.register("ship", colour=colour, kind=kind, length_m=length)
    hull = place(_hull(1.0 if kind == "barge" else 0.7) * (length, width), center, angle)
    if moving:
        _wake(stage, center, angle, length, width)
    stage.canvas.cast([hull], 5.0 + length * 0.02, 0.9)
    stage.paint([hull], Material(rgb, 0.03, 0.04, 0.03).lit(0.8), label)
    deck = place(_hull(1.0 if kind == "barge" else 0.7) * (length * 0.985, width * 0.88), center, angle)
    stage.paint([deck], Material(rgb, 0.04, 0.05, 0.03), None)
    _deck_load(stage, center, angle, (length, width), kind)
    if kind != "barge":
        _bridge_house(stage, center, angle, (length, width), label)


def _deck_load(stage: Stage, center: Point, angle: float, size: tuple[float, float], kind: str) -> None:
    """Draw containers, hatches or pipes on a deck."""
    length, width = size
    if kind == "container":
        for x in np.arange(-0.28 * length, 0.36 * length, 13.0):
            if not stage.chance(0.85):
                continue
            for y in np.arange(-0.4 * width, 0.36 * width, 2.6):
                box = place(rectangle((x, y + 1.3), 12.2, 2.4), center, angle)
                stage.paint([box], Material(stage.jitter(BOXES[int(stage.rng.integers(len(BOXES)))], 0.1), 0.03, 0, 0))
    elif kind == "tanker":
        pipe = Material((188, 184, 176), 0.03, 0, 0)
        lines = [
            place(rectangle((0.03 * length, y * width), 0.72 * length, 0.7), center, angle) for y in (-0.05, 0.02, 0.09)
        ]
        cross = [place(rectangle((x * length, 0), 1.2, 0.7 * width), center, angle) for x in (-0.1, 0.1, 0.28)]
        stage.paint(lines + cross, pipe)
    else:
        count = int(stage.rng.integers(4, 8))
        xs = np.linspace(-0.24, 0.34, count) * length
        hatches = [place(rectangle((x, 0), 0.46 / count * length, 0.62 * width), center, angle) for x in xs]
        shade = stage.between(0.6, 1.3)
        stage.canvas.cast(hatches, 2.0, 0.7)
        stage.paint(hatches, Material((150 * shade, 142 * shade, 128 * shade), 0.05, 0.06, 0))


def _bridge_house(stage: Stage, center: Point, angle: float, size: tuple[float, float], label: Label) -> None:
    """Draw the white superstructure at the stern, with wings and funnel."""
    length, width = size
    house = place(rectangle((-0.38 * length, 0), 0.09 * length, 0.8 * width), center, angle)
    wings = place(rectangle((-0.345 * length, 0), 0.02 * length, width), center, angle)
    stage.canvas.cast([house], 14.0, 0.9)
    stage.paint([house, wings], Material((224, 226, 226), 0.03, 0.02, 0), label)
    funnel = place(rectangle((-0.42 * length, 0), 0.03 * length, 0.25 * width), center, angle)
    stage.canvas.cast([funnel], 5.0, 0.8)
    stage.paint([funnel], Material(stage.jitter((120, 70, 60), 0.2), 0.02, 0, 0))


def boat(stage: Stage, center: Point, angle: float, length: float, moving: bool = False) -> None:
    """Moor or sail a yacht or motor boat."""
    if not stage.sees(center, length * 4):
        return
    width = length * stage.between(0.26, 0.34)
    rgb, colour = ((232, 232, 228), "white") if stage.chance(0.85) else ((64, 86, 122), "blue")
    label = stage.register("ship", colour=colour, kind="boat", length_m=length)
    unit = _hull(stage.between(0.0, 0.25))
    hull = place(unit * (length, width), center, angle)
    if moving:
        _wake(stage, center, angle, length, width)
    stage.canvas.cast([hull], 1.6, 0.8)
    stage.paint([hull], Material(stage.jitter(rgb, 0.04), 0.02, 0, 0), label)
    if stage.gsd_m > 0.9:
        return
    deck = stage.jitter((196, 176, 146), 0.12) if stage.chance(0.5) else stage.jitter((206, 208, 208), 0.05)
    stage.paint(
        [place(unit * (length * 0.7, width * 0.66) - (length * 0.08, 0), center, angle)], Material(deck, 0.03, 0, 0)
    )
    if stage.chance(0.5):
        cabin = ellipse((0.02 * length, 0), 0.16 * length, 0.26 * width, count=12)
        stage.paint([place(cabin, center, angle)], Material((64, 72, 82), 0.03, 0, 0))
    if stage.chance(0.5):
        roof = place(rectangle((-0.12 * length, 0), 0.26 * length, 0.6 * width), center, angle)
        stage.canvas.cast([roof], 1.0, 0.7)
        stage.paint([roof], Material(stage.jitter((224, 226, 228), 0.04), 0.02, 0, 0))
