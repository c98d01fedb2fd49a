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

_ZERO = 48  # the character of the value 0
_GOES_ON, _SIGN, _BITS = 0x20, 0x10, 5
_MAX_CHARACTERS = 12  # of one run: 60 bits


def decode_runs(segment: dict[str, Any]) -> Mask:
    """Draw run lengths.

    Args:
        segment: `{"size": [h, w], "counts": numbers or text}`.

    Returns:
        (H, W) bool.

    Raises:
        InvalidInputError: the runs are damaged or do not fill their size.
    """
    size, counts = segment.get("size"), segment.get("counts")
    if not (isinstance(size, (list, tuple)) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)):
        raise InvalidInputError(f'run lengths need "size": [height, width], received {str(size)[:80]}')
    if isinstance(counts, (str, bytes)):
        runs = _from_text(counts)
    elif isinstance(counts, list) and all(type(n) is int for n in counts):
        runs = np.array(counts, dtype=np.int64)
    else:
        raise InvalidInputError(
            f'run lengths need "counts": a list of whole numbers or COCO\'s text, received {str(counts)[:80]}'
        )
    num_pixels = size[0] * size[1]
    if (runs < 0).any() or int(runs.sum()) != num_pixels:
        raise InvalidInputError(
            f"run lengths of size {list(size)} must add up to {num_pixels} pixels, received {len(runs)} runs of "
            f"{int(runs.sum())} in all: they are damaged, cut short, or of another image"
        )
    is_set = np.arange(len(runs)) % 2 == 1
    flat: Mask = np.repeat(is_set, runs)
    return np.ascontiguousarray(flat.reshape(size[1], size[0]).T)


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
    return {"size": [int(side) for side in mask.shape], "counts": "".join(_as_text(int(value)) for value in values)}


def _as_text(value: int) -> str:
    """Characters of one number, which may be negative."""
    characters = []
    while True:
        bits = value & 0x1F
        value >>= _BITS
        is_last = value == (-1 if bits & _SIGN else 0)
        characters.append(chr(_ZERO + bits + (0 if is_last else _GOES_ON)))
        if is_last:
            return "".join(characters)


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
