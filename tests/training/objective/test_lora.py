"""Low-rank changes: nothing at first, the only thing of the union encoder that trains, gone when saved."""

from __future__ import annotations

import sys

import pytest
import torch

from rs2sam.errors import MissingDependencyError
from rs2sam.models import RS2SamModel
from rs2sam.training.objective.groups import parameter_groups
from rs2sam.training.objective.lora import SCALE, add_lora, low_rank_factors, merged, plain_model
from tests.models.weights.published import model_inputs, tiny_model


def with_changes(rank: int = 3) -> RS2SamModel:
    """A model whose low-rank changes do something."""
    model = tiny_model()
    add_lora(model, rank)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for factor in low_rank_factors(model):
            for parameter in factor.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.eval()


def logits(model: RS2SamModel) -> torch.Tensor:
    with torch.no_grad():
        return model(**model_inputs(model.config)).low_res_logits


def test_changes_are_nothing_until_they_are_trained():
    plain, changed = tiny_model(), tiny_model()
    add_lora(changed, 4)
    assert torch.equal(logits(plain), logits(changed.eval()))


def test_merged_model_equals_the_one_with_changes():
    changed = with_changes()
    plain = plain_model(changed.config, changed.state_dict())
    assert set(plain.state_dict()) == set(tiny_model().state_dict())
    assert not low_rank_factors(plain)
    assert not torch.allclose(logits(tiny_model()), logits(plain), atol=1e-3)
    torch.testing.assert_close(logits(plain), logits(changed), rtol=1e-4, atol=1e-4)


def test_merged_weight_by_hand():
    state = {
        "layer.base_layer.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        "layer.base_layer.bias": torch.tensor([5.0, 6.0]),
        "layer.lora_A.default.weight": torch.tensor([[1.0, 10.0]]),
        "layer.lora_B.default.weight": torch.tensor([[1.0], [2.0]]),
        "other.weight": torch.tensor([7.0]),
    }
    found = merged(state)
    assert SCALE == 2.0
    assert set(found) == {"layer.weight", "layer.bias", "other.weight"}
    assert found["layer.weight"].tolist() == [[3.0, 22.0], [7.0, 44.0]]
    assert found["layer.bias"].tolist() == [5.0, 6.0]


def test_scale_is_that_of_peft():
    layer = with_changes().union_encoder.layers[0].image.q_proj
    assert layer.scaling == {"default": SCALE}


def test_of_the_union_encoder_only_the_factors_train():
    model = with_changes()
    groups = parameter_groups(model, freeze_trunk=False)
    factors = {id(p) for factor in low_rank_factors(model) for p in factor.parameters()}
    union = {id(p) for p in model.union_encoder.parameters()}
    assert {id(p) for p in groups.new} >= factors
    assert {id(p) for p in groups.frozen} == union - factors
    together = [id(p) for p in (*groups.new, *groups.pretrained, *groups.frozen)]
    assert sorted(together) == sorted(id(p) for p in model.parameters())


def test_every_linear_layer_of_an_expert_changes():
    layers = with_changes().union_encoder.layers
    changed = {name.rpartition(".")[0] for name, _ in layers[0].named_modules() if name.endswith("lora_A")}
    experts = {f"{who}.{name}" for who in ("image", "text") for name in ("q_proj", "k_proj", "v_proj", "o_proj")}
    assert changed == experts | {f"{who}.{name}" for who in ("image", "text") for name in ("fc1", "fc2")}


def test_missing_peft_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'rs2sam\[train\]'"):
        add_lora(tiny_model(), 2)
