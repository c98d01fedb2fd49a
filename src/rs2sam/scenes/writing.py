"""The files of one scene, written from what was found in blocks of rows, and put in place when all are whole."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import DatasetWriter
from rasterio.windows import Window as FileWindow

from rs2sam.drawing import COLOURS
from rs2sam.raster.mask_files import BLOCK, MASK_NODATA, copy_as, mask_file, plain_file, probability_file
from rs2sam.raster.scene import SceneInfo
from rs2sam.raster.thumbnail import Thumbnail
from rs2sam.raster.tiling import Window
from rs2sam.scenes.finding import Finder, Found, regrouped
from rs2sam.scenes.outputs import (
    OutputOptions,
    OutputPaths,
    json_text,
    plain,
    publish,
)
from rs2sam.scenes.preview import Panel, draw_preview, summarise
from rs2sam.scenes.store import StripReader
from rs2sam.vector.polygon_files import PolygonShape, PolygonWriter, RegionLabels, layers_of
from rs2sam.vector.region_store import RegionStore
from rs2sam.views.assembly import Tally

BoolArray = NDArray[np.bool_]

# A cell of the preview is marked where the mask covers more of it than this.
_COVERED = 63 / 255


@dataclass(frozen=True)
class SceneFiles:
    """Writes the files of a scene.

    Args:
        info: of the scene.
        thumbnails: for each thing that was asked, the picture over which it is drawn.
        tallies: what is known of each thing that was asked.
        finder: what the sentences found.
        paths: where the files go.
        outputs: which files, and how.
        model: its name, for the records.
        folder: where they are made.
        reads_phrases: whether the model is asked noun phrases.
        kept: the steps of every pixel, to be written; None where nothing is kept.
        kept_before: names of the probability files of an earlier run that stay where they are.
    """

    info: SceneInfo
    thumbnails: Sequence[Thumbnail]
    tallies: Sequence[Tally]
    finder: Finder
    paths: OutputPaths
    outputs: OutputOptions
    model: str
    folder: Path
    reads_phrases: bool = False
    kept: StripReader | None = None
    kept_before: tuple[str, ...] = ()

    def write(self, found: Sequence[Found], origin: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
        """Write all files, all or none; returns the content of `result.json`.

        Args:
            found: one per sentence.
            origin: the scene and what was read of it, see `Scan.describe`.
            details: further entries of `result.json`.
        """
        pngs = self.paths.mask_pngs(len(found)) if self.info.is_photo else []
        masks = self._write_masks(found, pngs)
        classes = [self.paths.classes] if self.outputs.class_map else []
        if self.outputs.class_map:
            self._write_classes(found)
        probabilities = self._write_probabilities()
        if self.outputs.cog:
            for name in (self.paths.mask, *classes):
                self._make_cog(name)
        self._write_polygons(found)
        sidecars = self.paths.sidecars(self.folder)
        self._draw(found, masks)
        report: dict[str, Any] = plain(
            {
                **origin,
                "sentences": [self._describe(one) for one in found],
                "asked": self._describe_asked(probabilities),
                "warnings": list(self.info.warnings),
                **details,
                "outputs": {
                    "folder": str(self.paths.folder.resolve()),
                    "mask": self.paths.mask,
                    "mask_png": pngs,
                    "classes": classes[0] if classes else None,
                    "probabilities": [*probabilities, *self.kept_before],
                    "polygons": self.paths.polygons,
                    "sidecars": sidecars,
                    "layers": self._layers(found),
                    "preview": self.paths.preview,
                    "result": self.paths.result,
                },
            }
        )
        (self.folder / self.paths.result).write_text(json_text(report), encoding="utf-8")
        rasters = [self.paths.mask, *pngs, *classes, *probabilities]
        names = [*rasters, *sidecars, self.paths.polygons, self.paths.preview, self.paths.result]
        publish(self.folder, self.paths, names, self.kept_before)
        return report

    def _write_masks(self, found: Sequence[Found], pngs: Sequence[str]) -> list[BoolArray | None]:
        """Write the mask bands; returns each as cells of the preview, None where it is empty."""
        sentences = [one.scoped.sentence for one in found]
        shown: list[BoolArray | None] = []
        with ExitStack() as stack:
            dataset = stack.enter_context(
                mask_file(
                    self.folder / self.paths.mask, self.info.georeference, self.info.size_hw, sentences, self._tags()
                )
            )
            for band, one in enumerate(found, start=1):
                plain = self._write_mask(dataset, band, one, self.folder / "mask.tif" if pngs else None)
                shown.append(plain)
                if pngs:
                    copy_as(self.folder / "mask.tif", self.folder / pngs[band - 1], "PNG")
        return shown

    def _write_mask(self, dataset: DatasetWriter, band: int, found: Found, plain: Path | None) -> BoolArray | None:
        """Write one band, and a plain copy of 0 and 255 for photos; returns the cells of the preview that it marks."""
        grid = self.thumbnails[found.band].grid
        covered = np.zeros(grid.size_hw, dtype=np.uint32)
        with ExitStack() as stack:
            copy = None if plain is None else stack.enter_context(plain_file(plain, self.info.size_hw))
            for top, mask, is_void in self.finder.mask_rows(found, BLOCK):
                window = FileWindow(0, top, mask.shape[1], mask.shape[0])
                values = mask.astype(np.uint8)
                values[is_void] = MASK_NODATA
                dataset.write(values, band, window=window)
                if copy is not None:
                    copy.write(mask.astype(np.uint8) * 255, 1, window=window)
                if mask.any():
                    part = Window(top, 0, *mask.shape)
                    covered[grid.cells(part).slices] += grid.covered(part, mask)
        if not found.num_regions:
            return None
        marked: BoolArray = covered > _COVERED * grid.factor**2
        return marked

    def _write_classes(self, found: Sequence[Found]) -> None:
        """Write the number of the sentence whose mask is most probable at each pixel, 0 where there is none."""
        tags = {f"RS2SAM_CLASS_{number}": one.scoped.sentence for number, one in enumerate(found, start=1)}
        path = self.folder / self.paths.classes
        with (
            mask_file(path, self.info.georeference, self.info.size_hw, ["class"], tags) as dataset,
            rasterio.open(self.folder / self.paths.mask) as masks,
        ):
            colours = {number + 1: COLOURS[number % len(COLOURS)] for number in range(len(found))}
            dataset.write_colormap(1, {0: (0, 0, 0), **colours, MASK_NODATA: (128, 128, 128)})
            for top, values in self._rows_of_all(found):
                window = FileWindow(0, top, values.shape[2], values.shape[1])
                written = masks.read(window=window)
                probability = np.where(written == 1, values, np.uint16(0))
                best = probability.argmax(axis=0).astype(np.uint8) + np.uint8(1)
                best[~probability.any(axis=0)] = 0
                best[written[0] == MASK_NODATA] = MASK_NODATA
                dataset.write(best, 1, window=window)

    def _rows_of_all(self, found: Sequence[Found]) -> Iterator[tuple[int, NDArray[np.uint16]]]:
        """First row and (S, h, W) stored values of the sentences, in the same blocks of rows as the masks."""
        rows = [self.finder.value_rows(one, BLOCK) for one in found]
        for parts in zip(*rows, strict=True):
            yield parts[0][0], np.stack([values for _, values in parts])

    def _write_probabilities(self) -> list[str]:
        """Write the steps of what was asked as cloud-optimised GeoTIFFs, a file each; returns their names."""
        if self.kept is None:
            return []
        asked = self.finder.plan.asked
        names = self.paths.probabilities(len(asked))
        for band, (one, name) in enumerate(zip(asked, names, strict=True)):
            with probability_file(
                self.folder / name, self.info.georeference, self.info.size_hw, one, self._tags()
            ) as dataset:
                for top, steps in regrouped(self.kept.strips(band), BLOCK):
                    window = FileWindow(0, top, steps.shape[1], steps.shape[0])
                    # The last byte of "no data" is that of the file.
                    dataset.write(steps.astype(np.uint8), 1, window=window)
            self._make_cog(name, "AVERAGE")
        return names

    def _make_cog(self, name: str, resampling: str = "MODE") -> None:
        """Replace a GeoTIFF by a cloud-optimised one with overviews."""
        path, plain = self.folder / name, self.folder / f"plain_{name}"
        path.rename(plain)
        options = {"BLOCKSIZE": str(BLOCK), "COMPRESS": "DEFLATE", "BIGTIFF": "IF_SAFER"}
        copy_as(plain, path, "COG", OVERVIEW_RESAMPLING=resampling, **options)
        plain.unlink()

    def _tags(self) -> dict[str, str]:
        """Tags of the rasters."""
        return {"RS2SAM_MODEL": self.model, "RS2SAM_SOURCE": Path(self.info.source).name}

    def _write_polygons(self, found: Sequence[Found]) -> None:
        """Write the outlines of all sentences."""
        shape = PolygonShape(self.outputs.simplify_m, self.outputs.orthogonal)
        path = self.folder / self.paths.polygons
        path.unlink(missing_ok=True)
        with PolygonWriter(
            path, self.outputs.polygon_format, self.info.georeference, self.info.size_hw, shape=shape
        ) as writer:
            for number, (one, layer) in enumerate(zip(found, self._layers(found), strict=True), start=1):
                source = Path(self.info.source).name
                labels = RegionLabels(one.scoped.sentence, number, self.model, source, layer, self.finder.calibration)
                with RegionStore(one.store) as store:
                    writer.write(store.kept(), labels)

    def _layers(self, found: Sequence[Found]) -> list[str]:
        """Layer of each sentence's polygons in their file."""
        return layers_of([one.scoped.sentence for one in found], self.outputs.polygon_format)

    def _draw(self, found: Sequence[Found], masks: Sequence[BoolArray | None]) -> None:
        """Write the preview."""
        panels = []
        for one, mask in zip(found, masks, strict=True):
            words = summarise(one.num_regions, one.num_pixels, one.area_m2, one.num_objects)
            below = self.thumbnails[one.band]
            panels.append(Panel(one.scoped.sentence, words, mask, below.rgb, below.valid))
        # Beside PNG's filters, runs are most of what there is to find: a fifth of the time for 4 % more bytes.
        draw_preview(self.info, panels).save(self.folder / self.paths.preview, compress_type=zlib.Z_RLE)

    def _describe_asked(self, probabilities: Sequence[str]) -> list[dict[str, Any]]:
        """What tiles were asked, and the file of its probability, as plain values."""
        asked = self.finder.plan.asked
        files: Sequence[str | None] = probabilities or [None] * len(asked)
        return [
            {
                "sentence": one,
                "probability": file,
                "presence": None if tally.presence is None else round(tally.presence, 4),
                "score": None if tally.score is None else round(tally.score, 4),
                "known": None if tally.known is None else round(tally.known, 4),
                "views": tally.num_views,
            }
            for one, file, tally in zip(asked, files, self.tallies, strict=True)
        ]

    def _describe(self, found: Found) -> dict[str, Any]:
        """One sentence's result as plain values."""
        tally = self.tallies[found.band]
        mean = found.mean_probability
        return {
            "sentence": found.scoped.sentence,
            "found": found.num_regions > 0,
            "pixels": found.num_pixels,
            "area_m2": None if found.area_m2 is None else round(found.area_m2, 3),
            "polygons": found.num_regions,
            "objects": found.num_objects,
            "mean_probability": None if mean is None else round(mean, 4),
            "presence": None if tally.presence is None else round(tally.presence, 4),
            "score": None if tally.score is None else round(tally.score, 4),
            "known": None if tally.known is None else round(tally.known, 4),
            "asked": found.scoped.local,
            "words": found.describe_words(reads_phrases=self.reads_phrases),
            "scope": found.describe_scope(),
            "views": tally.num_views,
            "seconds": round(tally.seconds + found.seconds, 3),
        }
