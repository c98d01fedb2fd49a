"""Samples with finished sentences are varied only as far as the sentence stays true, the same in every process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rs2sam.datasets.base import Mask, Sample
from rs2sam.datasets.english.wording import FLIP_LEFT_RIGHT, Turn
from rs2sam.datasets.images import Pixels
from rs2sam.datasets.mixing.variation import (
    Variation,
    VariedSample,
    VariedSamples,
    draw_black_squares,
    draw_turn,
    draw_window,
    recolour,
)
from rs2sam.errors import InvalidInputError

EVERYTHING = Variation(flip=0.5, quarter_turn=0.5, crop=0.5, jitter=0.2, mosaic=0.3, complete=True, black_squares=0.5)
SIDE = 32


def picture(seed: int, height: int = 40, width: int = 48) -> Pixels:
    return np.random.default_rng(seed).integers(1, 256, (height, width, 3), dtype=np.uint8)


def block(height: int = 40, width: int = 48, box: tuple[int, int, int, int] = (4, 6, 16, 20)) -> Mask:
    mask = np.zeros((height, width), dtype=bool)
    x0, y0, x1, y1 = box
    mask[y0:y1, x0:x1] = True
    return mask


def sample(number: int, sentence: str = "the ship", category: str | None = "ship", **changes: object) -> Sample:
    values = {"mask": block(), "image_id": f"image-{number}", "ref_id": f"ref-{number}", **changes}
    return Sample(picture(number), sentence, id=f"sample-{number}", category=category, **values)  # type: ignore[arg-type]


def assert_equal(one: VariedSample, other: VariedSample) -> None:
    assert (one.sentence, one.sample_id) == (other.sentence, other.sample_id)
    for name in ("rgb", "mask", "image"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def draw_varied(
    samples: Sequence[Sample], index: int, epoch: int, seed: int, side: int, variation: Variation
) -> VariedSample:
    """One sample, as nothing drawn before could have changed it."""
    return VariedSamples(samples, seed, side, variation).draw(index, epoch)


def test_without_variation_a_sample_is_the_published_one() -> None:
    original = sample(0, "the left ship")
    varied = draw_varied([original], 0, epoch=3, seed=1, side=SIDE, variation=Variation())
    resized = Image.fromarray(original.pixels()).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    target = Image.fromarray(block()).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(varied.rgb, np.asarray(resized))
    np.testing.assert_array_equal(varied.mask, np.asarray(target))
    np.testing.assert_array_equal(varied.image, original.pixels())
    assert (varied.sentence, varied.sample_id) == ("the left ship", "sample-0")
    assert (varied.rgb.dtype, varied.mask.dtype) == (np.uint8, np.bool_)


def test_an_annotation_of_a_slightly_other_size_is_resized_in_one_step() -> None:
    # As RRSIS-D's image 15324, 787 x 800 with an annotation of 800 x 800.
    mask = np.random.default_rng(0).random((800, 800)) < 0.5
    odd = Sample(np.zeros((787, 800, 3), np.uint8), "the ship", mask, "odd")
    varied = draw_varied([odd], 0, 0, 0, SIDE, Variation())
    expected = Image.fromarray(mask).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(varied.mask, np.asarray(expected))


def test_nothing_meant_is_an_empty_target() -> None:
    varied = draw_varied([sample(0, mask=None)], 0, 0, 0, SIDE, EVERYTHING)
    assert varied.mask.shape == (SIDE, SIDE)
    assert not varied.mask.any()


@given(st.integers(0, 5), st.integers(0, 3), st.integers(0, 9))
@settings(max_examples=25)
def test_a_draw_depends_on_seed_epoch_and_index_alone(index: int, epoch: int, seed: int) -> None:
    samples = [sample(i, category=name) for i, name in enumerate(("ship", "tank", "dam", "pool", "court", "ship"))]
    drawn = VariedSamples(samples, seed, SIDE, EVERYTHING)
    drawn.draw(5 - index, epoch)  # what was drawn before does not matter
    assert_equal(drawn.draw(index, epoch), draw_varied(samples, index, epoch, seed, SIDE, EVERYTHING))


def test_epochs_vary_the_same_sample_differently() -> None:
    drawn = VariedSamples([sample(0)], 0, SIDE, Variation(flip=0.5, quarter_turn=0.5))
    assert len({drawn.draw(0, epoch).rgb.tobytes() for epoch in range(90)}) == 8  # all ways to lay a picture


def test_a_flipped_sample_says_so() -> None:
    original = sample(0, "the ship on the left, behind the pier")  # `behind` forbids all turns but this one
    varied = draw_varied([original], 0, 0, 0, SIDE, Variation(flip=1.0))
    plain = draw_varied([original], 0, 0, 0, SIDE, Variation())
    assert varied.sentence == "the ship on the right, behind the pier"
    np.testing.assert_array_equal(varied.mask, plain.mask[:, ::-1])
    np.testing.assert_array_equal(varied.image, plain.image[:, ::-1])


@given(st.integers(0, 200))
@settings(max_examples=30)
def test_target_and_corner_stay_together_through_all_turns(epoch: int) -> None:
    height, width = 40, 48
    image = np.full((height, width, 3), 50, np.uint8)
    image[:20, :24] = 200
    original = Sample(image, "the field in the upper left", block(box=(0, 0, 24, 20)), "one")
    varied = draw_varied([original], 0, epoch, 0, SIDE, Variation(flip=0.5, quarter_turn=0.5))
    half = SIDE // 2
    rows = slice(0, half) if "upper" in varied.sentence else slice(half, SIDE)
    columns = slice(0, half) if "left" in varied.sentence else slice(half, SIDE)
    assert varied.mask[rows, columns].all()
    assert varied.mask.sum() == half * half
    assert varied.rgb[varied.mask].mean() > 190


def test_a_sentence_that_cannot_be_turned_keeps_its_image() -> None:
    original = sample(0, "the second ship")
    varied = draw_varied([original], 0, 0, 0, SIDE, Variation(flip=1.0, quarter_turn=1.0))
    assert_equal(varied, draw_varied([original], 0, 0, 0, SIDE, Variation()))


def test_flips_that_can_be_said_are_chosen_among() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_turn("the house behind the left pool", rng, flip=True, quarter_turn=False) for _ in range(10)]
    assert drawn == [(FLIP_LEFT_RIGHT, "the house behind the right pool")] * 10
    turns = {draw_turn("the pool", rng, flip=True, quarter_turn=True)[0] for _ in range(60)}
    assert turns == {Turn(k, mirror=True) for k in range(4)}


@given(st.integers(0, 10_000), st.integers(0, 47), st.integers(0, 39), st.integers(1, 48), st.integers(1, 40))
def test_a_part_lies_in_the_image_and_holds_the_whole_target(
    seed: int, x: int, y: int, width: int, height: int
) -> None:
    target = block(box=(x, y, x + width, y + height))
    x0, y0, x1, y1 = draw_window(target, np.random.default_rng(seed), 0.5)
    assert 0 <= x0 < x1 <= 48
    assert 0 <= y0 < y1 <= 40
    assert target[y0:y1, x0:x1].sum() == target.sum()
    assert x1 - x0 >= 24
    assert y1 - y0 >= 20


def test_only_sentences_that_claim_nothing_of_the_rest_are_cropped() -> None:
    for sentence, is_cropped in (("the red ship", True), ("the largest ship", False), ("the ship near a pier", False)):
        varied = draw_varied([sample(0, sentence)], 0, 0, 0, SIDE, Variation(crop=1.0, smallest_crop=0.5))
        assert (varied.image.shape != (40, 48, 3)) == is_cropped
        assert varied.sentence == sentence


def test_a_crop_of_an_image_without_the_object_may_be_any_part() -> None:
    x0, y0, x1, y1 = draw_window(np.zeros((40, 48), bool), np.random.default_rng(1), 0.5)
    assert (x1 - x0) / 48 == pytest.approx((y1 - y0) / 40, abs=0.05)


def test_colours_that_are_named_keep_their_hue() -> None:
    image = np.full((2, 2, 3), (100, 50, 20), np.uint8)
    rng = np.random.default_rng(0)
    brighter = recolour(image, "the red ship", rng, 0.3)[0, 0].astype(float)
    assert brighter[0] != 100
    np.testing.assert_allclose(brighter / brighter[0], (1, 0.5, 0.2), atol=0.02)
    np.testing.assert_array_equal(recolour(image, "the dark ship", rng, 0.3), image)
    free = recolour(image, "the ship", rng, 0.3)[0, 0].astype(float)
    assert not np.allclose(free / free[0], (1, 0.5, 0.2), atol=0.02)


def mosaic_of(samples: list[Sample], *, complete: bool) -> VariedSample:
    return draw_varied(samples, 0, 0, 0, SIDE, Variation(mosaic=1.0, complete=complete))


def is_mosaic(varied: VariedSample) -> bool:
    return varied.image.shape == (SIDE, SIDE, 3)


OTHERS = [sample(i, "the " + name, name) for i, name in enumerate(("tank", "dam", "pool"), start=1)]
DENIALS = [sample(i, "the ships", "ship", mask=None) for i in (1, 2, 3)]


@pytest.mark.parametrize(("others", "complete"), [(OTHERS, True), ([*OTHERS, *DENIALS], False), (DENIALS, False)])
def test_a_mosaic_shows_the_target_in_one_quarter_and_no_other_of_its_class(
    others: list[Sample], complete: bool
) -> None:
    varied = mosaic_of([sample(0), *others], complete=complete)
    half = SIDE // 2
    quarters = [(slice(y, y + half), slice(x, x + half)) for y in (0, half) for x in (0, half)]
    meant = [quarter for quarter in quarters if varied.mask[quarter].any()]
    assert len(meant) == 1
    small = draw_varied([sample(0)], 0, 0, 0, half, Variation())
    np.testing.assert_array_equal(varied.rgb[meant[0]], small.rgb)
    np.testing.assert_array_equal(varied.mask[meant[0]], small.mask)
    shown = {varied.rgb[quarter].tobytes() for quarter in quarters}
    assert shown == {draw_varied([one], 0, 0, 0, half, Variation()).rgb.tobytes() for one in (sample(0), *others)}


@pytest.mark.parametrize(
    ("first", "others", "complete"),
    [
        (sample(0, "the ship on the left"), OTHERS, True),
        (sample(0, "the largest ship"), OTHERS, True),
        (sample(0, category=None), OTHERS, True),
        (sample(0), OTHERS[:2], True),
        (sample(0), [*OTHERS[:2], sample(3, category="ship")], True),
        (sample(0), [*OTHERS[:2], sample(3, category=None)], True),
        # The third image shows ships too, as another sentence says.
        (sample(0), [*OTHERS, sample(3, "the ship", "ship")], True),
        (sample(0, "the cargo ship", "cargo ship"), [*OTHERS[:2], sample(3, category="ships")], True),
        (sample(0, "the ship, no tank"), OTHERS, True),
        # A target of one pixel vanishes at half size.
        (sample(0, mask=block(box=(5, 5, 6, 6))), OTHERS, True),
        # That an image names other classes does not say that it shows nothing else.
        (sample(0), OTHERS, False),
        # Where no red ship is there may be a white one.
        (sample(0), [*DENIALS[:2], sample(3, "the red ship", "ship", mask=None)], False),
        (sample(0, category="tank"), DENIALS, False),
    ],
)
def test_no_mosaic_where_the_sentence_may_turn_false(first: Sample, others: list[Sample], complete: bool) -> None:
    assert not is_mosaic(mosaic_of([first, *others], complete=complete))


def test_black_squares_are_of_the_published_number_and_size() -> None:
    image = np.full((800, 800, 3), 255, np.uint8)
    black = [(draw_black_squares(image, np.random.default_rng(seed)) == 0).all(-1) for seed in range(40)]
    assert (image == 255).all()
    areas = np.array([mask.sum() for mask in black])
    assert areas.max() <= 60 * 32**2
    assert areas.min() >= 0.5 * 20 * 32**2  # some overlap
    # Every black pixel is in a whole square: opening with one changes nothing.
    one = black[0]
    windows = np.lib.stride_tricks.sliding_window_view(one, (32, 32)).all((2, 3))
    covered = np.zeros_like(one)
    for y, x in zip(*np.nonzero(windows), strict=True):
        covered[y : y + 32, x : x + 32] = True
    np.testing.assert_array_equal(covered, one)


def test_a_fixed_fifth_of_the_references_gets_black_squares_in_the_image_only() -> None:
    # Eleven references with two sentences each: int(0.2 * 11) = 2 of them.
    samples = [sample(i, sentence) for i in range(11) for sentence in ("the ship", "the vessel")]
    drawn = VariedSamples(samples, 5, SIDE, Variation(black_squares=0.2))
    plain = VariedSamples(samples, 5, SIDE, Variation())
    squared = []
    for epoch in range(2):
        changed = [not np.array_equal(drawn.draw(i, epoch).image, plain.draw(i).image) for i in range(22)]
        squared.append([samples[i].ref_id for i in range(22) if changed[i]])
        np.testing.assert_array_equal(drawn.draw(0, epoch).mask, plain.draw(0).mask)
    assert squared[0] == squared[1]
    assert len(squared[0]) == 4
    assert len(set(squared[0])) == 2
    position = next(i for i in range(22) if samples[i].ref_id == squared[0][0])
    assert not np.array_equal(drawn.draw(position, 0).image, drawn.draw(position, 1).image)


@pytest.mark.parametrize(
    "changes",
    [{"flip": 1.5}, {"crop": -0.1}, {"smallest_crop": 0.0}, {"jitter": "much"}, {"mosaic": True}, {"complete": 1.0}],
)
def test_shares_outside_their_range_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match=r"variation\.\w+.*received"):
        Variation(**changes)


def test_pixels_of_which_nothing_is_known_move_with_the_image():
    """The unknown block is painted white, so it can be found again in whatever is drawn."""
    image, unknown = picture(0) // 2, block(box=(20, 22, 44, 38))
    image[unknown] = 255
    one = sample(0, category=None, ignore=unknown, mask=block(box=(2, 2, 16, 18)))
    one = Sample(image, "the ship", one.mask, "a", ignore=unknown)
    variation = Variation(flip=0.5, quarter_turn=0.5, crop=0.5)
    for epoch in range(12):
        drawn = VariedSamples([one], 0, 48, variation).draw(0, epoch)
        white = (np.asarray(Image.fromarray(drawn.image).resize((48, 48), Image.Resampling.NEAREST)) == 255).all(axis=2)
        assert np.mean(white == drawn.ignore) > 0.99
    assert VariedSamples([sample(1)], 0, 48, variation).draw(0).ignore is None


def test_in_a_mosaic_only_the_samples_own_quarter_may_be_unknown():
    others = [sample(n, "the plane", "airplane") for n in (1, 2, 3)]
    one = sample(0, ignore=np.ones((40, 48), bool))
    drawn = VariedSamples([one, *others], 0, SIDE, Variation(mosaic=1, complete=True)).draw(0)
    assert drawn.ignore.sum() == SIDE * SIDE / 4
    assert not (drawn.mask & ~drawn.ignore).any()
