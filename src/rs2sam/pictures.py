"""Pictures that several sentences are about: prepared once, given to the model once.

Everywhere I pictures meet B sentences, B is a multiple of I and sentence b is about picture b * I // B: the sentences
of a picture follow each other, as many for each.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from rs2sam.errors import InvalidInputError
from rs2sam.imaging import RGB
from rs2sam.processing import ImageInputs, Processor


def sentences_per_picture(num_pictures: int, num_sentences: int) -> int:
    """How many sentences are about each picture of a batch.

    Raises:
        InvalidInputError: there are not as many for each.
    """
    if num_pictures < 1 or num_sentences % num_pictures:
        raise InvalidInputError(
            "The number of sentences must be a multiple of the number of pictures, sentence b of B being about picture "
            f"b * I // B of I; received {num_pictures} pictures and {num_sentences} sentences. "
            "Give each sentence its picture."
        )
    return num_sentences // num_pictures


def one_per_sentence(arrays: npt.NDArray[Any], num_sentences: int) -> npt.NDArray[Any]:
    """Arrays of I pictures (I, ...) as those of B sentences (B, ...); the same object where I is B."""
    count = sentences_per_picture(len(arrays), num_sentences)
    return arrays if count == 1 else np.repeat(arrays, count, axis=0)


def as_taken(images: Sequence[npt.NDArray[Any]], num_sentences: int, is_shared: bool) -> tuple[npt.NDArray[Any], ...]:
    """Arrays of I pictures (I, ...) as a graph takes them: as they are where it shares them, else one per sentence.

    Raises:
        InvalidInputError: B is no multiple of I, which a graph does not check.
    """
    for array in images:
        sentences_per_picture(len(array), num_sentences)
    return tuple(images) if is_shared else tuple(one_per_sentence(array, num_sentences) for array in images)


_MOST_PARTS = 4
_PARTS_LOCK = threading.Lock()


class Picture:
    """An array and the model's inputs made of it, once they were asked for.

    Args:
        rgb: (H, W, 3) uint8; must not change.
    """

    def __init__(self, rgb: RGB) -> None:
        self.rgb = rgb
        self.encoding: Any = None
        """What a model that encodes pictures once has made of it, of the form of its backend; None before."""
        self.closer: Any = None
        """The same of a closer look; None where nobody asked for what is small in it."""
        self._inputs: ImageInputs | None = None
        self._mirrored: Picture | None = None
        self._parts: dict[tuple[int, int, int, int], Picture] = {}

    def inputs(self, processor: Processor) -> ImageInputs:
        """What the processor makes of it; always to be asked with the same one."""
        if self._inputs is None:
            self._inputs = processor.images(self.rgb)
        return self._inputs

    @property
    def mirrored(self) -> Picture:
        """Its mirror image, left for right."""
        if self._mirrored is None:
            self._mirrored = Picture(np.ascontiguousarray(self.rgb[:, ::-1]))
        return self._mirrored

    def part(self, rows: slice, columns: slice) -> Picture:
        """A part of it: the same object for the last few that were asked for, with what a model made of them."""
        place = rows.start, rows.stop, columns.start, columns.stop
        with _PARTS_LOCK:
            found = self._parts.get(place) or Picture(np.ascontiguousarray(self.rgb[rows, columns]))
            others = [one for one in self._parts.items() if one[0] != place]
            # Another dictionary, the newest last: who sums up what is held may be going through the one before.
            self._parts = dict([*others, (place, found)][-_MOST_PARTS:])
        return found


def as_pictures(pairs: Iterable[tuple[RGB, str]]) -> Iterator[tuple[Picture, str]]:
    """Pairs of an array and a sentence as those of a picture, one for the same array in a row.

    Nothing holds a picture longer than the caller does, but for the last one.
    """
    picture: Picture | None = None
    for rgb, sentence in pairs:
        if picture is None or picture.rgb is not rgb:
            picture = Picture(rgb)
        yield picture, sentence


def one_per_run(pictures: Sequence[Picture]) -> list[Picture]:
    """The fewest pictures that the sentences of a batch can be shared out to evenly, in order.

    A A A B B B gives A B; A A A A B B gives A A B, each for two sentences; A B A B stays as it is.
    """
    runs = [len(list(run)) for _, run in groupby(pictures, key=id)]
    return list(pictures[:: math.gcd(*runs)])
