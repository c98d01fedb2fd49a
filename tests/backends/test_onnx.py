from __future__ import annotations

import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from rs2sam.backends.onnx import OnnxBackend
from rs2sam.errors import CheckpointError, InvalidInputError
from tests.backends.conftest import given
from tests.small_model import COMPACT


@pytest.mark.parametrize("lengths", [(3,), (6,), (9, 4), (5, 30, 3)])
def test_logits_equal_torch_for_any_batch_and_sentence_length(onnx_folder, make_batch, lengths):
    from rs2sam.backends.torch import TorchBackend

    arrays = make_batch(lengths)
    ours = OnnxBackend.from_folder(onnx_folder).run(*arrays)
    expected = TorchBackend.from_folder(onnx_folder, device="cpu").run(*arrays)
    for name, reference in given(expected):
        error = np.linalg.norm(getattr(ours, name) - reference) / np.linalg.norm(reference)
        assert error < 1e-4, name


@pytest.mark.parametrize(("pictures", "lengths"), [(1, (5, 9, 3)), (2, (4, 9, 12, 6))])
def test_shared_pictures_give_the_answers_of_repeated_ones(onnx_folder, make_batch, pictures, lengths):
    pixels, union, ids, attend = make_batch(lengths)
    backend = OnnxBackend.from_folder(onnx_folder, threads=1)
    shared = backend.run(pixels[:pictures], union[:pictures], ids, attend)
    rows = np.repeat(np.arange(pictures), len(lengths) // pictures)
    expected = backend.run(pixels[rows], union[rows], ids, attend)
    for name, reference in given(expected):
        np.testing.assert_allclose(getattr(shared, name), reference, rtol=1e-4, atol=1e-5, err_msg=name)
    np.testing.assert_array_equal(shared.low_res_logits > 0.5, expected.low_res_logits > 0.5)


def test_sentences_that_are_no_multiple_of_the_pictures_are_refused(onnx_folder, make_batch):
    pixels, union, ids, attend = make_batch((5, 9, 3))
    with pytest.raises(InvalidInputError, match="2 pictures and 3 sentences"):
        OnnxBackend.from_folder(onnx_folder).run(pixels[:2], union[:2], ids, attend)


@pytest.mark.parametrize(
    ("size", "providers", "expected"),
    [
        ("batch", ["CPUExecutionProvider"], 1),
        ("batch", ["CUDAExecutionProvider", "CPUExecutionProvider"], 4),
        (6, ["CPUExecutionProvider"], 6),
    ],
)
def test_a_cpu_best_answers_one_sentence_at_a_time_and_a_graph_of_a_fixed_batch_that(size, providers, expected):
    assert OnnxBackend(OneSizeSession(size, providers)).batch_size == expected


class OneSizeSession:
    """Stands in for the session of a graph that has one size for pictures and sentences."""

    def __init__(self, size, providers=("CPUExecutionProvider",)):
        self.providers = list(providers)
        shapes = {"pixel_values": [size, 3, 64, 64], "union_pixel_values": [size, 3, 32, 32]}
        shapes |= {"input_ids": [size, "length"], "attention_mask": [size, "length"]}
        self.inputs = [SimpleNamespace(name=name, shape=shape) for name, shape in shapes.items()]

    def get_inputs(self):
        return self.inputs

    def get_outputs(self):
        return [SimpleNamespace(name="low_res_logits")]

    def get_providers(self):
        return self.providers

    def run(self, names, arrays):
        assert {len(array) for array in arrays.values()} == {len(arrays["input_ids"])}
        return [arrays["pixel_values"][:, 0, :1, :1]]


@pytest.mark.parametrize("size", ["batch", 2, 3])
def test_graphs_of_one_size_are_given_a_picture_for_every_sentence(make_batch, size):
    pixels, union, ids, attend = make_batch((5, 9, 3, 4, 5, 6))
    output = OnnxBackend(OneSizeSession(size)).run(pixels[:2], union[:2], ids, attend)
    np.testing.assert_array_equal(output.low_res_logits[:, 0, 0], pixels[[0, 0, 0, 1, 1, 1], 0, 0, 0])


def test_the_shipped_model_equals_torch():
    pytest.importorskip("torch")
    if not (COMPACT / "image.onnx").is_file():
        pytest.skip("the package has no compact weights yet")
    import torch

    from rs2sam.export.graphs import TOLERANCE
    from rs2sam.export.onnx_once import largest_difference
    from rs2sam.models.weights.loading import load_encode_once

    model = load_encode_once(COMPACT, torch.float32)
    assert largest_difference(COMPACT / "image.onnx", COMPACT / "sentence.onnx", model) < TOLERANCE


def test_a_padded_batch_equals_its_samples(onnx_folder, make_batch):
    backend = OnnxBackend.from_folder(onnx_folder, threads=1)
    pixels, union, ids, attend = make_batch((4, 9))
    together = backend.run(pixels, union, ids, attend)
    alone = backend.run(pixels[:1], union[:1], ids[:1, :4], attend[:1, :4])
    np.testing.assert_allclose(together.low_res_logits[0], alone.low_res_logits[0], rtol=1e-4, atol=1e-5)


def test_the_graph_reads_the_weights_file_and_holds_little_itself(onnx_folder):
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(onnx_folder / "model.onnx", load_external_data=False).graph
    shared = [tensor for tensor in graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    places = [{entry.key: entry.value for entry in tensor.external_data} for tensor in shared]
    assert {place["location"] for place in places} == {"model.safetensors"}
    stored = (onnx_folder / "model.safetensors").stat().st_size
    assert sum(int(place["length"]) for place in places) > 0.8 * stored
    assert (onnx_folder / "model.onnx").stat().st_size < 0.2 * stored


def test_the_graph_holds_no_paths_of_the_machine_that_wrote_it(onnx_folder):
    content = (onnx_folder / "model.onnx").read_bytes()
    assert b"site-packages" not in content
    assert b".py" not in content


def test_the_export_leaves_nothing_else_behind(onnx_folder):
    assert not [file for file in onnx_folder.iterdir() if file.name.startswith(".")]


def test_the_graph_runs_where_torch_is_not_installed(onnx_folder):
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "import numpy as np; from rs2sam import Segmenter\n"
        f"result = Segmenter.load({str(onnx_folder)!r}).segment(np.zeros((20, 30, 3), np.uint8), 'the ship')\n"
        "assert result.mask.shape == (20, 30)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_folder_without_graph_says_how_to_make_one(tmp_path):
    with pytest.raises(InvalidInputError, match=r"python -m rs2sam\.export\.onnx_export"):
        OnnxBackend.from_folder(tmp_path)


def test_a_device_that_is_not_there_is_named(onnx_folder):
    with pytest.raises(InvalidInputError, match="cannot run on `cuda:3`"):
        OnnxBackend.from_folder(onnx_folder, device="cuda:3")


def test_a_damaged_graph_and_missing_weights_are_reported(onnx_folder, tmp_path):
    content = (onnx_folder / "model.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(CheckpointError, match="whole model folder"):
        OnnxBackend.from_folder(tmp_path)
    shutil.copy(onnx_folder / "model.safetensors", tmp_path)
    (tmp_path / "model.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="whole model folder"):
        OnnxBackend.from_folder(tmp_path)


@pytest.mark.parametrize(("size", "said"), [(0, "without elements"), (10**6, "batches of 1 to 1024")])
def test_a_graph_of_a_batch_that_nobody_can_fill_is_reported(onnx_folder, tmp_path, size, said):
    onnx = pytest.importorskip("onnx")
    shutil.copy(onnx_folder / "model.safetensors", tmp_path)
    graph = onnx.load(onnx_folder / "model.onnx", load_external_data=False)
    for one in graph.graph.input:
        if one.name in ("input_ids", "attention_mask"):
            one.type.tensor_type.shape.dim[0].dim_value = size
    onnx.save(graph, tmp_path / "model.onnx")
    with pytest.raises(CheckpointError, match=said):
        OnnxBackend.from_folder(tmp_path)


def test_names_of_a_graph_that_are_no_utf8_are_reported(onnx_folder, tmp_path):
    content = (onnx_folder / "model.onnx").read_bytes()
    shutil.copy(onnx_folder / "model.safetensors", tmp_path)
    for name in (b"input_ids", b"low_res_logits"):
        (tmp_path / "model.onnx").write_bytes(content.replace(name, name[:-1] + b"\xa1"))
        with pytest.raises(CheckpointError, match="whole model folder"):
            OnnxBackend.from_folder(tmp_path)


def test_an_export_that_computes_something_else_is_not_kept(onnx_folder, tmp_path, monkeypatch):
    from rs2sam.export import onnx_export

    shutil.copytree(onnx_folder, tmp_path / "copy")
    (tmp_path / "copy" / "model.onnx").unlink()
    onnx = pytest.importorskip("onnx")
    wrong = onnx.load(onnx_folder / "model.onnx")
    wrong.graph.node[0].name = "same computation"
    monkeypatch.setattr(onnx_export, "export_graph", lambda *_: wrong)
    monkeypatch.setattr(onnx_export, "largest_difference", lambda *_: 0.5)
    with pytest.raises(CheckpointError, match=r"differs by 0\.5"):
        onnx_export.export_onnx(tmp_path / "copy")
    assert not list((tmp_path / "copy").glob("*.onnx"))
