"""What stands before and after the model: image to two arrays, sentences to ids, logits to a mask.

numpy, PIL and SentencePiece only. The same RGB image is resized twice from the original, as PIL's bilinear does it
(antialiased when shrinking, aspect ratio not kept), scaled to [0, 1] and normalised by ImageNet's mean and deviation.

Shapes: B batch, L text tokens (`<s>` and `</s>` included), S model side, s union encoder side [px], H W image [px].
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.fields import brief
from rs2sam.imaging import RGB, ImageSource, read_image
from rs2sam.tokenizer import UNKNOWN_ID, SentenceTokenizer

__all__ = [
    "MASK_LOGIT_THRESHOLD",
    "FirstPass",
    "ImageInputs",
    "ImageSource",
    "ProcessingConfig",
    "Processor",
    "TextInputs",
    "logits_to_mask",
    "logits_to_probability",
    "read_image",
    "resize_logits",
]

MASK_LOGIT_THRESHOLD = 0.5
"""A pixel is foreground where its logit x > 0.5: the published head is argmax over [1 - x, x]."""

CONFIG_FILE = "preprocessor_config.json"
TOKENIZER_FILE = "tokenizer.model"

# Keys that transformers adds when its own processor writes the same file.
_FOREIGN_KEYS = {"processor_class", "image_processor_type", "tokenizer_class", "transformers_version"}

_SIZES = {
    "image_size": (1, 4096),
    "union_image_size": (1, 2048),
    "max_text_tokens": (3, 65_536),
    "pad_token_id": (0, 2_000_000),
}
"""Least and greatest value: a folder must not ask for arrays that nobody can hold."""
_LEAST_STD, _MOST_MEAN = 1e-3, 1e3
_MOST_TILES = 64

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


def _is_number(value: object) -> bool:
    """Whether a value is a finite number that float32 holds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _is_share(value: object) -> bool:
    """Whether a value is a number in [0, 1]."""
    return _is_number(value) and 0 <= value <= 1  # type: ignore[operator]


def _are_three_numbers(values: object) -> bool:
    """Whether a value is three numbers of a size that means or deviations can have."""
    return (
        isinstance(values, tuple | list)
        and len(values) == 3
        and all(_is_number(value) and abs(value) <= _MOST_MEAN for value in values)
    )


def _is_range(values: object) -> bool:
    """Whether a value is two lengths above 0, in order."""
    is_pair = isinstance(values, tuple) and len(values) == 2 and all(_is_number(value) for value in values)
    return is_pair and 0 < values[0] <= values[1]  # type: ignore[index]


@dataclass(frozen=True)
class FirstPass:
    """How a model tells from a coarse view which tiles of a scene hold nothing of what a sentence names.

    The figures are measured on held-out scenes (`python -m benchmarks.first_pass`), against asking about every tile.

    Args:
        tiles: tiles a side that one coarse view covers.
        threshold: a tile is skipped where its score in that view is below this, in [0, 1].
        recall_loss: share of the rightly found pixels that skipping costs, in [0, 1]; None: not measured.
        skipped: share of the tiles that is skipped, in [0, 1]; None: not measured.
        is_default: whether it saves time, so that tiles are skipped unless a user wants every tile asked about.
    """

    tiles: int
    threshold: float
    recall_loss: float | None = None
    skipped: float | None = None
    is_default: bool = False

    def __post_init__(self) -> None:
        if type(self.tiles) is not int or not 2 <= self.tiles <= _MOST_TILES:
            raise InvalidInputError(
                f"A coarse view covers at least 2 tiles a side and at most {_MOST_TILES}, received `tiles` "
                f"{brief(self.tiles)}."
            )
        for name in ("threshold", "recall_loss", "skipped"):
            value = getattr(self, name)
            is_missing = value is None and name != "threshold"
            if not is_missing and not _is_share(value):
                raise InvalidInputError(f"`{name}` of the first pass must lie in [0, 1], received {brief(value)}.")
        if not isinstance(self.is_default, bool):
            raise InvalidInputError(f"`is_default` must be true or false, received {brief(self.is_default)}.")

    @classmethod
    def of(cls, values: object) -> FirstPass:
        """Read it from plain values; an unknown name is an error."""
        try:
            if isinstance(values, dict):
                return cls(**values)
        except TypeError:  # told below, with the names
            pass
        names = [field.name for field in fields(cls)]
        raise InvalidInputError(f"`first_pass` must be an object with {names}, received {brief(values)}.")


