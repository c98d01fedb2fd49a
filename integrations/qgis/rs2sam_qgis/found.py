"""What was found, as features of a temporary layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from osgeo import gdal, ogr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsField,
    QgsFields,
    QgsGeometry,
    QgsPointXY,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant

from .imagery import Imagery
from .running.errors import RunError
from .running.results import SceneResult, describe
from .styling import style_polygons
from .translation import tr

KEY_OF_GEOPACKAGE = "fid"
_COLUMNS = (
    ("sentence", QVariant.String),
    ("sentence_id", QVariant.Int),
    ("area_m2", QVariant.Double),
    ("area_px", QVariant.LongLong),
    ("mean_probability", QVariant.Double),
    ("model", QVariant.String),
    ("source", QVariant.String),
)


@dataclass
class Found:
    """Regions and where they lie.

    Args:
        crs: of the geometries; invalid where the raster has none.
        fields: of the features.
        features: one a region.
        sentences: that were asked, in order.
        summary: a line for each sentence.
        warnings: what was doubtful.
    """

    crs: QgsCoordinateReferenceSystem
    fields: QgsFields
    features: list[QgsFeature]
    sentences: list[str]
    summary: list[str]
    warnings: list[str]

    def new_layer(self, name: str, first_colour: int = 0) -> QgsVectorLayer:
        """A temporary layer that holds it."""
        layer = QgsVectorLayer("Polygon", name, "memory")
        layer.setCrs(self.crs)
        layer.dataProvider().addAttributes(list(self.fields))
        layer.updateFields()
        self.fill(layer, first_colour)
        return layer

    def fill(self, layer: QgsVectorLayer, first_colour: int = 0) -> None:
        """Put it into a layer of `new_layer` instead of what that holds."""
        layer.setSubsetString("")
        layer.dataProvider().truncate()
        layer.dataProvider().addFeatures(self.features)
        layer.updateExtents()
        style_polygons(layer, self.sentences, first_colour)


def found_in_files(result: SceneResult, crs: QgsCoordinateReferenceSystem) -> Found:
    """Read the polygons of a result.

    Args:
        result: with a file of polygons.
        crs: taken where the file has none.
    """
    own_crs, fields, features = read_polygons(result.path("polygons"))
    return Found(
        own_crs if own_crs.isValid() else crs,
        fields,
        features,
        result.sentences,
        result.summary(),
        [*result.report["warnings"], *([result.problem] if result.problem else [])],
    )


def read_polygons(path: str) -> tuple[QgsCoordinateReferenceSystem, QgsFields, list[QgsFeature]]:
    """CRS, fields and features of all layers of a file; rs2sam writes one a sentence.

    GeoPackage's key is left out, as numbers of several layers are the same.

    Raises:
        RunError: when QGIS cannot read it.
    """
    crs, fields, features = QgsCoordinateReferenceSystem(), QgsFields(), []
    for name in _layers_of(path):
        layer = QgsVectorLayer(f"{path}|layername={name}", name, "ogr")
        if not layer.isValid():
            raise RunError(tr("QGIS cannot read {path}, which rs2sam wrote.").format(path=path))
        if fields.isEmpty():
            crs = layer.crs()
            for field in layer.fields():
                if field.name() != KEY_OF_GEOPACKAGE:
                    fields.append(QgsField(field))
        for each in layer.getFeatures():
            feature = QgsFeature(fields)
            feature.setGeometry(each.geometry())
            feature.setAttributes([each[field.name()] for field in fields])
            features.append(feature)
    return crs, fields, features


def _layers_of(path: str) -> list[str]:
    """Names of the layers of a file that have geometries; styles are a table beside them."""
    dataset = gdal.OpenEx(path, gdal.OF_VECTOR)
    if dataset is None:
        raise RunError(tr("QGIS cannot read {path}, which rs2sam wrote.").format(path=path))
    layers = [dataset.GetLayer(number) for number in range(dataset.GetLayerCount())]
    return [layer.GetName() for layer in layers if layer.GetGeomType() != ogr.wkbNone]


def found_in_answer(answer: dict[str, Any], imagery: Imagery) -> Found:
    """Place the regions that a server gave in pixels.

    Args:
        answer: of `POST /v1/images/{id}/segment`.
        imagery: that was sent.
    """
    fields = QgsFields()
    for name, kind in _COLUMNS:
        fields.append(QgsField(name, kind))
    transform = imagery.transform()
    features = []
    for result in answer["results"]:
        for region in result["regions"]["features"]:
            said = region["properties"]
            feature = QgsFeature(fields)
            feature.setGeometry(_geometry(region["geometry"], transform))
            feature.setAttributes(
                [
                    result["sentence"],
                    result["index"] + 1,
                    said["area_m2"],
                    said["area_px"],
                    said.get("mean_probability", said["confidence"]),
                    answer["model"]["name"],
                    imagery.name,
                ]
            )
            features.append(feature)
    return Found(
        imagery.crs,
        fields,
        features,
        [result["sentence"] for result in answer["results"]],
        [describe({**result, "polygons": result["count"]}) for result in answer["results"]],
        [*answer["warnings"], *(warning for result in answer["results"] for warning in result["warnings"])],
    )


def _geometry(polygon: dict[str, Any], transform: Sequence[float] | None) -> QgsGeometry:
    """A polygon in pixels on the map; without a transform y grows upwards from below the raster, as QGIS shows it."""

    def place(point: Sequence[float]) -> QgsPointXY:
        if transform is None:
            return QgsPointXY(point[0], -point[1])
        return QgsPointXY(*gdal.ApplyGeoTransform(transform, *point))

    return QgsGeometry.fromPolygonXY([[place(point) for point in ring] for ring in polygon["coordinates"]])
