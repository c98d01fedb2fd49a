"""The plugin as QGIS loads it: provider, dock, settings."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication, Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from .provider import Rs2SamProvider
from .settings import ICON
from .translation import install_translator, tr


class Rs2SamPlugin:
    """Adds everything to QGIS and takes it away again.

    Args:
        iface: QGIS's window; None in `qgis_process`.
    """

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self._translator = install_translator()
        self._provider: Rs2SamProvider | None = None
        self._dock: Any = None
        self._action: QAction | None = None
        self._options: Any = None

    def initProcessing(self) -> None:  # noqa: N802 - QGIS calls it
        """Add the algorithms; all that `qgis_process` asks for."""
        self._provider = Rs2SamProvider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:  # noqa: N802 - QGIS calls it
        """Add algorithms, dock, menu and settings."""
        from .dock import SentenceDock
        from .options_page import SettingsPageFactory

        self.initProcessing()
        self._options = SettingsPageFactory()
        self._iface.registerOptionsWidgetFactory(self._options)
        self._dock = SentenceDock(self._iface)
        self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self._dock)
        self._action = QAction(QIcon(ICON), tr("Segment by sentence"), self._iface.mainWindow())
        self._action.setCheckable(True)
        self._dock.setToggleVisibilityAction(self._action)
        self._iface.addRasterToolBarIcon(self._action)
        self._iface.addPluginToRasterMenu("rs2sam", self._action)

    def unload(self) -> None:
        """Take everything away."""
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
        if self._dock is not None:
            self._dock.stop()
            self._iface.removeDockWidget(self._dock)
            self._dock.deleteLater()
            self._iface.removeRasterToolBarIcon(self._action)
            self._iface.removePluginRasterMenu("rs2sam", self._action)
            self._iface.unregisterOptionsWidgetFactory(self._options)
        if self._translator is not None:
            QCoreApplication.removeTranslator(self._translator)
