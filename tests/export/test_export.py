from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rs2sam.errors import CheckpointError, DataNotFoundError, InvalidInputError
from tests.backends.conftest import given
from tests.small_exports import said_by_export, small_export, small_folder

pytest.importorskip("onnxscript")

from rs2sam.backends.onnx import OnnxBackend
from rs2sam.backends.torch import TorchBackend
from rs2sam.export.exported import Shapes
from rs2sam.export.folder import ExportOptions, export_model, load_export
from rs2sam.segmenter import Segmenter

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_only.py"


@pytest.fixture(scope="module")
def model():
    return small_folder()


@pytest.fixture(scope="module")
def free():
    """An ONNX export of free sizes, by the command."""
    return small_export()


@pytest.fixture(scope="module")
def fixed(model, tmp_path_factory):
    """A program of two samples and twelve tokens."""
    out = tmp_path_factory.mktemp("fixed") / "program"
    export_model(model, out, ExportOptions("torch-export", Shapes(batch=2, length=12)))
    return out


@pytest.fixture(scope="module")
def fixed_graph(model, tmp_path_factory):
    """An ONNX export of two samples and twelve tokens, of the standard's operators alone."""
    out = tmp_path_factory.mktemp("fixed_graph") / "onnx"
    export_model(model, out, ExportOptions("onnx", Shapes(batch=2, length=12), standard_operators=True))
    return out


def picture(path, seed=0):
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(path)
    return path


@pytest.mark.parametrize("kind", ["free", pytest.param("fixed_graph", marks=pytest.mark.slow)])
def test_a_program_with_onnx_runtime_alone_finds_the_same_mask(kind, request, model, tmp_path):
    folder, image = request.getfixturevalue(kind), picture(tmp_path / "a.png")
    blocked = "import sys, runpy; sys.modules.update(rs2sam=None, torch=None, transformers=None, rasterio=None)\n"
    code = f"{blocked}sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [
        sys.executable,
        "-c",
        code,
        str(EXAMPLE),
        str(folder),
        str(image),
        "the big ship",
        str(tmp_path / "m.png"),
    ]
    subprocess.run(command, check=True, timeout=120)
    ours = np.asarray(Image.open(tmp_path / "m.png")).astype(bool)
    expected = Segmenter.load(model, backend="torch", device="cpu").segment(image, "the big ship", min_presence=0)
    assert ours.shape == expected.mask.shape == (50, 70)
    assert (ours == expected.mask).mean() > 0.999


