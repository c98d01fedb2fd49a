"""The stages of the distributed engine one after another in this process, as Ray runs them in many."""

from __future__ import annotations

import numpy as np

from rs2sam.batch.stages import Answerer, answers_of, plan_scene, read_rows, scene_row


def columns(rows):
    payloads = np.empty(len(rows), dtype=object)
    payloads[:] = [row["payload"] for row in rows]
    numbers = {name: np.array([row[name] for row in rows], dtype=np.int64) for name in ("scene", "tile")}
    return {**numbers, "payload": payloads}


def slices(table, size):
    for start in range(0, len(table["scene"]), size):
        yield {name: values[start : start + size] for name, values in table.items()}


def answer_scenes(requests, load, *, tiles_per_read=8, room=4):
    """Scene, tile and answer of all tiles of all scenes."""
    segmenter_size = load().image_size
    planned = [
        row for number, request in enumerate(requests) for row in plan_scene(scene_row(number, request), segmenter_size)
    ]
    answerer = Answerer(load, requests[0].options.batch_size)
    for part in slices(columns(planned), tiles_per_read):
        for batch in slices(read_rows(part), room):
            yield from answers_of(answerer(batch))
