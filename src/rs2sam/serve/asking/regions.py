"""What lies under a click or in a box, for models that take words alone: regions of the answer, else of like colour."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from rs2sam.raster.scene import Scene
from rs2sam.serve.asking.found import Found, inside_of, is_too_large, kept_pieces, nothing_at, too_large
from rs2sam.vector.vectorize import pixel_regions

LEAST_BELIEF = 0.25
"""Below this probability the model says nothing of a place: it is not half believed."""

LEAST_PIXELS = 4
"""Fewer of them stand out nowhere."""

_SHARES = (0.5, 0.7, 0.85)
"""A region reaches down to the first of these shares of the probability where it was clicked at which it is bounded."""

_LIKE = 28.0
"""Distance in RGB up to which a colour is alike [of 255]."""

_BOX_SHARE = 0.3
"""A box's middle: this share of its sides."""


def region_at(
    point_xy: tuple[float, float], probability: NDArray[np.float32] | None, scene: Scene, threshold: float
) -> Found:
    """What lies under a click: one region that holds the pixel and is bounded, see `found.MOST_SHARE`.

    Args:
        point_xy: column and row [px].
        probability: (H, W) of the answer that is corrected; None: colour alone.
        scene: the image.
        threshold: at which the answer is shown.
    """
    why = nothing_at(point_xy, scene)
    if why is not None:
        return Found.nothing(why)
    col, row = int(point_xy[0]), int(point_xy[1])
    if probability is not None and probability[row, col] >= LEAST_BELIEF:
        for level in _levels(float(probability[row, col]), threshold):
            piece = piece_at((probability > level) & scene.valid, (col, row))
            if _stands_out(piece) and not is_too_large(piece):
                return Found(pixel_regions(piece, probability, scene.georeference), "probability")
    alike = _alike(scene, scene.rgb[max(0, row - 1) : row + 2, max(0, col - 1) : col + 2].reshape(-1, 3))
    alike[row, col] = True
    piece = piece_at(alike, (col, row))
    if not _stands_out(piece):
        return Found.nothing("Nothing stands out here.")
    if is_too_large(piece):
        return Found.nothing(too_large(piece))
    known = _zeros(scene) if probability is None else probability
    return Found(pixel_regions(piece, known, scene.georeference), "colour")


def regions_in(
    box_xyxy: tuple[float, float, float, float], probability: NDArray[np.float32] | None, scene: Scene
) -> Found:
    """What fills a box: the pixels in it that the model half believes in, else those coloured as its middle is.

    Args:
        box_xyxy: left, top, right, bottom [px].
        probability: as for `region_at`.
        scene: the image.
    """
    box = inside_of(box_xyxy, scene.size_hw)
    if box is None:
        return Found.nothing("The box lies outside the image.")
    left, top, right, bottom = box
    inside = slice(top, bottom), slice(left, right)
    mask = np.zeros(scene.size_hw, np.bool_)
    is_believed = probability is not None and float(probability[inside].max()) >= LEAST_BELIEF
    if probability is not None and is_believed:
        mask[inside] = (probability[inside] > _SHARES[0] * probability[inside].max()) & scene.valid[inside]
    else:
        down, across = ((1 - _BOX_SHARE) / 2 * side for side in (bottom - top, right - left))
        middle = scene.rgb[
            int(top + down) : max(int(bottom - down), int(top + down) + 1),
            int(left + across) : max(int(right - across), int(left + across) + 1),
        ]
        mask[inside] = _alike(scene, middle.reshape(-1, 3))[inside]
    regions = pixel_regions(mask, _zeros(scene) if probability is None else probability, scene.georeference)
    if not regions or regions[0].num_pixels < LEAST_PIXELS:
        return Found.nothing("Nothing stands out in the box.")
    return Found(kept_pieces(regions), "probability" if is_believed else "colour")


def piece_at(mask: NDArray[np.bool_], pixel: tuple[int, int]) -> NDArray[np.bool_]:
    """The connected piece of a mask that holds a pixel; pixels that touch only at a corner are not connected.

    Args:
        mask: (H, W) bool.
        pixel: column and row.

    Returns:
        (H, W) bool, all False where the pixel is not of the mask.
    """
    height, width = mask.shape
    wide = width + 1  # a column that is False ends the runs of every row
    framed = np.zeros((height, wide), np.int8)
    framed[:, :width] = mask
    steps = np.diff(framed.ravel(), prepend=np.int8(0))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    # Runs of the row above and of the row below that touch run r are those from first[r] to last[r].
    above = np.searchsorted(ends, starts - wide, "right"), np.searchsorted(starts, ends - wide)
    below = np.searchsorted(ends, starts + wide, "right"), np.searchsorted(starts, ends + wide)
    place = pixel[1] * wide + pixel[0]
    run = int(np.searchsorted(starts, place, "right")) - 1
    taken = np.zeros(len(starts), np.bool_)
    waiting = [run] if run >= 0 and place < ends[run] else []
    taken[waiting] = True
    while waiting:
        run = waiting.pop()
        for first, last in (above, below):
            for other in range(first[run], last[run]):
                if not taken[other]:
                    taken[other] = True
                    waiting.append(other)
    edges = np.zeros(height * wide, np.int8)
    edges[starts[taken]], edges[ends[taken]] = 1, -1
    piece: NDArray[np.bool_] = np.cumsum(edges, dtype=np.int8).reshape(height, wide)[:, :width] != 0
    return piece


def _levels(belief: float, threshold: float) -> Iterator[float]:
    """Probabilities that a region may reach down to, the lowest first; it is no smaller than the layer shows it."""
    for share in _SHARES:
        yield min(threshold, share * belief)


def _stands_out(piece: NDArray[np.bool_]) -> bool:
    """Whether a piece is more than a speck."""
    return int(piece.sum()) >= LEAST_PIXELS


def _alike(scene: Scene, colours: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W) valid pixels whose colour, a little blurred, is near the median of some."""
    blurred = np.asarray(Image.fromarray(scene.rgb).filter(ImageFilter.BoxBlur(1)), dtype=np.float32)
    wanted = np.median(colours.astype(np.float32), axis=0)
    near: NDArray[np.bool_] = (np.linalg.norm(blurred - wanted, axis=2) <= _LIKE) & scene.valid
    return near


def _zeros(scene: Scene) -> NDArray[np.float32]:
    """Nothing is known."""
    return np.zeros(scene.size_hw, np.float32)