def test_the_example_has_forty_lines_and_needs_four_libraries():
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 40
    imported = {line.split()[1].partition(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported - set(sys.stdlib_module_names) == {"numpy", "onnxruntime", "PIL", "sentencepiece"}


def agree(ours, reference):
    for name, expected in given(reference):
        np.testing.assert_allclose(getattr(ours, name), expected, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("lengths", [(5,), (4, 12, 7)])
def test_a_program_of_fixed_sizes_answers_batches_of_any_size(fixed, model, make_batch, lengths):
    arrays = make_batch(lengths)
    agree(load_export(fixed).run(*arrays), TorchBackend.from_folder(model, "cpu").run(*arrays))


def test_a_program_of_fixed_sizes_answers_sentences_about_one_picture(fixed, model, make_batch):
    pixels, union, ids, attend = make_batch((4, 12, 7))
    arrays = pixels[:1], union[:1], ids, attend
    agree(load_export(fixed).run(*arrays), TorchBackend.from_folder(model, "cpu").run(*arrays))


def test_pictures_and_sentences_are_counted_apart_only_where_both_are_free(free, fixed):
    assert json.loads((free / "export.json").read_text())["shapes"]["batch"] is None
    assert json.loads((fixed / "export.json").read_text())["shapes"]["batch"] is not None


def test_a_sentence_too_long_for_fixed_sizes_is_refused(fixed, make_batch):
    with pytest.raises(InvalidInputError, match="at most 12 tokens, received 13"):
        load_export(fixed, check=False).run(*make_batch((13,)))


def operators(folder):
    import onnx

    return {
        (node.domain, node.op_type) for node in onnx.load(folder / "model.onnx", load_external_data=False).graph.node
    }


def test_the_graph_has_onnx_runtimes_attention(free):
    assert {("com.microsoft", "Attention"), ("com.microsoft", "MultiHeadAttention")} <= operators(free)


@pytest.mark.slow
@pytest.mark.parametrize("lengths", [(5,), (4, 12, 7)])
def test_a_graph_of_fixed_sizes_and_standard_operators_answers_alike(fixed_graph, model, make_batch, lengths):
    assert {domain for domain, _ in operators(fixed_graph)} <= {"", "ai.onnx"}
    arrays = make_batch(lengths)
    agree(OnnxBackend.from_folder(fixed_graph).run(*arrays), TorchBackend.from_folder(model, "cpu").run(*arrays))


@pytest.mark.slow
def test_a_program_of_free_sizes_answers_as_the_model_does(model, make_batch, tmp_path):
    export_model(model, tmp_path / "program", ExportOptions("torch-export"))
    program, reference = load_export(tmp_path / "program"), TorchBackend.from_folder(model, "cpu")
    pixels, union, ids, attend = make_batch((9, 4, 6, 5))
    for pictures in (1, 2, 4):
        arrays = pixels[:pictures], union[:pictures], ids, attend
        agree(program.run(*arrays), reference.run(*arrays))
    with pytest.raises(InvalidInputError, match="3 pictures and 4 sentences"):
        program.run(pixels[:3], union[:3], ids, attend)


@pytest.mark.slow
def test_a_compiled_package_answers_as_the_model_does(model, make_batch, tmp_path):
    if shutil.which("g++") is None:
        pytest.skip("needs a C++ compiler")
    export_model(model, tmp_path / "package", ExportOptions("aot", Shapes(batch=1)))
    arrays = make_batch((9, 4))
    ours = load_export(tmp_path / "package").run(*arrays)
    expected = TorchBackend.from_folder(model, "cpu").run(*arrays)
    np.testing.assert_allclose(ours.low_res_logits, expected.low_res_logits, rtol=1e-3, atol=1e-4)


def test_an_export_says_what_it_is_at():
    steps = [line.removeprefix("export: ") for line in said_by_export() if line.startswith("export: ")]
    assert [step.split()[0] for step in steps] == ["reading", "writing", "computing", "checking"]
    assert "takes a minute" in steps[1]


def test_loading_checks_the_stored_answer(free, tmp_path):
    load_export(free)
    shutil.copytree(free, tmp_path / "copy")
    with np.load(free / "check.npz") as stored:
        values = dict(stored)
    values["low_res_logits"] = values["low_res_logits"] * 1.5
    np.savez(tmp_path / "copy" / "check.npz", **values)
    with pytest.raises(CheckpointError, match=r"differs by 0\.3"):
        load_export(tmp_path / "copy")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("export.json", b"\xff"),
        ("export.json", b"[]"),
        ("export.json", b'{"format": "onnx"}'),
        ("export.json", None),
        ("check.npz", b"PK\x03\x04"),
        ("check.npz", b""),
    ],
)
def test_a_damaged_export_is_reported_with_the_file_that_is(free, tmp_path, name, content):
    shutil.copytree(free, tmp_path / "copy")
    report = json.loads((free / "export.json").read_text()) | {"shapes": {"width": 5}}
    (tmp_path / "copy" / name).write_bytes(json.dumps(report).encode() if content is None else content)
    with pytest.raises(CheckpointError, match=rf"{name}.*Copy the whole folder"):
        load_export(tmp_path / "copy")


def test_an_export_is_a_model_of_rs2sam_too(free, tmp_path):
    result = Segmenter.load(free).segment(picture(tmp_path / "a.png"), "the ship")
    assert result.mask.shape == (50, 70)


def test_what_is_no_export_is_neither_loaded_nor_replaced(model, tmp_path):
    with pytest.raises(DataNotFoundError, match=r"no export: it has no export\.json"):
        load_export(model)
    (tmp_path / "notes.txt").write_text("mine")
    for overwrite, said in ((False, "add --overwrite"), (True, "this is none")):
        with pytest.raises(InvalidInputError, match=said):
            export_model(model, tmp_path, ExportOptions("onnx", overwrite=overwrite))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_failed_export_leaves_nothing_behind(model, tmp_path):
    with pytest.raises(InvalidInputError, match="3 to 30 tokens"):
        export_model(model, tmp_path / "out", ExportOptions("onnx", Shapes(length=31)))
    assert list(tmp_path.iterdir()) == []


def test_a_fixed_length_is_refused_where_padding_is_attended_to():
    from rs2sam.models import RS2SamConfig

    config = RS2SamConfig.preset("tiny", mask_fusion_padding=False)
    Shapes(batch=3).check(config)
    with pytest.raises(InvalidInputError, match="attends to padding"):
        Shapes(length=20).check(config)


def test_standard_operators_are_refused_where_there_are_none():
    with pytest.raises(InvalidInputError, match="exports to onnx, received aot"):
        ExportOptions("aot", standard_operators=True)


def test_onnx_in_half_precision_is_refused():
    with pytest.raises(InvalidInputError, match="computes in float32"):
        ExportOptions("onnx", precision="bf16")
