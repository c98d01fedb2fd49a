from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import pyogrio.raw
import pytest
import rasterio

from rs2sam.batch.inputs import Shard, find_scenes
from rs2sam.batch.run import preview_states
from rs2sam.errors import InvalidInputError
from rs2sam.scenes.run import run_scene
from tests.batch.scenes import SIZES_HW, Watcher, plan, run_locally, write_scenes
from tests.make_rasters import NORTH_UP, RedSegmenter, paint, write_tiff
from tests.range_server import RangeServer
from tests.raster.test_opening import missing_half

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def base(tmp_path):
    write_scenes(tmp_path / "in", broken=True)
    return tmp_path


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name.endswith(("_mask.tif", "_polygons.gpkg"))
    }


def test_results_mirror_the_inputs_and_one_broken_scene_stops_no_other(base):
    watcher = Watcher()
    summary = run_locally(plan(base, "out"), watcher)
    assert (summary["scenes"], summary["done"], summary["run_now"]) == (5, 4, 5)
    assert [failure["scene"] for failure in summary["failed"]] == ["broken.tif"]
    assert (base / "out/sub/b_mask.tif").is_file()
    assert (base / "out/a_result.json").is_file()
    assert json.loads((base / "out/batch.json").read_text()) == summary
    assert watcher.num_scenes == 5
    assert [outcome.scene.key for outcome in watcher.outcomes] == [scene.key for scene in plan(base, "out").scenes]
    assert watcher.views[-1][0] == watcher.views[-1][1]


def test_a_scene_that_cannot_be_read_or_named_is_tried_once_and_one_with_a_hole_is_told(base):
    hole = missing_half(base)
    (base / "in/hole.vrt").write_text(hole.read_text().replace("left.tif", "../left.tif"))
    profile = {"driver": "GTiff", "dtype": "complex_int16", "count": 1, "height": 8, "width": 9}
    with rasterio.open(base / "in/radar.tif", "w", transform=NORTH_UP, **profile):
        pass
    (base / "in" / os.fsdecode(b"caf\xe9.tif")).touch()
    summary = run_locally(plan(base, "out"))
    failed = {failure["scene"]: failure for failure in summary["failed"]}
    assert set(failed) == {"broken.tif", "radar.tif", "caf%e9.tif"}
    assert {failure["attempts"] for failure in failed.values()} == {1}
    assert "complex_int16" in failed["radar.tif"]["error"]
    assert summary["with_lost_blocks"] == ["hole.vrt"]
    report = json.loads((base / "out/hole_result.json").read_text())
    assert report["lost"] == [[0, 128, 64, 128]]


def test_the_same_command_again_runs_nothing_twice(base):
    run_locally(plan(base, "out"))
    before = files(base / "out")

    def never(scene, progress):
        raise AssertionError(scene.key)

    summary = run_locally(plan(base, "out"), run=never)
    assert (summary["done"], summary["run_now"], len(summary["failed"])) == (4, 0, 1)
    assert files(base / "out") == before


def test_errors_that_pass_are_tried_until_they_do(base):
    (base / "in/broken.tif").unlink()
    failures = iter([OSError("network"), OSError("network")])
    batch = plan(base, "out")

    def flaky(scene, progress):
        if scene.key == "c.tif" and (error := next(failures, None)):
            raise error
        return run_scene(batch.settings.request(scene), RedSegmenter(), progress)

    watcher = Watcher()
    summary = run_locally(batch, watcher, run=flaky)
    assert summary["failed"] == []
    assert [outcome.error for outcome in watcher.outcomes if outcome.scene.key == "c.tif"] == [
        "OSError: network",
        "OSError: network",
        None,
    ]


def test_failed_scenes_are_run_again_when_asked_for(base):
    run_locally(plan(base, "out"), but="c.tif")
    (base / "in/broken.tif").unlink()
    write_tiff(base / "in/broken.tif", paint(np.ones((64, 64), dtype=bool)))
    assert run_locally(plan(base, "out"))["run_now"] == 0
    summary = run_locally(plan(base, "out", retry_failed=True))
    assert (summary["run_now"], summary["done"], summary["failed"]) == (2, 5, [])


