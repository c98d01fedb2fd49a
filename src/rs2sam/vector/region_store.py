"""The regions of a scene on disk: chosen among by number, then turned back into a mask strip by strip.

A store is a scratch file of one run: it is written fast, and is not meant to outlive a crash of the machine.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from rs2sam.errors import InvalidInputError, words_of
from rs2sam.vector.boundary import BoolArray
from rs2sam.vector.regions import PixelRegion
from rs2sam.vector.vectorize import fill

_BATCH = 1024

_SCHEMA = """
CREATE TABLE IF NOT EXISTS region (
    first_pixel INTEGER PRIMARY KEY,
    left INTEGER, top INTEGER, right INTEGER, bottom INTEGER,
    centroid_x REAL, centroid_y REAL,
    num_pixels INTEGER, area_m2 REAL, mean_probability REAL,
    object INTEGER,
    kept INTEGER
);
CREATE TABLE IF NOT EXISTS outline (first_pixel INTEGER PRIMARY KEY, wkb BLOB);
CREATE INDEX IF NOT EXISTS region_rows ON region (kept, bottom, top);
CREATE INDEX IF NOT EXISTS region_size ON region (kept, num_pixels DESC, first_pixel);
"""

# Pieces of one object share its number; a region of none stands for itself.
_OBJECT = "CASE WHEN object > 0 THEN object ELSE -1 - first_pixel END"


@dataclass(frozen=True)
class RegionSummary:
    """What is known of an object, or of a region that is one, without its outline.

    Args:
        first_pixel: which one: row * width + column of its first pixel in raster order.
        centroid_xy: in pixel coordinates.
        area_px: pixels inside.
        area_m2: on the ellipsoid, or None where the CRS does not say.
        bounds: left, top, right, bottom in pixels; right and bottom are outside.
        mean_probability: in [0, 1].
    """

    first_pixel: int
    centroid_xy: tuple[float, float]
    area_px: int
    area_m2: float | None
    bounds: tuple[int, int, int, int]
    mean_probability: float


@dataclass(frozen=True)
class Totals:
    """Sums over the kept regions.

    Args:
        num_regions: how many there are.
        num_objects: things that they are: several pieces of one object count once.
        num_pixels: pixels in all of them.
        area_m2: on the ellipsoid, 0 without regions; None where the area of one is unknown.
        mean_probability: over their pixels, in [0, 1]; None without regions.
    """

    num_regions: int
    num_objects: int
    num_pixels: int
    area_m2: float | None
    mean_probability: float | None


class RegionStore:
    """Regions of one mask in an SQLite file; every region is kept until it is dropped.

    Args:
        path: a new file, or one that an earlier store wrote; `:memory:` keeps it there.

    Raises:
        InvalidInputError: when the file is something else, or cannot be written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        opened: sqlite3.Connection | None = None
        try:
            self._database = opened = sqlite3.connect(path, isolation_level=None)
            opened.executescript("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;" + _SCHEMA)
        except sqlite3.Error as error:
            if opened is not None:
                opened.close()
            raise InvalidInputError(
                f"A region store must be a new file or one written by rs2sam, but {str(path)!r} is neither "
                f"({words_of(error)}). Remove it or choose another place."
            ) from error

    def __enter__(self) -> RegionStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; it stays where it is."""
        self._database.close()

    def add(self, regions: Sequence[PixelRegion], objects: Sequence[int] | None = None) -> None:
        """Add regions, all or none.

        Args:
            regions: of the mask.
            objects: for each the number of the object that it is a piece of, from 1; 0 for one by itself. None: 0.

        Raises:
            InvalidInputError: when one is there already.
        """
        if not regions:
            return
        outlines = np.array([region.outline for region in regions], dtype=object)
        bounds = shapely.bounds(outlines).astype(np.int64).tolist()
        centroids = shapely.get_coordinates(shapely.centroid(outlines)).tolist()
        numbers = [0] * len(regions) if objects is None else objects
        rows = [
            (r.first_pixel, *box, *centroid, r.num_pixels, r.area_m2, r.mean_probability, number)
            for r, box, centroid, number in zip(regions, bounds, centroids, numbers, strict=True)
        ]
        shapes = [(r.first_pixel, wkb) for r, wkb in zip(regions, shapely.to_wkb(outlines).tolist(), strict=True)]
        try:
            with self._transaction():
                self._database.executemany("INSERT INTO region VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)", rows)
                self._database.executemany("INSERT INTO outline VALUES (?, ?)", shapes)
        except sqlite3.IntegrityError as error:
            raise InvalidInputError(
                f"A region must be added once, but one of {len(regions)} was added twice to {str(self.path)!r}. "
                "Begin a new store when a mask is read again."
            ) from error

    def candidates(self) -> list[RegionSummary]:
        """What is kept, pieces of an object together, by the first pixel."""
        rows = self._database.execute(
            "SELECT MIN(first_pixel), SUM(centroid_x * num_pixels) / SUM(num_pixels), "
            "SUM(centroid_y * num_pixels) / SUM(num_pixels), SUM(num_pixels), "
            "CASE WHEN COUNT(area_m2) = COUNT(*) THEN SUM(area_m2) END, MIN(left), MIN(top), MAX(right), MAX(bottom), "
            "SUM(mean_probability * num_pixels) / SUM(num_pixels) "
            f"FROM region WHERE kept = 1 GROUP BY {_OBJECT} ORDER BY MIN(first_pixel)"
        )
        return [RegionSummary(row[0], row[1:3], row[3], row[4], row[5:9], row[9]) for row in rows]

    def keep(self, first_pixels: Iterable[int]) -> None:
        """Drop every region that is no piece of what has one of these first pixels in `candidates`."""
        with self._transaction():
            self._database.execute("CREATE TEMP TABLE chosen (first_pixel INTEGER PRIMARY KEY)")
            rows = ((int(number),) for number in first_pixels)
            self._database.executemany("INSERT OR IGNORE INTO chosen VALUES (?)", rows)
            self._database.execute(
                f"UPDATE region SET kept = 0 WHERE kept = 1 AND {_OBJECT} NOT IN "
                f"(SELECT {_OBJECT} FROM region JOIN chosen USING (first_pixel))"
            )
            self._database.execute("DROP TABLE chosen")

    def drop_small(self, least: float, unit: Literal["px", "m2"]) -> None:
        """Drop objects below a least area; in square metres, those of unknown area stay."""
        column = "num_pixels" if unit == "px" else "area_m2"
        self._database.execute(
            f"UPDATE region SET kept = 0 WHERE kept = 1 AND {_OBJECT} IN (SELECT {_OBJECT} FROM region WHERE kept = 1 "
            f"GROUP BY {_OBJECT} HAVING SUM({column}) < ?)",
            (least,),
        )

    def totals(self) -> Totals:
        """Sums over the kept regions."""
        count, objects, known, pixels, area, weighted = self._database.execute(
            f"SELECT COUNT(*), COUNT(DISTINCT {_OBJECT}), COUNT(area_m2), COALESCE(SUM(num_pixels), 0), "
            "COALESCE(SUM(area_m2), 0.0), "
            "SUM(num_pixels * mean_probability) FROM region WHERE kept = 1"
        ).fetchone()
        return Totals(count, objects, pixels, area if known == count else None, weighted / pixels if pixels else None)

    def kept(self) -> Iterator[PixelRegion]:
        """The kept regions, largest first, then by their first pixel. The store must not change meanwhile."""
        rows = self._database.execute(
            "SELECT wkb, num_pixels, mean_probability, area_m2, r.first_pixel FROM region r "
            "JOIN outline USING (first_pixel) WHERE r.kept = 1 ORDER BY r.num_pixels DESC, r.first_pixel"
        )
        while batch := rows.fetchmany(_BATCH):
            outlines = shapely.from_wkb(np.array([row[0] for row in batch], dtype=object))
            yield from (PixelRegion(outline, *row[1:]) for outline, row in zip(outlines, batch, strict=True))

    @property
    def has_objects(self) -> bool:
        """Whether regions are pieces of objects that were told apart, and so may touch each other."""
        return bool(self._database.execute("SELECT EXISTS (SELECT 1 FROM region WHERE object > 0)").fetchone()[0])

    def outlines_in_rows(self, top: int, bottom: int) -> NDArray[np.object_]:
        """Outlines of the kept regions with pixels between rows `top` and `bottom` (outside), in any order."""
        rows = self._database.execute(
            "SELECT wkb FROM region r JOIN outline USING (first_pixel) WHERE r.kept = 1 AND r.bottom > ? AND r.top < ?",
            (top, bottom),
        )
        outlines: NDArray[np.object_] = shapely.from_wkb(np.array([wkb for (wkb,) in rows], dtype=object))
        return outlines

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All that is changed inside, or nothing of it."""
        self._database.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def mask_of_rows(store: RegionStore, top: int, height: int, width: int) -> BoolArray:
    """The mask of the kept regions in some rows of the scene.

    Args:
        store: the regions.
        top: first row.
        height: number of rows.
        width: of the scene.

    Returns:
        (height, width) bool.
    """
    outlines = store.outlines_in_rows(top, top + height)
    return fill(outlines, top, height, width, may_touch=store.has_objects)
