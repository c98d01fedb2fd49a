"""A result decided anew, without the model."""

from __future__ import annotations

import os
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
)

from ..runner import refine
from ..running.commands import sentences_of
from ..running.errors import RunError
from ..settings import Settings
from ..translation import tr
from .base import Rs2SamAlgorithm, reporting_to


class RefineAlgorithm(Rs2SamAlgorithm):
    """Another threshold, least area or outline for what was found before."""

    RESULT = "RESULT"

    def name(self) -> str:
        """Id within the provider."""
        return "refine"

    def displayName(self) -> str:  # noqa: N802 - QGIS calls it
        """In the toolbox."""
        return tr("Refine a result")

    def shortHelpString(self) -> str:  # noqa: N802 - QGIS calls it
        """Beside the parameters."""
        return tr(
            "Decides anew what counts in a result of 'Segment by sentence' that has kept its probabilities: another "
            "confidence, least area, simpler outlines, or a sentence that compares ('the largest building' of 'the "
            "buildings'). Neither the raster nor the model is needed, so it takes a moment. Runs as a program, never "
            "over the server."
        )

    def initAlgorithm(self, config: dict[str, Any] | None = None) -> None:  # noqa: N802 - QGIS calls it
        """Parameters and outputs."""
        self.add(
            QgsProcessingParameterFile(self.RESULT, tr("Result (STEM_result.json)"), extension="json"),
            tr("In the folder of a result that was made with 'Keep probabilities'."),
        )
        self.add(
            QgsProcessingParameterString(self.SENTENCES, tr("Sentences, one a line"), multiLine=True, optional=True),
            tr("Of the result, or such that differ from one in words that compare; empty: all of the result."),
        )
        self.add_threshold()
        self.add_outlines()
        self.add_scene_outputs()

    def prepareAlgorithm(  # noqa: N802 - QGIS calls it
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Read what belongs to the main thread: the settings."""
        self._settings = Settings.load()
        return True

    def run_rs2sam(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run, and hand over the outputs."""
        result = self.parameterAsFile(parameters, self.RESULT, context)
        folder = self.folder(parameters, context)
        if os.path.realpath(folder) == os.path.realpath(os.path.dirname(result)):
            raise RunError(tr("The folder is that of the result, whose files would go. Choose another one."))
        text = self.parameterAsString(parameters, self.SENTENCES, context)
        sentences = sentences_of(text) if text.strip() else []
        options = self.options(parameters, context, class_map=bool(parameters.get(self.CLASSES)))
        refined = refine(self._settings, result, sentences, options, folder, reporting_to(feedback))
        return self.write_scene(refined, QgsCoordinateReferenceSystem(), parameters, context, feedback)
