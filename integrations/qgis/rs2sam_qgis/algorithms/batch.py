"""Many rasters, the same sentences."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
)

from ..imagery import imagery_of
from ..runner import batch
from ..running.commands import sentences_of
from ..running.errors import RunError
from ..settings import Settings
from ..translation import tr
from .base import Rs2SamAlgorithm, reporting_to


class BatchAlgorithm(Rs2SamAlgorithm):
    """Finds what sentences name in many rasters."""

    LAYERS = "LAYERS"
    IMAGES = "IMAGES"
    OVERWRITE = "OVERWRITE"
    DONE = "DONE"
    FAILED = "FAILED"

    def name(self) -> str:
        """Id within the provider."""
        return "batch"

    def displayName(self) -> str:  # noqa: N802 - QGIS calls it
        """In the toolbox."""
        return tr("Segment many rasters by sentence")

    def shortHelpString(self) -> str:  # noqa: N802 - QGIS calls it
        """Beside the parameters."""
        return tr(
            "Finds what each sentence names in many rasters: layers, or a folder that is searched at any depth. A "
            "raster that fails does not stop the others. The folder gets the results of each, and a run again with the "
            "same folder goes on where it ended. The polygons of all are loaded together; those of rasters without a "
            "CRS are in the folder only. Runs as a program, never over the server."
        )

    def initAlgorithm(self, config: dict[str, Any] | None = None) -> None:  # noqa: N802 - QGIS calls it
        """Parameters and outputs."""
        self.add(
            QgsProcessingParameterMultipleLayers(self.LAYERS, tr("Rasters"), QgsProcessing.TypeRaster, optional=True)
        )
        self.add(
            QgsProcessingParameterFile(
                self.IMAGES, tr("Or a folder of rasters"), QgsProcessingParameterFile.Folder, optional=True
            )
        )
        self.add_sentences()
        self.add_threshold()
        self.add_outlines()
        self.add_reading()
        self.add(QgsProcessingParameterBoolean(self.OVERWRITE, tr("Do finished rasters again"), False), advanced=True)
        self.add_polygons()
        self.add(QgsProcessingParameterFolderDestination(self.FOLDER, tr("Folder of the results")))
        for name, text in (
            (self.DONE, tr("Rasters done")),
            (self.FAILED, tr("Rasters failed")),
            (self.REGIONS, tr("Regions found")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, text))

    def checkParameterValues(  # noqa: N802 - QGIS calls it
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        """Either layers or a folder."""
        if bool(parameters.get(self.LAYERS)) == bool(parameters.get(self.IMAGES)):
            return False, tr("Choose rasters or a folder of rasters, and not both.")
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(  # noqa: N802 - QGIS calls it
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Read what belongs to the main thread: the layers and the settings."""
        try:
            self._sentences = sentences_of(self.parameterAsString(parameters, self.SENTENCES, context))
            layers = self.parameterAsLayerList(parameters, self.LAYERS, context) if parameters.get(self.LAYERS) else []
            self._imagery = [imagery_of(layer) for layer in layers]
        except RunError as error:
            feedback.reportError(str(error), fatalError=True)
            return False
        self._settings = Settings.load()
        return True

    def run_rs2sam(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run, and hand over the outputs."""
        folder = self.parameterAsString(parameters, self.FOLDER, context)
        os.makedirs(folder, exist_ok=True)
        images = self.parameterAsFile(parameters, self.IMAGES, context) or self._write_list(folder)
        outcome = batch(
            self._settings,
            images,
            self._sentences,
            self.options(parameters, context),
            folder,
            reporting_to(feedback),
            overwrite=self.parameterAsBool(parameters, self.OVERWRITE, context),
        )
        report = outcome.report
        for failure in report["failed"]:
            feedback.reportError(f"{failure['scene']}: {failure['error']}")
        for scene in report["with_lost_blocks"]:
            feedback.pushWarning(tr("{scene}: parts of it could not be read and have no data.").format(scene=scene))
        outputs = {
            self.FOLDER: folder,
            self.DONE: report["done"],
            self.FAILED: len(report["failed"]),
            self.REGIONS: sum(found["polygons"] for found in report["sentences"]),
        }
        if report["merged"] is not None:
            outputs[self.POLYGONS] = self.write_polygons(
                os.path.join(folder, report["merged"]["path"]),
                QgsCoordinateReferenceSystem(),
                self._sentences,
                parameters,
                context,
            )
        return outputs

    def _write_list(self, folder: str) -> str:
        """A text file with the path of each raster, in the folder of the results."""
        paths = [imagery.file(os.path.join(folder, "rasters"), whole=False) for imagery in self._imagery]
        path = os.path.join(folder, "rasters.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{each}\n" for each in dict.fromkeys(paths))
        return path
