"""Which bands are shown as which colours, and what their values are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from rs2sam.errors import InvalidImageError, InvalidInputError
from rs2sam.raster.opening import Pixels

# A palette's index beyond this is no colour: the largest tables are those of 16 bits.
_MOST_COLOURS = 65536
_INKS = (ColorInterp.cyan, ColorInterp.magenta, ColorInterp.yellow, ColorInterp.black)


def choose_bands(
    dataset: DatasetReader, asked: tuple[int, ...] | None, say: Callable[[str], None] = lambda _: None
) -> tuple[int, ...]:
    """1-based bands to read: as asked, else by colour interpretation, else the first three or the first.

    Args:
        dataset: the open file.
        asked: three bands or one; None: by the file.
        say: receives a line where the file does not say which bands are colours.
    """
    if asked is not None:
        wrong = [band for band in asked if not 1 <= band <= dataset.count]
        if wrong:
            raise InvalidInputError(
                f"Bands are counted from 1, and {dataset.name} has {dataset.count}, but `bands` names "
                f"{', '.join(map(str, wrong))}."
            )
        return asked if len(asked) == 3 else asked * 3
    meaning = dataset.colorinterp
    if is_cmyk(dataset):
        return tuple(meaning.index(ink) + 1 for ink in _INKS)
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in meaning for colour in colours):
        return tuple(meaning.index(colour) + 1 for colour in colours)
    data = [index for index, kind in enumerate(meaning, start=1) if kind != ColorInterp.alpha] or [1]
    if len(data) < 3:
        return (data[0],) * 3
    if len(data) > 3:
        say(
            f"it has {dataset.count} bands and does not say which are red, green and blue: taking 1, 2, 3. Name others "
            "with --bands"
        )
    return tuple(data[:3])


def pixel_type(dataset: DatasetReader, bands: tuple[int, ...]) -> np.dtype[np.generic]:
    """The common type of bands' pixels.

    Raises:
        InvalidImageError: they are no real numbers.
    """
    of_all = dataset.dtypes  # asked for once: there may be thousands
    names = [of_all[band - 1] for band in dict.fromkeys(bands)]
    for name in names:
        # GDAL's complex integers have no type in numpy.
        if name.startswith("complex") or np.dtype(name).kind not in "uif":
            raise InvalidImageError(
                f"Pixels must be real numbers, but those of {dataset.name} are {name}. Convert them first."
            )
    return np.result_type(*map(np.dtype, names))


def is_cmyk(dataset: DatasetReader) -> bool:
    """Whether a file has all four inks, in values whose range says how much of each."""
    meaning = dataset.colorinterp
    if not set(_INKS) <= set(meaning):
        return False
    return all(dataset.dtypes[meaning.index(ink)] in ("uint8", "uint16", "uint32") for ink in _INKS)


def palette_of(dataset: DatasetReader, say: Callable[[str], None] = lambda _: None) -> NDArray[np.uint8] | None:
    """(entries + 1, 4) uint8 RGBA of a palette image, the last of them transparent; None for all others.

    Args:
        dataset: the open file.
        say: receives a line where there is a palette that is not used.
    """
    if dataset.colorinterp[0] != ColorInterp.palette:
        return None
    if np.dtype(dataset.dtypes[0]).kind not in "ui":
        say(f"its palette is left out, since its values are {dataset.dtypes[0]}: they are shown as grey")
        return None
    try:
        colours = {index: colour for index, colour in dataset.colormap(1).items() if 0 <= index < _MOST_COLOURS}
    except ValueError:  # it says that it has one
        colours = {}
    if not colours:
        say("it is said to have a palette and has none: its values are shown as grey")
        return None
    table = np.zeros((max(colours) + 2, 4), dtype=np.uint8)
    for index, colour in colours.items():
        table[index] = colour
    return table


def look_up(table: NDArray[np.uint8], indices: NDArray[Any]) -> tuple[Pixels, NDArray[np.bool_]]:
    """Colours (3, h, w) of a palette's (h, w) indices, and where they are opaque; others have no colour and no data."""
    last = len(table) - 1
    known = np.where((indices >= 0) & (indices < last), indices, last).astype(np.int64)
    coloured = table[known]
    return coloured[..., :3].transpose(2, 0, 1), coloured[..., 3] > 0


def cmyk_to_rgb(inks: Pixels) -> Pixels:
    """(4, h, w) inks over the range of their unsigned type to (3, h, w) uint8 light."""
    step = (2 ** (8 * inks.itemsize) - 1) // 255
    light = 255 - (inks if step == 1 else inks.astype(np.float64) / step).astype(np.uint16)
    return (light[:3] * light[3:] // 255).astype(np.uint8)
