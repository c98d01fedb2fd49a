from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from rs2sam.batch.stages import PLAN_FAILED, Failure, parcels_of
from rs2sam.errors import InvalidImageError, InvalidInputError, RS2SAMError
from rs2sam.views.assembly import AnsweredTile
from tests.batch.scenes import plan, write_scenes
from tests.batch.without_ray import answer_scenes, columns
from tests.make_rasters import RedSegmenter

LOAD = partial(RedSegmenter, image_size=64)


@dataclass
class PickySegmenter(RedSegmenter):
    """The stand-in; it cannot answer a view with blue in it."""

    def segment_views(self, pairs, batch_size=1):
        if any((view[..., 2] > 200).any() for view, _ in pairs):
            raise RuntimeError("blue")
        return super().segment_views(pairs, batch_size)


def answers(batch, load=LOAD):
    """Scene, tile, number of tiles and answer of each row."""
    requests = [batch.settings.request(scene) for scene in batch.scenes]
    for table in answer_scenes(requests, load):
        for parcel in parcels_of(table):
            for tile, answer in parcel.answers():
                yield parcel.scene, tile, parcel.num_tiles, answer


def test_every_tile_of_every_scene_comes_back_once_and_in_order(tmp_path):
    write_scenes(tmp_path / "in")
    rows = list(answers(plan(tmp_path, "out")))
    # Tiles of 64 px every 48 px: 1 x 2 of 64 x 96 px, 4 x 4 of 200 x 180 px, 3 x 4 of 150 x 200 px, 1 of 64 x 64 px.
    assert [row[:3] for row in rows] == [
        (scene, tile, count) for scene, count in enumerate([2, 16, 12, 1]) for tile in range(count)
    ]
    assert all(isinstance(answer, AnsweredTile) for *_, answer in rows)


def test_a_broken_scene_is_one_row_that_says_why(tmp_path):
    write_scenes(tmp_path / "in")
    (tmp_path / "in/broken.tif").write_text("no picture")
    broken = [row for row in answers(plan(tmp_path, "out")) if isinstance(row[3], Failure)]
    assert [(scene, tile) for scene, tile, _, _ in broken] == [(1, PLAN_FAILED)]
    assert isinstance(broken[0][3].raised(), InvalidImageError)


def test_a_tile_that_cannot_be_answered_takes_no_other_along(tmp_path):
    write_scenes(tmp_path / "in", fatal=True)
    batch = plan(tmp_path, "out")
    rows = list(answers(batch, partial(PickySegmenter, image_size=64)))
    failed = {batch.scenes[scene].key for scene, _, _, answer in rows if isinstance(answer, Failure)}
    assert failed == {"fatal.tif"}


def test_a_failure_keeps_its_words_and_whether_another_attempt_may_help():
    assert isinstance(Failure.of(InvalidInputError("wrong")).raised(), InvalidInputError)
    passing = Failure.of(OSError("network")).raised()
    assert str(passing) == "OSError: network"
    assert isinstance(passing, RS2SAMError)
    assert not isinstance(passing, InvalidInputError)


def test_rows_are_parcelled_by_scene():
    places = [(3, 7), (3, 8), (4, 0), (6, 0), (6, 2)]
    rows = [{"scene": scene, "tile": tile, "num_tiles": 9, "payload": b"x"} for scene, tile in places]
    parcels = list(parcels_of(columns(rows)))
    assert [(parcel.scene, parcel.tiles) for parcel in parcels] == [(3, (7, 8)), (4, (0,)), (6, (0, 2))]
    assert all(np.array_equal(payload, [120]) for parcel in parcels for payload in parcel.payloads)
    assert list(parcels_of(columns([]))) == []
