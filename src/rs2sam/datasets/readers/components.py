"""Connected components of a mask, in numpy: runs of each row, joined with the runs they touch in the row above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rs2sam.datasets.base import Mask


def connected_components(mask: Mask, gap_px: int = 0, min_area_px: int = 1) -> list[Mask]:
    """Split a mask into its 8-connected parts.

    Args:
        mask: (H, W) bool.
        gap_px: parts that are at most this far apart (in rows and columns) count as one.
        min_area_px: parts with fewer True pixels are left out.

    Returns:
        (H, W) bool masks, in the order of their first pixel by rows.
    """
    labels, areas = labelled_components(mask, gap_px)
    return [labels == label for label in np.flatnonzero(areas) if label and areas[label] >= min_area_px]


def smaller_pieces(mask: Mask, area_px: int) -> Mask:
    """The 8-connected parts of a mask that have fewer pixels than `area_px`: (H, W) bool."""
    labels, areas = labelled_components(mask)
    is_small = areas < area_px
    is_small[0] = False
    found: Mask = is_small[labels]
    return found


def labelled_components(mask: Mask, gap_px: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the 8-connected parts of a mask.

    Args:
        mask: as for `connected_components`.
        gap_px: as for `connected_components`.

    Returns:
        (H, W) labels, 0 outside; and the number of pixels of each label, of which some are 0.
    """
    height, width = mask.shape
    # Growing right and down by the gap joins what is that near; labels are then read at the true pixels.
    grown = mask.copy()
    for shift in range(1, gap_px + 1):
        grown[:, shift:] |= mask[:, :-shift]
    columns_grown = grown.copy()
    for shift in range(1, gap_px + 1):
        grown[shift:] |= columns_grown[:-shift]
    labels = np.zeros((height, width), dtype=np.int32)
    parents = [0]
    previous: list[tuple[int, int, int]] = []
    for row in np.flatnonzero(grown.any(axis=1)):
        previous = [run for run in previous if labels[row - 1, run[0]]] if row else []
        current = []
        for start, end in _runs(grown[row]):
            touching = [label for s, e, label in previous if s <= end and e >= start]
            label = min((_root(parents, t) for t in touching), default=len(parents))
            if label == len(parents):
                parents.append(label)
            for other in touching:
                parents[_root(parents, other)] = label
            labels[row, start:end] = label
            current.append((start, end, label))
        previous = current
    roots = np.array([_root(parents, label) for label in range(len(parents))])
    final = np.where(mask, roots[labels], 0)
    return final, np.bincount(final.ravel(), minlength=len(parents))


def _runs(row: Mask) -> list[tuple[int, int]]:
    """Return (start, end) of each run of True in a row; end is exclusive."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], row, [False])).astype(np.int8)))
    return [(int(s), int(e)) for s, e in zip(edges[::2], edges[1::2], strict=True)]


def _root(parents: list[int], label: int) -> int:
    """Follow a label to the one that stands for its component."""
    while parents[label] != label:
        label = parents[label]
    return label
