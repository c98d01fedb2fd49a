"""Array and sentence to `Segmentation`: the one door to the models.

    segmenter = Segmenter.load("compact")
    result = segmenter.segment("scene.tif", "the white plane on the left")
    result.save("planes.gpkg")

The model sees a square of `image_size` pixels. An image up to twice as long is one view, so that "the largest" and
"upper left" mean the whole image; a larger one is cut into overlapping tiles that are blended (`rs2sam.raster.scene`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rs2sam.backends import Backend, BackendName, BackendOutput, PictureBackend, Precision, load_backend
from rs2sam.backends.protocol import check_output
from rs2sam.errors import InvalidInputError
from rs2sam.fields import a_path
from rs2sam.imaging import RGB, ImageSource
from rs2sam.models.weights.hub import resolve_model
from rs2sam.pictures import Picture, as_pictures, one_per_run
from rs2sam.processing import (
    FirstPass,
    Processor,
    TextInputs,
    logits_to_mask,
    logits_to_probability,
    resize_logits,
)
from rs2sam.views.asking import Asked, of_tiles, placed, read_scenes
from rs2sam.views.segmentation import Segmentation

if TYPE_CHECKING:
    from rs2sam.raster.georeference import Georeference
    from rs2sam.raster.read import Place
    from rs2sam.raster.source import ReadOptions
    from rs2sam.raster.stretch import Stretch
    from rs2sam.views.options import SceneOptions, Scope

__all__ = ["Segmentation", "Segmenter"]

_LOGGER = logging.getLogger(__name__)


class Segmenter:
    """A model with everything around it: images and sentences in, masks out.

    Args:
        processor: images and sentences to model inputs.
        backend: what runs the model.
    """

    def __init__(self, processor: Processor, backend: Backend) -> None:
        self._processor = processor
        self._backend = backend
        self._loaded: tuple[Any, ...] | None = None

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
        folder = resolve_model(a_path("name", name)).folder
        processor = Processor.from_folder(folder)
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

    @property
    def backend_name(self) -> str:
        """`onnx`, `torch`, or the name of a backend of your own."""
        return self._backend.name

    @property
    def image_size(self) -> int:
        """Side of the square that the model sees [px]."""
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
    def gsd_range_m(self) -> tuple[float, float] | None:
        """Finest and coarsest ground resolution that the model was made for [m/px]; None where nobody said."""
        return self._processor.config.gsd_range_m

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
            others. An empty mask is a valid result.

        Raises:
            DataNotFoundError: there is no such file.
            InvalidInputError: the image cannot be read, the sentence is blank or too long, an option is out of range.
        """
        from rs2sam.raster.read import place_of, reading_of

        options = self._options(tile, overlap, threshold, min_presence, scope, gsd)
        return self._segment([(image, sentence)], options, reading_of(bands, stretch), place_of(georeference))[0]

    def segment_many(
        self,
        pairs: Iterable[tuple[ImageSource, str]],
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
            pairs: images and sentences. An image given several times in a row (a path, or the same object, which must
                not change meanwhile) is read and prepared once; sentences about it in one batch share what the model
                computes without them.
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
        pairs: Iterable[tuple[ImageSource, str]],
        options: SceneOptions,
        reading: ReadOptions,
        place: Georeference | None,
    ) -> list[Segmentation]:
        """Answers to pairs, batch by batch."""
        from rs2sam.views.in_memory import segment_scene

        batch_size, least = options.batch_size or 1, options.min_presence or 0.0
        results: list[Segmentation] = []
        remaining = read_scenes(pairs, reading, place)
        while batch := list(islice(remaining, batch_size)):
            asked = [Asked.of(shown, sentence, options, self.image_size) for shown, sentence in batch]
            views = iter(
                self._in_batches(
                    ((one.shown.picture, part) for one in asked if one.is_one_view for part in one.parts),
                    batch_size,
                    min_presence=least,
                )
            )
            for one in asked:
                if one.is_one_view:
                    results.append(one.answer([placed(next(views), one.shown, options) for _ in one.parts]))
                else:
                    found = segment_scene(self, one.shown.scene, one.parts, options)
                    results.append(one.answer([of_tiles(part, one.shown) for part in found]))
        return results

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
        output = self._answer([picture for picture, _ in pairs], text)
        check_output(output, len(pairs))
        results = []
        for index, (picture, sentence) in enumerate(pairs):
            own_hw = picture.rgb.shape[0], picture.rgb.shape[1]
            logits = resize_logits(output.low_res_logits[index], size_hw or own_hw)  # (H, W)
            results.append(
                Segmentation(
                    sentence=sentence,
                    mask=logits_to_mask(logits),
                    probability=logits_to_probability(logits),
                    presence=None if output.presence_logits is None else _sigmoid(float(output.presence_logits[index])),
                    score=None if output.iou_scores is None else float(np.clip(output.iou_scores[index], 0, 1)),
                )
            )
        return results

    def _answer(self, pictures: Sequence[Picture], text: TextInputs) -> BackendOutput:
        """One batch through the backend, which may prepare the pictures itself."""
        shared = one_per_run(pictures)
        if isinstance(self._backend, PictureBackend) and self._backend.takes_pictures:
            arrays = [picture.rgb for picture in shared]
            return self._backend.run_pictures(arrays, text.input_ids, text.attention_mask, self._processor.config)
        images = [picture.inputs(self._processor) for picture in shared]
        return self._backend.run(
            np.stack([image.pixel_values for image in images]),
            np.stack([image.union_pixel_values for image in images]),
            text.input_ids,
            text.attention_mask,
        )


def _sigmoid(logit: float) -> float:
    """Logistic function that cannot overflow."""
    return float(0.5 * (1.0 + np.tanh(0.5 * logit)))
