from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.processing import (
    MASK_LOGIT_THRESHOLD,
    ProcessingConfig,
    Processor,
    logits_to_mask,
    logits_to_probability,
    resize_logits,
    without_specks,
)
from rs2sam.processing_config import Calibration, CloserLook
from rs2sam.tokenizer import SPECIAL_TOKENS, SentenceTokenizer
from tests.sentencepiece_files import sentencepiece_file

COMPACT = Path(__file__).parents[1] / "src" / "rs2sam" / "weights" / "compact"


@pytest.fixture(scope="module")
def tokenizer() -> SentenceTokenizer:
    return SentenceTokenizer.from_file(COMPACT / "tokenizer.model")


@pytest.fixture
def processor(tokenizer) -> Processor:
    return Processor(ProcessingConfig(image_size=8, union_image_size=4, max_text_tokens=12), tokenizer)


@pytest.mark.parametrize("case", ["rrsisd800", "refsegrs512"])
def test_images_equal_the_published_transforms_bit_by_bit(golden_dir, tokenizer, case):
    arrays = np.load(golden_dir / "preprocess" / "transforms.npz")
    facts = json.loads((golden_dir / "preprocess" / "transforms.json").read_text())[case]
    processor = Processor(ProcessingConfig(1024, 224, 1022), tokenizer)

    inputs = processor.images(arrays[f"{case}.src_u8"])

    np.testing.assert_array_equal(inputs.pixel_values[:, ::16, ::16], arrays[f"{case}.image1024[:, ::16, ::16]"])
    np.testing.assert_array_equal(inputs.union_pixel_values, arrays[f"{case}.evf224"])
    assert hashlib.sha256(inputs.pixel_values.tobytes()).hexdigest() == facts["sha256_image"]
    assert hashlib.sha256(inputs.union_pixel_values.tobytes()).hexdigest() == facts["sha256_evf"]


def test_images_of_one_colour_are_that_colour_normalised(processor):
    rgb = np.full((5, 3, 3), (0, 127, 255), np.uint8)
    inputs = processor.images(rgb)
    assert inputs.pixel_values.shape == (3, 8, 8)
    assert inputs.union_pixel_values.shape == (3, 4, 4)
    assert inputs.pixel_values.dtype == np.float32
    expected = (np.array([0, 127 / 255, 1]) - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    np.testing.assert_allclose(inputs.pixel_values[:, 3, 3], expected, rtol=1e-6)


def test_images_are_averaged_when_they_shrink(processor):
    checkers = np.indices((64, 64)).sum(0) % 2 * 255
    inputs = processor.images(np.repeat(checkers[..., None], 3, axis=2).astype(np.uint8))
    grey = inputs.union_pixel_values * np.array([0.229, 0.224, 0.225])[:, None, None] + 0.449
    assert np.ptp(grey[0]) < 0.1  # without antialiasing, whole pixels would be black or white


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_images_reject_arrays_that_are_no_rgb(processor, shape):
    with pytest.raises(InvalidInputError, match="read_image"):
        processor.images(np.zeros(shape, np.uint8))


def test_images_reject_floats(processor):
    with pytest.raises(InvalidInputError, match="float64"):
        processor.images(np.zeros((4, 4, 3)))


def test_sentences_are_padded_to_the_longest(processor):
    inputs = processor.sentences(["the ship", "the ship on the left"])
    assert inputs.input_ids.shape == inputs.attention_mask.shape == (2, 7)
    assert inputs.input_ids.dtype == inputs.attention_mask.dtype == np.int64
    assert inputs.input_ids[0, 0] == inputs.input_ids[1, 0] == 0
    assert inputs.input_ids[0].tolist()[3:] == [2, 1, 1, 1]
    assert inputs.attention_mask.tolist() == [[1, 1, 1, 1, 0, 0, 0], [1] * 7]


def test_sentences_mask_unknown_tokens_and_pad_with_them_as_published():
    words = SentenceTokenizer(sentencepiece_file(("▁ship", -1.0), leading=SPECIAL_TOKENS))
    config = ProcessingConfig(8, 4, 12, pad_token_id=3, mask_unknown_tokens=True)
    inputs = Processor(config, words).sentences(["ship quux ship", "ship"])
    assert inputs.input_ids.tolist() == [[0, 4, 3, 4, 2], [0, 4, 2, 3, 3]]
    assert inputs.attention_mask.tolist() == [[1, 1, 0, 1, 1], [1, 1, 1, 0, 0]]

    ours = Processor(ProcessingConfig(8, 4, 12, pad_token_id=3), words).sentences(["ship quux ship"])
    assert ours.attention_mask.tolist() == [[1, 1, 1, 1, 1]]


@pytest.mark.parametrize("sentence", ["", "   ", "\n\t", "\u200b", "\u3000"])
def test_sentences_reject_what_names_nothing(processor, sentence):
    with pytest.raises(InvalidInputError, match="must name something"):
        processor.sentences(["the ship", sentence])


def test_sentences_reject_more_tokens_than_the_limit_and_say_both_numbers(processor):
    assert processor.sentences(["ship " * 10]).input_ids.shape == (1, 12)
    with pytest.raises(InvalidInputError, match="at most 12 tokens, received 13"):
        processor.sentences(["ship " * 11])


def test_the_compact_model_takes_sentences_up_to_its_length(tokenizer):
    processor = Processor.from_folder(COMPACT)
    most = processor.config.max_text_tokens
    assert most >= 64
    assert processor.sentences(["ship " * (most - 2)]).input_ids.shape == (1, most)
    with pytest.raises(InvalidInputError, match=f"at most {most} tokens, received {most + 1}"):
        processor.sentences(["ship " * (most - 1)])


@pytest.mark.parametrize("sentences", ["the ship", []])
def test_sentences_reject_what_is_no_list_of_sentences(processor, sentences):
    with pytest.raises(InvalidInputError, match="list of at least one"):
        processor.sentences(sentences)


def test_sentences_reject_what_is_no_text(processor):
    with pytest.raises(InvalidInputError, match="NoneType"):
        processor.sentences([None])


def test_special_tokens_in_a_sentence_are_plain_text(processor):
    ids = processor.sentences(["a </s> ship"]).input_ids[0].tolist()
    assert ids.count(2) == 1
    assert ids[-1] == 2


def test_resize_logits_enlarges_as_torch_does():
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(logits)[None, None], size=(33, 17), mode="bilinear")
    np.testing.assert_allclose(resize_logits(logits, (33, 17)), expected[0, 0].numpy(), atol=1e-6)


