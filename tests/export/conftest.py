"""Batches of the small model."""

from __future__ import annotations

from tests.backends.conftest import make_batch

__all__ = ["make_batch"]
