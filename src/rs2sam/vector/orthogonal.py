"""Outlines squared up: every edge along one direction or at a right angle to it, as the walls of most buildings are.

A ring is simplified, turned so that its main direction lies along x, read as alternating runs of edges along x and
along y, short runs are dropped, and the corners are where neighbouring runs meet. What does not look like the region
any more keeps its simplified outline; what does has the region's area.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

Shapes = NDArray[np.object_]

LEAST_IOU = 0.8
"""Least intersection over union of a squared outline with the region itself."""

# A wall shorter than this many tolerances is taken for a step of the mask.
_SHORTEST_WALL = 2.0

# Edges that agree less on a direction are not those of one squared building: a round one, or two that have merged.
_LEAST_AGREEMENT = 0.35


def square_up(outlines: Shapes, tolerance: float, least_iou: float = LEAST_IOU) -> Shapes:
    """Square up outlines.

    Args:
        outlines: (n,) valid polygons, in a unit that is as long along x as along y.
        tolerance: how far an outline may move while it is simplified, above 0, in the same unit.
        least_iou: in [0, 1]; below it the simplified outline is kept.

    Returns:
        (n,) valid polygons with as many holes as the outlines, in order.
    """
    simplified = shapely.simplify(outlines, tolerance, preserve_topology=True)
    squared = np.array([_square_up(polygon, _SHORTEST_WALL * tolerance) for polygon in simplified], dtype=object)
    fits = np.flatnonzero(shapely.is_valid(squared))
    squared[fits] = _resize(squared[fits], shapely.area(outlines[fits]))
    fits = fits[shapely.is_valid(squared[fits])]  # resizing rounds
    common = shapely.area(shapely.intersection(squared[fits], outlines[fits]))
    together = shapely.area(squared[fits]) + shapely.area(outlines[fits]) - common
    fits = fits[common >= least_iou * together]
    result: Shapes = simplified.copy()
    result[fits] = squared[fits]
    return result


def _resize(polygons: Shapes, areas: NDArray[np.float64]) -> Shapes:
    """Scale polygons about their centroids to (n,) areas: a simplified edge runs along the outer ends of steps."""
    corners, index = shapely.get_coordinates(polygons, return_index=True)
    centres = shapely.get_coordinates(shapely.centroid(polygons))[index]
    factors = np.sqrt(areas / shapely.area(polygons))[index, None]
    resized: Shapes = shapely.set_coordinates(polygons, centres + (corners - centres) * factors)
    return resized


def main_direction(polygon: Polygon) -> tuple[float, float]:
    """Direction of most of the edges, by their length, up to right angles.

    Args:
        polygon: its outer ring counts.

    Returns:
        Angle from the x axis in [-pi/4, pi/4], and how far the edges agree on it, by their length: 1 for a
        rectangle, near 0 for a circle.
    """
    dx, dy = np.diff(shapely.get_coordinates(polygon.exterior), axis=0).T
    # Four times the angle is the same for all edges of a rectangle. Squares of lengths: a few long walls know the
    # direction better than many short steps.
    lengths, angles = np.hypot(dx, dy), 4 * np.arctan2(dy, dx)
    direction = float(np.angle(np.sum(lengths**2 * np.exp(1j * angles))))
    return direction / 4, float(np.average(np.cos(angles - direction), weights=lengths))


def _square_up(polygon: Polygon, shortest: float) -> Polygon | None:
    """A polygon with edges along and across its main direction, or None where there is no such direction."""
    angle, agreement = main_direction(polygon)
    outer = _square_ring(_turn(polygon.exterior.coords, -angle), shortest)
    if agreement < _LEAST_AGREEMENT or outer is None:
        return None
    holes = []
    for ring in polygon.interiors:
        turned = _turn(ring.coords, -angle)
        # A hole of a few pixels has no walls to square up.
        holes.append(_turn(_square_ring(turned, shortest) or turned, angle))
    return Polygon(_turn(outer, angle), holes)


def _turn(points: Sequence[tuple[float, float]], angle: float) -> list[tuple[float, float]]:
    """Points turned about the origin."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return [(cosine * x - sine * y, sine * x + cosine * y) for x, y in points]


def _square_ring(points: Sequence[tuple[float, float]], shortest: float) -> list[tuple[float, float]] | None:
    """Corners of a closed ring with edges along x and y only, or None where fewer than four are left."""
    walls = _read_walls(points)
    while len(walls) > 4:
        lengths = [abs(walls[i - 1][1] - walls[(i + 1) % len(walls)][1]) for i in range(len(walls))]
        least = min(range(len(walls)), key=lengths.__getitem__)
        if lengths[least] >= shortest:
            break
        walls = _drop_wall(walls, least)
    if len(walls) < 4:
        return None
    corners = []
    for (along_x, place, _), (_, next_place, _) in zip(walls, [*walls[1:], walls[0]], strict=True):
        corners.append((next_place, place) if along_x else (place, next_place))
    return corners


def _read_walls(points: Sequence[tuple[float, float]]) -> list[tuple[bool, float, float]]:
    """Runs of edges along x and along y in turn: (along x, y or x of the run, length)."""
    walls: list[tuple[bool, float, float]] = []
    for (x0, y0), (x1, y1) in pairwise(points):
        along_x = abs(x1 - x0) >= abs(y1 - y0)
        length = math.hypot(x1 - x0, y1 - y0)
        wall = (along_x, (y0 + y1) / 2 if along_x else (x0 + x1) / 2, length)
        if walls and walls[-1][0] == along_x:
            walls[-1] = _merge(walls[-1], wall)
        else:
            walls.append(wall)
    if len(walls) > 1 and walls[0][0] == walls[-1][0]:
        walls[0] = _merge(walls.pop(), walls[0])
    return walls


def _merge(a: tuple[bool, float, float], b: tuple[bool, float, float]) -> tuple[bool, float, float]:
    """Two parallel walls as one at their mean place by length."""
    length = a[2] + b[2]
    return a[0], (a[1] * a[2] + b[1] * b[2]) / length, length


def _drop_wall(walls: Sequence[tuple[bool, float, float]], number: int) -> list[tuple[bool, float, float]]:
    """Walls without one; its two neighbours, which are parallel, become one."""
    turned = [*walls[number - 1 :], *walls[: number - 1]] if number else [walls[-1], *walls[:-1]]
    return [_merge(turned[0], turned[2]), *turned[3:]]
