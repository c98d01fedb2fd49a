"""Model folders that are damaged or of another model: an error, never an answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rs2sam.backends import BackendOutput
from rs2sam.backends.onnx import OnnxBackend
from rs2sam.backends.protocol import check_output
from rs2sam.errors import CheckpointError, InvalidInputError
from rs2sam.segmenter import Segmenter

onnx = pytest.importorskip("onnx")

INPUTS = {
    "pixel_values": (1, ("n", 3, "s", "s")),
    "union_pixel_values": (1, ("n", 3, "u", "u")),
    "input_ids": (7, ("b", "l")),
    "attention_mask": (7, ("b", "l")),
}


def graph(path: Path, inputs: dict[str, Any], outputs: dict[str, tuple[int, tuple[Any, ...]]]) -> None:
    """A graph that answers with ones of the shapes of its outputs, whatever it is asked."""
    from onnx import helper, numpy_helper

    kinds = {1: np.float32, 7: np.int64}
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.ones(shape, kinds[kind])))
        for name, (kind, shape) in outputs.items()
    ]
    values = [
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in side.items()]
        for side in (inputs, outputs)
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "other", *values), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    onnx.save(model, path)


LOGITS = {"low_res_logits": (1, (1, 16, 16))}


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ({"x": (1, ("n", 3, 8, 8))}, {"y": (1, (1, 4))}),
        (INPUTS, {"y": (1, (1, 16, 16))}),
        (INPUTS, {"low_res_logits": (1, (16,))}),
        (INPUTS, {"low_res_logits": (7, (1, 16, 16))}),
        (INPUTS, {**LOGITS, "presence_logits": (1, (1, 1))}),
        (INPUTS, {**LOGITS, "more": (1, (1,))}),
        ({**INPUTS, "input_ids": (1, ("b", "l"))}, LOGITS),
        ({**INPUTS, "more": (1, (1,))}, LOGITS),
        ({name: INPUTS[name] for name in ("pixel_values", "input_ids")}, LOGITS),
    ],
)
def test_another_graph_is_refused_when_it_is_loaded(tmp_path: Path, inputs: Any, outputs: Any) -> None:
    graph(tmp_path / "model.onnx", inputs, outputs)
    with pytest.raises(CheckpointError, match="no graph of rs2sam"):
        OnnxBackend.from_folder(tmp_path)


def test_graph_that_answers_for_another_number_of_sentences_is_refused(tmp_path: Path, onnx_folder: Path) -> None:
    folder = shutil.copytree(onnx_folder, tmp_path / "model")
    graph(folder / "model.onnx", INPUTS, {"low_res_logits": (1, (3, 16, 16))})
    with pytest.raises(CheckpointError, match="must be of 1 sentences, received 3"):
        Segmenter.load(folder, threads=1).segment(np.zeros((8, 8, 3), np.uint8), "the pond")


def test_graph_of_another_size_than_the_folder_says_is_refused(tmp_path: Path, onnx_folder: Path) -> None:
    folder = shutil.copytree(onnx_folder, tmp_path / "model")
    config = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps({**config, "image_size": 96}))
    with pytest.raises(CheckpointError, match=r"cannot compute with pixel_values \(1, 3, 96, 96\)"):
        Segmenter.load(folder, threads=1).segment(np.zeros((8, 8, 3), np.uint8), "the pond")


@pytest.mark.parametrize(
    ("logits", "presence", "message"),
    [
        (np.full((1, 4, 4), np.nan, np.float32), None, "low_res_logits` must be finite"),
        (np.full((1, 4, 4), np.inf, np.float32), None, "low_res_logits` must be finite"),
        (np.zeros((1, 4, 4), np.float32), np.array([np.nan], np.float32), "presence_logits` must be finite"),
        (np.zeros((4, 4), np.float32), None, "floats of 3 axes"),
        (np.zeros((1, 4, 4), np.int64), None, "received int64"),
        (np.zeros((1, 0, 4), np.float32), None, "floats of 3 axes"),
        (np.zeros((2, 4, 4), np.float32), None, "of 1 sentences, received 2"),
        (None, None, "received NoneType"),
    ],
)
def test_output_that_is_no_answer_is_refused(logits: Any, presence: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        check_output(BackendOutput(logits, presence_logits=presence), 1)


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_weights_of_nan_are_an_error_and_not_nothing_found(tmp_path: Path, onnx_folder: Path, backend: Any) -> None:
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(onnx_folder, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    for tensor in tensors.values():
        tensor[...] = np.nan
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="computed NaN"):
        Segmenter.load(folder, backend, threads=1).segment(np.zeros((8, 8, 3), np.uint8), "the pond")


@pytest.mark.parametrize(
    "change",
    [
        {"image_size": 10**6},
        {"image_size": True},
        {"image_std": [1e-40, 1, 1]},
        {"image_std": ["1", 1, 1]},
        {"image_std": 3},
        {"image_mean": [None, 1, 1]},
        {"image_mean": [float("nan"), 0, 0]},
        {"pad_token_id": 10**12},
        {"max_text_tokens": 10**9},
        {"mask_unknown_tokens": "no"},
        {"min_presence": float("nan")},
        {"first_pass": {"tiles": 10**9, "threshold": 0.1}},
        {"first_pass": 4},
        {"gsd_range_m": [3, 1]},
        {"gsd_range_m": [0, 1]},
        {"gsd_range_m": 0.3},
    ],
)
def test_preprocessor_of_other_types_or_out_of_range_is_refused(
    tmp_path: Path, onnx_folder: Path, change: dict[str, Any]
) -> None:
    folder = shutil.copytree(onnx_folder, tmp_path / "model")
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InvalidInputError, match="tiles" if "first_pass" in change else next(iter(change))):
        Segmenter.load(folder, threads=1)


@pytest.mark.parametrize("content", ["[1, 2]", "[" * 10**5, "{", "\udcff"])
def test_preprocessor_that_is_no_object_is_refused(tmp_path: Path, onnx_folder: Path, content: str) -> None:
    folder = shutil.copytree(onnx_folder, tmp_path / "model")
    (folder / "preprocessor_config.json").write_text(content, errors="surrogateescape")
    with pytest.raises(InvalidInputError, match="preprocessor_config"):
        Segmenter.load(folder, threads=1)


@pytest.mark.parametrize("name", ["../x.safetensors", "/x.safetensors", "a/b.safetensors", "..", "", 4, None])
def test_index_of_shards_reads_nothing_outside_its_folder(tmp_path: Path, torch_folder: Path, name: Any) -> None:
    from rs2sam.models.weights.files import Checkpoint
    from rs2sam.models.weights.loading import load_weights

    folder = shutil.copytree(torch_folder, tmp_path / "model")
    (folder / "model.safetensors").rename(tmp_path / "x.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    import torch

    with pytest.raises(CheckpointError, match="beside their index"):
        load_weights(folder, torch.float32)
    with pytest.raises(CheckpointError, match="beside their index"):
        Checkpoint(folder)
