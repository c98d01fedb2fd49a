"""What strangers send, before a pixel of it is used: told by its content, opened alone, measured against the limits.

A file is believed to be what its first bytes say, and only TIFF, PNG, JPEG and WebP are taken: formats whose pixels are
all in the file. It stands in a folder of its own under a suffix of the service's choice, so no neighbour is found, and
is opened sealed (`rs2sam.raster.opening`), so GDAL tries no other driver.
"""

from __future__ import annotations

import math
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio._err import CPLE_BaseError  # what `warp.transform` lets through has no public name
from rasterio.crs import CRS
from rasterio.enums import Interleaving
from rasterio.errors import RasterioError
from rasterio.warp import transform as warp_points

from rs2sam.errors import DataNotFoundError, InvalidImageError, InvalidInputError
from rs2sam.raster.georeference import leads_to_earth
from rs2sam.raster.opening import open_handle
from rs2sam.raster.scene import SceneInfo
from rs2sam.raster.source import ReadOptions, Source, open_source
from rs2sam.serve.problems import ProblemError
from rs2sam.serve.settings import Limits

_HEAD_BYTES = 16
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class Facts:
    """What is known of an image once its header was read.

    Args:
        width: in pixels.
        height: in pixels.
        is_georeferenced: whether its pixels have coordinates.
        crs: name of its CRS.
        pixel_size_m: width and height of the centre pixel in metres.
        corners: upper left, upper right, lower right, lower left as longitude and latitude; None without a place.
        warnings: what was doubtful, a line each.
    """

    width: int
    height: int
    is_georeferenced: bool
    crs: str | None
    pixel_size_m: tuple[float, float] | None
    corners: list[list[float]] | None
    warnings: tuple[str, ...]

    @property
    def bounds(self) -> list[float] | None:
        """West, south, east, north."""
        if self.corners is None:
            return None
        lon, lat = zip(*self.corners, strict=True)
        return [min(lon), min(lat), max(lon), max(lat)]

    @classmethod
    def of(cls, info: SceneInfo) -> Facts:
        """From an open scene."""
        height, width = info.size_hw
        place = info.georeference
        described = place.describe()
        metres = place.pixel_size_m(info.size_hw)
        return cls(
            width=width,
            height=height,
            is_georeferenced=place.is_located,
            crs=described["crs"],
            pixel_size_m=None if metres is None else (round(metres[0], 6), round(metres[1], 6)),
            corners=corners_of(info),
            warnings=info.warnings,
        )


def corners_of(info: SceneInfo) -> list[list[float]] | None:
    """Longitude and latitude of the corners of a scene, from the upper left one clockwise; None without a place."""
    if info.georeference.crs is None:
        return None
    if not leads_to_earth(info.georeference.crs):
        return None
    height, width = info.size_hw
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float64)
    x, y = info.georeference.to_crs(corners).T
    try:
        lon, lat = warp_points(info.georeference.crs, CRS.from_epsg(4326), x.tolist(), y.tolist())
    except (RasterioError, CPLE_BaseError):  # a corner lies outside of the projection
        return None
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return None
    if max(lon) - min(lon) > 180 and not info.georeference.crs.is_geographic:
        # Over the antimeridian, longitudes go on beyond 180 degrees, as maps want them.
        lon = [east % 360 for east in lon]
    return [[round(float(east), 9), round(float(north), 9)] for east, north in zip(lon, lat, strict=True)]


def suffix_of(head: bytes) -> str:
    """The suffix of a file that begins with these bytes.

    Raises:
        ProblemError: it is none of the formats that are taken.
    """
    if head.startswith(_TIFF):
        return ".tif"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ".png"
    if head.startswith(b"\xff\xd8\xff"):
        return ".jpg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    shown = head[:8].hex(" ") or "nothing"
    raise ProblemError(
        "invalid-image",
        "An image is a TIFF, PNG, JPEG or WebP by its content, whatever its name, but this one begins with the bytes "
        f"{shown}. Convert it, for example with `gdal_translate -of GTiff`.",
    )


