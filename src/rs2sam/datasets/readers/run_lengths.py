"""COCO's run lengths, as numbers and as text, in both directions: `{"size": [h, w], "counts": ...}`.

Pixels are taken column by column; the runs alternate, the first is background and may be 0. The text codes each run
in characters of six bits: five of the number, low ones first, and one that says "goes on"; from the fourth run on the
number is the difference to the run two before. (Facts: cocodataset/cocoapi, `maskApi.c`.) Written here because
pycocotools fills what a text that is cut short leaves open from memory that nobody has set.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rs2sam.datasets.base import Mask
from rs2sam.errors import InvalidInputError
from rs2sam.fields import brief

MAX_SIDE, MAX_PIXELS = 2**16, 2**28
"""Of a mask that is drawn from text: a line of a file must not ask for more memory than any picture needs. The side
keeps pycocotools' drawing of polygons, which counts in fifths of a pixel, within 32 bits."""

_ZERO = 48  # the character of the value 0
_GOES_ON, _SIGN, _BITS = 0x20, 0x10, 5
_AT_ONCE = 2**16  # runs that are coded together: a bound for memory
_MAX_CHARACTERS = 7  # of one run: 35 bits, so that no sum of what fits into memory can wrap


def decode_runs(segment: dict[str, Any]) -> Mask:
    """Draw run lengths.

    Args:
        segment: `{"size": [h, w], "counts": numbers or text}`.

    Returns:
        (H, W) bool.

    Raises:
        InvalidInputError: the runs are damaged or do not fill their size.
    """
    size_hw, counts = checked_size(segment.get("size")), segment.get("counts")
    num_pixels = size_hw[0] * size_hw[1]
    if isinstance(counts, (str, bytes)):
        runs = _from_text(counts)
    elif isinstance(counts, list) and all(type(n) is int for n in counts):
        # Before they are summed: numbers of 64 bits wrap, and a wrong sum has runs written out of bounds.
        if counts and not (min(counts) >= 0 and max(counts) <= num_pixels):
            raise _misfit(size_hw, len(counts), sum(counts))
        runs = np.array(counts, dtype=np.int64)
    else:
        raise InvalidInputError(
            f'run lengths need "counts": a list of whole numbers or COCO\'s text, received {brief(counts)}'
        )
    # Each at most the mask's size, and no more of them than memory holds: the sum of these cannot wrap.
    if not runs.size or runs.min() < 0 or runs.max() > num_pixels or int(runs.sum()) != num_pixels:
        raise _misfit(size_hw, len(runs), sum(runs.tolist()))
    is_set = np.arange(len(runs)) % 2 == 1
    flat: Mask = np.repeat(is_set, runs)
    return np.ascontiguousarray(flat.reshape(size_hw[1], size_hw[0]).T)


def checked_size(size: object) -> tuple[int, int]:
    """Height and width of a mask as a file says them.

    Raises:
        InvalidInputError: they are no two whole numbers above 0, or larger than a mask may be.
    """
    is_pair = isinstance(size, (list, tuple)) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)
    if not is_pair:
        raise InvalidInputError(f'run lengths need "size": [height, width], received {brief(size)}')
    assert isinstance(size, (list, tuple))
    height, width = size
    if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
        raise InvalidInputError(
            f"a mask has up to {MAX_SIDE:,} pixels a side and {MAX_PIXELS:,} in all, received {brief(list(size))}. "
            "Cut the image and its masks into smaller ones."
        )
    return height, width


def _misfit(size_hw: tuple[int, int], num_runs: int, total: int) -> InvalidInputError:
    """The error for runs that are not those of their size."""
    return InvalidInputError(
        f"run lengths of size {list(size_hw)} must add up to {size_hw[0] * size_hw[1]} pixels, "
        f"received {num_runs} runs of {brief(total)} in all: they are damaged, cut short, or of another image"
    )


def encode_runs(mask: Mask) -> dict[str, Any]:
    """Code a mask as run lengths in text, ready for JSON.

    Args:
        mask: (H, W) bool with at least one pixel.

    Returns:
        `{"size": [h, w], "counts": text}`.
    """
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]]))
    if flat[0]:
        runs = np.concatenate([[0], runs])
    values = runs.copy()
    values[3:] -= runs[1:-2]
    text = "".join(_as_text(values[start : start + _AT_ONCE]) for start in range(0, len(values), _AT_ONCE))
    return {"size": [int(side) for side in mask.shape], "counts": text}


def _as_text(values: npt.NDArray[np.int64]) -> str:
    """Characters of numbers, which may be negative, one after another."""
    # (n, characters): what is left of each number, shifted arithmetically, so that a negative one ends at -1.
    left = values[:, None] >> (_BITS * np.arange(_MAX_CHARACTERS))
    bits = left & 0x1F
    is_last = left >> _BITS == np.where(bits & _SIGN, -1, 0)
    length = is_last.argmax(axis=1)  # of those that only repeat the sign, the first
    codes = _ZERO + bits + np.where(is_last, 0, _GOES_ON)
    text: bytes = codes[np.arange(_MAX_CHARACTERS) <= length[:, None]].astype(np.uint8).tobytes()
    return text.decode("ascii")


def _from_text(text: str | bytes) -> npt.NDArray[np.int64]:
    """Runs (n,) that a text codes."""
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    codes = np.frombuffer(raw, dtype=np.uint8).astype(np.int64) - _ZERO
    if not codes.size or codes.min() < 0 or codes.max() > 0x3F or codes[-1] & _GOES_ON:
        raise InvalidInputError(f"COCO's text of run lengths is empty, damaged or cut short: {str(text)[:60]!r}")
    is_last = codes & _GOES_ON == 0
    starts = np.flatnonzero(np.concatenate([[True], is_last[:-1]]))
    lengths = np.diff(np.concatenate([starts, [codes.size]]))
    if lengths.max() > _MAX_CHARACTERS:
        raise InvalidInputError(f"COCO's text of run lengths holds a number out of range: {str(text)[:60]!r}")
    place = np.arange(codes.size) - np.repeat(starts, lengths)
    values = np.add.reduceat((codes & 0x1F) << (_BITS * place), starts)
    is_negative = codes[is_last] & _SIGN != 0
    values[is_negative] -= np.int64(1) << (_BITS * lengths[is_negative])
    runs = values.copy()
    runs[1::2] = np.cumsum(values[1::2])
    runs[2::2] = np.cumsum(values[2::2])
    return runs
