"""The figures of referring remote sensing image segmentation: mIoU, oIoU and Pr@X.

Everything is accumulated as integer pixel counts, so the figures depend neither on the order of the samples nor on
how they were batched or spread over processes. Two protocols differ only in the empty case:

- `published`: the intersection over union of a sample whose union is empty is 0, as the published evaluation has it;
- `native`: an empty prediction on an empty target is right and counts 1.

Pr@X is the share of samples with IoU **>=** X. oIoU (others write cIoU) is the sum of intersections over the sum of
unions, mIoU (others write gIoU) the mean IoU of the samples.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rs2sam.errors import InvalidInputError

Protocol = Literal["published", "native"]
PRECISION_THRESHOLDS: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of one prediction against its target.

    Args:
        intersection: pixels that are foreground in both.
        union: pixels that are foreground in either.
    """

    intersection: int
    union: int

    @classmethod
    def of(
        cls, mask: NDArray[np.bool_], target: NDArray[np.bool_], ignore: NDArray[np.bool_] | None = None
    ) -> PixelCounts:
        """Counts the pixels of a prediction and a target.

        Args:
            mask: (H, W) bool, the prediction.
            target: (H, W) bool.
            ignore: (H, W) bool, pixels that count for nothing; None: none.

        Raises:
            InvalidInputError: the shapes differ.
        """
        if mask.shape != target.shape:
            raise InvalidInputError(
                f"`mask` and `target` must have one shape, received {mask.shape} and {target.shape}; "
                "resize the prediction to the target's size first"
            )
        if ignore is not None:
            if ignore.shape != target.shape:
                raise InvalidInputError(
                    f"`ignore` must have the target's shape {target.shape}, received {ignore.shape}"
                )
            mask, target = mask & ~ignore, target & ~ignore
        return cls(int(np.count_nonzero(mask & target)), int(np.count_nonzero(mask | target)))

    def iou(self, protocol: Protocol) -> float:
        """Intersection over union in [0, 1]; an empty union gives 0 (`published`) or 1 (`native`)."""
        if self.union == 0:
            return 0.0 if protocol == "published" else 1.0
        return self.intersection / self.union


@dataclass(frozen=True)
class SegmentationMetrics:
    """The metric row of a set of samples; all shares in [0, 1].

    Args:
        num_samples: how many samples the row stands for.
        miou: mean of the per-sample IoU.
        oiou: sum of intersections / sum of unions; where all unions are empty as for a single one.
        precision: X -> share of samples with IoU >= X.
        protocol: the rule for empty unions.
    """

    num_samples: int
    miou: float
    oiou: float
    precision: dict[float, float]
    protocol: Protocol

    @classmethod
    def of(cls, counts: Iterable[PixelCounts], protocol: Protocol) -> SegmentationMetrics:
        """Summarises per-sample counts, in any order.

        Raises:
            InvalidInputError: there is no sample.
        """
        rows = list(counts)
        if not rows:
            raise InvalidInputError("metrics need at least one sample, received none; check the split's name")
        ious = np.array(sorted(row.iou(protocol) for row in rows))
        total = PixelCounts(sum(row.intersection for row in rows), sum(row.union for row in rows))
        return cls(
            num_samples=len(rows),
            miou=float(ious.mean()),
            oiou=total.iou(protocol),
            precision={x: int(np.count_nonzero(ious >= x)) / len(rows) for x in PRECISION_THRESHOLDS},
            protocol=protocol,
        )

    def as_dict(self) -> dict[str, float | int | str]:
        """Flat and ready for JSON, with the published column names."""
        row: dict[str, float | int | str] = {"n": self.num_samples, "protocol": self.protocol}
        row.update({"mIoU": self.miou, "oIoU": self.oiou})
        row.update({f"Pr@{x}": share for x, share in self.precision.items()})
        return row

    def __str__(self) -> str:
        """One line in percent, as published tables print it."""
        columns = "  ".join(f"Pr@{x} {100 * share:5.2f}" for x, share in self.precision.items())
        overall = f"mIoU {100 * self.miou:5.2f}  oIoU {100 * self.oiou:5.2f}"
        return f"{overall}  {columns}  (n={self.num_samples}, {self.protocol})"
