"""One picture under two names: equal files by their hash, near equal pictures by a fingerprint of their shape.

The fingerprint says where a small grey copy of the picture grows brighter to the right and downwards. It survives new
compression, resizing, changes of brightness and contrast; turned and mirrored copies are found by turning the small
copy.
Parts of a picture, and other pictures of the same ground, are not found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rs2sam.datasets.images import Pixels

Thumbnail: TypeAlias = NDArray[np.int16]
"""(16, 16) grey values in [0, 255]."""

MAX_DIFFERENCE = 0.15
"""Share of the fingerprint's 480 comparisons in which two pictures of one content may differ."""

_SIDE = 16
_ORIENTATIONS = 8
# Plain water or sand: comparisons of noise, in which any two such pictures may agree.
_MIN_CONTRAST = 3.0
_CHUNK = 512


@dataclass(frozen=True)
class NearPair:
    """Two pictures that look alike.

    Args:
        first: place in the first list.
        second: place in the second list.
        difference: share of the comparisons in which they differ, in [0, `MAX_DIFFERENCE`].
    """

    first: int
    second: int
    difference: float


def file_digest(path: Path) -> str:
    """Hash of a file's bytes, as hexadecimal text."""
    digest = hashlib.blake2b(digest_size=20)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def pixel_digest(rgb: Pixels) -> str:
    """Hash of (H, W, 3) uint8, for pictures that are no file."""
    digest = hashlib.blake2b(str(rgb.shape).encode(), digest_size=20)
    digest.update(rgb.tobytes())
    return digest.hexdigest()


def thumbnail(rgb: Pixels) -> Thumbnail:
    """The small grey copy of (H, W, 3) uint8 from which fingerprints are made."""
    small = Image.fromarray(rgb).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(small).astype(np.int16)


def near_pairs(first: Sequence[Thumbnail], second: Sequence[Thumbnail]) -> list[NearPair]:
    """Find pictures of two lists that look alike in any of the eight orientations; plain ones are left out.

    Args:
        first: small copies of one list.
        second: small copies of the other.

    Returns:
        All pairs, ordered by their places.
    """
    left = [place for place, small in enumerate(first) if small.std() >= _MIN_CONTRAST]
    right = [place for place, small in enumerate(second) if small.std() >= _MIN_CONTRAST]
    if not left or not right:
        return []
    bits = np.stack([_comparisons(first[place]) for place in left])  # (N, 480)
    nearest: dict[tuple[int, int], float] = {}
    for orientation in range(_ORIENTATIONS):
        others = np.stack([_comparisons(_oriented(second[place], orientation)) for place in right])  # (M, 480)
        for start in range(0, len(left), _CHUNK):
            # Of +1 and -1: the product counts agreements less differences.
            differing = 0.5 - (bits[start : start + _CHUNK] @ others.T) / (2 * bits.shape[1])
            for row, column in np.argwhere(differing <= MAX_DIFFERENCE):
                pair = left[start + int(row)], right[int(column)]
                nearest[pair] = min(nearest.get(pair, 1.0), float(differing[row, column]))
    return [NearPair(*pair, difference) for pair, difference in sorted(nearest.items())]


def _oriented(small: Thumbnail, orientation: int) -> Thumbnail:
    """One of the eight ways to turn and mirror a square."""
    turned = np.rot90(small, orientation % 4)
    return turned[:, ::-1] if orientation >= 4 else turned


def _comparisons(small: Thumbnail) -> NDArray[np.float32]:
    """(480,) of +1 and -1: whether each pixel is darker than its right and its lower neighbour."""
    right = small[:, 1:] > small[:, :-1]
    down = small[1:, :] > small[:-1, :]
    return np.where(np.concatenate([right.ravel(), down.ravel()]), np.float32(1), np.float32(-1))
