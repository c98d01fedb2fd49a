from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs2sam import drawing
from rs2sam.drawing import COLOURS, colour_against, dilate, erode, font_for, mask_at, overlay, shorten, wrap

FONT = font_for("a", 14)


def square(side, top, left, height, width):
    mask = np.zeros((side, side), np.bool_)
    mask[top : top + height, left : left + width] = True
    return mask


def test_overlay_tints_the_inside_and_outlines_it_in_the_pure_colour():
    mask = square(20, 5, 5, 10, 10)
    drawn = np.asarray(overlay(np.full((20, 20, 3), 100, np.float32), [(mask, (200, 0, 100))]))

    # 100 + 0.42 (200 - 100), 100 - 0.42 * 100, 100
    assert drawn[10, 10].tolist() == [142, 58, 100]
    assert drawn[5, 10].tolist() == [200, 0, 100]  # line: one pixel inside and one outside the edge
    assert drawn[4, 10].tolist() == [200, 0, 100]
    assert drawn[3, 10].tolist() == [45, 45, 45]  # dark rim
    assert drawn[1, 1].tolist() == [100, 100, 100]


def test_overlay_of_an_empty_mask_leaves_the_image():
    pixels = np.full((8, 8, 3), 7, np.float32)
    assert (np.asarray(overlay(pixels, [(np.zeros((8, 8), np.bool_), COLOURS[0])])) == 7).all()


def test_a_mask_on_grey_among_red_plants_is_not_red():
    image = np.full((60, 60, 3), 110, np.uint8)
    roof = square(60, 40, 40, 10, 10)
    assert colour_against(image, roof) == COLOURS[0]
    image[:30] = (215, 50, 80)  # plants in infrared, far from the roof
    assert colour_against(image, roof) == COLOURS[1]


def test_a_small_object_survives_shrinking():
    assert mask_at(square(100, 50, 50, 6, 6), (10, 10)).sum() == 1
    assert not mask_at(square(100, 50, 50, 2, 2), (10, 10)).any()


def test_growing_and_shrinking_a_square():
    mask = square(20, 8, 8, 4, 4)
    assert dilate(mask, 3).sum() == 36
    assert erode(mask, 3).sum() == 4


def test_a_text_that_fits_is_one_line():
    assert wrap("the  blue\nship", FONT, 500, 3) == ["the blue ship"]
    assert wrap("", FONT, 500, 3) == []


def test_the_last_line_says_that_there_was_more():
    lines = wrap("the large white storage tank near the river and the bridge", FONT, 120, 2)
    assert len(lines) == 2
    assert lines[1].endswith("…")


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=80), st.integers(1, 6))
def test_lines_keep_every_letter_and_fit(text, max_lines):
    room = 110
    lines = wrap(text, FONT, room, max_lines)
    assert len(lines) <= max_lines
    assert all(FONT.getlength(line) <= room for line in lines)
    joined = "".join("".join(lines).split())
    whole = "".join(text.split())
    assert joined == whole or (joined.endswith("…") and whole.startswith(joined[:-1]))


@pytest.mark.parametrize(("text", "lacks"), [("die Dächer", True), ("the roofs, 2 of 3 …", False), ("船", True)])
def test_letters_that_the_built_in_font_lacks_ask_for_another(monkeypatch, text, lacks):
    asked = []
    monkeypatch.setattr(drawing, "_named_font", lambda name, size: asked.append(name))
    font_for(text, 14)
    assert bool(asked) == lacks


def test_text_beyond_latin_gets_a_font_and_is_cut_to_the_width():
    font = font_for("船", 14)
    assert font.getlength(shorten("船" * 80, font, 100)) <= 100


def test_a_text_of_any_length_is_cut_in_a_few_measurements():
    measured = []

    class Font:
        def getlength(self, text):
            measured.append(len(text))
            return 10 * len(text)

    assert shorten("ab " * 100_000, Font(), 205) == "ab ab ab ab ab ab a…"
    assert wrap("a" * 100_000, Font(), 50, 2) == ["aaaaa", "aaaa…"]
    assert [len(line) for line in wrap("ab " * 50_000, Font(), 50, 3)] == [5, 5, 5]
    assert len(measured) < 150
    assert max(measured) < 3000


@pytest.mark.parametrize(
    ("ground", "colour"),
    [((90, 110, 80), COLOURS[0]), ((220, 40, 70), COLOURS[1]), ((255, 255, 255), COLOURS[0]), ((0, 0, 0), COLOURS[0])],
)
def test_the_colour_of_a_mask_stands_out_from_the_image(ground, colour):
    pixels = np.full((40, 40, 3), ground, np.uint8)
    mask = np.zeros((40, 40), bool)
    mask[10:20, 10:20] = True
    assert colour_against(pixels, mask) == colour
    assert colour_against(pixels, None) == colour
