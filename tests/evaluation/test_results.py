from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs2sam.errors import InvalidInputError
from rs2sam.evaluation import SampleResult
from rs2sam.metrics import PixelCounts

counts = st.integers(0, 10**7).flatmap(lambda i: st.builds(PixelCounts, st.just(i), st.integers(i, 2 * 10**7)))
share = st.floats(0, 1)
results = st.builds(
    SampleResult,
    id=st.text(min_size=1),
    sentence=st.text(),
    kind=st.text(),
    category=st.text(),
    is_empty=st.booleans(),
    counts=counts,
    everything=counts,
    class_only=st.none() | counts,
    presence=st.none() | share,
    score=st.none() | share,
    image_id=st.none() | st.text(),
    sweep=st.lists(counts, max_size=9).map(tuple),
    seconds=st.integers(0, 10**9).map(lambda micros: micros / 10**6),
)


@given(results, st.sampled_from(["published", "native"]))
def test_a_result_is_restored_exactly_from_its_record(result, protocol):
    line = json.dumps(result.as_record(protocol), ensure_ascii=False)
    assert SampleResult.from_record(json.loads(line)) == result


@pytest.mark.parametrize("damage", [{"counts": None}, {"counts": 3}, {"surplus": 1}])
def test_a_record_of_another_form_is_refused(damage):
    record = {"id": "a", "counts": [1, 2], "everything": [1, 4], "class_only": None, "sweep": []}
    with pytest.raises((KeyError, TypeError)):
        SampleResult.from_record({**record, **damage})


RECORD = {
    **{"id": "a", "image_id": None, "sentence": "the roofs", "kind": "size", "category": "roof", "is_empty": False},
    **{"counts": [1, 2], "everything": [1, 4], "class_only": None, "sweep": [], "presence": None, "score": None},
    "seconds": 0.5,
}


@pytest.mark.parametrize(
    ("name", "value"),
    [("id", 5), ("kind", []), ("is_empty", 1), ("counts", ["a", "b"]), ("counts", [1]), ("everything", None),
     ("presence", "high"), ("score", [0.5]), ("sweep", [[1, None]]), ("seconds", 10**400)],
)  # fmt: skip
def test_a_record_with_a_value_of_another_type_is_refused_with_its_name(name, value):
    assert SampleResult.from_record(RECORD).sentence == "the roofs"
    with pytest.raises(InvalidInputError, match=f"`{name}"):
        SampleResult.from_record({**RECORD, name: value})
