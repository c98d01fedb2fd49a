"""Whole files to scenes in memory; see `rs2sam.raster.source` for scenes of any size."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from rasterio import Affine

from rs2sam.errors import InvalidInputError
from rs2sam.imaging import ImageSource, read_image_and_validity
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.scene import Scene
from rs2sam.raster.source import ReadOptions, open_source
from rs2sam.raster.stretch import Stretch
from rs2sam.raster.tiling import Window

_LOGGER = logging.getLogger(__name__)

MOST_PIXELS = 400_000_000
"""An image of more pixels is not read whole: with its answer it would take 5 GB and more."""

# Rows read at once, so that the file's own values are never in memory whole.
_STRIP_ROWS = 512


def read_scene(path: str | Path, options: ReadOptions | None = None) -> Scene:
    """Read an image whole, four bytes a pixel.

    EXIF orientation is applied to images without georeferencing; invalid pixels (nodata value, alpha 0, mask band,
    not-a-number) become 0 and take no part in the stretch.

    Args:
        path: a file, a URL (`https://`, `s3://`, ...) or a GDAL `/vsi` path.
        options: bands, stretch, nodata.

    Raises:
        DataNotFoundError: when there is no such file.
        InvalidImageError: when it is no image or is damaged.
        InvalidInputError: when an option does not fit the image, or it has more than `MOST_PIXELS` pixels.
    """
    with open_source(path, options) as source:
        height, width = source.info.size_hw
        if height * width > MOST_PIXELS:
            raise InvalidInputError(
                f"An image that is read whole has up to {MOST_PIXELS:,} pixels, but {str(path)!r} has {height:,} x "
                f"{width:,}. Use `rs2sam segment` or `rs2sam.scenes.run.run_scene`, which write their results while "
                "they read, or `rs2sam.views.segment_scene` with an open source, for masks in memory."
            )
        rgb = np.zeros((height, width, 3), dtype=np.uint8)
        valid = np.zeros((height, width), dtype=np.bool_)
        for row in range(0, height, _STRIP_ROWS):
            window = Window(row, 0, min(_STRIP_ROWS, height - row), width)
            rgb[window.slices], valid[window.slices] = source.read(window)
    if not valid.any():
        _LOGGER.warning("%s has no valid pixel: nothing can be found in it.", path)
    return Scene.of(source.info, rgb, valid)


def scene_of(image: ImageSource) -> Scene:
    """A path by GDAL with its georeferencing, anything else as pixels without a place."""
    if isinstance(image, (str, Path)):
        return read_scene(image)
    rgb, valid = read_image_and_validity(image)
    return Scene(
        rgb=rgb,
        valid=valid,
        georeference=Georeference(Affine.identity()),
        source="array",
        is_photo=True,
        bands=(1, 2, 3),
        num_bands=3,
        dtype="uint8",
        nodata=None,
        stretch=Stretch("none"),
        limits=(),
    )
