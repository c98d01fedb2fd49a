"""Boundaries of a mask, strip by strip: corners joined to closed rings, and to chains that the next strip continues.

Every boundary turns at each of its corners, so joining them needs no tracing: sorted along a row, corners pair to
horizontal edges; sorted along a column, to vertical ones. Foreground pixels that touch only at a corner stay apart.
Rings have the foreground on their right hand, with y downwards: outer rings run clockwise, holes the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Tracks:
    """Sequences of boundary corners, one after the other: closed rings, or chains with two open ends.

    Args:
        corners_xy: (n, 2) int64 pixel coordinates of all tracks.
        sizes: (k,) int64 corners of each.
        owner: (k,) int64 number of the region each belongs to.
    """

    corners_xy: IntArray
    sizes: IntArray
    owner: IntArray

    @staticmethod
    def empty() -> Tracks:
        """No tracks."""
        none = np.zeros(0, dtype=np.int64)
        return Tracks(np.zeros((0, 2), dtype=np.int64), none, none)

    @property
    def starts(self) -> IntArray:
        """(k,) index of each track's first corner."""
        return np.cumsum(self.sizes) - self.sizes

    @property
    def index(self) -> IntArray:
        """(n,) number of the track that each corner belongs to."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def take(self, chosen: IntArray | BoolArray) -> Tracks:
        """Some tracks, by number or by flag."""
        sizes = self.sizes[chosen]
        return Tracks(self.corners_xy[ranges(self.starts[chosen], sizes)], sizes, self.owner[chosen])

    def owned_by(self, owner: IntArray) -> Tracks:
        """The same tracks with other owners."""
        return replace(self, owner=owner)

    def join(self, other: Tracks) -> Tracks:
        """The tracks of both."""
        return Tracks(
            np.concatenate([self.corners_xy, other.corners_xy]),
            np.concatenate([self.sizes, other.sizes]),
            np.concatenate([self.owner, other.owner]),
        )


@dataclass(frozen=True)
class OpenChains:
    """Chains that end at the lower edge of what was seen.

    Args:
        tracks: their corners; each starts on a left edge (going up) and ends on a right edge (going down).
        start_x: (k,) column where each starts.
        end_x: (k,) column where each ends.
    """

    tracks: Tracks
    start_x: IntArray
    end_x: IntArray


@dataclass(frozen=True)
class StripBoundary:
    """What one strip adds.

    Args:
        chains: open at the strip's lower edge; their owner is their number.
        rings: closed in this strip; their owner counts on from the last chain.
        origin: (old chains,) owner of the track that each earlier chain became a part of.
        run_starts: (runs,) column where each horizontal run of foreground starts, from top to bottom.
        run_lengths: (runs,) pixels of each run.
        run_owner: (runs,) owner of the track at each run's left end.
        run_end_owner: (runs,) the same at its right end: both belong to the same region.
    """

    chains: OpenChains
    rings: Tracks
    origin: IntArray
    run_starts: IntArray
    run_lengths: IntArray
    run_owner: IntArray
    run_end_owner: IntArray


@dataclass(frozen=True)
class _Corners:
    """Corners in raster order; neighbours 2i and 2i + 1 are the left and right end of horizontal edge i."""

    x: IntArray
    y: IntArray
    goes_down: BoolArray
    is_top_edge: BoolArray  # (edges,) whether the foreground is below


def no_chains() -> OpenChains:
    """What is open above the first row."""
    none = np.zeros(0, dtype=np.int64)
    return OpenChains(Tracks.empty(), none, none)


def ranges(starts: IntArray, sizes: IntArray) -> IntArray:
    """Concatenate `arange(start, start + size)` of all pairs."""
    return np.repeat(starts - (np.cumsum(sizes) - sizes), sizes) + np.arange(int(sizes.sum()))


def trace_strip(above: BoolArray, mask: BoolArray, top: int, old: OpenChains) -> StripBoundary:
    """Trace the boundaries in one strip and join them to what was open above it.

    Args:
        above: (W,) bool, the row above the strip.
        mask: (h, W) bool, the strip.
        top: row of the strip in the scene.
        old: chains that were open at the strip's upper edge.
    """
    height, width = mask.shape
    pixels = np.zeros((height + 1, width + 2), dtype=np.bool_)
    pixels[0, 1:-1] = above
    pixels[1:, 1:-1] = mask
    sides = pixels[:, 1:] ^ pixels[:, :-1]  # (h + 1, W + 1) vertical unit edges at the left of each pixel
    corners = _find_corners(pixels, sides)
    num_edges, num_old = len(corners.is_top_edge), len(old.start_x)

    # Nodes: the corners, then the open ends above, then the ends that stay open below.
    above_x, below_x = np.flatnonzero(sides[0]), np.flatnonzero(sides[-1])
    node_x = np.concatenate([corners.x, above_x, below_x])
    node_y = np.concatenate([corners.y, np.full(len(above_x), -1), np.full(len(below_x), height)])
    goes_down = np.concatenate([corners.goes_down, np.ones(len(above_x), np.bool_), np.zeros(len(below_x), np.bool_)])
    column_key = node_x * (height + 2) + node_y + 1
    by_column = np.argsort(column_key * 2 + goes_down)
    upper, lower = by_column[0::2], by_column[1::2]
    partner = np.empty(len(node_x), dtype=np.int64)
    partner[upper], partner[lower] = lower, upper

    # Pieces: the horizontal edges, then the chains from above; each is entered at one node and left at another.
    left, right = np.arange(num_edges) * 2, np.arange(num_edges) * 2 + 1
    old_nodes = 2 * num_edges + np.searchsorted(above_x, np.concatenate([old.start_x, old.end_x]))
    entry = np.concatenate([np.where(corners.is_top_edge, left, right), old_nodes[:num_old]])
    leave = np.concatenate([np.where(corners.is_top_edge, right, left), old_nodes[num_old:]])
    piece_of = np.full(len(node_x), -1, dtype=np.int64)
    piece_of[entry] = piece_of[leave] = np.arange(len(entry))
    follower = piece_of[partner[leave]]
    heads = np.flatnonzero(piece_of[partner[entry]] < 0)
    order, sizes = _walk(follower.tolist(), heads.tolist())

    owner = np.empty(len(entry), dtype=np.int64)
    owner[order] = np.repeat(np.arange(len(sizes)), sizes)
    edges_xy = np.column_stack([node_x, node_y + top])[np.column_stack([entry, leave])[:num_edges].ravel()]
    pieces = Tracks(edges_xy, np.full(num_edges, 2), np.arange(num_edges)).join(old.tracks).take(order)
    lengths = np.add.reduceat(pieces.sizes, np.cumsum(sizes) - sizes) if len(sizes) else sizes
    tracks = Tracks(pieces.corners_xy, lengths, np.arange(len(sizes)))
    is_chain = np.arange(len(sizes)) < len(heads)
    last = order[np.cumsum(sizes) - 1][: len(heads)]
    chains = OpenChains(tracks.take(is_chain), node_x[entry[heads]], node_x[leave[last]])

    flat = np.flatnonzero(sides[1:])
    row, x = np.divmod(flat, width + 1)
    side = np.searchsorted(column_key[upper], x * (height + 2) + row + 1, side="right") - 1
    side_owner = owner[piece_of[upper[side]]]
    return StripBoundary(
        chains=chains,
        rings=tracks.take(~is_chain),
        origin=owner[num_edges:],
        run_starts=x[0::2],
        run_lengths=flat[1::2] - flat[0::2],
        run_owner=side_owner[0::2],
        run_end_owner=side_owner[1::2],
    )


def split_at_touches(rings: Tracks, width: int) -> Tracks:
    """Cut rings that touch themselves at a corner into simple ones, as valid polygons need.

    Args:
        rings: closed.
        width: of the scene, to number its corners.
    """
    if not len(rings.sizes):
        return rings
    keys = rings.corners_xy[:, 1] * (width + 1) + rings.corners_xy[:, 0]
    keys -= keys.min()
    num_keys = int(keys.max()) + 1
    places = np.sort(rings.index * num_keys + keys)
    touching = np.zeros(len(rings.sizes), dtype=np.bool_)
    touching[places[:-1][np.diff(places) == 0] // num_keys] = True
    if not touching.any():
        return rings
    starts = rings.starts
    corners: list[int] = []
    sizes: list[int] = []
    owner: list[int] = []
    for ring in np.flatnonzero(touching):
        first = int(starts[ring])
        for loop in _simple_loops(keys[first : first + rings.sizes[ring]].tolist()):
            corners.extend(first + place for place in loop)
            sizes.append(len(loop))
            owner.append(int(rings.owner[ring]))
    cut = Tracks(rings.corners_xy[corners], np.array(sizes), np.array(owner))
    return rings.take(~touching).join(cut)


def _simple_loops(keys: Sequence[int]) -> list[list[int]]:
    """Positions of the loops that a closed walk consists of, cut wherever it comes back to a point."""
    loops: list[list[int]] = []
    path: list[int] = []
    depth: dict[int, int] = {}
    for place, key in enumerate(keys):
        if key in depth:
            cut = depth[key]
            loops.append(path[cut:])
            for gone in path[cut:]:
                del depth[keys[gone]]
            del path[cut:]
        depth[key] = len(path)
        path.append(place)
    return [*loops, path]


def _find_corners(pixels: BoolArray, sides: BoolArray) -> _Corners:
    """Corners of the boundary between the padded rows of a strip, two where four pixels form a checkerboard."""
    columns = sides.shape[1]
    crossing = sides[1:] & sides[:-1] & (pixels[1:, 1:] ^ pixels[:-1, 1:])
    flat = np.flatnonzero((sides[1:] ^ sides[:-1]) | crossing)
    is_crossing = crossing.ravel()[flat]
    place = np.repeat(np.arange(len(flat)), 1 + is_crossing)
    y, x = np.divmod(flat, columns)
    y, x, is_crossing = y[place], x[place], is_crossing[place]
    # An edge along the row ends where the count of corners before is odd.
    ends_edge = np.arange(len(place)) % 2 == 1
    # Of two corners at a crossing, that of the upper left (or upper right) pixel goes up.
    upper_left = pixels[y, x]
    goes_up = np.where(is_crossing, ends_edge == upper_left, sides[y, x])
    is_top_edge = pixels[y[0::2] + 1, x[0::2] + 1]
    return _Corners(x, y, ~goes_up, is_top_edge)


def _walk(follower: Sequence[int], heads: Sequence[int]) -> tuple[IntArray, IntArray]:
    """Follow links: chains from their heads first, then cycles from their first piece.

    Args:
        follower: next piece of each, -1 at the end of a chain.
        heads: first pieces of the chains.

    Returns:
        Pieces in order of the walk, and how many each chain and cycle has.
    """
    order: list[int] = []
    ends = [0]
    seen = bytearray(len(follower))
    for piece in heads:
        while piece >= 0:
            seen[piece] = 1
            order.append(piece)
            piece = follower[piece]
        ends.append(len(order))
    start = seen.find(0)
    while start >= 0:
        piece = start
        while not seen[piece]:
            seen[piece] = 1
            order.append(piece)
            piece = follower[piece]
        ends.append(len(order))
        start = seen.find(0, start)
    edges = np.array(ends, dtype=np.int64)
    return np.array(order, dtype=np.int64), edges[1:] - edges[:-1]
