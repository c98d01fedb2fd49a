"""Variation of samples that came with their sentences: images change only as far as the sentence stays true.

`augment` varies annotated images before sentences are made of them; here the sentence is there already. A flip
or a quarter turn rewords it (`wording.reword`); a crop, a change of colour or a mosaic is made only where the sentence
claims nothing that it would change (`claims`). Without any variation a sample is what the published training sees.

Shapes: S side of the result, H, W sides of an image [px].
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from PIL import Image

from rs2sam.datasets.base import Mask, Sample, resize_mask
from rs2sam.datasets.english.claims import names_colour, names_shade, relies_on_surroundings
from rs2sam.datasets.english.wording import Turn, reword
from rs2sam.datasets.images import Pixels
from rs2sam.datasets.mixing.augment import Box, jitter
from rs2sam.errors import InvalidInputError

# As the code published with RMSIN draws them for RRSIS-D, which RS2-SAM 2 trains with.
_BLACK_SQUARES = (20, 60)
_BLACK_SQUARE_SIDE = 32

_COMPANIONS = 3
# "The ship", asked for in vain, denies all ships; "the red ship" does not.
_ANY_OF_A_CLASS = frozenset(("the", "a", "an", "any", "all", "every"))
# End of the seed of choices that are made once; the seeds of samples are shorter.
_ONCE = (0, 0, 1)


_Varied: TypeAlias = "tuple[Pixels, Mask, Mask | None, str]"
"""Image, mask, pixels that are left out, sentence."""


@dataclass(frozen=True)
class Variation:
    """How often samples are varied in which way, as far as their sentences allow it; by default never.

    Args:
        flip: share of samples that are mirrored, left to right or top to bottom.
        quarter_turn: share of samples that are turned by one, two or three quarter turns.
        crop: share of samples of which a part is shown that holds the whole target.
        smallest_crop: smallest side of such a part, as a share of the image's side.
        jitter: strength of changes of brightness, contrast and colour, as a share; of brightness alone where the
            sentence names a colour.
        mosaic: share of samples shown at half size beside three images that are known not to show the meant class.
        complete: whether the data set names every object of its classes in every image. Then an image is known not to
            show a class that it does not name; else only where a sentence asks for the class in vain.
        black_squares: share of references whose images get 20 to 60 black squares of 32 px each time they are drawn;
            which references is settled once. The published RRSIS-D training has 0.2.
    """

    flip: float = 0.0
    quarter_turn: float = 0.0
    crop: float = 0.0
    smallest_crop: float = 0.6
    jitter: float = 0.0
    mosaic: float = 0.0
    complete: bool = False
    black_squares: float = 0.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name == "complete":
                if not isinstance(value, bool):
                    raise InvalidInputError(f"`variation.complete` must be true or false, received {value!r}.")
                continue
            is_share = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
            if not is_share or (entry.name == "smallest_crop" and value == 0):
                raise InvalidInputError(
                    f"`variation.{entry.name}` must be a share in [0, 1], `smallest_crop` above 0; received {value!r}. "
                    "0.2 means one in five."
                )


@dataclass(frozen=True, eq=False)
class VariedSample:
    """A sample as it is trained on.

    Args:
        image: (H, W, 3) uint8, the varied image before it is resized. The published code resizes each of the model's
            two inputs from here, not one from the other.
        sentence: the referring expression, true of this image.
        mask: (S, S) bool, the target, resized by the nearest pixel.
        sample_id: `Sample.id`.
        ignore: (S, S) bool, pixels that the loss leaves out; None: none.
    """

    image: Pixels
    sentence: str
    mask: Mask
    sample_id: str
    ignore: Mask | None = None

    @property
    def rgb(self) -> Pixels:
        """The image at the mask's size, (S, S, 3) uint8: antialiased bilinear, aspect ratio not kept."""
        return _resized(self.image, self.mask.shape)


