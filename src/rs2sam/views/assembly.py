"""Answers of tiles, row by row, to finished pixels: what is kept is one tile's worth of sums and the open rows.

Tiles come in the grid's order. Of the tile that was just added, the pixels that no later tile covers are finished and
leave for the sink; the columns that the next tile shares are kept; the rows that the next row of tiles shares are
carried over, in a file or in memory. Sums are made in the same order as on a whole map, so they are equal to it bit for
bit, and the memory depends on neither side of the scene.

Shapes: S sentences, h w pixels of a tile or of the part of it that is finished.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from rs2sam.raster.tiling import TileGrid, Window
from rs2sam.views.options import View

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class AnsweredTile:
    """A tile with what the model said about it.

    Args:
        number: of the tile in its grid.
        valid: (h, w) bool, False where the scene has no data.
        views: one per sentence, None for one that was not asked; None where none was.
        seconds: in the model.
        sample: (3, y, x) uint16 sums and a count of the tile's pixels for the preview, see `thumbnail`; None without.
        lost: windows of the scene that could not be read.
        first_pass_seconds: in the model before, to find out what to ask.
        ends_batch: whether a run that starts at the next tile makes the same batches.
    """

    number: int
    valid: BoolArray
    views: Sequence[View | None] | None
    seconds: float = 0.0
    sample: Any = None
    lost: tuple[Window, ...] = ()
    first_pass_seconds: float = 0.0
    ends_batch: bool = True


class Sink(Protocol):
    """Where finished pixels go."""

    def start_row(self, row: int) -> None:
        """A row of tiles begins; its pixels come column by column."""

    def put(self, window: Window, sums: FloatArray, valid: BoolArray) -> None:
        """Take the (S, h, w) float32 blended probability of a window, up to rounding in [0, 1]; copy what you keep."""


@dataclass
class Tally:
    """What is known of one sentence over all views.

    Args:
        num_views: views the model was asked about.
        seconds: in the model.
        presence: the highest, or None where the model does not tell.
        num_scores: views that count for the score.
        score_sum: of their scores.
        weighted_sum: of their scores times their foreground pixels.
        weight: foreground pixels of all.
        known: whether the model was taught what the sentence names, as a probability, or None where it does not tell;
            it depends on no view.
    """

    num_views: int = 0
    seconds: float = 0.0
    presence: float | None = None
    num_scores: int = 0
    score_sum: float = 0.0
    weighted_sum: float = 0.0
    weight: int = 0
    known: float | None = None

    @property
    def score(self) -> float | None:
        """Mean of the scores by their number of foreground pixels; the plain mean where there are none."""
        if not self.num_scores:
            return None
        return self.weighted_sum / self.weight if self.weight else self.score_sum / self.num_scores

    def add(self, view: View, seconds: float, threshold: float, min_presence: float) -> bool:
        """Count a view; returns whether it says anything."""
        self.num_views += 1
        self.seconds += seconds
        self.known = view.known
        if view.presence is not None:
            self.presence = view.presence if self.presence is None else max(self.presence, view.presence)
            if view.presence < min_presence:
                return False
        if view.score is not None:
            pixels = int(np.count_nonzero(view.probability > threshold))
            self.num_scores += 1
            self.score_sum += view.score
            self.weighted_sum += view.score * pixels
            self.weight += pixels
        return True


class Carry:
    """The open rows between two rows of tiles, column by column.

    Args:
        folder: for its files; None keeps them in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: dict[int, io.BytesIO] = {}

    def open(self, row: int, offset: int, *, write: bool) -> BinaryIO:
        """The rows that go into a row of tiles, at a byte; what lies behind is cut off when writing."""
        if self._folder is None:
            file: BinaryIO = self._memory.setdefault(row, io.BytesIO())
        else:
            path = self.path(row)
            if write:
                path.touch()
            file = path.open("r+b" if write else "rb")
        if write:
            file.truncate(offset)
        file.seek(offset)
        return file

    def close(self, file: BinaryIO) -> None:
        """Done with a file of `open`."""
        if self._folder is not None:
            file.close()

    def forget(self, before_row: int) -> None:
        """Remove what rows of tiles before this one needed."""
        for row in [row for row in self._memory if row < before_row]:
            del self._memory[row]
        if self._folder is not None:
            for path in self._folder.glob("carry-*.bin"):
                if int(path.stem.partition("-")[2]) < before_row:
                    path.unlink()

    def path(self, row: int) -> Path:
        """The file of the rows that go into a row of tiles."""
        assert self._folder is not None
        return self._folder / f"carry-{row}.bin"


