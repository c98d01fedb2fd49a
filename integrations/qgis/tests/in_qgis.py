"""A QGIS without a window, with the plugin loaded; started once for all tests of a process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from qgis.core import QgsApplication

DATA = Path(os.environ["RS2SAM_DATA"]).resolve() / "geotiff"
PLUGINS = os.environ["QGIS_PLUGINS"]

QgsApplication.setPrefixPath("/usr", True)
application = QgsApplication([], False, os.path.join(os.environ["QGIS_CUSTOM_CONFIG_PATH"], "profiles", "default"))
application.initQgis()
sys.path[:0] = [PLUGINS, "/usr/share/qgis/python/plugins"]

from processing.core.Processing import Processing  # noqa: E402 - needs the paths above

Processing.initialize()

from rs2sam_qgis import classFactory  # noqa: E402
from rs2sam_qgis.settings import Settings  # noqa: E402

Settings(program=os.environ["RS2SAM"]).save()
plugin = classFactory(None)
plugin.initProcessing()
