from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from rs2sam.benchmarking.subject import Answer, agreement
from rs2sam.benchmarking.timing import measure
from rs2sam.cli import main
from tests.small_model import COMPACT, write_small_model


def answer(mask, probability):
    return Answer(np.array([mask], bool), np.array([probability], np.float32))


def test_agreement_is_iou_and_largest_difference():
    ours = [answer([1, 1, 0, 0], [0.9, 0.8, 0.1, 0.0]), answer([0, 0, 0, 0], [0.0, 0.1, 0.2, 0.3])]
    theirs = [answer([1, 0, 1, 0], [0.9, 0.4, 0.6, 0.0]), answer([0, 0, 0, 0], [0.0, 0.1, 0.2, 0.3])]
    found = agreement(ours, theirs)
    assert found["least_mask_iou"] == pytest.approx(1 / 3)
    assert found["mean_mask_iou"] == pytest.approx(2 / 3)
    assert found["max_probability_difference"] == pytest.approx(0.5)


def test_a_call_is_read_three_times_after_its_warm_up():
    calls = []
    reading = measure(lambda: calls.append(0), seconds=0, warm_up=2)
    assert (len(calls), reading.calls) == (5, 3)
    assert 0 <= reading.least_s <= reading.wall_s


def test_the_command_measures_every_way_to_run(tmp_path):
    pytest.importorskip("torch")
    folder, file = write_small_model(tmp_path / "model"), tmp_path / "b.json"
    options = ["--seconds", "0", "--max-batch", "2", "--device", "cpu", "--precision", "bf16", "--json", str(file)]
    result = CliRunner().invoke(main, ["benchmark", str(folder), *options])
    assert result.exit_code == 0, result.output
    report = json.loads(file.read_text())
    found = {one["name"]: one for one in report["candidates"]}
    assert list(found) == ["torch plain float32", "torch autocast bf16", "torch fused float32", "torch fused bf16"]
    assert found["torch plain float32"]["agreement"] is None
    assert found["torch fused float32"]["agreement"]["max_probability_difference"] < 1e-4
    assert 0 < found["torch fused bf16"]["agreement"]["max_probability_difference"] < 0.2
    assert found["torch plain float32"]["attention_kernels"] == {}
    assert sum(found["torch fused float32"]["attention_kernels"].values()) > 0
    for one in found.values():
        assert set(one["stages"]) == {"union", "trunk", "decoder"}
        assert one["flops_per_s"] == pytest.approx(
            report["flops_per_image"]["total"] * one["best_batch"]["images_per_s"]
        )
        assert one["share_of_matrix_rate"] > 0
        assert one["name"] in result.stdout


def test_a_model_that_encodes_pictures_once_is_measured_by_picture_and_sentence(tmp_path):
    pytest.importorskip("onnxscript")
    from tests.small_once import once_export

    file = tmp_path / "b.json"
    options = ["--seconds", "0", "--max-batch", "2", "--device", "cpu", "--json", str(file)]
    result = CliRunner().invoke(main, ["benchmark", str(once_export()), *options])
    assert result.exit_code == 0, result.output
    report = json.loads(file.read_text())
    assert [one["name"] for one in report["candidates"]] == ["torch plain float32", "torch fused float32", "onnx"]
    assert report["flops_per_image"] is None
    for one in report["candidates"]:
        assert set(one["stages"]) == {"image", "sentence"}
        assert one["agreement"] is None or one["agreement"]["max_probability_difference"] < 1e-3
    assert "image" in result.stdout
    refused = CliRunner().invoke(main, ["-q", "benchmark", str(once_export()), *options, "--compile"])
    assert (refused.exit_code, "--compile does not know" in refused.stderr) == (1, True)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # what torch's compiler imports of torch
def test_a_compiled_model_is_measured_and_agrees(tmp_path):
    pytest.importorskip("torch")
    folder, file = write_small_model(tmp_path / "model"), tmp_path / "b.json"
    options = ["--seconds", "0", "--max-batch", "1", "--device", "cpu", "--compile", "--json", str(file)]
    names = ["--only", "torch plain float32", "--only", "torch compiled float32"]
    result = CliRunner().invoke(main, ["benchmark", str(folder), *options, *names])
    assert result.exit_code == 0, result.output
    compiled = json.loads(file.read_text())["candidates"][1]
    assert compiled["agreement"]["max_probability_difference"] < 1e-4


def test_the_base_install_measures_what_it_can(tmp_path):
    file = tmp_path / "b.json"
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "import rs2sam.benchmarking.run as run; run.find_spec = lambda name: None\n"
        "from rs2sam.cli import main\n"
        f"main(['benchmark', '--seconds', '0', '--max-batch', '1', '--threads', '1', '--json', {str(file)!r}])"
    )
    if not (COMPACT / "image.onnx").is_file():
        pytest.skip("the package has no compact weights")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250)
    assert result.returncode == 0, result.stderr
    report = json.loads(file.read_text())
    assert [one["name"] for one in report["candidates"]] == ["onnx"]
    assert report["flops_per_image"] is None  # not counted for a model that encodes an image once
    assert "No agreement" in result.stdout
    assert "pip install 'rs2sam[torch]'" in result.stdout


def test_an_unknown_candidate_is_named():
    result = CliRunner().invoke(main, ["-q", "benchmark", "--only", "abacus", "--device", "cpu"])
    assert result.exit_code == 1
    assert "abacus" in result.stderr
    assert "'onnx'" in result.stderr
