"""The teacher: a frozen trunk that takes pixels as they are."""

from __future__ import annotations

import torch

from rs2sam.training.objective.teacher import CHANNELS, LEVEL_CHANNELS, EfficientNetLite0
from tests.models.encode_once.test_efficientnet import write_weights


def test_maps_are_at_four_strides(tmp_path):
    teacher = EfficientNetLite0(write_weights(tmp_path / "weights.pth"))
    images = torch.randint(0, 256, (2, 3, 64, 96)).float()
    maps = teacher(images)
    assert [tuple(one.shape) for one in maps] == [(2, CHANNELS[0], 4, 6), (2, CHANNELS[1], 2, 3)]
    assert all(one.isfinite().all() for one in maps)
    assert [one.shape[1] for one in teacher.levels(images)] == list(LEVEL_CHANNELS)


def test_teacher_is_frozen(tmp_path):
    teacher = EfficientNetLite0(write_weights(tmp_path / "weights.pth"))
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert not teacher(torch.zeros(1, 3, 32, 32))[0].requires_grad
