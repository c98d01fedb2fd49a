from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools import mask as coco
from rasterio.errors import NotGeoreferencedWarning

from rs2sam.datasets.base import Sample
from rs2sam.datasets.readers.mask_files import read_grey_mask, read_mask, read_target
from rs2sam.datasets.readers.masks import MaskFile, SegmentationMask, decode, reaches_outside
from rs2sam.datasets.readers.run_lengths import decode_runs, encode_runs
from rs2sam.errors import DataNotFoundError, InvalidImageError, InvalidInputError, MissingDependencyError
from rs2sam.scenes.run import SceneRequest, run_scene
from tests.datasets.make_formats import box_polygon, rle, square, uncompressed_rle
from tests.make_rasters import NORTH_UP, RedSegmenter, objects, paint, write_tiff

# pycocotools hands its results to numpy in the manner of numpy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


@given(masks)
def test_run_lengths_are_what_pycocotools_makes_and_reads(mask):
    coded = encode_runs(mask)
    assert coded == rle(mask)
    np.testing.assert_array_equal(decode_runs(coded), mask)
    np.testing.assert_array_equal(decode_runs(uncompressed_rle(mask)), mask)
    np.testing.assert_array_equal(coco.decode(coded), mask)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.001, 0.999))
def test_run_lengths_of_large_masks_have_long_runs_and_survive(seed, share):
    rng = np.random.default_rng(seed)
    mask = np.repeat(rng.random((30, 700)) < share, 30, axis=0)
    assert encode_runs(mask) == rle(mask)
    np.testing.assert_array_equal(decode_runs(rle(mask)), mask)


def test_run_lengths_by_hand():
    # Columns first: background 1, foreground 2, background 3.
    runs = {"size": [2, 3], "counts": [1, 2, 3]}
    np.testing.assert_array_equal(decode_runs(runs), [[0, 1, 0], [1, 0, 0]])
    assert decode_runs({"size": [1, 2], "counts": [0, 2]}).all()


@pytest.mark.parametrize("cut", [1, 2, 5, 20])
def test_run_lengths_cut_short_are_refused_and_not_drawn_from_stray_memory(cut):
    whole = rle(square(5, 3, 17))
    with pytest.raises(InvalidInputError, match=r"damaged|cut short"):
        decode_runs({**whole, "counts": whole["counts"][:-cut]})


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        ({"counts": [4]}, r'"size": \[height, width\], received None'),
        ({"size": [2, 0], "counts": [0]}, "size"),
        ({"size": [2, 2]}, '"counts"'),
        ({"size": [2, 2], "counts": [1.5, 2.5]}, '"counts"'),
        ({"size": [2, 2], "counts": [5, -1]}, "must add up to 4 pixels, received 2 runs of 4"),
        ({"size": [2, 2], "counts": [1, 2]}, "must add up to 4 pixels, received 2 runs of 3"),
        ({"size": [2, 2], "counts": ""}, "empty, damaged"),
        ({"size": [2, 2], "counts": "ü"}, "damaged"),
        ({"size": [2, 2], "counts": "o" * 40 + "0"}, "out of range"),
    ],
)
def test_malformed_run_lengths_say_what_is_wrong(segment, message):
    with pytest.raises(InvalidInputError, match=message):
        decode_runs(segment)


