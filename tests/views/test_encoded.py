"""A picture is encoded once, through every door, and answers do not depend on how it was asked about."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from rs2sam.backends import BackendOutput
from rs2sam.errors import CheckpointError, InvalidInputError
from rs2sam.evaluation.running import evaluate
from rs2sam.folders import segment_folder
from rs2sam.mirror import MirroringSegmenter
from rs2sam.scenes.run import SceneRequest, run_scene
from rs2sam.segmenter import Segmenter
from rs2sam.views.in_memory import segment_scene
from rs2sam.views.options import SceneOptions
from tests.evaluation.stand_in import sample
from tests.small_once import once_processor


class BrightBackend:
    """Foreground is what is brighter than the middle; a sentence of four tokens asks for the dark. Remembers calls."""

    name = "bright"
    batch_size = 2
    has_presence = has_score = True

    def __init__(self):
        self.encoded: list[tuple[int, ...]] = []
        self.answered: list[tuple[int, int]] = []

    def encode(self, pixel_values):
        self.encoded.extend(one.shape for one in pixel_values)
        height, width = pixel_values.shape[2] // 4, pixel_values.shape[3] // 4
        cells = pixel_values.mean(1).reshape(-1, height, 4, width, 4).mean((2, 4))  # (I, h/4, w/4)
        return list(cells)

    def answer(self, encodings, input_ids, attention_mask):
        self.answered.append((len(encodings), len(input_ids)))
        cells = np.repeat(np.stack(encodings), len(input_ids) // len(encodings), axis=0)
        sign = np.where(attention_mask.sum(1) == 4, -1, 1)[:, None, None]
        lengths = attention_mask.sum(1).astype(np.float32)
        return BackendOutput(
            low_res_logits=(5 * sign * cells + 0.5).astype(np.float32),
            presence_logits=np.full(len(input_ids), 2.0, np.float32),
            iou_scores=np.full(len(input_ids), 0.75, np.float32),
            known_logits=lengths - np.float32(4.5),
        )


BRIGHT, DARK = "the white roofs at left", "ships there"


@pytest.fixture
def backend():
    return BrightBackend()


@pytest.fixture
def segmenter(backend):
    return Segmenter(once_processor(64), backend)


@pytest.fixture
def doubting(backend):
    """Of a model whose sentences must be known."""
    return Segmenter(once_processor(64, min_known=0.5), backend)


def half_white(height, width):
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[:, : width // 2] = 255
    return rgb


def lengths(segmenter):
    return [len(segmenter._processor.sentences([one]).input_ids[0]) for one in (BRIGHT, DARK)]


def test_the_sentences_of_these_tests_are_told_apart(segmenter):
    bright, dark = lengths(segmenter)
    assert (bright != 4, dark) == (True, 4)


def test_a_mask_comes_back_at_the_images_own_size(segmenter, backend):
    found = segmenter.segment(half_white(50, 100), BRIGHT, scope="tile")
    assert backend.encoded == [(3, 32, 64)]
    assert found.mask.shape == (50, 100)
    assert found.mask[:, :49].all()
    assert not found.mask[:, 51:].any()
    assert found.known == pytest.approx(1 / (1 + np.exp(4.5 - lengths(segmenter)[0])))


def test_an_encoded_image_is_encoded_once_and_answers_as_the_image_does(segmenter, backend):
    rgb = half_white(50, 100)
    expected = [segmenter.segment(rgb, sentence) for sentence in (BRIGHT, DARK)]
    backend.encoded.clear()
    encoded = segmenter.encode(rgb)
    assert len(backend.encoded) == 1
    found = [encoded.segment(BRIGHT), *encoded.segment_many([DARK, BRIGHT, DARK], batch_size=1)]
    assert len(backend.encoded) == 1
    for one, other in zip(found, [*expected, *expected], strict=True):
        np.testing.assert_array_equal(one.probability, other.probability)
        assert (one.sentence, one.presence, one.known) == (other.sentence, other.presence, other.known)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_many_sentences_about_one_image_encode_it_once(segmenter, backend, batch_size):
    rgb, other = half_white(50, 100), half_white(64, 64)
    pairs = [(rgb, BRIGHT), (rgb, DARK), (rgb, BRIGHT), (other, DARK), (other, BRIGHT)]
    found = segmenter.segment_many(pairs, batch_size)
    assert backend.encoded == [(3, 32, 64), (3, 64, 64)]
    assert max(sentences for _, sentences in backend.answered) <= batch_size
    assert [one.mask.shape for one in found] == [(50, 100)] * 3 + [(64, 64)] * 2
    assert [bool(one.mask[0, 0]) for one in found] == [True, False, True, False, True]


def test_pictures_of_one_size_are_encoded_together(segmenter, backend):
    pairs = [(half_white(64, 64), BRIGHT), (half_white(64, 64), DARK)]
    segmenter.segment_views(pairs, batch_size=2)
    assert backend.answered == [(2, 2)]


def test_each_tile_is_encoded_once_for_all_sentences(segmenter, backend):
    rgb = half_white(150, 200)
    found = segmenter.segment_many([(rgb, BRIGHT), (rgb, DARK), (rgb, BRIGHT)], 1, tile=64, overlap=0)
    grid = SceneOptions(tile=64, overlap=0).grid((150, 200), 64)
    assert len(backend.encoded) == len(grid)
    assert [bool(one.mask[0, 0]) for one in found] == [True, False, True]
    assert found[0].known > 0.5 > found[1].known


def test_scenes_encode_each_tile_once(segmenter, backend):
    from rs2sam.raster.read import scene_of

    options = SceneOptions(tile=64, overlap=16)
    scene = scene_of(half_white(150, 200))
    found = segment_scene(segmenter, scene, [BRIGHT, DARK], options)
    assert len(backend.encoded) == len(options.grid((150, 200), 64))
    assert found[0].known > 0.5 > found[1].known
    assert found[0].mask.any()


def test_an_encoded_image_that_is_cut_into_tiles_answers_too(segmenter, backend):
    encoded = segmenter.encode(half_white(150, 200))
    assert backend.encoded == []
    assert encoded.segment(BRIGHT).mask[:, :90].all()


def test_a_sentence_that_names_nothing_taught_marks_nothing_and_is_said(doubting, segmenter):
    rgb = half_white(50, 100)
    known, unknown = doubting.segment_many([(rgb, BRIGHT), (rgb, DARK)], scope="tile")
    assert segmenter.segment(rgb, DARK).mask.any()
    assert known.mask.any()
    assert known.warnings == ()
    assert not unknown.mask.any()
    assert not unknown.probability.any()
    assert unknown.warnings == (
        '"ships there" names nothing that the model was taught, as far as it can tell (38%), so nothing is marked; '
        "`rs2sam models` lists what models find",
    )


def test_in_tiles_and_in_scenes_it_marks_nothing_either(doubting, backend, tmp_path):
    rgb = half_white(150, 200)
    Image.fromarray(rgb).save(tmp_path / "a.png")
    request = SceneRequest(str(tmp_path / "a.png"), (BRIGHT, DARK), tmp_path / "out", options=SceneOptions(tile=64))
    report = run_scene(request, doubting)
    assert len(backend.encoded) == report["tiles"]["run"] > 1
    assert [one["found"] for one in report["sentences"]] == [True, False]
    of_scene = [line for line in report["warnings"] if "names nothing" in line]
    (known, unknown) = doubting.encode(rgb).segment_many([BRIGHT, DARK], tile=64)
    assert list(unknown.warnings) == of_scene
    assert len(of_scene) == 1
    assert [one.mask.any() for one in (known, unknown)] == [True, False]


def test_a_batch_encodes_each_image_once_for_all_sentences(segmenter, backend, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        Image.fromarray(half_white(50, 100)).save(tmp_path / "in" / f"{name}.png")
    segment_folder(tmp_path / "in", [BRIGHT, DARK, "the roofs"], tmp_path / "out", segmenter=segmenter)
    assert len(backend.encoded) == 2
    assert sum(sentences for _, sentences in backend.answered) == 6


def test_a_landmark_that_names_nothing_taught_is_said(doubting):
    found = doubting.segment(half_white(150, 200), "the white roof nearest the river", tile=64)
    assert any(line.startswith('"the rivers" names nothing') for line in found.warnings)


def test_an_encoded_image_takes_what_segment_takes_and_refuses_what_comes_too_late(segmenter):
    values = np.zeros((50, 100, 4), np.uint16)
    values[:, :50, 3] = 4000
    shown = {"bands": [4], "stretch": "fixed:0,4000"}
    encoded = segmenter.encode(values, **shown)
    asked = {"threshold": 0.9, "scope": "tile"}
    expected = segmenter.segment(values, BRIGHT, **shown, **asked)
    assert expected.mask.any()
    np.testing.assert_array_equal(encoded.segment(BRIGHT, **asked).mask, expected.mask)
    with pytest.raises(InvalidInputError, match=r"Give them to `Segmenter.encode`"):
        segmenter.segment_many([(encoded, BRIGHT)], bands=[1])
    with pytest.raises(InvalidInputError, match="asked with the segmenter that encoded it"):
        MirroringSegmenter(segmenter).segment_many([(encoded, BRIGHT)])
    with pytest.raises(InvalidInputError, match="`sentences` must be a list of texts"):
        encoded.segment_many(BRIGHT)


def test_an_answer_that_is_not_finite_is_refused(segmenter, backend, monkeypatch):
    answer = backend.answer
    broken = np.full(1, np.nan, np.float32)
    monkeypatch.setattr(backend, "answer", lambda *asked: replace(answer(*asked), known_logits=broken))
    with pytest.raises(CheckpointError, match="`known_logits` must be finite"):
        segmenter.segment(half_white(50, 100), BRIGHT)


def test_mirror_images_are_encoded_once_too(segmenter, backend):
    encoded = MirroringSegmenter(segmenter).encode(half_white(50, 100))
    encoded.segment_many(["the white roofs", DARK, "the white roofs"])
    assert len(backend.encoded) == 2


def test_an_evaluation_encodes_an_image_once_a_batch(segmenter, backend, tmp_path):
    Image.fromarray(half_white(4, 4)).save(tmp_path / "a.png")
    mask = np.zeros((4, 4), bool)
    samples = [sample(f"{BRIGHT} {number}", mask) for number in range(4)]
    samples = [type(one)(tmp_path / "a.png", one.sentence, one.mask, id=one.id) for one in samples]
    report = evaluate(segmenter, samples, batch_size=4)
    assert len(report.results) == 4
    assert len(backend.encoded) == 1
