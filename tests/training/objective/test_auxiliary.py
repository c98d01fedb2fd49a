"""Training-time heads and the moving average, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from rs2sam.training.objective.auxiliary import (
    MovingAverage,
    SemanticHead,
    UnionHead,
    pseudo_mask_loss,
    semantic_loss,
)

LOG2 = math.log(2)


def labels(*planes: list[list[int]]) -> torch.Tensor:
    return torch.tensor([planes], dtype=torch.bool)  # (1, K, 2, 2)


def test_semantic_loss_by_hand():
    # Logits 0: probability 1/2 everywhere, cross entropy log 2. One of four pixels is meant:
    # overlap 0.5, so dice = 1 - (2 * 0.5 + 1) / (2 + 1 + 1) = 0.5.
    loss = semantic_loss(torch.zeros(1, 1, 2, 2), labels([[1, 0], [0, 0]]), torch.tensor([[True]]))
    assert loss.item() == pytest.approx(4 * LOG2 + 0.5)


def test_pseudo_mask_loss_by_hand():
    # One patch of 2 x 2 pixels, one of which is meant: -(1/4 log p + 3/4 log(1 - p)).
    target = torch.tensor([[[1, 0], [0, 0]]])
    assert pseudo_mask_loss(torch.full((1, 1, 1, 1), 0.5), target).item() == pytest.approx(LOG2)
    expected = -(0.25 * math.log(0.2) + 0.75 * math.log(0.8))
    assert pseudo_mask_loss(torch.full((1, 1, 1, 1), 0.2), target).item() == pytest.approx(expected)


def test_pseudo_mask_loss_passes_on_what_is_not_a_number():
    assert pseudo_mask_loss(torch.full((1, 1, 1, 1), math.nan), torch.ones(1, 2, 2)).isnan()
    assert pseudo_mask_loss(torch.zeros(1, 1, 1, 1), torch.ones(1, 2, 2)).isfinite()


def test_semantic_loss_of_an_absent_class_is_its_cross_entropy_alone():
    loss = semantic_loss(torch.zeros(1, 1, 2, 2), labels([[0, 0], [0, 0]]), torch.tensor([[True]]))
    assert loss.item() == pytest.approx(4 * LOG2)


def test_semantic_loss_ignores_what_is_not_known():
    logits = torch.zeros(1, 2, 2, 2)
    logits[:, 1] = 5.0
    target = labels([[1, 0], [0, 0]], [[0, 0], [0, 1]])
    logits.requires_grad_(True)
    loss = semantic_loss(logits, target, torch.tensor([[True, False]]))
    loss.backward()
    assert loss.item() == pytest.approx(4 * LOG2 + 0.5)
    assert logits.grad is not None
    assert logits.grad[:, 1].abs().sum() == 0
    assert semantic_loss(logits.detach(), target, torch.zeros(1, 2, dtype=torch.bool)).item() == 0


def test_semantic_loss_averages_the_labels_down_to_the_logits():
    # The 4x4 labels cover half of the one cell: target 0.5, overlap 0.25, dice = 1 - 1.5 / 2 = 0.25.
    target = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    target[..., :2] = True
    loss = semantic_loss(torch.zeros(1, 1, 1, 1), target, torch.tensor([[True]]))
    assert loss.item() == pytest.approx(4 * LOG2 + 0.25)


def test_semantic_head_sums_the_levels_at_the_finest_size():
    head = SemanticHead((2, 3, 4), num_classes=5)
    for layer, bias in zip(head.levels, (1.0, 10.0, 100.0), strict=True):
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, bias)
    out = head((torch.randn(2, 2, 16, 16), torch.randn(2, 3, 8, 8), torch.randn(2, 4, 4, 4)))
    assert out.shape == (2, 5, 16, 16)
    assert torch.equal(out, torch.full_like(out, 111.0))


def test_moving_average_by_hand():
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    average = MovingAverage(model, decay=0.5)
    nn.init.constant_(model.weight, 3.0)
    average.update(model)  # decay = min(0.5, 2/11): 1 * 2/11 + 3 * 9/11 = 29/11
    assert average.model.weight.item() == pytest.approx(29 / 11)
    average.update(model)  # decay 3/12: 29/11 * 1/4 + 3 * 3/4
    assert average.model.weight.item() == pytest.approx(29 / 44 + 9 / 4)
    average.updates.fill_(1000)
    nn.init.constant_(model.weight, 0.0)
    before = average.model.weight.item()
    average.update(model)  # now the decay itself
    assert average.model.weight.item() == pytest.approx(before / 2)


def test_moving_average_is_saved_and_takes_no_part_in_training():
    model = nn.Linear(2, 2)
    average = MovingAverage(model, decay=0.9)
    average.update(model)
    other = MovingAverage(nn.Linear(2, 2), decay=0.9)
    other.load_state_dict(average.state_dict())
    assert int(other.updates) == 1
    assert torch.equal(other.model.weight, average.model.weight)
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_union_head_reads_every_patch_where_it_is():
    head = UnionHead(4, 3)
    patches = torch.randn(2, 9, 4)
    logits = head.semantic(patches)
    assert logits.shape == (2, 3, 3, 3)
    torch.testing.assert_close(logits[1, :, 2, 0], head.places(patches[1, 6]))


def test_class_loss_falls_to_zero_when_the_summary_names_the_class():
    head = UnionHead(3, 3)
    with torch.no_grad():
        head.name.weight.copy_(50 * torch.eye(3))
        head.name.bias.zero_()
    named = torch.eye(3)[:, None]
    assert head.class_loss(named, torch.tensor([0, 1, 2])) < 1e-6
    assert head.class_loss(named, torch.tensor([1, 2, 0])).item() == pytest.approx(50)
