"""What a sentence names in an image, and what can be done with it: polygons, files, tables, pictures in notebooks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from rs2sam.errors import InvalidInputError, require, words_of
from rs2sam.fields import a_place

if TYPE_CHECKING:
    from folium import Map
    from geopandas import GeoDataFrame  # type: ignore[import-untyped]
    from rasterio import Affine
    from rasterio.crs import CRS
    from shapely.geometry import Polygon

    from rs2sam.processing_config import Calibration
    from rs2sam.raster.georeference import Georeference
    from rs2sam.vector.instances import Instances
    from rs2sam.vector.polygon_files import PolygonFormat
    from rs2sam.vector.vectorize import Region

SHOWN_SIDE = 512
"""Longer side of the picture in a notebook [px]."""

_POLYGON_SUFFIXES: dict[str, PolygonFormat] = {
    ".gpkg": "gpkg",
    ".geojson": "geojson",
    ".fgb": "fgb",
    ".parquet": "parquet",
    ".geoparquet": "parquet",
    ".shp": "shp",
}
_MASK_SUFFIXES = (".tif", ".tiff", ".png")


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What a sentence names in an image.

    Args:
        sentence: the referring expression.
        mask: (H, W) bool at the image's own size; never True where the image has no data.
        probability: (H, W) float32 foreground probability in [0, 1].
        presence: probability that what the sentence names is there at all (in tiles: the highest of any tile); None
            where the weights have no such head.
        score: predicted IoU of the mask in [0, 1]; None where the weights have no such head.
        georeference: where the pixels lie; the identity for an image without a place, None for a single view.
        warnings: what was doubtful about the image or the sentence, and how it was decided, a line each.
        valid: (H, W) bool, False where the image has no data; None for a single view.
        thumbnail: (h, w, 3) uint8, the image at up to `SHOWN_SIDE` pixels; None for a single view.
        source: path or URL of the image; empty for a single view.
        known: probability that the sentence names something the model was taught; None where the weights have no such
            head.
        calibration: how often a region that the model found is right; None where that was not measured.
        instances: which pixels of the mask belong to which object; None where the model tells none apart.
    """

    sentence: str
    mask: npt.NDArray[np.bool_]
    probability: npt.NDArray[np.float32]
    presence: float | None = None
    score: float | None = None
    georeference: Georeference | None = None
    warnings: tuple[str, ...] = ()
    valid: npt.NDArray[np.bool_] | None = field(default=None, repr=False)
    thumbnail: npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    source: str = ""
    known: float | None = None
    calibration: Calibration | None = field(default=None, repr=False)
    instances: Instances | None = field(default=None, repr=False)

    @property
    def crs(self) -> CRS | None:
        """Coordinate system of the image, None where it has none."""
        return None if self.georeference is None else self.georeference.crs

    @property
    def transform(self) -> Affine | None:
        """Pixel (column, row) to CRS coordinates; the identity for an image without a place, None for a single view."""
        return None if self.georeference is None else self.georeference.transform

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        """A GeoJSON-like FeatureCollection in the image's own CRS, as geopandas and others exchange it."""
        return {"type": "FeatureCollection", "features": [_feature(*row) for row in self._rows()]}

    def if_present(self, min_presence: float) -> Segmentation:
        """This, or nothing at all where the presence is below `min_presence` (in [0, 1]); the presence itself stays."""
        if self.presence is None or self.presence >= min_presence:
            return self
        return self._emptied()

    def if_known(self, min_known: float) -> Segmentation:
        """This, or nothing at all and a warning where `known` is below `min_known` (in [0, 1])."""
        remark = unknown_remark(self.sentence, self.known, min_known)
        return self if remark is None else replace(self._emptied(), warnings=(*self.warnings, remark))

    def _emptied(self) -> Segmentation:
        """This with nothing in it."""
        return replace(self, mask=np.zeros_like(self.mask), probability=np.zeros_like(self.probability))

    def polygons(self) -> list[Polygon]:
        """Outlines of the mask's connected pieces with their holes, largest first; objects told apart stay apart.

        In the image's CRS where it has one, else in pixels: x = column, y = row, from the upper left corner.
        """
        from rs2sam.vector.vectorize import mask_polygons

        return mask_polygons(self.mask, self.georeference, self.labels)

    def regions(self) -> list[Region]:
        """The polygons with pixels, area [m2] and mean probability of each, largest first."""
        from rs2sam.vector.vectorize import mask_regions

        return mask_regions(self.mask, self.probability, self.georeference, self.labels)

    def confidence_of(self, mean_probability: float) -> float | None:
        """Share of the model's regions with this mean probability that are right; None where that was not measured."""
        return None if self.calibration is None else self.calibration.share_of(mean_probability)

    @property
    def num_objects(self) -> int:
        """How many things were found: those that the model told apart, else the connected pieces of the mask."""
        from rs2sam.vector.objects import object_regions, objects_of

        return len(objects_of(object_regions(self.mask, self.labels, self.probability))[0])

    @property
    def labels(self) -> npt.NDArray[np.integer] | None:
        """(H, W) numbers of the objects; None where none were told apart."""
        return None if self.instances is None else self.instances.labels

    def save(self, path: str | Path) -> Path:
        """Write the mask or its polygons; the suffix says which.

        `.tif`: a GeoTIFF with 1 found, 0 not, 255 no data, where the image lies; `.png`: 255 found, 0 not; `.gpkg`,
        `.geojson`, `.fgb`, `.parquet`, `.shp`: polygons, see docs/polygons.md. A file of this name is replaced when the
        new one is whole.

        Args:
            path: of the file, in a folder that is there.

        Returns:
            The path.

        Raises:
            InvalidInputError: no such format, or the file cannot be written.
            MissingDependencyError: the format needs a library that is not installed.
        """
        path = a_place("path", path)
        suffix = path.suffix.lower()
        if suffix not in _POLYGON_SUFFIXES and suffix not in _MASK_SUFFIXES:
            raise InvalidInputError(
                f"`path` must end in one of {', '.join((*_MASK_SUFFIXES, *_POLYGON_SUFFIXES))}, which says what is "
                f"written, received {str(path)!r}."
            )
        try:
            if suffix in _POLYGON_SUFFIXES:
                self._save_polygons(path, _POLYGON_SUFFIXES[suffix])
            elif suffix == ".png":
                picture = Image.fromarray(self.mask.astype(np.uint8) * 255)
                _write_whole(path, partial(picture.save, format="PNG"))
            else:
                _write_whole(path, self._write_tiff)
        except OSError as error:
            raise InvalidInputError(
                f"{str(path)!r} could not be written ({error.strerror or words_of(error)}). Make its folder, free "
                "space, or choose another."
            ) from error
        return path

    def to_geodataframe(self) -> GeoDataFrame:
        """The polygons as a geopandas table in the image's CRS, largest first; one row a region.

        Raises:
            MissingDependencyError: geopandas is not installed.
        """
        require("geopandas", "geopandas", "`Segmentation.to_geodataframe`")
        from geopandas import GeoDataFrame

        rows = self._rows()
        geometries = [region.geometry for region, _ in rows]
        columns = {name: [row[name] for _, row in rows] for name in _COLUMNS}
        crs = None if self.crs is None else self.crs.to_wkt()
        return GeoDataFrame(columns, geometry=geometries, crs=crs)

    def explore(self, tiles: str | None = None, attribution: str = "") -> Map:
        """A map of the image and the polygons to move, zoom and click in, for notebooks (folium).

        A notebook shows it when it is the last thing of a cell; `.save("map.html")` writes it as a page. What it is
        drawn with, Leaflet, is loaded from the web by whoever looks at it: offline, the result itself is shown as a
        picture.

        Args:
            tiles: what lies under the image: a name that folium knows ("OpenStreetMap") or a URL with {z}, {x}, {y};
                None: nothing.
            attribution: what the owner of the tiles at a URL wants to be said.

        Returns:
            The map, in longitude and latitude where the image has a place on Earth, else in pixels.

        Raises:
            MissingDependencyError: folium is not installed.
            InvalidInputError: the tiles are not known to folium, or are asked for an image without a place.
        """
        from rs2sam.views.exploring import explore

        return explore(self, tiles, attribution)

    def _rows(self) -> list[tuple[Region, dict[str, Any]]]:
        """Regions with their attributes."""
        return [
            (
                region,
                {
                    "sentence": self.sentence,
                    "area_m2": region.area_m2,
                    "area_px": region.num_pixels,
                    "mean_probability": region.mean_probability,
                    "confidence": self.confidence_of(region.mean_probability),
                    "score": self.score,
                },
            )
            for region in self.regions()
        ]

    def _repr_png_(self) -> bytes:
        """The image with the mask, for notebooks."""
        from rs2sam.drawing import colour_against, mask_at, overlay

        height, width = self.mask.shape
        if self.thumbnail is None:
            scale = min(1.0, SHOWN_SIDE / max(height, width))
            size = max(1, round(width * scale)), max(1, round(height * scale))
            grey = Image.fromarray((self.probability * 255).astype(np.uint8)).resize(size)
            pixels = np.asarray(grey.convert("RGB"), dtype=np.float32).copy()
        else:
            pixels = self.thumbnail.astype(np.float32)
        mask = mask_at(self.mask, (pixels.shape[1], pixels.shape[0]))
        drawn = overlay(pixels, [(mask, colour_against(pixels, mask))])
        written = BytesIO()
        drawn.save(written, format="PNG")
        return written.getvalue()

    def _repr_html_(self) -> str:
        """Sentence, what was found and the picture, for notebooks."""
        from base64 import b64encode

        regions = self.regions()
        areas = [region.area_m2 for region in regions if region.area_m2 is not None]
        is_measured = bool(areas) and len(areas) == len(regions)
        size = f"{sum(areas):,.0f} m²" if is_measured else f"{int(self.mask.sum()):,} px"
        found = (
            f"{len(regions):,} {'region' if len(regions) == 1 else 'regions'}, {size}" if regions else "nothing found"
        )
        said = "".join(f"<br><small>{escape(remark)}</small>" for remark in self.warnings)
        picture = b64encode(self._repr_png_()).decode("ascii")
        return (
            f"<div><b>{escape(self.sentence)}</b>: {found}{said}<br>"
            f'<img alt="mask" src="data:image/png;base64,{picture}"></div>'
        )

    def _place(self) -> Georeference:
        """Where the pixels lie; of a single view, in pixels."""
        from rasterio import Affine

        from rs2sam.raster.georeference import Georeference

        return self.georeference or Georeference(Affine.identity())

    def _write_tiff(self, path: Path) -> None:
        """The mask as a GeoTIFF."""
        from rs2sam.raster.mask_files import MASK_NODATA, mask_file

        values = self.mask.astype(np.uint8)
        if self.valid is not None:
            values[~self.valid] = MASK_NODATA
        tags = {"RS2SAM_SOURCE": Path(self.source).name}
        with mask_file(path, self._place(), self.mask.shape, [self.sentence], tags) as dataset:
            dataset.write(values, 1)

    def _save_polygons(self, path: Path, polygon_format: PolygonFormat) -> None:
        """The polygons as a file of a format."""
        from rs2sam.vector.polygon_files import PolygonWriter, RegionLabels
        from rs2sam.vector.vectorize import pixel_regions

        place, size_hw = self._place(), (self.mask.shape[0], self.mask.shape[1])
        with PolygonWriter(path, polygon_format, place, size_hw) as writer:
            source = Path(self.source).name
            labels = RegionLabels(self.sentence, 1, "", source, calibration=self.calibration)
            writer.write(pixel_regions(self.mask, self.probability, place, self.labels), labels)


