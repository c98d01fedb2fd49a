from __future__ import annotations

import numpy as np
import pytest
from rasterio import Affine
from rasterio.crs import CRS

from rs2sam.errors import InvalidInputError
from rs2sam.raster import Georeference, Scene, Stretch
from rs2sam.views import MinArea, SceneOptions, segment_scene
from tests.make_rasters import NORTH_UP, SCENE, UTM, RedSegmenter, objects, paint

METRIC = Georeference(NORTH_UP, CRS.from_string(UTM))


def make_scene(rgb: np.ndarray = SCENE, *, valid: np.ndarray | None = None, place: Georeference = METRIC) -> Scene:
    return Scene(
        rgb=rgb,
        valid=np.ones(rgb.shape[:2], dtype=bool) if valid is None else valid,
        georeference=place,
        source="folder/scene.v2.tif",
        is_photo=False,
        bands=(1, 2, 3),
        num_bands=3,
        dtype="uint8",
        nodata=None,
        stretch=Stretch("none"),
        limits=((0.0, 255.0),) * 3,
    )


def big_objects() -> np.ndarray:
    mask = np.zeros((300, 410), dtype=bool)
    mask[100:180, 30:400] = True
    mask[110:120, 200:220] = False
    mask[250:260, 5:9] = True
    return mask


def test_a_scene_of_up_to_twice_the_models_side_is_one_view():
    segmenter = RedSegmenter(image_size=48)
    (result,) = segment_scene(segmenter, make_scene(), ["red"])
    assert (segmenter.num_views, result.num_views) == (1, 1)
    np.testing.assert_array_equal(result.mask, objects())


def test_a_larger_scene_is_cut_into_tiles_of_the_models_side_and_blended_exactly():
    segmenter = RedSegmenter(image_size=64)
    (result,) = segment_scene(segmenter, make_scene(paint(big_objects())), ["red"])
    assert segmenter.largest == 64
    assert segmenter.num_views == result.num_views > 30
    np.testing.assert_array_equal(result.mask, big_objects())
    assert [region.num_pixels for region in result.regions] == [80 * 370 - 200, 40]
    assert result.regions[0].mean_probability == pytest.approx(0.9, abs=1e-5)


def test_an_object_across_tiles_is_one_polygon():
    (result,) = segment_scene(RedSegmenter(), make_scene(paint(big_objects())), ["red"], SceneOptions(tile=50))
    outline = result.regions[0].geometry
    assert outline.bounds == pytest.approx(
        (598119.6 + 30 * 0.6, 4402383 - 180 * 0.6, 598119.6 + 400 * 0.6, 4402383 - 100 * 0.6)
    )
    assert len(outline.interiors) == 1


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_results_do_not_depend_on_the_batch_and_keep_the_order_of_sentences(batch_size):
    options = SceneOptions(tile=64, batch_size=batch_size)
    scene = make_scene(paint(big_objects()))
    results = segment_scene(RedSegmenter(), scene, ["red", "no red", "red again"], options)
    assert [result.sentence for result in results] == ["red", "no red", "red again"]
    assert [bool(result.regions) for result in results] == [True, False, True]
    np.testing.assert_array_equal(results[2].mask, big_objects())


def test_invalid_pixels_are_never_foreground():
    valid = np.ones((64, 96), dtype=bool)
    valid[:, :30] = False
    (result,) = segment_scene(RedSegmenter(), make_scene(valid=valid), ["red"])
    np.testing.assert_array_equal(result.mask, objects() & valid)


def test_tiles_without_valid_pixels_are_not_shown_to_the_model():
    valid = np.zeros((300, 410), dtype=bool)
    valid[90:130, 20:60] = True
    segmenter = RedSegmenter(image_size=64)
    (result,) = segment_scene(segmenter, make_scene(paint(big_objects()), valid=valid), ["red"])
    assert segmenter.num_views <= 6
    np.testing.assert_array_equal(result.mask, big_objects() & valid)


def test_a_scene_without_valid_pixels_finds_nothing_for_each_sentence():
    segmenter = RedSegmenter()
    results = segment_scene(segmenter, make_scene(valid=np.zeros((64, 96), dtype=bool)), ["red", "blue"])
    assert segmenter.num_views == 0
    assert [(r.sentence, r.mask.any(), r.presence, r.score) for r in results] == [
        ("red", False, None, None),
        ("blue", False, None, None),
    ]


