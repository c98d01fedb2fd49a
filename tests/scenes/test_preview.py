from __future__ import annotations

import numpy as np
import pytest

from rs2sam.drawing import COLOURS
from rs2sam.raster import read_scene
from rs2sam.scenes.preview import MAX_SIDE, Panel, draw_preview, format_area, round_length, summarise
from rs2sam.views import SceneOptions, segment_scene
from tests.make_rasters import SCENE, RedSegmenter, write_tiff


def preview(tmp_path, rgb=SCENE, sentences=("the red roofs",), **file):
    scene = read_scene(write_tiff(tmp_path / "a.tif", rgb, **file))
    results = segment_scene(RedSegmenter(2048), scene, sentences, SceneOptions())
    found = [(result.sentence, words(result), result.mask if result.regions else None) for result in results]
    return draw_preview(scene.info, [Panel(*one, scene.rgb, scene.valid) for one in found])


def words(result):
    return summarise(len(result.regions), int(result.mask.sum()), result.area_m2)


@pytest.mark.parametrize("size_hw", [(64, 96), (1, 1), (3, 2000), (2000, 3), (1700, 1300), (3000, 3100)])
def test_preview_fits_its_limit_for_any_shape(tmp_path, size_hw):
    picture = preview(tmp_path, np.full((*size_hw, 3), 90, dtype=np.uint8), ["a", "b"])
    assert picture.mode == "RGB"
    assert max(picture.size) <= MAX_SIDE
    assert picture.width >= 560


def test_a_small_scene_is_enlarged_by_a_whole_number(tmp_path):
    assert preview(tmp_path).width == 960


def test_masks_are_outlined_in_the_colour_of_the_caption_that_stands_out_from_red(tmp_path):
    pixels = np.asarray(preview(tmp_path))
    # The upper left corner of the larger roof, 10 times enlarged.
    assert (pixels[98:103, 210:480] == COLOURS[1]).all(axis=-1).any(axis=0).all()
    assert (pixels[640:] == COLOURS[1]).all(axis=-1).sum() > 300


def test_each_sentence_has_a_panel_of_its_own(tmp_path):
    one, two = (np.asarray(preview(tmp_path, sentences=names)) for names in (["red"], ["red", "no roofs"]))
    assert two.shape != one.shape
    marked = (two == COLOURS[1]).all(axis=-1)
    first, second = (int(half.sum()) for half in np.array_split(marked, 2))
    # The other panel shows the scene alone, with a swatch of 29 x 21 pixels below.
    assert second <= 29 * 21 < first
    many = np.asarray(preview(tmp_path, sentences=[f"red {n}" for n in range(12)]))
    assert max(many.shape) <= MAX_SIDE


def test_an_absent_object_is_said_in_the_legend_and_not_drawn(tmp_path):
    pixels = np.asarray(preview(tmp_path, sentences=["no roofs"]))
    assert not any((pixels[:640] == colour).all(axis=-1).any() for colour in COLOURS)


def test_pixels_without_data_are_pale(tmp_path):
    valid = np.ones((64, 96), dtype=bool)
    valid[:, :40] = False
    pixels = np.asarray(preview(tmp_path, mask=valid))
    assert (pixels[:500, :380].min(axis=-1) > 200).mean() > 0.99


@pytest.mark.parametrize("sentence", ["储油罐 near the река 🛢", "word " * 400, "line\nbreak\tand tab"])
def test_any_sentence_can_be_drawn(tmp_path, sentence):
    assert preview(tmp_path, sentences=[sentence]).width == 960


def test_more_sentences_than_rows_are_counted(tmp_path):
    assert preview(tmp_path, sentences=[f"red {n}" for n in range(40)]).height <= MAX_SIDE


@pytest.mark.parametrize(
    ("length", "expected"),
    [(1, 1), (1.99, 1), (2, 2), (49.9, 20), (50, 50), (0.07, 0.05), (1000, 1000), (12345, 10000)],
)
def test_scale_bar_has_a_round_length(length, expected):
    assert round_length(length) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("area_m2", "expected"),
    [(3.14159, "3.1 m²"), (1234.5, "1,234 m²"), (56789, "5.68 ha"), (12_345_678, "12.35 km²")],
)
def test_area_is_written_for_people(area_m2, expected):
    assert format_area(area_m2) == expected


def test_result_is_summarised_in_words(tmp_path):
    scene = read_scene(write_tiff(tmp_path / "a.tif"))
    found, absent = segment_scene(RedSegmenter(), scene, ["red", "no"])
    assert words(found) == "2 regions · 243 m²"
    assert words(absent) == "nothing found"
