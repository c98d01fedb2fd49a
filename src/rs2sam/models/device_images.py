"""Pictures to model inputs on the model's device: what `Processor.images` does, with a quarter of the bytes moved.

Pillow resizes along one axis, rounds to 8 bits, then resizes along the other and rounds again. So does this, with
torch's antialiased filter. No value differs by more than one level of 255: in fewer than 1 of 100 where a sum lies at
half a level, in up to a fifth of a picture that is not square where Pillow takes the other axis first, which depends
on its version and on the sizes (`tests/models/test_device_images.py`).

B pictures, S side of an input.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rs2sam.errors import InvalidInputError
from rs2sam.imaging import RGB
from rs2sam.processing import ProcessingConfig


def device_images(pictures: Sequence[RGB], config: ProcessingConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """Resize pictures twice and normalise them on a device.

    Args:
        pictures: B arrays (H, W, 3) uint8 of any sizes; one that occurs again is moved and resized once.
        config: sizes, mean and deviation.
        device: where to.

    Returns:
        `pixel_values` (B, 3, S, S) and `union_pixel_values` (B, 3, s, s), float32.

    Raises:
        InvalidInputError: an array is no such picture.
    """
    different = {id(picture): picture for picture in pictures}
    by_size: dict[tuple[int, ...], list[int]] = {}
    for key, picture in different.items():
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
            raise InvalidInputError(
                f"A picture must be (H, W, 3) uint8, received {picture.shape} {picture.dtype}. "
                "Pass it through `read_image` first."
            )
        by_size.setdefault(picture.shape, []).append(key)
    mean, std = (_channels(tuple(values), device) for values in (config.image_mean, config.image_std))
    made: dict[int, tuple[Tensor, Tensor]] = {}
    for keys in by_size.values():
        moved = _moved(np.stack([different[key] for key in keys]), device).permute(0, 3, 1, 2).float()
        inputs = [(_resized(moved, side) / 255 - mean) / std for side in (config.image_size, config.union_image_size)]
        made |= {key: (inputs[0][row], inputs[1][row]) for row, key in enumerate(keys)}
    pixels, union = zip(*(made[id(picture)] for picture in pictures), strict=True)
    return torch.stack(pixels), torch.stack(union)


@lru_cache(maxsize=16)
def _channels(values: tuple[float, ...], device: torch.device) -> Tensor:
    """(3, 1, 1) float32 on a device, moved there once: every move makes the host wait."""
    # An inference tensor made by the first caller would be refused by a later one outside of that mode.
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]


def _moved(array: RGB, device: torch.device) -> Tensor:
    """An array on a device; towards a GPU without waiting for it."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _resized(pictures: Tensor, side: int) -> Tensor:
    """(B, 3, H, W) of whole numbers to (B, 3, side, side) of whole numbers, the longer axis first."""
    height, width = pictures.shape[2:]
    between = (side, width) if height > width else (height, side)
    for size_hw in (between, (side, side)):
        if pictures.shape[2:] != size_hw:
            pictures = F.interpolate(pictures, size=size_hw, mode="bilinear", antialias=True)
            pictures = (pictures + 0.5).floor().clamp(0, 255)
    return pictures