@given(st.text(st.characters(min_codepoint=48, max_codepoint=111), min_size=1, max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        mask = decode_runs({"size": [7, 9], "counts": text})
    except InvalidInputError:
        return
    assert mask.shape == (7, 9)


def test_segmentation_of_every_kind_gives_the_same_mask():
    mask = square(10, 20)
    for segmentation in (rle(mask), [rle(mask)], uncompressed_rle(mask), [box_polygon(10, 20)]):
        np.testing.assert_array_equal(decode(segmentation, (64, 64)), mask)
    text = rle(mask)
    np.testing.assert_array_equal(decode({**text, "counts": text["counts"].encode()}), mask)


def test_pixels_covered_twice_count_for_a_union_and_not_as_published():
    left, right = square(8, 8), square(16, 8)
    for segmentation in ([rle(left), rle(right)], [box_polygon(8, 8), box_polygon(16, 8)]):
        np.testing.assert_array_equal(decode(segmentation, (64, 64)), left | right)
        np.testing.assert_array_equal(decode(segmentation, (64, 64), exactly_once=True), left ^ right)


def test_pixels_covered_three_times_are_not_covered_once():
    once = decode([rle(square(8, 8))] * 3, exactly_once=True)
    assert not once.any()


def test_polygons_are_drawn_as_pycocotools_draws_them():
    rng = np.random.default_rng(0)
    polygons = [rng.uniform(-5, 60, 2 * n).round(2).tolist() for n in (3, 4, 9)]
    expected = coco.decode(coco.frPyObjects(polygons, 50, 64)).sum(axis=2)
    np.testing.assert_array_equal(decode(polygons, (50, 64)), expected > 0)
    np.testing.assert_array_equal(decode(polygons, (50, 64), exactly_once=True), expected == 1)


def test_no_segment_is_an_empty_mask():
    assert decode([], (3, 4)).shape == (3, 4)
    assert not decode([], (3, 4)).any()


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[1, 2, 3, 4]], "at least three points"),
        ([[1, 2, 3, 4, 5, 6, 7]], "at least three points"),
        ([[1, 2, 3, 4, 5, None]], "at least three points"),
        ([[1, 2, 3, 4, 5, float("nan")]], "at least three points"),
        ([[0, 0, 9e9, 0, 9e9, 9e9]], "pixels of its image of 64 x 64, received up to 9000000000"),
        ([1, 2, 3, 4, 5, 6], "list of polygons"),
        ("polygon", "list of polygons"),
        ([rle(square(0, 0)), rle(square(0, 0, 8, (32, 32)))], "need one size"),
    ],
)
def test_malformed_segmentations_say_what_is_wrong(segmentation, message):
    with pytest.raises(InvalidInputError, match=message):
        decode(segmentation, (64, 64))


def test_polygons_need_a_size():
    with pytest.raises(InvalidInputError, match="polygons need the image's size"):
        decode([box_polygon(0, 0)])


def test_polygons_without_pycocotools_name_the_extra_and_run_lengths_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    np.testing.assert_array_equal(decode(rle_without_library()), np.eye(2, dtype=bool))
    with pytest.raises(MissingDependencyError, match=r"pip install 'rs2sam\[train\]'"):
        decode([box_polygon(0, 0)], (64, 64))


def rle_without_library() -> dict[str, object]:
    return encode_runs(np.eye(2, dtype=bool))


def test_lazy_segmentation_is_a_union_and_takes_the_size_from_the_file(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "image.png")
    parts = ([box_polygon(8, 8)], rle(square(16, 8)))
    mask = SegmentationMask(parts, "annotation 1", image=tmp_path / "image.png")()
    np.testing.assert_array_equal(mask, square(8, 8) | square(16, 8))


def test_lazy_segmentation_says_where_an_error_is():
    with pytest.raises(InvalidInputError, match=r"^annotation 7: a polygon is"):
        SegmentationMask(([[1, 2]],), "annotation 7", size_hw=(64, 64))()
    with pytest.raises(InvalidInputError, match=r"^annotation 7: segmentations of one target need one size"):
        SegmentationMask((rle(square(0, 0)), rle(square(0, 0, 8, (32, 32)))), "annotation 7")()


def test_polygons_that_leave_the_image_are_told():
    inside = SegmentationMask(([box_polygon(48, 48)],), "a")
    outside = SegmentationMask(([box_polygon(0, 0)], [box_polygon(50, 50)]), "a")
    assert not reaches_outside(inside, (64, 64))
    assert reaches_outside(outside, (64, 64))
    assert reaches_outside(SegmentationMask(([[-3, 0, 5, 0, 5, 5]],), "a"), (64, 64))
    assert not reaches_outside(SegmentationMask((rle(square(0, 0)),), "a"), (64, 64))
    assert not reaches_outside(square(0, 0), (64, 64))


MASK = square(4, 6, 9, (20, 30))


def palette_image(first: tuple[int, ...], second: tuple[int, ...]) -> Image.Image:
    image = Image.fromarray(MASK.astype(np.uint8), mode="L").convert("P")
    image.putdata(MASK.astype(np.uint8).ravel().tolist())
    image.putpalette([*first, *second])
    return image


