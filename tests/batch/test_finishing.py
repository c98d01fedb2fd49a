from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import rasterio

from rs2sam.batch.engine import BrokenEngineError
from rs2sam.batch.finishing import AnswerStream
from rs2sam.batch.run import preview_states, run_batch
from rs2sam.batch.stages import Parcel, parcels_of
from rs2sam.errors import RS2SAMError
from rs2sam.processing import FirstPass
from rs2sam.scenes.run import run_scene
from tests.batch.scenes import Watcher, plan, run_locally, write_scenes
from tests.batch.without_ray import answer_scenes, engine_of, without
from tests.make_rasters import SCENE, RedSegmenter, paint, write_tiff

LOAD = partial(RedSegmenter, image_size=64)


@pytest.fixture
def base(tmp_path):
    write_scenes(tmp_path / "in")
    return tmp_path


def read_mask(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


@pytest.mark.parametrize("finishers", [1, 2])
def test_scenes_put_together_elsewhere_are_those_of_the_local_engine(base, finishers):
    (base / "in/broken.tif").write_bytes((base / "in/c.tif").read_bytes()[:400])
    local = run_locally(plan(base, "local"))
    batch, watcher = plan(base, "out"), Watcher()
    engine = engine_of(batch.settings.request, LOAD, finishers=finishers, tiles_per_read=5, room=3)
    summary = run_batch(batch, engine, watcher)
    for name in ("done", "failed", "sentences", "merged"):
        assert summary[name] == local[name]
    for scene in batch.scenes:
        if scene.key != "broken.tif":
            name = scene.key.replace(".tif", "_mask.tif")
            np.testing.assert_array_equal(read_mask(base / "out" / name), read_mask(base / "local" / name))
    assert engine.crew.most_at_work <= finishers
    assert watcher.views[-1] == (1, 1)


@dataclass
class ScreenedSegmenter(RedSegmenter):
    """The stand-in with a first pass: tiles without red are skipped."""

    first_pass = FirstPass(tiles=2, threshold=0.5, is_default=True)


def test_the_first_pass_skips_the_same_tiles_as_the_local_engine(tmp_path):
    mask = np.zeros((256, 256), dtype=bool)
    mask[10:30, 180:220] = True
    (tmp_path / "in").mkdir()
    write_tiff(tmp_path / "in/wide.tif", paint(mask))
    write_tiff(tmp_path / "in/small.tif", SCENE)
    batch, load = plan(tmp_path, "out"), partial(ScreenedSegmenter, image_size=64)
    summary = run_batch(batch, engine_of(batch.settings.request, load), Watcher())
    assert summary["done"] == 2
    wide = json.loads((tmp_path / "out/wide_result.json").read_text())
    local = run_scene(replace(batch.settings.request(batch.scenes[1]), folder=tmp_path / "local"), load())
    assert wide["tiles"] == local["tiles"]
    assert wide["tiles"]["skipped_first_pass"] > wide["tiles"]["run"] > 0
    masks = [read_mask(tmp_path / folder / "wide_mask.tif") for folder in ("out", "local")]
    np.testing.assert_array_equal(*masks)


def test_tiles_that_never_come_back_fail_their_scenes_only(base):
    lost = [(1, 3), (3, 0)]  # one of the middle of c.tif, all of sub/d.tif
    batch = plan(base, "out", attempts=1)
    engine = engine_of(batch.settings.request, LOAD, change=lambda table: without(table, *lost))
    summary = run_batch(batch, engine, Watcher())
    assert {failure["scene"]: failure["error"].partition(" did")[0] for failure in summary["failed"]} == {
        "c.tif": "Tile 3 of 16",
        "sub/d.tif": "Tile 0 of 1",
    }
    assert summary["done"] == 2


def test_scenes_without_a_source_fail_on_the_way(base):
    batch = plan(base, "out")
    scenes = [
        replace(scene, problem="no asset") if scene.key in ("a.tif", "sub/d.tif") else scene for scene in batch.scenes
    ]
    summary = run_batch(replace(batch, scenes=scenes), engine_of(batch.settings.request, LOAD), Watcher())
    assert [failure["scene"] for failure in summary["failed"]] == ["a.tif", "sub/d.tif"]
    assert summary["done"] == 2


def test_scenes_under_way_are_as_if_not_begun_when_the_engine_breaks(base):
    def break_at_the_third(table):
        if table["scene"].max() >= 2:
            raise BrokenEngineError("Ray gave up")
        return table

    batch = plan(base, "out")
    with pytest.raises(BrokenEngineError):
        run_batch(batch, engine_of(batch.settings.request, LOAD, change=break_at_the_third), Watcher())
    assert preview_states(batch)["c.tif"] == "pending"
    assert run_batch(batch, engine_of(batch.settings.request, LOAD), Watcher())["done"] == 4


def test_a_scene_that_goes_on_takes_the_tiles_it_still_needs(base):
    batch = plan(base, "out")
    request = batch.settings.request(batch.scenes[1])
    parcels = [parcel for table in answer_scenes([request], LOAD) for parcel in parcels_of(table)]
    jobs = []

    def answers(job):
        jobs.append(job)
        yield from _filled(parcels).of(job)

    run_scene(request, LOAD(), None, answers)
    later = replace(jobs[0], start=9)
    assert [tile.number for tile in _filled(parcels).of(later)] == list(range(9, len(later.grid)))


def _filled(parcels):
    """A stream that a thread fills."""
    stream = AnswerStream()

    def fill():
        for parcel in parcels:
            stream.put(parcel)
        stream.put(None)

    threading.Thread(target=fill, daemon=True).start()
    return stream


def test_a_stream_holds_few_answers_and_lets_go_when_nobody_takes_them():
    stream, put = AnswerStream(), []
    parcel = Parcel(0, (0,), 1, (np.zeros(1, np.uint8),))

    def fill():
        for _ in range(4):
            stream.put(parcel)
            put.append(1)

    filling = threading.Thread(target=fill, daemon=True)
    filling.start()
    filling.join(timeout=0.2)
    assert filling.is_alive()
    assert len(put) == 2
    stream.close()
    filling.join(timeout=10)
    assert len(put) == 4


def test_a_stream_that_ends_early_says_which_tile_is_missing(base):
    batch = plan(base, "out")
    stream = AnswerStream()
    stream.put(None)
    with pytest.raises(RS2SAMError, match="Tile 0 of 16 did not come back"):
        run_scene(batch.settings.request(batch.scenes[1]), LOAD(), None, stream.of)
