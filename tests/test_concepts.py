"""Concept models through the doors that users have: Python, `segment`, `batch`, `evaluate`, `compare`, `benchmark`."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from PIL import Image
from rasterio.windows import Window

from rs2sam import Segmenter
from rs2sam.cli import main
from rs2sam.errors import InvalidInputError
from rs2sam.language.scope import read_sentence

SENTENCE = "the leftmost of the storage tanks in this image"


@pytest.fixture(scope="module")
def crop(tmp_path_factory, data_dir):
    """The corner of a real orthophoto."""
    path = tmp_path_factory.mktemp("crop") / "crop.tif"
    with rasterio.open(sorted((data_dir / "geotiff" / "naip").glob("*.tif"))[0]) as dataset:
        window = Window(0, 0, 100, 90)
        profile = {**dataset.profile, "width": 100, "height": 90}  # the same corner, so the same transform
        with rasterio.open(path, "w", **profile) as copy:
            copy.write(dataset.read(window=window))
    return path


@pytest.fixture(params=["sam3", "clipseg"])
def folder(request):
    return request.getfixturevalue(f"{request.param}_folder")


def test_python_decides_what_the_model_does_not_read(folder, crop):
    segmenter = Segmenter.load(folder, device="cpu")
    assert (segmenter.reads_phrases, segmenter.choose_in_view) == (True, True)
    everything, chosen = segmenter.segment_many([(crop, "all storage tanks"), (crop, SENTENCE)])
    assert everything.mask.any()
    assert chosen.num_objects == 1
    assert not (chosen.mask & ~everything.mask).any()
    assert (chosen.probability[everything.mask & ~chosen.mask] == 0).all()


def test_a_picture_is_encoded_once_however_much_is_asked_about_it(folder, crop, monkeypatch):
    segmenter = Segmenter.load(folder, device="cpu")
    counts = []
    encode = segmenter._backend.encode
    monkeypatch.setattr(segmenter._backend, "encode", lambda pixels: counts.append(len(pixels)) or encode(pixels))
    encoded = segmenter.encode(crop)
    answers = encoded.segment_many(["the tanks", SENTENCE, "the water"])
    assert sum(counts) == 1
    alone = segmenter.segment(crop, SENTENCE)
    np.testing.assert_array_equal(answers[1].mask, alone.mask)


def test_points_and_boxes_find_one_object_in_the_same_encoding(sam3_folder, crop):
    encoded = Segmenter.load(sam3_folder, device="cpu").encode(crop)
    found = encoded.segment_prompt([(20, 30)])
    assert found.mask.shape == (90, 100)
    assert found.crs == encoded.scene.georeference.crs
    assert 0 <= found.score <= 1
    boxed = encoded.segment_prompt(box_xyxy=(10, 10, 60, 50))
    assert (boxed.probability != found.probability).any()
    for wrong in ({}, {"points_xy": [(500, 3)]}, {"points_xy": [(5, 3)], "labels": [2]}, {"box_xyxy": (9, 9, 3, 20)}):
        with pytest.raises(InvalidInputError, match=r"(A prompt is|lie in the image)"):
            encoded.segment_prompt(**wrong)


def test_a_prompt_in_a_large_image_sees_the_part_around_it(sam3_folder):
    rgb = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    segmenter = Segmenter.load(sam3_folder, device="cpu")
    found = segmenter.encode(rgb).segment_prompt([(250, 120)])
    rows, cols = np.nonzero(found.mask)
    assert len(rows)
    assert (rows.min() >= 84) & (rows.max() < 140)
    assert (cols.min() >= 224) & (cols.max() < 280)


def test_prompts_near_each_other_in_a_large_image_share_the_part_and_its_encoding(sam3_folder, monkeypatch):
    rgb = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    segmenter = Segmenter.load(sam3_folder, device="cpu")
    counts = []
    encode = segmenter._backend.encode
    monkeypatch.setattr(segmenter._backend, "encode", lambda pixels: counts.append(len(pixels)) or encode(pixels))
    encoded = segmenter.encode(rgb)
    first = encoded.segment_prompt([(250, 120)])
    encoded.segment_prompt([(255, 118)])
    encoded.segment_prompt(box_xyxy=(245, 110, 257, 122))
    assert counts == [1]
    encoded.segment_prompt([(50, 60)])
    assert counts == [1, 1]
    # What was asked before changes no answer.
    np.testing.assert_array_equal(encoded.segment_prompt([(250, 120)]).probability, first.probability)
    assert counts == [1, 1]


def test_a_model_without_a_head_for_points_says_so(clipseg_folder, crop):
    with pytest.raises(InvalidInputError, match="Points and boxes need a model with a head for them"):
        Segmenter.load(clipseg_folder, device="cpu").encode(crop).segment_prompt([(5, 5)])


def test_in_bfloat16_the_answers_stay_near(folder, crop):
    full, half = (Segmenter.load(folder, device="cpu", precision=one) for one in ("float32", "bf16"))
    rgb = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    (a,), (b,) = (one.segment_views([(rgb, "tanks")]) for one in (full, half))
    assert np.isfinite(b.probability).all()
    assert (a.mask == b.mask).mean() > 0.8


def test_onnx_is_refused_in_one_line(folder):
    with pytest.raises(InvalidInputError, match="`onnx` has no graph"):
        Segmenter.load(folder, backend="onnx")


def invoke(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_segment_says_which_words_the_model_read(folder, crop, tmp_path):
    output = invoke("segment", crop, SENTENCE, "-o", tmp_path / "out", "--model", folder, "--device", "cpu")
    assert 'the model was asked "storage tank"; decided among what it found: toward left' in output
    (found,) = json.loads((tmp_path / "out" / "crop_result.json").read_text())["sentences"]
    assert found["words"] == {
        "model": ["storage tank"],
        "scene": [str(claim) for claim in read_sentence(SENTENCE).claims],
    }
    has_objects = "sam3" in str(folder)
    assert found["objects"] == (1 if has_objects else None)
    with rasterio.open(tmp_path / "out" / "crop_mask.tif") as mask:
        assert (mask.read(1) == 1).sum() == found["pixels"] > 0


def test_batch_takes_them(clipseg_folder, crop, tmp_path):
    invoke("batch", crop.parent, SENTENCE, "-o", tmp_path / "out", "--model", clipseg_folder, "--device", "cpu")
    report = json.loads((tmp_path / "out" / "batch.json").read_text())
    assert report["done"] == 1
    assert said_of(tmp_path / "out") == words_of(SENTENCE)


def said_of(folder):
    """Which words of the sentence the model read, and which were decided in the scene, as a result says."""
    (path,) = folder.rglob("*_result.json")
    (found,) = json.loads(path.read_text())["sentences"]
    return found["words"]


def words_of(sentence):
    return {"model": ["storage tank"], "scene": [str(claim) for claim in read_sentence(sentence).claims]}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray reads its own deprecated settings
def test_batch_on_ray_gives_the_same(folder, crop, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    repository = Path(__file__).resolve().parents[1]
    monkeypatch.setenv("PYTHONPATH", f"{repository / 'src'}:{repository}")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    asked = ["batch", crop.parent, SENTENCE, "--model", folder, "--device", "cpu", "--tile", "64", "--overlap", "16"]
    invoke(*asked, "-o", tmp_path / "local")
    invoke(*asked, "-o", tmp_path / "ray", "--engine", "ray", "--actors", "1")
    assert json.loads((tmp_path / "ray" / "batch.json").read_text())["done"] == 1
    assert said_of(tmp_path / "ray") == said_of(tmp_path / "local") == words_of(SENTENCE)
    with rasterio.open(next((tmp_path / "ray").rglob("*_mask.tif"))) as ray:
        with rasterio.open(next((tmp_path / "local").rglob("*_mask.tif"))) as local:
            np.testing.assert_array_equal(ray.read(1), local.read(1))
        assert (ray.read(1) == 1).any()


def test_benchmark_measures_picture_and_phrase(folder, crop, tmp_path):
    file = tmp_path / "b.json"
    options = ["--seconds", "0", "--max-batch", "2", "--device", "cpu", "--json", file]
    output = invoke("benchmark", folder, "--image", crop, *options)
    (measured,) = json.loads(file.read_text())["candidates"]
    assert measured["name"] == "torch plain float32"
    assert set(measured["stages"]) == {"image", "phrase"}
    assert all(stage["wall_s"] > 0 for stage in measured["stages"].values())
    assert "No agreement" not in output  # it is the reference itself


def test_evaluate_decides_sentences_that_compare(folder, tmp_path, crop):
    with rasterio.open(crop) as dataset:
        Image.fromarray(dataset.read([1, 2, 3]).transpose(1, 2, 0)).save(tmp_path / "a.png")
    target = np.zeros((90, 100), dtype=np.uint8)
    target[20:40, 10:30] = 255
    Image.fromarray(target).save(tmp_path / "a_mask.png")
    rows = [{"image": "a.png", "sentence": one, "mask": "a_mask.png"} for one in (SENTENCE, "the storage tanks")]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "report"
    invoke("evaluate", "--dataset", tmp_path / "data.jsonl", "--model", folder, "-o", out, "--device", "cpu")
    chosen, everything = (json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines())
    assert chosen["counts"][1] <= everything["counts"][1]  # a part of what was found, so no larger union
    if "clipseg" in str(folder):  # the tiny SAM 3 finds one object here
        assert chosen["counts"] != everything["counts"]


def test_compare_takes_reports_of_both_kinds_of_concept_model(sam3_folder, clipseg_folder, tmp_path, crop):
    with rasterio.open(crop) as dataset:
        Image.fromarray(dataset.read([1, 2, 3]).transpose(1, 2, 0)).save(tmp_path / "a.png")
    target = np.zeros((90, 100), dtype=np.uint8)
    target[20:40, 10:30] = 255
    Image.fromarray(target).save(tmp_path / "a_mask.png")
    rows = [{"image": "a.png", "sentence": one, "mask": "a_mask.png"} for one in (SENTENCE, "the storage tanks")]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    reports = [tmp_path / "a", tmp_path / "b"]
    for model, out in zip((sam3_folder, clipseg_folder), reports, strict=True):
        invoke("evaluate", "--dataset", tmp_path / "data.jsonl", "--model", model, "-o", out, "--device", "cpu")
    found = json.loads(invoke("compare", *reports, "--json"))
    assert found["num_samples"] == 2
    ious = [
        [
            counts[0] / counts[1]
            for line in (out / "samples.jsonl").read_text().splitlines()
            if (counts := json.loads(line)["counts"])
        ]
        for out in reports
    ]
    (miou,) = (row for row in found["metrics"] if row["name"] == "mIoU")
    assert [miou["a"], miou["b"]] == pytest.approx([np.mean(one) for one in ious])
