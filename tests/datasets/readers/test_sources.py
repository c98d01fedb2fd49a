from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from rs2sam.datasets.readers.sources import (
    READERS,
    dubai_landcover,
    nwpu_vhr10,
    openaerialmap_buildings,
    read_sources,
    roads,
    split_of,
    swimming_pools,
)
from rs2sam.errors import DataNotFoundError, InvalidInputError


def write_pair(root, stem, mask):
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "masks").mkdir(exist_ok=True)
    Image.new("RGB", mask.shape[1::-1]).save(root / "images" / f"{stem}.jpg")
    Image.fromarray(mask).save(root / "masks" / f"{stem}.png")


def write_coco(root, file_name, objects, size=64):
    (root / "images").mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size)).save(root / "images" / file_name)
    names = sorted({name for name, _ in objects})
    content = {
        "images": [{"id": 7, "file_name": file_name, "height": size, "width": size}],
        "categories": [{"id": k, "name": name} for k, name in enumerate(names)],
        "annotations": [
            {"id": k, "image_id": 7, "category_id": names.index(name), "segmentation": [polygon]}
            for k, (name, polygon) in enumerate(objects)
        ],
    }
    (root / "instances.json").write_text(json.dumps(content))


def test_polygons_become_instances_with_the_stated_pixels(tmp_path):
    write_coco(
        tmp_path, "001.jpg", [("airplane", [10, 20, 19, 20, 19, 29, 10, 29]), ("airplane", [70, 70, 80, 70, 80, 80])]
    )
    (annotated,) = nwpu_vhr10(tmp_path)
    (instance,) = annotated.instances
    assert instance.box_xyxy == (10, 20, 20, 30)
    assert annotated.pixels().shape == (64, 64, 3)
    assert {"airplane", "ship", "tennis_court"} <= annotated.exhaustive_categories
    assert "vehicle" not in annotated.exhaustive_categories


def test_vehicles_are_exhaustive_only_where_nothing_else_is_annotated(tmp_path):
    square = [10, 20, 19, 20, 19, 29, 10, 29]
    write_coco(tmp_path / "street", "001.jpg", [("vehicle", square)])
    write_coco(tmp_path / "sports", "001.jpg", [("vehicle", square), ("tennis_court", [30, 30, 50, 30, 50, 50])])
    assert "vehicle" in nwpu_vhr10(tmp_path / "street")[0].exhaustive_categories
    assert "vehicle" not in nwpu_vhr10(tmp_path / "sports")[0].exhaustive_categories


def test_map_tiles_know_their_resolution(tmp_path):
    write_coco(tmp_path, "OAM-1238424-1046544-21.jpg", [("building", [0, 0, 9, 0, 9, 9])])
    (annotated,) = openaerialmap_buildings(tmp_path)
    assert annotated.gsd_m == pytest.approx(0.0746, abs=1e-3)


def test_land_cover_takes_the_nearest_palette_colour(tmp_path):
    mask = np.zeros((8, 8, 3), dtype=np.uint8)
    mask[:4] = (0x3C, 0x10, 0x98)
    mask[4:] = (0xE2 - 6, 0xA9 + 5, 0x29 + 4)
    write_pair(tmp_path, "tile4_image_part_001", mask)
    (annotated,) = dubai_landcover(tmp_path)
    assert annotated.regions["building"][:4].all()
    assert annotated.regions["water"][4:].all()
    assert annotated.regions["water"].sum() == 32
    assert annotated.split == "test"
    assert "road" in annotated.exhaustive_categories


def test_unlabelled_land_cover_may_hide_anything(tmp_path):
    mask = np.full((8, 8, 3), 0x9B, dtype=np.uint8)
    write_pair(tmp_path, "tile2_image_part_001", mask)
    assert "road" not in dubai_landcover(tmp_path)[0].exhaustive_categories


def test_fragments_of_a_pool_are_one_and_specks_are_none(tmp_path):
    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[10:20, 10:20] = 255
    mask[10:20, 22:26] = 255
    mask[50:52, 50:52] = 255
    write_pair(tmp_path, "CANNES_TILES_512x512-10", mask)
    (annotated,) = swimming_pools(tmp_path)
    assert [i.area for i in annotated.instances] == [140]


def test_roads_are_a_region(tmp_path):
    mask = np.zeros((16, 16), dtype=np.uint8)
    mask[4:6] = 255
    write_pair(tmp_path, "satImage_001", mask)
    (annotated,) = roads(tmp_path)
    assert annotated.category_mask("road").sum() == 32


