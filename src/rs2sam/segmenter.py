"""Array and sentence to `Segmentation`: the one door to the models.

    segmenter = Segmenter.load("compact")
    result = segmenter.segment("scene.tif", "the white plane on the left")

The model sees a side of `image_size` pixels. An image up to twice as long is one view, so that "the largest" and
"upper left" mean the whole image; a larger one is cut into overlapping tiles that are blended (`rs2sam.raster.scene`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rs2sam.answering import answer_batch, encode
from rs2sam.backends import AnyBackend, BackendName, EncodingBackend, Precision, load_backend
from rs2sam.encoded import EncodedImage, in_batches, read_scenes
from rs2sam.errors import InvalidInputError
from rs2sam.imaging import RGB, ImageSource
from rs2sam.models.weights.hub import resolve_model
from rs2sam.pictures import Picture, as_pictures
from rs2sam.processing import (
    FirstPass,
    Processor,
    logits_to_mask,
    logits_to_probability,
    resize_logits,
)

if TYPE_CHECKING:
    from rasterio import Affine
    from rasterio.crs import CRS
    from shapely.geometry import Polygon

    from rs2sam.language.scope import ScopedSentence
    from rs2sam.raster.georeference import Georeference
    from rs2sam.raster.scene import Scene
    from rs2sam.views.options import SceneOptions, Scope, SentenceResult

__all__ = ["EncodedImage", "Segmentation", "Segmenter"]


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What a sentence names in an image.

    Args:
        sentence: the referring expression.
        mask: (H, W) bool at the image's own size; never True where the image has no data.
        probability: (H, W) float32 foreground probability in [0, 1].
        presence: probability that what the sentence names is there at all (in tiles: the highest of any tile); None
            where the weights have no such head.
        score: predicted IoU of the mask in [0, 1]; None where the weights have no such head.
        georeference: where the pixels lie; the identity for an image without a place, None for a single view.
        known: probability that the sentence names something the model was taught; None where the weights have no such
            head.
    """

    sentence: str
    mask: npt.NDArray[np.bool_]
    probability: npt.NDArray[np.float32]
    presence: float | None = None
    score: float | None = None
    georeference: Georeference | None = None
    known: float | None = None

    @property
    def crs(self) -> CRS | None:
        """Coordinate system of the image, None where it has none."""
        return None if self.georeference is None else self.georeference.crs

    @property
    def transform(self) -> Affine | None:
        """Pixel (column, row) to CRS coordinates; the identity for an image without a place, None for a single view."""
        return None if self.georeference is None else self.georeference.transform

    def if_present(self, min_presence: float) -> Segmentation:
        """This, or nothing at all where the presence is below `min_presence` (in [0, 1]); the presence itself stays."""
        if self.presence is None or self.presence >= min_presence:
            return self
        return replace(self, mask=np.zeros_like(self.mask), probability=np.zeros_like(self.probability))

    def polygons(self) -> list[Polygon]:
        """Outlines of the mask's connected pieces with their holes, largest first.

        In the image's CRS where it has one, else in pixels: x = column, y = row, from the upper left corner.
        """
        from rs2sam.vector.vectorize import mask_polygons

        return mask_polygons(self.mask, self.georeference)


