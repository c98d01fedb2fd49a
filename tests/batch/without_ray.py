"""The stages and finishers of the distributed engine in this process, as Ray runs them in many."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np

from rs2sam.batch.finishing import Dispatcher, Finisher, ModelFacts
from rs2sam.batch.first_pass import Screener, decisions_of, plan_views, read_views
from rs2sam.batch.stages import Answerer, plan_scene, read_rows, scene_row
from rs2sam.scenes.run import with_model_options

NUMBERS = ("scene", "tile", "num_tiles")


def columns(rows):
    payloads = np.empty(len(rows), dtype=object)
    payloads[:] = [row["payload"] for row in rows]
    numbers = {name: np.array([row[name] for row in rows], dtype=np.int64) for name in NUMBERS}
    return {**numbers, "payload": payloads}


def slices(table, size):
    for start in range(0, len(table["scene"]), size):
        yield {name: values[start : start + size] for name, values in table.items()}


def without(table, *lost):
    """A table less the rows of some (scene, tile), as a process that dies takes them along."""
    kept = [pair not in lost for pair in zip(table["scene"], table["tile"], strict=True)]
    return {name: values[kept] for name, values in table.items()}


def answer_scenes(requests, load, *, tiles_per_read=8, room=4):
    """The answers to all tiles of all scenes, a batch of the model at a time."""
    side, decisions = load().image_size, first_pass(requests, load)
    planned = [
        row
        for number, request in enumerate(requests)
        for row in plan_scene(scene_row(number, request, decisions.get(number)), side)
    ]
    answerer = Answerer(load, requests[0].options.batch_size)
    for part in slices(columns(planned), tiles_per_read):
        for batch in slices(read_rows(part), room):
            yield answerer(batch)


def first_pass(requests, load):
    """What the first pass decides about the tiles of each scene."""
    side, screener = load().image_size, Screener(load)
    views = [row for number, request in enumerate(requests) for row in plan_views(scene_row(number, request), side)]
    return decisions_of(screener(read_views(batch)) for batch in slices(columns(views), 1))


class ThreadCrew:
    """Finishers of this process, with a thread for each scene under way; remembers how many were at work at once."""

    def __init__(self, facts, count):
        self._free = [Finisher(facts) for _ in range(count)]
        self._at_work = {}
        self.most_at_work = 0

    @property
    def num_free(self):
        return len(self._free)

    def begin(self, number, request):
        finisher, reports = self._free.pop(), []
        thread = threading.Thread(target=lambda: reports.append(finisher.run(number, request)), daemon=True)
        thread.start()
        self._at_work[number] = finisher, thread, reports
        self.most_at_work = max(self.most_at_work, len(self._at_work))

    def send(self, number, parcel):
        self._at_work[number][0].take(number, parcel)

    def ended(self, *, wait):
        if wait:
            next(iter(self._at_work.values()))[1].join(timeout=60)
        over = [number for number, (_, thread, _) in self._at_work.items() if not thread.is_alive()]
        return [(number, partial(self._outcome, number)) for number in over]

    def stop(self):
        """What killing their processes does: nobody is at work any more."""
        for number, (finisher, thread, _) in self._at_work.items():
            finisher.take(number, None)
            thread.join(timeout=60)

    def _outcome(self, number):
        finisher, _, (report,) = self._at_work.pop(number)
        self._free.append(finisher)
        if not isinstance(report, dict):
            raise report.raised()
        return report


def engine_of(request_of, load, *, finishers=2, change=lambda batch: batch, **sizes):
    """An engine for `run_batch`: all stages, and a crew of threads; `change` is done to each batch of answers."""

    def engine(schedule, watcher):
        facts = ModelFacts.of(load())
        ready = schedule.ready()
        requests = [with_model_options(request_of(one), facts) for one in ready if one.problem is None]
        batches = map(change, answer_scenes(requests, load, **sizes)) if requests else iter(())
        engine.crew = ThreadCrew(facts, finishers)
        try:
            Dispatcher(schedule, ready, requests, engine.crew, watcher).run(batches)
        finally:
            engine.crew.stop()

    return engine