def test_missing_files_are_named_with_a_remedy(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"no `instances.json`. Point `root`"):
        nwpu_vhr10(tmp_path)
    with pytest.raises(DataNotFoundError, match=r"`images/` holds no .jpg"):
        roads(tmp_path)
    write_pair(tmp_path, "satImage_001", np.zeros((4, 4), dtype=np.uint8))
    (tmp_path / "masks" / "satImage_001.png").unlink()
    with pytest.raises(DataNotFoundError, match=r"`masks/satImage_001.png` is missing"):
        roads(tmp_path)
    with pytest.raises(DataNotFoundError, match="holds none of nwpu_vhr10"):
        read_sources(tmp_path)


@pytest.mark.parametrize(
    ("read", "name", "form"),
    [
        (roads, "CANNES_TILES_512x512-10", "satImage_{}"),
        (swimming_pools, "satImage_001", "CANNES_TILES_512x512-{}"),
    ],
)
def test_imagery_of_another_source_is_told_by_its_names(tmp_path, read, name, form):
    write_pair(tmp_path, name, np.zeros((8, 8), dtype=np.uint8))
    with pytest.raises(InvalidInputError, match=rf"named `{re.escape(form)}`, received `{name}.jpg`.*another source"):
        read(tmp_path)


def test_imagery_of_another_source_is_told_by_its_classes(tmp_path):
    write_coco(tmp_path, "001.jpg", [("ship", [0, 0, 9, 0, 9, 9])])
    with pytest.raises(InvalidInputError, match="its class `ship` is none of building"):
        openaerialmap_buildings(tmp_path)
    write_coco(tmp_path, "001.jpg", [("building", [0, 0, 9, 0, 9, 9])])
    with pytest.raises(InvalidInputError, match=r"named `OAM-{}-{}-{}`, received `001\.jpg`"):
        openaerialmap_buildings(tmp_path)
    with pytest.raises(InvalidInputError, match="its class `building` is none of airplane"):
        nwpu_vhr10(tmp_path)


def test_damaged_annotations_are_named(tmp_path):
    write_pair(tmp_path, "satImage_001", np.zeros((8, 8), dtype=np.uint8))
    (tmp_path / "masks/satImage_001.png").write_bytes(b"cut")
    with pytest.raises(InvalidInputError, match=r"satImage_001\.png"):
        roads(tmp_path)
    write_coco(tmp_path, "001.jpg", [("ship", [0, 0, 9, 0, 9, 9])])
    (tmp_path / "instances.json").write_text("{")
    with pytest.raises(InvalidInputError, match=r"instances\.json` cannot be read as JSON"):
        nwpu_vhr10(tmp_path)


def test_splits_are_fixed_and_of_the_stated_shares():
    splits = [split_of("any", str(k)) for k in range(3000)]
    assert splits == [split_of("any", str(k)) for k in range(3000)]
    assert splits.count("test") / 3000 == pytest.approx(0.15, abs=0.02)
    assert splits.count("val") / 3000 == pytest.approx(0.07, abs=0.02)


def test_real_sources_are_whole_and_no_group_is_in_two_splits(data_dir):
    sources = read_sources(data_dir)
    assert {name: len(images) for name, images in sources.items()} == {
        "nwpu_vhr10": 454,
        "dubai_landcover": 54,
        "swimming_pools": 675,
        "openaerialmap_buildings": 103,
        "roads": 80,
        "airbus_aircraft": 55,
        "airbus_oil_tanks": 49,
        "cats_drone_vehicles": 116,
        "dior_fewshot": 77,
        "neon_tree_boxes": 55,
        "dota_tiles": 9,
        "isaid_samples": 5,
        "barnarp_buildings": 69,
        "dronedeploy_chips": 190,
        "eth_cil_roads": 93,
        "google_maps_nyc": 95,
        "india_landcover": 24,
        "massachusetts_roads": 19,
        "s2_water_bodies": 85,
    }
    assert set(sources) == set(READERS)
    for name, images in sources.items():
        splits: dict[str, set[str]] = {}
        for annotated in images:
            splits.setdefault(annotated.group, set()).add(annotated.split)
        assert all(len(s) == 1 for s in splits.values())
        too_few_to_measure = name in ("dota_tiles", "isaid_samples")
        assert {"train"} | (set() if too_few_to_measure else {"test"}) <= {a.split for a in images}
    assert sum(len(a.instances) for a in sources["nwpu_vhr10"]) == 2660
