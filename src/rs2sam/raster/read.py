"""Whole files to scenes in memory; see `rs2sam.raster.source` for scenes of any size."""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from rs2sam.errors import InvalidImageError, InvalidInputError, words_of
from rs2sam.fields import a_text, brief, checked
from rs2sam.raster.arrays import ImageSource, show_array, show_picture
from rs2sam.raster.faults import unreadable
from rs2sam.raster.georeference import Georeference
from rs2sam.raster.scene import NOTHING_VALID, Scene
from rs2sam.raster.source import ReadOptions, Source, open_source
from rs2sam.raster.stretch import Stretch
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
    not-a-number, blocks that cannot be read) become 0 and take no part in the stretch.

    Args:
        path: a file, a URL (`https://`, `s3://`, ...) or a GDAL `/vsi` path.
        options: bands, stretch, nodata.
        upright: False leaves EXIF orientation alone.
        quiet: log nothing; `warnings` of the scene has it all the same.

    Raises:
        DataNotFoundError: when there is no such file.
        InvalidImageError: when it is no image, none of its pixels can be read, a pixel of a photo cannot, or it has
            more than `MOST_PIXELS` pixels.
        InvalidInputError: when an option does not fit the image.
    """
    with open_source(path, options, upright=upright, quiet=quiet, before_sampling=_check_size) as source:
        height, width = source.info.size_hw
        rgb = np.zeros((height, width, 3), dtype=np.uint8)
        valid = np.zeros((height, width), dtype=np.bool_)
        lost: dict[Window, None] = {}
        for row in range(0, height, _STRIP_ROWS):
            window = Window(row, 0, min(_STRIP_ROWS, height - row), width)
            rgb[window.slices], valid[window.slices], missing = source.read_what_can_be(window)
            lost.update(dict.fromkeys(missing))
    said = _about_pixels(str(path), len(lost), has_data=bool(valid.any()))
    scene = Scene.of(source.info, rgb, valid)
    for line in () if quiet else said:
        _LOGGER.warning("%s: %s.", path, line)
    return replace(scene, warnings=(*scene.warnings, *said))


def _about_pixels(name: str, num_lost: int, *, has_data: bool) -> tuple[str, ...]:
    """What is said of blocks that cannot be read, and of an image without data; refuses one that is without for these.

    Raises:
        InvalidImageError: no pixel of it can be read.
    """
    if num_lost and not has_data:
        raise unreadable(name)
    lost = (f"{num_lost} blocks of it cannot be read and have no data in the results",) if num_lost else ()
    return lost if has_data else (NOTHING_VALID,)


def _check_size(source: Source) -> None:
    """Refuse what is too large before a pixel of it is read."""
    height, width = source.info.size_hw
    if height * width > MOST_PIXELS:
        raise InvalidImageError(
            f"An image that is read whole has up to {MOST_PIXELS:,} pixels, but {source.info.source!r} has {height:,} "
            f"x {width:,}. Use `rs2sam segment` or `rs2sam.scenes.run.run_scene`, which write their results while "
            "they read, or `rs2sam.views.segment_scene` with an open source, for masks in memory."
        )


@runtime_checkable
class Placed(Protocol):
    """What says where its pixels lie: a rasterio dataset, a `Georeference`, a `Segmentation`."""

    @property
    def transform(self) -> Affine | None:
        """Pixel (column, row) to CRS coordinates."""

    @property
    def crs(self) -> Any:
        """Coordinate system, in any form that rasterio reads."""


Place: TypeAlias = "Georeference | Placed | tuple[Affine, Any]"
"""Where the pixels of an array lie: a `Georeference`, what has a transform and a CRS, or a pair of these."""


def place_of(place: Place | None) -> Georeference | None:
    """The georeferencing that a user gives for an array.

    Raises:
        InvalidInputError: it is none, or its CRS cannot be read.
    """
    if place is None or isinstance(place, Georeference):
        return place
    transform: object
    if isinstance(place, tuple):
        transform, crs = place if len(place) == 2 else (None, None)
    else:
        transform, crs = getattr(place, "transform", None), getattr(place, "crs", None)
    if not isinstance(transform, Affine) or not all(map(math.isfinite, transform)) or transform.is_degenerate:
        raise InvalidInputError(
            "`georeference` must be (transform, CRS) with an invertible `rasterio.Affine`, a `Georeference`, or what "
            f"has both, as a rasterio dataset has; received {brief(place)}."
        )
    try:
        return Georeference(transform, None if crs is None else CRS.from_user_input(crs))
    except (CRSError, ValueError, TypeError) as error:
        raise InvalidInputError(
            f"The CRS of `georeference` cannot be read ({words_of(error)}). Give for example 'EPSG:32631'."
        ) from error


def reading_of(bands: Sequence[int] | None, stretch: str | Stretch | None) -> ReadOptions:
    """How a user wants values shown.

    Raises:
        InvalidInputError: bands are no numbers from 1, or the stretch cannot be read.
    """
    shown: Any = bands
    if bands is not None:
        shown = checked("bands", list(bands) if isinstance(bands, Sequence | np.ndarray) else bands, tuple[int, ...])
    if stretch is not None and not isinstance(stretch, Stretch):
        stretch = Stretch.parse(a_text("stretch", stretch))
    return ReadOptions(bands=shown, stretch=stretch)


def scene_of(image: ImageSource, options: ReadOptions | None = None, place: Georeference | None = None) -> Scene:
    """A path, or the content of a file, by GDAL with its georeferencing; anything else as pixels.

    Args:
        image: path, bytes, PIL image or array, see `rs2sam.raster.arrays`.
        options: as for `read_scene`; of an array bands and stretch count.
        place: where the pixels of an array or PIL image lie; None: nowhere.
    """
    options = options or ReadOptions()
    if isinstance(image, (str, Path, bytes)):
        if place is not None:
            raise InvalidInputError(
                "`georeference` says where an array lies, but a file was given, which says it itself. Leave it out."
            )
        return _scene_of_bytes(image, options) if isinstance(image, bytes) else read_scene(image, options)
    if isinstance(image, np.ndarray):
        shown = show_array(_bands_of(image, options.bands), options.stretch)
    elif isinstance(image, Image.Image):
        shown = show_picture(image)
    else:
        raise InvalidImageError(
            f"`image` must be a path, bytes of a file, a PIL image or an array, received {type(image).__name__}. "
            "Convert it to a numpy array of shape (H, W, 3)."
        )
    for line in shown.warnings:
        _LOGGER.warning("array: %s.", line)
    return Scene(
        rgb=shown.rgb,
        valid=shown.valid,
        georeference=place or Georeference(Affine.identity()),
        source="array",
        is_photo=True,
        bands=options.bands or ((1, 2, 3) if shown.num_bands >= 3 else (1, 1, 1)),
        num_bands=shown.num_bands,
        dtype=shown.dtype,
        nodata=None,
        stretch=shown.stretch,
        limits=shown.limits,
        warnings=shown.warnings,
    )


def _scene_of_bytes(content: bytes, options: ReadOptions) -> Scene:
    """An encoded image, through a file of its own: GDAL and PIL read more from one than from memory."""
    with tempfile.TemporaryDirectory(prefix="rs2sam-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "bytes"
        path.write_bytes(content)
        return replace(read_scene(path, options), source="bytes")


def _bands_of(array: npt.NDArray[Any], bands: tuple[int, ...] | None) -> npt.NDArray[Any]:
    """The bands of an (H, W, bands) array that are to be shown; None: all as they are."""
    if bands is None:
        return array
    count = array.shape[2] if array.ndim == 3 else 1
    wrong = [band for band in bands if not 1 <= band <= count]
    if wrong or array.ndim not in (2, 3):
        raise InvalidInputError(
            f"Bands are counted from 1, and the array of shape {array.shape} has {count} on its last axis, but `bands` "
            f"names {', '.join(map(str, wrong or bands))}."
        )
    return array if array.ndim == 2 else array[..., [band - 1 for band in bands]]
