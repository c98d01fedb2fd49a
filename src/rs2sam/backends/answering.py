"""A batch of pictures and sentences through a backend, whichever kind of model it runs.

B sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from rs2sam.backends import AnyBackend, BackendOutput, EncodingBackend, PictureBackend
from rs2sam.backends.closer import Answered, look_closer
from rs2sam.backends.protocol import PromptBackend, check_output
from rs2sam.errors import InvalidInputError
from rs2sam.pictures import Picture, one_per_run
from rs2sam.processing import (
    Processor,
    TextInputs,
    logits_to_mask,
    logits_to_probability,
    resize_logits,
    without_specks,
)
from rs2sam.vector.instances import Instances, painted


def answer_batch(
    backend: AnyBackend, processor: Processor, pictures: Sequence[Picture], text: TextInputs
) -> list[Answered]:
    """Answer B sentences, each about its picture.

    Args:
        backend: what runs the model. One that encodes pictures leaves in each what it made of it, so that a picture is
            encoded once however many batches ask about it; what is small in it is looked at again, see `look_closer`.
        processor: pictures to the model's inputs.
        pictures: B of them; those that several sentences are about follow each other as one object.
        text: of the B sentences.

    Raises:
        CheckpointError: what the model gave is no answer, see `check_output`.
    """
    if isinstance(backend, EncodingBackend):
        encode(backend, processor, pictures)
        answered = _answer_encoded(backend, processor, pictures, text)
        return look_closer(backend, processor, pictures, text, answered)
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
    check_output(output, len(pictures))
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
        check_output(output, len(numbers))
        answered.extend((output, row) for row in range(len(numbers)))
    return answered


def _input_hw(processor: Processor, picture: Picture) -> tuple[int, int]:
    """Sides at which the model sees a picture [px]."""
    return processor.config.input_hw((picture.rgb.shape[0], picture.rgb.shape[1]))


def prompt_picture(
    backend: AnyBackend,
    processor: Processor,
    picture: Picture,
    points_xy: Sequence[tuple[float, float]],
    labels: Sequence[int],
    box_xyxy: tuple[float, float, float, float] | None,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32], float]:
    """What lies at points or in a box of a picture, which is encoded once.

    Args:
        backend: what runs the model.
        processor: pictures to the model's inputs.
        picture: the picture.
        points_xy: in its pixels.
        labels: 1 for a point of the object, 0 for one outside it, one a point.
        box_xyxy: around the object, in its pixels; or None.

    Returns:
        (H, W) bool, (H, W) float32 probability in [0, 1], and the predicted IoU in [0, 1].

    Raises:
        InvalidInputError: the model takes neither points nor boxes.
    """
    if not (isinstance(backend, PromptBackend) and backend.takes_prompts):
        raise InvalidInputError(
            "Points and boxes need a model with a head for them, as `sam3` has; this one reads sentences alone. Load "
            "another model, or say what is meant."
        )
    encode(backend, processor, [picture])
    height, width = picture.rgb.shape[:2]
    seen_h, seen_w = _input_hw(processor, picture)
    scale = np.array([seen_w / width, seen_h / height])
    points = [(float(x), float(y)) for x, y in np.asarray(points_xy, dtype=np.float64).reshape(-1, 2) * scale]
    box = None
    if box_xyxy is not None:
        left, top, right, bottom = (np.asarray(box_xyxy, dtype=np.float64) * np.tile(scale, 2)).tolist()
        box = left, top, right, bottom
    logits, score = backend.prompt(picture.encoding, points, labels, box)
    logits = resize_logits(logits, (height, width))
    return logits_to_mask(logits), logits_to_probability(logits), score


def maps_of(
    output: BackendOutput, row: int, size_hw: tuple[int, int], min_evidence: float = 0.0
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32], Instances | None]:
    """Mask, probability and objects of one sentence of an output.

    Args:
        output: of a batch.
        row: of the sentence.
        size_hw: height and width of the maps [px].
        min_evidence: see `without_specks`; objects that are told apart have scores instead.

    Returns:
        (H, W) bool, (H, W) float32 in [0, 1], and which pixels belong to which object; None where none are told apart.
    """
    if output.objects is not None:
        probability, instances = painted(output.objects[row].logits, output.objects[row].scores, size_hw)
        return probability > 0.5, probability, instances
    logits = resize_logits(without_specks(output.low_res_logits[row], min_evidence), size_hw)  # (H, W)
    return logits_to_mask(logits), logits_to_probability(logits), None
