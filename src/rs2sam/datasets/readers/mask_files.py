"""Masks as files.

A mask file marks the foreground by any level but 0: 1-bit, 8-bit, 16-bit, float, RGB and palettes alike. In a
palette, index 0 and black have to be the same pixels; where they are not, the file is refused, as nobody can know
which is meant. In a JPEG, whose zeros are not kept by its compression, the foreground is brighter than half.

Of some pixels a mask says nothing, and losses and metrics leave them out: where a TIFF has its nodata value (255 in
masks that `rs2sam segment` writes) or no data by its mask band, where a float is no number, and at the `ignore` level
that a line of JSON names. A nodata value of 0 is the background, as every 0 is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from rs2sam.datasets.base import Mask
from rs2sam.errors import DataNotFoundError, InvalidImageError, RS2SAMError, words_of
from rs2sam.imaging import is_plain

if TYPE_CHECKING:
    from rs2sam.raster.opening import Handle

_JPEG_THRESHOLD = 127
_WITH_ALPHA = {"LA", "PA", "RGBA", "RGBa", "La"}


def read_mask(path: Path) -> Mask:
    """Read a mask file whose foreground is any level but 0; see the module's text for palettes and JPEG.

    Args:
        path: PNG, TIFF or any other picture.

    Returns:
        (H, W) bool.

    Raises:
        DataNotFoundError: there is no such file.
        InvalidImageError: it cannot be read, or its palette does not say what is background.
    """
    return read_target(path)[0]


def read_target(path: Path, ignore: float | None = None) -> tuple[Mask, Mask | None]:
    """Read a mask file as `read_mask` does, and of which pixels it says nothing.

    Args:
        path: PNG, TIFF or any other picture.
        ignore: level, or index of a palette, that says nothing, besides what the file declares.

    Returns:
        (H, W) bool foreground, and (H, W) bool of the pixels that are left out, or None for none.
    """
    with _opened(path) as picture:
        unknown = _without_data(path) if picture is None or not is_plain(picture, path) else None
        levels = _levels(path, picture)
        if ignore is not None:
            unknown = _either(unknown, _in_all_bands(levels == ignore))
        if picture is not None and picture.mode == "P":
            is_set = _palette_mask(picture, path, unknown)
        elif picture is not None and picture.format == "JPEG":
            is_set = levels > _JPEG_THRESHOLD
        else:
            is_set = np.nan_to_num(levels, nan=0.0) != 0
    mask = np.ascontiguousarray(is_set if is_set.ndim == 2 else is_set.any(axis=2))
    if unknown is None or not unknown.any():
        return mask, None
    return mask & ~unknown, unknown


def read_grey_mask(path: Path, above: int) -> Mask:
    """Read a mask file whose foreground is brighter than a level, after conversion to grey; 16 bits stay 16 bits.

    Args:
        path: a picture of any mode.
        above: the last level of the background.

    Returns:
        (H, W) bool.

    Raises:
        DataNotFoundError: there is no such file.
        InvalidImageError: it cannot be read.
    """
    with _opened(path) as picture:
        if picture is None:
            levels = _raster_levels(path)[..., 0]
        else:
            is_grey = picture.mode == "F" or picture.mode.startswith("I")
            levels = np.asarray(picture if is_grey else picture.convert("L"))
    mask: Mask = levels > above
    return mask


# PIL reports broken PNG files as SyntaxError, impossible sizes and palettes as ValueError.
_DAMAGES = (OSError, SyntaxError, ValueError, MemoryError, Image.DecompressionBombError)


class _opened:  # noqa: N801 - used like a function, in a `with`
    """A picture while it is read: None where PIL does not know the format; what goes wrong becomes an error of ours."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._picture: Image.Image | None = None

    def __enter__(self) -> Image.Image | None:
        if not self._path.is_file():
            raise DataNotFoundError(f"mask not found: `{self._path}` is not a file. Check the path and the download.")
        try:
            self._picture = Image.open(self._path)
        except UnidentifiedImageError:
            return None
        except _DAMAGES as error:
            raise self._unreadable(error) from error
        return self._picture

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._picture is not None:
            self._picture.close()
        if isinstance(error, _DAMAGES) and not isinstance(error, RS2SAMError):
            raise self._unreadable(error) from error

    def _unreadable(self, error: BaseException) -> InvalidImageError:
        return InvalidImageError(
            f"mask `{self._path}` cannot be read: {words_of(error)}. The file is damaged, cut short or too large; copy "
            "it again."
        )