class Segmenter:
    """A model with everything around it: images and sentences in, masks out.

    Args:
        processor: images and sentences to model inputs.
        backend: what runs the model.
    """

    def __init__(self, processor: Processor, backend: AnyBackend) -> None:
        self._processor = processor
        self._backend = backend

    @classmethod
    def load(
        cls,
        name: str | Path = "compact",
        backend: BackendName | None = None,
        device: str | None = None,
        threads: int | None = None,
        precision: Precision = "float32",
    ) -> Segmenter:
        """Load a model by name.

        Args:
            name: `compact` (in the package), `rrsisd`, `refsegrs` (published weights), a folder, or a hub id.
            backend: `onnx` or `torch`; None: `onnx` where the model has a graph and no GPU is asked for, else `torch`.
            device: `cpu`, `cuda`, `cuda:1`, `mps`; None: what the backend prefers.
            threads: CPU threads; None: all cores.
            precision: `float32`, or with torch `bf16` or `fp16`, which are for GPUs.

        Raises:
            WeightsNotFoundError: there is no such model, or it cannot be downloaded.
            MissingDependencyError: it needs torch, which is not installed; the message has the command.
            CheckpointError: its files are damaged.
        """
        folder = resolve_model(name).folder
        processor = Processor.from_folder(folder)
        return cls(processor, load_backend(folder, backend, device, threads, precision))

    @property
    def backend_name(self) -> str:
        """`onnx`, `torch`, or the name of a backend of your own."""
        return self._backend.name

    @property
    def image_size(self) -> int:
        """Side of the square that the model sees, or the longer side of a picture in its own aspect [px]."""
        return self._processor.config.image_size

    @property
    def batch_size(self) -> int:
        """Views that the model best reads at once here."""
        return self._backend.batch_size

    @property
    def min_presence(self) -> float:
        """Presence below which this model's answer is "nothing"; 0 where it has no such limit."""
        return self._processor.config.min_presence

    @property
    def choose_in_view(self) -> bool:
        """Whether words that compare are better decided among the regions this model finds than by the model itself."""
        return self._processor.config.choose_in_view

    @property
    def first_pass(self) -> FirstPass | None:
        """How tiles of large scenes are skipped with this model; None where that was not measured."""
        return self._processor.config.first_pass

    def segment(
        self,
        image: ImageSource,
        sentence: str,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        min_presence: float | None = None,
        scope: Scope = "scene",
    ) -> Segmentation:
        """Find what a sentence names in an image of any size.

        Args:
            image: path (PNG, JPEG, WebP, TIFF, GeoTIFF, ...), PIL image, or array (H, W) or (H, W, 1 to 4).
            sentence: a referring expression.
            tile: side of a tile in pixels of the image; None: `image_size`, and an image up to twice that whole.
            overlap: least overlap of neighbouring tiles in pixels; None: a quarter of the tile.
            min_presence: empty the mask of a view whose presence is below this; 0 switches it off, None takes the
                model's own `min_presence`.
            scope: who decides words that compare ("the largest", "at the lower left"): `scene`, the choice among all
                regions that were found, where the image is cut into tiles or the model prefers it (`choose_in_view`);
                `tile`, the model in each view.

        Returns:
            Mask and probability at the image's own size; where regions were chosen, the probability is 0 in the
            others. An empty mask is a valid result.

        Raises:
            DataNotFoundError: there is no such file.
            InvalidInputError: the image cannot be read, the sentence is blank or too long, an option is out of range.
        """
        pairs = [(image, sentence)]
        return self.segment_many(pairs, tile=tile, overlap=overlap, min_presence=min_presence, scope=scope)[0]

    def encode(self, image: ImageSource) -> EncodedImage:
        """Read an image once, to ask about it again and again.

        Args:
            image: as for `segment`.

        Raises:
            DataNotFoundError: there is no such file.
            InvalidInputError: the image cannot be read.
        """
        from rs2sam.raster.read import scene_of
        from rs2sam.views.options import SceneOptions

        scene = scene_of(image)
        picture = Picture(scene.rgb)
        if isinstance(self._backend, EncodingBackend) and self._num_views(scene, SceneOptions()) == 1:
            encode(self._backend, self._processor, [picture])
        return EncodedImage(self, scene, picture)

    def segment_many(
        self,
        pairs: Iterable[tuple[ImageSource | EncodedImage, str]],
        batch_size: int | None = None,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        min_presence: float | None = None,
        scope: Scope = "scene",
    ) -> list[Segmentation]:
        """Find what each sentence names in its image; results are those of `segment`, in order.

        Args:
            pairs: images, or what `encode` made of them, and sentences. An image given several times in a row (a path,
                or the same object, which must not change meanwhile) is read and prepared once; sentences about it share
                what the model computes without them, also where it is cut into tiles.
            batch_size: views the model reads at once; None: `self.batch_size`.
            tile: as for `segment`.
            overlap: as for `segment`.
            min_presence: as for `segment`.
            scope: as for `segment`.
        """
        from rs2sam.views.options import SceneOptions

        batch_size = self.batch_size if batch_size is None else batch_size
        min_presence = self.min_presence if min_presence is None else min_presence
        options = SceneOptions(
            tile=tile,
            overlap=overlap,
            batch_size=batch_size,
            min_presence=min_presence,
            scope=scope,
            choose_in_view=self.choose_in_view,
            keep_probability=True,
        )
        results: list[Segmentation] = []
        for batch in in_batches(read_scenes(pairs), batch_size, lambda scene: self._num_views(scene, options) > 1):
            asked = [_Asked.of(*one, options, self._num_views(one[0], options)) for one in batch]
            views = iter(
                self._in_batches(
                    ((one.picture, part) for one in asked if one.is_one_view for part in one.parts),
                    batch_size,
                    min_presence=min_presence,
                )
            )
            for _, about in groupby(asked, key=lambda one: id(one.scene)):
                of_one = list(about)
                if of_one[0].is_one_view:
                    results.extend(one.answer([_placed(next(views), one.scene) for _ in one.parts]) for one in of_one)
                else:
                    results.extend(self._of_tiles(of_one, options))
        return results

    def _num_views(self, scene: Scene, options: SceneOptions) -> int:
        """Views that the model sees of a scene."""
        return len(options.grid(scene.size_hw, self.image_size))

    def _of_tiles(self, asked: Sequence[_Asked], options: SceneOptions) -> list[Segmentation]:
        """Answers about one scene that is cut into tiles, each of which is read once."""
        from rs2sam.views.in_memory import segment_scene

        scene = asked[0].scene
        parts = list(dict.fromkeys(part for one in asked for part in one.parts))
        found = dict(zip(parts, segment_scene(self, scene, parts, options), strict=True))
        return [one.answer([_blended(found[part], scene) for part in one.parts]) for one in asked]

    def segment_views(
        self,
        pairs: Sequence[tuple[RGB, str]],
        batch_size: int | None = None,
        size_hw: tuple[int, int] | None = None,
        min_presence: float = 0.0,
    ) -> list[Segmentation]:
        """Answer pairs of an array and a sentence, each array as one view whatever its size.

        Args:
            pairs: (H, W, 3) uint8 arrays and sentences; those about one array in a row share its preparation.
            batch_size: views the model reads at once; None: `self.batch_size`.
            size_hw: size of the masks [px]; None: each array's own.
            min_presence: presence below which an answer is emptied, see `Segmentation.if_present`; the model's own
                limit is `self.min_presence`.

        Returns:
            One result per pair, in order, in pixel coordinates.
        """
        return self._in_batches(
            as_pictures(pairs), self.batch_size if batch_size is None else batch_size, size_hw, min_presence
        )

    def _in_batches(
        self,
        pairs: Iterable[tuple[Picture, str]],
        batch_size: int,
        size_hw: tuple[int, int] | None = None,
        min_presence: float = 0.0,
    ) -> list[Segmentation]:
        """As `segment_views`; of the pictures no more than a batch and one are held here."""
        if batch_size < 1:
            raise InvalidInputError(f"`batch_size` must be at least 1, received {batch_size}.")
        results: list[Segmentation] = []
        remaining = iter(pairs)
        while batch := list(islice(remaining, batch_size)):
            first: dict[int, Picture] = {}  # one picture for an array that others come between, too
            shared = [(first.setdefault(id(picture.rgb), picture), sentence) for picture, sentence in batch]
            results.extend(self._run(shared, size_hw))
        return [result.if_present(min_presence) for result in results]

    def _run(self, pairs: Sequence[tuple[Picture, str]], size_hw: tuple[int, int] | None) -> list[Segmentation]:
        """One batch through the model."""
        text = self._processor.sentences([sentence for _, sentence in pairs])
        answers = answer_batch(self._backend, self._processor, [picture for picture, _ in pairs], text)
        results = []
        for (picture, sentence), (output, row) in zip(pairs, answers, strict=True):
            own_hw = picture.rgb.shape[0], picture.rgb.shape[1]
            logits = resize_logits(output.low_res_logits[row], size_hw or own_hw)  # (H, W)
            results.append(
                Segmentation(
                    sentence=sentence,
                    mask=logits_to_mask(logits),
                    probability=logits_to_probability(logits),
                    presence=None if output.presence_logits is None else _sigmoid(float(output.presence_logits[row])),
                    score=None if output.iou_scores is None else float(np.clip(output.iou_scores[row], 0, 1)),
                    known=None if output.known_logits is None else _sigmoid(float(output.known_logits[row])),
                )
            )
        return results


