"""What a scene is: its pixels, and what is known of them."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rs2sam.errors import InvalidInputError
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.stretch import Limits, Stretch

BoolArray = NDArray[np.bool_]

NOTHING_VALID = "it has no valid pixel: nothing can be found in it"
"""What is said of an image without data."""

# One letter before a colon is a drive; before `://` stands the scheme of a URL.
_REMOTE = re.compile(r"(?<!file)://|/vsi(?:curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)[/_]")
_PART = re.compile(r"[A-Za-z][A-Za-z0-9_]+:(?!//)")


@dataclass(frozen=True, kw_only=True)
class SceneFacts:
    """What is known of an image besides its pixels and their number.

    Args:
        georeference: where the pixels lie.
        source: path or URL it is read from.
        is_photo: whether it is an ordinary picture (PNG, JPEG, WebP, ...) without georeferencing.
        bands: 1-based bands shown as red, green and blue.
        num_bands: bands in the file.
        dtype: of the pixels in the file.
        nodata: the value that marks invalid pixels, if one does.
        stretch: how values become 8 bit.
        limits: the values that become 0 and 255, per band shown; empty where no pixel is valid.
        warnings: what was doubtful and how it was decided, a line each.
    """

    georeference: Georeference
    source: str
    is_photo: bool
    bands: tuple[int, ...]
    num_bands: int
    dtype: str
    nodata: float | None
    stretch: Stretch
    limits: Limits
    warnings: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """File name without folder and last suffix."""
        return scene_stem(self.source)

    def _facts(self) -> dict[str, Any]:
        """The fields that every scene has."""
        return {item.name: getattr(self, item.name) for item in fields(SceneFacts)}


@dataclass(frozen=True, kw_only=True)
class SceneInfo(SceneFacts):
    """What is known of an image without its pixels.

    Args:
        size_hw: height and width in pixels.
    """

    size_hw: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Scene(SceneFacts):
    """An image in memory with everything that its outputs need.

    Args:
        rgb: (H, W, 3) uint8; invalid pixels are 0.
        valid: (H, W) bool, False where the file has no data.
    """

    rgb: NDArray[np.uint8]
    valid: BoolArray

    @classmethod
    def of(cls, info: SceneInfo, rgb: NDArray[np.uint8], valid: BoolArray) -> Scene:
        """Put pixels and what is known of them together."""
        facts = info._facts() if valid.any() else {**info._facts(), "limits": ()}
        return cls(rgb=rgb, valid=valid, **facts)

    @property
    def info(self) -> SceneInfo:
        """What is known without the pixels."""
        return SceneInfo(size_hw=self.size_hw, **self._facts())

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.valid.shape[0], self.valid.shape[1]


def is_local(source: str) -> bool:
    """Whether a source is a path of the file system, not a URL, a `/vsi` path or a part of a container."""
    return "://" not in source and not source.startswith("/vsi") and not is_part(source)


def is_remote(source: str) -> bool:
    """Whether a source, or the file that it is a part of, is reached over a network: there another attempt may help."""
    return _REMOTE.search(source) is not None and not is_local(source)


def is_part(source: str) -> bool:
    """Whether a source is a name that GDAL understands, of a part of a file: `netcdf:a.nc:Band1`, `GTIFF_DIR:1:a.tif`.

    A file that has such a name is meant itself.
    """
    return _PART.match(source) is not None and not os.path.lexists(source)


def scene_stem(source: str) -> str:
    """File name of a path or URL without folder and last suffix; a `?` begins a query in a URL or `/vsi` path only.

    Of a part of a container: that of the file, and after it what names the part, `a_Band1`.
    """
    if is_part(source):
        return _stem_of_part(source)
    return Path((source if is_local(source) else source.partition("?")[0]).rstrip("/")).stem


def _stem_of_part(source: str) -> str:
    """The container's name without folder and suffix, and after it what names the part."""
    _, *parts = (part.strip("\"'") for part in source.split(":"))
    file = next((part for part in parts if Path(part).suffix or "/" in part), parts[0])
    named = [Path(file).stem, *(part.strip("/") for part in parts if part is not file)]
    return re.sub(r"[^\w.-]+", "_", "_".join(part for part in named if part)).strip("_")


def shrink_to(gsd_m: float, pixel_m: tuple[float, float], size_hw: tuple[int, int]) -> float:
    """Pixels of a scene along one pixel of a ground resolution; below 1 where that is finer.

    Args:
        gsd_m: the ground resolution [m/px].
        pixel_m: width and height of a pixel in metres.
        size_hw: of the scene in pixels.

    Raises:
        InvalidInputError: when the scene is smaller than one such pixel.
    """
    side_m = math.sqrt(pixel_m[0] * pixel_m[1])
    shrink = gsd_m / side_m
    if shrink > max(size_hw):
        raise InvalidInputError(
            f"A ground resolution is finer than the whole image, which is {side_m * max(size_hw):.4g} m long, but "
            f"`gsd_m` is {gsd_m:g}. Choose a smaller one, in metres per pixel, or leave it out."
        )
    return shrink