class Assembler:
    """Blends tiles that come in the grid's order.

    Args:
        grid: of the tiles.
        num_sentences: views per tile, at least 1.
        sink: where finished pixels go.
        carry: keeps the open rows.
        threshold: above which a pixel of a view counts as foreground, for the mean score.
        min_presence: views below it are empty.
    """

    def __init__(
        self,
        grid: TileGrid,
        num_sentences: int,
        sink: Sink,
        carry: Carry,
        *,
        threshold: float = 0.5,
        min_presence: float = 0.0,
    ) -> None:
        self._grid = grid
        self._sink = sink
        self._carry = carry
        self._threshold = threshold
        self._min_presence = min_presence
        self._rows, self._cols = grid.offsets_hw
        self._tile_hw = min(grid.size_hw[0], grid.tile), min(grid.size_hw[1], grid.tile)
        self._sums = np.zeros((num_sentences, *self._tile_hw), dtype=np.float32)
        self._weights = np.zeros(self._tile_hw, dtype=np.float32)
        # The columns that the last tile shares with the next one.
        self._left = self._sums[:, :, :0]
        self._carry_in: BinaryIO | None = None
        self._carry_out: BinaryIO | None = None
        # Bytes and CRC-32 of what the row above carried, and of what this row has carried so far.
        self._carried_in, self._carried_out = (0, 0), (0, 0)
        self.next_number = 0
        self.tallies = [Tally() for _ in range(num_sentences)]
        self.num_valid = 0
        self.num_run = 0
        self.num_empty = 0
        self.first_pass_seconds = 0.0
        self.lost: set[Window] = set()
        self.says: list[bool] = [False] * num_sentences
        """Whether the last tile says anything, for each sentence."""

    def add(self, tile: AnsweredTile) -> None:
        """Take the next tile."""
        if tile.number != self.next_number:
            raise ValueError(f"tiles come in the grid's order: tile {self.next_number} is next, not {tile.number}")
        row, col = divmod(tile.number, len(self._cols))
        if col == 0:
            self._start_row(row)
        self._blend(tile)
        self._add_earlier(row)
        owned = self._grid.owned(tile.number)
        valid = tile.valid[: owned.height, : owned.width]
        self._sink.put(owned, self._sums[:, : owned.height, : owned.width], valid)
        if self._carry_out is not None:
            rest = self._sums[:, owned.height :, : owned.width]  # (S, rows, columns)
            data = np.ascontiguousarray(rest.transpose(2, 0, 1)).data
            self._carry_out.write(data)
            self._carried_out = self._carried_out[0] + data.nbytes, zlib.crc32(data, self._carried_out[1])
        self._left = self._sums[:, :, owned.width :].copy()
        self.num_valid += int(np.count_nonzero(valid))
        self.num_empty += not tile.valid.any()
        self.first_pass_seconds += tile.first_pass_seconds
        self.lost.update(tile.lost)
        self.next_number += 1
        if col == len(self._cols) - 1:
            self.close()

    def state(self) -> tuple[dict[str, Any], FloatArray]:
        """What a run that goes on at `next_number` needs besides the files: plain values and the open columns."""
        for file in (self._carry_in, self._carry_out):
            if file is not None:
                file.flush()
        # Between two rows of tiles, what the finished one carried is still to be read, what it read is not.
        row = max(0, self.next_number - 1) // len(self._cols)
        plain = {
            "next_number": self.next_number,
            "num_valid": self.num_valid,
            "num_run": self.num_run,
            "num_empty": self.num_empty,
            "first_pass_seconds": self.first_pass_seconds,
            "lost": sorted([window.row, window.col, window.height, window.width] for window in self.lost),
            "tallies": [asdict(tally) for tally in self.tallies],
            "carried": [
                (row + below, *carried)
                for below, carried in ((0, self._carried_in), (1, self._carried_out))
                if carried[0] and row + below >= self.next_number // len(self._cols)
            ],
            "carry_in": None if self._carry_in is None else self._carry_in.tell(),
            "carry_out": None if self._carry_out is None else self._carry_out.tell(),
        }
        return plain, self._left

    def restore(self, plain: dict[str, Any], left: FloatArray) -> None:
        """Go on from what `state` gave, with the same carry."""
        self.next_number = plain["next_number"]
        self.num_valid, self.num_run, self.num_empty = plain["num_valid"], plain["num_run"], plain["num_empty"]
        self.first_pass_seconds = plain["first_pass_seconds"]
        self.lost = {Window(*values) for values in plain["lost"]}
        self.tallies = [Tally(**values) for values in plain["tallies"]]
        self._left = left
        row = self.next_number // len(self._cols)
        carried = {number: (size, checksum) for number, size, checksum in plain["carried"]}
        last = max(0, self.next_number - 1) // len(self._cols)
        self._carried_in, self._carried_out = carried.get(last, (0, 0)), carried.get(last + 1, (0, 0))
        if plain["carry_in"] is not None:
            self._carry_in = self._carry.open(row, plain["carry_in"], write=False)
        if plain["carry_out"] is not None:
            self._carry_out = self._carry.open(row + 1, plain["carry_out"], write=True)

    def forget_finished_rows(self) -> None:
        """Remove the carried rows that nobody needs any more, once the state is safe."""
        self._carry.forget(self.next_number // len(self._cols))

    def close(self) -> None:
        """Close the files of a row that is under way."""
        for file in (self._carry_in, self._carry_out):
            if file is not None:
                self._carry.close(file)
        self._carry_in = self._carry_out = None

    def _start_row(self, row: int) -> None:
        """Nothing is open at the left; what the rows above left comes from a file."""
        self._left = self._sums[:, :, :0]
        self._sink.start_row(row)
        self._carried_in, self._carried_out = self._carried_out, (0, 0)
        if row > 0:
            self._carry_in = self._carry.open(row, 0, write=False)
        if row + 1 < len(self._rows):
            self._carry_out = self._carry.open(row + 1, 0, write=True)

    def _blend(self, tile: AnsweredTile) -> None:
        """Fill the sums with the weighted views of a tile."""
        self.says = [False] * len(self.tallies)
        if tile.views is None:
            self._sums[:] = 0.0
            return
        self.num_run += 1
        weights = self._grid.weights(self._grid.window(tile.number), out=self._weights)
        seconds = tile.seconds / sum(view is not None for view in tile.views)
        for band, (sums, tally, view) in enumerate(zip(self._sums, self.tallies, tile.views, strict=True)):
            if view is not None and tally.add(view, seconds, self._threshold, self._min_presence):
                self.says[band] = True
                np.multiply(weights, view.probability, out=sums)
            else:
                sums[:] = 0.0

    def _add_earlier(self, row: int) -> None:
        """Add what earlier tiles left: the columns on the left, and the rows above of the columns that are new."""
        shared = self._left.shape[2]
        self._sums[:, :, :shared] += self._left
        if self._carry_in is None:
            return
        num_rows = self._rows[row - 1] + self._tile_hw[0] - self._rows[row]
        count = self._tile_hw[1] - shared
        data = self._carry_in.read(4 * count * len(self._sums) * num_rows)
        columns = np.frombuffer(data, dtype=np.float32).reshape(count, len(self._sums), num_rows)
        self._sums[:, :num_rows, shared:] += columns.transpose(1, 2, 0)
