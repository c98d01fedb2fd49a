"""A scene and its sentences to masks in memory: the same engine as for files, with arrays at its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rs2sam.errors import InvalidInputError
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.scene import Scene, SceneInfo
from rs2sam.raster.tiling import TileGrid, Window
from rs2sam.vector.instances import Instances
from rs2sam.vector.objects import object_regions, objects_of
from rs2sam.vector.vectorize import Region, fill, mask_regions
from rs2sam.views.assembly import Assembler, Carry, Tally
from rs2sam.views.merging import merge, paint
from rs2sam.views.options import (
    MinArea,
    SceneOptions,
    SentenceResult,
    View,
    ViewSegmenter,
    check_sentences,
    objects_in,
)
from rs2sam.views.streaming import SceneReader, WindowReader, answer_tiles, read_tiles

_LOGGER = logging.getLogger(__name__)

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


def segment_scene(
    segmenter: ViewSegmenter,
    scene: Scene | WindowReader,
    sentences: Sequence[str],
    options: SceneOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[SentenceResult]:
    """Find what each sentence names in a scene, with masks in memory.

    Every tile answers for itself here, whatever `SceneOptions.scope` says; see `rs2sam.scenes.run.run_scene` for scenes
    whose masks do not fit in memory.

    Args:
        segmenter: the model.
        scene: the image; of an open source (`open_source`) one tile at a time is read.
        sentences: one or more, none of them blank.
        options: tiling and thresholds.
        progress: called with the number of views done and of all views.

    Returns:
        One result per sentence, in order. An empty mask is a valid result.
    """
    options = options or SceneOptions()
    check_sentences(sentences)
    info = scene.info
    check_min_area(info, options)
    pixel_m = None if options.gsd_m is None else info.georeference.pixel_size_m(info.size_hw)
    grid = options.grid(info.size_hw, segmenter.image_size, pixel_m)
    side = None if options.gsd_m is None else grid.tile
    blended = _Blended(len(sentences), info.size_hw)
    assembler = Assembler(
        grid,
        len(sentences),
        blended,
        Carry(None),
        threshold=options.threshold,
        min_presence=options.min_presence or 0.0,
    )
    tiles = read_tiles(SceneReader(scene) if isinstance(scene, Scene) else scene, grid)
    told = [_ToldApart(grid, options) for _ in sentences]
    for tile in answer_tiles(segmenter, tiles, sentences, options.batch_size or 1, side=side):
        assembler.add(tile)
        for one, view, says in zip(told, tile.views or (), assembler.says, strict=False):
            one.add(tile.number, view if says else None)
        assembler.forget_finished_rows()
        if progress is not None:
            progress((tile.number + 1) * len(sentences), len(grid) * len(sentences))
    if assembler.lost:
        _LOGGER.warning(
            "%s: %d blocks cannot be read and have no data in the results.", info.source, len(assembler.lost)
        )
    return [
        _result(info, options, sentence, tally, (probability, blended.valid, objects.result()))
        for sentence, tally, probability, objects in zip(
            sentences, assembler.tallies, blended.take(), told, strict=True
        )
    ]


def check_min_area(info: SceneInfo, options: SceneOptions) -> None:
    """Raise InvalidInputError where a least area in square metres meets a scene without a place."""
    if options.min_area.unit == "m2" and info.georeference.pixel_size_m(info.size_hw) is None:
        raise InvalidInputError(
            "A least area in square metres needs a scene whose CRS says where it lies, but "
            f"{info.source} has none. Give it in pixels, e.g. `40px`."
        )


class _Blended:
    """Finished pixels in one map per sentence."""

    def __init__(self, num_sentences: int, size_hw: tuple[int, int]) -> None:
        self._maps = [np.zeros(size_hw, dtype=np.float32) for _ in range(num_sentences)]
        self.valid = np.zeros(size_hw, dtype=np.bool_)

    def start_row(self, row: int) -> None:
        """Nothing to prepare."""

    def put(self, window: Window, sums: FloatArray, valid: BoolArray) -> None:
        """Keep a finished window."""
        self.valid[window.slices] = valid
        for blended, part in zip(self._maps, sums, strict=True):
            np.clip(part, 0.0, 1.0, out=blended[window.slices])

    def take(self) -> Iterator[FloatArray]:
        """The maps, one after another; each is let go."""
        while self._maps:
            yield self._maps.pop(0)


class _ToldApart:
    """The objects of tiles, for one sentence."""

    def __init__(self, grid: TileGrid, options: SceneOptions) -> None:
        self._grid = grid
        self._options = options
        self._found: dict[int, Instances] = {}

    def add(self, number: int, view: View | None) -> None:
        """Keep what a tile told apart."""
        found = None if view is None else objects_in(view, self._options.threshold)
        if found is not None:
            self._found[number] = found

    def result(self) -> Instances | None:
        """The objects of the scene; None where no tile told any apart."""
        if not self._found:
            return None
        merged = merge(
            self._grid,
            lambda number: self._found[number].labels if number in self._found else None,
            lambda number: self._found[number].scores,
        )
        tiles = (
            (window, numbers[self._found[number].labels], self._grid.weights(window))
            for number, numbers in enumerate(merged.numbers)
            if numbers is not None
            for window in [self._grid.window(number)]
        )
        return Instances(paint(tiles, *self._grid.size_hw), merged.scores)


def _result(
    info: SceneInfo,
    options: SceneOptions,
    sentence: str,
    tally: Tally,
    found: tuple[FloatArray, BoolArray, Instances | None],
) -> SentenceResult:
    """Threshold, drop what is small, outline."""
    start = time.perf_counter()
    probability, valid, instances = found
    labels = None if instances is None else instances.labels
    mask = drop_small((probability > options.threshold) & valid, options.min_area, info.georeference, labels)
    regions = mask_regions(mask, probability, info.georeference, labels)
    return SentenceResult(
        sentence=sentence,
        mask=mask,
        regions=tuple(regions),
        area_m2=_total_area(regions, info),
        presence=tally.presence,
        score=tally.score,
        num_views=tally.num_views,
        seconds=tally.seconds + time.perf_counter() - start,
        probability=probability * valid if options.keep_probability else None,
        known=tally.known,
        instances=instances,
    )


def drop_small(
    mask: BoolArray, least: MinArea, georeference: Georeference, labels: NDArray[np.integer] | None = None
) -> BoolArray:
    """Remove the objects of an (H, W) bool mask that are smaller than the least area; without `labels`, the regions."""
    if least.value == 0:
        return mask
    pieces = object_regions(mask, labels, np.zeros(mask.shape, dtype=np.float32), georeference)
    kept = []
    for members in objects_of(pieces)[1]:
        regions = [pieces[piece].region for piece in members]
        areas = [region.num_pixels if least.unit == "px" else region.area_m2 for region in regions]
        if any(area is None for area in areas) or sum(area or 0 for area in areas) >= least.value:
            kept += [region.outline for region in regions]
    return fill(kept, 0, *mask.shape, may_touch=labels is not None)


def _total_area(regions: Sequence[Region], info: SceneInfo) -> float | None:
    """Sum of the regions' areas; 0 without regions, None where areas are unknown."""
    areas = [region.area_m2 for region in regions if region.area_m2 is not None]
    if len(areas) < len(regions) or info.georeference.pixel_size_m(info.size_hw) is None:
        return None
    return sum(areas)