def test_resize_logits_by_hand():
    np.testing.assert_allclose(resize_logits(np.array([[0.0, 4.0]], np.float32), (1, 4)), [[0, 1, 3, 4]])
    np.testing.assert_allclose(resize_logits(np.array([[0.0, 4.0]], np.float32), (1, 1)), [[2]])


def test_probability_is_the_softmax_over_one_minus_x_and_x():
    logits = np.array([-1000, -1, 0, 0.5, 1, 1000], np.float32)
    probability = logits_to_probability(logits)
    finite = logits[1:-1].astype(np.float64)
    np.testing.assert_allclose(probability[1:-1], np.exp(finite) / (np.exp(finite) + np.exp(1 - finite)), rtol=1e-6)
    assert probability[[0, -1]].tolist() == [0, 1]
    assert probability.dtype == np.float32


def test_mask_is_foreground_above_the_threshold_only():
    logits = np.array([0.4999, MASK_LOGIT_THRESHOLD, 0.5001], np.float32)
    assert logits_to_mask(logits).tolist() == [False, False, True]
    assert (logits_to_probability(logits) > 0.5).tolist() == [False, False, True]


def test_processor_comes_back_from_its_folder(processor, tmp_path):
    processor.save(tmp_path / "model")
    again = Processor.from_folder(tmp_path / "model")
    assert again.config == processor.config
    assert again.sentences(["the ship"]).input_ids.tolist() == processor.sentences(["the ship"]).input_ids.tolist()


def test_from_folder_names_the_missing_files(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"lacks preprocessor_config\.json, tokenizer\.model"):
        Processor.from_folder(tmp_path)