def coloured(level: int) -> np.ndarray:
    rgb = np.zeros((*MASK.shape, 3), np.uint8)
    rgb[MASK] = (0, level, 0)
    return rgb


FILES = {
    "one_bit.png": Image.fromarray(MASK),
    "label.png": Image.fromarray(MASK.astype(np.uint8)),
    "binary.png": Image.fromarray(MASK.astype(np.uint8) * 255),
    "sixteen.png": Image.fromarray(MASK.astype(np.uint16)),
    "instances.tif": Image.fromarray(MASK.astype(np.int32) * 70000),
    "float.tif": Image.fromarray(np.where(MASK, 0.25, 0).astype(np.float32)),
    "nan.tif": Image.fromarray(np.where(MASK, 1, np.nan).astype(np.float32)),
    "palette.png": palette_image((0, 0, 0), (128, 0, 0)),
    "colour.png": Image.fromarray(coloured(1)),
    "alpha.png": Image.fromarray(np.dstack([np.full((*MASK.shape, 3), 255, np.uint8), MASK.astype(np.uint8) * 255])),
    "mask.jpg": Image.fromarray(MASK.astype(np.uint8) * 255),
}


@pytest.mark.parametrize("name", FILES)
def test_mask_files_of_every_kind_give_the_same_mask(tmp_path, name):
    path = tmp_path / name
    FILES[name].save(path)
    mask = MaskFile(path)()
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, MASK)


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_masks_of_16_bit_colours_keep_their_lowest_bit(tmp_path, name):
    bands = np.stack([MASK.astype(np.uint16), np.zeros(MASK.shape, np.uint16), np.zeros(MASK.shape, np.uint16)])
    driver = "PNG" if name.endswith("png") else "GTiff"
    height, width = MASK.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(tmp_path / name, "w", driver, width, height, 3, dtype="uint16") as dataset:
            dataset.write(bands)
    np.testing.assert_array_equal(read_mask(tmp_path / name), MASK)


def test_palette_whose_background_is_unknown_is_refused(tmp_path):
    palette_image((255, 255, 255), (0, 0, 0)).save(tmp_path / "unclear.png")
    with pytest.raises(InvalidImageError, match=r"unclear\.png` has a palette .* Save it as 8-bit grey"):
        read_mask(tmp_path / "unclear.png")


def test_palette_with_transparency_is_read_without_a_warning(tmp_path):
    palette_image((0, 0, 0), (128, 0, 0)).save(tmp_path / "clear.png", transparency=b"\x00\xff")
    np.testing.assert_array_equal(read_mask(tmp_path / "clear.png"), MASK)


@pytest.mark.parametrize(("level", "is_foreground"), [(50, False), (51, True), (255, True)])
def test_grey_mask_is_above_its_threshold(tmp_path, level, is_foreground):
    Image.fromarray(np.full((2, 3), level, np.uint8)).save(tmp_path / "grey.tif")
    assert (read_grey_mask(tmp_path / "grey.tif", 50) == is_foreground).all()


def test_grey_mask_is_the_same_in_every_mode(tmp_path):
    versions = {
        "l.tif": Image.fromarray(MASK.astype(np.uint8) * 255),
        "rgb.tif": Image.fromarray(np.repeat(MASK[..., None], 3, axis=2).astype(np.uint8) * 255),
        "palette.png": palette_image((255, 255, 255), (0, 0, 0)),
        "deep.tif": Image.fromarray(MASK.astype(np.uint16) * 51),
        "bit.tif": Image.fromarray(MASK),
    }
    for name, image in versions.items():
        image.save(tmp_path / name)
        # The palette is white where the index is 0: grey levels count, not indices.
        expected = ~MASK if name == "palette.png" else MASK
        np.testing.assert_array_equal(read_grey_mask(tmp_path / name, 50), expected)