class VariedSamples:
    """Samples drawn by index and epoch: the same in every process, in any order.

    Args:
        samples: what is varied.
        seed: of all choices.
        side: S, side of the results [px].
        variation: how.
    """

    def __init__(self, samples: Sequence[Sample], seed: int, side: int, variation: Variation) -> None:
        self.samples = samples
        self.seed = seed
        self.side = side
        self.variation = variation
        self._without: dict[frozenset[str], list[tuple[str, int]]] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def draw(self, index: int, epoch: int = 0) -> VariedSample:
        """Return one sample as it is varied in one epoch.

        Args:
            index: position in the samples.
            epoch: the same index in another epoch is varied in another way.

        Raises:
            DataNotFoundError, InvalidInputError: the image or its mask cannot be read or do not fit.
        """
        rng = np.random.default_rng((self.seed, epoch, index))
        sample = self.samples[index]
        sample = replace(sample, mask=sample.annotation(), ignore=sample.unknown())  # decoded once
        image = sample.pixels()
        if self.variation.black_squares > 0 and _reference(sample) in self._squared:
            image = draw_black_squares(image, rng)
        mosaic = self._mosaic(sample, image, rng)
        image, mask, ignore, sentence = mosaic if mosaic else self._moved(sample, image, rng)
        if self.variation.jitter > 0:
            image = recolour(image, sentence, rng, self.variation.jitter)
        return VariedSample(image, sentence, mask, sample.id, ignore)

    def _moved(self, sample: Sample, image: Pixels, rng: np.random.Generator) -> _Varied:
        """Crop and turn: image (h, w, 3), mask (S, S), ignored pixels (S, S), sentence."""
        variation = self.variation
        wants_crop, wants_flip, wants_turn = rng.random(3) < (variation.crop, variation.flip, variation.quarter_turn)
        size_hw, result_hw = (image.shape[0], image.shape[1]), (self.side, self.side)
        if wants_crop and not relies_on_surroundings(sample.sentence):
            target, ignore = sample.target(size_hw), sample.ignored(size_hw)
            x0, y0, x1, y1 = draw_window(target, rng, variation.smallest_crop)
            image, target = image[y0:y1, x0:x1], resize_mask(target[y0:y1, x0:x1], result_hw)
            ignore = None if ignore is None else resize_mask(ignore[y0:y1, x0:x1], result_hw)
        else:
            target, ignore = sample.target(size_hw, result_hw), sample.ignored(size_hw, result_hw)
        turn, sentence = draw_turn(sample.sentence, rng, flip=bool(wants_flip), quarter_turn=bool(wants_turn))
        return turn.apply(image), turn.apply(target), None if ignore is None else turn.apply(ignore), sentence

    def _mosaic(self, sample: Sample, image: Pixels, rng: np.random.Generator) -> _Varied | None:
        """Put the sample beside three others, where that is wanted and its sentence stays true."""
        if rng.random() >= self.variation.mosaic or sample.category is None or relies_on_surroundings(sample.sentence):
            return None
        companions = self._companions(sample, rng)
        place = int(rng.integers(4))
        half = self.side // 2
        y, x = divmod(place, 2)
        size_hw = (self.side - half if y else half, self.side - half if x else half)
        image_hw = image.shape[0], image.shape[1]
        target, unknown = sample.target(image_hw, size_hw), sample.ignored(image_hw, size_hw)
        if companions is None or (not target.any() and not sample.is_absent):
            return None
        pictures = [companion.pixels() for companion in companions]
        pictures.insert(place, image)
        canvas = np.zeros((self.side, self.side, 3), dtype=np.uint8)
        mask = np.zeros((self.side, self.side), dtype=bool)
        cuts = (slice(0, half), slice(half, self.side))
        for position, picture in enumerate(pictures):
            rows, columns = cuts[position // 2], cuts[position % 2]
            canvas[rows, columns] = _resized(picture, canvas[rows, columns].shape[:2])
        mask[cuts[y], cuts[x]] = target
        ignore = None
        if unknown is not None:
            ignore = np.zeros_like(mask)
            ignore[cuts[y], cuts[x]] = unknown
        return canvas, mask, ignore, sample.sentence

    def _companions(self, sample: Sample, rng: np.random.Generator) -> list[Sample] | None:
        """Draw samples of three other images that are known not to show what is meant; None if there are fewer."""
        images = self._images_without(_words(sample.category or ""))
        found: list[Sample] = []
        for place in rng.permutation(len(images)):
            key, position = images[int(place)]
            if key != _image_key(sample) and not (self._shown[key] or frozenset()) & _words(sample.sentence):
                found.append(self.samples[position])
                if len(found) == _COMPANIONS:
                    return found
        return None

    def _images_without(self, category: frozenset[str]) -> list[tuple[str, int]]:
        """Images that are known not to show a class, each with the position of one of its samples."""
        if category not in self._without:
            self._without[category] = [
                (key, position)
                for key, position in self._first.items()
                if category in self._denied[key] or (self.variation.complete and self._names_others(key, category))
            ]
        return self._without[category]

    def _names_others(self, key: str, category: frozenset[str]) -> bool:
        """Whether all that is named in an image is known by its class, and shares no word with this one."""
        shown = self._shown[key]
        return bool(category) and shown is not None and not shown & category

    @cached_property
    def _squared(self) -> frozenset[str]:
        """The references that get black squares, as `int(share * count)` of them drawn once."""
        references = sorted({_reference(sample) for sample in self.samples})
        rng = np.random.default_rng((self.seed, *_ONCE))
        chosen = rng.choice(len(references), int(self.variation.black_squares * len(references)), replace=False)
        return frozenset(references[int(position)] for position in chosen)

    @cached_property
    def _first(self) -> Mapping[str, int]:
        """Image -> position of a sample of it."""
        return {_image_key(sample): position for position, sample in enumerate(self.samples)}

    @cached_property
    def _shown(self) -> Mapping[str, frozenset[str] | None]:
        """Image -> words of all classes that samples find in it; None where one of them has no words for its class."""
        shown: dict[str, frozenset[str] | None] = dict.fromkeys(self._first, frozenset())
        for sample in self.samples:
            words, before = _words(sample.category or ""), shown[_image_key(sample)]
            if not sample.is_absent:
                shown[_image_key(sample)] = before | words if words and before is not None else None
        return shown

    @cached_property
    def _denied(self) -> Mapping[str, set[frozenset[str]]]:
        """Image -> classes, by their words, that a sentence asks for in vain, without asking for a special one."""
        denied: dict[str, set[frozenset[str]]] = {key: set() for key in self._first}
        for sample in self.samples:
            words = _words(sample.category or "")
            if sample.is_absent and _words(sample.sentence) - _ANY_OF_A_CLASS <= words:
                denied[_image_key(sample)].add(words)
        return denied


def draw_black_squares(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Blacken 20 to 60 squares of 32 px, as the published RRSIS-D training does before it resizes.

    Args:
        image: (H, W, 3) uint8.
        rng: of their number and places.

    Returns:
        A new (H, W, 3) uint8.
    """
    image = image.copy()
    height, width = image.shape[:2]
    least, most = _BLACK_SQUARES
    for _ in range(int(rng.integers(least, most + 1))):
        y = int(rng.integers(max(height - _BLACK_SQUARE_SIDE, 0) + 1))
        x = int(rng.integers(max(width - _BLACK_SQUARE_SIDE, 0) + 1))
        image[y : y + _BLACK_SQUARE_SIDE, x : x + _BLACK_SQUARE_SIDE] = 0
    return image


def draw_turn(sentence: str, rng: np.random.Generator, *, flip: bool, quarter_turn: bool) -> tuple[Turn, str]:
    """Draw a turn that the sentence can follow, and what it then says.

    Args:
        sentence: the referring expression.
        rng: of the choice.
        flip: whether to mirror, left to right or top to bottom.
        quarter_turn: whether to turn by quarter turns; with `flip`, all mirrored ways to lay the picture.

    Returns:
        The turn and the sentence; no turn where none of those that are wanted can be said.
    """
    quarters = {(False, False): (), (True, False): (0, 2), (False, True): (1, 2, 3), (True, True): (0, 1, 2, 3)}
    for quarter_turns in rng.permutation(quarters[flip, quarter_turn]):
        turn = Turn(int(quarter_turns), mirror=flip)
        reworded = reword(sentence, turn)
        if reworded is not None:
            return turn, reworded
    return Turn(), sentence


def draw_window(target: Mask, rng: np.random.Generator, smallest: float) -> Box:
    """Draw a part of the image that has its proportions and holds the whole target.

    Args:
        target: (H, W) bool; where it is empty, any part will do.
        rng: of size and place.
        smallest: smallest side of the part, as a share of the image's; more if the target is larger.

    Returns:
        Left, top, right, bottom in pixels; right and bottom exclusive.
    """
    scale = float(rng.uniform(smallest, 1.0))
    spans = []
    for size, covered in zip(target.shape[::-1], (target.any(axis=0), target.any(axis=1)), strict=True):
        inside = np.flatnonzero(covered)
        first, last = (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (size, 0)
        length = max(round(scale * size), last - first, 1)
        start = int(rng.integers(max(last - length, 0), min(first, size - length) + 1))
        spans.append((start, start + length))
    (x0, x1), (y0, y1) = spans
    return x0, y0, x1, y1


def recolour(image: Pixels, sentence: str, rng: np.random.Generator, strength: float) -> Pixels:
    """Change brightness, contrast and colour as far as the sentence claims nothing about them.

    Args:
        image: (H, W, 3) uint8.
        sentence: where it names a colour only brightness changes, where it names a shade ("white", "dark") nothing.
        rng: of the strengths.
        strength: largest relative change.

    Returns:
        (H, W, 3) uint8.
    """
    if names_shade(sentence):
        return image
    if not names_colour(sentence):
        return jitter(image, rng, strength)
    levels = np.arange(256) * (1 + strength * float(rng.uniform(-1, 1)))
    changed: Pixels = np.clip(levels.round(), 0, 255).astype(np.uint8)[image]
    return changed


def _resized(image: Pixels, size_hw: tuple[int, ...]) -> Pixels:
    """Resize as the published transforms do: PIL's bilinear, antialiased when shrinking."""
    height, width = size_hw
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _reference(sample: Sample) -> str:
    """What several sentences about one target share; the sample itself where the dataset does not say."""
    return sample.ref_id if sample.ref_id is not None else sample.id


def _image_key(sample: Sample) -> str:
    """What all samples of one image share, as far as it is known."""
    if sample.image_id is not None:
        return sample.image_id
    return sample.id if callable(sample.image) or isinstance(sample.image, np.ndarray) else str(sample.image)


def _words(text: str) -> frozenset[str]:
    """Words of a class name or sentence, without the plural's s."""
    return frozenset(word.removesuffix("s") for word in re.findall(r"[^\W_]+", text.lower()))
