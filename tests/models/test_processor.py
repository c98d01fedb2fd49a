from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.models import RS2SamProcessor
from rs2sam.processing import ProcessingConfig, Processor
from tests.models.weights.published import tiny_model
from tests.sentencepiece_files import small_tokenizer


@pytest.fixture
def processor() -> RS2SamProcessor:
    config = ProcessingConfig(image_size=256, union_image_size=64, max_text_tokens=20)
    return RS2SamProcessor(Processor(config, small_tokenizer()))


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_inputs_are_those_of_the_processing_without_torch(processor: RS2SamProcessor, image: np.ndarray) -> None:
    inputs = processor(image, "the white plane")
    plain = processor.processor.images(image)
    assert torch.equal(inputs["pixel_values"][0], torch.from_numpy(plain.pixel_values))
    assert torch.equal(inputs["union_pixel_values"][0], torch.from_numpy(plain.union_pixel_values))
    assert inputs["input_ids"].tolist() == [[0, 4, 5, 6, 2]]
    assert inputs["attention_mask"].dtype == torch.int64


def test_images_and_sentences_go_in_pairs_or_one_with_many(processor: RS2SamProcessor, image: np.ndarray) -> None:
    picture = Image.fromarray(image[:20])
    assert processor([image, picture], ["the plane", "the white plane"])["pixel_values"].shape == (2, 3, 256, 256)
    one_image = processor(image, ["the plane", "the white plane", "left"])
    assert one_image["pixel_values"].shape[0] == one_image["input_ids"].shape[0] == 3
    assert torch.equal(one_image["pixel_values"][0], one_image["pixel_values"][2])
    assert processor([image, picture], "the plane")["input_ids"].shape[0] == 2
    with pytest.raises(InvalidInputError, match="received 2 images and 3 sentences"):
        processor([image, image], ["a", "b", "c"])
    with pytest.raises(InvalidInputError, match="0 images"):
        processor([], "the plane")


def test_arrays_are_returned_when_asked_for(processor: RS2SamProcessor, image: np.ndarray) -> None:
    assert isinstance(processor(image, "the plane", return_tensors="np")["pixel_values"], np.ndarray)
    with pytest.raises(InvalidInputError, match="'tf'"):
        processor(image, "the plane", return_tensors="tf")


def test_inputs_go_through_the_model_and_back_to_the_images_sizes(
    processor: RS2SamProcessor, image: np.ndarray
) -> None:
    model = tiny_model()
    with torch.no_grad():
        output = model(**processor([image, image[:20]], ["the plane", "the white plane"]))
    masks = processor.post_process(output, [(40, 60), (20, 60)])
    probabilities = processor.post_process(output, [(40, 60), (20, 60)], probabilities=True)
    assert [(mask.shape, mask.dtype) for mask in masks] == [((40, 60), np.bool_), ((20, 60), np.bool_)]
    assert all(np.array_equal(mask, p > 0.5) for mask, p in zip(masks, probabilities, strict=True))
    with pytest.raises(InvalidInputError, match="2 samples"):
        processor.post_process(output, [(40, 60)])


def test_a_saved_processor_is_the_same(processor: RS2SamProcessor, image: np.ndarray, tmp_path: Path) -> None:
    processor.save_pretrained(tmp_path)
    again = RS2SamProcessor.from_pretrained(tmp_path)
    assert again.processor.config == processor.processor.config
    before, after = processor(image, "the plane"), again(image, "the plane")
    assert all(torch.equal(before[name], after[name]) for name in RS2SamProcessor.model_input_names)


def test_a_folder_without_a_processor_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"preprocessor_config\.json"):
        RS2SamProcessor.from_pretrained(tmp_path)
