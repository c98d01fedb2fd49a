"""What stands before and after the model: image to two arrays, sentences to ids, logits to a mask.

numpy, PIL and SentencePiece only. The same RGB image is resized twice from the original, as PIL's bilinear does it
(antialiased when shrinking, aspect ratio not kept), scaled to [0, 1] and normalised by the model's mean and deviation.
A model that encodes a picture once takes it once, in its own aspect (`keeps_aspect`).

Shapes: B batch, L text tokens (`<s>` and `</s>` included), S model side, s union encoder side [px], H W image [px],
h w of a picture in its own aspect [px].
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from rs2sam.errors import DataNotFoundError, InvalidInputError
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

SIDE_MULTIPLE = 32
"""What sides of a picture in its own aspect are multiples of [px]: the stride of the trunk's coarsest map."""

CONFIG_FILE = "preprocessor_config.json"
TOKENIZER_FILE = "tokenizer.model"

# Keys that transformers adds when its own processor writes the same file.
_FOREIGN_KEYS = {"processor_class", "image_processor_type", "tokenizer_class", "transformers_version"}

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


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
        if not isinstance(self.tiles, int) or self.tiles < 2:
            raise InvalidInputError(f"A coarse view covers at least 2 tiles a side, received `tiles` {self.tiles!r}.")
        for name in ("threshold", "recall_loss", "skipped"):
            value = getattr(self, name)
            is_missing = value is None and name != "threshold"
            if not is_missing and not (isinstance(value, int | float) and 0 <= value <= 1):
                raise InvalidInputError(f"`{name}` of the first pass must lie in [0, 1], received {value!r}.")
        if not isinstance(self.is_default, bool):
            raise InvalidInputError(f"`is_default` must be true or false, received {self.is_default!r}.")

    @classmethod
    def of(cls, values: object) -> FirstPass:
        """Read it from plain values; an unknown name is an error."""
        try:
            if isinstance(values, dict):
                return cls(**values)
        except TypeError:  # told below, with the names
            pass
        names = [field.name for field in fields(cls)]
        raise InvalidInputError(f"`first_pass` must be an object with {names}, received {values!r}.")


