"""A tiny model with weights and inputs that come out the same everywhere, for the committed excerpt.

`numpy.random.RandomState` is frozen by numpy's policy, so nothing but the expected values has to be stored.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch
from torch import Tensor

from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.rs2sam import RS2SamModel

IMAGE_SIZE = 64
"""So small that the later stages' windows are larger than their maps, which tests their padding too."""


def build(mask_fusion_padding: bool) -> RS2SamModel:
    """The tiny preset at 64 px, every weight drawn from its own name, so that no order of creation matters."""
    config = RS2SamConfig.preset(
        "tiny", image_size=IMAGE_SIZE, decoder_width=64, decoder_mlp_width=64, mask_fusion_padding=mask_fusion_padding
    )
    model = RS2SamModel(config)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(_weights(name, tensor))
    return model.eval()


def inputs() -> dict[str, Tensor]:
    """Two images with sentences of 9 and 6 tokens; the shorter one is padded with the published pad id."""
    random = np.random.RandomState(7)
    images = random.standard_normal((2, 3, IMAGE_SIZE, IMAGE_SIZE)).astype(np.float32)
    union_images = random.standard_normal((2, 3, 64, 64)).astype(np.float32)
    ids = random.randint(4, 512, size=(2, 9))
    ids[:, 0], ids[0, 8], ids[1, 5], ids[1, 6:] = 0, 2, 2, 3
    return {
        "pixel_values": torch.from_numpy(images),
        "union_pixel_values": torch.from_numpy(union_images),
        "input_ids": torch.from_numpy(ids.astype(np.int64)),
    }


def target() -> Tensor:
    """(2, 64, 64) masks: a rectangle each."""
    masks = torch.zeros(2, IMAGE_SIZE, IMAGE_SIZE)
    masks[0, 10:40, 20:50] = 1.0
    masks[1, 30:60, 5:25] = 1.0
    return masks


def _weights(name: str, tensor: Tensor) -> Tensor:
    """Weights that let every part act: fan-in scaled matrices, norms around 1, biases around 0."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    values = torch.from_numpy(random.standard_normal(tuple(tensor.shape)).astype(np.float32))
    if tensor.dim() > 1:
        return values / math.sqrt(tensor[0].numel()) if "embed" not in name else 0.5 * values
    return 1.0 + 0.1 * values if "norm" in name and name.endswith("weight") else 0.1 * values
