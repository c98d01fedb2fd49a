"""Exports of models that encode pictures once: folding, what is refused, the stored check."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rs2sam.errors import CheckpointError, InvalidInputError
from tests.small_once import once_export, write_once_model

pytest.importorskip("onnxscript")

from rs2sam.export.exported import Shapes
from rs2sam.export.folder import ExportOptions, export_model, load_export
from rs2sam.export.onnx_export import export_onnx
from rs2sam.segmenter import Segmenter

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_encode_once.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_once_model(tmp_path_factory.mktemp("once") / "model")


def test_an_export_holds_folded_weights_and_says_so():
    exported = once_export()
    assert json.loads((exported / "config.json").read_text())["folded"] is True
    assert not list(exported.glob(".draft*"))
    assert json.loads((exported / "export.json").read_text())["inputs"] == [
        "pixel_values",
        "input_ids",
        "attention_mask",
    ]


def test_a_program_with_onnx_runtime_alone_finds_the_same_masks(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (50, 90, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    sentences = ["the big ship", "all storage tanks at the lower left"]
    blocked = "import sys, runpy; sys.modules.update(rs2sam=None, torch=None, transformers=None, rasterio=None)\n"
    code = f"{blocked}sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    paths = [EXAMPLE, once_export(), tmp_path / "a.png", tmp_path / "masks"]
    subprocess.run([sys.executable, "-c", code, *map(str, paths), *sentences], check=True, timeout=300)
    encoded = Segmenter.load(once_export(), backend="torch", device="cpu").encode(rgb)
    for number, found in enumerate(encoded.segment_many(sentences, scope="tile", min_presence=0), start=1):
        ours = np.asarray(Image.open(tmp_path / "masks" / f"{number}.png")).astype(bool)
        assert ours.shape == found.mask.shape == (50, 90)
        assert (ours == found.mask).mean() > 0.999


@pytest.mark.parametrize(
    ("example", "there", "message"),
    [
        ("onnx_only.py", "image.onnx", "has two graphs, image.onnx and sentence.onnx: use onnx_encode_once.py"),
        ("onnx_encode_once.py", "model.onnx", "has one graph, model.onnx: use onnx_only.py"),
    ],
)
def test_an_example_names_the_one_that_reads_the_other_kind(tmp_path, example, there, message):
    (tmp_path / there).touch()
    (tmp_path / "preprocessor_config.json").write_text("{}")
    command = [sys.executable, str(EXAMPLE.with_name(example)), str(tmp_path), "a.png", "ships", "b.png"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (found.returncode, found.stderr.count("\n")) == (1, 1)
    assert message in found.stderr


def test_the_example_is_short_and_needs_four_libraries():
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 45
    imported = {line.split()[1].partition(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported - set(sys.stdlib_module_names) == {"numpy", "onnxruntime", "PIL", "sentencepiece"}


def test_the_sentence_graph_has_onnx_runtimes_attention():
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(once_export() / "sentence.onnx", load_external_data=False).graph
    assert sum(node.op_type == "MultiHeadAttention" for node in graph.node) == 2  # a text layer and a union layer


def test_a_model_without_a_decoder_has_graphs_that_equal_torch(tmp_path):
    folder = write_once_model(tmp_path / "model", folded=True, has_decoder=False)
    export_onnx(folder)  # checked against torch
    rgb = np.random.default_rng(0).integers(0, 256, (50, 90, 3), dtype=np.uint8)
    ours, expected = (Segmenter.load(folder, name, "cpu") for name in ("onnx", "torch"))
    pairs = [(rgb, "the ships"), (rgb[:, :50], "the big ship"), (rgb, "all storage tanks")]
    for one, other in zip(ours.segment_many(pairs, 2), expected.segment_many(pairs, 2), strict=True):
        np.testing.assert_allclose(one.probability, other.probability, atol=1e-3)
        assert (one.score, other.score) == (None, None)


def test_loading_checks_the_stored_answer(tmp_path, monkeypatch):
    exported = once_export()
    backend = load_export(exported)
    encode = type(backend).encode
    monkeypatch.setattr(type(backend), "encode", lambda self, pixels: encode(self, pixels * 2))
    with pytest.raises(CheckpointError, match="must compute what the float32 model does"):
        load_export(exported)


def test_graphs_of_norms_that_are_not_folded_are_refused(folder):
    with pytest.raises(InvalidInputError, match="norms must be folded"):
        export_onnx(folder)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ExportOptions("aot"), "exported to onnx, received aot"),
        (ExportOptions("onnx", Shapes(batch=2)), "free sizes, received --batch 2 and --length None"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_leaves_nothing(folder, tmp_path, options, message):
    with pytest.raises(InvalidInputError, match=message):
        export_model(folder, tmp_path / "out", options)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_computes_something_else_is_not_kept(tmp_path, monkeypatch):
    from rs2sam.export import onnx_once

    folder = write_once_model(tmp_path / "model", folded=True)
    graph = type("Graph", (), {"SerializeToString": lambda self: b""})()
    monkeypatch.setattr(onnx_once, "_image_graph", lambda model: graph)
    monkeypatch.setattr(onnx_once, "_sentence_graph", lambda model: graph)
    monkeypatch.setattr(onnx_once, "share_weights", lambda graph, stored: 0)
    monkeypatch.setattr(onnx_once, "largest_difference", lambda *_: np.nan)
    with pytest.raises(CheckpointError, match="differs by nan"):
        export_onnx(folder)
    assert not list(folder.glob("*.onnx"))
    assert not list(folder.glob(".draft*"))
