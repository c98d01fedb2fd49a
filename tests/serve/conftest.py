"""A service that finds red."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.make_rasters import write_tiff
from tests.serve.live import client


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A georeferenced image of 64 x 96 pixels with two red rectangles."""
    return write_tiff(tmp_path / "scene.tif")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TestClient]:
    """A client of a service that finds red."""
    with client(tmp_path / "state") as opened:
        yield opened