def test_presence_is_the_highest_of_the_views_and_score_follows_the_foreground():
    (whole,) = segment_scene(RedSegmenter(), make_scene(), ["red"])
    assert (whole.presence, whole.score) == pytest.approx((0.9, 0.7))
    (tiled,) = segment_scene(RedSegmenter(), make_scene(paint(big_objects())), ["red"])
    assert (tiled.presence, tiled.score) == pytest.approx((0.9, 0.7))
    (absent,) = segment_scene(RedSegmenter(), make_scene(), ["no red"])
    assert (absent.presence, absent.score) == pytest.approx((0.1, 0.2))


def test_a_view_below_the_least_presence_is_empty():
    (result,) = segment_scene(RedSegmenter(), make_scene(), ["red"], SceneOptions(min_presence=0.95))
    assert not result.mask.any()
    assert result.presence == pytest.approx(0.9)


def test_threshold_is_that_of_the_probability():
    assert not segment_scene(RedSegmenter(), make_scene(), ["red"], SceneOptions(threshold=0.95))[0].mask.any()
    assert segment_scene(RedSegmenter(), make_scene(), ["red"], SceneOptions(threshold=0.05))[0].mask.all()


@pytest.mark.parametrize("least", [MinArea(101), MinArea(37, "m2")])
def test_small_regions_are_dropped_from_mask_and_polygons(least):
    (result,) = segment_scene(RedSegmenter(), make_scene(), ["red"], SceneOptions(min_area=least))
    expected = objects()
    expected[45:55, 70:80] = False
    np.testing.assert_array_equal(result.mask, expected)
    assert [region.num_pixels for region in result.regions] == [576]


def test_area_is_in_square_metres_where_the_crs_says_so():
    (result,) = segment_scene(RedSegmenter(), make_scene(), ["red"])
    assert result.area_m2 == pytest.approx(676 * 0.36, rel=1e-3)
    (result,) = segment_scene(RedSegmenter(), make_scene(), ["no red"])
    assert result.area_m2 == 0
    nowhere = make_scene(place=Georeference(Affine.identity()))
    assert [r.area_m2 for r in segment_scene(RedSegmenter(), nowhere, ["red", "no red"])] == [None, None]


def test_least_area_in_square_metres_needs_a_crs():
    nowhere = make_scene(place=Georeference(Affine.identity()))
    with pytest.raises(InvalidInputError, match="40px"):
        segment_scene(RedSegmenter(), nowhere, ["red"], SceneOptions(min_area=MinArea(5, "m2")))


def test_progress_reaches_the_number_of_views():
    seen = []
    options = SceneOptions(tile=64, batch_size=5)
    segment_scene(
        RedSegmenter(),
        make_scene(paint(big_objects())),
        ["a", "b"],
        options,
        lambda done, total: seen.append((done, total)),
    )
    assert seen[-1][0] == seen[-1][1] == seen[0][1]
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


@pytest.mark.parametrize(("sentences", "says"), [([], "At least one"), (["red", " \t"], "sentence 2 of 2")])
def test_blank_sentences_are_refused(sentences, says):
    with pytest.raises(InvalidInputError, match=says):
        segment_scene(RedSegmenter(), make_scene(), sentences)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tile": 8}, "at least 16"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"threshold": 1.5}, "`threshold`"),
        ({"min_presence": -1}, "`min_presence`"),
    ],
)
def test_impossible_options_are_refused(options, says):
    with pytest.raises(InvalidInputError, match=says):
        SceneOptions(**options)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("40", MinArea(40)), ("40px", MinArea(40)), ("2.5 m2", MinArea(2.5, "m2")), ("0", MinArea(0))],
)
def test_least_area_is_parsed(text, expected):
    assert MinArea.parse(text) == expected


@pytest.mark.parametrize("text", ["", "m2", "12ha", "-3", "nan"])
def test_least_area_says_how_it_is_written(text):
    with pytest.raises(InvalidInputError, match="least area"):
        MinArea.parse(text)


def test_stem_is_the_file_name_without_its_last_suffix():
    assert make_scene().stem == "scene.v2"
