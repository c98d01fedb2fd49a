"""A scene cut into views: each is asked, the answers are blended into one map, with arrays at both ends.

Nothing here knows a model: `segment_scene` takes any object that answers one view.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rs2sam.views.in_memory import segment_scene
    from rs2sam.views.options import MinArea, SceneOptions, SentenceResult, ViewSegmenter

__all__ = [
    "MinArea",
    "SceneOptions",
    "SentenceResult",
    "ViewSegmenter",
    "segment_scene",
]

_HOME = {
    "MinArea": "options",
    "SceneOptions": "options",
    "SentenceResult": "options",
    "ViewSegmenter": "options",
    "segment_scene": "in_memory",
}


def __getattr__(name: str) -> Any:
    """Load the module that holds `name`."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
