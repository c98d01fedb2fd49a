"""The transformers face of `rs2sam.processing`: tensors instead of arrays, `from_pretrained` instead of a folder.

The arithmetic is `rs2sam.processing.Processor`'s, so that the model sees the same numbers through either door.

B batch, S model side, s union encoder side [px], L text tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from transformers import BatchFeature
from transformers.utils import PushToHubMixin

from rs2sam.errors import InvalidInputError
from rs2sam.imaging import RGB, ImageSource, read_image
from rs2sam.models.rs2sam import RS2SamOutput
from rs2sam.models.weights.hub import resolve_model
from rs2sam.processing import Processor, logits_to_mask, logits_to_probability, resize_logits, without_specks

TensorType = Literal["pt", "np"]


class RS2SamProcessor(PushToHubMixin):
    """Images and sentences to what `RS2SamModel` takes, and its output to masks.

    Args:
        processor: what does the work.
    """

    model_input_names = ("pixel_values", "union_pixel_values", "input_ids", "attention_mask")

    def __init__(self, processor: Processor) -> None:
        self.processor = processor

    @classmethod
    def from_pretrained(cls, name: str | Path) -> RS2SamProcessor:
        """Load the processor of a model.

        Args:
            name: a known model, a folder, or a hub id.

        Raises:
            WeightsNotFoundError: there is no such model, or it cannot be downloaded.
        """
        folder = Path(name).expanduser()
        # A folder may hold a processor without weights: what `save_pretrained` below writes.
        return cls(Processor.from_folder(folder if folder.is_dir() else resolve_model(name).folder))

    def save_pretrained(
        self,
        folder: str | Path,
        push_to_hub: bool = False,
        **kwargs: Any,
    ) -> None:
        """Write `preprocessor_config.json` and `tokenizer.model`.

        Args:
            folder: made if it is not there; a model's other files in it stay.
            push_to_hub: upload them too; further arguments as for `push_to_hub`.
            kwargs: `repo_id`, `token`, ... for the upload.
        """
        self.processor.save(folder)
        if push_to_hub:
            self.push_to_hub(kwargs.pop("repo_id", Path(folder).name), **kwargs)

    def __call__(
        self,
        images: ImageSource | Sequence[ImageSource],
        text: str | Sequence[str],
        return_tensors: TensorType = "pt",
    ) -> BatchFeature:
        """Prepare images and sentences.

        Args:
            images: one image (path, PIL image, or array (H, W) or (H, W, C)) or a list of them.
            text: one referring expression for each image. One image with several sentences is repeated, and so is one
                sentence for several images.
            return_tensors: `pt` for tensors, `np` for arrays.

        Returns:
            `pixel_values` (B, 3, S, S) and `union_pixel_values` (B, 3, s, s) float32, `input_ids` and `attention_mask`
            (B, L) int64, 1 = attend; for `RS2SamModel.forward`. For `EncodeOnceModel.forward` `pixel_values`
            (I, 3, h, w) of the I images alone, in their own aspect.

        Raises:
            InvalidInputError: the numbers of images and sentences do not go together, or images in their own aspect
                are not of one size.
            InvalidImageError: an image cannot be read.
        """
        if return_tensors not in ("pt", "np"):
            raise InvalidInputError(f"`return_tensors` must be 'pt' or 'np', received {return_tensors!r}.")
        pictures: list[ImageSource] = list(images) if isinstance(images, (list, tuple)) else [images]  # type: ignore[list-item]
        sentences = [text] if isinstance(text, str) else list(text)
        if (
            not pictures
            or not sentences
            or (len(pictures) != len(sentences) and 1 not in (len(pictures), len(sentences)))
        ):
            raise InvalidInputError(
                f"There must be one sentence for each image, or one of either: received {len(pictures)} images and "
                f"{len(sentences)} sentences."
            )
        batch = max(len(pictures), len(sentences))
        arrays = [read_image(picture) for picture in pictures]
        tokens = self.processor.sentences(sentences * (batch // len(sentences)))
        data = {
            **(self._once(arrays) if self.processor.config.keeps_aspect else self._twice(arrays, batch)),
            "input_ids": tokens.input_ids,
            "attention_mask": tokens.attention_mask,
        }
        return BatchFeature(data, tensor_type=return_tensors)

    def _twice(self, pictures: Sequence[RGB], batch: int) -> dict[str, npt.NDArray[np.float32]]:
        """Both inputs made of each of I pictures, for each of B sentences."""
        prepared = [self.processor.images(picture) for picture in pictures] * (batch // len(pictures))
        return {
            "pixel_values": np.stack([one.pixel_values for one in prepared]),  # (B, 3, S, S)
            "union_pixel_values": np.stack([one.union_pixel_values for one in prepared]),  # (B, 3, s, s)
        }

    def _once(self, pictures: Sequence[RGB]) -> dict[str, npt.NDArray[np.float32]]:
        """I pictures in their own aspect, which must be one."""
        prepared = [self.processor.picture(picture) for picture in pictures]
        sizes = {one.shape[1:] for one in prepared}
        if len(sizes) > 1:
            raise InvalidInputError(
                f"Images of one batch must be seen at one size, received {sorted(sizes)}. Give them one after another."
            )
        return {"pixel_values": np.stack(prepared)}  # (I, 3, h, w)

    def post_process(
        self, output: RS2SamOutput, sizes_hw: Sequence[tuple[int, int]], *, probabilities: bool = False
    ) -> list[npt.NDArray[np.bool_]] | list[npt.NDArray[np.float32]]:
        """Masks at the images' own sizes.

        Args:
            output: of `RS2SamModel`, B samples.
            sizes_hw: height and width of each of the B images [px].
            probabilities: return foreground probabilities instead of masks.

        Returns:
            B arrays (H, W): bool, or float32 in [0, 1].

        Raises:
            InvalidInputError: there are not B sizes.
        """
        logits = output.low_res_logits
        if logits is None or len(sizes_hw) != logits.shape[0]:
            count = 0 if logits is None else logits.shape[0]
            raise InvalidInputError(f"`sizes_hw` must have one size for each of {count} samples, received {sizes_hw}.")
        arrays = logits[:, 0].detach().to("cpu", torch.float32).numpy()  # (B, S/4, S/4)
        least = self.processor.config.min_evidence
        cleaned = [without_specks(one, least) for one in arrays]
        resized = [resize_logits(one, size) for one, size in zip(cleaned, sizes_hw, strict=True)]
        return (
            [logits_to_probability(one) for one in resized]
            if probabilities
            else [logits_to_mask(one) for one in resized]
        )
