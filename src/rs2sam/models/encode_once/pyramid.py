"""The light pyramid behind the trunk: four maps of one width, coarse to fine, none of which knows a sentence.

I pictures, H W cells of a map, C width.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from rs2sam.models.encode_once.efficientnet import Conv1x1, depthwise_convolution

NORM_GROUPS = 8


class Depthwise3x3(nn.Conv2d):
    """A 3 x 3 convolution of every channel alone, by `depthwise_convolution`.

    Args:
        width: channels C in and out.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, width, 3, padding=1, groups=width, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """(I, C, H, W) to (I, C, H, W)."""
        return depthwise_convolution(input, self.weight, None, padding=1)


class SeparableConv(nn.Module):
    """A depthwise 3 x 3 convolution, a 1 x 1 convolution, a group norm and ReLU.

    Args:
        width: channels C in and out.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = Depthwise3x3(width)
        self.pointwise = Conv1x1(width, width, bias=False)
        self.norm = nn.GroupNorm(NORM_GROUPS, width)

    def forward(self, inputs: Tensor) -> Tensor:
        """(I, C, H, W) to (I, C, H, W)."""
        return F.relu(self.norm(self.pointwise(self.depthwise(inputs))))


class Pyramid(nn.Module):
    """Sums of a level and what is coarser, from 1/32 to 1/4; the mean over the picture joins at 1/32.

    Args:
        level_channels: channels of the trunk's maps, finest first.
        width: channels C of the pyramid's.
    """

    def __init__(self, level_channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(Conv1x1(channels, width) for channels in level_channels)
        self.whole = Conv1x1(level_channels[-1], width)
        self.smooth = nn.ModuleList(SeparableConv(width) for _ in level_channels)
        self.extra = SeparableConv(width)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Make the maps.

        Args:
            levels: four maps (I, H, W, d) of the trunk, strides 4, 8, 16, 32.

        Returns:
            Four maps (I, C, H, W) at the same strides.
        """
        *finer, coarsest = (level.permute(0, 3, 1, 2) for level in levels)
        mean = coarsest.mean((2, 3), keepdim=True)  # (I, d, 1, 1)
        current = self.smooth[-1](self.lateral[-1](coarsest) + self.whole(mean))
        maps = [current]
        for index in reversed(range(len(finer))):
            lateral = self.lateral[index](finer[index])  # (I, C, H, W)
            current = self.smooth[index](lateral + enlarged(current, lateral))
            if index == 0:
                current = self.extra(current)
            maps.append(current)
        return maps[::-1]


def enlarged(coarse: Tensor, like: Tensor) -> Tensor:
    """A map (I, C, h, w) at the sides (H, W) of another one."""
    # By sides, not by a factor: a program of free sides knows that sides are equal, and not that twice one is another.
    return F.interpolate(coarse, size=like.shape[2:], mode="bilinear")