@dataclass(frozen=True)
class _Asked:
    """One image and sentence, with what the model is asked about it."""

    scene: Scene
    picture: Picture
    scoped: ScopedSentence
    is_one_view: bool

    @classmethod
    def of(cls, scene: Scene, picture: Picture, sentence: str, options: SceneOptions, num_views: int) -> _Asked:
        """Read the sentence where regions are to be chosen."""
        from rs2sam.language.scope import ScopedSentence, read_sentence

        scoped = read_sentence(sentence) if options.chooses(num_views) else ScopedSentence(sentence, sentence)
        return cls(scene, picture, scoped, num_views == 1)

    @property
    def parts(self) -> list[str]:
        """What the model is asked: the sentence without what is decided afterwards, and what it is compared with."""
        return [self.scoped.local, *([] if self.scoped.landmark is None else [self.scoped.landmark])]

    def answer(self, found: Sequence[Segmentation]) -> Segmentation:
        """From what the model found of the parts to what the sentence means."""
        from rs2sam.vector.choosing import chosen

        first = replace(found[0], sentence=self.scoped.sentence)
        if not self.scoped.claims:
            return first
        landmark = (found[1].mask, found[1].probability) if len(found) > 1 else None
        mask = chosen(first.mask, first.probability, landmark, self.scoped, self.scene.georeference)
        return replace(first, mask=mask, probability=np.where(first.mask & ~mask, np.float32(0), first.probability))


def _blended(found: SentenceResult, scene: Scene) -> Segmentation:
    """What was blended from tiles, in the scene's place."""
    assert found.probability is not None
    said = found.presence, found.score, scene.georeference, found.known
    return Segmentation(found.sentence, found.mask, found.probability, *said)


def _placed(view: Segmentation, scene: Scene) -> Segmentation:
    """A view of a whole scene: without the invalid pixels, in the scene's place."""
    mask, probability = view.mask & scene.valid, view.probability * scene.valid
    return replace(view, mask=mask, probability=probability, georeference=scene.georeference)


def _sigmoid(logit: float) -> float:
    """Logistic function that cannot overflow."""
    return float(0.5 * (1.0 + np.tanh(0.5 * logit)))
