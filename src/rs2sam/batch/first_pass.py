"""The first pass of the distributed engine: which tiles of all scenes are worth asking about, before any is answered.

    scenes --plan_views--> coarse views --read_views--> pixels --Screener--> decisions --decisions_of--> the driver

It comes to the same decisions as `rs2sam.scenes.first_pass` does in one process: each coarse view is asked by itself. A
coarse view that cannot be read decides nothing, so its tiles are asked everything.
"""

from __future__ import annotations

import pickle
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rs2sam.batch.stages import (
    Columns,
    Decision,
    Decisions,
    Load,
    OpenSource,
    Place,
    Row,
    columns_of,
    job_of,
    row_of,
    rows_of,
)
from rs2sam.scenes.first_pass import Screening
from rs2sam.scenes.scanning import TileJob


@dataclass(frozen=True)
class ViewOrder:
    """A coarse view that is to be read.

    Args:
        job: of its scene.
        number: of the view.
    """

    job: TileJob
    number: int


@dataclass(frozen=True, eq=False)
class ReadView:
    """A coarse view that is to be decided on.

    Args:
        screening: of its scene.
        number: of the view.
        pixels: (side, side, 3) uint8.
    """

    screening: Screening
    number: int
    pixels: NDArray[np.uint8]


def plan_views(row: Row, image_size: int) -> list[Row]:
    """Open a scene and list its coarse views; none where it has no first pass, or cannot be opened.

    Args:
        row: of `scene_row`.
        image_size: side of the square that the model sees [px].
    """
    request, _ = pickle.loads(row["payload"])
    try:
        job = job_of(request, image_size)
    except Exception:
        return []  # the second pass says why
    if job.screening is None:
        return []
    views = range(job.screening.views.number_of(len(job.grid) - 1) + 1)
    return [row_of(Place(row["scene"], view, len(views)), ViewOrder(job, view)) for view in views]


def read_views(batch: Columns) -> Columns:
    """Read coarse views; a file stays open while views of it follow each other."""
    with OpenSource() as sources:
        return columns_of(row_of(place, _read(sources, order)) for place, order in rows_of(batch))


class Screener:
    """A model in a process of its own, which decides on coarse views.

    Args:
        load: makes the model.
    """

    def __init__(self, load: Load) -> None:
        self._segmenter = load()

    def __call__(self, batch: Columns) -> Columns:
        """Decide; rows then hold the decisions on the tiles that a view covers, none where it could not be read."""
        return columns_of(row_of(place, self._decide(view)) for place, view in rows_of(batch))

    def _decide(self, view: ReadView | None) -> dict[int, Decision]:
        """What the tiles of a view are asked; the time for it is the first one's."""
        if view is None:
            return {}
        start = time.perf_counter()
        try:
            wanted = view.screening.decide(self._segmenter, view.pixels, view.number)
        except Exception:
            return {}
        seconds = time.perf_counter() - start
        return {tile: Decision(asked, 0.0 if index else seconds) for index, (tile, asked) in enumerate(wanted.items())}


def decisions_of(batches: Iterable[Columns]) -> dict[int, Decisions]:
    """What was decided, by scene and tile."""
    decided: defaultdict[int, dict[int, Decision]] = defaultdict(dict)
    for batch in batches:
        for place, decisions in rows_of(batch):
            decided[place.scene] |= decisions
    return dict(decided)


def _read(sources: OpenSource, order: ViewOrder) -> ReadView | None:
    """One coarse view, or None where it has no valid pixel or cannot be read."""
    screening = order.job.screening
    assert screening is not None, "only scenes with a first pass have coarse views"
    try:
        pixels = screening.read(sources.of(order.job), order.number)
    except Exception:
        return None
    return None if pixels is None else ReadView(screening, order.number, pixels)
