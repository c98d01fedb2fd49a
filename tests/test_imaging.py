from __future__ import annotations

import numpy as np
import pytest
import rasterio
from PIL import Image

from rs2sam.errors import DataNotFoundError, InvalidImageError
from rs2sam.imaging import read_image, read_image_and_validity
from rs2sam.raster.arrays import show_array
from rs2sam.raster.stretch import Stretch
from tests.make_rasters import write_tiff

RED, GREEN = (255, 0, 0), (0, 255, 0)


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def test_rgb_arrays_pictures_and_files_are_read_as_they_are(rgb, tmp_path):
    Image.fromarray(rgb).save(tmp_path / "a.png")
    for source in (rgb, Image.fromarray(rgb), tmp_path / "a.png", str(tmp_path / "a.png")):
        result = read_image(source)
        np.testing.assert_array_equal(result, rgb)
        assert result.flags.c_contiguous


def test_arrays_are_copied(rgb):
    read_image(rgb)[:] = 0
    assert rgb.any()


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "LAB", "HSV"])
def test_every_colour_model_becomes_rgb(rgb, mode):
    picture = Image.fromarray(rgb).convert("L" if mode == "LAB" else mode)
    result = read_image(picture)
    assert result.shape == (6, 8, 3)
    np.testing.assert_array_equal(result, np.asarray(picture.convert("RGB")))


def test_grey_is_repeated():
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for source in (grey, grey[..., None], Image.fromarray(grey)):
        np.testing.assert_array_equal(read_image(source), np.repeat(grey[..., None], 3, axis=2))


def test_cmyk_jpeg_keeps_its_colours(tmp_path):
    Image.new("RGB", (16, 16), RED).convert("CMYK").save(tmp_path / "a.jpg")
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - RED).max() < 8


def test_transparent_pixels_are_black_and_invalid_others_keep_their_colour():
    rgba = np.array([[(*RED, 0), (*RED, 128), (*GREEN, 255)]], np.uint8)
    for source in (rgba, Image.fromarray(rgba)):
        pixels, valid = read_image_and_validity(source)
        assert pixels.tolist() == [[[0, 0, 0], list(RED), list(GREEN)]]
        assert valid.tolist() == [[False, True, True]]


def test_grey_with_alpha_is_understood():
    pixels, valid = read_image_and_validity(np.array([[(9, 0), (9, 255)]], np.uint8))
    assert pixels[..., 0].tolist() == [[0, 9]]
    assert valid.tolist() == [[False, True]]
    picture = Image.fromarray(np.array([[(9, 0), (9, 255)]], np.uint8))
    np.testing.assert_array_equal(read_image(picture), pixels)


def test_a_transparent_palette_entry_is_invalid(tmp_path):
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, *GREEN])
    picture.putdata([0, 1])
    picture.save(tmp_path / "a.png", transparency=0)
    pixels, valid = read_image_and_validity(tmp_path / "a.png")
    assert pixels.tolist() == [[[0, 0, 0], list(GREEN)]]
    assert valid.tolist() == [[False, True]]


