from __future__ import annotations

import json
import sys
from contextlib import suppress
from datetime import datetime, timezone

import pytest

from rs2sam.batch.inputs import find_scenes
from rs2sam.errors import InvalidInputError, MissingDependencyError

pystac = pytest.importorskip("pystac")

TIFF = "image/tiff; application=geotiff"
NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


def make_item(name, **assets):
    item = pystac.Item(name, None, None, NOON, {})
    for key, (href, roles) in assets.items():
        item.add_asset(key, pystac.Asset(href, media_type=TIFF, roles=roles))
    return item


def scenes(path, tmp_path, asset=None):
    return find_scenes(str(path), asset=asset, out=tmp_path / "out")


@pytest.fixture
def collection(tmp_path):
    """An ItemCollection with relative, absolute and remote addresses."""
    path = tmp_path / "stac/items.json"
    path.parent.mkdir()
    made = [
        make_item("one", visual=("../data/rgb.tif", ["visual"]), red=("../data/B04.tif", ["data"])),
        make_item("two", visual=("https://data.example/two/rgb.tif?sig=1", ["visual"]), nir=("/x/B08.tif", ["data"])),
    ]
    path.write_text(json.dumps(pystac.ItemCollection(made).to_dict()))
    return path


def test_items_of_a_collection_become_scenes_in_folders_of_their_own(collection, tmp_path):
    found = scenes(collection, tmp_path)
    assert [(scene.key, scene.source) for scene in found] == [
        ("one/rgb.tif", str(tmp_path / "data/rgb.tif")),
        ("two/rgb.tif", "https://data.example/two/rgb.tif?sig=1"),
    ]
    assert found[0].origin.item_id == "one"
    assert found[0].origin.datetime == "2024-05-01T12:00:00+00:00"


def test_an_asset_is_chosen_by_key_or_by_role(collection, tmp_path):
    assert [scene.source for scene in scenes(collection, tmp_path, "data")] == [
        str(tmp_path / "data/B04.tif"),
        "/x/B08.tif",
    ]
    by_key = scenes(collection, tmp_path, "nir")
    assert [scene.problem is None for scene in by_key] == [False, True]
    assert "visual [visual], red [data]" in by_key[0].problem


def test_a_role_that_several_images_have_is_a_problem_of_the_item(tmp_path):
    path = tmp_path / "item.json"
    item = make_item("i", red=("r.tif", ["data"]), green=("g.tif", ["data"]))
    item.save_object(dest_href=str(path), include_self_link=False)
    with pytest.raises(InvalidInputError, match=r"it has 2\. Choose with --asset"):
        scenes(path, tmp_path)
    with pytest.raises(InvalidInputError, match=r"several images have the role 'data' \(red, green\)"):
        scenes(path, tmp_path, "data")
    assert scenes(path, tmp_path, "green")[0].source == str(tmp_path / "g.tif")


def test_thumbnails_are_not_taken_for_the_image(tmp_path):
    path = tmp_path / "item.json"
    make_item("i", image=("i.tif", None), thumbnail=("t.png", ["thumbnail"])).save_object(
        dest_href=str(path), include_self_link=False
    )
    assert scenes(path, tmp_path)[0].key == "i/i.tif"


def test_a_static_catalog_is_followed_through_its_children(tmp_path):
    catalog, child = pystac.Catalog("root", "r"), pystac.Catalog("child", "c")
    catalog.add_child(child)
    child.add_item(make_item("a", image=("/data/a.tif", None)))
    catalog.add_item(make_item("b", image=("/data/b.tif", None)))
    catalog.normalize_and_save(str(tmp_path / "cat"), pystac.CatalogType.SELF_CONTAINED)
    assert [scene.key for scene in scenes(tmp_path / "cat/catalog.json", tmp_path)] == ["a/a.tif", "b/b.tif"]


@pytest.mark.parametrize("content", ["{}", "[1]", "no json", '{"type": "Feature"}', '{"type": "x"}'])
def test_what_is_no_stac_is_an_error(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InvalidInputError, match="must be a STAC"):
        scenes(tmp_path / "x.json", tmp_path)


def test_a_catalog_with_a_missing_item_is_an_error(tmp_path):
    catalog = pystac.Catalog("root", "r")
    catalog.add_item(make_item("a", image=("/data/a.tif", None)))
    catalog.normalize_and_save(str(tmp_path / "cat"), pystac.CatalogType.SELF_CONTAINED)
    (tmp_path / "cat/a/a.json").unlink()
    with pytest.raises(InvalidInputError, match="all it links to"):
        scenes(tmp_path / "cat/catalog.json", tmp_path)


def test_without_pystac_the_message_has_the_command(collection, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pystac", None)
    with pytest.raises(MissingDependencyError, match=r"rs2sam\[stac\]"):
        scenes(collection, tmp_path)


@pytest.mark.parametrize("change", [{"id": "\ud800"}, {"properties": {"datetime": 10**400}}, {"bbox": [10**400] * 4}])
def test_an_item_with_odd_values_is_an_error_or_a_scene(tmp_path, change):
    item = make_item("one", visual=("rgb.tif", ["visual"])).to_dict() | change
    path = tmp_path / "item.json"
    path.write_text(json.dumps(item))
    with suppress(InvalidInputError):
        scenes(path, tmp_path)


def test_a_link_to_what_is_nested_too_deeply_is_an_error(tmp_path):
    catalog = pystac.Catalog("all", "scenes")
    catalog.add_link(pystac.Link("item", "./deep.json"))
    (tmp_path / "deep.json").write_text("[" * 100_000)
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps(catalog.to_dict()))
    with pytest.raises(InvalidInputError, match="must be a STAC"):
        scenes(path, tmp_path)
