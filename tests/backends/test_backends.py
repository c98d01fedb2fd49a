from __future__ import annotations

import sys

import pytest

from rs2sam.backends import load_backend
from rs2sam.errors import InvalidInputError, MissingDependencyError


def test_a_folder_with_a_graph_runs_on_onnx(onnx_folder):
    assert load_backend(onnx_folder).name == "onnx"
    assert load_backend(onnx_folder, device="cpu", threads=1).name == "onnx"
    assert load_backend(onnx_folder, "torch", device="cpu").name == "torch"


def test_a_folder_without_a_graph_runs_on_torch(torch_folder):
    assert load_backend(torch_folder, device="cpu").name == "torch"


def test_half_precision_runs_on_torch_alone(onnx_folder):
    assert load_backend(onnx_folder, precision="float32").name == "onnx"
    assert load_backend(onnx_folder, device="cpu", precision="bf16").name == "torch"
    with pytest.raises(InvalidInputError, match="`onnx` computes in float32, received `precision` 'fp16'"):
        load_backend(onnx_folder, "onnx", precision="fp16")
    with pytest.raises(InvalidInputError, match="one of float32, bf16, fp16, received 'int8'"):
        load_backend(onnx_folder, precision="int8")


def test_unknown_backends_are_rejected(tmp_path):
    with pytest.raises(InvalidInputError, match="onnx, torch, received 'tensorflow'"):
        load_backend(tmp_path, "tensorflow")


def test_no_threads_are_rejected(tmp_path):
    with pytest.raises(InvalidInputError, match="at least 1, received 0"):
        load_backend(tmp_path, threads=0)


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_the_install_command_is_given_where_torch_is_missing(tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'rs2sam\[torch\]'"):
        load_backend(tmp_path)


def test_more_threads_than_cores_are_as_many_as_cores(tmp_path, monkeypatch):
    made = []

    def from_folder(folder, device=None, threads=None):
        made.append(threads)

    (tmp_path / "config.json").write_text('{"model_type": "rs2sam"}', encoding="utf-8")
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    monkeypatch.setattr("rs2sam.backends.onnx.OnnxBackend.from_folder", from_folder)
    for threads in (255, 3, 2, None):
        load_backend(tmp_path, "onnx", threads=threads)
    assert made == [3, 3, 2, None]
