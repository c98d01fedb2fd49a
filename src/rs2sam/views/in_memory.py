"""A scene and its sentences to masks in memory: the same engine as for files, with arrays at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rs2sam.errors import InvalidInputError
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.scene import Scene, SceneInfo
from rs2sam.raster.tiling import Window
from rs2sam.vector.vectorize import Region, fill, mask_regions, trace
from rs2sam.views.assembly import Assembler, Carry, Tally
from rs2sam.views.options import MinArea, SceneOptions, SentenceResult, ViewSegmenter, check_sentences
from rs2sam.views.streaming import SceneReader, WindowReader, answer_tiles, read_tiles

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
    for tile in answer_tiles(segmenter, tiles, sentences, options.batch_size or 1, side=side):
        assembler.add(tile)
        assembler.forget_finished_rows()
        if progress is not None:
            progress((tile.number + 1) * len(sentences), len(grid) * len(sentences))
    return [
        _result(info, options, sentence, tally, probability, blended.valid)
        for sentence, tally, probability in zip(sentences, assembler.tallies, blended.take(), strict=True)
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


def _result(
    info: SceneInfo, options: SceneOptions, sentence: str, tally: Tally, probability: FloatArray, valid: BoolArray
) -> SentenceResult:
    """Threshold, drop what is small, outline."""
    start = time.perf_counter()
    mask = drop_small((probability > options.threshold) & valid, options.min_area, info.georeference)
    regions = mask_regions(mask, probability, info.georeference)
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
    )


def drop_small(mask: BoolArray, least: MinArea, georeference: Georeference) -> BoolArray:
    """Remove the regions of an (H, W) bool mask that are smaller than the least area."""
    if least.value == 0:
        return mask
    outlines = trace(mask)
    areas = [outline.area for outline in outlines] if least.unit == "px" else georeference.areas_m2(outlines)
    kept = [outline for outline, area in zip(outlines, areas, strict=True) if area is None or area >= least.value]
    return fill(kept, 0, *mask.shape)


def _total_area(regions: Sequence[Region], info: SceneInfo) -> float | None:
    """Sum of the regions' areas; 0 without regions, None where areas are unknown."""
    areas = [region.area_m2 for region in regions if region.area_m2 is not None]
    if len(areas) < len(regions) or info.georeference.pixel_size_m(info.size_hw) is None:
        return None
    return sum(areas)
