"""Versions of what computes a result."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_LIBRARIES = ("rs2sam", "numpy", "pillow", "rasterio", "shapely", "onnxruntime", "torch", "transformers")


def versions() -> dict[str, str]:
    """Versions of Python, GDAL and the libraries that are installed, by name."""
    from rasterio import __gdal_version__

    found = {"python": platform.python_version(), "gdal": __gdal_version__}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
