"""FlatGeobuf and Shapefile: what GDAL writes, through pyogrio, of polygons that grow in a GeoPackage first.

FlatGeobuf sorts by place, and a Shapefile has the widths of its columns before its rows: both need all polygons.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from rs2sam.errors import InvalidInputError, words_of
from rs2sam.vector.geopackage import GEOMETRY, GeoPackageWriter

_LOGGER = logging.getLogger(__name__)

Shapes = NDArray[np.object_]
Columns = Mapping[str, NDArray[Any]]

SIDECARS = (".shx", ".dbf", ".prj", ".cpg")
"""What lies beside a Shapefile: index, attributes, coordinate system (where there is one), encoding of the text."""

SHAPEFILE_NAMES: Mapping[str, str] = {"sentence_id": "sent_id", "mean_probability": "mean_prob"}
"""Attributes whose names are longer than the ten letters of a Shapefile, and what they are called there."""

_LAYER = "polygons"

# Offsets in the files have 31 bits for every reader.
_LARGEST_FILE = 2**31 - 1
_LONGEST_TEXT = 254  # bytes of UTF-8
_USUAL_TEXT, _NUMBERS = 80, 24  # widths of columns that GDAL begins with
_SHAPE_HEADER, _RING, _POINT = 52, 4, 16  # bytes in the file of shapes


@dataclass(frozen=True)
class Form:
    """A format of GDAL.

    Args:
        driver: its name.
        names: of attributes that are called otherwise there.
        options: of the layer.
        is_shapefile: whether the limits of Shapefiles hold.
    """

    driver: str
    names: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    is_shapefile: bool = False


FLATGEOBUF = Form("FlatGeobuf")
SHAPEFILE = Form(
    "ESRI Shapefile",
    SHAPEFILE_NAMES,
    # The header of the attributes has a date; a fixed one makes files of the same polygons the same bytes.
    {"ENCODING": "UTF-8", "2GB_LIMIT": "YES", "DBF_DATE_LAST_UPDATE": "1970-01-01"},
    is_shapefile=True,
)


class CopiedTable:
    """A file of one layer, copied from a GeoPackage beside it when all is known.

    Args:
        path: of the file, in a folder of its own.
        crs: of the polygons, or None where it is unknown.
        fields: name and numpy dtype of each attribute.
        form: which format.
    """

    def __init__(self, path: Path, crs: CRS | None, fields: Mapping[str, Any], form: Form) -> None:
        self._path = path
        self._crs = crs
        self._form = form
        self._layer = path.stem if form.is_shapefile else _LAYER
        self._spool = path.with_suffix(".gpkg")
        self._table = GeoPackageWriter(
            self._spool, crs, {form.names.get(name, name): kind for name, kind in fields.items()}
        )
        self._table.write(np.zeros(0, dtype=object), {}, self._layer)
        self._limits = _ShapefileLimits(len(fields)) if form.is_shapefile else None
        self.abandon = self._table.abandon

    def write(self, polygons: Shapes, columns: Columns, layer: str) -> None:
        """Append polygons of any layer.

        Raises:
            InvalidInputError: when a Shapefile holds no more.
        """
        renamed = {self._form.names.get(name, name): values for name, values in columns.items()}
        if self._limits is not None:
            renamed = self._limits.checked(polygons, renamed)
        self._table.write(polygons, renamed, self._layer)

    def close(self) -> None:
        """Complete the file.

        Raises:
            InvalidInputError: when GDAL cannot write it.
        """
        import pyogrio.raw
        from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError

        self._table.close()
        try:
            with (
                _for_pyogrio(self._path.parent) as folder,
                pyogrio.raw.open_arrow(folder / self._spool.name, use_pyarrow=False) as (_, stream),
                warnings.catch_warnings(),
            ):
                # That polygons have no CRS is no news to those who have a scene without one.
                warnings.filterwarnings("ignore", message="'crs' was not provided", category=UserWarning)
                pyogrio.raw.write_arrow(
                    stream,
                    folder / self._path.name,
                    layer=self._layer,
                    driver=self._form.driver,
                    geometry_name=GEOMETRY,
                    geometry_type="Polygon",
                    crs=None if self._crs is None else self._crs.to_wkt(),
                    layer_options=dict(self._form.options),
                )
        except (DataSourceError, DataLayerError, FeatureError, FieldError, OSError) as error:
            raise InvalidInputError(
                f"The polygons could not be written ({words_of(error)}). Free space, or choose another folder or "
                "format."
            ) from error
        if self._form.is_shapefile and self._crs is not None and not self._path.with_suffix(".prj").exists():
            raise InvalidInputError(
                "The coordinate system of a Shapefile is WKT of ESRI's form, which cannot express that of the scene. "
                "Choose another format, e.g. gpkg."
            )


class _ShapefileLimits:
    """What a Shapefile can hold."""

    def __init__(self, num_fields: int) -> None:
        self._num_fields = num_fields
        self._shapes = self._rows = 0
        self._widths: dict[str, int] = {}

    def checked(self, polygons: Shapes, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Columns with texts that fit; raises InvalidInputError when the polygons are too many."""
        columns = {name: self._fitting(name, values) for name, values in columns.items()}
        rings, points = shapely.get_num_interior_rings(polygons) + 1, shapely.get_num_coordinates(polygons)
        self._shapes += len(polygons) * _SHAPE_HEADER + _RING * int(rings.sum()) + _POINT * int(points.sum())
        self._rows += len(polygons)
        texts = sum(self._widths.values())
        row = texts + _NUMBERS * (self._num_fields - len(self._widths))
        if max(self._shapes, self._rows * row) > _LARGEST_FILE:
            raise InvalidInputError(
                f"A Shapefile holds up to 2 GB in each of its files, but {self._rows:,} polygons of this scene are "
                "already more. Choose another format: gpkg has no such limit."
            )
        return columns

    def _fitting(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        """Texts cut to what a column takes, between letters, and said so."""
        if values.dtype != object:
            return values
        longest = max((len(text.encode()) for text in set(values.tolist())), default=0)
        if longest > _LONGEST_TEXT and self._widths.get(name, 0) <= _LONGEST_TEXT:
            _LOGGER.warning(
                "a Shapefile holds texts of up to %d bytes: longer ones of %r are cut; sent_id tells sentences apart.",
                _LONGEST_TEXT,
                name,
            )
        self._widths[name] = max(_USUAL_TEXT, longest, self._widths.get(name, 0))
        if longest <= _LONGEST_TEXT:
            return values
        cut = [text.encode()[:_LONGEST_TEXT].decode(errors="ignore") for text in values.tolist()]
        return np.array(cut, dtype=object)


@contextmanager
def _for_pyogrio(folder: Path) -> Iterator[Path]:
    """A folder under a name that pyogrio takes as it is: it splits names at `!`, as those of files in an archive."""
    if "!" not in str(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory() as other:
        link = Path(other) / "folder"
        link.symlink_to(folder.resolve(), target_is_directory=True)
        yield link
