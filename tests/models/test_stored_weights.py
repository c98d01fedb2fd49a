from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from rs2sam.backends.torch import TorchBackend
from rs2sam.models import stored_weights
from rs2sam.models.stored_weights import StoredEmbedding, StoredLinear, keep_as_stored
from rs2sam.models.weights.loading import load_weights
from tests.backends.conftest import batch, given
from tests.small_model import write_small_model


def test_layers_compute_as_converted_ones_do():
    torch.manual_seed(0)
    linear, table = nn.Linear(5, 3), nn.Embedding(4, 6)
    linear.weight.data, table.weight.data = linear.weight.data.half(), table.weight.data.half()
    tokens, ids = torch.randn(2, 5), torch.tensor([3, 0])
    stored, embedded = StoredLinear(linear), StoredEmbedding(table)
    expected = tokens @ linear.weight.float().T + linear.bias
    for mode in (torch.enable_grad, torch.inference_mode):
        with mode():
            torch.testing.assert_close(stored(tokens), expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(embedded(ids), table.weight[ids].float())


def test_layers_that_share_the_buffer_do_not_disturb_each_other():
    layers = [StoredLinear(nn.Linear(8, 8).half()) for _ in range(3)]
    for layer in layers:
        layer.bias.data = layer.bias.data.float()
    tokens = torch.randn(4, 8)
    with torch.inference_mode():
        found = [layer(tokens) for layer in layers]
    for layer, answer in zip(layers, found, strict=True):
        torch.testing.assert_close(answer, tokens @ layer.weight.float().T + layer.bias, rtol=1e-6, atol=1e-6)


def test_a_buffer_made_in_inference_mode_serves_outside_of_it():
    stored_weights._buffers.__dict__.clear()
    layer, tokens = StoredLinear(nn.Linear(8, 8).half()), torch.randn(4, 8)
    layer.bias.data = layer.bias.data.float()
    with torch.inference_mode():
        inside = layer(tokens)
    with torch.no_grad():
        assert torch.equal(layer(tokens), inside)


def test_only_large_layers_are_replaced(monkeypatch):
    monkeypatch.setattr(stored_weights, "LEAST_ELEMENTS", 12)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(3, 3), nn.Sequential(nn.Embedding(6, 2)), nn.Conv2d(4, 4, 1))
    assert keep_as_stored(model) == {"0.weight", "2.0.weight"}
    assert [type(layer) for layer in model] == [StoredLinear, nn.Linear, nn.Sequential, nn.Conv2d]


def test_a_model_with_weights_as_stored_answers_as_the_converted_one(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_weights, "LEAST_ELEMENTS", 256)
    folder = write_small_model(tmp_path)
    ours = TorchBackend.from_folder(folder, "cpu")
    assert {parameter.dtype for parameter in ours.model.parameters()} == {torch.float16, torch.float32}
    expected = TorchBackend(load_weights(folder, torch.float32), "cpu").run(*batch((5, 9)))
    found = ours.run(*batch((5, 9)))
    for name, reference in given(expected):
        torch.testing.assert_close(torch.from_numpy(getattr(found, name)), torch.from_numpy(reference))
