"""Pictures of any kind as 8-bit RGB: what a viewer would show, in a form the model takes.

- grey, 1-bit, palette, CMYK, YCbCr, LAB: RGB by the picture's own colour model.
- Scale and validity are decided as for scenes (`rs2sam.raster.arrays`, `rs2sam.raster.validity`): pixels without data
  are black, more than 8 bits and floats are stretched by percentiles of each band.
- EXIF orientation is applied, so that "top" is what a viewer shows as top. Of several frames the first is taken.

Plain pictures of 8 bits are decoded here, which spares rasterio; TIFF and all else is read by `rs2sam.raster`, with its
nodata, masks, bands and stretch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from rs2sam.errors import DataNotFoundError, InvalidImageError, words_of
from rs2sam.fields import a_place
from rs2sam.raster.arrays import ImageSource, ShownArray, show_array, show_picture

__all__ = ["RGB", "ImageSource", "Validity", "read_image", "read_image_and_validity"]

RGB: TypeAlias = npt.NDArray[np.uint8]
Validity: TypeAlias = npt.NDArray[np.bool_]

# What a mode of more than 8 bits is called; a TIFF may have nodata and masks that PIL knows nothing of.
_DEEP_MODES = ("F", "I")


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


def read_image_and_validity(source: ImageSource, *, upright: bool = True) -> tuple[RGB, Validity]:
    """Read as `read_image` does, with (H, W) bool: False where there is no data.

    Args:
        source: as for `read_image`.
        upright: False leaves EXIF orientation alone.
    """
    if isinstance(source, np.ndarray):
        shown = show_array(source)
        return shown.rgb, shown.valid
    if isinstance(source, Image.Image):
        shown = show_picture(source, upright=upright)
        return shown.rgb, shown.valid
    if isinstance(source, bytes):
        from rs2sam.raster.read import scene_of

        of_file = scene_of(source)
        return of_file.rgb, of_file.valid
    if not isinstance(source, (str, Path)):
        raise InvalidImageError(
            f"`image` must be a path, bytes of a file, a PIL image or an array, received {type(source).__name__}. "
            "Convert it to a numpy array of shape (H, W, 3)."
        )
    path = a_place("image", source)
    if not path.is_file():
        raise DataNotFoundError(f"image not found: `{path}` is not a file. Check the path (relative to {Path.cwd()}).")
    plain = _plain_picture(path, upright=upright)
    if plain is not None:
        return plain.rgb, plain.valid
    from rs2sam.raster.read import read_scene  # rasterio costs 0.2 s, and ordinary pictures never need it

    scene = read_scene(path, upright=upright)
    return scene.rgb, scene.valid


def is_plain(picture: Image.Image, path: Path) -> bool:
    """Whether PIL reads all that an open file says of its pixels: 8 bits, no TIFF, nothing beside it."""
    is_deep = picture.mode.startswith(_DEEP_MODES) or any(";16" in str(tile) for tile in getattr(picture, "tile", ()))
    return not is_deep and picture.format != "TIFF" and not Path(f"{path}.aux.xml").exists()


def _plain_picture(path: Path, *, upright: bool) -> ShownArray | None:
    """What PIL reads of a plain picture; None for files that it does not know, or not to their depth."""
    try:
        with Image.open(path) as picture:
            return show_picture(picture, upright=upright) if is_plain(picture, path) else None
    except UnidentifiedImageError:
        return None
    except (Image.DecompressionBombError, MemoryError) as error:
        raise InvalidImageError(
            f"`{path}` is too large to be read whole ({words_of(error)}). Segment it as a scene (`rs2sam segment`), "
            "which is read in windows, or raise `PIL.Image.MAX_IMAGE_PIXELS` if you trust the file and have the memory."
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidImageError(
            f"`{path}` cannot be decoded: {words_of(error)}. The file is damaged or cut short; copy or export it again."
        ) from error
