from __future__ import annotations

import io
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from rs2sam.datasets.base import Instance, LabelRegions, Sample, resize_mask
from rs2sam.datasets.images import image_size, load_image, load_pixels
from rs2sam.datasets.readers.components import connected_components
from rs2sam.errors import DataNotFoundError, InvalidImageError, InvalidInputError
from rs2sam.raster import read_scene
from tests.datasets.scenes import rectangle, scene
from tests.make_rasters import write_tiff


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
    (tmp_path / "cut.jpg").write_bytes(buffer.getvalue()[:-300])
    with pytest.raises(InvalidImageError, match=r"cut\.jpg` cannot be read as an image: .*Replace it"):
        load_pixels(tmp_path / "cut.jpg")
    (tmp_path / "text.png").write_bytes(b"no picture")
    for read in (load_pixels, image_size):
        with pytest.raises(InvalidImageError, match=r"text\.png. cannot be opened as an image"):
            read(tmp_path / "text.png")


def test_size_comes_from_the_header_and_is_as_the_pixels_are(tmp_path):
    rgb = np.zeros((5, 7, 3), dtype=np.uint8)
    sideways = Image.Exif()
    sideways[0x0112] = 6  # orientation: a viewer would show it 5 wide and 7 high
    Image.fromarray(rgb).save(tmp_path / "turned.jpg", exif=sideways)
    for image in (tmp_path / "turned.jpg", rgb, lambda: rgb):
        assert image_size(image) == (5, 7)
    assert load_pixels(tmp_path / "turned.jpg").shape == (5, 7, 3)


def test_images_are_read_as_scenes_are_and_as_they_are_stored(tmp_path, caplog):
    values = np.random.default_rng(0).uniform(0, 1.3, (8, 9, 4)).astype(np.float32)
    values[2, 3, :3] = np.nan
    values[:4, :, 3] = 0
    path = write_tiff(tmp_path / "a.tif", values, photometric="RGB", alpha="YES")
    for _ in range(3):
        image = load_image(path)
    scene = read_scene(path)
    np.testing.assert_array_equal(image.rgb, scene.rgb)
    np.testing.assert_array_equal(image.valid, scene.valid)
    assert image.warnings == scene.warnings
    assert sum("data check" in record.getMessage() for record in caplog.records) <= 1


def test_transparent_pixels_of_a_data_set_are_black_and_invalid(tmp_path):
    rgba = np.full((4, 5, 4), 200, np.uint8)
    rgba[1, 2, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "a.png")
    image = load_image(tmp_path / "a.png")
    assert np.argwhere(~image.valid).tolist() == [[1, 2]]
    assert image.rgb[1, 2].tolist() == [0, 0, 0]
    assert load_image(rgba[..., :3]).valid is None


def test_a_block_that_cannot_be_read_is_a_hole_in_an_image(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    path = write_tiff(tmp_path / "a.tif", noise, compress="deflate")
    path.write_bytes(path.read_bytes()[:-20_000])
    image = load_image(path)
    np.testing.assert_array_equal(image.rgb[:100], noise[:100])
    assert image.valid is not None
    assert image.valid[:100].all()
    assert not image.valid[-1].any()
    assert "cannot be read and have no data" in image.warnings[-1]


def test_pipes_are_no_images(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InvalidImageError, match="is a pipe"):
        load_pixels(tmp_path / "a.png")


def test_pixels_of_16_bits_are_stretched_instead_of_cut_off(tmp_path):
    deep = np.linspace(1000, 3000, 64, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    pixels = load_pixels(tmp_path / "deep.png")
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert pixels.shape == (8, 8, 3)


def test_mask_is_read_when_asked_for_and_once_when_loaded():
    reads = []

    def read() -> np.ndarray:
        reads.append(1)
        return np.ones((4, 6), dtype=bool)

    sample = Sample(np.zeros((4, 6, 3), dtype=np.uint8), "the ship", read, "0", category_mask=read)
    assert not sample.is_absent
    assert not reads
    loaded = sample.loaded()
    assert len(reads) == 2
    assert loaded.target((4, 6)).all()
    assert loaded.annotation().all()
    assert loaded.category_target().shape == (4, 6)
    assert len(reads) == 2
    assert sample.target((4, 6)).all()
    assert len(reads) == 3


def test_mask_of_nearly_the_images_size_is_brought_to_it_by_the_nearest_pixel():
    mask = np.zeros((100, 100), dtype=bool)
    mask[50:, :] = True
    sample = Sample(np.zeros((102, 100, 3), dtype=np.uint8), "below", mask, "0", category_mask=mask)
    target = sample.target((102, 100))
    assert target.shape == (102, 100)
    assert not target[:51].any()
    assert target[51:].all()
    np.testing.assert_array_equal(sample.category_target((102, 100)), target)
    assert sample.annotation().shape == sample.category_target().shape == (100, 100)


def test_resized_target_is_one_nearest_step_from_the_annotation():
    mask = np.random.default_rng(0).random((80, 80)) < 0.5
    sample = Sample(np.zeros((81, 80, 3), dtype=np.uint8), "noise", mask, "0")
    np.testing.assert_array_equal(sample.target((81, 80), (32, 32)), resize_mask(mask, (32, 32)))
    # Pixel k of 4 looks at the source at (k + 0.5) * 8 / 4: columns 1, 3, 5, 7.
    line = np.array([[0, 1, 0, 0, 0, 1, 0, 1]], dtype=bool)
    np.testing.assert_array_equal(resize_mask(line, (1, 4)), [[True, False, True, True]])
    assert sample.target((81, 80), (16, 24)).shape == (16, 24)
    assert Sample(sample.image, "nothing", None, "0").target((81, 80), (16, 24)).shape == (16, 24)


def test_mask_of_another_image_is_refused():
    sample = Sample(np.zeros((9, 9, 3), dtype=np.uint8), "the ship", np.ones((8, 9), dtype=bool), "s-7")
    with pytest.raises(InvalidInputError, match=r"received \(9, 9\) and \(8, 9\) in sample `s-7`"):
        sample.target((9, 9))


def test_errors_of_reading_name_the_sample_and_its_split(tmp_path):
    def read() -> np.ndarray:
        raise InvalidInputError("the mask is damaged.")

    sample = Sample(tmp_path / "gone.png", "the ship", read, "s-7", split="val")
    for access in (sample.pixels, sample.image_size):
        with pytest.raises(DataNotFoundError, match=r"gone\.png`.* \(Met in sample `s-7` of split `val`\.\)"):
            access()
    with pytest.raises(InvalidInputError, match=r"the mask is damaged\. \(Met in sample `s-7` of split `val`\.\)"):
        sample.target((4, 4))


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


def test_published_sentence_is_the_raw_one_where_it_differs():
    sample = Sample(np.zeros((4, 6, 3), dtype=np.uint8), "the ship", None, "0")
    assert sample.published_sentence == "the ship"
    assert replace(sample, raw_sentence="the ship\n").published_sentence == "the ship\n"


def test_images_larger_than_pil_admits_are_named(tmp_path, monkeypatch):
    Image.new("RGB", (20, 20)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for read in (load_pixels, image_size):
        with pytest.raises(InvalidImageError, match=r"huge\.png` cannot be read as an image: .*exceeds limit"):
            read(tmp_path / "huge.png")
