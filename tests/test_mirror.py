"""Averaging over mirror images."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rs2sam import Segmenter
from rs2sam.backends import BackendOutput
from rs2sam.cli import main
from rs2sam.mirror import MirroringSegmenter, mirrors_well
from rs2sam.pictures import one_per_sentence
from tests.small_model import IMAGE_SIZE, small_processor, write_small_model

CELLS = IMAGE_SIZE // 4
SHARE = 1 / (1 + np.exp(-3.0))
"""Foreground probability at a logit of 2: sigmoid(2 * 2 - 1)."""


class LeftBackend:
    """Says "left half" of whatever it sees, and presence and score by the brightness of the first column."""

    name = "left"
    batch_size = 4
    has_presence = has_score = True

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run(self, pixel_values, union_pixel_values, input_ids, attention_mask):
        size = len(input_ids)
        self.batches.append(size)
        pixel_values = one_per_sentence(pixel_values, size)
        logits = np.full((size, CELLS, CELLS), -1.0, np.float32)
        logits[:, :, : CELLS // 2] = 2.0
        bright = pixel_values[:, :, :, 0].mean((1, 2)) > 0
        return BackendOutput(
            low_res_logits=logits,
            pseudo_mask=np.zeros((size, 2, 2), np.float32),
            presence_logits=np.where(bright, 30.0, -30.0).astype(np.float32),
            iou_scores=np.where(bright, 0.9, 0.5).astype(np.float32),
        )


def half_bright():
    """Left half white, right half black."""
    rgb = np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    rgb[:, : IMAGE_SIZE // 2] = 255
    return rgb


def test_probability_presence_and_score_are_the_means_of_view_and_mirror_image():
    segmenter = MirroringSegmenter(Segmenter(small_processor(), LeftBackend()))
    (found,) = segmenter.segment_views([(half_bright(), "the roof")])
    # Left: 0.95 from the view and 1 - 0.95 = sigmoid(-3) from the mirror image, whose left is the view's right.
    assert found.probability[:, 0] == pytest.approx((SHARE + 1 - SHARE) / 2, abs=1e-3)
    assert found.probability[:, -1] == pytest.approx(0.5, abs=1e-3)
    assert found.presence == pytest.approx(0.5)
    assert found.score == pytest.approx(0.7)


def test_a_sentence_of_sides_is_asked_of_the_view_alone():
    backend = LeftBackend()
    plain = Segmenter(small_processor(), backend)
    pairs = [(half_bright(), "the roof on the left"), (half_bright(), "the roof")]
    first, _ = plain.segment_views(pairs)
    mirrored, _ = MirroringSegmenter(plain).segment_views(pairs)
    assert np.array_equal(mirrored.probability, first.probability)
    assert mirrored.presence == first.presence
    assert backend.batches == [2, 2, 1]


@pytest.mark.parametrize(
    "sentence",
    [
        *("the leftmost ship", "upper-right roof", "the Western tank", "the tank in the southeast", "far left"),
        *(
            "topleft tank",
            "upper_left tank",
            "ship lefmost",
            "the rihgtmost ship",
            "NW corner tank",
            "tank in the n.e.",
        ),
        *("the suothwest tank", "the ship at ten o'clock"),
    ],
)
def test_words_of_left_and_right_are_known(sentence: str):
    assert not mirrors_well(sentence)


@pytest.mark.parametrize("sentence", ["the brightest roof", "at least two ships", "the largest pool", "northern road"])
def test_other_words_may_be_mirrored(sentence: str):
    assert mirrors_well(sentence)


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_mean_over_mirror_images_is_mirrored_with_the_view(height: int, width: int):
    segmenter = MirroringSegmenter(Segmenter(small_processor(), LeftBackend()))
    rgb = np.random.default_rng(height * 41 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    straight, turned = (segmenter.segment_views([(view, "the roof")])[0] for view in (rgb, rgb[:, ::-1].copy()))
    assert straight.probability == pytest.approx(turned.probability[:, ::-1], abs=1e-6)


def test_segment_says_that_it_mirrored(tmp_path):
    write_small_model(tmp_path / "model")
    Image.fromarray(half_bright()).save(tmp_path / "view.png")
    command = ["segment", str(tmp_path / "view.png"), "the roof", "-o", str(tmp_path / "out"), "--mirror", "--json"]
    done = CliRunner().invoke(main, [*command, "--model", str(tmp_path / "model")])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["model"]["backend"] == "torch, mirrored"