def test_missing_and_damaged_masks_are_named(tmp_path):
    Image.fromarray(MASK.astype(np.uint8) * 255).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_bytes(b"no picture")
    for read in (read_mask, lambda path: read_grey_mask(path, 50)):
        with pytest.raises(DataNotFoundError, match=r"mask not found: `.*gone\.png`"):
            read(tmp_path / "gone.png")
        with pytest.raises(InvalidImageError, match=r"mask `.*cut\.png` cannot be read: "):
            read(tmp_path / "cut.png")
        with pytest.raises(InvalidImageError, match=r"mask .*text\.png. cannot be opened as an image"):
            read(tmp_path / "text.png")


def test_masks_larger_than_pil_admits_are_named(tmp_path, monkeypatch):
    Image.new("L", (20, 20)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InvalidImageError, match=r"mask `.*huge\.png` cannot be read: .*exceeds limit"):
        read_mask(tmp_path / "huge.png")


# --- pixels of which a mask says nothing -----------------------------------------------------------------------------


def own_mask(path, nodata=255, dtype="uint8", **profile):
    """As `rs2sam segment` writes it: 1 found, 0 not, nodata beside; with its palette."""
    levels = np.array([[0, 1, 1, nodata], [0, 0, 1, nodata]], dtype)
    with rasterio.open(
        path, "w", driver="GTiff", dtype=dtype, count=1, height=2, width=4, nodata=nodata, transform=NORTH_UP, **profile
    ) as dataset:
        if dtype == "uint8":
            dataset.write_colormap(1, {0: (0, 0, 0), 1: (230, 25, 75), 255: (128, 128, 128)})
        dataset.write(levels, 1)
    return path


FOUND = [[False, True, True, False], [False, False, True, False]]
UNKNOWN = [[False, False, False, True]] * 2


@pytest.mark.parametrize(
    ("nodata", "dtype"),
    [(255, "uint8"), (-9999, "int16"), (-9999, "float32"), (np.nan, "float32"), (-np.inf, "float64")],
)
def test_nodata_of_a_mask_is_no_foreground_and_is_left_out(tmp_path, nodata, dtype):
    mask = MaskFile(own_mask(tmp_path / "a_mask.tif", nodata, dtype))
    assert mask().tolist() == FOUND
    assert mask.ignored().tolist() == UNKNOWN
    sample = Sample(np.zeros((2, 4, 3), np.uint8), "the roof", mask, "a")
    assert sample.loaded().ignored((2, 4)).tolist() == UNKNOWN
    assert sample.ignored((2, 4), (4, 8)).sum() == 8


def test_a_mask_that_this_project_writes_is_read_as_it_was_meant(tmp_path):
    values = paint(objects())
    values[:, 40:] = 9
    path = write_tiff(tmp_path / "a.tif", values, nodata=9)
    request = SceneRequest(str(path), ("red",), tmp_path / "out", model="red")
    run_scene(request, RedSegmenter())
    mask, unknown = read_target(tmp_path / "out/a_mask.tif")
    np.testing.assert_array_equal(mask[:, :40], objects()[:, :40])
    assert not mask[:, 40:].any()
    assert unknown[:, 40:].all()
    assert not unknown[:, :40].any()


def test_a_nodata_of_0_is_the_background(tmp_path):
    levels = np.array([[0, 1], [0, 7]], np.uint8)
    write_tiff(tmp_path / "a.tif", levels[..., None], nodata=0)
    mask, unknown = read_target(tmp_path / "a.tif")
    assert mask.tolist() == [[False, True], [False, True]]
    assert unknown is None


def test_a_mask_band_says_where_nothing_is_known(tmp_path):
    known = np.array([[True, True], [False, True]])
    write_tiff(tmp_path / "a.tif", np.ones((2, 2, 1), np.uint8), mask=known)
    mask, unknown = read_target(tmp_path / "a.tif")
    np.testing.assert_array_equal(unknown, ~known)
    np.testing.assert_array_equal(mask, known)


def test_a_level_can_be_named_that_says_nothing(tmp_path):
    Image.fromarray(np.array([[0, 1, 255]], np.uint8)).save(tmp_path / "a.png")
    assert read_target(tmp_path / "a.png")[0].tolist() == [[False, True, True]]
    assert read_target(tmp_path / "a.png")[1] is None
    mask, unknown = read_target(tmp_path / "a.png", 255)
    assert mask.tolist() == [[False, True, False]]
    assert unknown.tolist() == [[False, False, True]]
