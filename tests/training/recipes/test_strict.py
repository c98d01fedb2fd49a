"""YAML's values into dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from rs2sam.errors import InvalidInputError
from rs2sam.training.recipes.strict import build


@dataclass(frozen=True)
class Inner:
    number: float = 1.0


@dataclass(frozen=True)
class Outer:
    text: str | None = None
    count: int = 0
    limit: float | None = None
    flag: bool = False
    choice: Literal["a", "b"] = "a"
    shares: Mapping[str, float] = field(default_factory=dict)
    anything: Mapping[str, Any] = field(default_factory=dict)
    pair: tuple[float, float] = (0.0, 1.0)
    sizes: tuple[int, ...] = ()
    inner: Inner = field(default_factory=Inner)


def test_values_get_the_types_of_their_fields():
    found = build(
        Outer,
        {
            "limit": "1e-4",
            "shares": {"x": 2, 3: "0.5"},
            "anything": {"deep": [1, {"a": None}]},
            "pair": [1, 2],
            "sizes": [1, 2, 3],
            "inner": {"number": 4},
        },
    )
    assert found.limit == 1e-4
    assert found.shares == {"x": 2.0, "3": 0.5}
    assert found.anything == {"deep": [1, {"a": None}]}
    assert found.pair == (1.0, 2.0)
    assert isinstance(found.pair[0], float)
    assert found.sizes == (1, 2, 3)
    assert found.inner == Inner(4.0)


def test_nothing_is_a_value_where_it_may_be():
    assert build(Outer, {"text": None, "limit": None}) == Outer()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"texts": "x"}, "unknown key `texts` in the recipe; did you mean `text`"),
        ({"inner": {"numbr": 1}}, "did you mean `inner.number`"),
        ({"inner": 3}, "`inner` must be a mapping of keys to values, received 3"),
        ({"zzz": 1}, "the keys are text, count"),
        ({"text": 3}, "`text` must be str or nothing, received 3"),
        ({"count": 1.5}, "`count` must be int, received 1.5"),
        ({"count": True}, "`count` must be int, received True"),
        ({"flag": 1}, "`flag` must be bool, received 1"),
        ({"limit": "fast"}, "`limit` must be float, received 'fast'"),
        ({"choice": 3}, "`choice` must be str, received 3"),
        ({"shares": 3}, "`shares` must be Mapping, received 3"),
        ({"shares": {"x": "many"}}, "`shares.x` must be float, received 'many'"),
        ({"pair": [1]}, r"`pair` must be a list of 2, received \[1\]"),
        ({"pair": 1}, "`pair` must be list, received 1"),
        ({"sizes": [1, "two"]}, r"`sizes\[1\]` must be int, received 'two'"),
    ],
)
def test_wrong_value_is_named_with_its_rule(values, message):
    with pytest.raises(InvalidInputError, match=message):
        build(Outer, values)
