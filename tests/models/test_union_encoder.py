"""The union encoder: experts by modality, positions, padding."""

from __future__ import annotations

import torch
from torch import Tensor

from rs2sam.models.union_encoder import UnionEncoder, UnionFeatures
from tests.models.sizes import small_inputs, small_model


def _encode(encoder: UnionEncoder, ids: Tensor, padding: Tensor | None = None) -> UnionFeatures:
    mask = torch.zeros_like(ids, dtype=torch.bool) if padding is None else padding
    with torch.no_grad():
        return encoder(small_inputs()["union_pixel_values"], ids, mask)


def test_shapes() -> None:
    union = _encode(small_model().union_encoder, small_inputs()["input_ids"])
    assert (union.cls.shape, union.patches.shape, union.text.shape) == ((2, 1, 64), (2, 16, 64), (2, 7, 64))


def test_padded_tokens_change_nothing_else() -> None:
    encoder, ids = small_model().union_encoder, small_inputs()["input_ids"]
    longer = torch.cat([ids, torch.full((2, 3), 77)], dim=1)
    padding = torch.arange(10).expand(2, -1) >= 7
    short, padded = _encode(encoder, ids), _encode(encoder, longer, padding)
    torch.testing.assert_close(padded.cls, short.cls)
    torch.testing.assert_close(padded.patches, short.patches)
    torch.testing.assert_close(padded.text[:, :7], short.text)


def test_image_and_sentence_see_each_other() -> None:
    encoder, ids = small_model().union_encoder, small_inputs()["input_ids"]
    other_ids = ids.clone()
    other_ids[:, 3] = 9
    assert not torch.allclose(_encode(encoder, ids).patches, _encode(encoder, other_ids).patches, atol=1e-4)


@torch.no_grad()
def test_positions_start_at_the_third_row_of_each_table() -> None:
    encoder = small_model().union_encoder
    ids = torch.tensor([[5, 5]])
    text = encoder.embed_text(ids, torch.zeros_like(ids, dtype=torch.bool))
    expected = encoder.token_embedding.weight[5] + encoder.text_positions.weight[2:4]
    torch.testing.assert_close(text[0], expected)
    image = encoder.embed_image(torch.zeros(1, 3, 64, 64))
    torch.testing.assert_close(image[0, 0], encoder.cls_token[0, 0] + encoder.image_positions.weight[2])
    assert encoder.image_positions.weight.shape[0] == 16 + 1 + 2


@torch.no_grad()
def test_padded_embeddings_are_zero() -> None:
    encoder = small_model().union_encoder
    text = encoder.embed_text(torch.tensor([[5, 6]]), torch.tensor([[False, True]]))
    assert float(text[0, 1].abs().sum()) == 0.0
    assert float(text[0, 0].abs().sum()) > 0.0
