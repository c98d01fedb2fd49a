"""Tiny rasters with known content for the tests, and a stand-in for the model.

Ground is green, objects are red. `SCENE` has two red rectangles, one with a hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

RED = (220, 30, 30)
GREEN = (40, 120, 50)

UTM = "EPSG:26910"
NORTH_UP = Affine(0.6, 0.0, 598119.6, 0.0, -0.6, 4402383.0)
SOUTH_UP = Affine(0.6, 0.0, 598119.6, 0.0, 0.6, 4402229.4)
# Turned by 30 degrees, 0.6 m a pixel.
ROTATED = Affine(0.519615, 0.3, 598119.6, 0.3, -0.519615, 4402383.0)
GEOGRAPHIC = Affine(1e-5, 0.0, -121.85, 0.0, -1e-5, 39.76)


def objects(height: int = 64, width: int = 96) -> NDArray[np.bool_]:
    """(H, W) bool: a rectangle of 20 x 30 with a hole of 4 x 6, and one of 10 x 10."""
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[10:30, 20:50] = True
    mask[18:22, 30:36] = False
    mask[45:55, 70:80] = True
    return mask


def paint(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 with red objects on green ground."""
    return np.where(mask[..., None], np.uint8(RED), np.uint8(GREEN)).astype(np.uint8)


SCENE = paint(objects())


def write_tiff(
    path: Path,
    rgb: NDArray[Any] = SCENE,
    *,
    transform: Affine | None = NORTH_UP,
    crs: str | None = UTM,
    mask: NDArray[np.bool_] | None = None,
    colorinterp: Sequence[ColorInterp] | None = None,
    **profile: Any,
) -> Path:
    """Write (H, W, bands) pixels as a TIFF; `mask` becomes an internal mask band."""
    bands = rgb.transpose(2, 0, 1)
    count, height, width = bands.shape
    georeference = {} if transform is None else {"transform": transform}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path,
            "w",
            driver=profile.pop("driver", "GTiff"),
            count=count,
            height=height,
            width=width,
            dtype=bands.dtype,
            crs=crs,
            **georeference,
            **profile,
        ) as dataset,
    ):
        if colorinterp is not None:
            dataset.colorinterp = colorinterp
        dataset.write(bands)
        if mask is not None:
            dataset.write_mask(mask)
    return path


def damaged_tiff(path: Path, rgb: NDArray[np.uint8], *, row: int, col: int) -> Path:
    """A TIFF in tiles of 64 px, one of which cannot be decoded."""
    write_tiff(path, rgb, tiled=True, blockxsize=64, blockysize=64, compress="deflate", interleave="pixel")
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1))
    content = bytearray(path.read_bytes())
    content[offset : offset + 40] = b"\0" * 40
    path.write_bytes(content)
    return path


def apply(transform: Affine, x: float, y: float) -> tuple[float, float]:
    """A pixel position in the transform's coordinates."""
    a, b, c, d, e, f = transform[:6]
    return a * x + b * y + c, d * x + e * y + f


def ground_control_points(transform: Affine, height: int, width: int) -> list[GroundControlPoint]:
    """Points at the corners and the centre that agree with a transform."""
    spots = [(0, 0), (0, width), (height, 0), (height, width), (height / 2, width / 2)]
    return [GroundControlPoint(row, col, *apply(transform, col, row)) for row, col in spots]


@dataclass(frozen=True)
class RedView:
    """What the stand-in says about a view."""

    probability: NDArray[np.float32]
    presence: float | None
    score: float | None
    known: float | None = None


@dataclass
class RedSegmenter:
    """Finds red: probability 0.9 where red outweighs green, 0.1 elsewhere; nothing for a sentence with "no".

    It counts the views it was asked about and remembers the largest.
    """

    batch_size = 4
    min_presence = 0.0
    min_known = 0.5
    choose_in_view = False
    reads_phrases = False
    first_pass = None
    calibration = None
    image_size: int = 64
    backend_name: str = "red"
    num_views: int = 0
    largest: int = 0

    def segment_views(self, pairs: Sequence[tuple[NDArray[np.uint8], str]], batch_size: int = 1) -> list[RedView]:
        return [self._segment(view, sentence) for view, sentence in pairs]

    def _segment(self, view: NDArray[np.uint8], sentence: str) -> RedView:
        self.num_views += 1
        self.largest = max(self.largest, *view.shape[:2])
        red = view[..., 0].astype(int) > view[..., 1].astype(int) + 20
        found = red & ("no" not in sentence.split())
        probability = np.where(found, np.float32(0.9), np.float32(0.1))
        return RedView(probability, float(found.any()) * 0.8 + 0.1, 0.7 if found.any() else 0.2)
