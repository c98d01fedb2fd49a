"""Which pixels of a file have data: one rule for every command.

In this order: a `nodata` of the caller's; else the file's mask band; else its nodata value; else its alpha band, unless
the caller says that it is none. A pixel is valid while one of the bands shown is. Not-a-number and infinities are never
valid, nor are palette entries that are transparent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.io import DatasetReader

from rs2sam.raster.opening import Pixels

Alpha = Literal["use", "ignore"]
"""Whether an alpha band says where there is data."""

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Validity:
    """How the pixels with data are told.

    Args:
        values: of each band shown, that mark no data; None: GDAL's masks tell.
        tolerance: values so near to these mark it too.
        has_masks: whether GDAL's masks are read; without `values` and masks all pixels are valid.
        is_alpha: whether these masks are an alpha band.
    """

    values: tuple[float, ...] | None = None
    tolerance: float = 0.0
    has_masks: bool = False
    is_alpha: bool = False

    @classmethod
    def of(
        cls, dataset: DatasetReader, bands: tuple[int, ...], nodata: float | None, tolerance: float, alpha: Alpha
    ) -> Validity:
        """The rule for an open file; see the module's text."""
        if nodata is not None:
            return cls((nodata,) * len(bands), tolerance)
        # Asked of all bands at once, of which there may be thousands.
        of_all, values = dataset.mask_flag_enums, dataset.nodatavals
        flags, declared = [of_all[band - 1] for band in bands], [values[band - 1] for band in bands]
        if tolerance and all([MaskFlags.nodata] == one for one in flags) and None not in declared:
            return cls(tuple(float(value) for value in declared), tolerance)
        is_alpha = any(MaskFlags.alpha in one for one in flags)
        if is_alpha and alpha == "ignore":
            return cls()
        has_masks = any(one != [MaskFlags.all_valid] for one in flags)
        return cls(has_masks=has_masks, is_alpha=is_alpha)

    @property
    def is_given(self) -> bool:
        """Whether everything is valid but what is no number."""
        return self.values is None and not self.has_masks

    def __call__(self, pixels: Pixels, masks: Callable[[], NDArray[np.uint8]]) -> BoolArray:
        """(h, w) bool of (bands, h, w) pixels; `masks` reads those of GDAL."""
        if self.values is not None:
            valid = self._differ(pixels)
        elif self.has_masks:
            valid = np.asarray(masks().any(axis=0))
        else:
            valid = np.ones(pixels.shape[1:], dtype=np.bool_)
        if pixels.dtype.kind == "f":
            valid &= np.isfinite(pixels).all(axis=0)
        return valid

    def _differ(self, pixels: Pixels) -> BoolArray:
        """(h, w) bool: where a band's value is none that marks no data."""
        assert self.values is not None
        valid = np.zeros(pixels.shape[1:], dtype=np.bool_)
        for band, value in zip(pixels, self.values, strict=True):
            if np.isnan(value):
                valid |= True
            elif self.tolerance:
                valid |= np.abs(band.astype(np.float64) - value) > self.tolerance
            else:
                valid |= band != value
        return valid


def is_lossy(dataset: DatasetReader) -> bool:
    """Whether the compression of a file changes values, so that those that mark no data are blurred."""
    tags = dataset.tags(ns="IMAGE_STRUCTURE")
    # `YCbCr JPEG` and plain `JPEG`; GDAL tells of the reversibility of other codecs where it knows.
    is_jpeg = dataset.driver == "JPEG" or str(tags.get("COMPRESSION", "")).upper().endswith("JPEG")
    return is_jpeg or str(tags.get("COMPRESSION_REVERSIBILITY", "")).startswith("LOSSY")
