from __future__ import annotations

import numpy as np
import pytest

from tests.backends.conftest import batch, given
from tests.small_model import write_small_model

pytest.importorskip("torch")

import torch

from rs2sam.backends.torch import TorchBackend
from rs2sam.errors import CheckpointError
from rs2sam.models.staged import FLOAT32_PARTS, StagedModel
from rs2sam.models.weights.loading import load_weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("staged"))


def test_the_stages_are_the_forward(folder):
    model = load_weights(folder, torch.float32)
    tensors = [torch.from_numpy(array) for array in batch((6, 9))]
    with torch.inference_mode():
        logits, pseudo_mask, presence, scores = StagedModel(model)(*tensors)
        expected = model(*tensors)
    torch.testing.assert_close(logits, expected.low_res_logits, rtol=0, atol=0)
    torch.testing.assert_close(pseudo_mask, expected.pseudo_mask, rtol=0, atol=0)
    torch.testing.assert_close(presence, expected.presence_logits, rtol=0, atol=0)
    torch.testing.assert_close(scores, expected.iou_scores, rtol=0, atol=0)


def test_half_precision_leaves_the_delicate_parts_alone(folder):
    backend = TorchBackend.from_folder(folder, "cpu", dtype=torch.bfloat16)
    for name, parameter in backend.model.named_parameters():
        expected = torch.float32 if name.partition(".")[0] in FLOAT32_PARTS else torch.bfloat16
        assert parameter.dtype == expected, name
    output = backend.run(*batch((6, 9)))
    reference = TorchBackend.from_folder(folder, "cpu").run(*batch((6, 9)))
    assert output.low_res_logits.dtype == np.float32
    error = np.linalg.norm(output.low_res_logits - reference.low_res_logits) / np.linalg.norm(reference.low_res_logits)
    assert 0 < error < 0.05


def test_weights_of_the_files_dtype_are_the_mapped_file(folder):
    model = load_weights(folder, torch.float16)
    before = (folder / "model.safetensors").read_bytes()
    with torch.no_grad():
        next(model.parameters()).fill_(1.0)
    assert (folder / "model.safetensors").read_bytes() == before


def test_converting_keeps_every_value(folder):
    from safetensors.torch import load_file

    stored = load_file(folder / "model.safetensors")
    loaded = load_weights(folder, torch.float32).state_dict()
    assert set(stored) == set(loaded)
    assert all(torch.equal(loaded[name], tensor.float()) for name, tensor in stored.items())


def test_shards_are_those_that_the_index_names(folder, tmp_path):
    model = load_weights(folder, torch.float16)
    model.save_pretrained(tmp_path, max_shard_size="200KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    again = load_weights(tmp_path, torch.float16).state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in model.state_dict().items())
    next(tmp_path.glob("*.safetensors")).unlink()
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_weights(tmp_path, torch.float16)


def test_a_tensor_of_another_shape_is_named(tmp_path):
    from safetensors.torch import load_file, save_file

    file = write_small_model(tmp_path) / "model.safetensors"
    tensors = load_file(file)
    tensors["sentence_weight.weight"] = torch.zeros(1, 3)
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"of another shape: sentence_weight\.weight"):
        load_weights(tmp_path, torch.float32)


@pytest.mark.long
def test_a_compiled_model_answers_as_it_does_uncompiled(folder):
    compiled = TorchBackend.from_folder(folder, "cpu", compiled=True).run(*batch((6, 9, 4)))
    expected = TorchBackend.from_folder(folder, "cpu").run(*batch((6, 9, 4)))
    for name, reference in given(expected):
        np.testing.assert_allclose(getattr(compiled, name), reference, rtol=1e-3, atol=1e-4, err_msg=name)
