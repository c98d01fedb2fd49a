"""Finished pixels on disk: per sentence the probability where it is foreground, and where the scene has no data.

Values are uint16: 0 background, 1 to 65534 foreground with its probability, 65535 no data. Foreground is decided on the
float32 probability before it is rounded, so the mask is exactly that of a map in memory; the probability is within
1 / 131068 of it.

A run that keeps probabilities stores those of all pixels instead, in whole steps of half a percent, rounded up, and
decides when they are read (`Decided`). Then p > t is the same as `step > t * PROBABILITY_STEPS` for every threshold t
of half percents, so a mask is that of a run that keeps nothing. Everything else, such as the mean probability of a
region, is computed from the steps, by the run as by its refinement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rs2sam.errors import InvalidInputError
from rs2sam.raster.mask_files import MASK_NODATA, PROBABILITY_STEPS
from rs2sam.raster.tiling import TileGrid, Window
from rs2sam.scenes.blocks import Block, BlockReader, BlockWriter

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]
Values = NDArray[np.uint16]

NO_DATA = 65535
FULL = 65534
"""Value of a probability of 1."""

_STRIP_PIXELS = 1_300_000

# Step k holds what is above _ABOVE[k] and at most _UP_TO[k]; none is below 0, or taken to be above 1.
_EDGES = (np.arange(PROBABILITY_STEPS + 1) / PROBABILITY_STEPS).astype(np.float32)
_ABOVE = np.concatenate([np.array([-1], np.float32), _EDGES[:-1]])
_UP_TO = np.concatenate([_EDGES[:-1], np.array([np.inf], np.float32)])


def strip_rows(width: int) -> int:
    """Rows of the strips in which a scene of this width is read again."""
    return int(np.clip(_STRIP_PIXELS // width, 8, 256))


class StripReader(Protocol):
    """Pixels of a scene that are read in strips."""

    def strips(self, band: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """First row and (h, W) uint16 or uint8 of each strip of what was asked, counted from 0, from top to bottom."""


class StoreSink:
    """Writes finished pixels.

    Args:
        writer: of the file.
        threshold: a pixel is foreground where its probability is above this; None stores the steps of all pixels
            instead, see `steps_of`.
        strip: rows of a stored block, at most.
        row_offsets: where the rows of tiles begin in the file, of those that have begun.
    """

    def __init__(self, writer: BlockWriter, threshold: float | None, strip: int, row_offsets: list[int]) -> None:
        self._writer = writer
        # Sums of ones may exceed one by rounding; no probability does.
        self._threshold = None if threshold is None else np.float32(threshold if threshold < 1 else np.inf)
        self._strip = strip
        self.row_offsets = row_offsets

    def start_row(self, row: int) -> None:
        """Remember where a row of tiles begins."""
        del self.row_offsets[row:]
        self.row_offsets.append(self._writer.offset)

    def put(self, window: Window, sums: FloatArray, valid: BoolArray) -> None:
        """Store a finished window of every sentence."""
        void = None if valid.all() else ~valid
        for band, blended in enumerate(sums):
            if self._threshold is None:
                self._put_steps(window, band, blended, void)
                continue
            is_set = blended > self._threshold
            if void is not None:
                is_set |= void
            for top in range(0, window.height, self._strip):
                rows = slice(top, top + self._strip)
                values = _stored(blended[rows][is_set[rows]])
                if void is not None:
                    values[void[rows][is_set[rows]]] = NO_DATA
                self._writer.append_set(band, window.row + top, window.col, is_set[rows], values)

    def _put_steps(self, window: Window, band: int, blended: FloatArray, void: BoolArray | None) -> None:
        """Store a finished window of one sentence, wherever it is."""
        for top in range(0, window.height, self._strip):
            rows = slice(top, top + self._strip)
            steps = steps_of(blended[rows])
            if void is not None:
                steps[void[rows]] = NO_DATA
            self._writer.append(band, window.row + top, window.col, steps)


def steps_of(probability: NDArray[np.float32]) -> Values:
    """Whole steps of (h, w) float32 probabilities, up to rounding in [0, 1]: uint16 in 0..`PROBABILITY_STEPS`."""
    product = np.ceil(probability * np.float32(PROBABILITY_STEPS))
    steps: Values = np.clip(product, 0, PROBABILITY_STEPS).astype(np.uint16)
    # Rounded, the product may lie on the other side of an edge.
    steps += probability > _UP_TO[steps]
    steps -= probability <= _ABOVE[steps]
    return steps


def _stored(probability: FloatArray) -> Values:
    """Values of the probabilities of foreground pixels."""
    steps = probability * np.float32(FULL)
    np.rint(steps, out=steps)
    return np.clip(steps, 1, FULL, out=steps).astype(np.uint16)


class StoredScene:
    """A finished store, read in strips from top to bottom.

    Args:
        path: the file.
        grid: of the tiles that it was written from.
        row_offsets: where the rows of tiles begin in the file, and its end.
    """

    def __init__(self, path: Path, grid: TileGrid, row_offsets: list[int]) -> None:
        self._path = path
        self._width = grid.size_hw[1]
        self._tops = [*grid.offsets_hw[0], grid.size_hw[0]]
        self._offsets = row_offsets
        self._strip = strip_rows(self._width)

    def strips(self, band: int) -> Iterator[tuple[int, Values]]:
        """First row and (h, W) uint16 values of each strip of a sentence, counted from 0, from top to bottom."""
        with BlockReader(self._path) as reader:
            for row in range(len(self._tops) - 1):
                index = reader.index(self._offsets[row], self._offsets[row + 1])
                by_top: dict[int, list[Block]] = {}
                for block in index:
                    if block.band == band:
                        by_top.setdefault(block.row, []).append(block)
                for top in sorted(by_top):
                    yield top, self._joined(reader, by_top[top])

    def _joined(self, reader: BlockReader, blocks: list[Block]) -> Values:
        """The blocks of one strip side by side."""
        strip = np.zeros((blocks[0].height, self._width), dtype=np.uint16)
        for block in blocks:
            if block.num_bytes or block.value:
                strip[:, block.col : block.col + block.width] = reader.values(block)
        return strip


def foreground(values: Values) -> BoolArray:
    """Where stored values are foreground."""
    # One comparison: background wraps round to the top.
    found: BoolArray = (values - np.uint16(1)) < np.uint16(FULL)
    return found


def probability(values: Values) -> FloatArray:
    """Probability of stored values, float32; that of no data means nothing."""
    return values.astype(np.float32) * np.float32(1.0 / FULL)


def check_threshold(threshold: float) -> None:
    """Raise InvalidInputError unless kept probabilities decide at a threshold (in [0, 1]) as the model's own would."""
    steps = threshold * PROBABILITY_STEPS
    if abs(steps - round(steps)) > 1e-6:
        below, above = np.floor(steps) / PROBABILITY_STEPS, np.ceil(steps) / PROBABILITY_STEPS
        raise InvalidInputError(
            f"Probabilities are kept in steps of {1 / PROBABILITY_STEPS:g}, so a threshold is one of these, but it is "
            f"{threshold:g}. Choose {below:g} or {above:g}."
        )


def values_at(threshold: float) -> Values:
    """What is stored for each kept byte at a threshold: (256,) uint16, see `rs2sam.scenes.store`."""
    steps = np.arange(256)
    values: Values = np.rint(steps * (FULL / PROBABILITY_STEPS)).astype(np.uint16)
    values[(steps <= round(threshold * PROBABILITY_STEPS)) | (steps > PROBABILITY_STEPS)] = 0
    values[MASK_NODATA] = NO_DATA
    return values


@dataclass(frozen=True)
class Decided:
    """Kept probabilities with a threshold: foreground and its probability, as a run stores them that keeps nothing.

    Args:
        kept: steps and `MASK_NODATA`, or `NO_DATA`, whose last byte that is.
        threshold: a pixel is foreground where its probability is above this.
    """

    kept: StripReader
    threshold: float

    def strips(self, band: int) -> Iterator[tuple[int, Values]]:
        """First row and (h, W) uint16 values of each strip of what was asked, counted from 0, from top to bottom."""
        values = values_at(self.threshold)
        for top, steps in self.kept.strips(band):
            yield top, values[steps.astype(np.uint8, copy=False)]
