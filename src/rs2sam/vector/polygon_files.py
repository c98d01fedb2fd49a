"""Polygon files: regions in batches to GeoPackage, GeoJSON, FlatGeobuf, GeoParquet or Shapefile.

Memory does not grow with the number of regions. GeoPackage and GeoJSON are written here, GeoParquet through pyarrow,
FlatGeobuf and Shapefile by GDAL.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, get_args

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from rs2sam.errors import InvalidInputError, require, words_of
from rs2sam.fields import a_place
from rs2sam.processing_config import Calibration
from rs2sam.raster.georeference import Georeference
from rs2sam.vector.copied_formats import FLATGEOBUF, SHAPEFILE, SIDECARS, CopiedTable
from rs2sam.vector.geojson import GeoJSONWriter
from rs2sam.vector.geopackage import GeoPackageWriter
from rs2sam.vector.geoparquet import GeoParquetWriter
from rs2sam.vector.orthogonal import square_up
from rs2sam.vector.regions import PixelRegion
from rs2sam.vector.styles import layer_style

Shapes = NDArray[np.object_]
PolygonFormat = Literal["gpkg", "geojson", "fgb", "parquet", "shp"]

LAYER = "polygons"
"""Layer of the polygons, unless they name another."""

FIELDS: Mapping[str, Any] = {
    "sentence": np.dtype(object),
    "sentence_id": np.dtype(np.int32),
    "area_m2": np.dtype(np.float64),
    "area_px": np.dtype(np.int64),
    "mean_probability": np.dtype(np.float64),
    "confidence": np.dtype(np.float64),
    "model": np.dtype(object),
    "source": np.dtype(object),
}
"""Attributes of every polygon and their types; `object` is text."""

_EXTRAS: Mapping[str, tuple[str, str, str]] = {
    "fgb": ("pyogrio", "vector", "Writing FlatGeobuf"),
    "parquet": ("pyarrow", "parquet", "Writing GeoParquet"),
    "shp": ("pyogrio", "vector", "Writing a Shapefile"),
}
_BATCH = 8192
_PREFIX = 24  # letters of the file's name in that of the folder in which it grows: SQLite takes paths of 512 bytes

# Squaring up starts from an outline without the steps of pixels, which are up to 0.71 pixels from the edge they follow.
_STEP_PIXELS = 1.0

# An outline whose area changes by more than this part when it is simplified is too small for the tolerance.
_LARGEST_CHANGE = 0.25


@dataclass(frozen=True)
class PolygonShape:
    """How outlines are drawn; attributes are always those of the region itself.

    Args:
        simplify_m: how far an outline may move [m, or pixels in a scene without metres]; 0: exact pixel edges.
        orthogonal: square up the outlines, as buildings are.
    """

    simplify_m: float = 0.0
    orthogonal: bool = False


@dataclass(frozen=True)
class RegionLabels:
    """What the regions of one sentence have in common.

    Args:
        sentence: what was asked.
        sentence_id: its number from 1.
        model: name of the model.
        source: file name of the image.
        layer: where they go in a format that has layers; the others hold all in one table.
        calibration: of the model, for the confidence of each region; None: it has none.
    """

    sentence: str
    sentence_id: int
    model: str
    source: str
    layer: str = LAYER
    calibration: Calibration | None = None


class PolygonWriter:
    """Writes regions to one file, which appears under its name when all of them are in it.

    Use it as a context manager: an error inside leaves no file, and an earlier one as it was.

    All formats but GeoJSON keep the scene's CRS; a GeoPackage has a style for QGIS, a Shapefile lies in several files.
    GeoJSON is RFC 7946: longitude and latitude on WGS 84, outer rings counter-clockwise. Without a CRS all hold the
    transform's coordinates, or pixel coordinates (x = column, y = row from the upper left corner) where there is no
    transform either.

    Args:
        path: of the file; replaced if it exists.
        polygon_format: `gpkg`, `geojson`, `fgb`, `parquet` or `shp`.
        georeference: where the pixels lie.
        size_hw: of the scene.
        shape: how outlines are drawn.

    Raises:
        MissingDependencyError: for `fgb` and `shp` without pyogrio, for `parquet` without pyarrow.
    """

    def __init__(
        self,
        path: Path,
        polygon_format: PolygonFormat,
        georeference: Georeference,
        size_hw: tuple[int, int],
        shape: PolygonShape | None = None,
    ) -> None:
        check_format(polygon_format)
        self._path = a_place("path", path)
        self._format = polygon_format
        self._table: PolygonTable | None = None
        self._sentences: dict[str, dict[int, str]] = {}  # of each layer, by number
        self._georeference = georeference
        self._pixel_m = georeference.pixel_size_m(size_hw) or (1.0, 1.0)
        self._shape = shape or PolygonShape()

    def __enter__(self) -> PolygonWriter:
        try:
            self._folder = tempfile.TemporaryDirectory(
                prefix=f".{self._path.name[:_PREFIX]}-", dir=self._path.parent, ignore_cleanup_errors=True
            )
        except OSError as error:
            raise InvalidInputError(
                f"Polygons are written to a folder that can be written to, but {str(self._path.parent)!r} cannot "
                f"({error.strerror or words_of(error)}). Make it, or choose another."
            ) from error
        self._made = Path(self._folder.name) / f"finished.{self._format}"
        self._table = polygon_table(self._made, self._georeference.crs, FIELDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._table is not None
        with self._folder:
            if kind is None:
                if isinstance(self._table, GeoPackageWriter):
                    for layer, sentences in self._sentences.items():
                        self._table.style(layer, layer_style(sentences))
                self._table.close()
                self._publish()
            else:
                self._table.abandon()

    def write(self, regions: Iterable[PixelRegion], labels: RegionLabels) -> int:
        """Append regions; a layer exists afterwards even if there are none. Returns how many there were."""
        if self._table is None:
            raise InvalidInputError(
                "A `PolygonWriter` writes inside a `with` block, which completes the file at its end: "
                "`with PolygonWriter(...) as writer: writer.write(...)`."
            )
        self._sentences.setdefault(labels.layer, {})[labels.sentence_id] = labels.sentence
        count = 0
        for batch in _batches(regions):
            outlines = np.array([region.outline for region in batch], dtype=object)
            polygons = self._placed(outlines)
            self._table.write(polygons, attributes(batch, labels), labels.layer)
            count += len(batch)
        return count

    def _publish(self) -> None:
        """Move the file to its place, and what lies beside it before."""
        for suffix in SIDECARS if self._format == "shp" else ():
            made, place = self._made.with_suffix(suffix), self._path.with_suffix(suffix)
            os.replace(made, place) if made.exists() else place.unlink(missing_ok=True)
        os.replace(self._made, self._path)

    def _placed(self, outlines: Shapes) -> Shapes:
        """Outlines as they are drawn, in the CRS; where rounding makes one cross itself, the exact outline stands."""
        drawn = reshape(outlines, self._shape, self._pixel_m)
        polygons = self._georeference.place(drawn)
        if drawn is not outlines:
            crossed = np.flatnonzero(~shapely.is_valid(polygons))
            if len(crossed):
                polygons[crossed] = self._georeference.place(outlines[crossed])
        return polygons


def check_format(polygon_format: str) -> None:
    """Refuse a format now rather than after the work.

    Raises:
        InvalidInputError: when there is no such format.
        MissingDependencyError: for `fgb` and `shp` without pyogrio, for `parquet` without pyarrow.
    """
    if polygon_format not in get_args(PolygonFormat):
        raise InvalidInputError(
            f"Polygons are written as {', '.join(get_args(PolygonFormat))}, but {polygon_format!r} was asked for."
        )
    if polygon_format in _EXTRAS:
        require(*_EXTRAS[polygon_format])


class PolygonTable(Protocol):
    """A file of polygons that grows batch by batch."""

    def write(self, polygons: Shapes, columns: Mapping[str, NDArray[Any]], layer: str) -> None:
        """Append (n,) polygons with their attributes."""

    def close(self) -> None:
        """Complete the file."""

    def abandon(self) -> None:
        """Let go of the unfinished file."""


def polygon_table(path: Path, crs: CRS | None, fields: Mapping[str, Any]) -> PolygonTable:
    """Begin a polygon file of the format that its suffix names.

    Args:
        path: of the file, in a folder of its own: it grows there, and what else it takes or needs lies beside it.
        crs: of the polygons, or None where it is unknown.
        fields: name and numpy dtype of each attribute; `object` is text.
    """
    if path.suffix == ".gpkg":
        return GeoPackageWriter(path, crs, fields)
    if path.suffix == ".geojson":
        return _OneTable(GeoJSONWriter(path, crs, LAYER))
    if path.suffix == ".parquet":
        return _OneTable(GeoParquetWriter(path, crs, fields))
    return CopiedTable(path, crs, fields, SHAPEFILE if path.suffix == ".shp" else FLATGEOBUF)


def layers_of(sentences: Sequence[str], polygon_format: PolygonFormat) -> list[str]:
    """The layer of each sentence: its own where there are several and the format has layers, else `LAYER`."""
    if len(sentences) == 1 or polygon_format != "gpkg":
        return [LAYER] * len(sentences)
    return [layer_name(sentence, number) for number, sentence in enumerate(sentences, start=1)]


def layer_name(sentence: str, number: int) -> str:
    """A layer name for one of several sentences: `2_all_ships`, at most 40 characters."""
    words = re.sub(r"\W+", "_", sentence.lower()).strip("_")
    return f"{number}_{words}"[:40].rstrip("_")


def attributes(regions: list[PixelRegion], labels: RegionLabels) -> dict[str, NDArray[Any]]:
    """The (n,) columns of `FIELDS`; an unknown area or confidence is not-a-number."""
    areas = [np.nan if region.area_m2 is None else region.area_m2 for region in regions]
    means, said = [region.mean_probability for region in regions], labels.calibration
    sure = [np.nan if said is None else said.share_of(mean) for mean in means]
    values: dict[str, Any] = {
        "sentence": [labels.sentence] * len(regions),
        "sentence_id": [labels.sentence_id] * len(regions),
        "area_m2": np.round(areas, 3),
        "area_px": [region.num_pixels for region in regions],
        "mean_probability": np.round(means, 4),
        "confidence": np.round(sure, 4),
        "model": [labels.model] * len(regions),
        "source": [labels.source] * len(regions),
    }
    return {name: np.array(column, dtype=FIELDS[name]) for name, column in values.items()}


def reshape(outlines: Shapes, shape: PolygonShape, pixel_m: tuple[float, float] = (1.0, 1.0)) -> Shapes:
    """Simplify and square up outlines.

    Rings of one polygon are simplified together, so holes stay inside and do not meet. Polygons are simplified on
    their own: those of one mask share no edge that could open. A polygon too small for the tolerance stays as it is.

    Args:
        outlines: (n,) polygons in pixel coordinates.
        shape: what to do.
        pixel_m: width and height of a pixel [m].

    Returns:
        (n,) valid polygons in pixel coordinates.
    """
    if not len(outlines) or (shape.simplify_m == 0 and not shape.orthogonal):
        return outlines
    metres = shapely.transform(outlines, lambda xy: xy * pixel_m)
    if shape.orthogonal:
        drawn = square_up(metres, max(shape.simplify_m, _STEP_PIXELS * max(pixel_m)))
    else:
        drawn = shapely.simplify(metres, shape.simplify_m, preserve_topology=True)
    areas = shapely.area(metres)
    is_too_small = np.abs(shapely.area(drawn) - areas) > _LARGEST_CHANGE * areas
    result: Shapes = shapely.transform(np.where(is_too_small, metres, drawn), lambda xy: xy / pixel_m)
    return result


def _batches(regions: Iterable[PixelRegion]) -> Iterator[list[PixelRegion]]:
    """Regions in lists of bounded length; one empty list where there are none."""
    remaining = iter(regions)
    batch = list(islice(remaining, _BATCH))
    yield batch
    while batch := list(islice(remaining, _BATCH)):
        yield batch


class _OneTable:
    """A file without layers."""

    def __init__(self, writer: GeoJSONWriter | GeoParquetWriter) -> None:
        self._writer = writer
        self.close = writer.close
        self.abandon = writer.abandon

    def write(self, polygons: Shapes, columns: Mapping[str, NDArray[Any]], layer: str) -> None:
        """Append polygons of any layer."""
        self._writer.write(polygons, columns)
