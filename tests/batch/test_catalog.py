from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.batch.scenes import plan, run_locally, write_scenes
from tests.make_rasters import write_tiff

pystac = pytest.importorskip("pystac")

# What checks schemas without a network.
pytestmark = pytest.mark.filterwarnings("ignore:.*LocalValidator:DeprecationWarning")


def items(path):
    return {item.id: item for item in pystac.Catalog.from_file(str(path)).get_items(recursive=True)}


def check_schema(item):
    from pystac.validation.local_validator import LocalValidator

    errors = list(LocalValidator().item_validator().iter_errors(item.to_dict()))
    assert errors == []


def test_every_finished_scene_is_an_item_whose_addresses_outlive_a_move(tmp_path):
    write_scenes(tmp_path / "in", broken=True)
    summary = run_locally(plan(tmp_path, "out", catalog=True))
    assert summary["catalog"] == "catalog/catalog.json"
    shutil.move(tmp_path / "out", tmp_path / "moved")
    found = items(tmp_path / "moved/catalog/catalog.json")
    assert sorted(found) == ["a", "c", "sub_b", "sub_d"]
    for item in found.values():
        check_schema(item)
        for asset in item.assets.values():
            assert Path(asset.get_absolute_href()).is_file()
    item = found["sub_b"]
    assert item.properties["label:classes"] == [{"name": "sentence", "classes": ["red things"]}]
    assert item.properties["label:type"] == "vector"
    counts = item.properties["label:overviews"][0]["counts"]
    assert counts[0]["name"] == "red things"
    assert counts[0]["count"] > 0
    # 200 x 0.6 m and 150 x 0.6 m at 39.8 degrees north
    west, south, east, north = item.bbox
    assert east - west == pytest.approx(120 / 85_600, rel=0.05)
    assert north - south == pytest.approx(90 / 111_000, rel=0.05)


def test_a_scene_without_a_place_is_an_item_without_geometry(tmp_path):
    (tmp_path / "in").mkdir()
    write_tiff(tmp_path / "in/a.tif", crs=None)
    run_locally(plan(tmp_path, "out", catalog=True))
    item = items(tmp_path / "out/catalog/catalog.json")["a"]
    assert item.geometry is None
    check_schema(item)


def test_a_catalog_is_replaced_as_a_whole(tmp_path):
    write_scenes(tmp_path / "in")
    run_locally(plan(tmp_path, "out", catalog=True))
    (tmp_path / "in/a.tif").unlink()
    run_locally(plan(tmp_path, "out", catalog=True))
    assert "a" not in items(tmp_path / "out/catalog/catalog.json")
    assert not (tmp_path / "out/catalog/a").exists()
