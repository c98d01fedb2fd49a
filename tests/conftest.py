"""Paths of material that is read from outside the repository, and shared fixtures."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.leaving_out import LeavingOut

# Timings are no test's matter, and a default run draws the same examples everywhere;
# HYPOTHESIS_PROFILE=search draws anew.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make test-pythons` and `make test-lowest` ask for."""
    parser.addoption("--installed", action="store_true", help="leave out files of tests that need absent extras")


def pytest_configure(config: pytest.Config) -> None:
    """Leave out what cannot run, where that was asked for."""
    if config.getoption("--installed"):
        config.pluginmanager.register(LeavingOut())


def _outside(variable: str, default: str) -> Path:
    path = Path(os.environ.get(variable, REPOSITORY / default))
    if not path.is_dir():
        pytest.skip(f"{variable} (default {default}) is not a folder here")
    return path


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """A command that runs inside a test (`--quiet`) decides what is logged; not for the tests after it."""
    logger = logging.getLogger("rs2sam")
    level, handlers = logger.level, logger.handlers
    yield
    logger.setLevel(level)
    logger.handlers = handlers


@pytest.fixture(scope="session")
def sam3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SAM 3, detector and tracker, with random weights."""
    from tests.make_concepts import write_sam3

    return write_sam3(tmp_path_factory.mktemp("concepts") / "sam3")


@pytest.fixture(scope="session")
def clipseg_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIPSeg with random weights."""
    from tests.make_concepts import write_clipseg

    return write_clipseg(tmp_path_factory.mktemp("concepts") / "clipseg")


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Folder of the golden tensors, losses and metrics."""
    return _outside("RS2SAM_GOLDEN", "../shared/golden")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real imagery."""
    return _outside("RS2SAM_DATA", "../shared/data")
