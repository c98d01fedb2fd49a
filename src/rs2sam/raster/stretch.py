"""The stretch of pixel values to 8 bit: limits are found once per scene, then every pixel is mapped alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rs2sam.errors import InvalidInputError

Kind = Literal["none", "percentile", "fixed"]
Limits = tuple[tuple[float, float], ...]

DEFAULT_PERCENTILES = (2.0, 98.0)


@dataclass(frozen=True)
class Stretch:
    """How pixel values become 8 bit.

    Args:
        kind: `none` (values are 8 bit already), `percentile` (of each band's valid pixels) or `fixed` (the same values
            for all bands).
        low: percentile or value that becomes 0; unused for `none`.
        high: percentile or value that becomes 255; unused for `none`.
    """

    kind: Kind
    low: float = 0.0
    high: float = 255.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InvalidInputError(
                f"The lower limit of a stretch must be below the upper one, but they are "
                f"{self.low:g} and {self.high:g}."
            )
        if self.kind == "percentile" and not 0 <= self.low < self.high <= 100:
            raise InvalidInputError(
                f"Percentiles of a stretch lie in [0, 100], but they are {self.low:g} and {self.high:g}."
            )

    @classmethod
    def parse(cls, text: str) -> Stretch:
        """Read `none`, `percentile`, `percentile:lo,hi` or `fixed:lo,hi`."""
        kind, _, limits = text.strip().partition(":")
        if kind == "none" and not limits:
            return cls("none")
        if kind == "percentile" and not limits:
            return cls("percentile", *DEFAULT_PERCENTILES)
        pair = _two_numbers(limits)
        if kind == "percentile" and pair:
            return cls("percentile", *pair)
        if kind == "fixed" and pair:
            return cls("fixed", *pair)
        raise InvalidInputError(
            f"A stretch is written `none`, `percentile`, `percentile:lo,hi` or `fixed:lo,hi`, but it is {text!r}. "
            "For example `percentile:2,98` or `fixed:0,3000`."
        )

    @classmethod
    def default_for(cls, dtype: np.dtype[np.generic], num_bits: int = 8) -> Stretch:
        """No stretch for 8-bit pixels, the full range for fewer bits, percentiles for everything else."""
        if dtype != np.uint8:
            return cls("percentile", *DEFAULT_PERCENTILES)
        return cls("none") if num_bits >= 8 else cls("fixed", 0.0, float(2**num_bits - 1))

    def limits(self, sample: NDArray[Any]) -> Limits:
        """The value pairs that become 0 and 255, one pair per band.

        Args:
            sample: (bands, n) valid pixels of the scene, n > 0.

        Raises:
            InvalidInputError: with `none`, when a value lies outside [0, 255].
        """
        if self.kind == "percentile":
            low, high = np.percentile(sample, (self.low, self.high), axis=1)
            return tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))
        if self.kind == "none" and (sample.min() < 0 or sample.max() > 255):
            raise InvalidInputError(
                f"Without a stretch, pixel values must lie in [0, 255], but they reach from {sample.min():g} to "
                f"{sample.max():g}. Use `percentile` or `fixed:lo,hi`."
            )
        return ((self.low, self.high),) * len(sample)


def to_uint8(bands: NDArray[Any], limits: Limits) -> NDArray[np.uint8]:
    """Map each band's limits to 0 and 255, clipping beyond them; colours come last, as pictures have them.

    Args:
        bands: (bands, h, w) of any real dtype; not-a-number becomes 0.
        limits: value pairs, one per band; where both are equal (a constant band) values up to it become 0.

    Returns:
        (h, w, bands) uint8, contiguous.
    """
    shown = np.empty((*bands.shape[1:], len(bands)), dtype=np.uint8)
    for index, (band, pair) in enumerate(zip(bands, limits, strict=True)):
        if band.dtype == np.uint8 and pair == (0.0, 255.0):
            shown[..., index] = band
        elif band.dtype.kind in "iu" and band.dtype.itemsize <= 2:
            unsigned = band.view(f"u{band.dtype.itemsize}")
            shown[..., index] = _table(band.dtype, *pair).take(unsigned)
        else:
            shown[..., index] = _stretched(band, *pair)
    return shown


def _stretched(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """One band's values in 8 bit; in place where it can be, which is four times as fast."""
    scaled: NDArray[np.float64] = values.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled -= low
        scaled *= 255.0
        scaled /= max(high - low, float(np.finfo(np.float32).tiny))
    np.clip(scaled, 0.0, 255.0, out=scaled)
    if values.dtype.kind == "f":
        scaled[np.isnan(scaled)] = 0.0
    scaled += 0.5
    return scaled.astype(np.uint8)


@lru_cache(maxsize=16)
def _table(dtype: np.dtype[np.signedinteger[Any]], low: float, high: float) -> NDArray[np.uint8]:
    """What each value of an integer type of up to 16 bits becomes, in the order of its bits as an unsigned number."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    every = np.arange(2 ** (8 * dtype.itemsize)).astype(unsigned)
    return _stretched(every.view(dtype), low, high)


def _two_numbers(text: str) -> tuple[float, float] | None:
    """`lo,hi` as floats, or None."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        return None
    return low, high