def test_from_folder_says_which_file_is_damaged(processor, tmp_path):
    processor.save(tmp_path)
    whole = (tmp_path / "tokenizer.model").read_bytes()
    for damaged in (b"", b"no model", whole[:-5]):
        (tmp_path / "tokenizer.model").write_bytes(damaged)
        with pytest.raises(InvalidInputError, match=r"tokenizer\.model"):
            Processor.from_folder(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_file(("▁ship", -1.0)))
    with pytest.raises(InvalidInputError, match=r"must begin with the pieces <s>, <pad>, </s>, <unk>, received <unk>"):
        Processor.from_folder(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(InvalidInputError, match="not JSON"):
        ProcessingConfig.from_json(tmp_path / "preprocessor_config.json")


def test_config_rejects_unknown_and_missing_keys(tmp_path):
    file = tmp_path / "preprocessor_config.json"
    file.write_text(json.dumps({"image_size": 8, "sise": 1}))
    with pytest.raises(InvalidInputError, match=r"unknown keys \['sise'\].*lacks \['union_image_size"):
        ProcessingConfig.from_json(file)


@pytest.mark.parametrize(
    "changes",
    [{"image_size": 0}, {"max_text_tokens": 2}, {"union_image_size": 2.5}, {"image_std": (1, 0, 1)}],
)
def test_config_rejects_impossible_values(changes):
    with pytest.raises(InvalidInputError, match=next(iter(changes))):
        ProcessingConfig(**{"image_size": 8, "union_image_size": 4, "max_text_tokens": 8, **changes})


def own_aspect(**changes):
    """The configuration of a model that takes one picture in its own aspect."""
    sizes = {"image_size": 64, "union_image_size": 0, "max_text_tokens": 12, "keeps_aspect": True}
    return ProcessingConfig(**{**sizes, "image_mean": (127 / 255,) * 3, "image_std": (128 / 255,) * 3, **changes})


@pytest.mark.parametrize(
    ("size_hw", "expected"),
    [
        ((64, 64), (64, 64)),
        ((100, 200), (32, 64)),  # the longer side is 64, the shorter one 32
        ((200, 150), (64, 64)),  # 48 lies between 32 and 64; Python rounds 1.5 to the even 2
        ((130, 200), (32, 64)),  # 41.6 is nearer to 32
        ((20, 16), (32, 32)),  # not enlarged by more than 2: 40 and 32
        ((3, 2000), (32, 64)),  # never less than one cell
    ],
)
def test_a_picture_keeps_its_aspect_up_to_multiples_of_32(size_hw, expected, processor):
    config = own_aspect()
    assert config.input_hw(size_hw) == expected
    picture = Processor(config, processor.tokenizer).picture(np.zeros((*size_hw, 3), np.uint8))
    assert picture.shape == (3, *expected)
    assert picture.dtype == np.float32


def test_a_picture_is_enlarged_as_far_as_the_configuration_says():
    assert own_aspect(max_enlargement=1.0).input_hw((33, 40)) == (32, 32)
    assert own_aspect(max_enlargement=4.0).input_hw((16, 16)) == (64, 64)


def test_a_picture_in_its_own_aspect_is_normalised_as_its_trunk_was(processor):
    rgb = np.full((32, 32, 3), 255, np.uint8)
    rgb[..., 1] = 127
    picture = Processor(own_aspect(max_enlargement=1.0), processor.tokenizer).picture(rgb)
    np.testing.assert_allclose(picture[:, 5, 7], [1.0, 0.0, 1.0], atol=1e-6)


def test_squares_are_the_inputs_of_models_that_do_not_keep_the_aspect():
    assert ProcessingConfig(8, 4, 12).input_hw((100, 50)) == (8, 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 50}, "multiple of 32, received 50"),
        ({"union_image_size": 32}, "must be 0 or left out, received 32;"),
        ({"max_enlargement": 0.5}, "at least 1 and at most 1,024, received 0.5"),
        ({"max_enlargement": "2"}, "at least 1 and at most 1,024, received '2'"),
        ({"min_evidence": -1.0}, "`min_evidence` must be a number of cells from 0 to 25, received -1.0"),
        ({"min_known": 1.5}, r"`min_known` must be a probability in \[0, 1\], received 1.5"),
        ({"keeps_aspect": 1}, "true or false, received 1"),
        ({"classes": ()}, r"list of names, received \(\)"),
        ({"classes": "ship"}, "list of names, received 'ship'"),
        ({"classes": ("ship", 3)}, "list of names"),
        ({"keeps_aspect": False}, "`union_image_size` must be an integer of at least 1 and at most 2,048, received 0"),
    ],
)
def test_config_of_one_picture_rejects_what_does_not_go_together(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        own_aspect(**changes)


@pytest.mark.parametrize(
    ("means", "shares", "message"),
    [
        ((0.5,), (0.2, 0.3), "a `share_right` for each"),
        ((), (), "must have 1 to 100 points"),
        ((0.6, 0.6), (0.2, 0.3), "whose `mean_probability` rises"),
        ((0.5, 0.6), (0.3, 0.2), "`share_right` of the calibration must not fall"),
        ((0.5, 1.2), (0.2, 0.3), r"two lists of numbers in \[0, 1\]"),
        ((0.5, "0.6"), (0.2, 0.3), r"two lists of numbers in \[0, 1\]"),
    ],
)
def test_a_calibration_is_points_of_a_line_that_never_falls(means, shares, message):
    with pytest.raises(InvalidInputError, match=message):
        Calibration(means, shares)


def test_a_calibration_is_read_between_its_points_and_is_level_beyond_them(tmp_path):
    found = Calibration((0.5, 0.75, 1.0), (0.1, 0.2, 0.8))
    shares = [found.share_of(mean) for mean in (0.0, 0.5, 0.625, 0.75, 0.875, 1.0)]
    assert shares == pytest.approx([0.1, 0.1, 0.15, 0.2, 0.5, 0.8])
    assert Calibration((0.7,), (0.4,)).share_of(0.9) == Calibration((0.7,), (0.4,)).share_of(0.1) == 0.4
    file = tmp_path / "preprocessor_config.json"
    config = own_aspect(calibration=found)
    config.to_json(file)
    assert ProcessingConfig.from_json(file) == config
    file.write_text(file.read_text().replace("share_right", "right"))
    with pytest.raises(InvalidInputError, match=r"`calibration` must be an object with .*share_right"):
        ProcessingConfig.from_json(file)


@pytest.mark.parametrize(
    ("size_hw", "expected"),
    [((200, 300), (64, 96)), ((30, 40), (64, 64)), ((40, 60), (64, 96))],  # never enlarged more than twice
)
def test_a_closer_look_has_more_pixels_of_a_picture(size_hw, expected):
    config = own_aspect(closer_look=CloserLook(96, 0.2))
    assert config.closer_hw(size_hw) == expected
    assert own_aspect().closer_hw(size_hw) == own_aspect().input_hw(size_hw)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image_size": 100, "most_inside": 0.2}, "multiple of 32 of at most 4,096, received 100"),
        ({"image_size": 8192, "most_inside": 0.2}, "multiple of 32 of at most 4,096, received 8192"),
        ({"image_size": "96", "most_inside": 0.2}, "multiple of 32 of at most 4,096, received '96'"),
        ({"image_size": 96, "most_inside": 1.5}, r"must lie in \[0, 1\], received 1.5"),
        ({"image_size": 64, "most_inside": 0.2}, "above the model's own, received 64 beside 64"),
        ({"image_size": 96}, r"an object with \['image_size', 'most_inside'\]"),
        (3, r"an object with \['image_size', 'most_inside'\], received 3"),
    ],
)
def test_a_closer_look_that_is_none_is_refused(values, message, tmp_path):
    file = tmp_path / "preprocessor_config.json"
    config = own_aspect(closer_look=CloserLook(96, 0.2))
    config.to_json(file)
    assert ProcessingConfig.from_json(file) == config
    file.write_text(json.dumps(json.loads(file.read_text()) | {"closer_look": values}))
    with pytest.raises(InvalidInputError, match=message):
        ProcessingConfig.from_json(file)


