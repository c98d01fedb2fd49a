"""The distributed engine on real Ray processes of this machine."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyogrio.raw
import pytest

from rs2sam.batch.ray_engine import run_ray
from rs2sam.batch.ray_options import RayOptions
from tests.batch.scenes import Watcher, plan, run_locally, write_scenes
from tests.make_rasters import RedSegmenter

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    # Ray reads its own deprecated settings.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

REPOSITORY = Path(__file__).resolve().parents[2]
OPTIONS = RayOptions(actors=2, object_store_gib=0.2, finishers=2)
MARK = "RS2SAM_TEST_FOLDER"


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """What Ray's processes inherit."""
    pytest.importorskip("ray")
    # They import the stand-ins of the tests.
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Else they stand back behind everything else that the machine does.
    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setenv(MARK, str(tmp_path))


@dataclass
class SlowSegmenter(RedSegmenter):
    """The stand-in, slow enough to be killed at work; it leaves its process number in a folder."""

    folder: str = ""
    pause_s: float = 0.3

    def segment_views(self, pairs, batch_size=1):
        (Path(self.folder) / str(os.getpid())).touch()
        time.sleep(self.pause_s)
        return super().segment_views(pairs, batch_size)


@dataclass
class FatalSegmenter(RedSegmenter):
    """The stand-in; its process dies when it sees blue."""

    def segment_views(self, pairs, batch_size=1):
        if any((view[..., 2] > 200).any() for view, _ in pairs):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().segment_views(pairs, batch_size)


def own_processes(title: str, folder: Path) -> list[int]:
    """Numbers of the processes of this test's Ray that are called so."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_ours = f"{MARK}={folder}".encode() in (path / "environ").read_bytes()
            if is_ours and title.encode() in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def finishers_at_work(folder: Path) -> list[int]:
    """Numbers of the finishers that have a file of a scene of this test open.

    Ray's title of a process tells less: `take`, which comes and goes beside `run`, overwrites it.
    """
    found = []
    for number in own_processes("ray::Finisher", folder):
        with suppress(OSError):
            opened = [os.readlink(link) for link in Path(f"/proc/{number}/fd").iterdir()]
            if any(name.startswith(f"{folder}/ray") for name in opened):
                found.append(number)
    return found


def run_on_ray(batch, load, watcher=None):
    from rs2sam.batch.run import run_batch

    def engine(schedule, watching):
        run_ray(schedule, batch.settings.request, load, OPTIONS, watching)

    return run_batch(batch, engine, watcher or Watcher())


def polygons(path: Path) -> list[tuple]:
    """Every feature of a polygon file, with its geometry; None where a number is empty, since NaN equals nothing."""
    meta, _, geometry, values = pyogrio.raw.read(path, layer="polygons")
    columns = ([None if value != value else value for value in column.tolist()] for column in values)
    return [tuple(meta["fields"]), *zip(geometry.tolist(), *columns, strict=True)]


def assert_same_results(first: Path, second: Path) -> int:
    """Every mask, polygon and preview of one folder is that of the other; returns how many scenes there are."""
    names = sorted(path.relative_to(first) for path in first.rglob("*_*.*") if path.suffix in (".tif", ".gpkg", ".png"))
    assert names == sorted(
        path.relative_to(second) for path in second.rglob("*_*.*") if path.suffix in (".tif", ".gpkg", ".png")
    )
    for name in names:
        if name.suffix == ".gpkg":
            assert polygons(first / name) == polygons(second / name)
        else:
            assert (first / name).read_bytes() == (second / name).read_bytes()
    return sum(name.name.endswith("_mask.tif") for name in names)


def test_results_are_those_of_the_local_engine_and_a_broken_scene_stops_no_other(tmp_path):
    write_scenes(tmp_path / "in", broken=True)
    local = run_locally(plan(tmp_path, "local"))
    distributed = run_on_ray(plan(tmp_path, "ray"), partial(RedSegmenter, image_size=64))
    assert assert_same_results(tmp_path / "local", tmp_path / "ray") == 4
    assert [failure["scene"] for failure in distributed["failed"]] == ["broken.tif"]
    for name in ("done", "failed", "sentences"):
        assert distributed[name] == local[name]


def test_a_killed_actor_leaves_all_results_complete(tmp_path):
    write_scenes(tmp_path / "in")
    run_locally(plan(tmp_path, "local"))
    pids = tmp_path / "pids"
    pids.mkdir()
    killed = []

    def kill_the_first():
        while not (seen := list(pids.iterdir())):
            time.sleep(0.01)
        os.kill(int(seen[0].name), signal.SIGKILL)
        killed.append(seen[0].name)

    killer = threading.Thread(target=kill_the_first, daemon=True)
    killer.start()
    load = partial(SlowSegmenter, image_size=64, folder=str(pids))
    summary = run_on_ray(plan(tmp_path, "ray"), load)
    killer.join()
    assert killed
    assert (summary["done"], summary["failed"]) == (4, [])
    assert len(list(pids.iterdir())) >= 2
    assert assert_same_results(tmp_path / "local", tmp_path / "ray") == 4


def test_a_killed_finisher_leaves_all_results_complete(tmp_path):
    write_scenes(tmp_path / "in")
    run_locally(plan(tmp_path, "local"))
    (tmp_path / "pids").mkdir()
    killed = []

    def kill_one_at_work():
        while not (found := finishers_at_work(tmp_path)):
            time.sleep(0.02)
        os.kill(found[0], signal.SIGKILL)
        killed.append(found[0])

    killer = threading.Thread(target=kill_one_at_work, daemon=True)
    killer.start()
    load = partial(SlowSegmenter, image_size=64, folder=str(tmp_path / "pids"))
    watcher = Watcher()
    summary = run_on_ray(plan(tmp_path, "ray"), load, watcher)
    killer.join()
    assert killed
    errors = [outcome.error for outcome in watcher.outcomes if outcome.error]
    assert len(errors) == 1
    assert "put the scene together died" in errors[0]
    assert (summary["done"], summary["failed"]) == (4, [])
    assert assert_same_results(tmp_path / "local", tmp_path / "ray") == 4


def test_a_scene_that_kills_the_model_is_given_up_and_stops_no_other(tmp_path):
    write_scenes(tmp_path / "in", fatal=True)
    summary = run_on_ray(plan(tmp_path, "ray", attempts=2), partial(FatalSegmenter, image_size=64))
    assert [failure["scene"] for failure in summary["failed"]] == ["fatal.tif"]
    assert summary["failed"][0]["attempts"] == 2
    assert summary["done"] == 4
    run_locally(plan(tmp_path, "local"), but="fatal.tif")
    assert assert_same_results(tmp_path / "local", tmp_path / "ray") == 4
