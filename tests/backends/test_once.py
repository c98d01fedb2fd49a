"""Backends of models that encode pictures once: torch and ONNX Runtime say the same, in any size."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest

from rs2sam.backends import EncodingBackend, has_graphs, load_backend
from rs2sam.backends.onnx_once import OnnxOnceBackend
from rs2sam.errors import CheckpointError, InvalidInputError
from tests.backends.conftest import given
from tests.small_once import once_export, write_once_model

pytest.importorskip("torch")

from rs2sam.backends.torch_once import TorchOnceBackend


@pytest.fixture(scope="module")
def exported():
    pytest.importorskip("onnxscript")
    return once_export()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_once_model(tmp_path_factory.mktemp("once") / "model")


def inputs(size_hw, lengths, pictures=1, seed=0):
    random = np.random.default_rng(seed)
    pixels = random.standard_normal((pictures, 3, *size_hw), dtype=np.float32)
    attend = np.arange(max(lengths)) < np.array(lengths)[:, None]
    ids = np.where(attend, random.integers(4, 8192, attend.shape), 1)
    return pixels, ids.astype(np.int64), attend.astype(np.int64)


def ask(backend, pixels, ids, attend):
    return backend.answer(backend.encode(pixels), ids, attend)


@pytest.mark.parametrize("size_hw", [(64, 64), (96, 160), (224, 32)])
@pytest.mark.parametrize("lengths", [(3,), (5, 30, 4)])
def test_both_backends_answer_alike_for_any_size(exported, size_hw, lengths):
    arrays = inputs(size_hw, lengths)
    ours = ask(load_backend(exported, "onnx", threads=1), *arrays)
    expected = ask(load_backend(exported, "torch", device="cpu"), *arrays)
    assert {name for name, _ in given(ours)} == {"low_res_logits", "presence_logits", "known_logits", "iou_scores"}
    for name, reference in given(expected):
        error = np.linalg.norm(getattr(ours, name) - reference) / np.linalg.norm(reference)
        assert error < 1e-4, name
    assert ours.low_res_logits.shape == (len(lengths), size_hw[0] // 4, size_hw[1] // 4)


@pytest.mark.parametrize("name", ["onnx", "torch"])
def test_several_pictures_are_answered_as_each_alone(exported, name):
    backend = load_backend(exported, name, device="cpu")
    pixels, ids, attend = inputs((64, 96), (5, 9, 4, 7), pictures=2)
    together = ask(backend, pixels, ids, attend)
    for row in range(4):
        picture, one = slice(row // 2, row // 2 + 1), slice(row, row + 1)
        for field, alone in given(ask(backend, pixels[picture], ids[one], attend[one])):
            np.testing.assert_allclose(getattr(together, field)[one], alone, rtol=1e-3, atol=1e-4, err_msg=field)
    with pytest.raises(InvalidInputError, match="2 pictures and 3 sentences"):
        ask(backend, pixels, ids[:3], attend[:3])


def test_the_backend_is_chosen_by_what_the_folder_holds(exported, folder):
    assert has_graphs(exported)
    assert not has_graphs(folder)
    assert load_backend(exported).name == "onnx"
    assert load_backend(exported, precision="bf16").name == load_backend(folder, device="cpu").name == "torch"
    assert isinstance(load_backend(folder, device="cpu"), EncodingBackend)


def test_half_precision_answers_nearly_alike(folder):
    import torch

    arrays = inputs((64, 64), (5, 7))
    exact = ask(TorchOnceBackend.from_folder(folder, "cpu"), *arrays)
    half = ask(TorchOnceBackend.from_folder(folder, "cpu", dtype=torch.bfloat16), *arrays)
    difference = np.linalg.norm(half.low_res_logits - exact.low_res_logits) / np.linalg.norm(exact.low_res_logits)
    assert 0 < difference < 0.1


def test_a_folder_without_graphs_says_how_to_make_them(folder):
    with pytest.raises(InvalidInputError, match=r"lacks image\.onnx, sentence\.onnx.*rs2sam\.export\.onnx_export"):
        OnnxOnceBackend.from_folder(folder)


def test_damaged_weights_and_graphs_are_reported(exported, tmp_path):
    shutil.copytree(exported, tmp_path / "copy")
    (tmp_path / "copy" / "sentence.onnx").write_bytes(b"no graph")
    with pytest.raises(CheckpointError, match=r"sentence\.onnx cannot be loaded"):
        load_backend(tmp_path / "copy", "onnx")
    (tmp_path / "copy" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match=r"weights .* cannot be loaded"):
        load_backend(tmp_path / "copy", "torch", device="cpu")


def test_both_graphs_read_the_one_weights_file(exported):
    onnx = pytest.importorskip("onnx")
    read = 0
    for name in ("image.onnx", "sentence.onnx"):
        graph = onnx.load(exported / name, load_external_data=False).graph
        shared = [one for one in graph.initializer if one.data_location == onnx.TensorProto.EXTERNAL]
        places = [{entry.key: entry.value for entry in one.external_data} for one in shared]
        assert {place["location"] for place in places} == {"model.safetensors"}
        read += sum(int(place["length"]) for place in places)
        assert b"site-packages" not in (exported / name).read_bytes()
    assert read > 0.9 * (exported / "model.safetensors").stat().st_size


def test_the_graphs_run_where_torch_is_not_installed(exported):
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "import numpy as np; from rs2sam import Segmenter\n"
        f"encoded = Segmenter.load({str(exported)!r}).encode(np.zeros((20, 30, 3), np.uint8))\n"
        "assert [one.mask.shape for one in encoded.segment_many(['the ship', 'the tank'])] == [(20, 30)] * 2"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