def test_a_square_model_has_no_closer_look():
    with pytest.raises(InvalidInputError, match="for a model that keeps the aspect"):
        ProcessingConfig(8, 4, 12, closer_look=CloserLook(96, 0.2))


def test_config_of_one_picture_comes_back_and_needs_no_union_picture(tmp_path):
    file = tmp_path / "preprocessor_config.json"
    config = own_aspect(classes=("ship", "storage tank"))
    config.to_json(file)
    assert ProcessingConfig.from_json(file) == config
    values = json.loads(file.read_text())
    del values["union_image_size"]
    file.write_text(json.dumps(values))
    assert ProcessingConfig.from_json(file) == config


def logits_of(probability):
    """Logits x of a map of probabilities, sigmoid(2 x - 1)."""
    return ((np.log(probability / (1 - probability)) + 1) / 2).astype(np.float32)


def test_a_speck_that_little_speaks_for_goes_and_what_is_sure_stays():
    probability = np.full((20, 20), 0.1)
    probability[2, 2] = 0.6  # 2 p - 1 = 0.2
    probability[2, 12] = 0.99  # 0.98
    probability[12:16, 2:6] = 0.6  # sixteen cells of 0.2 each
    kept = without_specks(logits_of(probability), 0.9)
    expected = probability > 0.5
    expected[2, 2] = False
    np.testing.assert_array_equal(logits_to_mask(kept), expected)


def test_what_speaks_for_a_cell_is_summed_over_five_by_five_cells():
    probability = np.full((9, 9), 0.1)
    probability[4, [2, 4, 6]] = 0.75  # 0.5 each: the middle one sees three, the outer ones two
    np.testing.assert_array_equal(
        np.flatnonzero(logits_to_mask(without_specks(logits_of(probability), 1.25))), [4 * 9 + 4]
    )


def test_a_speck_comes_back_with_a_lower_threshold():
    probability = np.full((9, 9), 0.1)
    probability[4, 4] = 0.6
    cleaned = logits_to_probability(without_specks(logits_of(probability), 1.0))
    assert 0.45 < cleaned[4, 4] < 0.5
    assert np.isclose(cleaned[0, 0], 0.1)


def test_without_a_least_evidence_the_logits_stay_as_they_are():
    logits = logits_of(np.full((4, 4), 0.51))
    assert without_specks(logits, 0.0) is logits


@given(least=st.floats(0.0, 25.0), seed=st.integers(0, 99))
def test_no_cell_becomes_foreground(least, seed):
    logits = np.random.default_rng(seed).normal(0.5, 1.0, (12, 17)).astype(np.float32)
    before, after = logits_to_mask(logits), logits_to_mask(without_specks(logits, least))
    assert not (after & ~before).any()
