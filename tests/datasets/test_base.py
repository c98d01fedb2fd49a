from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from rs2sam.datasets.base import Instance, LabelRegions, Sample, load_pixels
from rs2sam.datasets.components import connected_components
from rs2sam.errors import DataNotFoundError, InvalidImageError, InvalidInputError
from tests.datasets.scenes import rectangle, scene


def test_instance_keeps_only_its_rectangle():
    instance = rectangle("ship", x=10, y=20, w=3, h=5)
    assert instance.mask.shape == (5, 3)
    assert instance.box_xyxy == (10, 20, 13, 25)
    assert instance.center_xy == (11.5, 22.5)
    assert instance.area == 15


def test_instance_of_an_empty_mask_says_what_to_do():
    with pytest.raises(InvalidInputError, match=r"at least one pixel; `ship` has an empty mask. Drop it"):
        Instance.from_mask("ship", np.zeros((4, 4), dtype=bool))


def test_category_mask_joins_instances_and_region():
    region = np.zeros((100, 100), dtype=bool)
    region[0] = True
    annotated = scene([rectangle("tree", 5, 50, 2, 2), rectangle("ship", 0, 90, 5, 5)], {"tree": region})
    assert annotated.category_mask("tree").sum() == 104
    assert annotated.category_mask("bridge").sum() == 0


def test_label_regions_hold_one_mask_for_each_name():
    regions = LabelRegions(np.array([[0, 1], [2, 2]], dtype=np.uint8), ("land", "road"))
    assert dict(regions).keys() == {"land", "road"}
    np.testing.assert_array_equal(regions["road"], [[False, False], [True, True]])
    with pytest.raises(KeyError):
        regions["water"]


def test_pixels_come_from_a_file_an_array_or_a_function(tmp_path):
    array = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    Image.fromarray(array).save(tmp_path / "image.png")
    for image in (tmp_path / "image.png", array, lambda: array):
        np.testing.assert_array_equal(load_pixels(image), array)
    Image.fromarray(array[..., 0]).save(tmp_path / "grey.png")
    assert load_pixels(tmp_path / "grey.png").shape == (3, 3, 3)


def test_missing_and_damaged_images_are_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"no image `.*gone\.png`"):
        load_pixels(tmp_path / "gone.png")
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)).save(buffer, "JPEG")
    for name, content in (("cut.jpg", buffer.getvalue()[:-300]), ("text.png", b"no picture")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidImageError, match=rf"{name}` cannot be read as an image: .*Replace it"):
            load_pixels(tmp_path / name)


def test_sample_without_mask_has_an_empty_target():
    sample = Sample(np.zeros((4, 6, 3), dtype=np.uint8), "the ship", None, "0")
    assert sample.target((4, 6)).shape == (4, 6)
    assert not sample.target((4, 6)).any()


def test_components_are_joined_by_corners_and_over_gaps():
    mask = np.array(
        [
            [1, 0, 0, 0, 0, 1],
            [0, 1, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 0],
            [1, 0, 1, 0, 0, 0],
            [1, 1, 1, 0, 0, 0],
        ],
        dtype=bool,
    )
    parts = connected_components(mask)
    assert [int(p.sum()) for p in parts] == [2, 2, 5]
    assert [int(p.sum()) for p in connected_components(mask, min_area_px=3)] == [5]
    assert [int(p.sum()) for p in connected_components(mask, gap_px=1)] == [7, 2]


def test_components_add_up_to_the_mask():
    mask = np.random.default_rng(0).random((40, 50)) < 0.3
    parts = connected_components(mask)
    np.testing.assert_array_equal(np.sum(parts, axis=0), mask)
