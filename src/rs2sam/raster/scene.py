"""A scene and its sentences to masks: views are cut, answered by the segmenter, and blended.

An image whose longer side is at most `WHOLE_VIEW_FACTOR` times the model's input is one view: the model sees all of it,
so words such as "the largest" or "upper left" mean the whole image. A larger image is cut into overlapping tiles at
full resolution. Each tile then answers for itself: a class is found wherever it is, but a word that compares places or
sizes is judged inside each tile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rs2sam.errors import InvalidInputError
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.stretch import Limits, Stretch
from rs2sam.raster.tiling import Blend, TileGrid, Window
from rs2sam.raster.vectorize import Region, label_pixels, mask_regions, trace

WHOLE_VIEW_FACTOR = 2
"""An image of up to this many times the model's input side is seen whole."""

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


class View(Protocol):
    """What the segmenter says about one view."""

    @property
    def probability(self) -> FloatArray:
        """(h, w) float32 foreground probability in [0, 1]."""

    @property
    def presence(self) -> float | None:
        """Probability that the view holds what the sentence names, or None where the model does not tell."""

    @property
    def score(self) -> float | None:
        """Predicted IoU of the mask in [0, 1], or None where the model does not tell."""


class ViewSegmenter(Protocol):
    """What a scene asks of a model; `rs2sam.Segmenter` is one."""

    @property
    def image_size(self) -> int:
        """Side of the square that the model sees, in pixels."""

    def segment_views(self, pairs: Sequence[tuple[NDArray[np.uint8], str]], batch_size: int = ...) -> Sequence[View]:
        """Answer pairs of an (h, w, 3) uint8 view and a sentence, in order."""


@dataclass(frozen=True)
class Scene:
    """An image in memory with everything that its outputs need.

    Args:
        rgb: (H, W, 3) uint8; invalid pixels are 0.
        valid: (H, W) bool, False where the file has no data.
        georeference: where the pixels lie.
        source: path or URL it was read from.
        is_photo: whether it is an ordinary picture (PNG, JPEG, WebP, ...) without georeferencing.
        bands: 1-based bands shown as red, green and blue.
        num_bands: bands in the file.
        dtype: of the pixels in the file.
        nodata: the value that marked invalid pixels, if one did.
        stretch: how values became 8 bit.
        limits: the values that became 0 and 255, per band of `rgb`; empty where every pixel is invalid.
    """

    rgb: NDArray[np.uint8]
    valid: BoolArray
    georeference: Georeference
    source: str
    is_photo: bool
    bands: tuple[int, ...]
    num_bands: int
    dtype: str
    nodata: float | None
    stretch: Stretch
    limits: Limits

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.valid.shape[0], self.valid.shape[1]

    @property
    def stem(self) -> str:
        """File name without folder and last suffix."""
        return Path(self.source.rstrip("/").partition("?")[0]).stem


@dataclass(frozen=True)
class MinArea:
    """The least area of a region that is kept.

    Args:
        value: at least 0.
        unit: `px` (pixels) or `m2` (square metres on the ellipsoid, for scenes with a CRS).
    """

    value: float
    unit: Literal["px", "m2"] = "px"

    def __post_init__(self) -> None:
        if not self.value >= 0:
            raise InvalidInputError(f"The least area must be at least 0, but it is {self.value:g}.")

    @classmethod
    def parse(cls, text: str) -> MinArea:
        """Read `40`, `40px` or `25m2`."""
        number = text.strip().lower()
        unit: Literal["px", "m2"] = "m2" if number.endswith("m2") else "px"
        try:
            return cls(float(number.removesuffix(unit)), unit)
        except ValueError as error:
            raise InvalidInputError(
                f"The least area is a number of pixels or of square metres, but it is {text!r}. "
                "Write for example `40px` or `25m2`."
            ) from error


