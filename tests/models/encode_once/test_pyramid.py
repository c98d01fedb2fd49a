from __future__ import annotations

import torch

from rs2sam.models.encode_once.pyramid import Pyramid

CHANNELS = (3, 5, 7, 9)


def levels(height: int = 2, width: int = 3, batch: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(batch, height * factor, width * factor, channels, generator=generator)
        for channels, factor in zip(CHANNELS, (8, 4, 2, 1), strict=True)
    ]


@torch.no_grad()
def test_maps_have_one_width_and_the_strides_of_the_levels() -> None:
    maps = Pyramid(CHANNELS, 16)(levels())
    assert [tuple(one.shape) for one in maps] == [(2, 16, 2 * f, 3 * f) for f in (8, 4, 2, 1)]


@torch.no_grad()
def test_what_is_coarse_reaches_all_and_what_is_fine_only_the_finer() -> None:
    pyramid, given = Pyramid(CHANNELS, 16), levels()
    before = pyramid(given)
    for changed in range(4):
        after = pyramid([level + 1.0 if index == changed else level for index, level in enumerate(given)])
        differs = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        assert differs == [index <= changed for index in range(4)]
