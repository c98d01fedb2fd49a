"""Pictures of any kind as 8-bit RGB: what a viewer would show, in a form the model takes.

- grey, 1-bit, palette, CMYK, YCbCr, LAB: RGB by the picture's own colour model.
- An alpha channel or a transparent palette entry is validity, not paint: fully transparent pixels turn black, all
  others keep their colour.
- EXIF orientation is applied, so that "top" is what a viewer shows as top. Of several frames the first is taken.
- More than 8 bits, or float: values within [0, 255] as they are, floats within [0, 1] times 255, anything else
  stretched by the 2nd to 98th percentile of all bands together. NaN and infinities are black.

GeoTIFFs with a choice of bands, nodata or a stretch per scene are read by `rs2sam.raster`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from rs2sam.errors import DataNotFoundError, InvalidImageError

ImageSource: TypeAlias = str | Path | Image.Image | npt.NDArray[Any]
"""What the package accepts as an image: a path, a PIL image, or an array (H, W), (H, W, 1..4)."""

RGB: TypeAlias = npt.NDArray[np.uint8]
Validity: TypeAlias = npt.NDArray[np.bool_]

_STRETCH_PERCENTILES = (2.0, 98.0)
_PIL_MODES_WITH_ALPHA = {"LA", "La", "PA", "RGBA", "RGBa"}


def read_image(source: ImageSource) -> RGB:
    """Read a path, PIL image or array as 8-bit RGB.

    Args:
        source: path of a picture, PIL image, or array (H, W) or (H, W, 1 to 4) of numbers; see the module's list.

    Returns:
        (H, W, 3) uint8, contiguous.

    Raises:
        DataNotFoundError: there is no such file.
        InvalidImageError: the file or array cannot be read as pixels.
    """
    return read_image_and_validity(source)[0]


def read_image_and_validity(source: ImageSource) -> tuple[RGB, Validity]:
    """Read as `read_image` does, with (H, W) bool: False where an alpha channel says that there is nothing."""
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_pil(source)
    if not isinstance(source, (str, Path)):
        raise InvalidImageError(
            f"`image` must be a path, a PIL image or an array, received {type(source).__name__}. "
            "Convert it to a numpy array of shape (H, W, 3)."
        )
    path = Path(source)
    if not path.is_file():
        raise DataNotFoundError(f"image not found: `{path}` is not a file. Check the path (relative to {Path.cwd()}).")
    try:
        try:
            with Image.open(path) as picture:
                return _from_array(_read_with_rasterio(path)) if _has_deep_colours(picture) else _from_pil(picture)
        except UnidentifiedImageError:
            return _from_array(_read_with_rasterio(path))
    except (Image.DecompressionBombError, MemoryError) as error:
        raise InvalidImageError(
            f"`{path}` is too large to be read whole ({error}). Segment it as a scene (`rs2sam segment`), which is "
            "read in windows, or raise `PIL.Image.MAX_IMAGE_PIXELS` if you trust the file and have the memory."
        ) from error
    except (OSError, SyntaxError) as error:
        raise InvalidImageError(
            f"`{path}` cannot be decoded: {error}. The file is damaged or cut short; copy or export it again."
        ) from error


def _from_pil(picture: Image.Image) -> tuple[RGB, Validity]:
    """Pixels and validity of a PIL image of any mode, EXIF orientation applied."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _from_array(np.asarray(picture))
    if picture.mode in _PIL_MODES_WITH_ALPHA or "transparency" in picture.info:
        return _from_array(np.array(picture.convert("RGBA")))
    return _from_array(np.array(picture.convert("RGB")))


def _from_array(array: npt.NDArray[Any]) -> tuple[RGB, Validity]:
    """Pixels and validity of (H, W) or (H, W, 1 to 4) numbers; two channels are grey and alpha, four RGB and alpha."""
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4) or array.size == 0:
        raise InvalidImageError(
            f"an image array must be (H, W) or (H, W, 1 to 4) with at least one pixel, received {array.shape}. "
            "Move the bands to the last axis and choose at most three of them."
        )
    if array.dtype.kind not in "buif":
        raise InvalidImageError(f"an image array must hold numbers, received {array.dtype}. Convert it to uint8.")
    num_colours = 1 if array.shape[2] <= 2 else 3
    colours = to_uint8(array[..., :num_colours])
    rgb = np.repeat(colours, 3, axis=2) if num_colours == 1 else np.ascontiguousarray(colours)
    if array.shape[2] == num_colours:
        return rgb, np.ones(rgb.shape[:2], np.bool_)
    valid = array[..., -1] != 0
    rgb[~valid] = 0
    return rgb, valid


def to_uint8(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Numbers of any range as uint8 [0, 255], by the rule in the module's list; a copy."""
    if values.dtype == np.uint8:
        return np.array(values, dtype=np.uint8)
    if values.dtype == np.bool_:
        return np.asarray(values, dtype=np.uint8) * np.uint8(255)
    numbers = values.astype(np.float64)
    finite = np.isfinite(numbers)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = float(numbers[finite].min()), float(numbers[finite].max())
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    else:
        low, high = (float(edge) for edge in np.percentile(numbers[finite], _STRETCH_PERCENTILES))
    scaled = (np.where(finite, numbers, low) - low) * (255.0 / (high - low) if high > low else 0.0)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def _has_deep_colours(picture: Image.Image) -> bool:
    """Whether PIL would drop the lower 8 of 16 bits, as it does for everything but grey without alpha."""
    return any(";16" in str(tile) for tile in getattr(picture, "tile", ())) and not picture.mode.startswith("I")


def _check_size(num_pixels: int) -> None:
    """What PIL checks itself when it opens a file: a header can claim any size."""
    most = Image.MAX_IMAGE_PIXELS
    if most is not None and num_pixels > 2 * most:
        raise Image.DecompressionBombError(f"{num_pixels:,} pixels, more than {2 * most:,}")


def _read_with_rasterio(path: Path) -> npt.NDArray[Any]:
    """Formats and pixel types beyond PIL: the first band or the first three, and alpha where there is one."""
    import rasterio  # costs 0.2 s, and ordinary pictures never need it
    from rasterio.enums import ColorInterp
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                _check_size(dataset.width * dataset.height)
                colours = [1, 2, 3] if dataset.count >= 3 else [1]
                alpha = [n for n, kind in enumerate(dataset.colorinterp, start=1) if kind == ColorInterp.alpha]
                bands = dataset.read(colours + alpha[:1])
    except RasterioIOError as error:
        raise InvalidImageError(
            f"`{path}` is in no picture format known to PIL or GDAL ({error}). "
            "Give a PNG, JPEG, WebP, TIFF or GeoTIFF file."
        ) from error
    return np.asarray(np.moveaxis(bands, 0, -1))
