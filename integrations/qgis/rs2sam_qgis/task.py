"""A question of the dock, asked in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qgis.core import QgsProcessingUtils, QgsTask

from .found import Found, found_in_answer, found_in_files
from .imagery import Imagery
from .runner import Reporting, client_of, segment
from .running.commands import Options
from .running.errors import CanceledError, RunError
from .settings import Settings
from .translation import tr


class SegmentTask(QgsTask):
    """Asks for sentences in one raster.

    Args:
        settings: how rs2sam is run.
        imagery: the raster, or a part of it.
        sentences: what is looked for.
        options: the rest.
        is_live: ask only if it can be answered at once.
        on_end: called in the main thread with the task.
    """

    def __init__(
        self,
        settings: Settings,
        imagery: Imagery,
        sentences: Sequence[str],
        options: Options,
        *,
        is_live: bool,
        on_end: Callable[[SegmentTask], None],
    ) -> None:
        super().__init__(tr("Segment: {sentences}").format(sentences=", ".join(sentences)), QgsTask.CanCancel)
        self.is_live = is_live
        self.found: Found | None = None
        self.error = ""
        self._settings = settings
        self._imagery = imagery
        self._sentences = list(sentences)
        self._options = options
        self._on_end = on_end

    def run(self) -> bool:
        """Ask; called by QGIS in another thread."""
        try:
            self.found = self._ask()
        except CanceledError:
            return False
        except RunError as error:
            self.error = str(error)
        except Exception as error:  # an exception in a task is lost, and the dock would wait for ever
            self.error = f"{type(error).__name__}: {error}"
        return self.found is not None

    def finished(self, result: bool) -> None:
        """Hand over what came of it; called by QGIS in the main thread."""
        self._on_end(self)

    def _ask(self) -> Found | None:
        """Over the server at once where it can, else as the algorithm does it."""
        reporting = Reporting(self.setProgress, lambda line: None, self.isCanceled)
        folder = QgsProcessingUtils.generateTempFilename("rs2sam")
        if self._settings.through_server:
            client = client_of(self._settings)
            image = client.image(self._imagery.file(folder, whole=True), reporting.progress, reporting.is_canceled)
            if image["is_interactive"]:
                return found_in_answer(client.answer(image["id"], self._sentences, self._options), self._imagery)
            if self.is_live:
                return None
        result = segment(self._settings, self._imagery, self._sentences, self._options, folder, reporting)
        return found_in_files(result, self._imagery.crs)
