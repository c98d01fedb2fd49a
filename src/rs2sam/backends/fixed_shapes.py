"""Batches for graphs whose batch size or sentence length is fixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from rs2sam.backends.protocol import BackendOutput
from rs2sam.errors import InvalidInputError
from rs2sam.pictures import one_per_sentence

Arrays = tuple[npt.NDArray[Any], ...]


def run_fixed(
    run: Callable[[Arrays], BackendOutput], arrays: Arrays, batch: int | None, length: int | None
) -> BackendOutput:
    """Answer a batch of any size with a graph of fixed sizes: cut into parts, the last one filled up.

    Args:
        run: answers one batch of the fixed sizes.
        arrays: the four of `Backend.run`.
        batch: the graph's batch size; None: any.
        length: the graph's sentence length in tokens; None: any.

    Raises:
        InvalidInputError: a sentence is longer than `length`.
    """
    pixels, union, ids, attend = arrays
    filler = 0 if length is None else length - ids.shape[1]
    if filler < 0:
        raise InvalidInputError(
            f"This graph was exported for sentences of at most {length} tokens, received {ids.shape[1]}. "
            "Shorten the sentence, or export again with --length dynamic."
        )
    # What attends to nothing may have any id.
    ids, attend = (np.pad(array, ((0, 0), (0, filler))) for array in (ids, attend))
    if batch is None:
        return run((pixels, union, ids, attend))
    pixels, union = (one_per_sentence(array, len(ids)) for array in (pixels, union))
    answers = []
    for start in range(0, len(ids), batch):
        rows = np.minimum(np.arange(start, start + batch), len(ids) - 1)
        answers.append(run(tuple(array[rows] for array in (pixels, union, ids, attend))))
    parts = {field.name: [getattr(answer, field.name) for answer in answers] for field in fields(BackendOutput)}
    joined: dict[str, Any] = {}
    for name, values in parts.items():
        joined[name] = None if values[0] is None else np.concatenate(values)[: len(ids)]
    return BackendOutput(**joined)