@dataclass(frozen=True)
class ProcessingConfig:
    """Sizes and conventions of one model's inputs, stored as `preprocessor_config.json`.

    Args:
        image_size: side S of `pixel_values` [px]; the longer side of a picture in its own aspect.
        union_image_size: side s of `union_pixel_values` [px]; 0 for a model that takes one picture, in its own aspect.
        max_text_tokens: longest sentence in tokens, `<s>` and `</s>` included.
        pad_token_id: id that fills up shorter sentences of a batch. Published weights: 3, the unknown token's.
        mask_unknown_tokens: attend to no `<unk>` either, as the published code does (it attends where id != 3).
        image_mean: mean of the three channels in [0, 1].
        image_std: standard deviation of the three channels in [0, 1].
        min_presence: presence below which this model's answer is "nothing", found on validation images; 0: never.
        choose_in_view: whether words that compare ("the largest", "at the left") are better decided among the regions
            that this model finds of a class than by the model itself, in images that it sees whole.
        first_pass: how tiles are skipped in large scenes; None where that was not measured for this model.
        keeps_aspect: the model takes one picture with sides that are multiples of 32, `image_size` the longer one.
        max_enlargement: such a picture is not enlarged by more than this, at least 1.
        classes: what the model was taught to find, as it is named; None where that is not listed.
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
    keeps_aspect: bool = False
    max_enlargement: float = 2.0
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.keeps_aspect, bool):
            raise InvalidInputError(f"`keeps_aspect` must be true or false, received {self.keeps_aspect!r}.")
        union_least = 0 if self.keeps_aspect else 1
        leasts = {"image_size": 1, "union_image_size": union_least, "max_text_tokens": 3, "pad_token_id": 0}
        for name, least in leasts.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise InvalidInputError(f"`{name}` must be an integer of at least {least}, received {value!r}.")
        self._check_aspect()
        if len(self.image_mean) != 3 or len(self.image_std) != 3 or min(self.image_std) <= 0:
            raise InvalidInputError(
                "`image_mean` and `image_std` must be three numbers, deviations above 0, "
                f"received {self.image_mean} and {self.image_std}."
            )
        if not isinstance(self.min_presence, int | float) or not 0 <= self.min_presence <= 1:
            raise InvalidInputError(f"`min_presence` must be a probability in [0, 1], received {self.min_presence!r}.")
        if not isinstance(self.choose_in_view, bool):
            raise InvalidInputError(f"`choose_in_view` must be true or false, received {self.choose_in_view!r}.")
        names = self.classes
        if names is not None and not (
            isinstance(names, tuple) and names and all(isinstance(name, str) and name.strip() for name in names)
        ):
            raise InvalidInputError(f"`classes` must be a list of names, received {names!r}. Leave it out if unknown.")

    def _check_aspect(self) -> None:
        """Raise where what is said of pictures in their own aspect does not go together."""
        factor = self.max_enlargement
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor < math.inf:
            raise InvalidInputError(f"`max_enlargement` must be a number of at least 1, received {factor!r}.")
        if self.keeps_aspect and (self.union_image_size or self.image_size % SIDE_MULTIPLE):
            raise InvalidInputError(
                "A model that keeps the aspect takes one picture: `union_image_size` must be 0 or left out, received "
                f"{self.union_image_size}; `image_size` a multiple of {SIDE_MULTIPLE}, received {self.image_size}."
            )

    def input_hw(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """Sides at which the model sees an image: squares of `image_size`, or the image's own aspect.

        Args:
            size_hw: height and width of the image [px].

        Returns:
            Height and width [px]; with `keeps_aspect` the longer one is `image_size`, less where that would enlarge too
            much, and each is rounded to a multiple of 32.
        """
        if not self.keeps_aspect:
            return self.image_size, self.image_size
        scale = min(self.image_size / max(size_hw), self.max_enlargement)
        height, width = (max(1, round(side * scale / SIDE_MULTIPLE)) * SIDE_MULTIPLE for side in size_hw)
        return height, width

    @classmethod
    def from_json(cls, path: str | Path) -> ProcessingConfig:
        """Read a `preprocessor_config.json`; an unknown key is an error."""
        try:
            values: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataNotFoundError(f"`{path}` not found: a model folder must hold {CONFIG_FILE}.") from error
        except ValueError as error:
            raise InvalidInputError(f"`{path}` is not JSON: {error}. Copy the model folder again.") from error
        if isinstance(values, dict) and values.get("keeps_aspect") is True:
            values = {"union_image_size": 0, **values}
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
        picture = _picture(rgb)
        side, union_side = self.config.image_size, self.config.union_image_size
        return ImageInputs(
            pixel_values=self._normalised(picture, (side, side)),
            union_pixel_values=self._normalised(picture, (union_side, union_side)),
        )

    def picture(self, rgb: RGB) -> FloatArray:
        """Resize one image once, to `ProcessingConfig.input_hw`, and normalise it: for models that encode it once.

        Args:
            rgb: (H, W, 3) uint8, as `read_image` returns it.

        Returns:
            (3, h, w) float32.
        """
        return self._normalised(_picture(rgb), self.config.input_hw((rgb.shape[0], rgb.shape[1])))

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

    def _normalised(self, picture: Image.Image, size_hw: tuple[int, int]) -> FloatArray:
        """(3, h, w) float32 of an RGB picture."""
        resized = np.asarray(picture.resize(size_hw[::-1], Image.Resampling.BILINEAR))  # (h, w, 3)
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


def _picture(rgb: RGB) -> Image.Image:
    """An array as PIL takes it.

    Raises:
        InvalidInputError: it is no (H, W, 3) uint8.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise InvalidInputError(
            f"`rgb` must be (H, W, 3) uint8, received {rgb.shape} {rgb.dtype}. Pass it through `read_image` first."
        )
    return Image.fromarray(rgb)


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
