"""The scaling model of docs/cluster.md, by hand."""

from __future__ import annotations

import pytest

from benchmarks.scale.scaling import Cluster, Costs, actors_that_saturate, local_scenes_per_second, scenes_per_second

COSTS = Costs(
    read_s=0.01, answer_s=0.4, finish_scene_s=0.1, finish_tile_s=0.02, driver_scene_s=0.004, driver_tile_s=0.002
)


@pytest.mark.parametrize(
    ("cluster", "tiles", "rate", "narrowest"),
    [
        # 4 actors, 0.4 s a scene; 0.12 s of a finisher, 0.01 s of a reader, 0.006 s of the driver.
        (Cluster(4, finishers=2, readers=1), 1, 10.0, "model"),
        (Cluster(4, finishers=1, readers=1), 1, 1 / 0.12, "finishers"),
        (Cluster(400, finishers=40, readers=10), 1, 1 / 0.006, "driver"),
        # 25 tiles: 10 s of a model, 0.6 s of a finisher, 0.25 s of a reader, 0.054 s of the driver.
        (Cluster(100, finishers=10, readers=1), 25, 4.0, "reading"),
        # 0.536 s of all kinds a scene on two cores.
        (Cluster(2, finishers=1, readers=1, cores=2), 1, 2 / 0.536, "cores"),
    ],
)
def test_the_slowest_part_decides_the_rate(cluster, tiles, rate, narrowest):
    assert scenes_per_second(COSTS, cluster, tiles) == (pytest.approx(rate), narrowest)


def test_sentences_are_work_for_the_model_only():
    assert scenes_per_second(COSTS, Cluster(1, 1, 1), 2, sentences=3)[0] == pytest.approx(1 / 2.4)


def test_the_local_engine_does_one_thing_after_another():
    assert local_scenes_per_second(COSTS, 1) == pytest.approx(1 / 0.53)


def test_the_driver_saturates_where_models_have_become_as_fast():
    assert actors_that_saturate(COSTS, 1) == pytest.approx(0.4 / 0.006)
    assert actors_that_saturate(Costs(0.01, 0.4, 0.1, 0.02), 1) == float("inf")
