"""Sets of boxes and of label masks, from files made here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rs2sam.datasets.mixing.mixture import evaluation_samples
from rs2sam.datasets.mixing.mosaic import mosaic
from rs2sam.datasets.readers.labelled_sets import boxed_set, masked_set
from rs2sam.datasets.readers.sources import read_sources
from rs2sam.errors import DataNotFoundError, InvalidInputError


def write_image(root: Path, name: str, size_hw: tuple[int, int]) -> None:
    (root / "images").mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size_hw, 3), 90, np.uint8)).save(root / "images" / name)


def write_boxes(root: Path, annotations: list[dict[str, Any]], categories: list[str], exhaustive: list[str]) -> None:
    write_image(root, "a.jpg", (40, 60))
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 60, "height": 40, "group": "g"}],
        "annotations": [{"id": n, "image_id": 1, **one} for n, one in enumerate(annotations)],
        "categories": [{"id": n, "name": name} for n, name in enumerate(categories)],
        "exhaustive": exhaustive,
    }
    (root / "instances.json").write_text(json.dumps(content))


def test_a_box_gives_a_core_and_pixels_of_which_nothing_is_known(tmp_path: Path) -> None:
    box = {"category_id": 0, "bbox": [10, 5, 20, 20], "area": 400, "box_only": True}
    write_boxes(tmp_path, [box], ["airplane"], ["airplane"])
    (image,) = boxed_set(tmp_path, "airbus_aircraft")
    (plane,) = image.instances
    assert plane.category == "airplane"
    assert 0 < plane.area < 400
    assert image.unknown is not None
    assert image.unknown.sum() + plane.area == 400
    assert not (image.unknown & image.category_mask("airplane")).any()
    assert image.exhaustive_categories == {"airplane"}
    assert image.group == "g"


def test_a_box_beyond_the_border_is_cut_there(tmp_path: Path) -> None:
    box = {"category_id": 0, "bbox": [-10, -10, 20, 20], "area": 400, "box_only": True}
    write_boxes(tmp_path, [box], ["storage_tank"], [])
    (image,) = boxed_set(tmp_path, "airbus_oil_tanks")
    assert image.instances[0].box_xyxy[:2] == (0, 0)
    assert image.instances[0].box_xyxy[2] <= 10
    assert image.size_hw == (40, 60)


def test_small_and_large_vehicles_are_vehicles_and_only_large_ones_are_trucks(tmp_path: Path) -> None:
    square = [[2, 2, 8, 2, 8, 8, 2, 8]]
    moved = [[20, 2, 40, 2, 40, 12, 20, 12]]
    write_boxes(
        tmp_path,
        [
            {"category_id": 0, "bbox": [2, 2, 6, 6], "segmentation": square},
            {"category_id": 1, "bbox": [20, 2, 20, 10], "segmentation": moved},
        ],
        ["small_vehicle", "large_vehicle"],
        ["small_vehicle", "large_vehicle"],
    )
    (image,) = boxed_set(tmp_path, "isaid_samples")
    assert len(image.of("vehicle")) == 2
    assert len(image.of("large_vehicle")) == 1
    assert image.category_mask("vehicle").sum() == 6 * 6 + 20 * 10
    assert image.split == "train"
    assert image.unknown is None


def write_masks(root: Path, values: np.ndarray, exhaustive: list[str]) -> None:
    write_image(root, "a.jpg", (20, 30))
    (root / "masks").mkdir()
    Image.fromarray(values).save(root / "masks" / "a.png")
    entry = {"id": 1, "file_name": "a.jpg", "width": 30, "height": 20, "group": "g"}
    (root / "classes.json").write_text(json.dumps({"classes": {}, "exhaustive": exhaustive, "images": [entry]}))


def test_values_become_regions_objects_and_void(tmp_path: Path) -> None:
    values = np.full((20, 30), 2, np.uint8)  # what no category is made of
    values[:5] = 3
    values[8:15, 2:10] = 1
    values[8:15, 15:25] = 1
    values[19] = 255
    write_masks(tmp_path, values, ["building"])
    (image,) = masked_set(tmp_path, "dronedeploy_chips")
    assert len(image.of("building")) == 2
    assert image.category_mask("building").sum() == 7 * 8 + 7 * 10
    assert image.regions["vegetation"].sum() == 5 * 30
    assert "building" not in image.regions
    assert image.unknown is not None
    assert image.unknown.sum() == 30


def test_a_park_is_vegetation_too(tmp_path: Path) -> None:
    values = np.zeros((20, 30), np.uint8)
    values[:4] = 3
    write_masks(tmp_path, values, ["road", "water"])
    (image,) = masked_set(tmp_path, "google_maps_nyc")
    assert image.category_mask("vegetation").sum() == 4 * 30
    assert image.exhaustive_categories == {"road", "water"}


def test_a_mask_of_another_size_and_missing_files_are_told(tmp_path: Path) -> None:
    write_masks(tmp_path, np.zeros((19, 30), np.uint8), [])
    with pytest.raises(InvalidInputError, match="must have its image's size"):
        masked_set(tmp_path, "s2_water_bodies")
    with pytest.raises(DataNotFoundError, match=r"instances\.json` is not there"):
        boxed_set(tmp_path, "dior_fewshot")


def test_a_group_has_one_split(tmp_path: Path) -> None:
    write_masks(tmp_path / "s2_water_bodies", np.zeros((20, 30), np.uint8), ["water"])
    (image,) = read_sources(tmp_path)["s2_water_bodies"]
    assert image.split in ("train", "val", "test")


def test_what_a_box_leaves_open_is_ignored_by_the_fixed_list_and_by_mosaics(tmp_path: Path) -> None:
    boxes = [
        {"category_id": 0, "bbox": [10, 5, 20, 20], "area": 400, "box_only": True},
        {"category_id": 0, "bbox": [35, 5, 20, 20], "area": 400, "box_only": True},
    ]
    write_boxes(tmp_path, boxes, ["airplane"], ["airplane"])
    (image,) = boxed_set(tmp_path, "airbus_aircraft")
    (sample, *_) = evaluation_samples({"airbus_aircraft": [replace(image, split="val")]}, "val")
    np.testing.assert_array_equal(sample.ignored(image.size_hw), image.unknown)
    joined = mosaic([image, replace(image, unknown=None), image, image])
    assert joined.unknown is not None
    np.testing.assert_array_equal(joined.unknown[:40, :60], image.unknown)
    assert not joined.unknown[:40, 60:].any()
