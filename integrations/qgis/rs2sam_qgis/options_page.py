"""The page of QGIS's options where the user says how rs2sam is run."""

from __future__ import annotations

from qgis.gui import QgsFileWidget, QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from .running.client import Client
from .running.commands import program_of
from .running.errors import RunError
from .running.process import version_of
from .settings import ICON, Settings
from .translation import tr


class SettingsPage(QgsOptionsPageWidget):
    """Settings > Options > rs2sam."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        settings = Settings.load()
        self._by_program = QRadioButton(tr("As a program, in an environment of its own"))
        self._by_server = QRadioButton(tr("Over a running server (rs2sam serve)"))
        (self._by_server if settings.through_server else self._by_program).setChecked(True)
        self._program = QgsFileWidget()
        self._program.setFilePath(settings.program)
        self._program.lineEdit().setPlaceholderText(tr("rs2sam of the PATH, e.g. /home/me/sam/bin/rs2sam"))
        self._model = QLineEdit(settings.model)
        self._model.setPlaceholderText(tr("compact; `rs2sam models` lists the names"))
        self._server = QLineEdit(settings.server)
        self._token = QLineEdit(settings.token)
        self._token.setEchoMode(QLineEdit.EchoMode.Password)
        self._token.setToolTip(tr("Kept unencrypted in the settings of QGIS."))
        self._said = QLabel()
        self._said.setWordWrap(True)
        check = QPushButton(tr("Try it"))
        check.clicked.connect(self._try)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for button, rows in (
            (self._by_program, [(tr("Program"), self._program), (tr("Model"), self._model)]),
            (self._by_server, [(tr("Address"), self._server), (tr("Token"), self._token)]),
        ):
            layout.addWidget(button)
            form = QFormLayout()
            form.setContentsMargins(24, 0, 0, 8)
            for name, widget in rows:
                form.addRow(name, widget)
            layout.addLayout(form)
        row = QHBoxLayout()
        row.addWidget(check)
        row.addWidget(self._said, 1)
        layout.addLayout(row)
        layout.addStretch(1)

    def apply(self) -> None:
        """Keep what the page says; called by QGIS."""
        self._settings().save()

    def _settings(self) -> Settings:
        return Settings(
            through_server=self._by_server.isChecked(),
            program=self._program.filePath(),
            model=self._model.text().strip(),
            server=self._server.text().strip(),
            token=self._token.text(),
        )

    def _try(self) -> None:
        """Say whether rs2sam can be reached as the page says."""
        settings = self._settings()
        try:
            if settings.through_server:
                service = Client(settings.server, settings.token).service()
                model = (service["model"] or {}).get("name")
                said = tr("rs2sam {version}, model {model}").format(version=service["version"], model=model)
            else:
                said = version_of(program_of(settings.program))
        except RunError as error:
            said = str(error)
        self._said.setText(said)


class SettingsPageFactory(QgsOptionsWidgetFactory):
    """Makes the page when the options are opened."""

    def __init__(self) -> None:
        super().__init__()
        self.setTitle("rs2sam")

    def icon(self) -> QIcon:
        """Beside the page's name."""
        return QIcon(ICON)

    def createWidget(self, parent: QWidget) -> SettingsPage:  # noqa: N802 - QGIS calls it
        """The page."""
        return SettingsPage(parent)
