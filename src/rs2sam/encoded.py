"""An image that was read once, to be asked any number of sentences.

encoded = Segmenter.load("compact").encode("scene.tif")
tanks, water = encoded.segment_many(["the storage tanks", "the water"])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from rs2sam.imaging import ImageSource
from rs2sam.pictures import Picture

if TYPE_CHECKING:
    from rs2sam.raster.scene import Scene
    from rs2sam.segmenter import Segmentation, Segmenter
    from rs2sam.views.options import Scope

Read: TypeAlias = "tuple[Scene, Picture, str]"
"""A scene, its pixels as a picture, and a sentence about it."""


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """What `Segmenter.encode` returns: answers are those of `Segmenter.segment` about the same image.

    A model that encodes a picture once has done so where it sees the image whole; each sentence then costs a fraction.
    An image that is cut into tiles has each of them encoded once for all sentences of a call, and models that read
    picture and sentence together do the same work as ever.

    Args:
        segmenter: the model.
        scene: the image.
        picture: its pixels, with what the model made of them.
    """

    segmenter: Segmenter
    scene: Scene
    picture: Picture

    def segment(
        self,
        sentence: str,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        min_presence: float | None = None,
        scope: Scope = "scene",
    ) -> Segmentation:
        """Find what a sentence names in the image; see `Segmenter.segment`."""
        return self.segment_many([sentence], tile=tile, overlap=overlap, min_presence=min_presence, scope=scope)[0]

    def segment_many(
        self,
        sentences: Iterable[str],
        batch_size: int | None = None,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        min_presence: float | None = None,
        scope: Scope = "scene",
    ) -> list[Segmentation]:
        """Find what each sentence names in the image; results are those of `segment`, in order.

        Args:
            sentences: referring expressions.
            batch_size: sentences that the model answers at once; None: `Segmenter.batch_size`.
            tile: as for `Segmenter.segment`.
            overlap: as for `Segmenter.segment`.
            min_presence: as for `Segmenter.segment`.
            scope: as for `Segmenter.segment`.
        """
        return self.segmenter.segment_many(
            ((self, sentence) for sentence in sentences),
            batch_size,
            tile=tile,
            overlap=overlap,
            min_presence=min_presence,
            scope=scope,
        )


def read_scenes(pairs: Iterable[tuple[ImageSource | EncodedImage, str]]) -> Iterator[Read]:
    """Scenes with their sentences; an image given several times in a row is read once."""
    from rs2sam.raster.read import scene_of

    last: object = object()  # held, so that no other object can take its place in memory
    for image, sentence in pairs:
        are_paths = isinstance(image, (str, Path)) and isinstance(last, (str, Path))
        if isinstance(image, EncodedImage):
            scene, picture, last = image.scene, image.picture, image
        elif not (image is last or (are_paths and str(image) == str(last))):
            scene, last = scene_of(image), image
            picture = Picture(scene.rgb)
        yield scene, picture, sentence


def in_batches(read: Iterable[Read], batch_size: int, is_tiled: Callable[[Scene], bool]) -> Iterator[list[Read]]:
    """As many as are answered at once, and all that is asked about the last scene of them where that is cut into tiles.

    Whole pictures need no such care: what the model made of one stays with it from batch to batch.
    """
    batch: list[Read] = []
    for one in read:
        is_full = len(batch) >= batch_size
        if is_full and not (one[0] is batch[-1][0] and is_tiled(one[0])):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch
