"""An image that was read once, to be asked any number of sentences.

encoded = Segmenter.load("compact").encode("scene.tif")
tanks, water = encoded.segment_many(["the storage tanks", "the water"])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from rs2sam.errors import InvalidInputError, words_of
from rs2sam.fields import a_text, texts
from rs2sam.raster.tiling import Window
from rs2sam.views.asking import Shown, placed
from rs2sam.views.options import SceneOptions
from rs2sam.views.segmentation import Segmentation

if TYPE_CHECKING:
    from rs2sam.segmenter import Segmenter
    from rs2sam.views.options import Scope

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True, eq=False)
class EncodedImage(Shown):
    """What `Segmenter.encode` returns: answers are those of `Segmenter.segment` about the same image.

    A model that encodes a picture once has done so where it sees the image whole; each sentence then costs a fraction.
    An image that is cut into tiles has each of them encoded once for all sentences of a call, and models that read
    picture and sentence together do the same work as ever.

    Args:
        scene: the image.
        picture: its pixels, with what the model made of them.
        thumbnail: (h, w, 3) uint8, see `Segmentation`.
        segmenter: the model.
    """

    segmenter: Segmenter

    def segment(
        self,
        sentence: str,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        threshold: float = 0.5,
        min_presence: float | None = None,
        scope: Scope = "scene",
        gsd: float | None = None,
    ) -> Segmentation:
        """Find what a sentence names in the image; see `Segmenter.segment`."""
        return self.segment_many(
            [a_text("sentence", sentence)],
            tile=tile,
            overlap=overlap,
            threshold=threshold,
            min_presence=min_presence,
            scope=scope,
            gsd=gsd,
        )[0]

    def segment_many(
        self,
        sentences: Iterable[str],
        batch_size: int | None = None,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        threshold: float = 0.5,
        min_presence: float | None = None,
        scope: Scope = "scene",
        gsd: float | None = None,
    ) -> list[Segmentation]:
        """Find what each sentence names in the image; results are those of `segment`, in order.

        Args:
            sentences: referring expressions.
            batch_size: sentences that the model answers at once; None: `Segmenter.batch_size`.
            tile: as for `Segmenter.segment`, and so are the others.
            overlap: see `tile`.
            threshold: see `tile`.
            min_presence: see `tile`.
            scope: see `tile`.
            gsd: see `tile`.
        """
        return self.segmenter.segment_many(
            [(self, sentence) for sentence in texts("sentences", sentences)],
            batch_size,
            tile=tile,
            overlap=overlap,
            threshold=threshold,
            min_presence=min_presence,
            scope=scope,
            gsd=gsd,
        )

    def segment_prompt(
        self,
        points_xy: Sequence[tuple[float, float]] = (),
        labels: Sequence[int] | None = None,
        box_xyxy: tuple[float, float, float, float] | None = None,
    ) -> Segmentation:
        """Find what lies at points or in a box, with a model that has a head for them (`sam3`).

        An image that the model sees whole is not encoded again. Of a larger one the part around the prompt is, and
        the last few parts are kept: what is asked nearby is answered from the same one.

        Args:
            points_xy: in pixels of the image.
            labels: 1 for a point of the object, 0 for one outside it, one a point; None: 1 for each.
            box_xyxy: left, top, right, bottom around the object in pixels of the image; None: points alone.

        Returns:
            One object; `score` is the model's own estimate of its IoU.

        Raises:
            InvalidInputError: the model takes no points or boxes, none is given, or they lie outside the image.
        """
        size_hw = self.scene.size_hw
        points, marks, box = checked_prompt(points_xy, labels, box_xyxy, size_hw)
        if self.is_one_view(SceneOptions(), self.segmenter.image_size):
            return placed(self.segmenter.segment_prompt(self.picture, points, marks, box), self, SceneOptions())
        window = _around(points, box, size_hw, self.segmenter.image_size)
        part = self.picture.part(*window.slices)
        moved = [(x - window.col, y - window.row) for x, y in points]
        if box is not None:
            box = box[0] - window.col, box[1] - window.row, box[2] - window.col, box[3] - window.row
        found = self.segmenter.segment_prompt(part, moved, marks, box)
        mask, probability = np.zeros(size_hw, dtype=np.bool_), np.zeros(size_hw, dtype=np.float32)
        mask[window.slices], probability[window.slices] = found.mask, found.probability
        return placed(replace(found, mask=mask, probability=probability), self, SceneOptions())


def checked_prompt(
    points_xy: Sequence[tuple[float, float]],
    labels: Sequence[int] | None,
    box_xyxy: tuple[float, float, float, float] | None,
    size_hw: tuple[int, ...],
) -> tuple[list[tuple[float, float]], list[int], Box | None]:
    """A prompt, with a label for each point.

    Raises:
        InvalidInputError: it is empty, lies outside the image, or has labels that do not fit.
    """
    height, width = size_hw[:2]
    try:
        points = [(float(x), float(y)) for x, y in points_xy]
        marks = [1] * len(points) if labels is None else [int(label) for label in labels]
        box = None if box_xyxy is None else tuple(float(side) for side in box_xyxy)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"A prompt is points (x, y) and a box (left, top, right, bottom) in pixels, but it is none "
            f"({words_of(error)})."
        ) from error
    if not (points or box) or len(marks) != len(points) or not set(marks) <= {0, 1}:
        raise InvalidInputError(
            f"A prompt is points with a label 0 or 1 each, or a box; received {len(points)} points, labels {marks} and "
            f"{'a' if box else 'no'} box."
        )
    inside = all(0 <= x <= width and 0 <= y <= height for x, y in points)
    if box is not None:
        inside &= len(box) == 4 and 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height
    if not inside:
        raise InvalidInputError(
            f"Points and boxes lie in the image, {width} x {height} px, received points {points} and box {box}."
        )
    return points, marks, None if box is None else (box[0], box[1], box[2], box[3])


def _around(points: Sequence[tuple[float, float]], box: Box | None, size_hw: tuple[int, int], side: int) -> Window:
    """A view of the model's own side around a prompt, larger where that does not hold it.

    Its middle lies on a grid, so that prompts near each other have the same one; it holds an eighth of its side beside
    a prompt, where the image goes on.
    """
    corners = np.array([*points, *([] if box is None else [box[:2], box[2:]])])
    least, most = corners.min(axis=0), corners.max(axis=0)
    extent = float((most - least).max())
    side = max(side, int(np.ceil(1.5 * extent)))
    step = side / 2 if extent <= side / 4 else side / 12
    middle = ((least + most) / 2 / step).round() * step
    left, top = (middle - side / 2).round().astype(int).tolist()
    height, width = min(side, size_hw[0]), min(side, size_hw[1])
    return Window(min(max(top, 0), size_hw[0] - height), min(max(left, 0), size_hw[1] - width), height, width)
