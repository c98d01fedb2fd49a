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

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from rs2sam.errors import DataNotFoundError, InvalidImageError

ImageSource: TypeAlias = str | Path | Image.Image | npt.NDArray[Any]
"""What the package accepts as an image: a path, a PIL image, or an array (H, W), (H, W, 1..4)."""

RGB: TypeAlias = npt.NDArray[np.uint8]

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
    if isinstance(source, np.ndarray):
        return array_to_rgb(source)
    if isinstance(source, Image.Image):
        return pil_to_rgb(source)
    if not isinstance(source, (str, Path)):
        raise InvalidImageError(
            f"`image` must be a path, a PIL image or an array, received {type(source).__name__}. "
            "Convert it to a numpy array of shape (H, W, 3)."
        )
    path = Path(source)
    if not path.is_file():
        raise DataNotFoundError(f"image not found: `{path}` is not a file. Check the path (relative to {Path.cwd()}).")
    try:
        with Image.open(path) as picture:
            return pil_to_rgb(picture)
    except UnidentifiedImageError:
        return _read_with_rasterio(path)
    except Image.DecompressionBombError as error:
        raise InvalidImageError(
            f"`{path}` is larger than PIL admits ({error}). Save it as a GeoTIFF, which is read in windows, "
            "or raise `PIL.Image.MAX_IMAGE_PIXELS` if you trust the file."
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidImageError(
            f"`{path}` cannot be decoded: {error}. The file is damaged or cut short; copy or export it again."
        ) from error


def pil_to_rgb(picture: Image.Image) -> RGB:
    """A PIL image of any mode as (H, W, 3) uint8, EXIF orientation applied."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F" or picture.mode.startswith("I"):
        return array_to_rgb(np.asarray(picture))
    if picture.mode in _PIL_MODES_WITH_ALPHA or "transparency" in picture.info:
        return _black_where_transparent(np.array(picture.convert("RGBA")))
    return _checked(np.ascontiguousarray(np.array(picture.convert("RGB"))))


def array_to_rgb(array: npt.NDArray[Any]) -> RGB:
    """An array (H, W) or (H, W, 1 to 4) of bools, integers or floats as (H, W, 3) uint8.

    Two channels are grey and alpha, four are RGB and alpha; alpha is invalid where it is 0.

    Raises:
        InvalidImageError: another shape or type, or no pixels.
    """
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise InvalidImageError(
            f"an image array must be (H, W) or (H, W, 1 to 4), received {array.shape}. "
            "Move the bands to the last axis and choose at most three of them."
        )
    if array.dtype.kind not in "buif":
        raise InvalidImageError(f"an image array must hold numbers, received {array.dtype}. Convert it to uint8.")
    num_colours = 1 if array.shape[2] <= 2 else 3
    colours = to_uint8(_checked(array)[..., :num_colours])
    rgb = np.repeat(colours, 3, axis=2) if num_colours == 1 else np.ascontiguousarray(colours)
    if array.shape[2] in (2, 4):
        rgb[array[..., -1] == 0] = 0
    return rgb


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


def _black_where_transparent(rgba: npt.NDArray[np.uint8]) -> RGB:
    """RGB of an RGBA array, black where alpha is 0."""
    rgb = np.ascontiguousarray(_checked(rgba)[..., :3])
    rgb[rgba[..., 3] == 0] = 0
    return rgb


def _checked(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array itself if it has pixels."""
    if array.size == 0:
        raise InvalidImageError(f"an image must have at least one pixel, received shape {array.shape}.")
    return array


def _read_with_rasterio(path: Path) -> RGB:
    """Formats and pixel types beyond PIL (16-bit RGB TIFF, JPEG 2000, ...): the first band, or the first three."""
    import rasterio  # costs 0.2 s, and ordinary pictures never need it
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    try:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as dataset:
                bands = dataset.read([1, 2, 3] if dataset.count >= 3 else [1])
    except RasterioIOError as error:
        raise InvalidImageError(
            f"`{path}` is in no picture format known to PIL or GDAL ({error}). "
            "Give a PNG, JPEG, WebP, TIFF or GeoTIFF file."
        ) from error
    return array_to_rgb(np.moveaxis(bands, 0, -1))
