"""Paths of material that is read from outside the repository, and shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def _outside(variable: str, default: str) -> Path:
    path = Path(os.environ.get(variable, REPOSITORY / default))
    if not path.is_dir():
        pytest.skip(f"{variable} (default {default}) is not a folder here")
    return path


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Folder of the golden tensors, losses and metrics."""
    return _outside("RS2SAM_GOLDEN", "../shared/golden")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real imagery."""
    return _outside("RS2SAM_DATA", "../shared/data")
