"""Words for the user in the language of QGIS."""

from __future__ import annotations

import os

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication, QTranslator

CONTEXT = "rs2sam"


def tr(text: str) -> str:
    """A text in the user's language."""
    return QCoreApplication.translate(CONTEXT, text)


def install_translator() -> QTranslator | None:
    """Use `i18n/rs2sam_<language>.qm` where there is one for the language of QGIS; the caller keeps it."""
    language = QgsApplication.locale()
    folder = os.path.join(os.path.dirname(__file__), "i18n")
    translator = QTranslator()
    for name in (f"rs2sam_{language}", f"rs2sam_{language[:2]}"):
        if translator.load(os.path.join(folder, f"{name}.qm")):
            QCoreApplication.installTranslator(translator)
            return translator
    return None
