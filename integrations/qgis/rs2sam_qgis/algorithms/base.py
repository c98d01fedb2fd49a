"""What the algorithms share: parameters, reporting, and bringing polygons into QGIS's outputs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeatureSink,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
    QgsProcessingUtils,
    QgsWkbTypes,
)
from qgis.PyQt.QtGui import QIcon

from ..found import read_polygons
from ..runner import Reporting
from ..running.commands import Options
from ..running.errors import CanceledError, RunError
from ..running.results import SceneResult
from ..settings import ICON
from ..styling import Styler
from ..translation import tr

_NAME_LENGTH = 60


class Rs2SamAlgorithm(QgsProcessingAlgorithm):
    """An algorithm that runs rs2sam."""

    SENTENCES = "SENTENCES"
    MODEL = "MODEL"
    THRESHOLD = "THRESHOLD"
    MIN_AREA = "MIN_AREA"
    SIMPLIFY = "SIMPLIFY"
    ORTHOGONAL = "ORTHOGONAL"
    BANDS = "BANDS"
    STRETCH = "STRETCH"
    TILE = "TILE"
    GSD = "GSD"
    MIRROR = "MIRROR"
    EXTRA = "EXTRA"
    POLYGONS = "POLYGONS"
    FOLDER = "FOLDER"
    MASK = "MASK"
    CLASSES = "CLASSES"
    REGIONS = "REGIONS"
    SUMMARY = "SUMMARY"

    _stylers: dict[str, Styler] = {}  # QGIS does not keep them, and calls them after the algorithm is gone  # noqa: RUF012

    def createInstance(self) -> Rs2SamAlgorithm:  # noqa: N802 - QGIS calls it
        """One for a run."""
        return type(self)()

    def icon(self) -> QIcon:
        """In the toolbox."""
        return QIcon(ICON)

    def processAlgorithm(  # noqa: N802 - QGIS calls it
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run; what rs2sam says against it is shown as QGIS shows errors."""
        try:
            return self.run_rs2sam(parameters, context, feedback)
        except CanceledError:
            return {}
        except RunError as error:
            raise QgsProcessingException(str(error)) from error

    def run_rs2sam(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """What the algorithm does; gives the outputs by name."""
        raise NotImplementedError

    # --- parameters ---------------------------------------------------------------------------------------------------

    def add(self, parameter: QgsProcessingParameterDefinition, words: str = "", *, advanced: bool = False) -> None:
        """Take a parameter, with words that explain it."""
        if words:
            parameter.setHelp(words)
        if advanced:
            parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
        self.addParameter(parameter)

    def add_sentences(self) -> None:
        """The sentences."""
        self.add(
            QgsProcessingParameterString(self.SENTENCES, tr("Sentences, one a line"), multiLine=True),
            tr("What is looked for, e.g. 'the storage tanks' or 'the largest building'."),
        )

    def add_threshold(self) -> None:
        """Which pixels and regions count."""
        self.add(
            QgsProcessingParameterNumber(
                self.THRESHOLD,
                tr("Confidence above which a pixel counts"),
                QgsProcessingParameterNumber.Double,
                0.5,
                minValue=0.0,
                maxValue=1.0,
            )
        )
        self.add(
            QgsProcessingParameterString(self.MIN_AREA, tr("Least area of a region"), "0", optional=True),
            tr("With its unit: 40px or 25m2."),
        )

    def add_outlines(self) -> None:
        """How outlines are drawn."""
        self.add(
            QgsProcessingParameterNumber(
                self.SIMPLIFY,
                tr("Simplify outlines within [m]"),
                QgsProcessingParameterNumber.Double,
                0.0,
                minValue=0.0,
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean(self.ORTHOGONAL, tr("Square up outlines, as those of buildings"), False),
            advanced=True,
        )

    def add_reading(self) -> None:
        """How the raster is read and asked about."""
        number = QgsProcessingParameterNumber
        for name, text, words in (
            (self.MODEL, tr("Model"), tr("Name, folder or hub id; empty: the one in the settings.")),
            (self.BANDS, tr("Bands shown as red,green,blue"), tr("Counted from 1, e.g. 4,3,2; or one for grey.")),
            (self.STRETCH, tr("Values to 8 bit"), tr("none, percentile:2,98 or fixed:0,3000.")),
        ):
            self.add(QgsProcessingParameterString(name, text, optional=True), words, advanced=True)
        self.add(number(self.TILE, tr("Side of a tile [px]"), number.Integer, optional=True, minValue=1), advanced=True)
        self.add(
            number(self.GSD, tr("Resolution shown to the model [m/px]"), number.Double, optional=True), advanced=True
        )
        self.add(
            QgsProcessingParameterBoolean(
                self.MIRROR, tr("Ask about the mirror image too (takes twice as long)"), False
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterString(self.EXTRA, tr("Further options of the command line"), optional=True),
            tr("As of rs2sam segment --help, e.g. --exhaustive --scope tile."),
            advanced=True,
        )

    def add_polygons(self) -> None:
        """The layer of what is found."""
        self.add(QgsProcessingParameterFeatureSink(self.POLYGONS, tr("Found"), QgsProcessing.TypeVectorPolygon))

    def add_scene_outputs(self) -> None:
        """What one raster gives."""
        self.add_polygons()
        for name, text in ((self.MASK, tr("Mask")), (self.CLASSES, tr("Class map"))):
            self.add(QgsProcessingParameterRasterDestination(name, text, optional=True, createByDefault=False))
        self.add(
            QgsProcessingParameterFolderDestination(
                self.FOLDER, tr("Folder with everything that rs2sam writes"), optional=True, createByDefault=False
            )
        )
        self.addOutput(QgsProcessingOutputNumber(self.REGIONS, tr("Regions found")))
        self.addOutput(QgsProcessingOutputString(self.SUMMARY, tr("Summary")))

    def folder(self, parameters: dict[str, Any], context: QgsProcessingContext) -> str:
        """Where rs2sam writes: the folder that the user chose, or one that goes with QGIS."""
        if parameters.get(self.FOLDER):
            return self.parameterAsString(parameters, self.FOLDER, context)
        return QgsProcessingUtils.generateTempFilename("rs2sam")

    def options(self, parameters: dict[str, Any], context: QgsProcessingContext, **others: Any) -> Options:
        """The parameters that were given, of those that the algorithm has."""

        def of(name: str, read: Any) -> Any:
            given = self.parameterDefinition(name) is not None and parameters.get(name) is not None
            return read(parameters, name, context) if given else None

        return Options(
            model=of(self.MODEL, self.parameterAsString),
            threshold=of(self.THRESHOLD, self.parameterAsDouble),
            min_area=of(self.MIN_AREA, self.parameterAsString),
            bands=of(self.BANDS, self.parameterAsString),
            stretch=of(self.STRETCH, self.parameterAsString),
            tile=of(self.TILE, self.parameterAsInt),
            gsd=of(self.GSD, self.parameterAsDouble),
            simplify=of(self.SIMPLIFY, self.parameterAsDouble) or None,
            orthogonal=bool(of(self.ORTHOGONAL, self.parameterAsBool)),
            mirror=bool(of(self.MIRROR, self.parameterAsBool)),
            extra=of(self.EXTRA, self.parameterAsString) or "",
            **others,
        )

    # --- results ------------------------------------------------------------------------------------------------------

    def write_scene(
        self,
        result: SceneResult,
        crs: QgsCoordinateReferenceSystem,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Say what was found in one raster, and bring it into the outputs of `add_scene_outputs`."""
        if result.problem:
            feedback.reportError(result.problem)
        for warning in result.report["warnings"]:
            feedback.pushWarning(warning)
        for line in result.summary():
            feedback.pushInfo(line)
        outputs = {
            self.POLYGONS: self.write_polygons(result.path("polygons"), crs, result.sentences, parameters, context),
            self.REGIONS: result.num_regions,
            self.SUMMARY: "\n".join(result.summary()),
        }
        for name, kind in ((self.MASK, "mask"), (self.CLASSES, "classes")):
            if parameters.get(name):
                outputs[name] = self.parameterAsOutputLayer(parameters, name, context)
                os.makedirs(os.path.dirname(outputs[name]) or ".", exist_ok=True)
                shutil.copyfile(result.path(kind), outputs[name])
                self.style_on_load(outputs[name], kind, result.sentences, context)
        if parameters.get(self.FOLDER):
            outputs[self.FOLDER] = result.folder
        return outputs

    def write_polygons(
        self,
        path: str,
        crs: QgsCoordinateReferenceSystem,
        sentences: Sequence[str],
        parameters: dict[str, Any],
        context: QgsProcessingContext,
    ) -> str:
        """Copy a file of polygons into the output that the user chose, to be loaded with its style.

        Args:
            path: of what rs2sam wrote.
            crs: of the raster as the user sees it, used where the file has none.
            sentences: that were asked, for the categories.
            parameters: of the algorithm.
            context: of the run.

        Returns:
            Id of the output.
        """
        own_crs, fields, features = read_polygons(path)
        sink, target = self.parameterAsSink(
            parameters,
            self.POLYGONS,
            context,
            fields,
            QgsWkbTypes.Polygon,
            own_crs if own_crs.isValid() else crs,
        )
        if sink is None:
            raise QgsProcessingException(self.invalidSinkError(parameters, self.POLYGONS))
        for feature in features:
            if not sink.addFeature(feature, QgsFeatureSink.FastInsert):
                raise QgsProcessingException(self.writeFeatureError(sink, parameters, self.POLYGONS))
        del sink  # which writes what waits
        self.style_on_load(target, "polygons", sentences, context)
        return target

    def style_on_load(self, target: str, kind: str, sentences: Sequence[str], context: QgsProcessingContext) -> None:
        """Let an output be styled, and named after what was asked, when QGIS loads it."""
        if not context.willLoadLayerOnCompletion(target):
            return
        details = context.layerToLoadOnCompletionDetails(target)
        if kind == "polygons":
            name = ", ".join(sentences)
            details.name = name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 1]}…"
        self._stylers[target] = Styler(kind, sentences)
        details.setPostProcessor(self._stylers[target])


def reporting_to(feedback: QgsProcessingFeedback) -> Reporting:
    """A run's words into the window of an algorithm."""

    def line(text: str) -> None:
        (feedback.pushWarning if text.startswith("warning: ") else feedback.pushInfo)(text)

    return Reporting(feedback.setProgress, line, feedback.isCanceled)
