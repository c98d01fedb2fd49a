"""Equality with the committed excerpt, which needs no material from outside the repository."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.parity.make_excerpt import EXCERPT, measure

TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def measured() -> dict[str, NDArray[np.float32]]:
    return measure()


def test_every_stage_equals_the_excerpt(measured: dict[str, NDArray[np.float32]]) -> None:
    with np.load(EXCERPT) as excerpt:
        assert set(excerpt.files) == set(measured)
        for name in excerpt.files:
            tolerance = GRADIENT_TOLERANCE if name == "gradient_lengths" else TOLERANCE
            expected = excerpt[name].astype(np.float64)
            difference = np.linalg.norm(measured[name] - expected) / np.linalg.norm(expected)
            assert difference <= tolerance, f"{name} differs by {difference:.1e}"


def test_excerpt_sees_padding_in_the_fusions(measured: dict[str, NDArray[np.float32]]) -> None:
    published, masked = measured["published.low_res_logits"], measured["masked.low_res_logits"]
    assert np.linalg.norm(published - masked) > 0.05 * np.linalg.norm(masked)


def test_excerpt_is_small() -> None:
    assert EXCERPT.stat().st_size < 300_000
