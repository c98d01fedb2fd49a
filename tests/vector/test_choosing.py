import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from rs2sam.language.scope import ScopedSentence, read_sentence
from rs2sam.raster.georeference import Georeference
from rs2sam.vector.choosing import FoundMask, chosen, to_map_of

NOWHERE = Georeference(Affine.identity())
SMALL, LARGE, OTHER = (slice(5, 15), slice(5, 15)), (slice(10, 40), slice(60, 90)), (slice(70, 82), slice(20, 32))


def mask_of(*places):
    mask = np.zeros((100, 100), dtype=bool)
    for place in places:
        mask[place] = True
    return mask


def choose_from(sentence, landmark=None, place=NOWHERE):
    mask = mask_of(SMALL, LARGE, OTHER)
    found = None if landmark is None else FoundMask(landmark, landmark.astype(np.float32))
    kept, _ = chosen(FoundMask(mask, mask.astype(np.float32)), found, read_sentence(sentence), place)
    return kept


@pytest.mark.parametrize(
    ("sentence", "meant"),
    [
        ("the largest ship", [LARGE]),
        ("the smallest ship", [SMALL]),
        ("the ship at the lower left", [OTHER]),
        ("the two largest ships", [LARGE, OTHER]),
        ("all ships", [SMALL, LARGE, OTHER]),
    ],
)
def test_words_that_compare_choose_among_regions(sentence, meant):
    np.testing.assert_array_equal(choose_from(sentence), mask_of(*meant))


def test_a_landmark_decides_what_is_nearest():
    bridge = mask_of((slice(90, 95), slice(0, 100)))
    np.testing.assert_array_equal(choose_from("the ship nearest the bridge", bridge), mask_of(OTHER))


def test_compass_words_follow_the_map():
    south_up = Georeference(Affine(1, 0, 0, 0, 1, 0), CRS.from_epsg(32632))
    np.testing.assert_array_equal(choose_from("the northernmost ship", place=south_up), mask_of(OTHER))
    np.testing.assert_array_equal(choose_from("the northernmost ship"), mask_of(SMALL))
    assert to_map_of(NOWHERE) is None


def test_nothing_found_stays_nothing():
    empty = np.zeros((50, 60), dtype=bool)
    found, _ = chosen(FoundMask(empty, empty.astype(np.float32)), None, read_sentence("the largest ship"), NOWHERE)
    assert found.shape == (50, 60)
    assert not found.any()


def test_without_claims_the_mask_is_returned_as_it_is():
    mask = mask_of(SMALL)
    kept, remarks = chosen(FoundMask(mask, mask.astype(np.float32)), None, ScopedSentence("ships", "ships"), NOWHERE)
    assert kept is mask
    assert not remarks
