"""A batch of pictures and sentences through a backend, whichever kind of model it runs.

B sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from rs2sam.backends import AnyBackend, BackendOutput, EncodingBackend, PictureBackend
from rs2sam.pictures import Picture, one_per_run
from rs2sam.processing import Processor, TextInputs

Answered = tuple[BackendOutput, int]
"""An output, and the row of it that is about one sentence."""


def answer_batch(
    backend: AnyBackend, processor: Processor, pictures: Sequence[Picture], text: TextInputs
) -> list[Answered]:
    """Answer B sentences, each about its picture.

    Args:
        backend: what runs the model. One that encodes pictures leaves in each what it made of it, so that a picture is
            encoded once however many batches ask about it.
        processor: pictures to the model's inputs.
        pictures: B of them; those that several sentences are about follow each other as one object.
        text: of the B sentences.
    """
    if isinstance(backend, EncodingBackend):
        encode(backend, processor, pictures)
        return _answer_encoded(backend, processor, pictures, text)
    shared = one_per_run(pictures)
    if isinstance(backend, PictureBackend) and backend.takes_pictures:
        arrays = [picture.rgb for picture in shared]
        output = backend.run_pictures(arrays, text.input_ids, text.attention_mask, processor.config)
    else:
        images = [picture.inputs(processor) for picture in shared]
        output = backend.run(
            np.stack([image.pixel_values for image in images]),
            np.stack([image.union_pixel_values for image in images]),
            text.input_ids,
            text.attention_mask,
        )
    return [(output, row) for row in range(len(pictures))]


def encode(backend: EncodingBackend, processor: Processor, pictures: Sequence[Picture]) -> None:
    """Encode the pictures that are not yet, those of one size together."""
    by_size: dict[tuple[int, int], dict[int, Picture]] = {}
    for picture in pictures:
        if picture.encoding is None:
            by_size.setdefault(_input_hw(processor, picture), {})[id(picture)] = picture
    for different in by_size.values():
        pixel_values = np.stack([processor.picture(picture.rgb) for picture in different.values()])  # (I, 3, h, w)
        for picture, encoding in zip(different.values(), backend.encode(pixel_values), strict=True):
            picture.encoding = encoding


def _answer_encoded(
    backend: EncodingBackend, processor: Processor, pictures: Sequence[Picture], text: TextInputs
) -> list[Answered]:
    """Answer sentences about encoded pictures, those about pictures of one size together."""
    answered: list[Answered] = []
    for _, run in groupby(range(len(pictures)), key=lambda number: _input_hw(processor, pictures[number])):
        numbers = list(run)
        rows = slice(numbers[0], numbers[-1] + 1)
        encodings = [picture.encoding for picture in one_per_run(pictures[rows])]
        output = backend.answer(encodings, text.input_ids[rows], text.attention_mask[rows])
        answered.extend((output, row) for row in range(len(numbers)))
    return answered


def _input_hw(processor: Processor, picture: Picture) -> tuple[int, int]:
    """Sides at which the model sees a picture [px]."""
    return processor.config.input_hw((picture.rgb.shape[0], picture.rgb.shape[1]))
