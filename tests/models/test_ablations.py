"""The switches of the paper's ablations: what each leaves of the model, and that the rest still works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import Sam2Config, Sam2Model

from rs2sam.errors import InvalidInputError
from rs2sam.models.configuration import RS2SamConfig
from rs2sam.models.rs2sam import RS2SamModel
from rs2sam.models.weights.pretrained import initialize_from_sam2
from rs2sam.training.objective.groups import freeze, new_modules, parameter_groups
from rs2sam.training.objective.losses import rs2sam_loss
from rs2sam.training.recipes.loss_settings import LossSettings
from tests.models.sizes import small_config, small_inputs, small_model
from tests.models.weights.published import published_state, tiny_model
from tests.models.weights.test_pretrained import hub_config, sam2_state

Changes = dict[str, Any]

SWITCHES: dict[str, Changes] = {
    "full": {},
    "one-directional": {"fusion": "one-directional"},
    "linear": {"fusion": "linear"},
    "no-fusion-layer": {"fusion": "none"},
    "no-trunk-fusion": {"trunk_fusion": False},
    "no-decoder-fusion": {"decoder_fusion": False},
    "plain-prompt": {"mask_prompt": "plain"},
    "no-prompt": {"mask_prompt": "none"},
    "baseline": {"trunk_fusion": False, "decoder_fusion": False, "mask_prompt": "none"},
}
every_switch = pytest.mark.parametrize("changes", SWITCHES.values(), ids=SWITCHES)

# Width d of every block of the small model, h = d / 4, text of width C, union width D.
WIDTHS = (16, 32, 32, 64, 64, 64, 64, 128, 128)
C, D = 64, 64


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def attention(width: int) -> int:
    return 4 * linear(width, width)


def names(model: RS2SamModel) -> set[str]:
    return {name for name, _ in model.named_parameters()}


def count(model: RS2SamModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def logits(model: RS2SamModel, inputs: dict[str, Tensor]) -> Tensor:
    return model(**inputs).low_res_logits


def differ(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() > 1e-6 * one.abs().max())


@every_switch
def test_outputs_keep_their_shapes_and_a_batch_equals_its_samples(changes: Changes) -> None:
    model, inputs = small_model(**changes), small_inputs()
    inputs["attention_mask"][1, 4:] = 0
    with torch.no_grad():
        output = model(**inputs)
    assert output.mask_logits.shape == (2, 1, 64, 64)
    assert output.low_res_logits.shape == (2, 1, 16, 16)
    assert output.sentence_weight.shape == output.presence_logits.shape == output.iou_scores.shape == (2,)
    if changes.get("mask_prompt") == "none":
        assert output.pseudo_mask is None
    else:
        assert output.pseudo_mask.shape == (2, 1, 4, 4)
    for index in range(2):
        alone = logits(model, {name: value[index : index + 1] for name, value in inputs.items()})
        torch.testing.assert_close(alone, output.low_res_logits[index : index + 1], rtol=1e-4, atol=1e-5)


def test_the_default_is_the_full_model() -> None:
    written_out = small_config(
        fusion="bidirectional", trunk_fusion=True, decoder_fusion=True, mask_prompt="cls-attention"
    )
    assert written_out.to_dict() == small_config().to_dict()


def test_switches_remove_the_weights_that_nothing_uses() -> None:
    full = count(small_model())
    hidden = [width // 4 for width in WIDTHS]
    bottleneck = sum(linear(d, h) + linear(h, d) for d, h in zip(WIDTHS, hidden, strict=True))
    text_to_image = sum(linear(C, h) + attention(h) for h in hidden)
    image_to_text = sum(attention(h) + linear(h, C) for h in hidden[:-1])  # not in the last block
    decoder, cls_attention = attention(C), attention(D)
    mask_head = linear(D, D) + linear(D, 1)
    removed = {
        "one-directional": image_to_text,
        "linear": image_to_text + text_to_image,
        "no-fusion-layer": image_to_text + text_to_image + bottleneck,
        "no-trunk-fusion": image_to_text + text_to_image + 2 * bottleneck,  # the MLP adapters too
        "no-decoder-fusion": decoder,
        "plain-prompt": cls_attention,
        "full": 0,
    }
    for name, expected in removed.items():
        assert full - count(small_model(**SWITCHES[name])) == expected, name
    embed = sum(value.numel() for value in small_model().mask_embed.parameters())
    no_prompt = cls_attention + mask_head + embed - C  # and the embedding of an absent mask comes in
    assert full - count(small_model(**SWITCHES["no-prompt"])) == no_prompt
    everything = removed["no-trunk-fusion"] + decoder + no_prompt
    assert full - count(small_model(**SWITCHES["baseline"])) == everything


def test_large_counts_of_every_switch() -> None:
    with torch.device("meta"):
        counts = {name: count(RS2SamModel(RS2SamConfig.preset("large", **SWITCHES[name]))) for name in SWITCHES}
    new = 35_436_841  # what the paper adds to SAM 2 and BEiT-3, tests/training/objective/test_groups.py
    prompt_embedding = counts["no-trunk-fusion"] + counts["no-decoder-fusion"] + counts["no-prompt"]
    # Taking out each part, and all at once, removes the same weights.
    assert counts["full"] - counts["baseline"] == 3 * counts["full"] - prompt_embedding
    removed = counts["full"] - counts["baseline"]
    mask_downscaling = 4_684  # SAM 2's, which the baseline does not use, less the 256 of its absent mask
    assert removed == new + mask_downscaling - 256


@every_switch
def test_what_is_left_is_what_the_full_model_has(changes: Changes) -> None:
    added = {"no_mask_embedding"} if changes.get("mask_prompt") == "none" else set()
    assert names(small_model(**changes)) - names(small_model()) == added


@every_switch
@pytest.mark.parametrize("freeze_trunk", [True, False])
def test_gradient_reaches_every_trainable_parameter(changes: Changes, freeze_trunk: bool) -> None:
    model = small_model(**changes).train()
    freeze(parameter_groups(model, freeze_trunk))
    loss = LossSettings(presence=0.1, score=0.1)  # the published boundary term trains the sentence's weight
    target = torch.zeros(2, 64, 64)
    target[:, 8:40, 16:48] = 1
    rs2sam_loss(model(**small_inputs()), target, loss).total.backward()
    missing = {name for name, value in model.named_parameters() if value.requires_grad and value.grad is None}
    # Mask token 0 is always the answer, so the other tokens' hypernetworks learn nothing.
    assert {name.split(".")[1] for name in missing} <= {"output_hypernetworks_mlps"}
    silent = {name for name, value in model.named_parameters() if value.grad is not None and not value.grad.any()}
    # Softmax does not see what all keys share; the score's error is capped where the head says 0.5 exactly.
    assert not {name for name in silent if "bias" not in name and "mask_decoder" not in name}


@every_switch
def test_groups_partition_the_parameters(changes: Changes) -> None:
    model = small_model(**changes)
    groups = parameter_groups(model)
    together = [id(parameter) for parameter in (*groups.new, *groups.pretrained, *groups.frozen)]
    assert sorted(together) == sorted(id(parameter) for parameter in model.parameters())
    assert len(groups.new) == sum(len(list(module.parameters())) for module in new_modules(model))


@every_switch
def test_text_reaches_the_mask_by_the_ways_that_are_left(changes: Changes) -> None:
    model = small_model(**changes)
    inputs, other = small_inputs(), small_inputs(seed=1)
    text, changed = (torch.randn(2, 7, C, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    by_trunk = changes.get("trunk_fusion", True) and changes.get("fusion") not in ("linear", "none")
    by_decoder = changes.get("decoder_fusion", True)
    with torch.no_grad():
        levels = model.encode_image(inputs["pixel_values"], text, None)
        moved = model.encode_image(inputs["pixel_values"], changed, None)
        assert differ(levels.image_embedding, moved.image_embedding) == by_trunk
        prompt, pseudo = torch.zeros(2, 1, C), None if model.mask_prompt is None else torch.zeros(2, 1, 4, 4)
        decoded = model.decode(levels, text, None, prompt, pseudo)
        redecoded = model.decode(levels, changed, None, prompt, pseudo)
        assert differ(decoded.low_res_logits, redecoded.low_res_logits) == by_decoder
        union = model.encode_union(inputs["union_pixel_values"], inputs["input_ids"], torch.zeros(2, 7, dtype=bool))
        reunion = model.encode_union(inputs["union_pixel_values"], other["input_ids"], torch.zeros(2, 7, dtype=bool))
        if model.mask_prompt is not None:
            first, second = (model.mask_prompt(seen.cls, seen.patches) for seen in (union, reunion))
            assert differ(first, second)
    # The sentence prompt comes from the union encoder, so even the baseline is told what to find.
    assert differ(logits(model, inputs), logits(model, {**inputs, "input_ids": other["input_ids"]}))


@torch.no_grad()
def test_one_directional_fusion_leaves_the_text_as_it_was() -> None:
    block = small_model(fusion="one-directional").trunk.blocks[0]
    image, text = torch.randn(1, 16, 16, 16), torch.randn(1, 5, C)
    out, out_text = block(image, text, None)
    assert torch.equal(out_text, text)
    assert differ(out, block(image, text + 1.0, None)[0])


@torch.no_grad()
def test_linear_fusion_is_the_bottleneck_alone() -> None:
    fusion = small_model(fusion="linear").trunk.blocks[0].fusion
    image, text = torch.randn(1, 10, 16), torch.randn(1, 5, C)
    out, out_text = fusion(image, text, None)
    torch.testing.assert_close(out, fusion.up(torch.nn.functional.gelu(fusion.down(image))))
    assert torch.equal(out_text, text)


@torch.no_grad()
def test_without_trunk_fusion_a_block_is_sam2s_own() -> None:
    from transformers.models.sam2.modeling_sam2 import Sam2MultiScaleBlock

    block = small_model(trunk_fusion=False).trunk.blocks[0]
    own = Sam2MultiScaleBlock(small_config().trunk_config(), stage_idx=0, block_idx=0, total_block_idx=0).eval()
    own.load_state_dict(block.state_dict())
    image = torch.randn(1, 16, 16, 16)
    torch.testing.assert_close(block(image, torch.randn(1, 5, C), None)[0], own(image))


@torch.no_grad()
def test_plain_prompt_takes_the_summary_token_as_it_is() -> None:
    prompt = small_model(mask_prompt="plain").mask_prompt
    cls, patches = torch.randn(2, 1, D), torch.randn(2, 16, D)
    expected = prompt.mask_product(patches * prompt.mask_linear(cls)).sigmoid().reshape(2, 1, 4, 4)
    torch.testing.assert_close(prompt(cls, patches), expected)


@torch.no_grad()
def test_without_prompt_every_cell_gets_the_absent_masks_embedding() -> None:
    model = small_model(mask_prompt="none")
    dense = model.embed_mask_prompt(None, 2, 3)
    assert dense.shape == (1, C, 2, 3)
    assert torch.equal(dense[0, :, 1, 2], model.no_mask_embedding[0])


@every_switch
def test_saved_and_loaded_model_is_the_same(changes: Changes, tmp_path: Path) -> None:
    model = small_model(**changes)
    model.save_pretrained(tmp_path)
    loaded, report = RS2SamModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    assert all(getattr(loaded.config, name) == value for name, value in changes.items())
    assert torch.equal(logits(loaded, small_inputs()), logits(model, small_inputs()))


def test_a_configuration_from_before_the_switches_is_the_full_model(tmp_path: Path) -> None:
    config = small_config()
    values = config.to_dict()
    for name in ("fusion", "trunk_fusion", "decoder_fusion", "mask_prompt"):
        del values[name]
    assert RS2SamConfig.from_dict(values).to_dict() == config.to_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fusion": "both"}, "`fusion` is one of bidirectional, one-directional, linear, none; got 'both'"),
        ({"fusion": None}, "`fusion` is one of .*got None"),
        ({"mask_prompt": "cls"}, "`mask_prompt` is one of cls-attention, plain, none; got 'cls'"),
        ({"trunk_fusion": "no"}, "`trunk_fusion` is true or false; got 'no'"),
        ({"decoder_fusion": 0}, "`decoder_fusion` is true or false; got 0"),
        ({"trunk_fusion": False, "fusion": "linear"}, "'linear'.*`trunk_fusion` false removes them"),
    ],
)
def test_switches_that_mean_nothing_are_refused(change: Changes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        RS2SamConfig.preset("tiny", **change)


@pytest.mark.parametrize("source", ["meta", "hub"])
def test_sam2_gives_the_absent_masks_embedding_to_a_model_without_prompt(source: str, tmp_path: Path) -> None:
    model = RS2SamModel(RS2SamConfig.preset("tiny", **SWITCHES["baseline"]))
    if source == "meta":
        own = published_state(tiny_model())
        state = {name: value for name, value in sam2_state(own).items() if "no_mask_embed" not in name}
        wanted = torch.randn(1, 256)
        torch.save({**state, "sam_prompt_encoder.no_mask_embed.weight": wanted}, tmp_path / "sam2.pt")
        report = initialize_from_sam2(model, tmp_path / "sam2.pt")
    else:
        sam2 = Sam2Model(Sam2Config(**hub_config(model.config)))
        sam2.save_pretrained(tmp_path)
        wanted = sam2.prompt_encoder.no_mask_embed.weight
        report = initialize_from_sam2(model, tmp_path)
    assert torch.equal(model.no_mask_embedding, wanted)
    assert any("mask_prompt" in reason for reason in report.dropped.values())
    assert {name.partition(".")[0] for name in report.missing} == {
        "union_encoder", "text_projection", "sentence_projection", "sentence_weight",
    }  # fmt: skip


# An export takes ten seconds and more. The baseline is what all switches leave; linear fusion and the plain prompt have
# graphs of their own below, and the others are what is left of the full model, whose graph is compared elsewhere.
EXPORTED = [
    pytest.param({**SWITCHES["baseline"], "has_score": False}, id="baseline"),
    pytest.param(
        {"fusion": "linear", "mask_prompt": "plain", "has_score": False},
        id="linear, plain prompt",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        {"fusion": "one-directional", "mask_prompt": "none"}, id="one-directional, no prompt", marks=pytest.mark.slow
    ),
    pytest.param({"fusion": "none", "decoder_fusion": False}, id="no fusion layer", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("changes", EXPORTED)
def test_onnx_graph_equals_torch(changes: Changes, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    from rs2sam.backends.onnx import OnnxBackend
    from rs2sam.export.onnx_export import export_onnx

    sizes = {"trunk_blocks": (1, 1, 1, 1), "trunk_global_blocks": (2,), "union_layers": 1, "max_text_positions": 32}
    small_model(**sizes, **changes).save_pretrained(tmp_path)
    export_onnx(tmp_path)  # compares every output with torch's
    has_prompt = changes.get("mask_prompt") != "none"
    session = OnnxBackend.from_folder(tmp_path)._session
    assert ("pseudo_mask" in {output.name for output in session.get_outputs()}) == has_prompt


class PlainPrompt(torch.nn.Module):
    """The mask prompt alone, with its output as a tuple."""

    shapes = ((2, 1, D), (2, 16, D))

    def __init__(self) -> None:
        super().__init__()
        self.prompt = small_model(mask_prompt="plain").mask_prompt

    def forward(self, cls: Tensor, patches: Tensor) -> tuple[Tensor, ...]:
        return (self.prompt(cls, patches),)


class LinearFusion(torch.nn.Module):
    """The fusion of a block alone."""

    shapes = ((2, 16, WIDTHS[0]), (2, 5, C))

    def __init__(self) -> None:
        super().__init__()
        self.fusion = small_model(fusion="linear").trunk.blocks[0].fusion

    def forward(self, image: Tensor, text: Tensor) -> tuple[Tensor, ...]:
        out, out_text = self.fusion(image, text, None)
        return out, 1.0 * out_text  # an output that is an input needs a node


@pytest.mark.parametrize("part", [PlainPrompt, LinearFusion])
def test_onnx_graph_of_a_part_equals_torch(part: Any) -> None:
    pytest.importorskip("onnxscript")
    from onnxruntime import InferenceSession

    from rs2sam.export.graphs import TOLERANCE, traced

    module = part()
    inputs = [torch.randn(*shape) for shape in part.shapes]
    with torch.no_grad():
        expected = module(*inputs)
    names = [f"output_{number}" for number in range(len(expected))]
    graph = traced(module, tuple(inputs), ("one", "other"), names, ({}, {}))
    session = InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    ours = session.run(names, {name: one.numpy() for name, one in zip(("one", "other"), inputs, strict=True)})
    for got, wanted in zip(ours, expected, strict=True):
        assert (torch.from_numpy(got) - wanted).norm() <= TOLERANCE * wanted.norm()


@every_switch
def test_padding_does_not_change_the_mask(changes: Changes) -> None:
    model = small_model(**changes)
    inputs = small_inputs(batch=3, length=9)
    padded = {**inputs, "input_ids": torch.cat([inputs["input_ids"], torch.full((3, 2), 9)], dim=1)}
    padded["attention_mask"] = torch.cat([inputs["attention_mask"], torch.zeros(3, 2, dtype=torch.int64)], dim=1)
    torch.testing.assert_close(logits(model, padded), logits(model, inputs), rtol=1e-4, atol=1e-5)