_COLUMNS = ("sentence", "area_m2", "area_px", "mean_probability", "confidence", "score")


def unknown_remark(sentence: str, known: float | None, min_known: float) -> str | None:
    """What is said of a sentence that names nothing the model was taught; None where it does, or nobody can tell.

    Args:
        sentence: as the model was asked.
        known: probability that it names something taught; None where the model does not tell.
        min_known: below which it does not.
    """
    if known is None or known >= min_known:
        return None
    return (
        f'"{sentence}" names nothing that the model was taught, as far as it can tell ({known:.0%}), so nothing is '
        "marked; `rs2sam models` lists what models find"
    )


def thumbnail_of(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """An image of (H, W, 3) uint8 at up to `SHOWN_SIDE` pixels a side."""
    picture = Image.fromarray(rgb)
    picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE), Image.Resampling.BILINEAR)
    return np.array(picture)


def _feature(region: Region, row: dict[str, Any]) -> dict[str, Any]:
    """One region as a GeoJSON-like feature."""
    return {"type": "Feature", "properties": row, "geometry": region.geometry.__geo_interface__}


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it there when it is whole."""
    with tempfile.TemporaryDirectory(prefix=".rs2sam-", dir=path.parent, ignore_cleanup_errors=True) as folder:
        made = Path(folder) / f"made{path.suffix.lower()}"
        write(made)
        os.replace(made, path)
