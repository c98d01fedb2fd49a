"""Regions of a mask that comes in strips from top to bottom: exact outlines, whole across strips, in bounded memory.

What is kept between strips is one row of pixels and the boundaries of the regions that touch it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

from rs2sam.errors import InvalidInputError
from rs2sam.raster.georeference import Georeference
from rs2sam.vector.boundary import BoolArray, IntArray, StripBoundary, Tracks, no_chains, split_at_touches, trace_strip

# Probabilities are added up as whole multiples of this, so that a sum does not depend on its order. From 0.5 on a
# float32 is such a multiple; below, it is off by at most half of it.
_PROBABILITY_STEPS = 2.0**24


@dataclass(frozen=True)
class PixelRegion:
    """One connected piece of a mask; pixels that touch only at a corner belong to different regions.

    Args:
        outline: valid polygon along pixel edges in pixel coordinates (x = column, y = row), holes included.
        num_pixels: pixels inside, the outline's area.
        mean_probability: mean foreground probability inside, in [0, 1].
        area_m2: area on the ellipsoid, or None where the CRS does not say.
        first_pixel: row * width + column of its first pixel in raster order: no two regions of a mask share it.
    """

    outline: Polygon
    num_pixels: int
    mean_probability: float
    area_m2: float | None
    first_pixel: int

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in pixels; right and bottom are outside."""
        left, top, right, bottom = self.outline.bounds
        return int(left), int(top), int(right), int(bottom)


class RegionCollector:
    """Collects the regions of a mask from its strips.

    Regions do not depend on where the strips are cut. An instance can be pickled between strips.

    Args:
        size_hw: of the whole mask.
        georeference: where the pixels lie, for areas; without it they are None.
    """

    def __init__(self, size_hw: tuple[int, int], georeference: Georeference | None = None) -> None:
        self._height, self._width = size_hw
        self._georeference = georeference
        self._next_row = 0
        self._above: BoolArray = np.zeros(self._width, dtype=np.bool_)
        self._chains = no_chains()
        # Closed rings of regions that are still open, and what was counted in these.
        self._rings = Tracks.empty()
        self._pixels: IntArray = np.zeros(0, dtype=np.int64)
        self._probability: IntArray = np.zeros(0, dtype=np.int64)

    @property
    def num_open(self) -> int:
        """Regions that touch the lower edge of what was added."""
        return len(self._pixels)

    def add(self, top: int, mask: BoolArray, probability: NDArray[np.float32]) -> list[PixelRegion]:
        """Add the next strip.

        Args:
            top: its first row; strips follow each other without gap or overlap.
            mask: (h, W) bool.
            probability: (h, W) float32 in [0, 1]; read only where the mask is set.

        Returns:
            Regions that end above or in this strip, by their first pixel.

        Raises:
            InvalidInputError: when the strip does not follow the last one or has another width.
        """
        if top != self._next_row or mask.ndim != 2 or mask.shape[1] != self._width or mask.shape != probability.shape:
            raise InvalidInputError(
                f"A strip must start at row {self._next_row} and have {self._width} columns of mask and probability, "
                f"but row {top} with {mask.shape} and {probability.shape} was given. Add strips from top to bottom."
            )
        if top + len(mask) > self._height:
            raise InvalidInputError(
                f"Strips must end at row {self._height}, but one from row {top} has {len(mask)} rows. "
                "Cut the last strip at the scene's end."
            )
        self._next_row += len(mask)
        rows = np.flatnonzero(mask.any(axis=1))
        if not len(mask) or (not self.num_open and not len(rows)):
            return []
        # Regions do not depend on where strips are cut: rows in which nothing is open and nothing begins are left out.
        first = 0 if self.num_open else int(rows[0])
        last = int(rows[-1]) if len(rows) else 0
        traced = slice(first, last + 2)  # one empty row closes what ends above it
        return self._advance(top + first, mask[traced], probability[traced])

    def finish(self) -> list[PixelRegion]:
        """Regions that touch the last row. The whole mask must have been added."""
        if self._next_row != self._height:
            raise InvalidInputError(
                f"All {self._height} rows of a mask must be added before it is finished, but the next one is "
                f"{self._next_row}."
            )
        empty = np.zeros((1, self._width), dtype=np.bool_)
        return self._advance(self._height, empty, empty.astype(np.float32))

    def _advance(self, top: int, mask: BoolArray, probability: NDArray[np.float32]) -> list[PixelRegion]:
        """Trace a strip, tell finished from open regions, and keep what the next strip needs."""
        strip = trace_strip(self._above, mask, top, self._chains)
        self._above = mask[-1].copy()
        num_chains, num_rings = len(strip.chains.start_x), len(strip.rings.sizes)
        num_tracks = num_chains + num_rings
        region, num_regions = self._join(strip, num_tracks)
        pixels = np.zeros(num_regions, dtype=np.int64)
        total = np.zeros(num_regions, dtype=np.int64)
        np.add.at(pixels, region[num_tracks:], self._pixels)
        np.add.at(total, region[num_tracks:], self._probability)
        if len(strip.run_starts):
            of_run = region[strip.run_owner]
            sums = _run_sums(probability[mask], strip.run_lengths)
            # Whole numbers below 2**53 (for strips of up to 2**29 pixels): exact in the float64 that bincount adds in.
            pixels += np.bincount(of_run, weights=strip.run_lengths, minlength=num_regions).astype(np.int64)
            total += np.bincount(of_run, weights=sums, minlength=num_regions).astype(np.int64)

        new = split_at_touches(strip.rings, self._width)
        rings = self._rings.owned_by(region[num_tracks + self._rings.owner]).join(new.owned_by(region[new.owner]))
        is_open = np.zeros(num_regions, dtype=np.bool_)
        is_open[region[:num_chains]] = True
        self._keep(strip, rings, region[:num_chains], is_open, pixels, total)
        return self._build(rings.take(~is_open[rings.owner]), pixels, total)

    def _join(self, strip: StripBoundary, num_tracks: int) -> tuple[IntArray, int]:
        """Number the regions that tracks (first) and regions open until now (after them) belong to."""
        across = strip.run_owner != strip.run_end_owner
        old = np.arange(len(self._pixels)) + num_tracks
        links = np.concatenate(
            [
                np.column_stack([strip.run_owner[across], strip.run_end_owner[across]]),
                np.column_stack([strip.origin, old[self._chains.tracks.owner]]),
            ]
        )
        return _components(num_tracks + len(old), links)

    def _keep(
        self,
        strip: StripBoundary,
        rings: Tracks,
        chain_region: IntArray,
        is_open: BoolArray,
        pixels: IntArray,
        total: IntArray,
    ) -> None:
        """Hold what belongs to open regions, numbered anew."""
        number = np.cumsum(is_open) - 1
        rings = rings.take(is_open[rings.owner])
        self._rings = rings.owned_by(number[rings.owner])
        self._chains = replace(strip.chains, tracks=strip.chains.tracks.owned_by(number[chain_region]))
        self._pixels, self._probability = pixels[is_open], total[is_open]

    def _build(self, rings: Tracks, pixels: IntArray, total: IntArray) -> list[PixelRegion]:
        """Regions of complete sets of rings, by their first pixel."""
        if not len(rings.sizes):
            return []
        outlines, owner, first = build_polygons(rings, self._width)
        areas = [None] * len(outlines) if self._georeference is None else self._georeference.areas_m2(outlines)
        means = total[owner] / (pixels[owner] * _PROBABILITY_STEPS)
        return [
            PixelRegion(*values)
            for values in zip(outlines, pixels[owner].tolist(), means.tolist(), areas, first.tolist(), strict=True)
        ]


