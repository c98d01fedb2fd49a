"""`rs2sam evaluate` on tiny copies of every format, and of published weights, by one process and by two."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from rs2sam.cli import main
from rs2sam.cli.evaluate import choose_split, model_title
from rs2sam.errors import InvalidInputError
from rs2sam.segmenter import Segmentation
from tests.datasets import make_formats
from tests.small_model import write_small_model

FORMATS = ("rrsisd", "refsegrs", "jsonl", "coco")
PUBLISHED_FIGURES = ("mIoU", "oIoU", "Pr@0.5", "Pr@0.6", "Pr@0.7", "Pr@0.8", "Pr@0.9")


class Reddish:
    """Finds what is red, whatever the sentence says."""

    min_presence = 0.0
    choose_in_view = False
    reads_phrases = False
    image_size = 96
    backend_name = "reddish"

    def segment_views(self, pairs, batch_size=8, size_hw=None, min_presence=0.0):
        found = []
        for rgb, sentence in pairs:
            height, width = size_hw or rgb.shape[:2]
            shown = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))
            mask = (shown[..., 0] > 130) & (shown[..., 2] < 100)
            found.append(Segmentation(sentence, mask, mask.astype(np.float32), 0.9, 0.8))
        return found


@pytest.fixture
def reddish(monkeypatch):
    calls = []

    def load(name, backend, device, threads, precision):
        calls.append((name, backend, device, threads, precision))
        return Reddish()

    monkeypatch.setattr("rs2sam.cli.scene.load_segmenter", load)
    return calls


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("formats")
    for name in FORMATS:
        getattr(make_formats, f"write_{name}")(root / name)
    return root


def evaluate(*arguments, code=0):
    result = CliRunner().invoke(main, ["evaluate", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def counted(folder):
    """Results without what changes from run to run."""
    lines = (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_evaluated_by_name_and_by_place(reddish, data, tmp_path, name):
    by_name = evaluate("--dataset", name, "--root", data / name, "--split", "all", "-o", tmp_path / "a", "--json")
    summary = json.loads(by_name.stdout)
    assert summary == json.loads((tmp_path / "a/report.json").read_text(encoding="utf-8"))
    assert summary["run"]["dataset"] == name
    assert summary["figures"]["model"]["n"] == summary["run"]["num_samples"] > 2
    assert summary["figures"]["model"]["mIoU"] > 0.3
    evaluate("--dataset", data / name, "--split", "all", "-o", tmp_path / "b", "--batch-size", 1)
    assert counted(tmp_path / "a") == counted(tmp_path / "b")
    assert reddish == [("compact", None, None, None, "float32")] * 2


def test_the_published_table_by_one_command(reddish, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = evaluate("--dataset", "rrsisd", "--root", data / "rrsisd")
    assert "compact (measured)" in result.stdout
    assert "published: RS2-SAM 2 | 77.56 | 72.34 | 61.76 | 47.92 | 29.73 | 78.99 | 66.72" in result.stdout
    (folder,) = tmp_path.iterdir()
    assert folder.name == "evaluation-rrsisd-test-compact"
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    run = json.loads((folder / "run.json").read_text())
    assert (run["split"], run["protocol"], run["model"], len(run["weights_sha256"])) == (
        "test",
        "published",
        "compact",
        64,
    )


def test_folders_of_one_model_and_split_are_named_apart(reddish, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for options in ((), ("--protocol", "native"), ("--precision", "fp16", "--limit", 2), ("--limit", 99)):
        evaluate("--dataset", data / "rrsisd", "--gallery", 0, *options)
    assert sorted(path.name.removeprefix("evaluation-rrsisd-test-compact") for path in tmp_path.iterdir()) == [
        "", "-99", "-fp16-2", "-native",
    ]  # fmt: skip
    said = [
        (path / "report.md").read_text(encoding="utf-8").splitlines()[2].split(",")[0]
        for path in sorted(tmp_path.iterdir())
    ]
    assert said == ["3 samples", "3 samples", "2 samples (evenly chosen)", "3 samples"]


def test_odd_sized_images_are_counted_at_their_own_size_natively(reddish, data, tmp_path):
    evaluate("--dataset", data / "rrsisd", "--protocol", "native", "-o", tmp_path, "--save-masks", "--overwrite")
    sizes = {one["image_id"]: one["everything"][1] for one in counted(tmp_path)}
    assert sizes == {"4": 64 * 64, "9976": 65 * 64, "15324": 63 * 64}
    assert len(list((tmp_path / "masks").iterdir())) == 3


def test_quiet_says_nothing(reddish, data, tmp_path):
    result = CliRunner().invoke(
        main, ["-q", "evaluate", "--dataset", str(data / "coco"), "--split", "all", "-o", str(tmp_path)]
    )
    assert (result.exit_code, result.output) == (0, "")


def test_a_run_goes_on_only_with_itself(reddish, data, tmp_path):
    arguments = ("--dataset", data / "rrsisd", "-o", tmp_path)
    evaluate(*arguments)
    file = tmp_path / "samples.jsonl"
    before = counted(tmp_path)
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:1]))
    assert "holds an evaluation already" in evaluate(*arguments, code=1).stderr
    assert "split: test there, val now" in evaluate(*arguments, "--split", "val", "--resume", code=1).stderr
    assert "protocol: published there, native now" in evaluate(
        *arguments, "--protocol", "native", "--resume", code=1
    ).stderr  # fmt: skip
    assert (
        "precision: float32 there, fp16 now" in evaluate(*arguments, "--precision", "fp16", "--resume", code=1).stderr
    )
    evaluate(*arguments, "--resume")
    assert counted(tmp_path) == before
    evaluate(*arguments, "--split", "val", "--overwrite")
    assert len(counted(tmp_path)) == 1


def test_another_model_of_the_same_name_does_not_go_on(reddish, data, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    for name in ("config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.model"):
        (model / name).write_text('{"model_type": "rs2sam"}')
    arguments = ("--dataset", data / "rrsisd", "-o", tmp_path / "out", "--model", model)
    evaluate(*arguments)
    (model / "model.safetensors").write_text("trained a little more")
    assert "weights_sha256" in evaluate(*arguments, "--resume", code=1).stderr


def test_options_reach_what_they_name(reddish, data, tmp_path):
    summary = json.loads(
        evaluate(
            "--dataset", data / "rrsisd", "--split", "all", "-o", tmp_path, "--model", "compact", "--backend", "torch",
            "--device", "cpu", "--precision", "bf16", "--threads", 2, "--batch-size", 3, "--limit", 4,
            "--gallery", 1, "--json",
        ).stdout
    )  # fmt: skip
    assert reddish == [("compact", "torch", "cpu", 2, "bf16")]
    assert (summary["run"]["limit"], summary["run"]["num_samples"]) == (4, 4)
    assert summary["run"]["precision"] == "bf16"
    assert summary["settings"]["batch_size"] == 3
    assert [len(gallery) for gallery in summary["galleries"].values()] == [1, 1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "rrsisd"], "needs the place of the data: add --root DIR"),
        (["--dataset", "nowhere"], "'nowhere' is neither. Check the path"),
        (["--dataset", "nowhere", "--root", "."], "names a format"),
        (["--dataset", "rrsisd", "--root", "nowhere"], "nowhere"),
        (["--dataset", "{rrsisd}", "--split", "valid"], "one of the dataset's (train, val, test) or `all`"),
        (["--dataset", "{rrsisd}", "--model", "./no-model"], "no-model"),
        (["--dataset", "{rrsisd}", "-o", "{rrsisd}/rrsisd/instances.json"], "is a file"),
        (["--dataset", "{rrsisd}", "-o", "{rrsisd}"], "a folder of its own, received the dataset's"),
        (["--dataset", "{rrsisd}/../jsonl/annotations.jsonl", "-o", "{rrsisd}/../jsonl"], "a folder of its own"),
    ],
)
def test_wrong_input_is_said_in_one_line(reddish, data, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    filled = [argument.replace("{rrsisd}", str(data / "rrsisd")) for argument in arguments]
    result = evaluate(*filled, code=1)
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_resume_and_overwrite_exclude_each_other(data, tmp_path):
    result = evaluate("--dataset", data / "coco", "-o", tmp_path, "--resume", "--overwrite", code=2)
    assert "give one of them" in result.stderr


def test_split_that_is_meant():
    assert choose_split(None, ("train", "test")) == "test"
    assert choose_split(None, ()) is None
    assert choose_split("all", ("train", "test")) is None
    assert choose_split("all", ("all", "test")) == "all"
    assert choose_split("val", ("val",)) == "val"
    with pytest.raises(InvalidInputError, match=r"no split `test`. Name one of its splits \(train, val\)"):
        choose_split(None, ("train", "val"))


def test_a_model_is_called_by_what_tells_it_from_others(tmp_path):
    for name in ("run-7/model", "run-7/checkpoint-100", "mine"):
        (tmp_path / name).mkdir(parents=True)
        assert model_title(str(tmp_path / name)) == name
    assert model_title("owner/model") == "owner/model"
    assert model_title("compact") == "compact"


@pytest.mark.slow
def test_two_processes_give_the_figures_of_one(data, tmp_path):
    pytest.importorskip("accelerate")
    model = write_small_model(tmp_path / "model", dtype="float32")
    arguments = [
        "evaluate", "--dataset", str(data / "rrsisd"), "--split", "all", "--model", str(model), "--device", "cpu",
        "--threads", "1", "--batch-size", "2", "--gallery", "1", "--save-masks", "-o",
    ]  # fmt: skip
    one = CliRunner().invoke(main, [*arguments, str(tmp_path / "one")], catch_exceptions=False)
    assert one.exit_code == 0, one.output
    launched = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0", "--standalone",
         "-m", "rs2sam", *arguments, str(tmp_path / "two")],
        capture_output=True, text=True, timeout=280, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert launched.returncode == 0, launched.stderr
    assert launched.stdout.count("(measured)") == 1
    assert counted(tmp_path / "two") == counted(tmp_path / "one")
    assert len(counted(tmp_path / "two")) == 7
    one_report, two_report = (json.loads((tmp_path / name / "report.json").read_text()) for name in ("one", "two"))
    for varying in ("settings", "seconds_per_sample"):
        one_report.pop(varying)
        assert two_report.pop(varying)
    assert one_report == two_report
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == sorted(
        path.name for path in (tmp_path / "one").iterdir()
    )


def test_figures_of_a_real_model_do_not_depend_on_the_batch_size(data, tmp_path):
    pytest.importorskip("torch")
    model = write_small_model(tmp_path / "model", dtype="float32")
    reports = []
    for batch_size in (1, 3, 7):
        folder = tmp_path / str(batch_size)
        evaluate(
            "--dataset", data / "rrsisd", "--split", "all", "--model", model, "--device", "cpu", "--gallery", 0,
            "--batch-size", batch_size, "-o", folder,
        )  # fmt: skip
        reports.append(json.loads((folder / "report.json").read_text())["figures"])
    assert reports[0] == reports[1] == reports[2]


def test_half_precision_is_what_is_computed_and_recorded(data, tmp_path):
    pytest.importorskip("torch")
    model = write_small_model(tmp_path / "model", dtype="float32")
    scores = {}
    for precision in ("float32", "bf16"):
        evaluate(
            "--dataset", data / "coco", "--split", "all", "--model", model, "--device", "cpu", "--gallery", 0,
            "--precision", precision, "-o", tmp_path / precision,
        )  # fmt: skip
        assert json.loads((tmp_path / precision / "run.json").read_text())["precision"] == precision
        scores[precision] = np.array([one["score"] for one in counted(tmp_path / precision)])
    assert (scores["bf16"] != scores["float32"]).any()
    np.testing.assert_allclose(scores["bf16"], scores["float32"], atol=0.02)
    words = CliRunner().invoke(main, ["compare", str(tmp_path / "float32"), str(tmp_path / "bf16")]).stdout
    assert "/model on coco, all samples), B = bf16 (model " in words
    assert "/model in bf16 on coco, all samples)" in words


def test_a_published_checkpoint_gives_the_figures_of_its_golden_predictions(golden_dir, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    from rs2sam.backends.torch import TorchBackend
    from rs2sam.datasets.base import Sample
    from rs2sam.datasets.readers.jsonl import write_jsonl
    from rs2sam.processing import ImageInputs, Processor, TextInputs
    from rs2sam.segmenter import Segmenter
    from tests.models.weights.published import published_folder
    from tests.parity.golden import loss_targets

    goldens = load_file(golden_dir / "tiny/goldens.safetensors")
    source = published_folder(tmp_path / "published", load_file(golden_dir / "tiny/state_dict.safetensors"))
    converted = CliRunner().invoke(main, ["-q", "convert", str(source), str(tmp_path / "tiny")], catch_exceptions=False)
    assert converted.exit_code == 0, converted.output

    class GoldenProcessor(Processor):
        """The goldens' inputs are noise and no pictures: a picture's first value and a sentence name them."""

        def images(self, rgb):
            k = int(rgb[0, 0, 0])
            return ImageInputs(goldens["in.images"][k].numpy(), goldens["in.images_evf"][k].numpy())

        def sentences(self, sentences):
            ids = [goldens[f"in.input_ids.{sentence}"][0].numpy() for sentence in sentences]
            length = max(map(len, ids))
            padded = np.stack([np.pad(one, (0, length - len(one)), constant_values=3) for one in ids])
            return TextInputs(padded, (padded != 3).astype(np.int64))

    def load(name, backend, device, threads, precision):
        return Segmenter(GoldenProcessor.from_folder(name), TorchBackend.from_folder(name, device="cpu"))

    monkeypatch.setattr("rs2sam.cli.scene.load_segmenter", load)
    targets = loss_targets().numpy() > 0
    samples = [
        Sample(np.full((256, 256, 3), k, np.uint8), f"single{k}", target, id=f"golden-{k}", split="test")
        for k, target in enumerate(targets)
    ]
    write_jsonl(samples, tmp_path / "data")
    summary = json.loads(
        evaluate(
            "--dataset", tmp_path / "data", "--model", tmp_path / "tiny", "--batch-size", 2, "--save-masks", "--json",
            "-o", tmp_path / "out",
        ).stdout
    )  # fmt: skip

    counts = []
    for k, target in enumerate(targets):
        low = goldens[f"single{k}.low_res_logits"]
        logits = torch.nn.functional.interpolate(low, (256, 256), mode="bilinear", align_corners=False)[0, 0].numpy()
        mask = logits > 0.5
        np.testing.assert_array_equal(mask[::4, ::4], goldens[f"single{k}.final_logits[:, :, ::4, ::4]"][0, 0] > 0.5)
        with Image.open(tmp_path / f"out/masks/golden-{k}.png") as saved:
            np.testing.assert_array_equal(np.asarray(saved) > 0, mask)
        counts.append((int((mask & target).sum()), int((mask | target).sum())))
    assert [tuple(one["counts"]) for one in counted(tmp_path / "out")] == counts
    ious = [i / u for i, u in counts]
    expected = [sum(ious) / 2, sum(i for i, _ in counts) / sum(u for _, u in counts)]
    expected += [sum(iou >= x for iou in ious) / 2 for x in (0.5, 0.6, 0.7, 0.8, 0.9)]
    measured = summary["figures"]["model"]
    assert [measured[name] for name in PUBLISHED_FIGURES] == pytest.approx(expected, abs=1e-15)
