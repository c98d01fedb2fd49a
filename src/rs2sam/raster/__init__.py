"""Rasters: scenes opened, read, stretched and placed; the grid of tiles on them.

Nothing here knows a model. rasterio is loaded when a name below is first used, so `rs2sam.raster.tiling` costs no more
than numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rs2sam.raster.georeference import Georeference
    from rs2sam.raster.read import read_scene
    from rs2sam.raster.scene import Scene
    from rs2sam.raster.source import ReadOptions
    from rs2sam.raster.stretch import Stretch
    from rs2sam.raster.tiling import Blend, TileGrid, Window

__all__ = [
    "Blend",
    "Georeference",
    "ReadOptions",
    "Scene",
    "Stretch",
    "TileGrid",
    "Window",
    "read_scene",
]

_HOME = {
    "Blend": "tiling",
    "Georeference": "georeference",
    "ReadOptions": "source",
    "Scene": "scene",
    "Stretch": "stretch",
    "TileGrid": "tiling",
    "Window": "tiling",
    "read_scene": "read",
}


def __getattr__(name: str) -> Any:
    """Load the module that holds `name`."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