def checked_content(path: Path) -> str:
    """The suffix that the content of a file asks for; see `suffix_of`."""
    with path.open("rb") as file:
        return suffix_of(file.read(_HEAD_BYTES))


def below_root(root: Path | None, named: str) -> Path:
    """A regular file below the root, reached without links.

    Args:
        root: what may be named; None: nothing.
        named: path relative to it.

    Raises:
        ProblemError: there is no root, the path leads out of it, goes over a link or to no regular file.
    """
    if root is None:
        raise ProblemError("forbidden", "This service takes no paths: it was started without --root. Upload the image.")
    parts = named.split("/")
    is_plain = named and "\0" not in named and "\\" not in named and "://" not in named
    if not is_plain or any(part in ("", ".", "..") for part in parts):
        raise ProblemError(
            "forbidden",
            f"A path is relative to the root and has no `..`, no empty part and no URL, received {named[:200]!r}.",
        )
    # Each part is opened below the one before, never over a link: nothing can be exchanged in between.
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        file = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        with os.fdopen(file, "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise ProblemError("forbidden", f"{named!r} is no regular file.")
            suffix_of(opened.read(_HEAD_BYTES))
    except (OSError, ValueError) as error:
        # Whether it is missing, a link or not readable is not told: what lies elsewhere is nobody's business.
        raise ProblemError("not-found", f"There is no image {named!r} below the root that may be read.") from error
    finally:
        with suppress(OSError):
            os.close(folder)
    return root.resolve() / named


def opened_facts(path: Path, name: str, reading: ReadOptions, limits: Limits) -> tuple[Facts, SceneInfo]:
    """Read the header of an image, and where values have to be stretched a sample of its pixels.

    Args:
        path: of the image, in the service's folder.
        name: that its sender knows it by.
        reading: how it becomes pixels.
        limits: of the service.

    Raises:
        ProblemError: it cannot be read, or is larger than the limits.
    """

    def check(source: Source) -> None:
        height, width = source.info.size_hw
        if height * width > limits.pixels:
            raise ProblemError(
                "too-large",
                f"An image has up to {limits.pixels:,} pixels here, but {name!r} has {height:,} x {width:,}.",
            )

    try:
        _check_blocks(path, name, limits)
        with open_source(path, reading, quiet=True, before_sampling=check) as source:
            return Facts.of(source.info), source.info
    except (InvalidImageError, InvalidInputError, DataNotFoundError) as error:
        raise ProblemError("invalid-image", without_path(str(error), path, name)) from error


def without_path(text: str, path: Path, name: str) -> str:
    """A message in which the image has the name that its sender knows."""
    return text.replace(str(path), name).replace(str(path.parent), "")


def _check_blocks(path: Path, name: str, limits: Limits) -> None:
    """Refuse an image of which one block, as GDAL decodes it, takes too much memory."""
    with open_handle(path, sealed=True) as handle:
        dataset = handle.dataset
        height, width = max(dataset.block_shapes, key=math.prod)
        num_bands = dataset.count if dataset.interleaving == Interleaving.pixel else 1
        size = 8 if dataset.dtypes[0].startswith("complex_") else np.dtype(dataset.dtypes[0]).itemsize
        num_bytes = height * width * num_bands * size
    if num_bytes > limits.block_bytes:
        raise ProblemError(
            "too-large",
            f"One block of an image takes up to {limits.block_bytes:,} bytes here, but one of {name!r} takes "
            f"{num_bytes:,}. Write it again in tiles (`gdal_translate -co TILED=YES`).",
        )


def as_columns(facts: Facts) -> dict[str, Any]:
    """Facts as plain values."""
    return dict(vars(facts))


def from_columns(values: dict[str, Any] | None) -> Facts | None:
    """Facts of plain values."""
    if values is None:
        return None
    size = values["pixel_size_m"]
    return Facts(
        **{**values, "pixel_size_m": None if size is None else tuple(size), "warnings": tuple(values["warnings"])}
    )
