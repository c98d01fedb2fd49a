"""Samples of a scene from which the limits of its stretch are found, of bounded size whatever the scene's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from rasterio.windows import Window as FileWindow

from rs2sam.errors import InvalidImageError, InvalidInputError
from rs2sam.raster.opening import Pixels
from rs2sam.raster.validity import BoolArray

SAMPLE_SIDE = 1024
"""Longer side of the decimated read."""

# Pixels that are enough for limits where the decimated read meets none that is valid, or none that can be read.
_ENOUGH = 1_000_000
_ROWS, _COLS = 512, 4096
# Pieces of a scene that are looked at for a valid pixel: 8.6 thousand million pixels.
_MOST_PIECES = 4096

Read = Callable[[FileWindow | None, tuple[int, int]], tuple[Pixels, BoolArray]]
"""Reads a window of the file, or all of it, at a height and width."""


def decimated(read: Read, size_hw: tuple[int, int]) -> tuple[Pixels, BoolArray] | None:
    """All of a file at no more than `SAMPLE_SIDE`, by the nearest pixel; None where a part of it cannot be read."""
    height, width = size_hw
    shrink = max(1.0, max(height, width) / SAMPLE_SIDE)
    try:
        return read(None, (max(1, round(height / shrink)), max(1, round(width / shrink))))
    except InvalidImageError:
        return None


def sample_of_pieces(read: Read, size_hw: tuple[int, int]) -> Pixels:
    """(3, n) valid pixels, the first of the scene's pieces that have any and can be read; n may be 0.

    Raises:
        InvalidInputError: the scene has more pieces than are looked at, and those have no valid pixel.
    """
    found: list[Pixels] = []
    pieces = -(-size_hw[0] // _ROWS) * -(-size_hw[1] // _COLS)
    for piece in _pieces(size_hw, step=-(-pieces // _MOST_PIECES)):
        try:
            pixels, valid = read(piece, (int(piece.height), int(piece.width)))
        except InvalidImageError:
            continue
        if valid.any():
            found.append(pixels[:, valid][:, :_ENOUGH])
            if sum(part.shape[1] for part in found) >= _ENOUGH:
                break
    if not found and pieces > _MOST_PIECES:
        raise InvalidInputError(
            f"The stretch needs pixels with data, but {_MOST_PIECES:,} pieces of {_ROWS} x {_COLS} px, evenly spread "
            "over the image, have none that can be read. Give its limits with --stretch fixed:lo,hi."
        )
    return np.concatenate(found, axis=1) if found else np.zeros((3, 0))


def _pieces(size_hw: tuple[int, int], step: int) -> Iterator[FileWindow]:
    """Every so manyth piece of a file, row by row."""
    height, width = size_hw
    per_row = -(-width // _COLS)
    for number in range(0, -(-height // _ROWS) * per_row, step):
        row, col = number // per_row * _ROWS, number % per_row * _COLS
        yield FileWindow(col, row, min(_COLS, width - col), min(_ROWS, height - row))
