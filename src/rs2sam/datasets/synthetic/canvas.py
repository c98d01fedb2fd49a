"""The surface that scenes are drawn on: colour, shadow and exact labels together.

Outlines come in metres, the origin in the middle of the image. Each is drawn in its own small window, four (or two)
times enlarged, and reduced to a coverage in [0, 1]: colours blend by it, labels are what is covered by half or more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from rs2sam.datasets.synthetic.geometry import Point, Points, sweep
from rs2sam.datasets.synthetic.noise import SLACK, NoiseBank

RGB = tuple[float, float, float]
Window = tuple[slice, slice]
Coverage = NDArray[np.float32]
"""(h, w) float32 in [0, 1], the share of each pixel of a window that is covered."""

SHADOW_RGB: RGB = (0.40, 0.44, 0.52)
"""What is left of the light in a full shadow; the sky still sends blue."""


SPARSE_FROM = 4096
"""Windows of more pixels are painted pixel by pixel where little of them is covered (roads, shores, lines)."""


@dataclass(frozen=True)
class Material:
    """Colour and texture of a surface.

    Args:
        rgb: mean colour, 0 to 255.
        fine: relative strength of the grain of a pixel or two.
        medium: relative strength of features of about 2 m.
        coarse: relative strength of features of about 12 m.
        other: second colour, mixed in where the patch field is high; None for a single colour.
        balance: from -2 (nearly all `rgb`) to 2 (nearly all `other`).
        crisp: how sharp the border between the two colours is.
        pattern: function of pixel columns and rows (float32, of one shape) that returns a factor of that shape.
    """

    rgb: RGB
    fine: float = 0.03
    medium: float = 0.03
    coarse: float = 0.03
    other: RGB | None = None
    balance: float = 0.0
    crisp: float = 0.5
    pattern: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]] | None = None

    def lit(self, factor: float) -> Material:
        """Return the same material under `factor` times the light."""
        r, g, b = self.rgb
        rgb = (r * factor, g * factor, b * factor)
        # Written out: `dataclasses.replace` costs more than painting a small roof.
        return Material(rgb, self.fine, self.medium, self.coarse, self.other, self.balance, self.crisp, self.pattern)


@dataclass(frozen=True)
class Label:
    """What a painted surface is.

    Args:
        instance: number of the instance, 0 for none.
        region: code of the region, None to leave it as it is.
        top: whether the instance stands on others (vehicle, tree) and leaves their labels alone.
    """

    instance: int = 0
    region: int | None = None
    top: bool = False


class Canvas:
    """An image being drawn.

    Args:
        rng: source of every random number.
        size_hw: height and width in pixels.
        gsd_m: ground sampling distance [m/px].
        turn: angle between the x axis of the drawing and the image's rows [rad].
        sun_xy: shadow of an object of 1 m, in metres along the image's columns and rows.
    """

    def __init__(
        self, rng: np.random.Generator, size_hw: tuple[int, int], gsd_m: float, turn: float, sun_xy: tuple[float, float]
    ) -> None:
        self.size_hw, self.gsd_m, self.turn = size_hw, gsd_m, turn
        self.rgb: NDArray[np.float32] = np.zeros((*size_hw, 3), dtype=np.float32)
        self.shadow: NDArray[np.float32] = np.zeros(size_hw, dtype=np.float32)
        self.ground_ids: NDArray[np.int32] = np.zeros(size_hw, dtype=np.int32)
        self.top_ids: NDArray[np.int32] = np.zeros(size_hw, dtype=np.int32)
        self.regions: NDArray[np.uint8] = np.zeros(size_hw, dtype=np.uint8)
        self.noise = NoiseBank.draw(rng, size_hw, gsd_m)
        c, s = float(np.cos(turn)), float(np.sin(turn))
        self._to_pixels = np.array([[c, s], [-s, c]]) / gsd_m
        self._matrix: list[list[float]] = self._to_pixels.tolist()
        self._middle = np.array([size_hw[1] / 2, size_hw[0] / 2])
        # Back from image axes to drawing axes, so that shadows keep their direction when the drawing is turned.
        self.sun: NDArray[np.float64] = self._to_pixels @ np.array(sun_xy) * gsd_m
        self._uses = 0

    @property
    def toward_sun(self) -> tuple[float, float]:
        """Direction to the sun along the image's columns and rows, a unit vector."""
        x, y = (self.pixels(self.sun[None])[0] - self._middle).tolist()
        length = max(math.hypot(x, y), 1e-9)
        return -x / length, -y / length

    @property
    def reach_m(self) -> float:
        """Radius [m] of the circle around the origin that holds the whole image."""
        return float(np.hypot(*self.size_hw)) / 2 * self.gsd_m

    def pixels(self, outline: Points) -> Points:
        """Convert metres to pixel columns and rows."""
        converted: Points = outline @ self._to_pixels + self._middle
        return converted

    def sees(self, center: Point, radius: float) -> bool:
        """Tell whether a disc may touch the image."""
        (a, b), (c, d) = self._matrix
        u, v = float(center[0]), float(center[1])
        x, y = u * a + v * c + self.size_hw[1] / 2, u * b + v * d + self.size_hw[0] / 2
        r, (h, w) = radius / self.gsd_m + 1, self.size_hw
        return bool(-r < x < w + r and -r < y < h + r)

    def coverage(self, outlines: Sequence[Points]) -> tuple[Window, Coverage] | None:
        """Draw the union of polygons: its window and the coverage there, or None where nothing is in the image."""
        drawn = self._draw(outlines, [255] * len(outlines))
        return None if drawn is None else (drawn[0], drawn[1] * np.float32(1 / 255))

    def _draw(self, outlines: Sequence[Points], values: Sequence[int]) -> tuple[Window, NDArray[np.float32]] | None:
        """Draw polygons one over the other with values up to 255, reduced to the image's resolution."""
        every = self.pixels(np.concatenate(outlines) if len(outlines) > 1 else outlines[0])
        h, w = self.size_hw
        (left, top), (right, bottom) = every.min(axis=0).tolist(), every.max(axis=0).tolist()
        x0, y0 = max(math.floor(left), 0), max(math.floor(top), 0)
        x1, y1 = min(math.ceil(right) + 1, w), min(math.ceil(bottom) + 1, h)
        if x1 <= x0 or y1 <= y0:
            return None
        fold = 4 if (x1 - x0) * (y1 - y0) < 6400 else 2
        every -= (x0, y0)
        every *= fold
        every -= 0.5
        image = Image.new("L", ((x1 - x0) * fold, (y1 - y0) * fold))
        draw, flat, start = ImageDraw.Draw(image), every.ravel().tolist(), 0
        for outline, value in zip(outlines, values, strict=True):
            stop = start + 2 * len(outline)
            draw.polygon(flat[start:stop], fill=value)
            start = stop
        return (slice(y0, y1), slice(x0, x1)), np.asarray(image.reduce(fold), dtype=np.float32)

    def texture(
        self, window: Window, material: Material, where: tuple[NDArray[np.intp], ...] | None = None
    ) -> NDArray[np.float32]:
        """Make a material's colours for a window, or for some of its pixels: (h, w, 3) or (n, 3) float32."""
        rows, columns = window
        self._uses += 1
        dy, dx = (self._uses * 37) % SLACK, (self._uses * 53) % SLACK
        there: Any = (slice(rows.start + dy, rows.stop + dy), slice(columns.start + dx, columns.stop + dx))
        if where is not None:
            there = (where[0] + (rows.start + dy), where[1] + (columns.start + dx))
        shade: NDArray[np.float32] = material.fine * self.noise.fine[there]
        coarse: NDArray[np.float32] = self.noise.coarse[there]
        if material.medium:
            shade += material.medium * self.noise.medium[there]
        shade += material.coarse * coarse
        shade += 1
        if material.pattern is not None:
            y, x = np.mgrid[rows, columns].astype(np.float32)
            shade *= material.pattern(x, y) if where is None else material.pattern(x[where], y[where])
        if material.other is None:
            colours: NDArray[np.float32] = shade[..., None] * np.array(material.rgb, dtype=np.float32)
            return colours
        mix = self.noise.patch[there] + 0.35 * coarse
        mix += material.balance
        mix *= material.crisp
        mix += 0.5
        np.clip(mix, 0, 1, out=mix)
        first, second = (np.array(c, dtype=np.float32) for c in (material.rgb, material.other))
        colours = mix[..., None] * (second - first)
        colours += first
        colours *= shade[..., None]
        return colours

    def fill(self, material: Material, label: Label | None = None) -> None:
        """Paint the whole image."""
        window = (slice(0, self.size_hw[0]), slice(0, self.size_hw[1]))
        self.rgb[:] = self.texture(window, material)
        if label is not None:
            self.mark(window, np.ones(self.size_hw, dtype=bool), label)

    def paint(self, outlines: Sequence[Points], material: Material, label: Label | None = None) -> Window | None:
        """Paint the union of polygons; without a label, what is labelled there stays as it is."""
        if not outlines:
            return None
        hit = self.coverage(outlines)
        if hit is None:
            return None
        window, covered = hit
        if covered.size > SPARSE_FROM and np.count_nonzero(covered) < 0.4 * covered.size:
            where = np.nonzero(covered)
            share, view = covered[where], self.rgb[window]
            mixed = view[where]
            mixed += share[:, None] * (self.texture(window, material, where) - mixed)
            view[where] = mixed
            self.shadow[window][where] *= 1 - share
        else:
            self.blend(window, covered, self.texture(window, material))
        if label is not None:
            self.mark(window, covered >= 0.5, label)
        return window

    def paint_relief(
        self, parts: Sequence[tuple[Points, float]], material: Material, label: Label | None = None
    ) -> Window | None:
        """Paint polygons of one material under different light, one over the other: the planes of a roof, a car.

        Args:
            parts: polygons, each with a factor on the brightness from 0.02 to 2.5.
            material: what all of them are made of.
            label: see `paint`.
        """
        outlines = [outline for outline, _ in parts]
        hit = self.coverage(outlines)
        lights = self._draw(outlines, [int(min(max(light, 0.02), 2.5) * 100) for _, light in parts])
        if hit is None or lights is None:
            return None
        window, covered = hit
        light = lights[1] * np.float32(0.01) / np.maximum(covered, np.float32(1e-3))
        colours = self.texture(window, material)
        colours *= light[..., None]
        self.blend(window, covered, colours)
        if label is not None:
            self.mark(window, covered >= 0.5, label)
        return window

    def blend(self, window: Window, covered: Coverage, colours: NDArray[np.float32]) -> None:
        """Lay colours over a window; what is laid on top lies in the light again."""
        view = self.rgb[window]
        view += covered[..., None] * (colours - view)
        self.shadow[window] *= 1 - covered

    def shade(self, outlines: Sequence[Points], strength: float = 1.0) -> None:
        """Darken the union of polygons as a cast shadow; where shadows overlap the light is taken away once."""
        hit = self.coverage(outlines) if outlines else None
        if hit is not None:
            self.shade_covered(hit[0], hit[1] * np.float32(strength))

    def shade_covered(self, window: Window, covered: Coverage) -> None:
        """Darken a window by a shadow of given coverage."""
        lost = np.array([1 - c for c in SHADOW_RGB], dtype=np.float32)
        already, view = self.shadow[window], self.rgb[window]
        where: Any = ...
        if covered.size > SPARSE_FROM and np.count_nonzero(covered) < 0.4 * covered.size:
            where = np.nonzero(covered)
        before, now = already[where], covered[where]
        added = np.maximum(now - before, 0) / np.maximum(1 - before * np.float32(0.55), np.float32(0.2))
        view[where] *= 1 - added[..., None] * lost
        already[where] = np.maximum(before, now)

    def cast(self, outlines: Sequence[Points], height: float, strength: float = 1.0) -> None:
        """Draw the shadow of upright prisms of `height` metres on the given outlines."""
        self.shade([p for o in outlines for p in sweep(o, self.sun * height)], strength)

    def mark(self, window: Window, where: NDArray[np.bool_], label: Label) -> None:
        """Write a label where a mask of the window is True."""
        if label.region is not None:
            self.regions[window][where] = label.region
        if label.top:
            self.top_ids[window][where] = label.instance
        else:
            self.ground_ids[window][where] = label.instance
            self.top_ids[window][where] = 0