def test_exif_orientation_is_applied(tmp_path):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    result = read_image(tmp_path / "a.jpg")
    assert result.shape == (32, 16, 3)
    assert result[2, 8].min() > 240
    assert result[-3, 8].max() < 15


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_what_is_not_8_bit_is_stretched_by_the_percentiles_of_each_band_whatever_its_range(tmp_path, dtype):
    ramp = np.linspace(0, 200, 101).astype(dtype)[None]
    result = read_image(ramp)[0, :, 0]
    assert result[:3].tolist() == [0, 0, 0]
    assert result[50] in (127, 128)
    assert result[-3:].tolist() == [255, 255, 255]
    colours = read_image(np.stack([ramp, ramp, ramp // 2], axis=-1))
    assert abs(int(colours[0, 80, 2]) - int(colours[0, 80, 0])) <= 2  # each band has its own
    Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), read_image(ramp.astype(np.uint16)))


def test_reflectance_above_1_is_scaled_as_below():
    """One cloud must not turn the whole scene black."""
    low = np.random.default_rng(0).uniform(0.02, 0.3, (40, 50, 3))
    high = low.copy()
    high[0, 0] = 1.01
    assert np.abs(read_image(low).astype(int) - read_image(high))[1:].max() <= 1


def test_arrays_are_read_as_files_of_the_same_values_are(tmp_path):
    values = np.random.default_rng(1).uniform(0, 1.2, (30, 40, 3)).astype(np.float32)
    values[3, 4] = np.nan
    write_tiff(tmp_path / "a.tif", values)
    for mine, files in zip(read_image_and_validity(values), read_image_and_validity(tmp_path / "a.tif"), strict=True):
        np.testing.assert_array_equal(mine, files)
    assert not read_image_and_validity(values)[1][3, 4]


def test_what_is_masked_has_no_data():
    values = np.full((4, 5, 3), 200, np.uint8)
    mask = np.zeros(values.shape, bool)
    mask[1, 2] = True
    mask[2, 3, 0] = True  # valid while one of its bands is, as in files
    pixels, valid = read_image_and_validity(np.ma.array(values, mask=mask))
    assert (~valid).nonzero()[0].tolist() == [1]
    assert pixels[1, 2].tolist() == [0, 0, 0]
    assert pixels[2, 3].tolist() == [200, 200, 200]
    grey, valid = read_image_and_validity(np.ma.masked_equal(np.array([[0, 7, 9]], np.uint16), 0))
    assert valid.tolist() == [[False, True, True]]
    assert grey[0, 1:, 0].tolist() == [0, 255]


def test_a_tiff_is_read_with_its_nodata(tmp_path):
    values = np.full((8, 9, 3), 90, np.uint8)
    values[2, 3] = 7
    write_tiff(tmp_path / "a.tif", values, nodata=7)
    pixels, valid = read_image_and_validity(tmp_path / "a.tif")
    assert np.argwhere(~valid).tolist() == [[2, 3]]
    assert pixels[2, 3].tolist() == [0, 0, 0]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("driver", ["GTiff", "PNG"])
@pytest.mark.parametrize("num_bands", [3, 4])
def test_sixteen_bit_colours_keep_their_lower_bits(tmp_path, driver, num_bands):
    rasterio = pytest.importorskip("rasterio")
    values = np.random.default_rng(0).integers(1, 4000, (num_bands, 8, 9), dtype=np.uint16)
    file = tmp_path / "a.file"
    profile = {"driver": driver, "height": 8, "width": 9, "count": num_bands, "dtype": "uint16"}
    if driver == "GTiff":
        profile |= {"photometric": "RGB", "transform": rasterio.Affine(1, 0, 5, 0, -1, 5), "ALPHA": "YES"}
    with rasterio.open(file, "w", **profile) as dataset:
        dataset.write(values)
    np.testing.assert_array_equal(read_image(file), read_image(np.moveaxis(values, 0, -1)))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0.0, 0.5, 1.0]], [0, 128, 255]),
        ([[0.0, 100.0, 200.0]], [0, 128, 255]),
        ([[np.nan, 0.0, 1.0]], [0, 0, 255]),
        ([[np.nan, np.nan, np.inf]], [0, 0, 0]),
        ([[-5.0, -5.0, -5.0]], [0, 0, 0]),
    ],
)
def test_floats_are_scaled_by_their_range(values, expected):
    assert read_image(np.array(values))[0, :, 0].tolist() == expected


def test_bools_are_black_and_white():
    assert read_image(np.array([[False, True]]))[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("stretch", ["percentile:0,100", "percentile:40,60", "fixed:0,1"])
def test_bools_are_black_and_white_with_any_stretch_that_was_asked_for(stretch):
    rng = np.random.default_rng(0)
    array = rng.random((9, 9)) > 0.5
    shown = show_array(array, Stretch.parse(stretch))
    np.testing.assert_array_equal(shown.rgb[..., 0], array * np.uint8(255))


@pytest.mark.parametrize("shape", [(3,), (4, 4, 5), (3, 8, 8), (0, 4, 3), (2, 3, 4, 3)])
def test_other_shapes_are_rejected(shape):
    with pytest.raises(InvalidImageError, match="must be"):
        read_image(np.zeros(shape, np.uint8))


def test_other_types_are_rejected():
    with pytest.raises(InvalidImageError, match="complex"):
        read_image(np.zeros((2, 2), np.complex64))
    with pytest.raises(InvalidImageError, match="received int"):
        read_image(3)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"absent\.png"):
        read_image(tmp_path / "absent.png")


def test_truncated_and_foreign_files_are_rejected(rgb, tmp_path):
    Image.fromarray(np.tile(rgb, (20, 20, 1))).save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:2000])
    with pytest.raises(InvalidImageError, match="cannot be decoded"):
        read_image(tmp_path / "b.jpg")
    (tmp_path / "c.png").write_text("no picture")
    with pytest.raises(InvalidImageError, match="cannot be opened as an image"):
        read_image(tmp_path / "c.png")


def test_decompression_bombs_are_refused(rgb, tmp_path, monkeypatch):
    Image.fromarray(rgb).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(InvalidImageError, match="rs2sam segment"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_a_header_that_claims_more_than_fits_into_memory_is_refused(tmp_path, dtype):
    """288 GB in a file of a few hundred kilobytes; one type that PIL knows, and one that it does not."""
    path = tmp_path / "a.tif"
    profile = {"count": 3, "height": 120_000, "width": 100_000, "blockxsize": 4096, "blockysize": 4096, "tiled": True}
    profile |= {"transform": rasterio.Affine(1, 0, 5, 0, -1, 5)}
    with rasterio.open(path, "w", driver="GTiff", dtype=dtype, sparse_ok=True, bigtiff="yes", **profile):
        pass
    with pytest.raises(InvalidImageError, match=r"read whole.*rs2sam segment"):
        read_image(path)
