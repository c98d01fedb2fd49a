from __future__ import annotations

import io

import numpy as np
from PIL import Image

from rs2sam.evaluation.gallery import FOUND_COLOUR, MISSED_COLOUR, TOO_MUCH_COLOUR, against_target, choose, draw_picture
from tests.evaluation.stand_in import StandIn, result, rows, sample, two_rows


def names(results, protocol="native", count=2):
    return {gallery: [results[k].id for k in places] for gallery, places in choose(results, protocol, count).items()}


def test_worst_median_and_best_by_hand():
    results = [result(f"{iou}", (iou, 10)) for iou in (1, 9, 5, 4, 8)]
    assert names(results) == {"worst": ["1", "4"], "median": ["5", "4"], "best": ["9", "8"]}


def test_of_equally_bad_answers_the_one_with_most_wrong_pixels_is_worst():
    results = [result("small", (0, 10)), result("large", (0, 500)), result("good", (10, 10))]
    assert names(results)["worst"] == ["large", "small"]


def test_a_right_empty_answer_is_not_shown():
    results = [result("empty", (0, 0), is_empty=True), result("a", (1, 2))]
    for protocol in ("native", "published"):
        assert names(results, protocol) == {"worst": ["a"], "median": ["a"], "best": ["a"]}


def test_an_image_comes_twice_only_where_there_is_no_other():
    results = [
        result("a1", (0, 9), image_id="a"),
        result("a2", (0, 8), image_id="a"),
        result("b", (1, 9), image_id="b"),
    ]
    assert names(results)["worst"] == ["a1", "b"]
    assert names(results, count=3)["worst"] == ["a1", "b", "a2"]


def test_no_gallery_where_none_is_wanted_or_nothing_can_be_shown():
    assert names([result("a", (1, 2))], count=0) == {"worst": [], "median": [], "best": []}
    assert names([result("a", (0, 0))]) == {"worst": [], "median": [], "best": []}


def test_a_picture_is_three_images_side_by_side():
    picture = draw_picture(StandIn(two_rows), sample("a", rows(1)), result("a", (1, 2)), "native", side=32)
    with Image.open(io.BytesIO(picture.jpeg)) as strip:
        assert (strip.format, strip.size) == ("JPEG", (3 * 32 + 2 * 6, 32))
        seen = np.asarray(strip).astype(int)
    assert np.abs(seen[28, 4] - 0).max() < 12  # the image is black
    assert seen[4, 38 + 16].max() > 60  # the target is tinted
    found, too_much = seen[2, 76 + 16], seen[12, 76 + 16]
    assert np.argmax(found) == np.argmax(FOUND_COLOUR)
    assert np.argmax(too_much) == np.argmax(TOO_MUCH_COLOUR)
    assert picture.data_url.startswith("data:image/jpeg;base64,/9j/")


def test_a_picture_shows_the_answer_to_the_sentence_that_was_measured():
    asked = []

    def answer(sentence, size_hw):
        asked.append(sentence)
        return two_rows(sentence, size_hw)

    meant = sample("road marking", rows(1), raw_sentence="road marking\n")
    for protocol in ("published", "native"):
        draw_picture(StandIn(answer), meant, result("a", (1, 2)), protocol)
    assert asked == ["road marking\n", "road marking"]


def test_found_too_much_and_missed_have_their_colours():
    rgb = np.zeros((1, 4, 3), np.uint8)
    mask, target = np.array([[True, True, False, False]]), np.array([[True, False, True, False]])
    shown = np.asarray(against_target(rgb, mask, target))[0].tolist()
    assert shown[3] == [0, 0, 0]
    for pixel, colour in zip(shown, (FOUND_COLOUR, TOO_MUCH_COLOUR, MISSED_COLOUR), strict=False):
        assert pixel == [int(0.55 * value) for value in colour]