@dataclass(frozen=True)
class SceneOptions:
    """How a scene is cut, answered and thresholded.

    Args:
        tile: side of a tile in pixels of the scene; None: the model's own side, and an image of up to
            `WHOLE_VIEW_FACTOR` times that side whole.
        overlap: least overlap of neighbouring tiles in pixels; None: a quarter of the tile.
        batch_size: views the model reads at once.
        threshold: a pixel is foreground where its probability is above this.
        min_presence: a view whose presence is below this is empty; 0 switches it off.
        min_area: smaller regions are dropped.
        keep_probability: results hold their (H, W) probability, four bytes a pixel and sentence.
    """

    tile: int | None = None
    overlap: int | None = None
    batch_size: int = 4
    threshold: float = 0.5
    min_presence: float = 0.0
    min_area: MinArea = field(default_factory=lambda: MinArea(0))
    keep_probability: bool = False

    def __post_init__(self) -> None:
        if self.tile is not None and self.tile < 16:
            raise InvalidInputError(f"A tile must have at least 16 pixels a side, but `tile` is {self.tile}.")
        if self.batch_size < 1:
            raise InvalidInputError(f"`batch_size` must be at least 1, but it is {self.batch_size}.")
        for name in ("threshold", "min_presence"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInputError(f"`{name}` is a probability in [0, 1], but it is {getattr(self, name):g}.")

    def grid(self, size_hw: tuple[int, int], image_size: int) -> TileGrid:
        """The tiles for a scene of this size and a model of this input side."""
        side = max(size_hw)
        if side <= (self.tile or WHOLE_VIEW_FACTOR * image_size):
            return TileGrid(size_hw, side, 0)
        tile = self.tile or image_size
        return TileGrid(size_hw, tile, tile // 4 if self.overlap is None else self.overlap)


@dataclass(frozen=True)
class SentenceResult:
    """What one sentence found in a scene.

    Args:
        sentence: as it was given.
        mask: (H, W) bool; never True where the scene is invalid.
        regions: the connected pieces of the mask, largest first.
        area_m2: area of the mask on the ellipsoid; None where the CRS does not say where the scene lies.
        presence: highest presence of any view, or None where the model does not tell.
        score: predicted IoU, averaged over the views by their foreground, or None where the model does not tell.
        num_views: views the model was asked about.
        seconds: time in the model and for its polygons.
        probability: (H, W) float32 in [0, 1], 0 where the scene is invalid; None unless `keep_probability` asks for it.
    """

    sentence: str
    mask: BoolArray
    regions: tuple[Region, ...]
    area_m2: float | None
    presence: float | None
    score: float | None
    num_views: int
    seconds: float
    probability: FloatArray | None = None


def segment_scene(
    segmenter: ViewSegmenter,
    scene: Scene,
    sentences: Sequence[str],
    options: SceneOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[SentenceResult]:
    """Find what each sentence names in a scene.

    Args:
        segmenter: the model.
        scene: the image.
        sentences: one or more, none of them blank.
        options: tiling and thresholds.
        progress: called after each batch with the number of views done and of all views.

    Returns:
        One result per sentence, in order. An empty mask is a valid result.
    """
    options = options or SceneOptions()
    check_sentences(sentences)
    if options.min_area.unit == "m2" and scene.georeference.pixel_size_m(scene.size_hw) is None:
        raise InvalidInputError(
            "A least area in square metres needs a scene whose CRS says where it lies, but "
            f"{scene.source} has none. Give it in pixels, e.g. `40px`."
        )
    grid = options.grid(scene.size_hw, segmenter.image_size)
    # Tiles without a single valid pixel need no model: they stay zero.
    windows = [window for window in grid.windows() if scene.valid[window.slices].any()]
    gathered = [_Gathered(sentence, grid, len(windows)) for sentence in sentences]
    jobs = ((collect, window) for collect in gathered for window in windows)
    total, done = len(sentences) * len(windows), 0
    results = [] if windows else [collect.finish(scene, options) for collect in gathered]
    while batch := list(islice(jobs, options.batch_size)):
        start = time.perf_counter()
        pairs = [(scene.rgb[window.slices], collect.sentence) for collect, window in batch]
        views = segmenter.segment_views(pairs, batch_size=options.batch_size)
        seconds = (time.perf_counter() - start) / len(batch)
        for (collect, window), view in zip(batch, views, strict=True):
            collect.add(window, view, seconds, options)
            if collect.is_complete:
                results.append(collect.finish(scene, options))
        done += len(batch)
        if progress is not None:
            progress(done, total)
    return results


def check_sentences(sentences: Sequence[str]) -> None:
    """Raise InvalidInputError unless there is a sentence and none is blank."""
    if not sentences:
        raise InvalidInputError('At least one sentence is needed, for example "the storage tanks near the river".')
    for number, sentence in enumerate(sentences, start=1):
        if not sentence.strip():
            raise InvalidInputError(
                f"A sentence must name what to find, but sentence {number} of {len(sentences)} is {sentence!r}."
            )


class _Gathered:
    """The views of one sentence while they come in."""

    def __init__(self, sentence: str, grid: TileGrid, num_views: int) -> None:
        self.sentence = sentence
        self._grid = grid
        self._num_views = num_views
        self._blend: Blend | None = None
        self._presences: list[float] = []
        self._scores: list[tuple[float, int]] = []
        self._num_added = 0
        self._seconds = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether every view has been added."""
        return self._num_added == self._num_views

    def add(self, window: Window, view: View, seconds: float, options: SceneOptions) -> None:
        """Blend one view in; one that the model says is empty counts as zero."""
        self._num_added += 1
        self._seconds += seconds
        if view.presence is not None:
            self._presences.append(view.presence)
            if view.presence < options.min_presence:
                return
        if self._blend is None:
            # Made only now, so that one probability map is alive at a time, not one per sentence.
            self._blend = Blend(self._grid)
        self._blend.add(window, view.probability)
        if view.score is not None:
            self._scores.append((view.score, int((view.probability > options.threshold).sum())))

    def finish(self, scene: Scene, options: SceneOptions) -> SentenceResult:
        """Threshold, drop what is small, outline."""
        start = time.perf_counter()
        probability = np.zeros(scene.size_hw if options.keep_probability else (0, 0), dtype=np.float32)
        if self._blend is None:
            mask, regions = np.zeros(scene.size_hw, dtype=np.bool_), []
        else:
            probability = self._blend.result()
            self._blend = None
            mask = (probability > options.threshold) & scene.valid
            mask = drop_small(mask, options.min_area, scene.georeference)
            regions = mask_regions(mask, probability, scene.georeference)
        return SentenceResult(
            sentence=self.sentence,
            mask=mask,
            regions=tuple(regions),
            area_m2=_total_area(regions, scene),
            presence=max(self._presences, default=None),
            score=_mean_score(self._scores),
            num_views=self._num_views,
            seconds=self._seconds + time.perf_counter() - start,
            probability=probability * scene.valid if options.keep_probability else None,
        )


def drop_small(mask: BoolArray, least: MinArea, georeference: Georeference) -> BoolArray:
    """Remove the regions of an (H, W) bool mask that are smaller than the least area."""
    if least.value == 0:
        return mask
    outlines = trace(mask)
    areas = [outline.area for outline in outlines] if least.unit == "px" else georeference.areas_m2(outlines)
    kept = [outline for outline, area in zip(outlines, areas, strict=True) if area is None or area >= least.value]
    return label_pixels(kept, mask.shape) > 0


def _total_area(regions: Sequence[Region], scene: Scene) -> float | None:
    """Sum of the regions' areas; 0 without regions, None where areas are unknown."""
    areas = [region.area_m2 for region in regions if region.area_m2 is not None]
    if len(areas) < len(regions) or scene.georeference.pixel_size_m(scene.size_hw) is None:
        return None
    return sum(areas)


def _mean_score(scores: Sequence[tuple[float, int]]) -> float | None:
    """Mean of the scores by their number of foreground pixels; the plain mean where there are none."""
    if not scores:
        return None
    values, weights = np.array(scores, dtype=np.float64).T
    return float(np.average(values, weights=weights if weights.any() else None))
