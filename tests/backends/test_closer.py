"""What is small is looked at again, with more pixels; everything else is answered by the first look."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rs2sam import Segmenter
from rs2sam.backends.closer import share_inside
from rs2sam.backends.protocol import BackendOutput
from rs2sam.processing import Processor
from rs2sam.processing_config import CloserLook, ProcessingConfig
from rs2sam.tokenizer import SentenceTokenizer

TOKENIZER = Path(__file__).parents[2] / "src" / "rs2sam" / "weights" / "compact" / "tokenizer.model"

BLOCK_OF_THREE = np.zeros((8, 8), bool)
BLOCK_OF_THREE[2:5, 3:6] = True
IN_THE_CORNER = np.zeros((8, 8), bool)
IN_THE_CORNER[:3, :3] = True


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (BLOCK_OF_THREE, 1 / 9),
        (IN_THE_CORNER, 4 / 9),  # what lies outside counts as found
        (np.eye(8, dtype=bool), 0.0),
        (np.ones((3, 5), bool), 1.0),
        (np.zeros((3, 5), bool), 1.0),
    ],
)
def test_share_inside_is_of_cells_with_all_their_neighbours(found, expected):
    assert share_inside(found) == pytest.approx(expected)


class Seeing:
    """A backend that finds a block of cells as large as it is told, and counts what it is asked.

    Args:
        side: of the block in the first look [cells].
        presence: logit of its presence.
    """

    name = "seeing"
    batch_size = 4
    has_presence, has_score = True, True

    def __init__(self, side: int, presence: float = 4.0) -> None:
        self.side, self.presence = side, presence
        self.encoded: list[tuple[int, ...]] = []
        self.answered: list[tuple[int, int]] = []

    def encode(self, pixel_values):
        self.encoded.append(pixel_values.shape)
        return [one.shape[1:] for one in pixel_values]

    def answer(self, encodings, input_ids, attention_mask):
        height, width = encodings[0]
        self.answered.append((width, len(input_ids)))
        logits = np.full((len(input_ids), height // 4, width // 4), -3.0, np.float32)
        side = self.side if width == 64 else 1  # one cell in the closer look
        logits[:, 4 : 4 + side, 4 : 4 + side] = 4.0
        said = np.full(len(input_ids), self.presence, np.float32)
        return BackendOutput(logits, presence_logits=said, iou_scores=np.full(len(input_ids), 0.75, np.float32))


@pytest.fixture(scope="module")
def closer():
    config = ProcessingConfig(
        64, 0, 24, keeps_aspect=True, max_enlargement=2.0, closer_look=CloserLook(128, 0.2), min_presence=0.5
    )
    return Processor(config, SentenceTokenizer.from_file(TOKENIZER))


def image(side=128):
    return np.zeros((side, side, 3), np.uint8)


def test_what_is_small_is_answered_by_a_closer_look(closer):
    backend = Seeing(side=3)  # one of nine cells lies inside: 0.11
    found = Segmenter(closer, backend).segment_views([(image(), "the ship")])[0]
    assert backend.encoded == [(1, 3, 64, 64), (1, 3, 128, 128)]
    # One cell of 32 across 128 pixels, in place of three of 16.
    assert np.argwhere(found.mask).mean(axis=0) == pytest.approx([17.5, 17.5])
    assert 9 <= found.mask.sum() <= 25
    assert found.presence == pytest.approx(1 / (1 + np.exp(-4)))
    assert found.score == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("backend", "side"),
    [
        (Seeing(side=4), 128),  # a quarter lies inside
        (Seeing(side=0), 128),  # nothing was found
        (Seeing(side=3, presence=-1.0), 128),  # it is answered "nothing" anyway
        (Seeing(side=3), 36),  # 72 px are no closer look than 64
    ],
)
def test_nothing_else_is_looked_at_again(backend, side, closer):
    Segmenter(closer, backend).segment_views([(image(side), "the ship")])
    assert backend.answered == [(64, 1)]


def test_a_model_without_a_closer_look_has_none(closer):
    backend = Seeing(side=3)
    plain = Processor(replace(closer.config, closer_look=None), closer.tokenizer)
    Segmenter(plain, backend).segment_views([(image(), "the ship")])
    assert len(backend.encoded) == 1


def test_a_picture_is_looked_at_closer_once_for_all_its_sentences(closer):
    backend = Seeing(side=3)
    encoded = Segmenter(closer, backend).encode(image())
    many = encoded.segment_many(["the ship", "the plane", "all ships"])
    again = encoded.segment("the ship")
    assert backend.encoded == [(1, 3, 64, 64), (1, 3, 128, 128)]
    assert [width for width, _ in backend.answered] == [64, 128, 64, 128]
    for one in many:
        np.testing.assert_array_equal(one.mask, again.mask)


def test_sentences_of_a_batch_keep_their_answers(closer):
    """The second picture is too small for a closer look."""
    segmenter = Segmenter(closer, Seeing(side=3))
    pairs = [(image(), "the ship"), (image(36), "the ship"), (image(), "a plane")]
    together = segmenter.segment_views(pairs, batch_size=4)
    for pair, one in zip(pairs, together, strict=True):
        alone = segmenter.segment_views([pair])[0]
        np.testing.assert_array_equal(one.mask, alone.mask)
        assert one.mask.shape == pair[0].shape[:2]
