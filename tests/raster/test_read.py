from __future__ import annotations

import logging
import struct
import zlib

import numpy as np
import pytest
import rasterio
from PIL import Image, ImageOps
from rasterio import Affine
from rasterio.enums import ColorInterp

from rs2sam.errors import DataNotFoundError, InvalidImageError, InvalidInputError
from rs2sam.raster import ReadOptions, Stretch, read_scene
from tests.make_rasters import (
    GEOGRAPHIC,
    GREEN,
    NORTH_UP,
    RED,
    ROTATED,
    SCENE,
    SOUTH_UP,
    UTM,
    ground_control_points,
    objects,
    write_tiff,
)

R, G, B, N, A = (
    ColorInterp.red,
    ColorInterp.green,
    ColorInterp.blue,
    ColorInterp.undefined,
    ColorInterp.alpha,
)


def layers(*values: float, dtype: str = "uint8") -> np.ndarray:
    """(64, 96, bands) with one constant per band."""
    return np.broadcast_to(np.array(values, dtype=dtype), (64, 96, len(values)))


# --- pixel types and bands -------------------------------------------------------------------------------------------


def test_eight_bit_pixels_are_read_unchanged(tmp_path):
    scene = read_scene(write_tiff(tmp_path / "a.tif"))
    np.testing.assert_array_equal(scene.rgb, SCENE)
    assert scene.valid.all()
    assert (scene.stretch.kind, scene.bands, scene.dtype, scene.is_photo) == ("none", (1, 2, 3), "uint8", False)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64"])
def test_other_pixel_types_keep_the_picture(tmp_path, dtype):
    values = SCENE.astype(dtype) * dtype_scale(dtype) - (1000 if dtype == "int16" else 0)
    scene = read_scene(write_tiff(tmp_path / "a.tif", values.astype(dtype)))
    assert scene.rgb.dtype == np.uint8
    assert scene.stretch == Stretch("percentile", 2, 98)
    red = scene.rgb[..., 0] > scene.rgb[..., 1]
    np.testing.assert_array_equal(red, objects())


def dtype_scale(dtype: str) -> float:
    return {"uint16": 40, "int16": 10, "float32": 1 / 255, "float64": 1e-4}[dtype]


def test_the_stretch_is_that_of_the_whole_scene_however_large(tmp_path):
    ramp = np.arange(1500 * 1500, dtype=np.uint32).reshape(1500, 1500, 1) % 60000
    path = write_tiff(tmp_path / "a.tif", ramp.astype(np.uint16))
    scene = read_scene(path)
    low, high = np.percentile(ramp, (2, 98))
    assert scene.limits[0] == pytest.approx((low, high), abs=600)
    # Strips share the limits: equal values are equal after the stretch, wherever they are.
    by_value = {}
    for value, shown in zip(ramp[::97, ::89, 0].ravel(), scene.rgb[::97, ::89, 0].ravel(), strict=True):
        assert by_value.setdefault(int(value), shown) == shown


def test_one_band_is_grey(tmp_path):
    scene = read_scene(write_tiff(tmp_path / "a.tif", SCENE[..., :1]))
    np.testing.assert_array_equal(scene.rgb, np.repeat(SCENE[..., :1], 3, axis=2))


def test_second_band_that_is_no_alpha_is_left_out(tmp_path):
    scene = read_scene(write_tiff(tmp_path / "a.tif", layers(10, 200), photometric="minisblack"))
    assert scene.bands == (1, 1, 1)
    assert scene.valid.all()


def test_fourth_band_is_near_infrared_unless_it_is_alpha(tmp_path):
    nir = np.concatenate([SCENE, np.zeros((64, 96, 1), np.uint8)], axis=2)
    infrared = read_scene(write_tiff(tmp_path / "a.tif", nir, colorinterp=(R, G, B, N)))
    alpha = read_scene(write_tiff(tmp_path / "b.tif", nir, colorinterp=(R, G, B, A)))
    assert infrared.valid.all()
    assert not alpha.valid.any()
    assert infrared.bands == alpha.bands == (1, 2, 3)


def test_colour_interpretation_decides_the_order(tmp_path):
    scene = read_scene(write_tiff(tmp_path / "a.tif", SCENE[..., ::-1], colorinterp=(B, G, R)))
    assert scene.bands == (3, 2, 1)
    np.testing.assert_array_equal(scene.rgb, SCENE)


