"""Versions of what computes a result."""

from __future__ import annotations

import platform
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution

_LIBRARIES = ("rs2sam", "numpy", "pillow", "rasterio", "shapely", "onnxruntime", "torch", "transformers")


def versions() -> dict[str, str]:
    """Versions of Python, GDAL and the libraries that are installed, by name."""
    from rasterio import __gdal_version__

    found = {"python": platform.python_version(), "gdal": __gdal_version__}
    installed = {name: _installed(name) for name in _LIBRARIES}
    return found | {name: version for name, version in installed.items() if version is not None}


@cache
def _installed(name: str) -> str | None:
    """Version of an installed library.

    `importlib.metadata.version` parses the whole description of a package as a message: 5 ms for each of them.
    """
    try:
        text = distribution(name).read_text("METADATA") or distribution(name).read_text("PKG-INFO") or ""
    except PackageNotFoundError:
        return None
    match = re.search(r"^Version: *(\S+)", text, re.MULTILINE)
    return match[1] if match else None
