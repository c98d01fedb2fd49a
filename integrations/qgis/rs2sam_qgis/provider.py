"""The algorithms of rs2sam in the Processing toolbox."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms.batch import BatchAlgorithm
from .algorithms.refine import RefineAlgorithm
from .algorithms.segment import SegmentAlgorithm
from .settings import ICON


class Rs2SamProvider(QgsProcessingProvider):
    """The group `rs2sam`."""

    def id(self) -> str:
        """Before the colon in the ids of algorithms."""
        return "rs2sam"

    def name(self) -> str:
        """In the toolbox."""
        return "rs2sam"

    def icon(self) -> QIcon:
        """In the toolbox."""
        return QIcon(ICON)

    def loadAlgorithms(self) -> None:  # noqa: N802 - QGIS calls it
        """Offer them."""
        for algorithm in (SegmentAlgorithm, BatchAlgorithm, RefineAlgorithm):
            self.addAlgorithm(algorithm())
