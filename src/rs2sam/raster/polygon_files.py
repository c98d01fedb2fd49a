"""Polygon files: regions in batches to GeoPackage, GeoJSON, FlatGeobuf or GeoParquet.

Memory does not grow with the number of regions. GeoPackage takes batches one after the other. GeoJSON and FlatGeobuf
are written in one go, so they are streamed from a GeoPackage beside them. GDAL as pyogrio ships it has no Parquet
driver: GeoParquet goes through pyarrow.
"""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError
from rasterio.crs import CRS

from rs2sam.errors import InvalidInputError, require
from rs2sam.raster.geoparquet import GEOMETRY, GeoParquetWriter
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.orthogonal import square_up
from rs2sam.raster.outputs import PolygonFormat
from rs2sam.raster.regions import PixelRegion

Shapes = NDArray[np.object_]

LAYER = "polygons"
"""Layer of the polygons, unless they name another."""

FIELDS: Mapping[str, Any] = {
    "sentence": np.dtype(object),
    "sentence_id": np.dtype(np.int32),
    "area_m2": np.dtype(np.float64),
    "area_px": np.dtype(np.int64),
    "mean_probability": np.dtype(np.float64),
    "model": np.dtype(object),
    "source": np.dtype(object),
}
"""Attributes of every polygon and their types; `object` is text."""

_DRIVERS: Mapping[str, str] = {"gpkg": "GPKG", "geojson": "GeoJSON", "fgb": "FlatGeobuf"}
_BATCH = 8192

# Squaring up starts from an outline without the steps of pixels, which are up to 0.71 pixels from the edge they follow.
_STEP_PIXELS = 1.0

# An outline whose area changes by more than this part when it is simplified is too small for the tolerance.
_LARGEST_CHANGE = 0.25

_DATE = "1970-01-01T00:00:00.000Z"


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
    """

    sentence: str
    sentence_id: int
    model: str
    source: str
    layer: str = LAYER


class PolygonWriter:
    """Writes regions to one file, which appears under its name when all of them are in it.

    Use it as a context manager: an error inside leaves no file, and an earlier one as it was.

    A GeoPackage, FlatGeobuf or GeoParquet file keeps the scene's CRS. GeoJSON is RFC 7946: longitude and latitude on
    WGS 84, outer rings counter-clockwise. Without a CRS all hold the transform's coordinates, or pixel coordinates
    (x = column, y = row from the upper left corner) where there is no transform either.

    Args:
        path: of the file; replaced if it exists.
        polygon_format: `gpkg`, `geojson`, `fgb` or `parquet`.
        georeference: where the pixels lie.
        size_hw: of the scene.
        shape: how outlines are drawn.

    Raises:
        MissingDependencyError: for `parquet` without pyarrow.
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
        self._path = path
        self._format = polygon_format
        self._georeference = georeference
        self._pixel_m = georeference.pixel_size_m(size_hw) or (1.0, 1.0)
        self._shape = shape or PolygonShape()

    def __enter__(self) -> PolygonWriter:
        try:
            self._folder = tempfile.TemporaryDirectory(
                prefix=f".{self._path.name}-", dir=self._path.parent, ignore_cleanup_errors=True
            )
        except OSError as error:
            raise InvalidInputError(
                f"Polygons are written to a folder that can be written to, but {str(self._path.parent)!r} cannot "
                f"({error.strerror or error}). Make it, or choose another."
            ) from error
        self._table = _Table(Path(self._folder.name), self._format, self._georeference.crs)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._folder:
            if kind is None:
                os.replace(self._table.finish(), self._path)
            else:
                self._table.abandon()

    def write(self, regions: Iterable[PixelRegion], labels: RegionLabels) -> int:
        """Append regions; a layer exists afterwards even if there are none. Returns how many there were."""
        count = 0
        for batch in _batches(regions):
            outlines = np.array([region.outline for region in batch], dtype=object)
            polygons = self._georeference.place(reshape(outlines, self._shape, self._pixel_m))
            self._table.append(shapely.to_wkb(polygons), attributes(batch, labels), labels.layer)
            count += len(batch)
        return count


def check_format(polygon_format: str) -> None:
    """Refuse a format now rather than after the work.

    Raises:
        InvalidInputError: when there is no such format.
        MissingDependencyError: for `parquet` without pyarrow.
    """
    if polygon_format == "parquet":
        require("pyarrow", "parquet", "Writing GeoParquet")
    elif polygon_format not in _DRIVERS:
        raise InvalidInputError(
            f"Polygons are written as {', '.join([*_DRIVERS, 'parquet'])}, but {polygon_format!r} was asked for."
        )


