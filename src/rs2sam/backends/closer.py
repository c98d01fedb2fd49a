"""A second look at a picture, with more pixels, where what the first one found is small.

A model answers at a quarter of its input's resolution, so an object of a few cells is mostly outline. Objects that are
large gain nothing by more pixels, and would lose what the whole picture says of them.

h w cells of an answer, B sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rs2sam.backends.protocol import BackendOutput, EncodingBackend, FloatArray, check_output
from rs2sam.pictures import Picture
from rs2sam.processing import Processor, TextInputs, logits_to_mask, sigmoid, without_specks
from rs2sam.processing_config import ProcessingConfig

Answered = tuple[BackendOutput, int]
"""An output, and the row of it that is about one sentence."""

_LEAST_GAIN = 1.25
"""How much longer the picture must be in the closer look for it to be another one."""


def look_closer(
    backend: EncodingBackend,
    processor: Processor,
    pictures: Sequence[Picture],
    text: TextInputs,
    answered: Sequence[Answered],
) -> list[Answered]:
    """Answer again what a closer look pays for; presence and all else that is said remain those of the first look.

    Args:
        backend: what runs the model; what it makes of a picture stays with it, so that it is looked at once.
        processor: pictures to the model's inputs; its `closer_look` decides.
        pictures: B of them.
        text: of the B sentences.
        answered: of the first look.

    Returns:
        B answers, those that stay as they were the same objects.

    Raises:
        CheckpointError: what the model gave is no answer, see `check_output`.
    """
    config, result = processor.config, list(answered)
    if config.closer_look is None:
        return result
    rows_of: dict[int, list[int]] = {}
    for row, (picture, (output, index)) in enumerate(zip(pictures, answered, strict=True)):
        if _is_closer(config, picture) and _pays(config, output, index):
            rows_of.setdefault(id(picture), []).append(row)
    for rows in rows_of.values():
        picture = pictures[rows[0]]
        if picture.closer is None:
            picture.closer = backend.encode(processor.closer_picture(picture.rgb)[None])[0]
        closer = backend.answer([picture.closer], text.input_ids[rows], text.attention_mask[rows])
        check_output(closer, len(rows))
        for row, logits in zip(rows, closer.low_res_logits, strict=True):
            result[row] = _row(*answered[row], logits), 0
    return result


def share_inside(found: npt.NDArray[np.bool_]) -> float:
    """Share of the found cells of (h, w) whose eight neighbours were found too, in [0, 1]; 1 where none was.

    What lies outside the picture counts as found: an object that it cuts goes on there.
    """
    inside = np.pad(found, 1, constant_values=True)
    inside = inside[:-2] & inside[1:-1] & inside[2:]
    inside = inside[:, :-2] & inside[:, 1:-1] & inside[:, 2:]  # (h, w)
    count = np.count_nonzero(found)
    return 1.0 if count == 0 else float(np.count_nonzero(inside) / count)


def _is_closer(config: ProcessingConfig, picture: Picture) -> bool:
    """Whether the closer look has more of a picture than the first one."""
    size_hw = picture.rgb.shape[0], picture.rgb.shape[1]
    return max(config.closer_hw(size_hw)) >= _LEAST_GAIN * max(config.input_hw(size_hw))


def _pays(config: ProcessingConfig, output: BackendOutput, index: int) -> bool:
    """Whether something was found, and it is small."""
    assert config.closer_look is not None
    for logits, least in ((output.presence_logits, config.min_presence), (output.known_logits, config.min_known)):
        if logits is not None and sigmoid(float(logits[index])) < least:
            return False
    found = logits_to_mask(without_specks(output.low_res_logits[index], config.min_evidence))
    return share_inside(found) < config.closer_look.most_inside


def _row(output: BackendOutput, index: int, logits: FloatArray) -> BackendOutput:
    """One row of an output, with another mask."""
    presence, scores, known = (
        None if values is None else values[index : index + 1]
        for values in (output.presence_logits, output.iou_scores, output.known_logits)
    )
    return replace(
        output,
        low_res_logits=logits[None],
        pseudo_mask=None,
        presence_logits=presence,
        iou_scores=scores,
        known_logits=known,
    )