def build_polygons(rings: Tracks, width: int) -> tuple[NDArray[np.object_], IntArray, IntArray]:
    """Polygons of rings with the same owner, in a form that does not depend on the order of rings or corners.

    Args:
        rings: simple; of those with the same owner one is the outer ring.
        width: of the scene.

    Returns:
        Polygons in pixel coordinates by their first pixel, the owner of each, and that first pixel: row * width +
        column.
    """
    x, y = rings.corners_xy.T
    starts, index = rings.starts, rings.index
    place = np.arange(len(x)) - starts[index]
    following = starts[index] + (place + 1) % rings.sizes[index]
    area = np.add.reduceat(x * y[following] - x[following] * y, starts)
    keys = y * (width + 1) + x
    least = np.minimum.reduceat(keys, starts)
    # Begin each ring at its first corner in raster order; a simple ring has it once.
    begin = np.flatnonzero(keys == least[index]) - starts
    is_outer = area > 0
    outer_key = np.empty(int(rings.owner.max()) + 1, dtype=np.int64)
    outer_key[rings.owner[is_outer]] = least[is_outer]
    order = np.lexsort((least, ~is_outer, outer_key[rings.owner]))
    sizes = rings.sizes[order]
    number = np.repeat(np.arange(len(order)), sizes)
    within = np.arange(len(x)) - (np.cumsum(sizes) - sizes)[number]
    turned = starts[order][number] + (within + begin[order][number]) % sizes[number]
    lines = shapely.linearrings(rings.corners_xy[turned].astype(np.float64), indices=number)
    polygons: NDArray[np.object_] = shapely.polygons(lines, indices=np.cumsum(is_outer[order]) - 1)
    owner = rings.owner[order][is_outer[order]]
    row, column = np.divmod(outer_key[owner], width + 1)
    return polygons, owner, row * width + column


def _run_sums(values: NDArray[np.float32], lengths: IntArray) -> NDArray[np.float64]:
    """Sums of the probabilities of runs of foreground pixels, in whole steps."""
    steps = np.rint(values * np.float64(_PROBABILITY_STEPS))
    sums: NDArray[np.float64] = np.add.reduceat(steps, np.cumsum(lengths) - lengths)
    return sums


def _components(num_nodes: int, links: IntArray) -> tuple[IntArray, int]:
    """Number the connected components of a graph.

    Args:
        num_nodes: nodes are numbered from 0.
        links: (n, 2) pairs of nodes, repeats allowed.

    Returns:
        The component of each node, and how many there are.
    """
    parent = list(range(num_nodes))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    # As single numbers they sort much faster than as rows.
    for pair in np.unique(links[:, 0] * num_nodes + links[:, 1]).tolist():
        a, b = divmod(pair, num_nodes)
        parent[root(a)] = root(b)
    roots, component = np.unique([root(node) for node in range(num_nodes)], return_inverse=True)
    return component.reshape(-1).astype(np.int64), len(roots)
