"""Losses: equal to the published values, to hand arithmetic, and honest about their gradients."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rs2sam.errors import InvalidInputError
from rs2sam.models.rs2sam import RS2SamOutput
from rs2sam.training.objective.auxiliary import pseudo_mask_loss
from rs2sam.training.objective.losses import (
    boundary_error,
    dice,
    edges,
    foreground_probability,
    mask_iou,
    presence_loss,
    published_boundary_loss,
    rs2sam_loss,
    score_loss,
    soft_boundary_loss,
)
from rs2sam.training.recipes.loss_settings import LossSettings

GOLDEN_CASES = (
    "b1_rand",
    "b1_blob",
    "b1_empty",
    "b1_full",
    "b1_big",
    "b2_official3d",
    "b2_4d_text",
    "b3_official3d",
)
NOT_BROADCAST = "b2_4d_text"
"""The golden in which the sentence weights meet their own samples only, unlike the published training."""


@pytest.fixture(scope="module")
def golden(golden_dir: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    values = {case["name"]: case for case in json.loads((golden_dir / "loss" / "loss.json").read_text())}
    with np.load(golden_dir / "loss" / "loss.npz") as arrays:
        return values, {name: arrays[name] for name in arrays.files}


def _output(logits: Tensor, sentence_weight: Tensor | None = None, **heads: Tensor) -> RS2SamOutput:
    weight = torch.ones(logits.shape[0]) if sentence_weight is None else sentence_weight
    return RS2SamOutput(mask_logits=logits, sentence_weight=weight, **heads)


def test_golden_cases_are_all_used(golden: Any) -> None:
    assert set(golden[0]) == set(GOLDEN_CASES)


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_loss_and_gradients_equal_the_published_loss(case: str, golden: Any) -> None:
    values, arrays = golden[0][case], golden[1]
    logits = torch.from_numpy(arrays[f"{case}.logit"]).requires_grad_()
    weight = torch.from_numpy(arrays[f"{case}.text_w"]).requires_grad_()
    target = torch.from_numpy(arrays[f"{case}.target"])
    loss = rs2sam_loss(_output(logits, weight), target)
    loss.total.backward()
    parts = loss.values()
    assert parts["cross_entropy"] == pytest.approx(values["ce"], rel=1e-5)
    assert parts["dice"] == pytest.approx(values["dice"], rel=1e-5)
    assert logits.grad is not None
    assert weight.grad is not None
    np.testing.assert_allclose(logits.grad.numpy(), arrays[f"{case}.grad_logit_total"], atol=1e-8, rtol=1e-4)
    if case != NOT_BROADCAST:
        assert parts["boundary"] == pytest.approx(values["boundary"], rel=1e-5)
        assert parts["total"] == pytest.approx(values["total"], rel=1e-5)
        np.testing.assert_allclose(weight.grad.numpy(), values["grad_text_w"], rtol=1e-4)


def test_published_boundary_broadcasts_weights_over_the_batch(golden: Any) -> None:
    arrays = golden[1]
    logits = torch.from_numpy(arrays[f"{NOT_BROADCAST}.logit"])
    weight = torch.from_numpy(arrays[f"{NOT_BROADCAST}.text_w"])
    target = torch.from_numpy(arrays[f"{NOT_BROADCAST}.target"]).float()
    error = boundary_error((logits[:, 0] > 0).float(), target)
    own_weights = (weight.square() * error).mean()
    published = published_boundary_loss(logits, target, weight, torch.ones(2))
    assert float(own_weights) == pytest.approx(golden[0][NOT_BROADCAST]["boundary"], rel=1e-5)
    assert float(published) == pytest.approx(golden[0]["b2_official3d"]["boundary"], rel=1e-5)
    assert float(published) != pytest.approx(float(own_weights), rel=1e-3)


def test_cross_entropy_by_hand() -> None:
    # x = 0.5 puts the two channels level: every pixel costs log 2, whatever the weights.
    loss = rs2sam_loss(_output(torch.full((1, 1, 2, 2), 0.5)), torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]))
    assert float(loss.cross_entropy) == pytest.approx(math.log(2.0))
    # x = 1 against one foreground and three background pixels, weights 1.1 and 0.9.
    loss = rs2sam_loss(_output(torch.ones(1, 1, 2, 2)), torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]))
    right, wrong = math.log1p(math.exp(-1.0)), math.log1p(math.exp(1.0))
    assert float(loss.cross_entropy) == pytest.approx((1.1 * right + 3 * 0.9 * wrong) / (1.1 + 3 * 0.9))


def test_dice_by_hand() -> None:
    # Probability 0.5 everywhere; one of four pixels is foreground.
    value = dice(torch.full((1, 1, 2, 2), 0.5), torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]))
    assert float(value) == pytest.approx((1 - 2 * 0.5 / (2 + 1)) + (1 - 2 * 1.5 / (2 + 3)), rel=1e-5)


def test_edges_by_hand() -> None:
    mask = torch.tensor([[[0.0, 1.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]])
    expected = torch.tensor([[[0.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 1.0, 0.0]]])
    assert torch.equal(edges(mask), expected)


def test_published_boundary_gives_the_mask_no_gradient_and_drives_the_weight_to_zero() -> None:
    logits = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weight = torch.tensor([1.5, -0.5], requires_grad=True)
    target = torch.zeros(2, 8, 8)
    published_boundary_loss(logits, target, weight, torch.ones(2)).backward()
    assert logits.grad is None
    assert weight.grad is not None
    assert torch.equal(weight.grad.sign(), weight.detach().sign())


def test_soft_boundary_reaches_the_mask() -> None:
    logits = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.zeros(1, 8, 8)
    target[0, 2:6, 2:6] = 1.0
    soft_boundary_loss(logits, target, torch.ones(1)).backward()
    assert logits.grad is not None
    assert float(logits.grad.abs().sum()) > 0.0


def test_soft_boundary_falls_towards_the_target() -> None:
    target = torch.zeros(1, 8, 8)
    target[0, 2:6, 2:6] = 1.0
    values = [
        float(soft_boundary_loss(sharpness * (target[:, None] - 0.5) + 0.5, target, torch.ones(1)))
        for sharpness in (0.0, 2.0, 8.0)
    ]
    assert values[0] > values[1] > values[2]


def test_published_mask_is_where_probability_exceeds_one_half() -> None:
    logits = torch.tensor([-1.0, 0.0, 0.49, 0.51, 2.0])
    assert torch.equal(foreground_probability(logits) > 0.5, logits > 0.5)
    two_channels = torch.stack([1.0 - logits, logits]).softmax(dim=0)
    assert torch.allclose(two_channels[1], foreground_probability(logits))


def test_sample_weight_zero_takes_a_sample_out() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(2, 1, 8, 8, generator=generator), torch.zeros(2, 8, 8)
    target[:, 2:6, 2:6] = 1.0
    settings = LossSettings(boundary_form="soft", dice_reduction="mean", presence=0.5, score=0.5)
    heads = {"presence_logits": torch.tensor([0.3, -2.0]), "iou_scores": torch.tensor([0.2, 0.9])}
    both = rs2sam_loss(_output(logits, **heads), target, settings, torch.tensor([1.0, 0.0]))
    first = {name: value[:1] for name, value in heads.items()}
    alone = rs2sam_loss(_output(logits[:1], **first), target[:1], settings)
    assert both.values() == pytest.approx(alone.values(), rel=1e-5)


def test_mean_dice_does_not_grow_with_the_batch() -> None:
    logits, target = torch.zeros(1, 1, 4, 4), torch.ones(1, 4, 4)
    repeated = _output(logits.repeat(3, 1, 1, 1)), target.repeat(3, 1, 1)
    mean = LossSettings(dice_reduction="mean")
    assert float(rs2sam_loss(*repeated, mean).dice) == pytest.approx(float(rs2sam_loss(_output(logits), target).dice))
    assert float(rs2sam_loss(*repeated).dice) == pytest.approx(3 * float(rs2sam_loss(_output(logits), target).dice))


def random_batch(size: int) -> tuple[RS2SamOutput, Tensor]:
    torch.manual_seed(size)
    logits = torch.randn(size, 1, 8, 8)
    heads = {"presence_logits": torch.randn(size), "iou_scores": torch.rand(size)}
    # Shares of foreground that differ, so that the class weights of the samples do not add up to the same.
    target = torch.stack([torch.rand(8, 8) < 0.9 / (index + 1) for index in range(size)]).float()
    return _output(logits, torch.randn(size), **heads), target


@pytest.mark.parametrize("form", ["published", "soft"])
def test_loss_by_sample_is_the_mean_of_batches_of_one(form: Any) -> None:
    output, target = random_batch(3)
    settings = LossSettings(presence=0.5, score=0.3, boundary_form=form, scope="sample")
    whole = rs2sam_loss(output, target, settings)
    alone = []
    for index in range(3):
        one = RS2SamOutput(**{k: v[index : index + 1] for k, v in vars(output).items() if v is not None})
        alone.append(rs2sam_loss(one, target[index : index + 1], LossSettings(0.9, 0.1, 0.2, 0.5, 0.3, form)))
    for name, value in whole.values().items():
        assert value == pytest.approx(sum(parts.values()[name] for parts in alone) / 3, rel=1e-5)
    by_batch = rs2sam_loss(output, target, LossSettings(presence=0.5, score=0.3, boundary_form=form))
    assert whole.total.item() != pytest.approx(by_batch.total.item(), rel=1e-3)


def test_loss_by_sample_does_not_depend_on_how_a_batch_is_divided() -> None:
    output, target = random_batch(4)
    weight = torch.tensor([1.0, 2.0, 0.5, 0.0])
    settings = LossSettings(presence=0.5, score=0.3, scope="sample")

    def loss(rows: slice) -> Tensor:
        part = RS2SamOutput(**{k: v[rows] for k, v in vars(output).items() if v is not None})
        return rs2sam_loss(part, target[rows], settings, weight[rows]).total

    whole = loss(slice(0, 4))
    assert torch.allclose(whole, (loss(slice(0, 2)) + loss(slice(2, 4))) / 2)
    assert torch.allclose(whole, sum(loss(slice(i, i + 1)) for i in range(4)) / 4)
    assert loss(slice(3, 4)).item() == 0


def test_presence_loss_by_hand() -> None:
    target = torch.zeros(2, 4, 4)
    target[0, 1, 1] = 1.0
    loss = presence_loss(torch.tensor([2.0, 2.0]), target, torch.ones(2))
    assert float(loss) == pytest.approx((math.log1p(math.exp(-2.0)) + math.log1p(math.exp(2.0))) / 2)


def test_score_loss_is_the_error_of_the_iou_and_leaves_the_mask_alone() -> None:
    logits = torch.tensor([[[[1.0, 1.0], [0.4, 0.0]]]], requires_grad=True)
    target = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    scores = torch.tensor([0.9], requires_grad=True)
    loss = score_loss(scores, logits, target, torch.ones(1))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.4)
    assert logits.grad is None
    assert scores.grad is not None


def test_iou_of_two_empty_masks_is_one() -> None:
    assert mask_iou(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2)).tolist() == [1.0]
    assert mask_iou(torch.ones(1, 1, 2, 2), torch.zeros(1, 2, 2)).tolist() == [0.0]


def test_iou_of_one_pixel_is_not_lessened() -> None:
    one = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    assert mask_iou(one[:, None], one).tolist() == [1.0]


def test_target_size_chooses_the_logits() -> None:
    output = RS2SamOutput(
        mask_logits=torch.zeros(1, 1, 8, 8), low_res_logits=torch.ones(1, 1, 2, 2), sentence_weight=torch.ones(1)
    )
    large = rs2sam_loss(output, torch.ones(1, 8, 8)).cross_entropy
    small = rs2sam_loss(output, torch.ones(1, 2, 2)).cross_entropy
    assert float(large) == pytest.approx(math.log1p(math.exp(1.0)))
    assert float(small) == pytest.approx(math.log1p(math.exp(-1.0)))
    with pytest.raises(InvalidInputError, match=r"\(1, 8, 8\) or \(1, 2, 2\).*got \(1, 4, 4\)"):
        rs2sam_loss(output, torch.ones(1, 4, 4))


def test_untrained_head_with_a_weight_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="presence_logits"):
        rs2sam_loss(_output(torch.zeros(1, 1, 4, 4)), torch.ones(1, 4, 4), LossSettings(presence=1.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dice": -0.1}, "at least 0, at most 1,000,000; got dice"),
        ({"boundary_form": "hard"}, "published, soft; got 'hard'"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        LossSettings(**change)


# --- pixels that are left out ----------------------------------------------------------------------------------------

EVERY_TERM = [
    LossSettings(),
    LossSettings(boundary_form="soft", presence=0.1, score=0.1),
    LossSettings(boundary_form="soft", presence=0.1, score=0.1, scope="sample", dice_reduction="mean"),
]


def _random(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn((2, 1, 6, 7), generator=generator)
    target = (torch.rand((2, 6, 7), generator=generator) > 0.5).float()
    ignore = torch.zeros((2, 6, 7), dtype=torch.bool)
    ignore[:, :, 4:] = True
    return logits, target, ignore


def _heads(logits: Tensor) -> dict[str, Tensor]:
    return {"presence_logits": torch.tensor([0.3, -0.2]), "iou_scores": torch.tensor([0.5, 0.7])}


@pytest.mark.parametrize("settings", EVERY_TERM)
def test_ignored_pixels_change_no_term_whatever_is_in_them(settings: LossSettings) -> None:
    logits, target, ignore = _random()
    other, wrong = logits.clone(), target.clone()
    other[:, :, :, 4:] = 9.0
    wrong[:, :, 4:] = 1 - wrong[:, :, 4:]
    one = rs2sam_loss(_output(logits, **_heads(logits)), target, settings, ignore=ignore)
    two = rs2sam_loss(_output(other, **_heads(logits)), wrong, settings, ignore=ignore)
    assert one.values() == pytest.approx(two.values(), abs=1e-6)


@pytest.mark.parametrize("settings", EVERY_TERM)
def test_the_loss_beside_ignored_pixels_is_that_of_the_image_without_them(settings: LossSettings) -> None:
    logits, target, ignore = _random()
    # Columns from 4 on are cut off; edges lie above and to the left, so those of the rest stay.
    rest = rs2sam_loss(_output(logits[..., :4], **_heads(logits)), target[..., :4], settings)
    found = rs2sam_loss(_output(logits, **_heads(logits)), target, settings, ignore=ignore)
    assert found.values() == pytest.approx(rest.values(), abs=1e-5)


@pytest.mark.parametrize("settings", EVERY_TERM)
def test_no_gradient_comes_from_ignored_pixels_and_none_is_the_same_as_nothing_ignored(settings: LossSettings) -> None:
    logits, target, ignore = _random()
    logits.requires_grad_(True)
    rs2sam_loss(_output(logits, **_heads(logits)), target, settings, ignore=ignore).total.backward()
    assert logits.grad is not None
    assert not logits.grad[..., 4:].any()
    assert logits.grad[..., :4].any()
    none = rs2sam_loss(_output(logits.detach(), **_heads(logits)), target, settings)
    empty = rs2sam_loss(_output(logits.detach(), **_heads(logits)), target, settings, ignore=torch.zeros_like(ignore))
    assert none.values() == pytest.approx(empty.values(), abs=1e-6)


def test_a_sample_of_which_nothing_is_known_has_a_finite_loss() -> None:
    logits, target, ignore = _random()
    settings = LossSettings(boundary_form="soft", scope="sample")
    found = rs2sam_loss(_output(logits), target, settings, ignore=torch.ones_like(ignore))
    assert all(math.isfinite(value) for value in found.values().values())
    assert found.values()["cross_entropy"] == 0


def test_the_outline_of_one_known_pixel_by_hand() -> None:
    masks, target = torch.tensor([[[0.0, 0.0], [0.0, 1.0]]]), torch.zeros(1, 2, 2)
    # The last pixel alone has two edges; it counts with its neighbours above and to the left, which have none.
    keep = torch.tensor([[[0.0, 1.0], [1.0, 1.0]]])
    assert boundary_error(masks, target, keep).tolist() == [4.0]
    assert boundary_error(masks, target, torch.zeros(1, 2, 2)).tolist() == [0.0]


def test_patches_of_the_pseudo_mask_count_by_their_known_share() -> None:
    pseudo = torch.tensor([[[[0.9, 0.2]]]])
    target = torch.tensor([[[1.0, 1, 0, 0], [1, 1, 0, 1]]])
    ignore = torch.tensor([[[False, False, False, True], [False, False, False, True]]])
    # The right patch is half known, and empty there.
    expected = -(math.log(0.9) + 0.5 * math.log(0.8)) / 1.5
    assert float(pseudo_mask_loss(pseudo, target, ignore)) == pytest.approx(expected, rel=1e-5)
    assert float(pseudo_mask_loss(pseudo, target, ignore & False)) == pytest.approx(
        float(pseudo_mask_loss(pseudo, target)), rel=1e-5
    )
