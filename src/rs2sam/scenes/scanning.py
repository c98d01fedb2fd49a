"""The pass over the pixels: every tile is read, answered and blended once, and finished pixels go to a store.

What was finished is saved every second or so; a run that goes on asks the same batches as one that was never
interrupted, and ends with the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rs2sam.raster.scene import SceneInfo
from rs2sam.raster.source import ReadOptions
from rs2sam.raster.thumbnail import Thumbnail, ThumbnailGrid
from rs2sam.raster.tiling import TileGrid, Window
from rs2sam.scenes.blocks import BlockReader, BlockWriter, check_whole
from rs2sam.scenes.first_pass import Screening
from rs2sam.scenes.job import Job
from rs2sam.scenes.objects import ObjectSink, StoredObjects
from rs2sam.scenes.outputs import describe_scene
from rs2sam.scenes.pipeline import read_ahead, write_behind
from rs2sam.scenes.store import StoredScene, StoreSink, StripReader, strip_rows
from rs2sam.views.assembly import AnsweredTile, Assembler, Carry, Tally
from rs2sam.views.options import SceneOptions, ViewSegmenter, objects_in
from rs2sam.views.streaming import Tile, WindowReader, answer_tiles, read_tiles

# Seconds between two saved states, so that saving costs little beside free models too.
_SAVE_EVERY_S = 1.0

_PIXELS = "pixels.blocks"
_OBJECTS = "objects.blocks"
_PREVIEW = "preview.blocks"


@dataclass(frozen=True)
class TileJob:
    """The tiles of a scene that are to be answered: all that another process needs to know.

    Args:
        path: of the scene.
        reading: how it is read.
        info: of the scene; its limits spare a second search for them.
        grid: of the tiles.
        sentences: what to ask about each tile.
        batch_size: views that the model reads at once.
        start: number of the first tile.
        thumbnail: grid of the samples that tiles bring along.
        side: smaller tiles are shown on a black square of this side; None: as they are.
        screening: the first pass that tells what tiles are asked; None: all that have data are asked everything.
    """

    path: str
    reading: ReadOptions
    info: SceneInfo
    grid: TileGrid
    sentences: tuple[str, ...]
    batch_size: int
    start: int
    thumbnail: ThumbnailGrid
    side: int | None = None
    screening: Screening | None = None


Answers = Callable[[TileJob], Generator[AnsweredTile, None, None]]
"""Gives the tiles of a job from its start on, answered and in order."""


@dataclass(frozen=True)
class Scan:
    """What the pass over the pixels left.

    Args:
        stored: the finished pixels, of the foreground or, where they are kept, the steps of all.
        objects: what tiles told apart in them.
        tallies: what is known of each asked sentence.
        num_valid: pixels with data.
        num_tiles: tiles of the grid, all of which were read.
        num_empty: tiles without data.
        num_run: tiles that the model was asked about.
        first_pass_seconds: in the model, to find out about which.
        lost: windows of the scene that could not be read, from top to bottom.
        thumbnail: a picture of the scene.
    """

    stored: StripReader
    objects: StoredObjects
    tallies: list[Tally]
    num_valid: int
    num_tiles: int
    num_empty: int
    num_run: int
    first_pass_seconds: float
    lost: list[Window]
    thumbnail: Thumbnail

    def describe(self, info: SceneInfo) -> dict[str, Any]:
        """The scene and what was read of it, as plain values for `result.json`."""
        return {
            "source": describe_scene(info, self.num_valid),
            "tiles": {
                "read": self.num_tiles,
                "skipped_empty": self.num_empty,
                "skipped_first_pass": self.num_tiles - self.num_empty - self.num_run,
                "run": self.num_run,
            },
            "lost": [[lost.row, lost.col, lost.height, lost.width] for lost in self.lost],
        }


def local_answers(source: WindowReader, segmenter: ViewSegmenter) -> Answers:
    """Answers of a model in this process: a thread reads ahead while it runs."""

    def answers(task: TileJob) -> Generator[AnsweredTile, None, None]:
        with _ready_tiles(source, segmenter, task) as tiles:
            yield from answer_tiles(segmenter, tiles, task.sentences, task.batch_size, task.side)

    return answers


@contextmanager
def _ready_tiles(source: WindowReader, segmenter: ViewSegmenter, task: TileJob) -> Iterator[Iterator[Tile]]:
    """Tiles from a thread that reads, each with what the first pass leaves to be asked."""
    depth, screening = tiles_ahead(task.batch_size, len(task.sentences)), task.screening
    if screening is None:
        with read_ahead(read_tiles(source, task.grid, task.thumbnail, task.start), depth) as tiles:
            yield tiles
    else:
        with read_ahead(screening.read_tiles(source, task.thumbnail, task.start), depth) as items:
            yield screening.mark(segmenter, items)


def tiles_ahead(batch_size: int, num_sentences: int) -> int:
    """Tiles that may wait before the model, and as many behind it."""
    return 2 * max(1, batch_size // num_sentences)


def scan(
    task: TileJob,
    options: SceneOptions,
    job: Job,
    answers: Answers,
    progress: Callable[[int, int], None] | None = None,
    *,
    keep: bool = False,
) -> Scan:
    """Answer every tile of a scene and store what is finished, from where an interrupted run stopped.

    Args:
        task: the scene and the sentences; its start is found here.
        options: threshold and least presence.
        job: the run's folder.
        answers: who asks the model.
        progress: called with the number of views done and of all views.
        keep: store the probability of every pixel in steps, not that of the foreground alone.
    """
    writer = _Writer(task, options, job, progress, keep=keep)
    with closing(writer):
        if writer.next_number < len(task.grid):
            started = replace(task, start=writer.next_number)
            depth = tiles_ahead(task.batch_size, len(task.sentences))
            with closing(answers(started)) as answered:
                write_behind(answered, writer.take, depth)
        writer.save()
    return writer.result()


class _Writer:
    """Takes answered tiles; the writing thread's part."""

    def __init__(
        self,
        task: TileJob,
        options: SceneOptions,
        job: Job,
        progress: Callable[[int, int], None] | None,
        *,
        keep: bool,
    ) -> None:
        self._task = task
        self._job = job
        self._progress = progress
        found = job.load()
        plain: dict[str, Any] = {"pixels": (0, 0), "objects": (0, 0), "preview": (0, 0), "row_offsets": []}
        if found is not None:
            plain = found[0]
        carried = Carry(job.folder)
        if found is not None:
            check_whole(job.folder / _PIXELS, *plain["pixels"])
            check_whole(job.folder / _OBJECTS, *plain["objects"])
            check_whole(job.folder / _PREVIEW, *plain["preview"])
            for row, end, checksum in plain["assembler"]["carried"]:
                check_whole(carried.path(row), end, checksum)
        self._pixels = BlockWriter(job.folder / _PIXELS, *plain["pixels"])
        self._objects = BlockWriter(job.folder / _OBJECTS, *plain["objects"])
        self._preview = BlockWriter(job.folder / _PREVIEW, *plain["preview"])
        self._object_sink = ObjectSink(self._objects, strip_rows(task.grid.size_hw[1]))
        self._threshold = options.threshold
        threshold = None if keep else options.threshold
        self._sink = StoreSink(self._pixels, threshold, strip_rows(task.grid.size_hw[1]), list(plain["row_offsets"]))
        self._assembler = Assembler(
            task.grid,
            len(task.sentences),
            self._sink,
            carried,
            threshold=options.threshold,
            min_presence=options.min_presence or 0.0,
        )
        if found is not None:
            self._assembler.restore(plain["assembler"], found[1])
        self._saved_at = time.monotonic()

    @property
    def next_number(self) -> int:
        """The tile that is needed next."""
        return self._assembler.next_number

    def take(self, tile: AnsweredTile) -> None:
        """Blend a tile, store what it finishes, and save the state now and then."""
        self._assembler.add(tile)
        for band, view in enumerate(tile.views or ()):
            told = objects_in(view, self._threshold) if view is not None and self._assembler.says[band] else None
            if told is not None:
                self._object_sink.put(band, tile.number, told)
        if tile.sample is not None:
            cells = self._task.thumbnail.cells(self._task.grid.owned(tile.number))
            for band, sums in enumerate(tile.sample):
                self._preview.append(band, cells.row, cells.col, sums)
        if self._progress is not None:
            count = len(self._task.sentences)
            self._progress((tile.number + 1) * count, len(self._task.grid) * count)
        if tile.ends_batch and time.monotonic() - self._saved_at >= _SAVE_EVERY_S:
            self.save()

    def close(self) -> None:
        """Close the files."""
        self._assembler.close()
        self._pixels.close()
        self._objects.close()
        self._preview.close()

    def result(self) -> Scan:
        """What is there when every tile has been taken; the files are closed."""
        offsets = [*self._sink.row_offsets, self._pixels.offset]
        return Scan(
            stored=StoredScene(self._job.folder / _PIXELS, self._task.grid, offsets),
            objects=StoredObjects(self._job.folder / _OBJECTS, self._objects.offset, self._task.grid),
            tallies=self._assembler.tallies,
            num_valid=self._assembler.num_valid,
            num_tiles=len(self._task.grid),
            num_empty=self._assembler.num_empty,
            num_run=self._assembler.num_run,
            first_pass_seconds=self._assembler.first_pass_seconds,
            lost=sorted(self._assembler.lost, key=lambda window: (window.row, window.col)),
            thumbnail=_picture(self._job.folder / _PREVIEW, self._preview.offset, self._task.thumbnail),
        )

    def save(self) -> None:
        """Make what is finished safe against a kill."""
        plain, sums = self._assembler.state()
        self._pixels.flush()
        self._objects.flush()
        self._preview.flush()
        state = {
            "assembler": plain,
            "pixels": (self._pixels.offset, self._pixels.checksum),
            "objects": (self._objects.offset, self._objects.checksum),
            "preview": (self._preview.offset, self._preview.checksum),
            "row_offsets": self._sink.row_offsets,
        }
        self._job.save(state, sums)
        self._assembler.forget_finished_rows()
        self._saved_at = time.monotonic()


def _picture(path: Path, end: int, grid: ThumbnailGrid) -> Thumbnail:
    """The means of all samples."""
    sums = np.zeros((4, *grid.size_hw), dtype=np.uint32)
    with BlockReader(path) as reader:
        for block in reader.index(0, end):
            rows, cols = slice(block.row, block.row + block.height), slice(block.col, block.col + block.width)
            sums[block.band, rows, cols] += reader.values(block)
    return grid.picture(sums)
