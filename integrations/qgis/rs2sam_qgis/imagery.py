"""From a raster layer of QGIS to a file that rs2sam reads."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass

from osgeo import gdal, osr
from qgis.core import QgsCoordinateReferenceSystem, QgsProviderRegistry, QgsRasterLayer, QgsRectangle

from .running.errors import RunError
from .translation import tr

_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class Imagery:
    """What a raster layer shows, as rs2sam is to read it.

    Args:
        path: that GDAL opens.
        crs: the layer's, which the user may have set otherwise than the file does.
        window: column, row, width and height of the part that is meant [px]; None: all of it.
        is_relabelled: whether the file says another CRS than the layer, or none.
    """

    path: str
    crs: QgsCoordinateReferenceSystem
    window: tuple[int, int, int, int] | None = None
    is_relabelled: bool = False

    @property
    def name(self) -> str:
        """Of the file, without its folder."""
        return os.path.basename(self.path)

    def file(self, folder: str, *, whole: bool) -> str:
        """Path of a file with these pixels and this CRS.

        Args:
            folder: where one is written if the layer's own does not do.
            whole: it holds everything itself and has the pixels in it, as a server needs it.
        """
        dataset = _open(self.path)
        is_one_file = os.path.isfile(self.path) and len(dataset.GetFileList() or []) == 1
        if self.window is None and not self.is_relabelled and (is_one_file or not whole):
            return self.path
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"{self._stem()}.{'tif' if whole else 'vrt'}")
        written = gdal.Translate(
            path,
            dataset,
            format="GTiff" if whole else "VRT",
            srcWin=self.window,
            outputSRS=self.crs.toWkt(QgsCoordinateReferenceSystem.WKT_PREFERRED_GDAL) if self.is_relabelled else None,
            creationOptions=["COMPRESS=DEFLATE", "TILED=YES", "BIGTIFF=IF_SAFER"] if whole else [],
        )
        if written is None:
            raise RunError(tr("The part of the raster cannot be written to {path}.").format(path=path))
        del written  # which writes it
        return path

    def transform(self) -> tuple[float, ...] | None:
        """GDAL's geotransform of what `file` gives; None where the raster has none."""
        transform = _open(self.path).GetGeoTransform(can_return_null=True)
        if transform is None or self.window is None:
            return transform
        left, top = gdal.ApplyGeoTransform(transform, *self.window[:2])
        return (left, *transform[1:3], top, *transform[4:])

    def _stem(self) -> str:
        """The name of the results."""
        # A part of a container is `NETCDF:"/data/a.nc":band`.
        return _NOT_IN_NAMES.sub("_", os.path.splitext(os.path.basename(self.path.rstrip('"')))[0]) or "raster"


def imagery_of(layer: QgsRasterLayer | None, extent: QgsRectangle | None = None) -> Imagery:
    """What a layer shows.

    Args:
        layer: of a raster that GDAL reads.
        extent: of the part that is meant, in the layer's CRS.

    Raises:
        RunError: when the layer is no file, or the part lies beside it.
    """
    if layer is None or not layer.isValid():
        raise RunError(tr("A raster layer is needed, but there is none that can be read."))
    if layer.providerType() != "gdal":
        raise RunError(
            tr(
                "The layer {name} is no file ({kind}). Save the part you need with Layer > Save As... and take that."
            ).format(name=layer.name(), kind=layer.providerType())
        )
    path = _path_of(layer.source())
    dataset = _open(path)
    of_file = QgsCoordinateReferenceSystem.fromWkt(_wkt_of(dataset))
    return Imagery(
        path,
        layer.crs(),
        None if extent is None or extent.isEmpty() else _window(dataset, extent, layer.name()),
        is_relabelled=layer.crs().isValid() and layer.crs() != of_file,
    )


def _path_of(source: str) -> str:
    """What GDAL opens, from the source of a layer, which may carry options of QGIS behind a bar."""
    parts = QgsProviderRegistry.instance().decodeUri("gdal", source)
    return source.partition("|")[0] if parts.get("layerName") else parts.get("path") or source


def _open(path: str) -> gdal.Dataset:
    try:
        dataset = gdal.Open(path)
    except RuntimeError as error:  # where GDAL's exceptions are switched on
        raise RunError(str(error)) from error
    if dataset is None:
        raise RunError(tr("GDAL cannot read {path}.").format(path=path))
    return dataset


def _wkt_of(dataset: gdal.Dataset) -> str:
    """The CRS of a file, of its ground control points where it has no other."""
    reference: osr.SpatialReference | None = dataset.GetSpatialRef() or dataset.GetGCPSpatialRef()
    return "" if reference is None else reference.ExportToWkt(["FORMAT=WKT2_2019"])


def _window(dataset: gdal.Dataset, extent: QgsRectangle, name: str) -> tuple[int, int, int, int] | None:
    """The pixels that an extent touches; None where that is all of them."""
    transform = dataset.GetGeoTransform(can_return_null=True)
    if transform is None:
        raise RunError(
            tr("The layer {name} has no place on the map, so no part of it can be chosen.").format(name=name)
        )
    inverse = gdal.InvGeoTransform(transform)
    corners = [
        gdal.ApplyGeoTransform(inverse, x, y)
        for x in (extent.xMinimum(), extent.xMaximum())
        for y in (extent.yMinimum(), extent.yMaximum())
    ]

    def span(values: list[float], side: int) -> tuple[int, int]:
        # A hair inside: an extent that was drawn along pixel edges touches no pixel beyond them.
        return max(0, math.floor(min(values) + 1e-3)), min(side, math.ceil(max(values) - 1e-3))

    left, right = span([x for x, _ in corners], dataset.RasterXSize)
    top, bottom = span([y for _, y in corners], dataset.RasterYSize)
    if left >= right or top >= bottom:
        raise RunError(tr("The extent lies beside the layer {name}. Choose one that it covers.").format(name=name))
    if (left, top, right, bottom) == (0, 0, dataset.RasterXSize, dataset.RasterYSize):
        return None
    return left, top, right - left, bottom - top
