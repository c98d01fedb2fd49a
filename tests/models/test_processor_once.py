"""The transformers face of models that encode pictures once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rs2sam.errors import InvalidInputError
from rs2sam.models.processor import RS2SamProcessor
from tests.models.encode_once.small import small_once
from tests.small_once import once_processor


@pytest.fixture(scope="module")
def processor():
    return RS2SamProcessor(once_processor())


def test_one_picture_meets_all_its_sentences(processor):
    rgb = np.random.default_rng(0).integers(0, 256, (100, 60, 3), dtype=np.uint8)
    inputs = processor(rgb, ["the ship", "the storage tanks"])
    assert set(inputs) == {"pixel_values", "input_ids", "attention_mask"}
    assert inputs["pixel_values"].shape == (1, 3, 128, 64)
    model = small_once(vocab_size=8192)
    with torch.no_grad():
        output = model(**inputs)
    masks = processor.post_process(output, [(100, 60)] * 2)
    assert [(mask.shape, mask.dtype) for mask in masks] == [((100, 60), np.dtype(bool))] * 2


def test_pictures_of_other_aspects_are_not_stacked(processor):
    pictures = [np.zeros((100, 60, 3), np.uint8), np.zeros((60, 100, 3), np.uint8)]
    with pytest.raises(InvalidInputError, match=r"one size, received \[\(64, 128\), \(128, 64\)\]"):
        processor(pictures, ["the ship", "the tank"])
