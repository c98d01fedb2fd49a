"""What lies under clicks and in boxes: asked of a model that takes them, else regions of what is known of the image."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rs2sam.serve.asking.found import Found, inside_of, is_too_large, kept_pieces, nothing_at, too_large
from rs2sam.serve.asking.regions import region_at, regions_in
from rs2sam.serve.problems import ProblemError
from rs2sam.vector.vectorize import pixel_regions
from rs2sam.views.encoded import EncodedImage

Point = tuple[float, float]
Box = tuple[float, float, float, float]

_RIM = 0.1
"""What a model finds in a box may reach beyond it by this share of its sides."""


def found_by_prompts(
    image: EncodedImage,
    points: Sequence[Point],
    boxes: Sequence[Box],
    probability: NDArray[np.float32] | None,
    threshold: float,
    is_given_up: threading.Event,
) -> list[Found]:
    """What lies under each click and in each box, in order.

    A model that takes points and boxes (`Segmenter.takes_prompts`) is asked for the object; for other models it is a
    region of the answer that is corrected, else one of like colour.

    Args:
        image: the image with its model.
        points: column and row [px].
        boxes: left, top, right, bottom [px].
        probability: (H, W) of the answer that is corrected, for models that take words alone; None: no answer.
        threshold: at which the answer is shown.
        is_given_up: set when nobody waits any longer.

    Raises:
        ProblemError: nobody waits any longer.
    """
    found = []
    for one in _each(image, points, boxes, probability, threshold):
        found.append(one)
        if is_given_up.is_set():
            raise ProblemError("timeout", "The clicks were given up.")
    return found


def _each(
    image: EncodedImage,
    points: Sequence[Point],
    boxes: Sequence[Box],
    probability: NDArray[np.float32] | None,
    threshold: float,
) -> Iterator[Found]:
    """As `found_by_prompts`, one after another."""
    if image.segmenter.takes_prompts:
        yield from (object_at(point, image) for point in points)
        yield from (object_in(box, image) for box in boxes)
    else:
        yield from (region_at(point, probability, image.scene, threshold) for point in points)
        yield from (regions_in(box, probability, image.scene) for box in boxes)


def object_at(point_xy: Point, image: EncodedImage) -> Found:
    """The object that a model sees under a click, which is bounded, see `found.MOST_SHARE`."""
    scene = image.scene
    why = nothing_at(point_xy, scene)
    if why is not None:
        return Found.nothing(why)
    seen = image.segment_prompt([point_xy])
    if not seen.mask[int(point_xy[1]), int(point_xy[0])]:
        return Found.nothing("The model sees no object here.")
    if is_too_large(seen.mask):
        return Found.nothing(too_large(seen.mask))
    return Found(kept_pieces(pixel_regions(seen.mask, seen.probability, scene.georeference)), "model")


def object_in(box_xyxy: Box, image: EncodedImage) -> Found:
    """The object that a model sees in a box; a little may lie outside of one that was drawn too tightly."""
    scene = image.scene
    box = inside_of(box_xyxy, scene.size_hw)
    if box is None:
        return Found.nothing("The box lies outside the image.")
    left, top, right, bottom = box
    seen = image.segment_prompt(box_xyxy=(left, top, right, bottom))
    across, down = _RIM * (right - left), _RIM * (bottom - top)
    rim = inside_of((left - across, top - down, right + across, bottom + down), scene.size_hw)
    assert rim is not None
    near = np.zeros(scene.size_hw, np.bool_)
    near[rim[1] : rim[3], rim[0] : rim[2]] = True
    pieces = kept_pieces(pixel_regions(seen.mask & near, seen.probability, scene.georeference))
    return Found(pieces, "model") if pieces else Found.nothing("The model sees no object in the box.")