@dataclass(frozen=True)
class ProcessingConfig:
    """Sizes and conventions of one model's inputs, stored as `preprocessor_config.json`.

    Args:
        image_size: side S of `pixel_values` [px].
        union_image_size: side s of `union_pixel_values` [px].
        max_text_tokens: longest sentence in tokens, `<s>` and `</s>` included.
        pad_token_id: id that fills up shorter sentences of a batch. Published weights: 3, the unknown token's.
        mask_unknown_tokens: attend to no `<unk>` either, as the published code does (it attends where id != 3).
        image_mean: mean of the three channels in [0, 1].
        image_std: standard deviation of the three channels in [0, 1].
        min_presence: presence below which this model's answer is "nothing", found on validation images; 0: never.
        choose_in_view: whether words that compare ("the largest", "at the left") are better decided among the regions
            that this model finds of a class than by the model itself, in images that it sees whole.
        first_pass: how tiles are skipped in large scenes; None where that was not measured for this model.
        gsd_range_m: finest and coarsest ground resolution of the images that the model was made for [m/px]; None where
            nobody said.
    """

    image_size: int
    union_image_size: int
    max_text_tokens: int
    pad_token_id: int = 1
    mask_unknown_tokens: bool = False
    image_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    image_std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    min_presence: float = 0.0
    choose_in_view: bool = False
    first_pass: FirstPass | None = None
    gsd_range_m: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name, (least, most) in _SIZES.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise InvalidInputError(
                    f"`{name}` must be an integer of at least {least} and at most {most:,}, received {brief(value)}."
                )
        colours = self.image_mean, self.image_std
        if not all(_are_three_numbers(values) for values in colours) or min(self.image_std) <= 0:
            raise InvalidInputError(
                "`image_mean` and `image_std` must be three numbers, deviations above 0, "
                f"received {brief(self.image_mean)} and {brief(self.image_std)}."
            )
        if min(self.image_std) < _LEAST_STD:
            raise InvalidInputError(
                f"`image_std` must be deviations above 0, of at least {_LEAST_STD}, received {brief(self.image_std)}."
            )
        if not _is_share(self.min_presence):
            raise InvalidInputError(
                f"`min_presence` must be a probability in [0, 1], received {brief(self.min_presence)}."
            )
        for name in ("choose_in_view", "mask_unknown_tokens"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInputError(f"`{name}` must be true or false, received {brief(getattr(self, name))}.")
        if self.gsd_range_m is not None and not _is_range(self.gsd_range_m):
            raise InvalidInputError(
                "`gsd_range_m` must be two lengths in metres per pixel, the finer first, received "
                f"{brief(self.gsd_range_m)}."
            )

    @classmethod
    def from_json(cls, path: str | Path) -> ProcessingConfig:
        """Read a `preprocessor_config.json`; an unknown key is an error."""
        try:
            values: Any = json.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataNotFoundError(f"`{path}` not found: a model folder must hold {CONFIG_FILE}.") from error
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidInputError(f"`{path}` is not JSON: {error}. Copy the model folder again.") from error
        if not isinstance(values, dict):
            raise InvalidInputError(f"`{path}` must hold a JSON object, received {brief(values)}.")
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known - _FOREIGN_KEYS)
        missing = [name for name in ("image_size", "union_image_size", "max_text_tokens") if name not in values]
        if unknown or missing:
            raise InvalidInputError(
                f"`{path}` has unknown keys {unknown} and lacks {missing}; known are {sorted(known)}. "
                "Write it with `ProcessingConfig.to_json`."
            )
        arguments: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in known
        }
        if arguments.get("first_pass") is not None:
            arguments["first_pass"] = FirstPass.of(arguments["first_pass"])
        return cls(**arguments)

    def to_json(self, path: str | Path) -> None:
        """Write a `preprocessor_config.json`."""
        Path(path).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class ImageInputs:
    """One image as the model takes it.

    Args:
        pixel_values: (3, S, S) float32, normalised.
        union_pixel_values: (3, s, s) float32, normalised.
    """

    pixel_values: FloatArray
    union_pixel_values: FloatArray


@dataclass(frozen=True)
class TextInputs:
    """A batch of sentences as the model takes it.

    Args:
        input_ids: (B, L) int64.
        attention_mask: (B, L) int64, 1 = attend.
    """

    input_ids: IntArray
    attention_mask: IntArray


