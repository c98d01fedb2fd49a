"""Array and sentence to `Segmentation`: the one door to the models.

    segmenter = Segmenter.load("compact")
    result = segmenter.segment("scene.tif", "the white plane on the left")
    result.save("planes.gpkg")

The model sees a side of `image_size` pixels. An image up to twice as long is one view, so that "the largest" and
"upper left" mean the whole image; a larger one is cut into overlapping tiles that are blended (`rs2sam.raster.scene`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rs2sam.backends import AnyBackend, BackendName, EncodingBackend, Precision, load_backend
from rs2sam.backends.answering import answer_batch, encode, maps_of, prompt_picture
from rs2sam.backends.loaded import AskedModel
from rs2sam.backends.processors import load_processor
from rs2sam.errors import InvalidInputError
from rs2sam.fields import a_path
from rs2sam.imaging import RGB, ImageSource
from rs2sam.models.weights.hub import resolve_model
from rs2sam.pictures import Picture, as_pictures
from rs2sam.processing import Processor, sigmoid
from rs2sam.views.asking import Asked, Shown, decide_views, in_batches, of_tiles, placed, read_scenes
from rs2sam.views.encoded import EncodedImage, checked_prompt
from rs2sam.views.segmentation import Segmentation

if TYPE_CHECKING:
    from rs2sam.raster.georeference import Georeference
    from rs2sam.raster.read import Place
    from rs2sam.raster.source import ReadOptions
    from rs2sam.raster.stretch import Stretch
    from rs2sam.views.options import SceneOptions, Scope

__all__ = ["EncodedImage", "Segmentation", "Segmenter"]

Mask = npt.NDArray[np.bool_]
Probability = npt.NDArray[np.float32]

_LOGGER = logging.getLogger(__name__)


class Segmenter(AskedModel):
    """A model with everything around it: images and sentences in, masks out.

    Args:
        processor: images and sentences to model inputs.
        backend: what runs the model.
    """

    def __init__(self, processor: Processor, backend: AnyBackend) -> None:
        super().__init__(processor, backend)
        self._loaded: tuple[Any, ...] | None = None

    @classmethod
    def load(
        cls,
        name: str | Path = "compact",
        backend: BackendName | None = None,
        device: str | None = None,
        threads: int | None = None,
        precision: Precision | None = None,
    ) -> Segmenter:
        """Load a model by name.

        Args:
            name: `compact` (in the package), `rrsisd`, `refsegrs` (published weights), `sam3`, `clipseg` (concept
                models, which read noun phrases), a folder, or a hub id.
            backend: `onnx` or `torch`; None: `onnx` where the model has a graph and no GPU is asked for, else `torch`.
            device: `cpu`, `cuda`, `cuda:1`, `mps`; None: what the backend prefers.
            threads: CPU threads; None: all cores.
            precision: `float32`, or with torch `bf16` or `fp16`, which are for GPUs; None: `float32`, and `bf16` for
                concept models on a CUDA device.

        Raises:
            WeightsNotFoundError: there is no such model, or it cannot be downloaded.
            MissingDependencyError: it needs torch, which is not installed; the message has the command.
            CheckpointError: its files are damaged.
        """
        folder = resolve_model(a_path("name", name)).folder
        processor = load_processor(folder)
        segmenter = cls(processor, load_backend(folder, backend, device, threads, precision))
        where = str(folder.resolve()) if Path(name).is_dir() else str(name)
        _LOGGER.info("model %s from %s on %s", name, folder, segmenter.backend_name)
        segmenter._loaded = where, backend, device, threads, precision
        return segmenter

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies of another process load the model again there; sessions and weights do not travel."""
        if self._loaded is None:
            return type(self), (self._processor, self._backend)
        return type(self).load, self._loaded

    def segment(
        self,
        image: ImageSource,
        sentence: str,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        threshold: float = 0.5,
        min_presence: float | None = None,
        scope: Scope = "scene",
        bands: Sequence[int] | None = None,
        stretch: str | Stretch | None = None,
        gsd: float | None = None,
        georeference: Place | None = None,
    ) -> Segmentation:
        """Find what a sentence names in an image of any size.

        Args:
            image: path (PNG, JPEG, WebP, TIFF, GeoTIFF, ...), content of such a file, PIL image, or array (H, W) or
                (H, W, 1 to 4), with `bands` of any number, masked (`numpy.ma`) where it has no data; scaled and checked
                as files are, see docs/limits.md.
            sentence: a referring expression.
            tile: side of a tile in pixels of the image; None: `image_size`, and an image up to twice that whole.
            overlap: least overlap of neighbouring tiles in pixels; None: a quarter of the tile.
            threshold: a pixel is foreground where its probability is above this.
            min_presence: empty the mask of a view whose presence is below this; 0 switches it off, None takes the
                model's own `min_presence`.
            scope: who decides words that compare ("the largest", "at the lower left"): `scene`, the choice among all
                regions that were found, where the image is cut into tiles or the model prefers it (`choose_in_view`);
                `tile`, the model in each view.
            bands: three bands shown as red, green, blue, or one as grey, counted from 1; None: as the file says.
            stretch: values to 8 bit: `none`, `percentile:2,98`, `fixed:0,3000`, ...; None: by the type of the values.
            gsd: ground resolution at which the model sees the image [m/px]; None: the image's own.
            georeference: where the pixels of an array lie: a `Georeference`, a pair (transform, CRS), or what has
                `transform` and `crs`, as a rasterio dataset has.

        Returns:
            Mask and probability at the image's own size; where regions were chosen, the probability is 0 in the
            others. An empty mask is a valid result; `warnings` says where a sentence names nothing that the model was
            taught, if it can tell.

        Raises:
            DataNotFoundError: there is no such file.
            InvalidInputError: the image cannot be read, the sentence is blank or too long, an option is out of range.
        """
        from rs2sam.raster.read import place_of, reading_of

        options = self._options(tile, overlap, threshold, min_presence, scope, gsd)
        return self._segment([(image, sentence)], options, reading_of(bands, stretch), place_of(georeference))[0]

    def encode(
        self,
        image: ImageSource,
        *,
        bands: Sequence[int] | None = None,
        stretch: str | Stretch | None = None,
        georeference: Place | None = None,
    ) -> EncodedImage:
        """Read an image once, to ask about it again and again.

        Args:
            image: as for `segment`, and so are the others.
            bands: see `image`.
            stretch: see `image`.
            georeference: see `image`.

        Raises:
            DataNotFoundError: there is no such file.
            InvalidInputError: the image cannot be read.
        """
        from rs2sam.raster.read import place_of, reading_of
        from rs2sam.views.options import SceneOptions

        shown = Shown.of(image, reading_of(bands, stretch), place_of(georeference))
        if isinstance(self._backend, EncodingBackend) and shown.is_one_view(SceneOptions(), self.image_size):
            encode(self._backend, self._processor, [shown.picture])
        return EncodedImage(shown.scene, shown.picture, shown.thumbnail, self)

    def segment_many(
        self,
        pairs: Iterable[tuple[ImageSource | EncodedImage, str]],
        batch_size: int | None = None,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        threshold: float = 0.5,
        min_presence: float | None = None,
        scope: Scope = "scene",
        bands: Sequence[int] | None = None,
        stretch: str | Stretch | None = None,
        gsd: float | None = None,
    ) -> list[Segmentation]:
        """Find what each sentence names in its image; results are those of `segment`, in order.

        Args:
            pairs: images, or what `encode` made of them, and sentences. An image given several times in a row (a path,
                or the same object, which must not change meanwhile) is read and prepared once; sentences about it share
                what the model computes without them, also where it is cut into tiles.
            batch_size: views the model reads at once; None: `self.batch_size`.
            tile: as for `segment`, and so are the others.
            overlap: see `tile`.
            threshold: see `tile`.
            min_presence: see `tile`.
            scope: see `tile`.
            bands: see `tile`.
            stretch: see `tile`.
            gsd: see `tile`.
        """
        from rs2sam.raster.read import reading_of

        options = self._options(tile, overlap, threshold, min_presence, scope, gsd, batch_size)
        return self._segment(pairs, options, reading_of(bands, stretch), None)

    def _options(
        self,
        tile: int | None,
        overlap: int | None,
        threshold: float,
        min_presence: float | None,
        scope: Scope,
        gsd: float | None,
        batch_size: int | None = None,
    ) -> SceneOptions:
        """What `segment` is asked, with the model's own choices where it leaves them open."""
        from rs2sam.views.options import SceneOptions

        return SceneOptions(
            tile=tile,
            overlap=overlap,
            batch_size=self.batch_size if batch_size is None else batch_size,
            threshold=threshold,
            min_presence=self.min_presence if min_presence is None else min_presence,
            scope=scope,
            choose_in_view=self.choose_in_view,
            gsd_m=gsd,
            keep_probability=True,
        )

    def _segment(
        self,
        pairs: Iterable[tuple[ImageSource | Shown, str]],
        options: SceneOptions,
        reading: ReadOptions,
        place: Georeference | None,
    ) -> list[Segmentation]:
        """Answers to pairs, batch by batch."""
        batch_size, least = options.batch_size or 1, options.min_presence or 0.0
        results: list[Segmentation] = []
        for batch in in_batches(self._own(read_scenes(pairs, reading, place)), options, self.image_size):
            asked = [Asked.of(shown, sentence, options, self.image_size) for shown, sentence in batch]
            views = iter(
                self._in_batches(
                    ((one.shown.picture, part) for one in asked if one.is_one_view for part in one.parts),
                    batch_size,
                    min_presence=least,
                )
            )
            for _, about in groupby(asked, key=lambda one: id(one.shown)):
                of_one = list(about)
                if of_one[0].is_one_view:
                    shown = of_one[0].shown
                    results.extend(
                        one.answer([placed(next(views), shown, options) for _ in one.parts]) for one in of_one
                    )
                else:
                    results.extend(self._of_tiles(of_one, options))
        return results

    def _own(self, shown: Iterable[tuple[Shown, str]]) -> Iterator[tuple[Shown, str]]:
        """Images that this model can answer about: those that it encoded itself, and those that nobody did."""
        for image, sentence in shown:
            if isinstance(image, EncodedImage) and image.segmenter is not self:
                raise InvalidInputError(
                    "An encoded image is asked with the segmenter that encoded it, and this is another. Encode it with "
                    "this one, or give the image itself."
                )
            yield image, sentence

    def _of_tiles(self, asked: Sequence[Asked], options: SceneOptions) -> list[Segmentation]:
        """Answers about one image that is cut into tiles, each of which is encoded once."""
        from rs2sam.views.in_memory import segment_scene

        shown = asked[0].shown
        parts = list(dict.fromkeys(part for one in asked for part in one.parts))
        answers = segment_scene(self, shown.scene, parts, options)
        blended = [of_tiles(one, shown, self.calibration).if_known(self.min_known) for one in answers]
        found = dict(zip(parts, blended, strict=True))
        return [one.answer([found[part] for part in one.parts]) for one in asked]

    def segment_views(
        self,
        pairs: Sequence[tuple[RGB, str]],
        batch_size: int | None = None,
        size_hw: tuple[int, int] | None = None,
        min_presence: float = 0.0,
    ) -> list[Segmentation]:
        """Answer pairs of an array and a sentence, each array as one view whatever its size.

        The answer to a sentence that names nothing the model was taught is empty, see `Segmentation.if_known`.

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

    def segment_prompt(
        self,
        picture: Picture,
        points_xy: Sequence[tuple[float, float]] = (),
        labels: Sequence[int] | None = None,
        box_xyxy: tuple[float, float, float, float] | None = None,
    ) -> Segmentation:
        """Find what lies at points or in a box of one view; for images see `EncodedImage.segment_prompt`.

        Args:
            picture: the view; what the model makes of it stays with it.
            points_xy: in pixels of the view; see there, and so are the others.
            labels: see `points_xy`.
            box_xyxy: see `points_xy`.
        """
        points, marks, box = checked_prompt(points_xy, labels, box_xyxy, picture.rgb.shape[:2])
        found = prompt_picture(self._backend, self._processor, picture, points, marks, box)
        return Segmentation("", found[0], found[1], score=found[2])

    def decide_views(
        self,
        pairs: Sequence[tuple[RGB, str]],
        batch_size: int | None = None,
        size_hw: tuple[int, int] | None = None,
        min_presence: float = 0.0,
    ) -> list[Segmentation]:
        """As `segment_views`, but words that compare are decided among what the model finds of the rest, as in scenes.

        Args:
            pairs: as for `segment_views`, and so are the others.
            batch_size: see `pairs`.
            size_hw: see `pairs`.
            min_presence: see `pairs`.
        """
        return decide_views(
            [(rgb, sentence) for rgb, sentence in pairs],
            lambda asked: self.segment_views(asked, batch_size, size_hw, min_presence),
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
        return [result.if_present(min_presence).if_known(self.min_known) for result in results]

    def _run(self, pairs: Sequence[tuple[Picture, str]], size_hw: tuple[int, int] | None) -> list[Segmentation]:
        """One batch through the model."""
        text = self._processor.sentences([self.phrase(sentence) for _, sentence in pairs])
        answers = answer_batch(self._backend, self._processor, [picture for picture, _ in pairs], text)
        results = []
        for (picture, sentence), (output, row) in zip(pairs, answers, strict=True):
            own_hw = picture.rgb.shape[0], picture.rgb.shape[1]
            mask, probability, instances = maps_of(output, row, size_hw or own_hw, self._processor.config.min_evidence)
            results.append(
                Segmentation(
                    sentence=sentence,
                    mask=mask,
                    probability=probability,
                    presence=None if output.presence_logits is None else sigmoid(float(output.presence_logits[row])),
                    score=None if output.iou_scores is None else float(np.clip(output.iou_scores[row], 0, 1)),
                    known=None if output.known_logits is None else sigmoid(float(output.known_logits[row])),
                    calibration=self.calibration,
                    instances=instances,
                )
            )
        return results
