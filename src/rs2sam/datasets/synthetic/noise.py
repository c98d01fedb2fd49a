"""Smooth random fields, from which every texture is mixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.float32]
"""(H, W) float32, zero mean, standard deviation about 1."""

SLACK = 48
"""Extra rows and columns of a bank's fields, so that two objects at one place need not show the same texture."""


def smooth(rng: np.random.Generator, size_hw: tuple[int, int], cell: float) -> Field:
    """Draw a field whose features are about `cell` pixels wide: a coarse random grid, enlarged by a cubic."""
    h, w = size_hw
    cell = float(np.clip(cell, 1.0, max(h, w)))
    if cell < 1.5:
        return rng.standard_normal(size_hw, dtype=np.float32)
    rows, columns = int(h / cell) + 3, int(w / cell) + 3
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    box = (0.5, 0.5, 0.5 + w / cell, 0.5 + h / cell)
    large = Image.fromarray(grid).resize((w, h), Image.Resampling.BICUBIC, box=box)
    field: Field = np.asarray(large, dtype=np.float32) * np.float32(1.3)
    return field


@dataclass(frozen=True)
class NoiseBank:
    """The fields of one scene, each (H + SLACK, W + SLACK).

    Args:
        fine: grain of a pixel or two.
        medium: features of about 2 m.
        coarse: features of about 12 m.
        patch: features of about 60 m.
    """

    fine: Field
    medium: Field
    coarse: Field
    patch: Field

    @classmethod
    def draw(cls, rng: np.random.Generator, size_hw: tuple[int, int], gsd_m: float) -> NoiseBank:
        """Draw the fields for an image of `size_hw` pixels of `gsd_m` metres."""
        h, w = size_hw[0] + SLACK, size_hw[1] + SLACK
        # Several octaves in each field: one alone looks like blotches.
        fine = smooth(rng, (h, w), 1.0)
        fine[:, 1:] = 0.75 * fine[:, 1:] + 0.55 * fine[:, :-1]
        fine[1:] = 0.8 * fine[1:] + 0.5 * fine[:-1]
        medium = 0.85 * smooth(rng, (h, w), max(2.0 / gsd_m, 3.0)) + 0.5 * smooth(rng, (h, w), max(0.8 / gsd_m, 2.0))
        coarse = 0.8 * smooth(rng, (h, w), max(14 / gsd_m, 9.0)) + 0.6 * smooth(rng, (h, w), max(5 / gsd_m, 5.0))
        patch = 0.9 * smooth(rng, (h, w), max(70 / gsd_m, 40.0)) + 0.45 * smooth(rng, (h, w), max(25 / gsd_m, 18.0))
        return cls(fine, medium, coarse, patch)
