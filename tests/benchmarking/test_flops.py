from __future__ import annotations

import pytest

from rs2sam.benchmarking.flops import count_flops

torch = pytest.importorskip("torch")


def by_torch(config, num_tokens):
    """Operations of each stage by torch's own counter, on tensors without contents."""
    from torch.utils.flop_counter import FlopCounterMode

    from rs2sam.models import RS2SamModel
    from rs2sam.models.staged import StagedModel

    found = {}

    def counted(name, call):
        with FlopCounterMode(display=False) as counter:
            result = call()
        found[name] = counter.get_total_flops()
        return result

    with torch.device("meta"), torch.no_grad():
        model = RS2SamModel(config).eval()
        model.set_attn_implementation("eager")
        staged = StagedModel(model)
        ids = torch.zeros(1, num_tokens, dtype=torch.long)
        side, union_side = config.image_size, config.union_image_size
        prompts = counted("union", lambda: staged.union(torch.empty(1, 3, union_side, union_side), ids, ids + 1))
        levels = counted("trunk", lambda: staged.image(torch.empty(1, 3, side, side), prompts))
        counted("decoder", lambda: staged.decode(levels, prompts))
    return found


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("tiny", {}),
        ("tiny", {"fusion": "linear", "decoder_fusion": False}),
        ("tiny", {"trunk_fusion": False, "mask_prompt": "none"}),
        ("hiera-compact", {}),
        ("large", {}),
    ],
)
def test_operations_are_those_that_torch_counts(preset, changes):
    from rs2sam.models import RS2SamConfig

    config = RS2SamConfig.preset(preset, **changes)
    ours = count_flops(config.to_dict(), 12)
    for name, expected in by_torch(config, 12).items():
        assert ours[name] == pytest.approx(expected, rel=0.01), name


def test_the_total_is_the_sum_of_the_stages():
    from rs2sam.models import RS2SamConfig

    flops = count_flops(RS2SamConfig.preset("large").to_dict(), 20)
    assert flops["total"] == flops["union"] + flops["trunk"] + flops["decoder"]
    assert flops["total"] == pytest.approx(2.13e12, rel=0.01)
