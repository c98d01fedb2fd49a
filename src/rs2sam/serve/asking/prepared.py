"""An image that was read and prepared once, and what is asked about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from rs2sam.pictures import Picture
from rs2sam.raster.scene import Scene
from rs2sam.segmenter import Segmentation, Segmenter
from rs2sam.views.asking import Shown
from rs2sam.views.encoded import EncodedImage
from rs2sam.views.in_memory import drop_small
from rs2sam.views.options import MinArea, Scope
from rs2sam.views.segmentation import thumbnail_of


@dataclass(frozen=True)
class Question:
    """What is asked about an image.

    Args:
        sentences: referring expressions.
        threshold: a pixel is found where its probability is above this.
        min_presence: presence below which an answer is empty; None: the model's own.
        min_area: smaller regions are left out.
        scope: who decides words that compare.
        tile: side of a tile [px]; None: the model's own.
        overlap: of tiles [px]; None: a quarter.
    """

    sentences: tuple[str, ...]
    threshold: float = 0.5
    min_presence: float | None = None
    min_area: MinArea = field(default_factory=lambda: MinArea(0))
    scope: Scope = "scene"
    tile: int | None = None
    overlap: int | None = None


class PreparedImage:
    """A scene in memory with what the model needs of it.

    Args:
        scene: the image.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.shown = Shown(scene, Picture(scene.rgb), thumbnail_of(scene.rgb))

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        made = {name: value for name, value in vars(self.shown.picture).items() if name != "rgb"}
        return self.scene.rgb.nbytes + self.scene.valid.nbytes + _num_bytes(made)

    def encoded(self, segmenter: Segmenter) -> EncodedImage:
        """The image as a segmenter is asked about it."""
        return EncodedImage(self.scene, self.shown.picture, self.shown.thumbnail, segmenter)

    def answer(self, segmenter: Segmenter, question: Question) -> list[Segmentation]:
        """What each sentence finds, in order."""
        found = self.encoded(segmenter).segment_many(
            question.sentences,
            tile=question.tile,
            overlap=question.overlap,
            threshold=question.threshold,
            min_presence=question.min_presence,
            scope=question.scope,
        )
        return [_without_small(one, question.min_area) for one in found]


def _without_small(found: Segmentation, least: MinArea) -> Segmentation:
    """An answer without the regions that are smaller than asked for."""
    if not least.value or found.georeference is None:
        return found
    return replace(found, mask=drop_small(found.mask, least, found.georeference))


def _num_bytes(value: Any) -> int:
    """Bytes of the arrays in a value."""
    if hasattr(value, "nbytes"):  # an array, or a tensor, which has a `__dict__` with nothing in it
        return int(value.nbytes)
    if isinstance(value, Picture):
        return sum(map(_num_bytes, vars(value).values()))
    if isinstance(value, (list, tuple)):
        return sum(map(_num_bytes, value))
    if isinstance(value, dict):
        return sum(map(_num_bytes, value.values()))
    return sum(map(_num_bytes, vars(value).values())) if hasattr(value, "__dict__") else 0
