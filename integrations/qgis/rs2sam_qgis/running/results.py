"""What a run of rs2sam leaves: a report and files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SceneResult:
    """Results of one image.

    Args:
        folder: that holds the files.
        report: content of `STEM_result.json`.
        problem: what went wrong although there are results, e.g. that a part of the image could not be read.
    """

    folder: str
    report: dict[str, Any]
    problem: str = ""

    def path(self, kind: str) -> str:
        """Path of a file by its kind: `mask`, `classes`, `polygons`, `preview`, `result`; empty if there is none."""
        name = self.report["outputs"].get(kind)
        return os.path.join(self.folder, name) if name else ""

    @property
    def sentences(self) -> list[str]:
        """The sentences that were asked, in order."""
        return [found["sentence"] for found in self.report["sentences"]]

    @property
    def num_regions(self) -> int:
        """How many regions were found for all sentences together."""
        return sum(found["polygons"] for found in self.report["sentences"])

    def summary(self) -> list[str]:
        """A line for each sentence."""
        return [describe(found) for found in self.report["sentences"]]


def describe(found: dict[str, Any]) -> str:
    """One sentence's finds in words."""
    if not found["found"]:
        return f'"{found["sentence"]}": nothing found'
    area = f"{found['pixels']:,} px" if found["area_m2"] is None else f"{found['area_m2']:,.0f} m²"
    noun = "region" if found["polygons"] == 1 else "regions"
    return (
        f'"{found["sentence"]}": {found["polygons"]:,} {noun}, {area}, mean probability {found["mean_probability"]:.2f}'
    )