def test_bands_can_be_chosen(tmp_path):
    path = write_tiff(tmp_path / "a.tif", layers(1, 2, 3, 4, 5))
    assert read_scene(path, ReadOptions(bands=(5, 3, 1))).rgb[0, 0].tolist() == [5, 3, 1]
    assert read_scene(path, ReadOptions(bands=(4,))).rgb[0, 0].tolist() == [4, 4, 4]


def test_many_bands_without_colours_take_the_first_three_and_say_so(tmp_path, caplog):
    path = write_tiff(tmp_path / "a.tif", layers(1, 2, 3, 4, 5), photometric="minisblack")
    with caplog.at_level(logging.WARNING, "rs2sam"):
        assert read_scene(path).bands == (1, 2, 3)
    assert "--bands" in caplog.text


def test_palette_becomes_colours(tmp_path):
    picture = Image.fromarray(objects().astype(np.uint8))
    picture.putpalette([*GREEN, *RED])
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_scene(tmp_path / "a.png").rgb, SCENE)


def test_one_bit_picture_is_black_and_white(tmp_path):
    path = write_tiff(tmp_path / "a.tif", objects().astype(np.uint8)[..., None], nbits=1)
    assert np.unique(read_scene(path).rgb).tolist() == [0, 255]


def test_cmyk_becomes_light(tmp_path):
    Image.new("CMYK", (8, 8), (255, 0, 0, 51)).save(tmp_path / "a.tif")
    assert read_scene(tmp_path / "a.tif").rgb[0, 0].tolist() == [0, 204, 204]


@pytest.mark.parametrize(("dtype", "most"), [("uint8", 255), ("uint16", 65535)])
def test_inks_are_told_by_their_tags_and_fill_the_range_of_their_type(tmp_path, dtype, most):
    inks = {ColorInterp.black: most // 5, ColorInterp.yellow: 0, ColorInterp.magenta: most, ColorInterp.cyan: 0}
    pixels = np.tile(np.array(list(inks.values()), dtype), (8, 8, 1))
    path = write_tiff(tmp_path / "a.tif", pixels, colorinterp=list(inks))
    assert read_scene(path).rgb[0, 0].tolist() == [204, 0, 204]


def test_a_file_without_all_four_inks_is_no_cmyk(tmp_path):
    """Three bands of which one is called cyan are shown as they are."""
    path = write_tiff(tmp_path / "a.tif", SCENE, colorinterp=[ColorInterp.cyan, ColorInterp.gray, ColorInterp.gray])
    np.testing.assert_array_equal(read_scene(path).rgb, SCENE)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "gif"])
