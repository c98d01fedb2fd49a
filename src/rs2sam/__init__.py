"""One sentence and one aerial or satellite image in, the mask of what the sentence names out.

    from rs2sam import Segmenter

    segmenter = Segmenter.load("compact")
    result = segmenter.segment("scene.tif", "the storage tanks")
    result.save("tanks.gpkg")

Names are loaded on first use: `import rs2sam` loads neither torch nor ONNX Runtime nor GDAL.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rs2sam.errors import (
    BusyError,
    CheckpointError,
    DataNotFoundError,
    InvalidImageError,
    InvalidInputError,
    MissingDependencyError,
    RS2SAMError,
    TrainingError,
    UnreadableImageError,
    WeightsNotFoundError,
)

if TYPE_CHECKING:
    from rs2sam.folders import segment_folder
    from rs2sam.imaging import read_image
    from rs2sam.processing import ProcessingConfig, Processor
    from rs2sam.scenes.refining.decide_again import refine
    from rs2sam.segmenter import Segmenter
    from rs2sam.views.encoded import EncodedImage
    from rs2sam.views.segmentation import Segmentation

__version__ = "0.2.0"

__all__ = [
    "BusyError",
    "CheckpointError",
    "DataNotFoundError",
    "EncodedImage",
    "InvalidImageError",
    "InvalidInputError",
    "MissingDependencyError",
    "ProcessingConfig",
    "Processor",
    "RS2SAMError",
    "Segmentation",
    "Segmenter",
    "TrainingError",
    "UnreadableImageError",
    "WeightsNotFoundError",
    "__version__",
    "read_image",
    "refine",
    "segment_folder",
]

_HOME = {
    "EncodedImage": "rs2sam.views.encoded",
    "ProcessingConfig": "rs2sam.processing",
    "Processor": "rs2sam.processing",
    "Segmentation": "rs2sam.views.segmentation",
    "Segmenter": "rs2sam.segmenter",
    "read_image": "rs2sam.imaging",
    "refine": "rs2sam.scenes.refining.decide_again",
    "segment_folder": "rs2sam.folders",
}


def __getattr__(name: str) -> Any:
    """Load the module that holds `name`."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """The public names, whether loaded or not."""
    return __all__
