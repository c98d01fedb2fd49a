"""Files of masks and probabilities: GeoTIFFs that lie where their scene lies, and plain pictures."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetWriter

from rs2sam.drawing import COLOURS
from rs2sam.raster.georeference import Georeference

MASK_NODATA = 255
"""Value of invalid pixels in the mask GeoTIFF; foreground is 1, background 0."""

PROBABILITY_STEPS = 200
"""Value of a probability of 1 in a probability GeoTIFF, whose scale is one half percent."""

BLOCK = 256
"""Side of the mask's blocks [px]; it is written in as many rows at once."""


@contextmanager
def mask_file(
    path: Path, place: Georeference, size_hw: tuple[int, int], sentences: Sequence[str], tags: Mapping[str, str]
) -> Iterator[DatasetWriter]:
    """A GeoTIFF of one uint8 band per sentence that lies where the scene lies, to be written in blocks of rows.

    Args:
        path: the file to make.
        place: where the scene lies.
        size_hw: of the scene.
        sentences: descriptions of the bands.
        tags: of the file.
    """
    with _file_of_bands(path, place, size_hw, sentences, tags) as dataset:
        if len(sentences) == 1:
            dataset.write_colormap(1, {0: (0, 0, 0), 1: COLOURS[0], MASK_NODATA: (128, 128, 128)})
        yield dataset


@contextmanager
def probability_file(
    path: Path, place: Georeference, size_hw: tuple[int, int], asked: str, tags: Mapping[str, str]
) -> Iterator[DatasetWriter]:
    """A GeoTIFF of steps of probability, see `PROBABILITY_STEPS`, that lies where the scene lies, as `mask_file`.

    Args:
        path: the file to make.
        place: where the scene lies.
        size_hw: of the scene.
        asked: what the probability is of, the description of the band.
        tags: of the file.
    """
    with _file_of_bands(path, place, size_hw, [asked], tags) as dataset:
        dataset.scales, dataset.offsets = [1 / PROBABILITY_STEPS], [0.0]
        yield dataset


@contextmanager
def _file_of_bands(
    path: Path, place: Georeference, size_hw: tuple[int, int], descriptions: Sequence[str], tags: Mapping[str, str]
) -> Iterator[DatasetWriter]:
    """A GeoTIFF of one uint8 band per description, with nodata and a place."""
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": len(descriptions),
        "height": size_hw[0],
        "width": size_hw[1],
        "nodata": MASK_NODATA,
        "compress": "deflate",
        "interleave": "band",
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "bigtiff": "if_safer",
    }
    if place.gcps:
        profile.update(gcps=list(place.gcps), crs=place.crs)
    elif place.is_located:
        profile.update(transform=place.transform, crs=place.crs)
    if place.rpcs is not None:
        profile.update(rpcs=place.rpcs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = rasterio.open(path, "w", **profile)
    with dataset:
        for band, description in enumerate(descriptions, start=1):
            dataset.set_band_description(band, description)
        dataset.update_tags(**tags)
        yield dataset


@contextmanager
def plain_file(path: Path, size_hw: tuple[int, int]) -> Iterator[DatasetWriter]:
    """A GeoTIFF of one uint8 band without a place, to be written in blocks of rows and copied to a picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = rasterio.open(
            path, "w", driver="GTiff", dtype="uint8", count=1, height=size_hw[0], width=size_hw[1], compress="deflate"
        )
    with dataset:
        yield dataset


def copy_as(source: Path, path: Path, driver: str, **options: str) -> None:
    """Write a raster again with another of GDAL's drivers, block by block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        rasterio.shutil.copy(source, path, driver=driver, **options)
