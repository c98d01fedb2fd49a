"""Rasters: reading scenes, tiling, stretching, polygons, outputs.

Nothing here knows a model: `segment_scene` takes any object that answers one view. rasterio and shapely are loaded
when a name below is first used, so `rs2sam.raster.tiling` costs no more than numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rs2sam.raster.georeference import Georeference
    from rs2sam.raster.in_memory import segment_scene
    from rs2sam.raster.outputs import OutputPaths
    from rs2sam.raster.preview import draw_preview
    from rs2sam.raster.read import read_scene
    from rs2sam.raster.scene import MinArea, Scene, SceneOptions, SentenceResult
    from rs2sam.raster.source import ReadOptions
    from rs2sam.raster.stretch import Stretch
    from rs2sam.raster.tiling import Blend, TileGrid, Window
    from rs2sam.raster.vectorize import Region, mask_polygons, mask_regions

__all__ = [
    "Blend",
    "Georeference",
    "MinArea",
    "OutputPaths",
    "ReadOptions",
    "Region",
    "Scene",
    "SceneOptions",
    "SentenceResult",
    "Stretch",
    "TileGrid",
    "Window",
    "draw_preview",
    "mask_polygons",
    "mask_regions",
    "read_scene",
    "segment_scene",
]

_HOME = {
    "Blend": "tiling",
    "Georeference": "georeference",
    "MinArea": "scene",
    "OutputPaths": "outputs",
    "ReadOptions": "source",
    "Region": "vectorize",
    "Scene": "scene",
    "SceneOptions": "scene",
    "SentenceResult": "scene",
    "Stretch": "stretch",
    "TileGrid": "tiling",
    "Window": "tiling",
    "draw_preview": "preview",
    "mask_polygons": "vectorize",
    "mask_regions": "vectorize",
    "read_scene": "read",
    "segment_scene": "in_memory",
}


def __getattr__(name: str) -> Any:
    """Load the module that holds `name`."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