def test_ctrl_c_stops_the_batch_and_it_goes_on(base):
    def stop(scene, progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_locally(plan(base, "out"), run=stop)
    assert set(preview_states(plan(base, "out")).values()) == {"pending"}
    assert run_locally(plan(base, "out"))["done"] == 4


def test_shards_together_do_all_and_a_last_run_merges(base):
    whole = run_locally(plan(base, "whole"))
    done = []
    for number in (1, 2, 3):
        summary = run_locally(plan(base, "out", shard=Shard(number, 3)))
        done.append(summary["done"])
        assert summary["merged"] is None
        assert (base / f"out/batch-{number}-of-3.json").is_file()
    assert sum(done) == 4
    assert not (base / "out/polygons.gpkg").exists()
    summary = run_locally(plan(base, "out", retry_failed=False))
    assert summary["run_now"] == 1  # the broken one: a shard's failures are its own
    assert summary["merged"] == whole["merged"]
    assert files(base / "out") == files(base / "whole")


def test_overwriting_begins_anew_also_with_other_settings(base):
    run_locally(plan(base, "out"))
    other = plan(base, "out")
    other = replace(other, settings=replace(other.settings, sentences=("no red things",)))
    with pytest.raises(InvalidInputError, match=r"red things.*there.*no red things.*now"):
        run_locally(other)
    summary = run_locally(replace(other, overwrite=True))
    assert summary["run_now"] == 5
    assert summary["sentences"] == [{"sentence": "no red things", "scenes": 0, "polygons": 0, "pixels": 0}]
    assert run_locally(other)["run_now"] == 0


def test_a_dry_look_changes_nothing(base):
    assert set(preview_states(plan(base, "out")).values()) == {"pending"}
    assert not (base / "out").exists()
    run_locally(plan(base, "out"))
    states = preview_states(plan(base, "out"))
    assert states.pop("broken.tif") == "failed"
    assert set(states.values()) == {"done"}
    assert preview_states(plan(base, "out", retry_failed=True))["broken.tif"] == "pending"
    assert set(preview_states(plan(base, "out", overwrite=True)).values()) == {"pending"}


@pytest.mark.parametrize("kind", ["gpkg", "parquet"])
def test_the_merged_file_holds_every_polygon_with_its_scene(base, kind):
    summary = run_locally(plan(base, "out", merged=f"polygons.{kind}"))
    if kind == "gpkg":
        meta, _, geometry, values = pyogrio.raw.read(base / "out/polygons.gpkg", layer="polygons")
        columns = dict(zip(meta["fields"], values, strict=True))
        assert meta["crs"] == "EPSG:26910"
        assert pyogrio.list_layers(base / "out/polygons.gpkg")[:, 0].tolist() == ["polygons", "layer_styles"]
    else:
        from rs2sam.vector.geoparquet import geoparquet_crs, read_geoparquet

        (geometry, columns), *more = read_geoparquet(base / "out/polygons.parquet")
        assert more == []
        assert geoparquet_crs(base / "out/polygons.parquet").to_epsg() == 26910
    assert len(geometry) == summary["merged"]["polygons"] == summary["sentences"][0]["polygons"]
    assert summary["merged"]["crs"] == "EPSG:26910"
    assert set(columns["scene"]) == {f"{name}.tif" for name in SIZES_HW}
    assert sum(columns["area_px"]) == summary["sentences"][0]["pixels"]


def test_scenes_of_several_places_are_merged_in_longitude_and_latitude(tmp_path):
    (tmp_path / "in").mkdir()
    write_tiff(tmp_path / "in/a.tif")
    write_tiff(tmp_path / "in/b.tif", crs="EPSG:26911")
    write_tiff(tmp_path / "in/nowhere.tif", crs=None)
    summary = run_locally(plan(tmp_path, "out"))
    assert summary["merged"]["crs"] == "EPSG:4326"
    assert summary["merged"]["without_crs"] == ["nowhere.tif"]
    assert summary["merged"]["polygons"] == 4
    west, south, east, north = pyogrio.read_info(
        tmp_path / "out/polygons.gpkg", layer="polygons", force_total_bounds=True
    )["total_bounds"]
    # 598,119.6 m E, 4,402,383 m N in zones 10 and 11, six degrees apart.
    assert west == pytest.approx(-121.854, abs=0.01)
    assert east == pytest.approx(-115.854, abs=0.01)
    assert (south, north) == (pytest.approx(39.765, abs=0.01), pytest.approx(39.765, abs=0.01))


def test_a_batch_that_finds_nothing_has_an_empty_merged_file_with_columns(tmp_path):
    (tmp_path / "in").mkdir()
    write_tiff(tmp_path / "in/a.tif", paint(np.zeros((64, 64), bool)))
    summary = run_locally(plan(tmp_path, "out"))
    assert summary["merged"]["polygons"] == 0
    info = pyogrio.read_info(tmp_path / "out/polygons.gpkg", layer="polygons")
    assert info["features"] == 0
    assert {"scene", "sentence", "area_m2"} <= set(info["fields"])


SITE = 'LOCAL_CS["site grid",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'


def test_a_scene_whose_crs_leads_nowhere_costs_neither_merged_file_nor_catalog(tmp_path):
    pytest.importorskip("pystac")
    (tmp_path / "in").mkdir()
    write_tiff(tmp_path / "in/a.tif")
    write_tiff(tmp_path / "in/site.tif", crs=SITE)
    summary = run_locally(plan(tmp_path, "out", catalog=True))
    assert summary["done"] == 2
    assert (summary["merged"]["crs"], summary["merged"]["without_crs"]) == ("EPSG:26910", ["site.tif"])
    assert summary["catalog"] == "catalog/catalog.json"


def test_what_the_scenes_came_to_is_known_when_merging_fails(base, monkeypatch):
    def fails(files, path):
        raise InvalidInputError("no merged file")

    monkeypatch.setattr("rs2sam.batch.run.merge_polygons", fails)
    with pytest.raises(InvalidInputError, match="no merged file"):
        run_locally(plan(base, "out"))
    summary = json.loads((base / "out/batch.json").read_text())
    assert (summary["done"], len(summary["failed"]), summary["merged"]) == (4, 1, None)


def test_a_scene_whose_polygons_were_removed_is_run_again(base):
    run_locally(plan(base, "out"))
    (base / "out/a_polygons.gpkg").unlink()
    assert preview_states(plan(base, "out"))["a.tif"] == "pending"
    summary = run_locally(plan(base, "out"))
    assert (summary["run_now"], summary["done"]) == (1, 4)
    assert (base / "out/a_polygons.gpkg").is_file()


def test_a_killed_shard_does_not_keep_the_last_run_from_its_scenes(base):
    for number in (1, 2):
        run_locally(plan(base, "out", shard=Shard(number, 2)))
    manifest = base / "out/manifest-1-of-2.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join(lines[:-1]))  # killed before the last scene was recorded
    summary = run_locally(plan(base, "out"))
    assert (summary["done"], len(summary["failed"])) == (4, 1)


def test_a_shard_that_would_begin_anew_with_other_settings_leaves_its_manifest(base):
    for number in (1, 2):
        run_locally(plan(base, "out", shard=Shard(number, 2)))
    before = (base / "out/manifest-1-of-2.jsonl").read_bytes()
    batch = plan(base, "out", shard=Shard(1, 2), overwrite=True)
    other = replace(batch, settings=replace(batch.settings, model="large"))
    for call in (preview_states, run_locally):
        with pytest.raises(InvalidInputError, match="--overwrite without --shard"):
            call(other)
    assert (base / "out/manifest-1-of-2.jsonl").read_bytes() == before
    assert run_locally(batch)["run_now"] > 0


@pytest.mark.parametrize("merged", ["polygons.parquet", None])
def test_what_an_earlier_run_merged_elsewhere_does_not_grow_old(base, merged):
    pytest.importorskip("pyarrow")
    run_locally(plan(base, "out"))
    assert (base / "out/polygons.gpkg").is_file()
    run_locally(plan(base, "out", merged=merged))
    assert [path.name for path in (base / "out").glob("polygons.*")] == ([] if merged is None else [merged])


@pytest.mark.parametrize(
    "merged", ["../in/a.tif", "a_polygons.gpkg", "", "..", "/etc/passwd", "x" * 5000, "a\0b", 5, [], None, {}]
)
def test_a_summary_that_somebody_changed_has_no_other_file_removed(base, merged):
    run_locally(plan(base, "out"))
    before = sorted(base.rglob("*"))
    path = base / "out/batch.json"
    for changed in ({"path": merged}, merged):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"merged": changed}))
        assert run_locally(plan(base, "out"))["done"] == 4
        assert sorted(base.rglob("*")) == before


