"""Losses over known cells, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from rs2sam.training.objective.encode_once_losses import centre_loss, class_loss, mask_loss, outline

LOG2 = math.log(2.0)


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(*shape)


def test_mask_loss_of_an_even_answer_by_hand():
    """Every probability is 1/2: cross entropy log 2, focus 1/2; no outline in an absent target."""
    loss = mask_loss(zeros(1, 1, 8, 8), zeros(1, 8, 8), torch.ones(1, 8, 8, dtype=torch.bool), zeros(1))
    assert loss.item() == pytest.approx(10 * LOG2 / 2, rel=1e-5)


def test_dice_counts_for_sentences_that_mean_something():
    target, known = torch.ones(2, 8, 8), torch.ones(2, 8, 8, dtype=torch.bool)
    loss = mask_loss(zeros(2, 1, 8, 8), target, known, torch.tensor([1.0, 0.0]))
    dice = 1 - (2 * 32 + 1) / (32 + 64 + 1)
    assert loss.item() == pytest.approx(10 * LOG2 / 2 + dice, rel=1e-5)


def test_unknown_cells_do_not_count():
    logits, target = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)), zeros(1, 8, 8)
    known = torch.ones(1, 8, 8, dtype=torch.bool)
    known[:, :, 4:] = False
    half = mask_loss(logits[..., :4], target[..., :4], known[..., :4], zeros(1))
    assert mask_loss(logits, target, known, zeros(1)).item() == pytest.approx(half.item(), rel=1e-5)
    logits[..., 4:] = 50.0
    assert mask_loss(logits, target, known, zeros(1)).item() == pytest.approx(half.item(), rel=1e-5)


def test_sentence_of_which_nothing_is_known_costs_nothing():
    nothing = torch.zeros(1, 8, 8, dtype=torch.bool)
    assert mask_loss(torch.full((1, 1, 8, 8), 9.0), zeros(1, 8, 8), nothing, zeros(1)).item() == 0


def test_cells_within_two_of_an_outline_weigh_three_times():
    target = zeros(1, 1, 1, 12)
    target[..., 6:] = 1
    assert outline(target)[0, 0, 0].tolist() == [0] * 4 + [1] * 4 + [0] * 4
    near, far = zeros(1, 1, 1, 12), zeros(1, 1, 1, 12)
    near[..., 5], far[..., 0] = 5.0, 5.0
    sure = torch.where(target > 0, 40.0, -40.0)
    known = torch.ones(1, 1, 12, dtype=torch.bool)
    costs = [
        mask_loss(torch.where(wrong > 0, wrong, sure), target[:, 0], known, zeros(1)).item() for wrong in (near, far)
    ]
    assert costs[0] == pytest.approx(3 * costs[1], rel=1e-4)


def test_class_loss_by_hand_over_known_cells():
    shares, known = zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    known[0, 0] = True
    shares[0, 0, :2] = 1  # eight cells of the first class; of the second nothing is known
    logits = zeros(1, 2, 4, 4)
    focal = LOG2 * 0.5**1.5
    dice = 1 - (2 * 4 + 1) / (8 + 8 + 1)
    assert class_loss(logits, shares, known).item() == pytest.approx(15 * focal + dice, rel=1e-5)
    logits[0, 1] = 30.0
    assert class_loss(logits, shares, known).item() == pytest.approx(15 * focal + dice, rel=1e-5)
    assert class_loss(logits, shares, torch.zeros_like(known)).item() == 0


def test_centre_loss_is_over_known_cells():
    known = zeros(1, 4, 4)
    known[0, 0, 0] = 1
    logits = torch.full((1, 1, 4, 4), 20.0)
    logits[0, 0, 0, 0] = 0
    assert centre_loss(logits, torch.ones(1, 4, 4), known).item() == pytest.approx(LOG2, rel=1e-5)
    assert centre_loss(logits, torch.ones(1, 4, 4), zeros(1, 4, 4)).item() == 0


def test_one_known_cell_counts_in_full():
    known = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    known[0, 0, 0, 0] = True
    assert class_loss(zeros(1, 1, 4, 4), zeros(1, 1, 4, 4), known).item() == pytest.approx(15 * LOG2 * 0.5**1.5)
    loss = mask_loss(zeros(1, 1, 4, 4), zeros(1, 4, 4), known[:, 0], zeros(1))
    assert loss.item() == pytest.approx(10 * LOG2 / 2)


@pytest.mark.parametrize(("cells", "counts"), [(2, False), (3, True)])
def test_dice_of_a_class_counts_from_more_than_two_cells_on(cells, counts):
    shares, known = zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4, dtype=torch.bool)
    shares[0, 0, 0, :cells] = 1
    dice = 1 - (2 * cells / 2 + 1) / (8 + cells + 1)
    expected = 15 * LOG2 * 0.5**1.5 + counts * dice
    assert class_loss(zeros(1, 1, 4, 4), shares, known).item() == pytest.approx(expected, rel=1e-5)


def test_dice_is_the_mean_over_classes_that_are_there():
    shares, known = zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4, dtype=torch.bool)
    shares[0, 0], shares[0, 1, :2] = 1, 1
    dices = [1 - (2 * cells / 2 + 1) / (8 + cells + 1) for cells in (16, 8)]
    expected = 15 * LOG2 * 0.5**1.5 + sum(dices) / 2
    assert class_loss(zeros(1, 3, 4, 4), shares, known).item() == pytest.approx(expected, rel=1e-5)
