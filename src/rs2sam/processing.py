"""What stands before and after the model: image to two arrays, sentences to ids, logits to a mask.

numpy, PIL and SentencePiece only. The same RGB image is resized twice from the original, as PIL's bilinear does it
(antialiased when shrinking, aspect ratio not kept), scaled to [0, 1] and normalised by the model's mean and deviation.
A model that encodes a picture once takes it once, in its own aspect (`keeps_aspect`).

Shapes: B batch, L text tokens (`<s>` and `</s>` included), S model side, s union encoder side [px], H W image [px],
h w of a picture in its own aspect [px].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from rs2sam.errors import DataNotFoundError, InvalidInputError
from rs2sam.imaging import RGB, ImageSource, read_image
from rs2sam.processing_config import CONFIG_FILE, FirstPass, ProcessingConfig
from rs2sam.tokenizer import UNKNOWN_ID, SentenceTokenizer

__all__ = [
    "CONFIG_FILE",
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
    "without_specks",
]

MASK_LOGIT_THRESHOLD = 0.5
"""A pixel is foreground where its logit x > 0.5: the published head is argmax over [1 - x, x]."""

_JUST_BELOW = 0.45  # a logit of background, near enough to the limit for a lower threshold to bring it back
_EVIDENCE_SIDE = 5  # cells

TOKENIZER_FILE = "tokenizer.model"

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


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

    reads_phrases = False
    """Whether the model reads noun phrases alone."""

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

    def closer_picture(self, rgb: RGB) -> FloatArray:
        """As `picture`, with the pixels of the model's closer look, which it must have."""
        assert self.config.closer_look is not None
        return self._normalised(_picture(rgb), self.config.closer_hw((rgb.shape[0], rgb.shape[1])))

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
                f"a sentence may have at most {limit} tokens, received {len(ids)} ({sentence[:40]!a}...). "
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


def without_specks(logits: FloatArray, min_evidence: float) -> FloatArray:
    """Take out of a mask what too little speaks for: specks that the model is hardly sure of.

    What speaks for a cell is `2 p - 1`, with its foreground probability p, of the cells around it (5 x 5) that are
    foreground; 1 is one cell that is sure. What is sure, or large, stays.

    Args:
        logits: (h, w) float32, a cell each.
        min_evidence: foreground with less becomes background, just below the limit; 0: everything stays.

    Returns:
        (h, w) float32, the array itself where everything stays.
    """
    evidence = np.maximum(np.tanh(logits - np.float32(MASK_LOGIT_THRESHOLD)), np.float32(0))  # 2 p - 1
    if min_evidence == 0 or not evidence.any():
        return logits
    reach = _EVIDENCE_SIDE // 2
    padded = np.pad(evidence, ((reach + 1, reach), (reach + 1, reach)))
    sums = padded.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    rows = sums[_EVIDENCE_SIDE:] - sums[:-_EVIDENCE_SIDE]
    around = rows[:, _EVIDENCE_SIDE:] - rows[:, :-_EVIDENCE_SIDE]  # (h, w)
    return np.where(around < min_evidence, np.minimum(logits, np.float32(_JUST_BELOW)), logits)


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
    probability = np.asarray(logits - np.float32(MASK_LOGIT_THRESHOLD), dtype=np.float32)
    np.tanh(probability, out=probability)  # in place: an array of an image's size costs as much as the sum
    probability += 1.0
    probability *= 0.5
    return probability


def sigmoid(logit: float) -> float:
    """Logistic function of an ordinary logit, as of presence, that cannot overflow: in [0, 1]."""
    return float(0.5 * (1.0 + np.tanh(0.5 * logit)))


def logits_to_mask(logits: FloatArray) -> npt.NDArray[np.bool_]:
    """Foreground where the logit exceeds `MASK_LOGIT_THRESHOLD`, that is where the probability exceeds 0.5."""
    return np.asarray(logits > MASK_LOGIT_THRESHOLD)