def test_results_that_vanish_while_the_batch_is_under_way_are_an_error(base):
    class Vanishing(Watcher):
        def ended(self, outcome):
            (base / "out/a_mask.tif").unlink(missing_ok=True)

    with pytest.raises(InvalidInputError, match=r"a_result\.json.*is run anew"):
        run_locally(plan(base, "out"), Vanishing())
    assert run_locally(plan(base, "out"))["run_now"] == 1


KILLED = """
import sys
from pathlib import Path
from tests.batch.scenes import plan, run_locally
from rs2sam.scenes.run import run_scene
from tests.make_rasters import RedSegmenter
import time
base = Path(sys.argv[1])
batch = plan(base, "out")
class Slow(RedSegmenter):
    def segment_views(self, pairs, batch_size=1):
        time.sleep(0.1)
        return super().segment_views(pairs, batch_size)
run_locally(batch, run=lambda scene, progress: run_scene(batch.settings.request(scene), Slow(), progress))
"""


def test_a_killed_batch_goes_on_and_ends_with_the_same_files(base):
    whole = run_locally(plan(base, "whole"))
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(base)], cwd=REPOSITORY)
    manifest = base / "out/manifest.jsonl"
    while process.poll() is None and not (manifest.is_file() and manifest.read_bytes().count(b'"done"') >= 2):
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it was killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = [json.loads(line)["scene"] for line in manifest.read_text().splitlines() if '"event": "done"' in line]
    watcher = Watcher()
    summary = run_locally(plan(base, "out"), watcher)
    assert not {outcome.scene.key for outcome in watcher.outcomes} & set(finished)
    assert summary["sentences"] == whole["sentences"]
    assert files(base / "out") == files(base / "whole")
    with rasterio.open(base / "out/c_mask.tif") as mask:
        assert mask.shape == SIZES_HW["c"]


