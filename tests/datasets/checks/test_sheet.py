from __future__ import annotations

from itertools import repeat

import numpy as np
import pytest
from PIL import Image

from rs2sam.datasets.base import Sample
from rs2sam.datasets.checks.sheet import Tile, chosen, draw_sheet, draw_tile, sample_tile
from rs2sam.errors import DataNotFoundError, InvalidInputError

GREY = np.full((40, 80, 3), 120, np.uint8)


def sample(number, image=GREY, mask=None, **fields):
    return Sample(image, f"the thing number {number}", mask, f"s{number}", image_id=f"i{number}", **fields)


def spot(height=40, width=80):
    mask = np.zeros((height, width), np.bool_)
    mask[10:30, 20:40] = True
    return mask


def test_the_target_is_tinted_and_the_rest_is_not():
    picture = np.asarray(draw_tile(sample_tile(sample(1, mask=spot())), side=160))

    # Twice as large, in the middle of a square of 160: the image's row y is the picture's row 40 + 2 y.
    assert picture[40 + 2 * 20, 2 * 30].tolist() != [120, 120, 120]
    assert picture[40 + 2 * 36, 2 * 70].tolist() == [120, 120, 120]


def test_the_caption_names_what_is_known():
    tile = sample_tile(sample(1, mask=spot(), split="val", category="ship", kind="size"))
    assert tile.caption == "s1 · val · ship · size"
    assert tile.sentence == "the thing number 1"
    assert tile.note == ""


def test_absent_and_empty_targets_are_told_apart():
    assert sample_tile(sample(1)).note == "nothing is meant"
    assert sample_tile(sample(1, mask=np.zeros((40, 80), np.bool_))).note == "the mask is empty"


def test_a_note_is_written_on_the_picture():
    plain, noted = (draw_tile(Tile(GREY, (), "words", note=note), 200) for note in ("", "look here"))
    assert np.any(np.asarray(plain)[:100] != np.asarray(noted)[:100])


def test_a_long_sentence_stays_inside_its_tile():
    tile = Tile(GREY, (), "a sentence without end " * 40, "an id without end " * 40)
    assert draw_tile(tile, 120).size == (120, 120 + 8 + 19 * 3 + 16 * 2)


def test_rows_and_columns():
    sheet = draw_sheet((Tile(GREY, (), "one line") for _ in range(5)), side=100, columns=3)
    # Three columns, two rows of one line of sentence and one of caption, gaps of 14 px around all.
    assert sheet.size == (3 * 114 + 14, 2 * (100 + 8 + 19 + 16) + 3 * 14)


def test_fewer_tiles_than_columns_leave_no_empty_paper():
    assert draw_sheet([Tile(GREY, (), "")], side=100, columns=4).width == 128


def test_no_tile_and_too_many_are_refused():
    with pytest.raises(InvalidInputError, match="at least one sample"):
        draw_sheet([])
    with pytest.raises(InvalidInputError, match="Ask for fewer or smaller"):
        draw_sheet([Tile(GREY, (), "")] * 20, side=1200, columns=1)
    endless = repeat(Tile(GREY, (), ""))
    with pytest.raises(InvalidInputError, match="10 tiles of 2000 px make 2014 x 20140"):
        draw_sheet(endless, side=2000, columns=1)


def test_a_draw_is_repeatable_in_order_and_prefers_different_images():
    samples = [Sample(GREY, "a", None, f"{i}-{k}", image_id=f"i{i}") for i in range(6) for k in range(5)]

    ids = [one.id for one in chosen(samples, 6, seed=3)]
    assert ids == [one.id for one in chosen(samples, 6, seed=3)]
    assert ids == sorted(ids)
    assert {one.partition("-")[0] for one in ids} == set("012345")
    assert ids != [one.id for one in chosen(samples, 6, seed=4)]


def test_asking_for_more_than_there_is_gives_everything():
    samples = [sample(number) for number in range(3)]
    assert chosen(samples, 10, seed=0) == samples


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"gone\.png"):
        sample_tile(sample(1, image=tmp_path / "gone.png"))


def test_files_are_read(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    assert sample_tile(sample(1, image=tmp_path / "a.png", mask=spot())).rgb.shape == (40, 80, 3)
