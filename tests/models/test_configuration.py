"""Sizes: presets, what is derived, what is refused."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from rs2sam.errors import InvalidInputError
from rs2sam.models.configuration import PRESETS, RS2SamConfig


@pytest.mark.parametrize("name", PRESETS)
def test_preset_survives_saving_and_loading(name: Any, tmp_path: Path) -> None:
    config = RS2SamConfig.preset(name)
    config.save_pretrained(tmp_path)
    loaded = RS2SamConfig.from_pretrained(tmp_path)
    assert loaded.to_dict() == config.to_dict()
    assert isinstance(loaded.trunk_widths, tuple)


def test_presets_differ_from_the_defaults_only_in_fields_that_exist() -> None:
    fields = set(RS2SamConfig().to_dict())
    for name, changes in PRESETS.items():
        assert set(changes) <= fields, name


def test_large_has_the_published_sizes() -> None:
    config = RS2SamConfig.preset("large")
    assert (config.image_size, config.union_image_size, config.vocab_size) == (1024, 224, 64010)
    assert (config.trunk_blocks, config.trunk_widths) == ((2, 6, 36, 4), (144, 288, 576, 1152))
    assert config.text_pad_id == 3
    assert not config.has_presence


def test_derived_sizes() -> None:
    config = RS2SamConfig.preset("hiera-compact")
    assert (config.union_grid, config.low_res_size, config.max_text_tokens) == (16, 128, 1022)
    assert config.image_side_multiple == 32
    assert RS2SamConfig.preset("hiera-compact", trunk_windows=(16, 4, 16, 8)).image_side_multiple == 64


def test_parts_get_their_sizes_from_the_one_configuration() -> None:
    config = RS2SamConfig.preset("hiera-compact")
    assert config.trunk_config().embed_dim_per_stage == [48, 96, 192, 256]
    assert config.neck_config().backbone_channel_list == [256, 192, 96, 48]
    assert config.mask_decoder_config().hidden_size == config.prompt_config().hidden_size == config.decoder_width
    assert not config.mask_decoder_config().dynamic_multimask_via_stability


def test_every_field_is_documented() -> None:
    described = set(re.findall(r"^\s+(\w+): ", inspect.getdoc(RS2SamConfig) or "", flags=re.MULTILINE))
    fields = {name for name in RS2SamConfig.__annotations__ if name not in ("model_type",)}
    assert fields <= described


def test_unknown_preset_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="large, hiera-compact, tiny; got 'huge'"):
        RS2SamConfig.preset("huge")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 500}, "multiple of 32.*got 500"),
        ({"union_image_size": 100}, "multiple of 16; got 100"),
        ({"trunk_widths": (48, 96, 192)}, "four stages.*3"),
        ({"trunk_widths": (40, 96, 192, 256)}, "adapter_heads.*width 40"),
        ({"trunk_heads": (5, 2, 4, 8)}, "width 48 with 5 heads"),
        ({"trunk_global_blocks": (5, 10)}, r"below 10 blocks; got \(5, 10\)"),
        ({"union_heads": 3}, "union_heads.*3.*got 256"),
        ({"decoder_width": 72}, "decoder_heads.*got 72"),
        ({"text_update_rate": 1.5}, r"\[0, 1\]; got 1.5"),
        ({"max_text_positions": 2}, "exceed 2; got 2"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        RS2SamConfig.preset("hiera-compact", **change)
