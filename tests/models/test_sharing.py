"""Sentences about one picture: the same answers as with the picture repeated, and what lies before the text once."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from rs2sam.errors import InvalidInputError
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.sharing import one_per_sentence
from rs2sam.models.staged import StagedModel
from tests.models.sizes import small_inputs, small_model

IMAGES = ("pixel_values", "union_pixel_values")


def shared_and_repeated(pictures: int, sentences: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Inputs of a few pictures, and the same with one picture for each sentence."""
    shared = small_inputs(sentences) | {name: small_inputs(pictures)[name] for name in IMAGES}
    each = sentences // pictures
    return shared, shared | {
        name: torch.cat([one[None] for one in shared[name] for _ in range(each)]) for name in IMAGES
    }


def test_rows_of_pictures_become_rows_of_sentences() -> None:
    assert one_per_sentence(torch.tensor([[1], [2]]), 6).tolist() == [[1], [1], [1], [2], [2], [2]]
    rows = torch.zeros(2, 1)
    assert one_per_sentence(rows, 2) is rows


@torch.no_grad()
@pytest.mark.parametrize(("pictures", "sentences"), [(1, 3), (2, 4)])
@pytest.mark.parametrize("changes", [{}, {"fusion": "linear"}, {"fusion": "none"}, {"trunk_fusion": False}])
def test_shared_pictures_give_the_answers_of_repeated_ones(
    pictures: int, sentences: int, changes: dict[str, object]
) -> None:
    model = small_model(**changes)
    shared, repeated = shared_and_repeated(pictures, sentences)
    found, expected = model(**shared), model(**repeated)
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-4, atol=1e-5, msg=name)
    assert torch.equal(found.mask_logits > 0.5, expected.mask_logits > 0.5)
    logits, *_ = StagedModel(model)(**shared)
    torch.testing.assert_close(logits, found.low_res_logits, rtol=0, atol=0)


def rows_seen(model: RS2SamModel, inputs: dict[str, Tensor], **parts: nn.Module) -> Counter[str]:
    """How many rows each part is given during one forward."""
    seen: Counter[str] = Counter()
    handles = [
        part.register_forward_hook(lambda _, args, __, name=name: seen.update({name: len(args[0])}))
        for name, part in parts.items()
    ]
    with torch.no_grad():
        model(**inputs)
    for handle in handles:
        handle.remove()
    return seen


def test_what_lies_before_the_text_sees_each_picture_once() -> None:
    model = small_model()
    union, trunk = model.union_encoder, model.trunk
    inputs, _ = shared_and_repeated(pictures=2, sentences=6)
    seen = rows_seen(
        model,
        inputs,
        union_patches=union.patch_embedding,
        union_queries=union.layers[0].image.q_proj,
        union_output=union.layers[0].image.o_proj,
        patches=trunk.patch_embed,
        norm=trunk.blocks[0].layer_norm1,
        fusion=trunk.blocks[0].fusion.down,
        text_to_image=trunk.blocks[0].fusion.text_to_image,
        second_norm=trunk.blocks[0].layer_norm2,
        next_block=trunk.blocks[1].layer_norm1,
    )
    once = {"union_patches": 2, "union_queries": 2, "patches": 2, "norm": 2, "fusion": 2}
    for_each = {"union_output": 6, "text_to_image": 6, "second_norm": 6, "next_block": 6}
    assert seen == once | for_each


def test_gradients_are_those_of_repeated_pictures() -> None:
    shared, repeated = shared_and_repeated(pictures=2, sentences=4)
    gradients = []
    for inputs, checkpointing in ((shared, False), (repeated, False), (shared, True)):
        model = small_model()
        if checkpointing:
            enable = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)
            enable()
            model.train()
        model(**inputs).low_res_logits.square().mean().backward()
        gradients.append({name: one.grad for name, one in model.named_parameters() if one.grad is not None})
    for ours in (gradients[0], gradients[2]):
        assert ours.keys() == gradients[1].keys()
        for name, expected in gradients[1].items():
            torch.testing.assert_close(ours[name], expected, rtol=1e-3, atol=1e-6, msg=name)


def test_sentences_that_are_no_multiple_of_the_pictures_are_refused() -> None:
    inputs = small_inputs(3) | {name: small_inputs(2)[name] for name in IMAGES}
    with pytest.raises(InvalidInputError, match=r"multiple of the number of pictures.*2 pictures and 3 sentences"):
        small_model()(**inputs)
