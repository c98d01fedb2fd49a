"""The mask prompt generator: its equation, its order of patches, its range."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.models.sizes import small_model


def _tokens(count: int) -> Tensor:
    return torch.randn(2, count, 64, generator=torch.Generator().manual_seed(count))


@torch.no_grad()
def test_pseudo_mask_follows_its_equation() -> None:
    prompt, cls, patches = small_model().mask_prompt, _tokens(1), _tokens(16)
    token = prompt.mask_linear(cls * prompt.cls_attention.attention(cls, patches))
    expected = torch.sigmoid(prompt.mask_product(patches * token)).reshape(2, 1, 4, 4)
    torch.testing.assert_close(prompt(cls, patches), expected)


@torch.no_grad()
def test_patches_are_laid_out_row_by_row() -> None:
    prompt, cls, patches = small_model().mask_prompt, _tokens(1), _tokens(16)
    swapped = patches.clone()
    swapped[:, [1, 4]] = patches[:, [4, 1]]
    before, after = prompt(cls, patches), prompt(cls, swapped)
    torch.testing.assert_close(after[..., 0, 1], before[..., 1, 0])
    torch.testing.assert_close(after[..., 1, 0], before[..., 0, 1])


@torch.no_grad()
def test_the_dense_prompt_sees_how_strong_the_pseudo_mask_is() -> None:
    model = small_model()
    weak, strong = (model.embed_mask_prompt(torch.full((1, 1, 4, 4), value), 4, 4) for value in (0.2, 0.8))
    assert float((weak - strong).norm() / strong.norm()) > 0.01