def test_plain_pictures_are_photos(tmp_path, suffix):
    Image.fromarray(SCENE).save(tmp_path / f"a.{suffix}")
    scene = read_scene(tmp_path / f"a.{suffix}")
    assert scene.is_photo
    assert not scene.georeference.is_located
    red = scene.rgb[..., 0].astype(int) > scene.rgb[..., 1]
    assert (red == objects()).mean() > 0.95


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_a_viewer_does(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(SCENE).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    np.testing.assert_array_equal(read_scene(tmp_path / "a.png").rgb, expected)


def test_a_world_file_locates_a_picture(tmp_path):
    Image.fromarray(SCENE).save(tmp_path / "a.png")
    (tmp_path / "a.pgw").write_text("0.5\n0\n0\n-0.5\n1000.25\n1999.75\n")
    scene = read_scene(tmp_path / "a.png")
    assert scene.georeference.transform == Affine(0.5, 0, 1000, 0, -0.5, 2000)
    assert scene.georeference.crs is None
    assert not scene.is_photo


# --- validity --------------------------------------------------------------------------------------------------------


def test_nodata_pixels_are_invalid_black_and_no_part_of_the_stretch(tmp_path):
    values = np.full((64, 96, 3), 1000, dtype=np.int16)
    values[:, 48:] = 2000
    values[:10] = -9999
    scene = read_scene(write_tiff(tmp_path / "a.tif", values, nodata=-9999))
    assert not scene.valid[:10].any()
    assert scene.valid[10:].all()
    assert scene.rgb[:10].max() == 0
    assert scene.limits == ((1000, 2000),) * 3
    assert scene.nodata == -9999


def test_a_pixel_is_valid_while_one_of_its_bands_is(tmp_path):
    values = layers(0, 0, 0).copy()
    values[0, 0] = (0, 7, 0)
    scene = read_scene(write_tiff(tmp_path / "a.tif", values, nodata=0))
    assert scene.valid.sum() == 1


def test_nodata_option_replaces_that_of_the_file(tmp_path):
    values = layers(5, 5, 5).copy()
    values[0] = 9
    path = write_tiff(tmp_path / "a.tif", values, nodata=5)
    scene = read_scene(path, ReadOptions(nodata=9))
    assert not scene.valid[0].any()
    assert scene.valid[1:].all()
    assert scene.nodata == 9


@pytest.mark.parametrize("nodata", [None, float("nan")])
def test_not_a_number_is_invalid(tmp_path, nodata):
    values = SCENE.astype(np.float32)
    values[3, 4, 1] = np.nan
    values[5, 6, 0] = np.inf
    scene = read_scene(write_tiff(tmp_path / "a.tif", values), ReadOptions(nodata=nodata))
    assert np.argwhere(~scene.valid).tolist() == [[3, 4], [5, 6]]


def test_mask_band_is_respected(tmp_path):
    mask = np.ones((64, 96), dtype=bool)
    mask[:, :20] = False
    scene = read_scene(write_tiff(tmp_path / "a.tif", mask=mask))
    np.testing.assert_array_equal(scene.valid, mask)
    assert scene.rgb[:, :20].max() == 0


def test_transparent_pixels_of_a_png_are_invalid(tmp_path):
    rgba = np.dstack([SCENE, np.where(objects(), 255, 0).astype(np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_scene(tmp_path / "a.png").valid, objects())


def test_a_scene_without_valid_pixels_can_be_read(tmp_path, caplog):
    scene = read_scene(write_tiff(tmp_path / "a.tif", layers(0, 0, 0), nodata=0))
    assert not scene.valid.any()
    assert scene.limits == ()
    assert "no valid pixel" in caplog.text


def test_valid_pixels_that_the_decimated_read_misses_are_found(tmp_path):
    values = np.zeros((3000, 40, 1), dtype=np.uint16)
    values[1501, 13] = 500
    scene = read_scene(write_tiff(tmp_path / "a.tif", values, nodata=0))
    assert scene.valid.sum() == 1
    assert scene.limits == ((500, 500),) * 3


# --- georeferencing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transform", "crs"),
    [(NORTH_UP, UTM), (SOUTH_UP, UTM), (ROTATED, UTM), (GEOGRAPHIC, "EPSG:4326"), (NORTH_UP, None)],
    ids=["projected", "south up", "rotated", "geographic", "no CRS"],
)
def test_transform_and_crs_are_read_exactly(tmp_path, transform, crs):
    place = read_scene(write_tiff(tmp_path / "a.tif", transform=transform, crs=crs)).georeference
    assert place.transform == transform
    assert place.crs == (None if crs is None else rasterio.CRS.from_string(crs))


def test_ground_control_points_are_read(tmp_path):
    points = ground_control_points(ROTATED, 64, 96)
    place = read_scene(write_tiff(tmp_path / "a.tif", transform=None, gcps=points)).georeference
    assert [(p.row, p.col, p.x, p.y) for p in place.gcps] == [(p.row, p.col, p.x, p.y) for p in points]
    assert place.crs == rasterio.CRS.from_string(UTM)


def test_cloud_optimised_geotiff_is_read(tmp_path):
    scene = read_scene(write_tiff(tmp_path / "a.tif", driver="COG", compress="deflate"))
    np.testing.assert_array_equal(scene.rgb, SCENE)


# --- errors ----------------------------------------------------------------------------------------------------------


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"nowhere\.tif"):
        read_scene(tmp_path / "nowhere.tif")


def test_empty_file_is_named(tmp_path):
    (tmp_path / "a.tif").touch()
    with pytest.raises(InvalidImageError, match="0 bytes"):
        read_scene(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.txt", "a.tif", "a.jpg"])
def test_a_file_that_is_no_image_is_refused(tmp_path, name):
    (tmp_path / name).write_text("the storage tanks")
    with pytest.raises(InvalidImageError, match="cannot be opened as an image"):
        read_scene(tmp_path / name)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InvalidImageError, match="An image is a file"):
        read_scene(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_picture_that_ends_too_early_is_refused(tmp_path, suffix, kept):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InvalidImageError, match=r"damaged or cut short|cannot be opened"):
        read_scene(path)


def test_a_tiff_that_ends_too_early_has_a_hole(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    path = write_tiff(tmp_path / "a.tif", noise, compress="deflate")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * 0.9)])
    scene = read_scene(path)
    np.testing.assert_array_equal(scene.rgb[:100], noise[:100])
    assert scene.valid[:100].all()
    assert not scene.valid[-1].any()
    assert "cannot be read and have no data" in scene.warnings[-1]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(rows: bytes, *after: bytes, interlace: int = 0) -> bytes:
    """A PNG of 5 x 2 pixels of 8 bits grey; a row is its filter and five levels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 2, 8, 0, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + b"".join(after)


ROWS = b"\0\1\2\3\4\5" + b"\0\6\7\x08\x09\x0a"
# Passes of an interlaced picture of 5 x 2: pixels (0,0); (0,4); none; (0,2); none; (0,1) and (0,3); the second row.
PASSES = b"\0\1" + b"\0\5" + b"\0\3" + b"\0\2\4" + b"\0\6\7\x08\x09\x0a"


@pytest.mark.parametrize(
    "content",
    [
        png(ROWS, chunk(b"IEND", b"")),
        png(ROWS, chunk(b"tEXt", b"a\0b")[:-1] + b"?", chunk(b"IEND", b""), b"and more"),
        png(PASSES, chunk(b"IEND", b""), interlace=1),
    ],
)
def test_a_whole_png_is_read(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert read_scene(tmp_path / "a.png").rgb[..., 0].tolist() == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]


@pytest.mark.parametrize(
    "content",
    [
        png(ROWS[:-1], chunk(b"IEND", b"")),
        png(ROWS[:6], chunk(b"IEND", b"")),
        png(PASSES[:-1], chunk(b"IEND", b""), interlace=1),
        png(ROWS, chunk(b"\0\0ND", b"")),
        png(ROWS),
        png(ROWS, b"\xff\xff\xff\xffIEND"),
        png(ROWS, chunk(b"PLTE", b"\0\0\0")[:-1] + b"?", chunk(b"IEND", b"")),
    ],
)
def test_a_png_that_is_not_whole_is_never_read_as_whatever_lies_in_memory(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InvalidImageError, match=r"damaged or cut short|cannot be opened"):
        read_scene(tmp_path / "a.png")


def test_complex_pixels_are_refused(tmp_path):
    with pytest.raises(InvalidImageError, match="complex64"):
        read_scene(write_tiff(tmp_path / "a.tif", layers(1, dtype="complex64")))


@pytest.mark.parametrize("bands", [(0, 1, 2), (1, 2, 4)])
def test_unknown_band_is_named(tmp_path, bands):
    with pytest.raises(InvalidInputError, match=r"has 3, but `bands` names"):
        read_scene(write_tiff(tmp_path / "a.tif"), ReadOptions(bands=bands))


def test_two_bands_make_no_picture():
    with pytest.raises(InvalidInputError, match="three bands"):
        ReadOptions(bands=(1, 2))


def test_no_stretch_on_large_values_says_what_to_do(tmp_path):
    path = write_tiff(tmp_path / "a.tif", layers(300, 1, 1, dtype="uint16"))
    with pytest.raises(InvalidInputError, match="percentile"):
        read_scene(path, ReadOptions(stretch=Stretch("none")))


def test_a_scene_too_large_to_be_read_whole_is_refused(tmp_path, monkeypatch):
    path = write_tiff(tmp_path / "a.tif")
    monkeypatch.setattr("rs2sam.raster.read.MOST_PIXELS", 64 * 96 - 1)
    with pytest.raises(InvalidInputError, match=r"6,143 pixels, but .*64 x 96.*rs2sam\.views\.segment_scene"):
        read_scene(path)
    monkeypatch.setattr("rs2sam.raster.read.MOST_PIXELS", 64 * 96)
    assert read_scene(path).size_hw == (64, 96)
