"""What every export of a model has in common: its signature, shapes, example inputs, and the check against torch.

I pictures, B sentences, L text tokens, S and s the two image sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rs2sam.backends import BackendOutput
from rs2sam.backends.protocol import LARGEST_BATCH
from rs2sam.errors import InvalidInputError
from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.staged import StagedModel

INPUT_NAMES = ("pixel_values", "union_pixel_values", "input_ids", "attention_mask")
SHORTEST_SENTENCE = 3
_LEAST_MAGNITUDE = 1e-2

Arrays = tuple[npt.NDArray[Any], ...]


@dataclass(frozen=True)
class Shapes:
    """Batch size and sentence length of an export.

    Args:
        batch: samples of every call, a picture and a sentence each; None: 1 to 1024 sentences, decided by each call,
            and as many pictures or fewer (see `RS2SamModel.forward`).
        length: tokens of every sentence, shorter ones padded; None: decided by each call.
    """

    batch: int | None = None
    length: int | None = None

    def check(self, config: RS2SamConfig) -> None:
        """Raise what cannot be exported.

        Raises:
            InvalidInputError: a size is out of range, or padding would change the model's answers.
        """
        if self.batch is not None and not 1 <= self.batch <= LARGEST_BATCH:
            raise InvalidInputError(f"`batch` must be 1 to {LARGEST_BATCH} or dynamic, received {self.batch}.")
        if self.length is None:
            return
        if not SHORTEST_SENTENCE <= self.length <= config.max_text_tokens:
            raise InvalidInputError(
                f"`length` must be {SHORTEST_SENTENCE} to {config.max_text_tokens} tokens or dynamic, "
                f"received {self.length}."
            )
        if not config.mask_fusion_padding:
            raise InvalidInputError(
                f"A fixed `length` ({self.length}) pads shorter sentences, and this model attends to padding "
                "(`mask_fusion_padding` false in its config.json): its masks would change. Use --length dynamic."
            )

    def dynamic(self, config: RS2SamConfig) -> tuple[dict[int, Any], ...]:
        """Free dimensions of the four inputs, as torch.export names them."""
        images: dict[int, Any] = {}
        tokens: dict[int, Any] = {}
        if self.batch is None:
            images[0] = torch.export.Dim("pictures", min=1, max=LARGEST_BATCH)
            tokens[0] = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
        if self.length is None:
            tokens[1] = torch.export.Dim("length", min=SHORTEST_SENTENCE, max=config.max_text_tokens)
        return images, images, tokens, tokens

    def example(self, config: RS2SamConfig) -> tuple[Tensor, ...]:
        """Inputs to trace with: where sizes are free several of each, since 1 is taken for a constant."""
        lengths = (min(9, self.length or 9),) * (self.batch or 4)
        arrays = example(config, lengths, self.length, num_pictures=self.batch or 2)
        return tuple(torch.from_numpy(array) for array in arrays)

    def cases(self, config: RS2SamConfig) -> list[Arrays]:
        """Inputs to compare with: one sentence alone, several with padding, about pictures of their own and shared."""
        limit = self.length or config.max_text_tokens
        batches: list[tuple[int, tuple[int, ...]]]  # pictures, and the lengths of the sentences about them
        if self.batch is None:
            batches = [(1, (5,)), (3, (4, 12, 7)), (1, (4, 12, 7)), (2, (9, 5, 12, 7))]
        else:
            batches = [(self.batch, tuple((5, 12, 7)[number % 3] for number in range(self.batch)))]
        return [
            example(config, tuple(min(one, limit) for one in lengths), self.length, num_pictures)
            for num_pictures, lengths in batches
        ]


class TensorsOnly(nn.Module):
    """The model with a tuple of tensors as output, in the order of `output_names`.

    Args:
        model: in float32 or half precision (see `StagedModel`).
    """

    def __init__(self, model: RS2SamModel) -> None:
        super().__init__()
        self.staged = StagedModel(model)
        self.has_presence, self.has_score = bool(model.config.has_presence), bool(model.config.has_score)

    def forward(
        self, pixel_values: Tensor, union_pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor
    ) -> tuple[Tensor, ...]:
        """(B, S/4, S/4) logits, then (B, g, g) pseudo-mask, (B,) presence logits, (B,) scores where there are such."""
        logits, pseudo_mask, presence, scores = self.staged(pixel_values, union_pixel_values, input_ids, attention_mask)
        return (
            logits[:, 0],
            *([] if pseudo_mask is None else [pseudo_mask[:, 0]]),
            *([presence] if self.has_presence else []),
            *([scores] if self.has_score else []),
        )


def output_names(config: RS2SamConfig) -> list[str]:
    """Names of an export's outputs, as the fields of `BackendOutput`."""
    optional = {
        "pseudo_mask": config.mask_prompt != "none",
        "presence_logits": config.has_presence,
        "iou_scores": config.has_score,
    }
    return ["low_res_logits", *(name for name, is_given in optional.items() if is_given)]


def example(
    config: RS2SamConfig, lengths: tuple[int, ...], longest: int | None = None, num_pictures: int | None = None
) -> Arrays:
    """Random inputs of a model: noise as images, sentences of these lengths padded to the longest."""
    random = np.random.default_rng(0)
    batch, longest = len(lengths), longest or max(lengths)
    attend = np.arange(longest) < np.array(lengths)[:, None]  # (B, L)
    input_ids = np.where(attend, random.integers(4, config.vocab_size, (batch, longest)), config.text_pad_id)
    images = [
        random.standard_normal((num_pictures or batch, 3, side, side), dtype=np.float32)
        for side in (config.image_size, config.union_image_size)
    ]
    return images[0], images[1], input_ids.astype(np.int64), attend.astype(np.int64)


def difference(ours: BackendOutput, reference: BackendOutput) -> float:
    """Largest relative L2 difference of any field; what is smaller than `_LEAST_MAGNITUDE` is compared to that."""
    worst = 0.0
    for name, expected in vars(reference).items():
        if expected is not None:
            # A trained score of noise is 1e-7: rounding, which must not count as a difference of half its size.
            scale = max(float(np.linalg.norm(expected)), _LEAST_MAGNITUDE * math.sqrt(expected.size))
            error = np.linalg.norm(getattr(ours, name) - expected) / scale
            worst = max(worst, float(error))
    return worst
