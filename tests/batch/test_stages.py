from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import rasterio

from rs2sam.batch.ray_engine import _Stream
from rs2sam.errors import InvalidImageError
from rs2sam.scene_run import run_scene
from tests.batch.scenes import plan, run_locally, write_scenes
from tests.batch.without_ray import answer_scenes
from tests.make_rasters import RedSegmenter

LOAD = partial(RedSegmenter, image_size=64)


@dataclass
class PickySegmenter(RedSegmenter):
    """The stand-in; it cannot answer a view with blue in it."""

    def segment_views(self, pairs, batch_size=1):
        if any((view[..., 2] > 200).any() for view, _ in pairs):
            raise RuntimeError("blue")
        return super().segment_views(pairs, batch_size)


def run_stages(batch, load=LOAD, **sizes):
    """What the driver does with the answers; returns reports or errors by key."""
    requests = [batch.settings.request(scene) for scene in batch.scenes]
    stream = _Stream(answer_scenes(requests, load, **sizes))
    ended = {}
    for number, (scene, request) in enumerate(zip(batch.scenes, requests, strict=True)):
        try:
            ended[scene.key] = run_scene(request, load(), None, partial(stream.of, number))
        except Exception as error:
            ended[scene.key] = error
    return ended


def mask(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


@pytest.mark.parametrize("sizes", [{"tiles_per_read": 8, "room": 4}, {"tiles_per_read": 1, "room": 3}])
def test_answers_from_elsewhere_make_the_results_of_the_local_engine(tmp_path, sizes):
    write_scenes(tmp_path / "in", broken=True)
    ended = run_stages(plan(tmp_path, "stages"), **sizes)
    run_locally(plan(tmp_path, "local"))
    assert isinstance(ended.pop("broken.tif"), InvalidImageError)
    for key, report in ended.items():
        name = key.replace(".tif", "_mask.tif")
        np.testing.assert_array_equal(mask(tmp_path / "stages" / name), mask(tmp_path / "local" / name))
        assert report["sentences"][0]["found"]


def test_a_tile_that_cannot_be_answered_fails_its_own_scene_only(tmp_path):
    write_scenes(tmp_path / "in", fatal=True)
    ended = run_stages(plan(tmp_path, "stages"), partial(PickySegmenter, image_size=64))
    assert str(ended.pop("fatal.tif")) == "RuntimeError: blue"
    assert all(isinstance(report, dict) for report in ended.values())


def test_a_tile_that_never_comes_back_fails_its_scene_only(tmp_path):
    write_scenes(tmp_path / "in")
    batch = plan(tmp_path, "stages")
    requests = [batch.settings.request(scene) for scene in batch.scenes]
    rows = [row for row in answer_scenes(requests, LOAD) if row[:2] not in ((1, 3), (3, 0))]
    stream = _Stream(iter(rows))
    for number, request in enumerate(requests):
        if number in (1, 3):
            with pytest.raises(RuntimeError, match=rf"Tile {3 if number == 1 else 0} of .* died"):
                run_scene(request, LOAD(), None, partial(stream.of, number))
        else:
            run_scene(request, LOAD(), None, partial(stream.of, number))


def test_a_scene_that_goes_on_takes_the_tiles_it_still_needs(tmp_path):
    write_scenes(tmp_path / "in")
    batch = plan(tmp_path, "stages")
    requests = [batch.settings.request(scene) for scene in batch.scenes]
    rows = list(answer_scenes(requests, LOAD))
    jobs = []

    def answers(job):
        jobs.append(job)
        yield from _Stream(iter(rows)).of(1, job)

    run_scene(requests[1], LOAD(), None, answers)
    later = replace(jobs[0], start=9)
    assert [tile.number for tile in _Stream(iter(rows)).of(1, later)] == list(range(9, len(later.grid)))
