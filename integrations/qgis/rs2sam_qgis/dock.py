"""The dock: a raster, a sentence, and what it names on the map."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsCoordinateTransform,
    QgsCsException,
    QgsMapLayerProxyModel,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsSettings,
    QgsVectorLayer,
)
from qgis.gui import QgsDockWidget, QgsMapLayerComboBox
from qgis.PyQt.QtCore import QStringListModel, Qt, QTimer
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QCompleter,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .found import Found
from .imagery import imagery_of
from .running.commands import Options, sentences_of
from .running.errors import RunError
from .settings import Settings
from .styling import colour_of
from .task import SegmentTask
from .translation import tr

_HISTORY_KEY = "rs2sam/history"
_HISTORY_LENGTH = 50
_PAUSE_MS = 500  # of typing, after which a sentence is taken for meant
_LEAST_LETTERS = 3


class SentenceDock(QgsDockWidget):
    """Asks for sentences in the raster that is chosen, when Enter is pressed or, over a server, while one types.

    Args:
        iface: QGIS's window.
    """

    def __init__(self, iface: Any) -> None:
        super().__init__(tr("Segment by sentence"), iface.mainWindow())
        self.setObjectName("rs2sam")
        self._iface = iface
        self._task: SegmentTask | None = None
        self._is_awaited = False  # another question is to follow the one under way
        self._layer_id = ""  # of the layer that shows the last answer
        self._is_provisional = False  # the next answer takes its place
        self._next_colour = 0
        self._history = QStringListModel(QgsSettings().value(_HISTORY_KEY, [], type=list))
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(lambda: self.ask(is_live=True))
        self._make_widgets()
        self._lay_out()
        self.show_settings()

    def _make_widgets(self) -> None:
        self._raster = QgsMapLayerComboBox()
        self._raster.setFilters(QgsMapLayerProxyModel.RasterLayer)
        self._raster.layerChanged.connect(self._begin_layer)
        self._sentence = QLineEdit()
        self._sentence.setPlaceholderText(tr("the storage tanks; the largest building"))
        self._sentence.setToolTip(tr("Several sentences are divided by a semicolon."))
        self._sentence.setClearButtonEnabled(True)
        self._sentence.setAccessibleName(tr("Sentence"))
        completer = QCompleter(self._history, self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self._sentence.setCompleter(completer)
        self._sentence.returnPressed.connect(self.ask)
        self._sentence.textEdited.connect(self._typed)
        self._only_visible = QCheckBox(tr("Only what the map shows"))
        self._as_typed = QCheckBox(tr("While I type"))
        self._go = QPushButton(tr("Segment"))
        self._go.clicked.connect(self._go_or_stop)
        self._bar = QProgressBar()
        self._bar.setRange(0, 100)
        self._bar.setVisible(False)
        self._confidence = QSlider(Qt.Orientation.Horizontal)
        self._confidence.setRange(50, 99)
        self._confidence.setAccessibleName(tr("Least confidence"))
        self._confidence.valueChanged.connect(self._filter)
        self._least = QLabel()
        self._said = QLabel()
        self._said.setWordWrap(True)
        self._said.setTextFormat(Qt.TextFormat.RichText)
        self._how = QLabel()
        self._how.setWordWrap(True)
        self._set = QToolButton()
        self._set.setText("…")
        self._set.setToolTip(tr("Settings"))
        self._set.clicked.connect(self._open_settings)

    def _lay_out(self) -> None:
        content = QWidget()
        layout = QVBoxLayout(content)
        form = QFormLayout()
        form.addRow(tr("Raster"), self._raster)
        form.addRow(tr("Sentence"), self._sentence)
        layout.addLayout(form)
        for widgets in (
            (self._only_visible, self._as_typed, self._go),
            (QLabel(tr("Least confidence")), self._confidence, self._least),
        ):
            row = QHBoxLayout()
            for widget in widgets:
                row.addWidget(widget)
            layout.addLayout(row)
        layout.addWidget(self._bar)
        layout.addWidget(self._said)
        layout.addStretch(1)
        row = QHBoxLayout()
        row.addWidget(self._how, 1)
        row.addWidget(self._set)
        layout.addLayout(row)
        self.setWidget(content)
        self._show_least()

    def show_settings(self) -> None:
        """Say how rs2sam is run."""
        settings = Settings.load()
        self._as_typed.setVisible(settings.through_server)
        self._how.setText(
            tr("Over the server {address}").format(address=settings.server)
            if settings.through_server
            else tr("As a program: {program}").format(program=settings.program or "rs2sam")
        )

    def stop(self) -> None:
        """Stop what is under way."""
        self._pause.stop()
        self._is_awaited = False
        if self._task is not None:
            self._task.cancel()

    def ask(self, *, is_live: bool = False) -> None:
        """Ask for the sentences of the line.

        Args:
            is_live: they may not be finished yet; the answer is replaced by the next one.
        """
        self._pause.stop()
        if self._task is not None:
            self._is_awaited = self._is_awaited or not is_live or self._as_typed.isChecked()
            self._task.cancel()
            return
        settings = Settings.load()
        try:
            sentences = sentences_of(self._sentence.text().replace(";", "\n"))
            layer = self._raster.currentLayer()
            imagery = imagery_of(layer, self._visible_extent(layer) if self._only_visible.isChecked() else None)
        except RunError as error:
            self._complain(str(error))
            return
        if not is_live:
            self._remember(self._sentence.text().strip())
        self._task = SegmentTask(settings, imagery, sentences, Options(), is_live=is_live, on_end=self._ended)
        self._task.progressChanged.connect(lambda percent: self._bar.setValue(round(percent)))
        self._show_running(is_running=True)
        QgsApplication.taskManager().addTask(self._task)

    def _go_or_stop(self) -> None:
        (self.stop if self._task is not None else self.ask)()

    def _typed(self, text: str) -> None:
        if self._as_typed.isChecked() and self._as_typed.isVisibleTo(self) and len(text.strip()) >= _LEAST_LETTERS:
            self._pause.start()

    def _ended(self, task: SegmentTask) -> None:
        """Show what came of a question, and ask the next one."""
        self._task = None
        self._show_running(is_running=False)
        if not task.isCanceled():
            self._show(task)
        if self._is_awaited:
            self._is_awaited = False
            self.ask(is_live=task.is_live)

    def _show(self, task: SegmentTask) -> None:
        """Show what was found, or why it was not."""
        if task.found is not None:
            self._show_found(task.found, is_live=task.is_live)
        elif not task.is_live:
            self._complain(task.error)
        else:
            self._said.setText(
                _escaped(task.error) or tr("Press Enter: the raster is too large to be answered while you type.")
            )

    def _show_found(self, found: Found, *, is_live: bool) -> None:
        layer = QgsProject.instance().mapLayer(self._layer_id) if self._is_provisional else None
        if isinstance(layer, QgsVectorLayer) and layer.crs() == found.crs:
            found.fill(layer, self._next_colour)
            layer.setName(", ".join(found.sentences))
        else:
            layer = found.new_layer(", ".join(found.sentences), self._next_colour)
            QgsProject.instance().addMapLayer(layer)
            self._layer_id = layer.id()
        self._is_provisional = is_live
        self._filter()
        lines = [
            f'<span style="color:{colour_of(number).name()}">■</span> {_escaped(line)}'
            for number, line in enumerate(found.summary, self._next_colour)
        ]
        self._said.setText("<br>".join([*lines, *(f"<i>{_escaped(warning)}</i>" for warning in found.warnings)]))
        if not is_live:
            self._next_colour += len(found.sentences)

    def _filter(self) -> None:
        """Leave out what the model is less sure of; nothing is asked anew."""
        self._show_least()
        layer = QgsProject.instance().mapLayer(self._layer_id)
        if isinstance(layer, QgsVectorLayer):
            least = self._confidence.value()
            layer.setSubsetString(f'"mean_probability" >= {least / 100}' if least > self._confidence.minimum() else "")

    def _show_least(self) -> None:
        value = self._confidence.value()
        self._least.setText(tr("all") if value == self._confidence.minimum() else f"{value / 100:.2f}")

    def _begin_layer(self, _layer: QgsRasterLayer | None) -> None:
        """The next answer is about another raster."""
        self._layer_id = ""
        self._is_provisional = False

    def _visible_extent(self, layer: QgsRasterLayer | None) -> QgsRectangle | None:
        """What the map shows, in the raster's CRS."""
        canvas = self._iface.mapCanvas()
        if layer is None or not layer.crs().isValid():
            return canvas.extent()
        own = canvas.mapSettings().destinationCrs()
        try:
            return QgsCoordinateTransform(own, layer.crs(), QgsProject.instance()).transformBoundingBox(canvas.extent())
        except QgsCsException as error:
            raise RunError(
                tr("What the map shows lies where the raster's CRS does not reach. Zoom to the raster.")
            ) from error

    def _show_running(self, *, is_running: bool) -> None:
        self._bar.setVisible(is_running)
        self._bar.setValue(0)
        self._go.setText(tr("Stop") if is_running else tr("Segment"))

    def _remember(self, text: str) -> None:
        """Offer it again when one types."""
        known = [each for each in self._history.stringList() if each != text]
        self._history.setStringList([text, *known][:_HISTORY_LENGTH])
        QgsSettings().setValue(_HISTORY_KEY, self._history.stringList())

    def _complain(self, text: str) -> None:
        self._said.setText("")
        self._iface.messageBar().pushMessage("rs2sam", text, Qgis.MessageLevel.Warning, 0)

    def _open_settings(self) -> None:
        self._iface.showOptionsDialog(self._iface.mainWindow(), "rs2sam")
        self.show_settings()


def _escaped(text: str) -> str:
    """Text as it stands, in rich text."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
