"""Configurations of hostile folders: every field has a type, a range and one clear error."""

from __future__ import annotations

import inspect
import json
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from rs2sam.errors import InvalidInputError
from rs2sam.models.configuration import PRESETS, RS2SamConfig
from rs2sam.models.encode_once.configuration import EncodeOnceConfig

FOR_ALL: tuple[dict[str, Any], ...] = (
    {"union_layers": 1_000_000},
    {"image_size": 50_000},
    {"_attn_implementation": "org/kernel"},
    {"attn_implementation": "org/kernel"},
    {"_attn_implementation": ["eager"]},
    {"dtype": "float99"},
    {"id2label": 4},
    {"num_labels": "z"},
    {"fusion": ["linear"]},
    {"fusion": {}},
    {"has_presence": 1},
)
CONFIGURATIONS: tuple[Any, ...] = (RS2SamConfig, EncodeOnceConfig)
NUMBERS = [
    (kind, name)
    for kind in CONFIGURATIONS
    for name, hint in inspect.get_annotations(kind, eval_str=True).items()
    if hint in (int, float)
]


@pytest.mark.parametrize(("kind", "name"), NUMBERS)
@pytest.mark.parametrize("value", ["256", None, [1], {}, True, 10**30, -(10**6), float("nan"), float("inf")])
def test_number_of_another_type_or_out_of_range_is_refused_by_name(kind: Any, name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=f"`{name}`"):
        kind.preset("tiny", **{name: value})


@pytest.mark.parametrize("value", [1, "yes", None, [], 0.0])
@pytest.mark.parametrize("name", ["folded", "has_decoder", "has_presence", "has_known", "has_score"])
def test_switch_of_another_type_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=f"`{name}`"):
        EncodeOnceConfig.preset("tiny", **{name: value})


@pytest.mark.parametrize(
    "name", ["trunk_widths", "trunk_heads", "trunk_blocks", "trunk_windows", "trunk_global_blocks"]
)
@pytest.mark.parametrize("value", [4, "1234", None, ["8", 4, 8, 4], [0.5, 1, 1, 1], [10**9] * 4, [1] * 10**5])
def test_list_of_another_type_or_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=f"`{name}"):
        RS2SamConfig.preset("tiny", **{name: value})


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *((kind, change) for kind in CONFIGURATIONS for change in FOR_ALL),
        (RS2SamConfig, {"trunk_fusion": 1}),
        (RS2SamConfig, {"mask_fusion_padding": "yes"}),
    ],
)
def test_config_file_that_cannot_be_a_model_is_one_error_at_once(
    tmp_path: Path, kind: Any, change: dict[str, Any]
) -> None:
    values = {**kind.preset("tiny").to_dict(), **change}
    (tmp_path / "config.json").write_text(json.dumps(values))
    start = time.process_time()
    with pytest.raises(InvalidInputError):
        kind.from_pretrained(tmp_path)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("name", PRESETS)
def test_presets_come_back_from_json_the_same(tmp_path: Path, name: Any) -> None:
    config = RS2SamConfig.preset(name)
    config.save_pretrained(tmp_path)
    assert RS2SamConfig.from_pretrained(tmp_path).to_dict() == config.to_dict()


def test_attention_of_known_names_is_taken() -> None:
    assert RS2SamConfig.preset("tiny", attn_implementation="eager")._attn_implementation == "eager"
