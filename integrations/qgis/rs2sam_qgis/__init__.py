"""rs2sam in QGIS: segment rasters by a sentence."""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:  # noqa: N802 - QGIS calls it
    """The plugin, as QGIS asks for it."""
    from .plugin import Rs2SamPlugin

    return Rs2SamPlugin(iface)