def test_an_address_that_is_not_there_is_tried_once(base, tmp_path):
    with RangeServer(tmp_path / "in/a.tif") as server:
        root = server.url.rpartition("/")[0]
        names = (server.url, f"{root}/gone.tif", f"GTIFF_DIR:9:/vsicurl/{server.url}")
        (tmp_path / "scenes.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
        scenes = find_scenes(tmp_path / "scenes.txt", out=tmp_path / "out")
        summary = run_locally(replace(plan(base, "out"), scenes=scenes))
    assert summary["done"] == 1
    assert [failure["attempts"] for failure in summary["failed"]] == [1, 1]


def test_a_name_that_no_file_has_or_no_result_can_have_fails_alone(base):
    for name in ("x" * 245, "x/" * 2000 + "a", "a\0b"):
        (base / "scenes.txt").write_text(f"in/a.tif\n{name}.tif\n", encoding="utf-8")
        scenes = find_scenes(base / "scenes.txt", out=base / "out")
        summary = run_locally(replace(plan(base, f"out{len(name)}"), scenes=scenes))
        assert summary["done"] == 1
        assert [failure["attempts"] for failure in summary["failed"]] == [1]


@pytest.mark.parametrize("change", [{"sentences": ("all \udcff",)}, {"model": "\udcff"}])
def test_what_no_manifest_could_hold_is_refused_before_anything_is_written(base, change):
    batch = plan(base, "out")
    batch = replace(batch, settings=replace(batch.settings, **change))
    for look in (run_locally, preview_states):
        with pytest.raises(InvalidInputError, match="must be UTF-8"):
            look(batch)
    assert not (base / "out").exists()


def test_an_image_whose_name_leaves_no_room_for_results_fails_alone(base):
    shutil.copyfile(base / "in/a.tif", base / f"in/{'x' * 245}.tif")
    summary = run_locally(plan(base, "out"))
    failed = {failure["scene"]: failure["error"] for failure in summary["failed"]}
    assert set(failed) == {"broken.tif", f"{'x' * 245}.tif"}
    assert "Rename the image" in failed[f"{'x' * 245}.tif"]
    assert summary["done"] == 4
