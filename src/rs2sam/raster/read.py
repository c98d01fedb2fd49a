"""Whole files to scenes in memory; see `rs2sam.raster.source` for scenes of any size."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from rasterio import Affine

from rs2sam.errors import InvalidImageError
from rs2sam.raster.arrays import ImageSource, show_array, show_picture
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.scene import NOTHING_VALID, Scene
from rs2sam.raster.source import ReadOptions, Source, open_source
from rs2sam.raster.tiling import Window

_LOGGER = logging.getLogger(__name__)

MOST_PIXELS = 400_000_000
"""An image of more pixels is not read whole: with its answer it would take 5 GB and more."""

# Rows read at once, so that the file's own values are never in memory whole.
_STRIP_ROWS = 512


def read_scene(
    path: str | Path, options: ReadOptions | None = None, *, upright: bool = True, quiet: bool = False
) -> Scene:
    """Read an image whole, four bytes a pixel.

    EXIF orientation is applied to images without georeferencing; invalid pixels (nodata value, alpha 0, mask band,
    not-a-number) become 0 and take no part in the stretch.

    Args:
        path: a file, a URL (`https://`, `s3://`, ...) or a GDAL `/vsi` path.
        options: bands, stretch, nodata.
        upright: False leaves EXIF orientation alone.
        quiet: log nothing; `warnings` of the scene has it all the same.

    Raises:
        DataNotFoundError: when there is no such file.
        InvalidImageError: when it is no image, is damaged, or has more than `MOST_PIXELS` pixels.
        InvalidInputError: when an option does not fit the image.
    """
    with open_source(path, options, upright=upright, quiet=quiet, before_sampling=_check_size) as source:
        height, width = source.info.size_hw
        rgb = np.zeros((height, width, 3), dtype=np.uint8)
        valid = np.zeros((height, width), dtype=np.bool_)
        for row in range(0, height, _STRIP_ROWS):
            window = Window(row, 0, min(_STRIP_ROWS, height - row), width)
            rgb[window.slices], valid[window.slices] = source.read(window)
    scene = Scene.of(source.info, rgb, valid)
    if not valid.any():
        scene = replace(scene, warnings=(*scene.warnings, NOTHING_VALID))
        if not quiet:
            _LOGGER.warning("%s: %s.", path, NOTHING_VALID)
    return scene


def _check_size(source: Source) -> None:
    """Refuse what is too large before a pixel of it is read."""
    height, width = source.info.size_hw
    if height * width > MOST_PIXELS:
        raise InvalidImageError(
            f"An image that is read whole has up to {MOST_PIXELS:,} pixels, but {source.info.source!r} has {height:,} "
            f"x {width:,}. Use `rs2sam segment` or `rs2sam.scenes.run.run_scene`, which write their results while "
            "they read, or `rs2sam.views.segment_scene` with an open source, for masks in memory."
        )


def scene_of(image: ImageSource, options: ReadOptions | None = None) -> Scene:
    """A path by GDAL with its georeferencing, anything else as pixels without a place.

    Args:
        image: path, PIL image or array, see `rs2sam.raster.arrays`.
        options: as for `read_scene`; of an array only the stretch counts.
    """
    if isinstance(image, (str, Path)):
        return read_scene(image, options)
    if isinstance(image, np.ndarray):
        shown = show_array(image, None if options is None else options.stretch)
    elif isinstance(image, Image.Image):
        shown = show_picture(image)
    else:
        raise InvalidImageError(
            f"`image` must be a path, a PIL image or an array, received {type(image).__name__}. "
            "Convert it to a numpy array of shape (H, W, 3)."
        )
    for line in shown.warnings:
        _LOGGER.warning("array: %s.", line)
    return Scene(
        rgb=shown.rgb,
        valid=shown.valid,
        georeference=Georeference(Affine.identity()),
        source="array",
        is_photo=True,
        bands=(1, 2, 3) if shown.num_bands >= 3 else (1, 1, 1),
        num_bands=shown.num_bands,
        dtype=shown.dtype,
        nodata=None,
        stretch=shown.stretch,
        limits=shown.limits,
        warnings=shown.warnings,
    )
