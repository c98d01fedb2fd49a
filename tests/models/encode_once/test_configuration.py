from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from rs2sam.errors import InvalidInputError
from rs2sam.models.encode_once.configuration import ENCODE_ONCE_PRESETS, EncodeOnceConfig


@pytest.mark.parametrize("name", ENCODE_ONCE_PRESETS)
def test_preset_survives_saving_and_loading(name: Any, tmp_path: Path) -> None:
    config = EncodeOnceConfig.preset(name)
    config.save_pretrained(tmp_path)
    assert EncodeOnceConfig.from_pretrained(tmp_path).to_dict() == config.to_dict()


def test_every_field_is_documented() -> None:
    described = set(re.findall(r"^\s+(\w+): ", inspect.getdoc(EncodeOnceConfig) or "", flags=re.MULTILINE))
    assert set(EncodeOnceConfig.__annotations__) - {"model_type"} <= described


def test_unknown_preset_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="compact, tiny; got 'huge'"):
        EncodeOnceConfig.preset("huge")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 500}, "multiple of 32; got 500"),
        ({"union_heads": 3}, "union_heads.*3.*got 256"),
        ({"decoder_width": 100}, "decoder_heads.*4.*got 100"),
        ({"adapter_heads": 5}, "adapter_heads.*5.*got 48"),
        ({"text_update_rate": 1.5}, r"\[0, 1\]; got 1.5"),
        ({"max_text_positions": 2}, "exceed 2; got 2"),
        ({"fusion": "none"}, "bidirectional, one-directional or linear; got 'none'"),
        ({"has_decoder": False}, "`has_score` must be False where `has_decoder` is"),
        ({"has_decoder": None, "has_score": False}, "`has_decoder` must be bool, received None"),
        ({"folded": 1}, "`folded` must be bool, received 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        EncodeOnceConfig.preset("compact", **change)
