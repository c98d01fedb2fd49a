"""Plane geometry in metres: the outlines from which scenes are drawn.

Points are (N, 2) float64 arrays of x (right) and y (down), in metres; a polygon is closed implicitly. Angles are in
radians, from x towards y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Points: TypeAlias = NDArray[np.float64]
"""(N, 2) float64, x and y in metres."""
Point: TypeAlias = "tuple[float, float] | NDArray[np.float64]"
"""One x and y in metres."""


def points(*pairs: tuple[float, float]) -> Points:
    """Make a point array from (x, y) pairs."""
    return np.array(pairs, dtype=np.float64)


def place(outline: Points, center: Point, angle: float = 0.0, scale: float = 1.0) -> Points:
    """Scale an outline, turn it about its origin, and move the origin to `center`."""
    c, s = math.cos(angle) * scale, math.sin(angle) * scale
    moved: Points = outline @ np.array([[c, s], [-s, c]]) + np.asarray(center, dtype=np.float64)
    return moved


def rectangle(center: Point, length: float, width: float, angle: float = 0.0) -> Points:
    """Make a rectangle whose `length` runs along `angle`."""
    a, b = length / 2, width / 2
    return place(points((-a, -b), (a, -b), (a, b), (-a, b)), center, angle)


def ellipse(center: Point, radius_x: float, radius_y: float, angle: float = 0.0, count: int = 28) -> Points:
    """Make an ellipse of `count` corners."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return place(np.stack([radius_x * np.cos(t), radius_y * np.sin(t)], axis=1), center, angle)


def arc(center: Point, radius: float, start: float, stop: float, count: int = 20) -> Points:
    """Make the open line of a circle's arc."""
    t = np.linspace(start, stop, count)
    return np.stack([radius * np.cos(t), radius * np.sin(t)], axis=1) + np.asarray(center, dtype=np.float64)


def capsule(length: float, radius: float, count: int = 16) -> Points:
    """Make a stadium shape along x: a rectangle of `length` with half discs of `radius` at both ends."""
    right = arc((length / 2, 0), radius, -np.pi / 2, np.pi / 2, count)
    left = arc((-length / 2, 0), radius, np.pi / 2, 3 * np.pi / 2, count)
    return np.concatenate([right, left])


def blob(rng: np.random.Generator, center: Point, radius: float, roughness: float = 0.25, count: int = 36) -> Points:
    """Make an irregular round outline: a circle with random harmonics of relative size `roughness`."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    r = np.ones(count)
    for harmonic in range(2, 7):
        r += roughness * rng.normal() / harmonic * np.cos(harmonic * t + rng.uniform(0, 2 * np.pi))
    r = radius * np.clip(r, 0.3, 2.0)
    return np.stack([r * np.cos(t), r * np.sin(t)], axis=1) + np.asarray(center, dtype=np.float64)


def smooth_line(
    rng: np.random.Generator, start: Point, stop: Point, bend: float, knots: int = 5, count: int = 48
) -> Points:
    """Make a winding line between two points, by a cubic through knots displaced sideways by about `bend` metres."""
    a, b = np.asarray(start, dtype=np.float64), np.asarray(stop, dtype=np.float64)
    along = (b - a) / max(float(np.hypot(*(b - a))), 1e-9)
    offsets = rng.normal(0, bend, knots)
    u = np.linspace(0, knots - 1, count)
    i = np.clip(u.astype(int), 0, knots - 2)
    f = u - i
    before, after = offsets[np.clip(i - 1, 0, knots - 1)], offsets[np.clip(i + 2, 0, knots - 1)]
    p, q = offsets[i], offsets[i + 1]
    side = p + 0.5 * f * (q - before + f * (2 * before - 5 * p + 4 * q - after + f * (3 * (p - q) + after - before)))
    line: Points = a + np.linspace(0, 1, count)[:, None] * (b - a) + side[:, None] * np.array([-along[1], along[0]])
    return line


def normals(line: Points) -> Points:
    """Return the unit normal at each point of an open line."""
    tangent = np.gradient(line, axis=0)
    tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)[:, None]
    return np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)


def shifted(line: Points, offset: float | NDArray[np.float64]) -> Points:
    """Move an open line sideways by `offset` metres (one number, or one for each point)."""
    return line + normals(line) * np.broadcast_to(np.asarray(offset, dtype=np.float64), (len(line),))[:, None]


def ribbon(line: Points, width: float | NDArray[np.float64]) -> Points:
    """Make the polygon of an open line drawn `width` metres wide."""
    half = np.asarray(width, dtype=np.float64) / 2
    return np.concatenate([shifted(line, half), shifted(line, -half)[::-1]])


def _next(outline: Points) -> Points:
    """Return each corner's successor."""
    return np.concatenate([outline[1:], outline[:1]])


def closed_ribbon(outline: Points, width: float) -> list[Points]:
    """Make the polygons of a closed outline drawn `width` metres wide, one for each side."""
    following = _next(outline)
    step = following - outline
    length = np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)[:, None]
    along, side = step / length * width / 2, np.stack([-step[:, 1], step[:, 0]], axis=1) / length * width / 2
    a, b = outline - along, following + along
    return list(np.stack([a + side, b + side, b - side, a - side], axis=1))


def segment(start: Point, stop: Point, width: float) -> Points:
    """Make the polygon of a straight stroke."""
    (ax, ay), (bx, by) = (float(start[0]), float(start[1])), (float(stop[0]), float(stop[1]))
    half = width / 2 / max(math.hypot(bx - ax, by - ay), 1e-9)
    dx, dy = -(by - ay) * half, (bx - ax) * half
    return points((ax + dx, ay + dy), (bx + dx, by + dy), (bx - dx, by - dy), (ax - dx, ay - dy))


def dashes(line: Points, width: float, dash: float, gap: float) -> list[Points]:
    """Cut an open line into strokes of `dash` metres with gaps of `gap` metres."""
    step = np.hypot(*np.diff(line, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(step)])
    starts = np.arange(0, max(along[-1] - dash, 0), dash + gap)

    def at(s: NDArray[np.float64]) -> Points:
        return np.stack([np.interp(s, along, line[:, 0]), np.interp(s, along, line[:, 1])], axis=1)

    return [ribbon(np.stack([a, b]), width) for a, b in zip(at(starts), at(starts + dash), strict=True)]


def sweep(outline: Points, offset: Point) -> list[Points]:
    """Return polygons whose union is the outline swept along `offset`: the shadow of an upright prism."""
    far = outline + np.asarray(offset, dtype=np.float64)
    following, far_following = _next(outline), _next(far)
    sides = list(np.stack([outline, following, far_following, far], axis=1))
    return [outline, far, *sides]


def inside(polygon: Points, candidates: Points) -> NDArray[np.bool_]:
    """Tell which candidate points lie inside a polygon (even-odd rule)."""
    x, y = candidates[:, :1], candidates[:, 1:]
    ax, ay = polygon[:, 0], polygon[:, 1]
    bx, by = np.roll(ax, -1), np.roll(ay, -1)
    crosses = (ay > y) != (by > y)
    at = ax + (y - ay) * (bx - ax) / np.where(by == ay, 1e-9, by - ay)
    odd: NDArray[np.bool_] = np.count_nonzero(crosses & (x < at), axis=1) % 2 == 1
    return odd


def bounds(outlines: Sequence[Points]) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of several outlines."""
    every = np.concatenate(outlines)
    (left, top), (right, bottom) = every.min(axis=0), every.max(axis=0)
    return float(left), float(top), float(right), float(bottom)