class Processor:
    """Images and sentences to model inputs.

    Args:
        config: sizes and conventions.
        tokenizer: of the model's sentences.
    """

    def __init__(self, config: ProcessingConfig, tokenizer: SentenceTokenizer) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self._mean = np.array(config.image_mean, np.float32)[:, None, None]
        self._std = np.array(config.image_std, np.float32)[:, None, None]

    @classmethod
    def from_folder(cls, folder: str | Path) -> Processor:
        """Read `preprocessor_config.json` and `tokenizer.model` of a model folder.

        Raises:
            DataNotFoundError: one of the two files is missing; the message names it.
            InvalidInputError: one of them cannot be read.
        """
        folder = Path(folder)
        missing = [name for name in (CONFIG_FILE, TOKENIZER_FILE) if not (folder / name).is_file()]
        if missing:
            raise DataNotFoundError(
                f"`{folder}` is no complete model folder: it lacks {', '.join(missing)}. "
                "Write it with `rs2sam convert`, or give the name of a model that `rs2sam models` lists."
            )
        return cls(
            ProcessingConfig.from_json(folder / CONFIG_FILE), SentenceTokenizer.from_file(folder / TOKENIZER_FILE)
        )

    def save(self, folder: str | Path) -> None:
        """Write `preprocessor_config.json` and `tokenizer.model` into a model folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.config.to_json(folder / CONFIG_FILE)
        self.tokenizer.save(folder / TOKENIZER_FILE)

    def images(self, rgb: RGB) -> ImageInputs:
        """Resize one image twice and normalise it.

        Args:
            rgb: (H, W, 3) uint8, as `read_image` returns it.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
            raise InvalidInputError(
                f"`rgb` must be (H, W, 3) uint8, received {rgb.shape} {rgb.dtype}. Pass it through `read_image` first."
            )
        picture = Image.fromarray(rgb)
        return ImageInputs(
            pixel_values=self._normalised(picture, self.config.image_size),
            union_pixel_values=self._normalised(picture, self.config.union_image_size),
        )

    def sentences(self, sentences: Sequence[str]) -> TextInputs:
        """Tokenize sentences and pad them to the longest.

        Args:
            sentences: B referring expressions in any language; upper case and stray white space do not matter to the
                compact tokenizer.

        Raises:
            InvalidInputError: no sentence, a blank one, no text, or more than `max_text_tokens` tokens.
        """
        if isinstance(sentences, str) or not sentences:
            raise InvalidInputError(
                f"`sentences` must be a list of at least one sentence, received {sentences!r}. Wrap one as [sentence]."
            )
        ids = [self._ids(sentence) for sentence in sentences]
        lengths = np.array([len(one) for one in ids])
        input_ids = np.full((len(ids), lengths.max()), self.config.pad_token_id, np.int64)  # (B, L)
        for row, one in zip(input_ids, ids, strict=True):
            row[: len(one)] = one
        attend = np.arange(input_ids.shape[1]) < lengths[:, None]  # (B, L)
        if self.config.mask_unknown_tokens:
            attend &= input_ids != UNKNOWN_ID
        return TextInputs(input_ids=input_ids, attention_mask=attend.astype(np.int64))

    def _normalised(self, picture: Image.Image, side: int) -> FloatArray:
        """(3, side, side) float32 of an RGB picture."""
        resized = np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))  # (side, side, 3)
        scaled = resized.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        return np.asarray((scaled - self._mean) / self._std, dtype=np.float32)

    def _ids(self, sentence: str) -> list[int]:
        """Token ids of one sentence, `<s>` and `</s>` included."""
        if not isinstance(sentence, str):
            raise InvalidInputError(f"a sentence must be text, received {type(sentence).__name__}: {sentence!r}.")
        ids = self.tokenizer.encode(sentence) if sentence.strip() else []
        if len(ids) <= 2:
            raise InvalidInputError(
                f"a sentence must name something, received {sentence!r}. Say what to segment, e.g. 'the largest pond'."
            )
        limit = self.config.max_text_tokens
        if len(ids) > limit:
            raise InvalidInputError(
                f"a sentence may have at most {limit} tokens, received {len(ids)} ('{sentence[:40]}...'). "
                "Shorten it to what tells the object apart from others."
            )
        return ids


def resize_logits(logits: FloatArray, size_hw: tuple[int, int]) -> FloatArray:
    """Resize logits bilinearly (antialiased when shrinking).

    Enlarging equals `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`.

    Args:
        logits: (h, w) float32.
        size_hw: height and width to reach [px].

    Returns:
        (H, W) float32.
    """
    if logits.shape == tuple(size_hw):
        return logits.astype(np.float32)
    height, width = size_hw
    picture = Image.fromarray(np.ascontiguousarray(logits, np.float32))
    return np.array(picture.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)


def logits_to_probability(logits: FloatArray) -> FloatArray:
    """Foreground probability sigmoid(2x - 1) in [0, 1]: softmax over the published head's [1 - x, x]."""
    # 0.5 (1 + tanh(x - 0.5)) is the same function and cannot overflow.
    return np.asarray(0.5 * (1.0 + np.tanh(logits - np.float32(MASK_LOGIT_THRESHOLD))), dtype=np.float32)


def logits_to_mask(logits: FloatArray) -> npt.NDArray[np.bool_]:
    """Foreground where the logit exceeds `MASK_LOGIT_THRESHOLD`, that is where the probability exceeds 0.5."""
    return np.asarray(logits > MASK_LOGIT_THRESHOLD)