def layer_name(sentence: str, number: int) -> str:
    """A layer name for one of several sentences: `2_all_ships`, at most 40 characters."""
    words = re.sub(r"\W+", "_", sentence.lower()).strip("_")
    return f"{number}_{words}"[:40].rstrip("_")


def attributes(regions: list[PixelRegion], labels: RegionLabels) -> dict[str, NDArray[Any]]:
    """The (n,) columns of `FIELDS`; an unknown area is not-a-number."""
    areas = [np.nan if region.area_m2 is None else region.area_m2 for region in regions]
    values: dict[str, Any] = {
        "sentence": [labels.sentence] * len(regions),
        "sentence_id": [labels.sentence_id] * len(regions),
        "area_m2": np.round(areas, 3),
        "area_px": [region.num_pixels for region in regions],
        "mean_probability": np.round([region.mean_probability for region in regions], 4),
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


class _Table:
    """A file that grows batch by batch in a folder of its own.

    Args:
        folder: for this and what else it takes.
        polygon_format: of the finished file.
        crs: of the polygons.
    """

    def __init__(self, folder: Path, polygon_format: PolygonFormat, crs: CRS | None) -> None:
        self._format = polygon_format
        self._crs = crs
        self._finished = folder / f"finished.{polygon_format}"
        self._spool = folder / "finished.gpkg"
        self._parquet = GeoParquetWriter(self._finished, crs, FIELDS) if polygon_format == "parquet" else None
        self._layers: set[str] = set()

    def append(self, wkb: NDArray[np.object_], columns: Mapping[str, NDArray[Any]], layer: str = LAYER) -> None:
        """Add (n,) polygons with their attributes."""
        if self._parquet is not None:
            self._parquet.write(wkb, columns)
            return
        if self._format != "gpkg":
            layer = LAYER
        with _repeatable():
            pyogrio.raw.write(
                self._spool,
                geometry=wkb,
                field_data=list(columns.values()),
                fields=np.array(list(columns), dtype=object),
                field_mask=[np.isnan(column) if name == "area_m2" else None for name, column in columns.items()],
                geometry_type="Polygon",
                crs=self._wkt,
                driver="GPKG",
                layer=layer,
                append=layer in self._layers,
            )
        self._layers.add(layer)

    def abandon(self) -> None:
        """Let go of the unfinished file."""
        if self._parquet is not None:
            self._parquet.close()

    def finish(self) -> Path:
        """Complete the file and say where it is."""
        if self._parquet is not None:
            self._parquet.close()
            return self._finished
        if not self._layers:
            self.append(np.zeros(0, dtype=object), {name: np.zeros(0, kind) for name, kind in FIELDS.items()})
        if self._format == "gpkg":
            return self._spool
        options = {"RFC7946": "YES"} if self._format == "geojson" and self._crs is not None else {}
        with _repeatable(), pyogrio.raw.open_arrow(self._spool, use_pyarrow=False) as (meta, stream):
            pyogrio.raw.write_arrow(
                stream,
                self._finished,
                layer=LAYER,
                driver=_DRIVERS[self._format],
                geometry_name=meta["geometry_name"] or GEOMETRY,
                geometry_type="Polygon",
                crs=self._wkt,
                layer_options=options,
            )
        return self._finished

    @property
    def _wkt(self) -> str | None:
        return None if self._crs is None else self._crs.to_wkt()


@contextmanager
def _repeatable() -> Iterator[None]:
    """Make files of the same regions the same bytes, and turn errors of GDAL into ours.

    A GeoPackage names the time of its last change: it is given a fixed one. What pyogrio says of polygons without a CRS
    is no news to those who have a scene without one. Nothing waits for the disk: an unfinished file is of no use.
    """
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _DATE, "OGR_SQLITE_SYNCHRONOUS": "OFF"})
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="'crs' was not provided", category=UserWarning)
            yield
    except (DataSourceError, DataLayerError, FeatureError, FieldError, OSError) as error:
        raise InvalidInputError(
            f"The polygons could not be written ({error}). Free space, or choose another folder or format."
        ) from error
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None, "OGR_SQLITE_SYNCHRONOUS": None})
