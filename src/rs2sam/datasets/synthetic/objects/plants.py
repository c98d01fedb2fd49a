"""Trees, hedges, lawns and woods."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.synthetic.canvas import RGB, Label, Material
from rs2sam.datasets.synthetic.geometry import Point, Points, inside
from rs2sam.datasets.synthetic.noise import smooth
from rs2sam.datasets.synthetic.stage import REGION_CODES, Stage

Sprite = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Coverage (n, n) and brightness (n, n) of a tree's crown."""


class Trees:
    """Plants trees: crowns are drawn once for each size and used many times.

    Args:
        stage: the scene.
        listed: whether each tree is an instance; else trees are only part of the vegetation.
    """

    def __init__(self, stage: Stage, listed: bool = True) -> None:
        self._stage, self._listed = stage, listed
        self._sprites: dict[int, list[Sprite]] = {}
        if not listed:
            stage.unlisted.add("tree")

    def plant(self, center: Point, radius: float, height: float | None = None, leaves: RGB | None = None) -> None:
        """Plant one tree of a crown radius and height in metres; its shadow is drawn too."""
        stage = self._stage
        canvas = stage.canvas
        if not stage.sees(center, radius * 4):
            return
        size = max(round(radius / stage.gsd_m), 1)
        covered, light = self._sprite(size)
        x, y = canvas.pixels(np.asarray(center, dtype=np.float64)[None])[0]
        rise = (height if height is not None else radius * stage.between(1.2, 2.0)) * 0.7
        dx, dy = canvas.pixels(canvas.sun[None] * rise)[0] - canvas.pixels(np.zeros((1, 2)))[0]
        left, top = round(x) - len(covered) // 2, round(y) - len(covered) // 2
        shadow = self._cut(covered, left + round(dx), top + round(dy))
        if shadow is not None:
            window, part = shadow
            canvas.shade_covered(window, covered[part] * np.float32(0.92))
        crown = self._cut(covered, left, top)
        if crown is None:
            return
        window, part = crown
        rgb = np.array(stage.jitter(leaves or stage.season.leaves, 0.12), dtype=np.float32)
        canvas.blend(window, covered[part], light[part][..., None] * rgb)
        where = covered[part] >= 0.5
        code = REGION_CODES["vegetation"]
        if self._listed:
            label = stage.register("tree", radius_m=radius)
            stage.note(label, window)
            canvas.mark(window, where, Label(0, code))
            canvas.mark(window, where, label)
        else:
            canvas.mark(window, where, Label(0, code))

    def scatter(self, candidates: Points, radius: tuple[float, float], keep: float = 1.0) -> None:
        """Plant trees at a share of the candidate places, with radii between two limits [m]."""
        for center in candidates:
            if self._stage.chance(keep):
                self.plant(center, self._stage.between(*radius))

    def _cut(
        self, covered: NDArray[np.float32], left: int, top: int
    ) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
        """Cut a sprite's window to the image: the window, and the part of the sprite it shows."""
        h, w = self._stage.canvas.size_hw
        n = len(covered)
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + n, w), min(top + n, h)
        if x1 <= x0 or y1 <= y0:
            return None
        return (slice(y0, y1), slice(x0, x1)), (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))

    def _sprite(self, size: int) -> Sprite:
        """Return one of the crowns of a radius in pixels, sizes above 8 rounded to steps."""
        size = size if size <= 8 else 4 * round(size / 4)
        known = self._sprites.setdefault(size, [])
        wanted = 3
        if len(known) < wanted:
            known.append(self._draw_sprite(size))
            return known[-1]
        return known[int(self._stage.rng.integers(len(known)))]

    def _draw_sprite(self, size: int) -> Sprite:
        """Draw a crown: leaf clumps as small domes on a large one, lit by the sun."""
        stage, rng = self._stage, self._stage.rng
        n = 2 * int(np.ceil(size * 1.3)) + 3
        y, x = (np.mgrid[:n, :n].astype(np.float32) - n // 2) / max(size, 1)
        ragged = 0.16 * smooth(rng, (n, n), max(size / 2.2, 1.5)) + 0.08 * smooth(rng, (n, n), max(size / 6, 1))
        distance = np.sqrt(x**2 + y**2) * (1 + ragged)
        covered = np.clip((1 - distance) * size + 0.5, 0, 1).astype(np.float32)
        dome = np.sqrt(np.clip(1 - distance**2, 0, 1))
        height = dome + 0.34 * smooth(rng, (n, n), max(size / 3.2, 1.2)) * (size > 2)
        sx, sy = stage.canvas.toward_sun
        gy, gx = np.gradient(height)
        slope = np.tanh(-(gx * sx + gy * sy) * size * 0.55)
        light = 0.9 + 0.42 * slope + 0.16 * (height - 0.6) + 0.05 * smooth(rng, (n, n), 1.0)
        return covered, np.clip(light, 0.25, 1.9).astype(np.float32)


def _canopy(stage: Stage) -> NDArray[np.float32]:
    """Make the brightness of a closed canopy for the whole image: (H, W) float32 around 1."""
    rng, gsd = stage.rng, stage.gsd_m
    size = stage.canvas.size_hw
    crowns = smooth(rng, size, max(3.4 / gsd, 2.0)) + 0.4 * smooth(rng, size, max(1.2 / gsd, 1.2))
    sx, sy = stage.canvas.toward_sun
    gy, gx = np.gradient(crowns)
    slope = np.tanh(-(gx * sx + gy * sy) * np.float32(min(1.6 / gsd, 2.5)))
    shade: NDArray[np.float32] = np.clip(0.92 + 0.4 * slope + 0.16 * crowns, 0.22, 1.8).astype(np.float32)
    return shade


def _look_up(field: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Read a field of the image's size at pixel columns and rows."""
    return field[y.astype(np.intp), x.astype(np.intp)]


def wood(stage: Stage, outlines: list[Points], edge: Trees | None = None) -> None:
    """Cover polygons with closed forest; with `edge`, single crowns break the straight border."""
    rgb = stage.jitter(stage.season.leaves, 0.08)
    if edge is not None:
        stage.canvas.cast(outlines, 7.0, 0.9)
    darker = (rgb[0] * 0.78, rgb[1] * 0.86, rgb[2] * 0.84)
    material = Material(rgb, 0.06, 0.06, 0.05, darker, pattern=partial(_look_up, _canopy(stage)))
    stage.paint_region(outlines, material, "vegetation")
    stage.unlisted.add("tree")
    if edge is not None:
        for outline in outlines:
            for a, b in zip(outline, np.roll(outline, -1, axis=0), strict=True):
                steps = int(np.hypot(*(b - a)) / 5)
                for t in np.linspace(0, 1, steps, endpoint=False):
                    edge.plant(a + t * (b - a) + stage.rng.normal(0, 1.5, 2), stage.between(2.2, 4.5), 7)


def grass(stage: Stage, dryness: float = 0.0, rough: float = 1.0) -> Material:
    """Mix a grass: `dryness` from -2 (lush) to 2 (straw), `rough` scales its texture."""
    return Material(
        stage.jitter(stage.season.grass, 0.08),
        0.05 * rough,
        0.06 * rough,
        0.05 * rough,
        stage.jitter(stage.season.dry, 0.06),
        balance=dryness - 0.6,
    )


def soil(stage: Stage, rough: float = 1.0) -> Material:
    """Mix a bare soil."""
    rgb = stage.jitter(stage.season.soil, 0.08)
    other = stage.jitter((rgb[0] * 0.9, rgb[1] * 0.92, rgb[2] * 0.88), 0.05)
    return Material(rgb, 0.04 * rough, 0.05 * rough, 0.05 * rough, other)


def scatter_points(stage: Stage, outline: Points, spacing: float) -> Points:
    """Draw places inside a polygon, about `spacing` metres apart."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    x, y = (np.arange(a, b, spacing) for a, b in zip(low, high, strict=True))
    if not len(x) or not len(y):
        return np.zeros((0, 2))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    grid = grid + stage.rng.uniform(-0.5, 0.5, grid.shape) * spacing
    return grid[inside(outline, grid)]
