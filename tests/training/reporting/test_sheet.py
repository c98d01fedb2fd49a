"""The picture sheet: colours stand where they should."""

from __future__ import annotations

import numpy as np
import pytest

from rs2sam.training.reporting.sheet import FOUND, MISSED, TARGET, TOO_MUCH, Shown, draw_sheet


def shown(height: int = 60, width: int = 60, *, sentence: str = "the left half") -> Shown:
    """The left half is meant, the upper half is found."""
    target, mask = np.zeros((2, height, width), dtype=bool)
    target[:, : width // 2] = True
    mask[: height // 2] = True
    return Shown(np.zeros((height, width, 3), np.uint8), target, mask, sentence, 1 / 3)


def share(pixels: np.ndarray, colour: tuple[int, int, int], fill: float) -> int:
    """Pixels tinted with a colour over black."""
    return int((np.abs(pixels - fill * np.array(colour)).max(axis=-1) <= 1).sum())


def test_sheet_shows_target_and_each_kind_of_pixel_of_the_answer():
    pixels = np.asarray(draw_sheet([shown()], "step 10"), dtype=float)
    quarter = 130 * 130  # of a panel
    assert [share(pixels, colour, 0.65) for colour in (FOUND, TOO_MUCH, MISSED)] == [quarter] * 3
    assert share(pixels, TARGET, 0.42) == pytest.approx(2 * quarter, rel=0.15)  # its outline takes some of it


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_sheet_grows_by_rows_of_two(count):
    one, two = draw_sheet([shown()], "a"), draw_sheet([shown()] * 2, "a")
    sheet = draw_sheet([shown()] * count, "a")
    assert sheet.width == (one if count == 1 else two).width
    assert sheet.height - 44 == (one.height - 44) * -(-count // 2)


def test_rows_are_as_high_as_their_pictures():
    flat, square = draw_sheet([shown(30, 60)], "a"), draw_sheet([shown()], "a")
    assert square.height - flat.height == 130


def test_sheet_takes_images_of_any_shape_and_sentences_of_any_length():
    samples = [
        shown(30, 300),
        shown(900, 100, sentence="ein sehr langer Satz " * 30),
        shown(1, 1, sentence="白色的飞机"),
    ]
    assert draw_sheet(samples, "a title " * 40).mode == "RGB"


def test_empty_target_is_said():
    empty = shown()
    nothing = Shown(empty.rgb, np.zeros_like(empty.target), np.zeros_like(empty.mask), "a", 1.0)
    something = Shown(empty.rgb, empty.target, np.zeros_like(empty.mask), "a", 1.0)
    assert draw_sheet([nothing], "a").tobytes() != draw_sheet([something], "a").tobytes()