def _is_deep(picture: Image.Image) -> bool:
    """Whether PIL would drop the lower 8 of 16 bits of a colour."""
    return not picture.mode.startswith("I") and any(";16" in str(tile) for tile in getattr(picture, "tile", ()))


def _levels(path: Path, picture: Image.Image | None) -> npt.NDArray[Any]:
    """(H, W) or (H, W, bands) levels of a mask file, or indices of its palette; what is transparent is 0."""
    if picture is None or _is_deep(picture):
        return _raster_levels(path)
    if picture.format == "JPEG":
        return np.asarray(picture.convert("L"))
    levels = np.asarray(picture)
    return levels[..., :-1] * (levels[..., -1:] != 0) if picture.mode in _WITH_ALPHA else levels


def _raster_levels(path: Path) -> npt.NDArray[Any]:
    """All bands of a file that PIL cannot read, or not to its depth: (H, W, bands)."""
    with _raster(path) as handle:
        return np.moveaxis(handle.read(range(1, handle.dataset.count + 1)), 0, -1)


@contextmanager
def _raster(path: Path) -> Iterator[Handle]:
    """A mask as GDAL opens it; errors name it as one."""
    from rs2sam.raster.opening import open_handle  # costs 0.2 s, and ordinary masks never need it

    try:
        with open_handle(path) as handle:
            yield handle
    except InvalidImageError as error:
        raise InvalidImageError(f"mask {error} Give a PNG or TIFF file.") from error


def _without_data(path: Path) -> Mask | None:
    """(H, W) bool: where a raster has no data by nodata, mask band or not-a-number; None: nowhere."""
    from rasterio.enums import MaskFlags

    with _raster(path) as handle:
        dataset = handle.dataset
        unknown: Mask | None = None
        flags = set(dataset.mask_flag_enums[0])
        if MaskFlags.per_dataset in flags and not {MaskFlags.alpha, MaskFlags.nodata} & flags:
            unknown = handle.read_masks([1])[0] == 0
        # 0 is the background, whatever else it is called.
        declared = {value for value in dataset.nodatavals if value is not None and value != 0}
        if declared or any(dtype.startswith("float") for dtype in dataset.dtypes):
            levels = handle.read(range(1, dataset.count + 1))
            for value in declared:
                unknown = _either(unknown, np.asarray(np.equal(levels, value).all(axis=0)))
            if levels.dtype.kind == "f":
                unknown = _either(unknown, np.asarray(np.isnan(levels).all(axis=0)))
        return unknown


def _either(one: Mask | None, other: Mask) -> Mask:
    """Pixels of one mask or another."""
    return other if one is None else one | other


def _in_all_bands(where: npt.NDArray[np.bool_]) -> Mask:
    """(H, W) or (H, W, bands) bool to (H, W): True in all bands."""
    return where if where.ndim == 2 else np.asarray(where.all(axis=2))


def _palette_mask(picture: Image.Image, path: Path, unknown: Mask | None) -> Mask:
    """Foreground of a picture with a palette: index and colour have to agree wherever something is known."""
    by_index: Mask = np.asarray(picture) != 0
    picture.info.pop("transparency", None)  # says nothing here, and PIL would warn of it
    by_colour = np.any(np.asarray(picture.convert("RGB")), axis=2)
    differs = by_index != by_colour
    if (differs if unknown is None else differs & ~unknown).any():
        raise InvalidImageError(
            f"mask `{path}` has a palette in which index 0 and black are different pixels, so its background is not "
            "known. Save it as 8-bit grey with 0 as background."
        )
    return by_index
