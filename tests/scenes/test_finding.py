"""The scope of a sentence from file to file: tiles are asked for the class, the scene chooses among whole regions."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from rs2sam.raster.source import ReadOptions
from rs2sam.scenes.run import SceneRequest, run_scene
from rs2sam.views.options import SceneOptions
from tests.make_rasters import SOUTH_UP, RedSegmenter, paint, write_tiff


class Asked(RedSegmenter):
    """Remembers what it was asked."""

    def segment_views(self, pairs, batch_size=1):
        self.sentences = getattr(self, "sentences", set()) | {sentence for _, sentence in pairs}
        return super().segment_views(pairs, batch_size)


def block(rows, columns):
    mask = np.zeros((200, 260), dtype=bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


# The large one reaches over several tiles of 64 px, so that no tile sees that it is the largest.
UPPER, LARGE, LOWER = block((10, 30), (20, 45)), block((60, 180), (70, 90)), block((150, 190), (200, 230))
RED_BLOCKS = paint(UPPER | LARGE | LOWER)


def answer(folder, sentence, scope="scene", **raster):
    segmenter = Asked()
    path = write_tiff(folder / "a.tif", RED_BLOCKS, **raster)
    request = SceneRequest(str(path), (sentence,), folder / "out", ReadOptions(), SceneOptions(tile=64, scope=scope))
    record = run_scene(request, segmenter)
    with rasterio.open(folder / "out" / "a_mask.tif") as dataset:
        return dataset.read(1) > 0, record, segmenter.sentences


@pytest.mark.parametrize(
    ("sentence", "target"),
    [
        ("the largest ship", LARGE),
        ("the two topmost ships", UPPER | LARGE),
        ("the smallest ship on the left", UPPER),
        ("the ship in the lower right", LOWER),
        ("all ships", UPPER | LARGE | LOWER),
    ],
)
def test_the_scene_chooses_among_whole_regions(tmp_path, sentence, target):
    mask, record, asked = answer(tmp_path, sentence)
    np.testing.assert_array_equal(mask, target)
    assert asked == ({"all ships"} if sentence.startswith("all") else {"the ships"})
    said = record["sentences"][0]["scope"]
    assert said is None if sentence.startswith("all") else said["local"] == "the ships"


def test_with_the_scope_of_a_tile_the_sentence_is_asked_as_it_is(tmp_path):
    mask, _, asked = answer(tmp_path, "the largest ship", scope="tile")
    np.testing.assert_array_equal(mask, UPPER | LARGE | LOWER)
    assert asked == {"the largest ship"}


def test_a_sentence_about_one_object_says_that_there_are_several(tmp_path, caplog):
    mask, record, _ = answer(tmp_path, "the ship")
    np.testing.assert_array_equal(mask, UPPER | LARGE | LOWER)
    (warning,) = record["warnings"]
    assert warning.startswith('"the ship": the sentence names one, and 2 of like size were found')
    assert warning in caplog.text.replace("WARNING ", "")


def test_north_is_where_the_map_has_it(tmp_path):
    mask, record, _ = answer(tmp_path, "the northernmost ship", transform=SOUTH_UP)
    np.testing.assert_array_equal(mask, LOWER)
    assert record["sentences"][0]["scope"]["remarks"] == []


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_without_a_map_up_is_north_and_it_is_said(tmp_path):
    mask, record, _ = answer(tmp_path, "the northernmost ship", transform=None, crs=None)
    np.testing.assert_array_equal(mask, UPPER)
    (remark,) = record["sentences"][0]["scope"]["remarks"]
    assert "up was taken as north" in remark
