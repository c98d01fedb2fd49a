"""One raster, one or several sentences."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterRasterLayer,
)

from ..imagery import imagery_of
from ..runner import segment
from ..running.commands import sentences_of
from ..running.errors import RunError
from ..settings import Settings
from ..translation import tr
from .base import Rs2SamAlgorithm, reporting_to


class SegmentAlgorithm(Rs2SamAlgorithm):
    """Finds what sentences name in a raster."""

    INPUT = "INPUT"
    EXTENT = "EXTENT"
    THROUGH = "THROUGH"
    KEEP = "KEEP_PROBABILITIES"

    def name(self) -> str:
        """Id within the provider."""
        return "segment"

    def displayName(self) -> str:  # noqa: N802 - QGIS calls it
        """In the toolbox."""
        return tr("Segment by sentence")

    def tags(self) -> list[str]:
        """Words to find it by."""
        return ["segmentation", "text", "prompt", "object", "detect", "mask"]

    def shortHelpString(self) -> str:  # noqa: N802 - QGIS calls it
        """Beside the parameters."""
        return tr(
            "Finds what each sentence names in a raster. The polygons have the sentence, its number, the area on the "
            "ellipsoid (area_m2), pixels (area_px) and the mean probability; they are drawn in a colour a sentence, "
            "more solid where the model is surer. Mask: a band a sentence, 1 found, 0 not, 255 no data. Class map: the "
            "number of the most probable sentence.\n\nWords that compare ('the largest', 'upper left') are decided for "
            "the whole raster, or for the extent if one is given."
        )

    def initAlgorithm(self, config: dict[str, Any] | None = None) -> None:  # noqa: N802 - QGIS calls it
        """Parameters and outputs."""
        self.add(QgsProcessingParameterRasterLayer(self.INPUT, tr("Raster")))
        self.add_sentences()
        self.add(
            QgsProcessingParameterExtent(self.EXTENT, tr("Only this extent"), optional=True),
            tr("In whole pixels of the raster."),
        )
        self.add_threshold()
        self.add_outlines()
        self.add_reading()
        self.add(
            QgsProcessingParameterEnum(
                self.THROUGH,
                tr("Run"),
                [tr("As in the settings"), tr("As a program"), tr("Over the server")],
                defaultValue=0,
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean(
                self.KEEP, tr("Keep probabilities in the folder, to refine the result"), False
            ),
            advanced=True,
        )
        self.add_scene_outputs()

    def prepareAlgorithm(  # noqa: N802 - QGIS calls it
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Read what belongs to the main thread: the layer and the settings."""
        layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
        try:
            if layer is None:
                raise RunError(self.invalidRasterError(parameters, self.INPUT))
            extent = None
            if parameters.get(self.EXTENT) is not None:
                extent = self.parameterAsExtent(parameters, self.EXTENT, context, layer.crs())
            self._imagery = imagery_of(layer, extent)
            self._sentences = sentences_of(self.parameterAsString(parameters, self.SENTENCES, context))
        except RunError as error:
            feedback.reportError(str(error), fatalError=True)
            return False
        self._settings = Settings.load()
        through = self.parameterAsEnum(parameters, self.THROUGH, context)
        if through:
            self._settings.through_server = through == 2
        return True

    def run_rs2sam(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run, and hand over the outputs."""
        keeps = bool(parameters.get(self.KEEP)) and self.parameterAsBool(parameters, self.KEEP, context)
        options = self.options(
            parameters, context, class_map=bool(parameters.get(self.CLASSES)), keep_probabilities=keeps
        )
        folder = self.folder(parameters, context)
        result = segment(self._settings, self._imagery, self._sentences, options, folder, reporting_to(feedback))
        return self.write_scene(result, self._imagery.crs, parameters, context, feedback)
