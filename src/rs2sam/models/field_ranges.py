"""Types and ranges of a model's configuration, so that no file asks for a model that nobody can hold or wait for."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rs2sam.errors import InvalidInputError, words_of
from rs2sam.fields import checked, require, require_within

RANGES: dict[str, tuple[float, float]] = {
    "image_size": (32, 4096),
    "union_image_size": (8, 2048),
    "union_patch_size": (4, 128),
    "vocab_size": (5, 2_000_000),
    "max_text_positions": (0, 65_536),
    "text_layers": (1, 128),
    "union_width": (8, 8192),
    "union_layers": (1, 128),
    "union_heads": (1, 256),
    "union_ffn_width": (1, 65_536),
    "trunk_widths": (8, 8192),
    "trunk_heads": (1, 256),
    "trunk_blocks": (1, 128),
    "trunk_windows": (1, 128),
    "trunk_global_blocks": (0, 512),
    "trunk_position_size": (1, 256),
    "trunk_mlp_ratio": (0.01, 64.0),
    "adapter_ratio": (0.001, 16.0),
    "adapter_heads": (1, 256),
    "adapter_init_std": (0.0, 10.0),
    "mlp_adapter_scale": (-100.0, 100.0),
    "decoder_width": (8, 4096),
    "decoder_heads": (1, 256),
    "decoder_mlp_width": (1, 65_536),
    "mask_prompt_heads": (1, 256),
    "mask_prompt_channels": (4, 1024),
    "text_pad_id": (0, 2_000_000),
    "initializer_gain": (0.0, 100.0),
}
"""Least and greatest value of numbers, and of each in a list."""
_OTHERS = (-65_536, 65_536)  # of numbers without a line of their own
_LONGEST_LIST = 512
ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
"""Implementations of attention by name; any other text would have transformers fetch code from the hub."""


def check_ranges(config: Any, hints: Mapping[str, Any]) -> None:
    """Check every field of a configuration, and turn JSON's lists into tuples.

    Args:
        config: has the fields as attributes; changed in place.
        hints: field -> annotation.

    Raises:
        InvalidInputError: a value has another type or is out of range.
    """
    for name, hint in hints.items():
        if name == "model_type" or typing.get_origin(hint) is typing.Literal:
            continue
        value = checked(name, getattr(config, name), hint)
        setattr(config, name, value)
        numbers = value if isinstance(value, tuple) else (value,)
        require(name, numbers, len(numbers) <= _LONGEST_LIST, f"a list of at most {_LONGEST_LIST} values")
        for number in numbers:
            if isinstance(number, (int, float)) and not isinstance(number, bool):
                require_within(name, number, *RANGES.get(name, _OTHERS))


def check_attention(name: object) -> None:
    """Raise InvalidInputError unless an implementation of attention is one of those known by name, or none is named."""
    if name is not None and name not in ATTENTION:
        raise InvalidInputError(
            f"Configuration: `_attn_implementation` is one of {', '.join(ATTENTION)}; got {name!r}. Code from the hub "
            "is not fetched: remove the entry from config.json."
        )


@contextmanager
def entries_of_transformers() -> Iterator[None]:
    """Turn what transformers raises over entries that it reads itself (`dtype`, ...) into an error of ours."""
    try:
        yield
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise InvalidInputError(
            f"Configuration: an entry that every model of transformers has is wrong ({words_of(error)}). Remove it."
        ) from error
