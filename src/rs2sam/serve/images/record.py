"""What is known of an image, as it stands in the database."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rs2sam.raster.source import ReadOptions
from rs2sam.raster.stretch import Stretch
from rs2sam.serve.database import from_json
from rs2sam.serve.images.intake import Facts, from_columns

State = Literal["uploading", "encoding", "ready", "failed"]

PART = ".upload.part"
"""Name of the file that an upload grows in."""


@dataclass(frozen=True)
class ImageRecord:
    """What is known of an image.

    Args:
        id: of the image.
        state: how far it has come.
        name: that its sender knows it by.
        path: of its file.
        bytes: of its file, said or counted.
        received: bytes that have come.
        facts: from its header; None before.
        limits: of the stretch to 8 bit; None before.
        reading: how its file becomes pixels.
        num_views: that the model sees of it; None before.
        error: the problem that it ended with.
        created: seconds since 1970.
        used: when it was used last, the same.
    """

    id: str
    state: State
    name: str
    path: Path
    bytes: int
    received: int
    facts: Facts | None
    limits: tuple[tuple[float, float], ...] | None
    reading: ReadOptions
    num_views: int | None
    error: dict[str, Any] | None
    created: float
    used: float


def record_of(row: dict[str, Any], folder: Path, used: float | None) -> ImageRecord:
    """A row as a record.

    Args:
        row: of the database.
        folder: of all images.
        used: when the image was used last, where that is not written down yet.
    """
    facts = from_json(row["facts"]) or {}
    received = row["received"]
    if row["state"] == "uploading":
        with suppress(OSError):
            received = (folder / row["id"] / PART).stat().st_size
    limits = facts.pop("limits", None)
    return ImageRecord(
        id=row["id"],
        state=row["state"],
        name=row["name"],
        path=folder / row["id"] / row["file"],
        bytes=row["bytes"],
        received=received,
        reading=sealed_reading(**(from_json(row["reading"]) or {})),
        num_views=facts.pop("num_views", None),
        facts=from_columns(facts or None),
        limits=None if limits is None else tuple((low, high) for low, high in limits),
        error=from_json(row["error"]),
        created=row["created"],
        used=row["used"] if used is None else used,
    )


def sealed_reading(
    bands: list[int] | None = None,
    stretch: str | None = None,
    nodata: float | None = None,
    nodata_tolerance: float = 0.0,
    alpha: Literal["use", "ignore"] = "use",
) -> ReadOptions:
    """How a stranger's file becomes pixels: as it was asked for, and alone.

    Raises:
        InvalidInputError: an option is out of range.
    """
    return ReadOptions(
        bands=None if bands is None else tuple(bands),
        stretch=None if stretch is None else Stretch.parse(stretch),
        nodata=nodata,
        nodata_tolerance=nodata_tolerance,
        alpha=alpha,
        sealed=True,
    )
