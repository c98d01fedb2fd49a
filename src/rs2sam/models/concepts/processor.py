"""Pictures and phrases to what concept models take, by transformers' own image processor and tokenizer.

Both models resize the whole picture to a square, bilinearly, and normalise it; what is in the folder decides the side,
mean and deviation. transformers' class for SAM 3 does the same with torchvision; the one used here needs PIL alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from rs2sam.errors import CheckpointError, InvalidInputError, MissingDependencyError, words_of
from rs2sam.imaging import RGB
from rs2sam.processing import FloatArray, ImageInputs, ProcessingConfig, Processor, TextInputs

SAM3_TOKENS = 32
"""Length to which SAM 3's phrases are filled up; it was trained with no other."""


class ConceptProcessor(Processor):
    """Pictures and phrases to model inputs.

    Args:
        images: transformers' image processor.
        tokenizer: transformers' tokenizer.
        max_text_tokens: longest phrase in tokens, start and end included.
        is_padded: fill every phrase up to that length.
    """

    reads_phrases = True

    def __init__(self, images: Any, tokenizer: Any, max_text_tokens: int, *, is_padded: bool) -> None:
        self._images, self._tokenizer, self._is_padded = images, tokenizer, is_padded
        self.config = ProcessingConfig(
            image_size=int(images.size["height"]),
            union_image_size=1,  # there is no second picture
            max_text_tokens=max_text_tokens,
            image_mean=tuple(images.image_mean),
            image_std=tuple(images.image_std),
            choose_in_view=True,  # they read no words that compare
        )

    @classmethod
    def from_concept_folder(cls, folder: str | Path, kind: str) -> ConceptProcessor:
        """Read the processor of a folder.

        Args:
            folder: with `processor_config.json` or `preprocessor_config.json`, and the files of a tokenizer.
            kind: `sam3` or `clipseg`.

        Raises:
            CheckpointError: a file is missing or damaged.
            MissingDependencyError: transformers is too old to have these classes.
        """
        try:
            from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil
        except ImportError as error:
            raise MissingDependencyError("transformers>=5.17", "torch", f"The model {folder}") from error
        try:
            images = ViTImageProcessorPil.from_pretrained(folder, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            side = images.size["height"], images.size["width"]
        except Exception as error:  # readers of damaged files raise whatever they happen to say
            raise CheckpointError(
                f"A `{kind}` folder must hold the settings of its images (processor_config.json or "
                f"preprocessor_config.json) and its tokenizer: those of {folder} cannot be read ({_brief(error)}). "
                "Copy the whole folder again."
            ) from error
        if side[0] != side[1]:
            raise CheckpointError(f"A concept model sees a square, but {folder} resizes to {side}. Get it again.")
        is_sam3 = kind == "sam3"
        longest = SAM3_TOKENS if is_sam3 else min(int(tokenizer.model_max_length), 77)
        return cls(images, tokenizer, longest, is_padded=is_sam3)

    def images(self, rgb: RGB) -> ImageInputs:
        """As `picture`, with an empty second picture; see `Processor.images`."""
        return ImageInputs(self.picture(rgb), np.zeros((3, 1, 1), dtype=np.float32))

    def picture(self, rgb: RGB) -> FloatArray:
        """Resize a picture to the model's square and normalise it; see `Processor.picture`."""
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
            raise InvalidInputError(
                f"`rgb` must be (H, W, 3) uint8, received {rgb.shape} {rgb.dtype}. Pass it through `read_image` first."
            )
        pixels = self._images(rgb, input_data_format="channels_last", return_tensors="np")["pixel_values"][0]
        return np.ascontiguousarray(pixels, dtype=np.float32)

    def sentences(self, sentences: Sequence[str]) -> TextInputs:
        """Tokenize phrases; see `Processor.sentences`.

        Raises:
            InvalidInputError: no phrase, a blank one, or more than `max_text_tokens` tokens.
        """
        if isinstance(sentences, str) or not sentences or not all(isinstance(one, str) for one in sentences):
            raise InvalidInputError(
                f"`sentences` must be a list of at least one sentence, received {sentences!r}. Wrap one as [sentence]."
            )
        limit = self.config.max_text_tokens
        for sentence in sentences:
            if not sentence.strip():
                raise InvalidInputError(
                    f"a sentence must name something, received {sentence!r}. Say what to segment, e.g. 'the ponds'."
                )
            length = len(self._tokenizer(sentence)["input_ids"])
            if length > limit:
                raise InvalidInputError(
                    f"this model reads phrases of at most {limit} tokens, received {length} ('{sentence[:40]}...'). "
                    "It wants a short noun phrase, as 'storage tank'."
                )
        padding = {"padding": "max_length", "max_length": limit} if self._is_padded else {"padding": True}
        found = self._tokenizer(list(sentences), return_tensors="np", **padding)
        return TextInputs(found["input_ids"].astype(np.int64), found["attention_mask"].astype(np.int64))


def _brief(error: Exception) -> str:
    """The first line of an error."""
    return words_of(f"{type(error).__name__}: {error}".strip().partition("\n")[0][:200])
