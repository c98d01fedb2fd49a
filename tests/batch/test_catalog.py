from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from rasterio.crs import CRS

from rs2sam.batch.catalog import footprint
from rs2sam.batch.scene_input import SceneInput, StacOrigin
from rs2sam.errors import InvalidInputError
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


@pytest.mark.parametrize("name", ["a?b", "c#d", "e;f"])
def test_names_that_end_an_address_are_items_too(tmp_path, name):
    (tmp_path / "in").mkdir()
    write_tiff(tmp_path / f"in/{name}.tif")
    run_locally(plan(tmp_path, "out", catalog=True))
    ((item_id, item),) = items(tmp_path / "out/catalog/catalog.json").items()
    assert item_id == f"{name[0]}_{name[2]}"
    assert (tmp_path / f"out/{name}_mask.tif").is_file()
    href = json.loads((tmp_path / f"out/catalog/{item_id}/{item_id}.json").read_text())["assets"]["mask"]["href"]
    assert not set(href) & set("?#;")
    assert (tmp_path / "out/catalog" / item_id / unquote(href)).is_file()
    assert item.properties["rs2sam:source"].endswith(f"{name}.tif")


@pytest.mark.parametrize("name", ["run #1", "what?", "e;f"])
def test_a_folder_whose_name_ends_an_address_gets_a_catalog_that_is_whole(tmp_path, name, caplog):
    write_scenes(tmp_path / "in")
    summary = run_locally(plan(tmp_path, name, catalog=True))
    assert summary["catalog"] == "catalog/catalog.json"
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("in", name)] == []
    assert ("move or rename" in caplog.text) == (";" not in name)
    shutil.move(tmp_path / name, tmp_path / "moved")
    found = items(tmp_path / "moved/catalog/catalog.json")
    assert sorted(found) == ["a", "c", "sub_b", "sub_d"]
    assert all(Path(asset.get_absolute_href()).is_file() for item in found.values() for asset in item.assets.values())


def test_a_run_without_catalog_removes_an_earlier_one_and_nothing_else(tmp_path):
    write_scenes(tmp_path / "in")
    run_locally(plan(tmp_path, "out", catalog=True))
    (tmp_path / "out/catalog/mine.txt").touch()
    assert run_locally(plan(tmp_path, "out"))["catalog"] is None
    assert [path.name for path in (tmp_path / "out/catalog").iterdir()] == ["mine.txt"]
    (tmp_path / "out/catalog/mine.txt").unlink()
    run_locally(plan(tmp_path, "out", catalog=True))
    run_locally(plan(tmp_path, "out"))
    assert not (tmp_path / "out/catalog").exists()


@pytest.mark.parametrize("links", [{}, {"links": [{"rel": "item"}, {"rel": "item", "href": "./a/"}, 3]}])
def test_an_earlier_catalog_that_somebody_changed_costs_the_run_nothing(tmp_path, links):
    write_scenes(tmp_path / "in")
    place = tmp_path / "out/catalog"
    (place / "a").mkdir(parents=True)
    (place / "catalog.json").write_text(json.dumps({"id": "rs2sam-results", **links}))
    assert run_locally(plan(tmp_path, "out"))["catalog"] is None
    assert not (place / "catalog.json").exists()


def test_a_run_without_catalog_leaves_a_foreign_one(tmp_path):
    write_scenes(tmp_path / "in")
    foreign = tmp_path / "out/catalog/catalog.json"
    foreign.parent.mkdir(parents=True)
    foreign.write_text('{"id": "mine"}')
    run_locally(plan(tmp_path, "out"))
    assert foreign.read_text() == '{"id": "mine"}'


def test_ids_of_stac_items_are_clean_as_well(tmp_path):
    write_scenes(tmp_path / "in")
    batch = plan(tmp_path, "out", catalog=True)
    origin = StacOrigin("S2/a?b#c", None, None, None)
    run_locally(replace(batch, scenes=[replace(batch.scenes[0], origin=origin)]))
    assert list(items(tmp_path / "out/catalog/catalog.json")) == ["S2_a_b_c"]


@pytest.mark.parametrize("key", ["catalog/x.tif", "Catalog/sub/x.tif"])
def test_results_in_the_folder_of_the_catalog_are_refused_before_anything_is_run(tmp_path, key):
    write_scenes(tmp_path / "in")
    batch = plan(tmp_path, "out")
    scenes = [*batch.scenes, SceneInput(key, str(tmp_path / "in/a.tif"))]
    with pytest.raises(InvalidInputError, match="--no-catalog"):
        replace(batch, scenes=scenes, catalog=True)
    assert replace(batch, scenes=scenes).own_scenes == scenes


def test_a_folder_that_is_no_catalog_is_not_replaced(tmp_path):
    write_scenes(tmp_path / "in")
    foreign = tmp_path / "out/catalog/catalog.json"
    foreign.parent.mkdir(parents=True)
    foreign.write_text('{"id": "mine"}')
    with pytest.raises(InvalidInputError, match="Move it"):
        run_locally(plan(tmp_path, "out", catalog=True))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["catalog"]
    foreign.unlink()
    assert run_locally(plan(tmp_path, "out", catalog=True))["catalog"] == "catalog/catalog.json"


def test_a_scene_that_lies_nowhere_on_earth_has_no_footprint():
    site = 'LOCAL_CS["site grid",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
    source = {"num_gcps": 0, "transform": [1, 0, 0, 0, -1, 0], "height": 9, "width": 9, "crs_wkt": site}
    assert footprint(source) is None
    wkt = CRS.from_epsg(26910).to_wkt()
    assert footprint(source | {"crs_wkt": wkt[:-40]}) is None
    assert footprint(source | {"crs_wkt": wkt, "transform": [1e12, 0, 1e12, 0, -1e12, 0]}) is None
    assert footprint(source | {"crs_wkt": wkt, "transform": [1, 0, 5e5, 0, -1, 4.4e6]})["type"] == "Polygon"
