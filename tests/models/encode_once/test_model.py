"""The model that encodes once: what depends on what, conventions, heads, folding, saving."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from rs2sam.errors import InvalidInputError
from rs2sam.models.encode_once.configuration import EncodeOnceConfig
from rs2sam.models.encode_once.model import EncodeOnceModel
from tests.models.encode_once.small import random_ids, random_pixels, small_once

FIELDS = ("low_res_logits", "pseudo_mask", "presence_logits", "known_logits", "iou_scores")


@torch.no_grad()
def test_shapes_of_an_oblong_picture_and_three_sentences() -> None:
    model = small_once()
    pixels = random_pixels(1, 3, 64, 96)
    encoding = model.encode(pixels)
    assert [tuple(one.shape) for one in encoding] == [
        (1, 32, 16, 24),
        (1, 32, 1, 2),
        (1, 32, 8, 12),
        (1, 32, 4, 6),
        (1, 4, 16, 24),
    ]
    output = model(pixels, random_ids(5, 9, 7))
    assert output.mask_logits.shape == (3, 1, 64, 96)
    assert output.low_res_logits.shape == output.pseudo_mask.shape == (3, 1, 16, 24)
    assert output.presence_logits.shape == output.known_logits.shape == output.iou_scores.shape == (3,)
    expected = F.interpolate(output.low_res_logits, size=(64, 96), mode="bilinear")
    torch.testing.assert_close(output.mask_logits, expected)


@torch.no_grad()
def test_an_encoded_picture_answers_as_the_picture_does() -> None:
    model, pixels = small_once(), random_pixels(2, 3, 64, 64)
    encoding = model.encode(pixels)
    for ids in (random_ids(5, 9), random_ids(4, 4, 8, 3, seed=1)):
        whole, parts = model(pixels, ids), model.answer(encoding, ids)
        for name in FIELDS:
            torch.testing.assert_close(getattr(parts, name), getattr(whole, name))


@torch.no_grad()
def test_sentences_of_a_batch_do_not_change_each_other() -> None:
    model, pixels = small_once(), random_pixels(2, 3, 64, 96)
    ids = random_ids(6, 9, 4, 7)
    together = model(pixels, ids)
    for row, length in enumerate((6, 9, 4, 7)):
        alone = model(pixels[row // 2 : row // 2 + 1], ids[row : row + 1, :length])
        for name in FIELDS:
            torch.testing.assert_close(getattr(together, name)[row], getattr(alone, name)[0], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_what_is_left_out_of_attention_is_padding() -> None:
    model, pixels, ids = small_once(), random_pixels(1, 3, 64, 64), random_ids(8)
    masked = model(pixels, ids, torch.tensor([[1] * 6 + [0] * 2]))
    torch.testing.assert_close(masked.low_res_logits, model(pixels, ids[:, :6]).low_res_logits, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_known_head_reads_the_sentence_alone() -> None:
    model, ids = small_once(), random_ids(6, 9)
    one, other = (model(random_pixels(1, 3, 64, 64, seed=seed), ids) for seed in (0, 1))
    torch.testing.assert_close(one.known_logits, other.known_logits)
    assert not torch.allclose(one.low_res_logits, other.low_res_logits)


@torch.no_grad()
def test_behind_a_closed_gate_the_prompt_is_the_mask() -> None:
    model, pixels, ids = small_once(), random_pixels(1, 3, 64, 64), random_ids(6)
    opened = model(pixels, ids)
    model.gate.fill_(0.0)
    closed = model(pixels, ids)
    # The convention of the logits x: a pixel is foreground where x > 0.5, its probability is sigmoid(2x - 1).
    torch.testing.assert_close((2 * closed.low_res_logits - 1).sigmoid(), closed.pseudo_mask)
    torch.testing.assert_close(opened.pseudo_mask, closed.pseudo_mask)
    assert not torch.allclose(opened.low_res_logits, closed.low_res_logits)


@torch.no_grad()
def test_the_prompt_is_a_product_with_the_pixel_embedding() -> None:
    model = small_once()
    fine, vector = random_pixels(1, 32, 8, 8), random_pixels(2, 33, seed=1)
    prompt = model.prompt(fine, vector)
    by_hand = sum(float(vector[1, c]) * float(fine[0, c, 3, 5]) for c in range(32)) / 32**0.5 + float(vector[1, 32])
    assert float(prompt[1, 0, 3, 5]) == pytest.approx(by_hand, abs=1e-5)


def test_the_loss_of_the_presence_reaches_no_other_part() -> None:
    model = small_once()
    model(random_pixels(1, 3, 64, 64), random_ids(5)).presence_logits.sum().backward()
    reached = {name.partition(".")[0] for name, one in model.named_parameters() if one.grad is not None}
    assert reached == {"presence"}


def test_every_other_part_is_reached_by_the_rest() -> None:
    model = small_once()
    output = model(random_pixels(1, 3, 64, 64), random_ids(5))
    (output.low_res_logits.square().sum() + output.known_logits.sum() + output.iou_scores.sum()).backward()
    idle = {name for name, one in model.named_parameters() if one.grad is None}
    # SAM 2 has more mask tokens than the one that is read, and a presence of its own.
    of_sam = ("mask_decoder.output_hypernetworks_mlps", "mask_decoder.pred_obj_score_head")
    assert {name for name in idle if not name.startswith(("presence.", *of_sam))} == set()


@torch.no_grad()
def test_folded_weights_answer_alike_and_load_again(tmp_path: Path) -> None:
    model, pixels, ids = small_once(), random_pixels(1, 3, 64, 64), random_ids(5)
    expected = model(pixels, ids).low_res_logits
    model.fold()
    torch.testing.assert_close(model(pixels, ids).low_res_logits, expected)
    assert not [name for name in model.state_dict() if name.endswith((".gamma", ".var"))]
    model.save_pretrained(tmp_path)
    assert EncodeOnceConfig.from_pretrained(tmp_path).folded
    loaded = EncodeOnceModel.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(loaded(pixels, ids).low_res_logits, expected)


@torch.no_grad()
def test_unfolded_weights_load_again(tmp_path: Path) -> None:
    model, pixels, ids = small_once(), random_pixels(1, 3, 64, 64), random_ids(5)
    model.save_pretrained(tmp_path)
    loaded = EncodeOnceModel.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(loaded(pixels, ids).low_res_logits, model(pixels, ids).low_res_logits)


@torch.no_grad()
def test_without_a_decoder_the_prompt_is_the_mask_and_has_no_weights_of_one() -> None:
    whole, model = small_once(), small_once(has_decoder=False, has_score=False)
    state = model.state_dict()
    assert {name.partition(".")[0] for name in whole.state_dict()} - {name.partition(".")[0] for name in state} == {
        *("text_projection", "cell_to_image", "fuse16", "fuse8", "sentence_projection", "image_positions"),
        *("mask_embed", "decoder_fusion", "mask_decoder", "gate"),
    }
    model.load_state_dict({name: value for name, value in whole.state_dict().items() if name in state})
    pixels, ids = random_pixels(2, 3, 64, 96), random_ids(5, 9, 7, 4)
    expected, output = whole(pixels, ids), model(pixels, ids)
    torch.testing.assert_close(output.pseudo_mask, expected.pseudo_mask)
    torch.testing.assert_close((2 * output.low_res_logits - 1).sigmoid(), expected.pseudo_mask)
    torch.testing.assert_close(output.known_logits, expected.known_logits)
    assert output.iou_scores is None
    assert list(model.encode(pixels).given()) == ["fine", "cells"]


def test_untrained_heads_report_nothing() -> None:
    model = small_once(has_presence=False, has_known=False, has_score=False)
    output = model(random_pixels(1, 3, 64, 64), random_ids(5))
    assert output.presence_logits is output.known_logits is output.iou_scores is None


def test_sentences_that_are_too_long_or_no_multiple_are_refused() -> None:
    model, pixels = small_once(), random_pixels(2, 3, 32, 32)
    with pytest.raises(InvalidInputError, match="at most 30 tokens; got 31"):
        model(pixels, random_ids(31, 4))
    with pytest.raises(InvalidInputError, match="2 pictures and 3 sentences"):
        model(pixels, random_ids(5, 4, 4))


def test_compact_has_the_sizes_that_ship() -> None:
    config = EncodeOnceConfig.preset("compact")
    with torch.device("meta"):
        model = EncodeOnceModel(config)
    model.fold()
    assert sum(one.numel() for one in model.state_dict().values()) == pytest.approx(12.7e6, rel=0.01)
    assert (config.image_size, config.max_text_tokens) == (768, 128)
