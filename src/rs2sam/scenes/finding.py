"""From stored pixels to what each sentence means: objects, less the small ones, those of the scene's words chosen.

Objects are those that tiles told apart, merged across their overlaps; else the connected regions of the mask.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rs2sam.language.concepts import names_one, noun_phrase, number_remark
from rs2sam.language.scope import ScopedSentence, choose, read_sentence, remarks
from rs2sam.processing_config import Calibration
from rs2sam.raster.scene import SceneInfo
from rs2sam.scenes.objects import StoredObjects
from rs2sam.scenes.store import NO_DATA, StripReader, foreground, probability
from rs2sam.vector.choosing import to_map_of
from rs2sam.vector.objects import ObjectCollector, ObjectRegion
from rs2sam.vector.region_store import RegionStore, mask_of_rows
from rs2sam.vector.regions import RegionCollector
from rs2sam.views.options import SceneOptions

_LOGGER = logging.getLogger(__name__)

BoolArray = NDArray[np.bool_]

# Looking up a projection costs as much as the areas of hundreds of regions.
_REGIONS_AT_ONCE = 1000


@dataclass(frozen=True)
class Plan:
    """What the model is asked so that every sentence can be answered.

    Args:
        sentences: as they were given, each with what the scene decides about it.
        asked: what tiles are asked, each once.
    """

    sentences: tuple[ScopedSentence, ...]
    asked: tuple[str, ...]

    @classmethod
    def of(cls, sentences: Sequence[str], *, by_scene: bool) -> Plan:
        """Read sentences; unless the scene decides, tiles are asked them as they are."""
        scoped = tuple(
            read_sentence(sentence) if by_scene else ScopedSentence(sentence, sentence) for sentence in sentences
        )
        asked = [part for one in scoped for part in (one.local, one.landmark) if part is not None]
        return cls(scoped, tuple(dict.fromkeys(asked)))

    def band(self, asked: str) -> int:
        """Where the answers to something asked are stored."""
        return self.asked.index(asked)


@dataclass(frozen=True)
class Found:
    """What one sentence found.

    Args:
        scoped: the sentence.
        band: of the stored pixels it is answered from.
        store: file of its regions.
        is_chosen: whether some of the stored pixels' regions were dropped.
        num_regions: regions kept.
        num_objects: objects that they are pieces of; None where the model told none apart.
        num_pixels: pixels in them.
        area_m2: on the ellipsoid; None where the CRS does not say where the scene lies.
        mean_probability: over their pixels; None without any.
        remarks: what a user should know about how it was decided.
        seconds: for the regions.
    """

    scoped: ScopedSentence
    band: int
    store: Path
    is_chosen: bool
    num_regions: int
    num_objects: int | None
    num_pixels: int
    area_m2: float | None
    mean_probability: float | None
    remarks: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def describe_words(self, *, reads_phrases: bool) -> dict[str, list[str]]:
        """Which words the model read, and what the scene decided."""
        asked = [noun_phrase(part) if reads_phrases else part for part in self.scoped.parts]
        return {"model": asked, "scene": [str(claim) for claim in self.scoped.claims]}

    @property
    def doubts(self) -> list[str]:
        """Remarks on a sentence as the model read it, where the scene had nothing to decide."""
        return [] if self.scoped.claims else [f'"{self.scoped.sentence}": {remark}' for remark in self.remarks]

    def describe_scope(self) -> dict[str, Any] | None:
        """How the scene decided, as plain values; None where it had nothing to decide."""
        return {**self.scoped.describe(), "remarks": self.remarks} if self.scoped.claims else None


class Finder:
    """Makes the regions of what was asked, once each, and chooses among them for each sentence.

    Args:
        stored: the finished pixels, see `rs2sam.scenes.store`.
        info: of the scene.
        plan: what was asked.
        options: least area.
        folder: for the files of regions.
        objects: what tiles told apart in the pixels; None where nothing was.
        calibration: of the model, for choices and the confidence of polygons; None where that was not measured.
    """

    def __init__(
        self,
        stored: StripReader,
        info: SceneInfo,
        plan: Plan,
        options: SceneOptions,
        folder: Path,
        objects: StoredObjects | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self._stored = stored
        self._objects = objects
        self._info = info
        self.plan = plan
        self.calibration = calibration
        self._options = options
        self._folder = folder
        self._made: dict[int, Path] = {}

    def find(self, number: int) -> Found:
        """What a sentence found, counted from 0."""
        start = time.perf_counter()
        scoped = self.plan.sentences[number]
        band = self.plan.band(scoped.local)
        base = self._regions(band)
        path = self._folder / f"regions_of_{number}.sqlite"
        path.unlink(missing_ok=True)
        shutil.copy(base, path)
        with RegionStore(path) as store:
            before = store.totals().num_regions
            if self._options.min_area.value:
                store.drop_small(self._options.min_area.value, self._options.min_area.unit)
            said = self._choose(scoped, store) if scoped.claims else self._of_number(scoped.sentence, store)
            totals = store.totals()
        is_placed = self._info.georeference.pixel_size_m(self._info.size_hw) is not None
        return Found(
            scoped=scoped,
            band=band,
            store=path,
            is_chosen=totals.num_regions < before,
            num_regions=totals.num_regions,
            num_objects=totals.num_objects if self._told(band) else None,
            num_pixels=totals.num_pixels,
            area_m2=totals.area_m2 if is_placed else None,
            mean_probability=totals.mean_probability,
            remarks=said,
            seconds=time.perf_counter() - start,
        )

    def mask_rows(self, found: Found, rows: int) -> Iterator[tuple[int, BoolArray, BoolArray]]:
        """First row, (h, W) bool mask and (h, W) bool "no data" of a sentence, `rows` rows at once."""
        width = self._info.size_hw[1]
        with RegionStore(found.store) as store:
            for top, values in regrouped(self._stored.strips(found.band), rows):
                is_void = values == NO_DATA
                if found.is_chosen:
                    # A region never holds a pixel without data: each is part of the stored foreground.
                    yield top, mask_of_rows(store, top, len(values), width), is_void
                else:
                    yield top, foreground(values), is_void

    def value_rows(self, found: Found, rows: int) -> Iterator[tuple[int, NDArray[np.uint16]]]:
        """First row and (h, W) stored values of what a sentence was asked as, `rows` rows at once."""
        return regrouped(self._stored.strips(found.band), rows)

    def _regions(self, band: int) -> Path:
        """The file of all regions of something asked."""
        if band not in self._made:
            path = self._folder / f"regions_asked_{band}.sqlite"
            path.unlink(missing_ok=True)
            waiting: list[ObjectRegion] = []
            with RegionStore(path) as store:
                objects = self._told(band)
                for pieces in self._told_apart(band, objects) if objects else self._connected(band):
                    waiting += pieces
                    if len(waiting) >= _REGIONS_AT_ONCE:
                        self._measure(waiting, store)
                        waiting = []
                self._measure(waiting, store)
            self._made[band] = path
        return self._made[band]

    def _told(self, band: int) -> StoredObjects | None:
        """What was told apart, where any of it is of something asked."""
        return self._objects if self._objects is not None and self._objects.has(band) else None

    def _connected(self, band: int) -> Iterator[list[ObjectRegion]]:
        """The connected regions of a mask, each one object."""
        collector = RegionCollector(self._info.size_hw)
        for top, values in self._stored.strips(band):
            yield [ObjectRegion(one, 0) for one in collector.add(top, foreground(values), probability(values))]
        yield [ObjectRegion(one, 0) for one in collector.finish()]

    def _told_apart(self, band: int, told: StoredObjects) -> Iterator[list[ObjectRegion]]:
        """The pieces of the objects that tiles told apart."""
        objects = told.merged(band)
        collector = ObjectCollector(self._info.size_hw, objects.boxes)
        places = ((top, len(values)) for top, values in self._stored.strips(band))
        labels = told.strips(band, objects, places)
        for (top, values), numbers in zip(self._stored.strips(band), labels, strict=True):
            yield collector.add(top, foreground(values), numbers, probability(values))
        yield collector.finish()

    def _measure(self, pieces: Sequence[ObjectRegion], store: RegionStore) -> None:
        """Add regions with their areas on the ellipsoid."""
        areas = self._info.georeference.areas_m2([piece.region.outline for piece in pieces])
        regions = [replace(piece.region, area_m2=area) for piece, area in zip(pieces, areas, strict=True)]
        store.add(regions, [piece.number for piece in pieces])

    def _choose(self, scoped: ScopedSentence, store: RegionStore) -> list[str]:
        """Drop what the sentence does not mean; returns remarks."""
        landmarks: list[Any] = []
        if scoped.landmark is not None:
            with RegionStore(self._regions(self.plan.band(scoped.landmark))) as others:
                landmarks = list(others.candidates())
        to_map = to_map_of(self._info.georeference)
        candidates = store.candidates()
        confidence = None if self.calibration is None else self.calibration.share_of
        kept = choose(candidates, scoped.claims, self._info.size_hw, landmarks, to_map, confidence)
        store.keep(candidates[index].first_pixel for index in kept)
        said = remarks(scoped, to_map, len(landmarks), len(kept), len(candidates))
        for remark in said:
            _LOGGER.warning('"%s": %s', scoped.sentence, remark)
        return said

    def _of_number(self, sentence: str, store: RegionStore) -> list[str]:
        """Say where a sentence names one object, and several were found."""
        noun = names_one(sentence)
        remark = None if noun is None else number_remark(noun, [one.area_px for one in store.candidates()])
        if remark is None:
            return []
        _LOGGER.warning('"%s": %s', sentence, remark)
        return [remark]


def regrouped(strips: Iterator[tuple[int, NDArray[np.uint16]]], rows: int) -> Iterator[tuple[int, NDArray[np.uint16]]]:
    """Strips of exactly `rows` rows, but for the last; with their first row."""
    waiting: list[NDArray[np.uint16]] = []
    top = count = 0
    for _, strip in strips:
        rest = strip
        while count + len(rest) >= rows:
            taken = rows - count
            yield top, np.concatenate([*waiting, rest[:taken]]) if waiting else rest[:taken]
            top, count, waiting, rest = top + rows, 0, [], rest[taken:]
        if len(rest):
            waiting.append(rest)
            count += len(rest)
    if waiting:
        yield top, np.concatenate(waiting)
